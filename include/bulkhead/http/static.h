/*
 * Static files embedded in the binary: ETag (from the content), If-None-Match, Cache-Control,
 * gzip and brotli made at build time and chosen by Accept-Encoding. HTML carries a strict
 * Content-Security-Policy (scripts, styles and data from here alone, nothing inline; trusted
 * types). Constant data; any thread.
 *
 * tools/embed_static.py makes a site from folders; in a meson.build:
 *
 *     embed_static = find_program(meson.project_source_root() / 'tools/embed_static.py')
 *     site = custom_target('tomehub_site', output: ['tomehub_site.h', 'tomehub_site.c'],
 *       depfile: 'tomehub_site.d',
 *       command: [embed_static, '--symbol', 'tomehub_site', '--depfile', '@DEPFILE@',
 *                 '--root', meson.project_source_root() / 'web', '--index', 'tomehub/index.html',
 *                 '@OUTPUT0@', '@OUTPUT1@', 'tomehub', 'shared'])
 *
 * embeds web/tomehub/ and web/shared/. A file keeps its path below the root as its URL
 * ("/tomehub/app.js"); the index is "/" instead. Serve it by a route "/" and one
 * "/{path...}", both with bh_static_respond(request, &tomehub_site, bh_request_path(request)).
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
