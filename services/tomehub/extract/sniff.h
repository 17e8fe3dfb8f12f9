/*
 * What format a file is in: its content decides, its name only where content cannot (Markdown).
 * A few comparisons of its first bytes, no parsing. Pure, any thread.
 */
#pragma once

#include "extract/source.h"

#define TOME_SNIFF_BYTES 4096

/* `head`: the first TOME_SNIFF_BYTES of the file, or all of it. `name`: the file's name, of which
 * the extension counts; may be empty. Returns NONE and sets *ret_source (never AUTO), or EMPTY or
 * UNSUPPORTED. */
enum tome_extract_failure tome_sniff(struct bh_str head, struct bh_str name,
                                     enum tome_source *ret_source);
