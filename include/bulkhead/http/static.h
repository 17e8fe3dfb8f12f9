/*
 * Static files embedded in the binary: ETag (from the content), If-None-Match, Cache-Control,
 * gzip and brotli made at build time and chosen by Accept-Encoding. HTML carries a strict
 * Content-Security-Policy. Constant data; any thread.
 */
#pragma once

#include "bulkhead/http/request.h"

struct bh_static_file {
    const char *path; /* "/tomehub/app.js"; "/" for the index */
    const char *content_type;
    const char *etag;                    /* with quotes */
    struct bh_str content, gzip, brotli; /* encodings with size 0 are not offered */
};

struct bh_static_site {
    const struct bh_static_file *files; /* sorted by path */
    size_t count;
};

/* Answers the request from `site` (GET and HEAD); BH_ENOTFOUND when there is no such file and
 * nothing was sent. */
int bh_static_respond(struct bh_request *request, const struct bh_static_site *site,
                      struct bh_str path) BH_MUST_CHECK;
