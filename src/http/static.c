#include "bulkhead/http/static.h"

#include "http/connection.h"
#include "http/field.h"

/* No inline script or style, nothing from elsewhere, in nobody's frame. */
#define CONTENT_SECURITY_POLICY                                                       \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "  \
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

struct encoding {
    const char *name; /* NULL: as it is */
    const char *etag_suffix;
    struct bh_str content;
};

static const struct bh_static_file *find_file(const struct bh_static_site *const site,
                                              const struct bh_str path)
{
    size_t low = 0;
    size_t high = site->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = bh_str_compare(bh_str_from(site->files[middle].path), path);
        if (order == 0)
            return &site->files[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Whether `;q=0` (in any of its spellings) follows a coding's name. */
static bool is_unwanted(struct bh_str parameters)
{
    struct bh_field_parameter parameter;
    while (bh_field_parameter_next(&parameters, &parameter) > 0) {
        if (!bh_str_equal_nocase(parameter.name, BH_STR("q")))
            continue;
        for (size_t i = 0; i < parameter.value.size; i++) {
            if (parameter.value.data[i] != '0' && parameter.value.data[i] != '.')
                return false;
        }
        return true;
    }
    return false;
}

/* Whether Accept-Encoding names `coding`, or `*` without naming it. Weights only matter where they
 * are 0: whoever takes brotli at all is served best by it. */
static bool accepts(const struct bh_str accept_encoding, const char *const coding)
{
    struct bh_str rest = accept_encoding;
    struct bh_str element;
    bool takes_any = false;
    while (bh_field_list_next(&rest, &element)) {
        struct bh_str parameters = element;
        const struct bh_str name = bh_str_trim(bh_str_split(&parameters, ';'));
        parameters = (struct bh_str){
            name.data + name.size, element.size - (size_t)(name.data - element.data) - name.size
        };
        if (bh_str_equal_nocase(name, bh_str_from(coding)))
            return !is_unwanted(parameters);
        if (bh_str_equal(name, BH_STR("*")))
            takes_any = !is_unwanted(parameters);
    }
    return takes_any;
}

static struct encoding choose_encoding(struct bh_request *const request,
                                       const struct bh_static_file *const file)
{
    const struct bh_str accept = bh_request_header(request, "Accept-Encoding");
    if (file->brotli.size > 0 && accepts(accept, "br"))
        return (struct encoding){ "br", "-br", file->brotli };
    if (file->gzip.size > 0 && accepts(accept, "gzip"))
        return (struct encoding){ "gzip", "-gz", file->gzip };
    return (struct encoding){ NULL, "", file->content };
}

/* RFC 9110 section 13.1.2, weak comparison. Our tags hold no commas. */
static bool has_it_already(struct bh_request *const request, const struct bh_str etag)
{
    struct bh_str rest = bh_request_header(request, "If-None-Match");
    struct bh_str element;
    while (bh_field_list_next(&rest, &element)) {
        if (bh_str_equal(element, BH_STR("*")))
            return true;
        if (bh_str_starts_with(element, BH_STR("W/"))) {
            element.data += 2;
            element.size -= 2;
        }
        if (bh_str_equal(element, etag))
            return true;
    }
    return false;
}

int bh_static_respond(struct bh_request *const request, const struct bh_static_site *const site,
                      const struct bh_str path)
{
    const struct bh_static_file *const file = find_file(site, path);
    if (!file)
        return BH_ENOTFOUND;
    const struct encoding encoding = choose_encoding(request, file);
    const struct bh_str plain_etag = bh_str_from(file->etag);
    /* "abc" becomes "abc-br": each encoding is a representation of its own. */
    char *const etag_text = bh_arena_printf(bh_request_arena(request), "%.*s%s\"",
                                            (int)plain_etag.size - 1, plain_etag.data,
                                            encoding.etag_suffix);
    if (!etag_text)
        return bh_respond_error(request, 503, "Out of memory.");
    const struct bh_str etag = bh_str_from(etag_text);

    bh_response_header(request, "ETag", etag);
    /* Asked for each time, answered by 304: a new version is seen at once. */
    bh_response_header(request, "Cache-Control", BH_STR("no-cache"));
    bh_response_header(request, "Vary", BH_STR("Accept-Encoding"));
    bh_response_header(request, "X-Content-Type-Options", BH_STR("nosniff"));
    if (bh_str_starts_with(bh_str_from(file->content_type), BH_STR("text/html"))) {
        bh_response_header(request, "Content-Security-Policy", BH_STR(CONTENT_SECURITY_POLICY));
        bh_response_header(request, "Referrer-Policy", BH_STR("no-referrer"));
    }
    if (has_it_already(request, etag))
        return bh_respond(request, 304, NULL, BH_STR_NONE);
    if (encoding.name)
        bh_response_header(request, "Content-Encoding", bh_str_from(encoding.name));
    return bh_respond_held(request, 200, file->content_type, encoding.content,
                           BH_TRANSPORT_CONSTANT, NULL);
}
