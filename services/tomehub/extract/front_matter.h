/* Front matter at the head of a Markdown file: YAML between "---" lines or TOML between "+++"
 * lines, of which only plain `key: value` pairs and lists are understood. One thread. */
#pragma once

#include "extract/document.h"

/* Writes title, author, tags and language as META. Returns the bytes it takes up, up to and with
 * its last line; 0 when `head`, the file's first bytes, does not begin with one. */
size_t tome_front_matter_read(struct bh_str head, struct tome_document *document);
