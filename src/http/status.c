#include "http/status.h"

#include <stddef.h>

const char *bh_http_status_text(const int status)
{
    switch (status) {
#define X(number, text) \
    case number:        \
        return text;
        BH_HTTP_STATUS_TABLE(X)
#undef X
    default:
        return status >= 500 ? "Server Error" : status >= 400 ? "Client Error" : "OK";
    }
}
