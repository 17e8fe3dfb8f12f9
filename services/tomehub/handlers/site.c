/* The page and what it is made of, from the binary. */
#include "bulkhead/http/static.h"
#include "handlers/handlers.h"
#include "tomehub_site.h"

int tome_handle_site(struct bh_request *const request)
{
    const int result = bh_static_respond(request, &tomehub_site, bh_request_path(request));
    return result == BH_ENOTFOUND ? bh_respond_error(request, 404, "there is no such file")
                                  : result;
}
