/* Makes ZIP archives in memory, honest and otherwise. */
#pragma once

#include "cmocka_setup.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#define ZIP_BYTES_MAX ((size_t)4 << 20)

struct zip {
    struct archive *archive;
    char *bytes;
    size_t size;
};

static inline void zip_open(struct zip *const zip)
{
    *zip = (struct zip){ .bytes = malloc(ZIP_BYTES_MAX) };
    assert_non_null(zip->bytes);
    zip->archive = archive_write_new();
    assert_int_equal(archive_write_set_format_zip(zip->archive), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(zip->archive, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(zip->archive, zip->bytes, ZIP_BYTES_MAX, &zip->size),
                     ARCHIVE_OK);
}

static inline void zip_add(struct zip *const zip, const char *const name, const char *const data,
                           const size_t size)
{
    struct archive_entry *const entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    assert_int_equal(archive_write_header(zip->archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(zip->archive, data, size), size);
    archive_entry_free(entry);
}

static inline void zip_text(struct zip *const zip, const char *const name, const char *const text)
{
    zip_add(zip, name, text, strlen(text));
}

static inline void zip_close(struct zip *const zip)
{
    assert_int_equal(archive_write_close(zip->archive), ARCHIVE_OK);
    archive_write_free(zip->archive);
    zip->archive = NULL;
}

static inline void zip_free(struct zip *const zip)
{
    free(zip->bytes);
}
