/* The input is either an archive as it is or, behind a first byte 'm', the package, navigation and
 * text of an EPUB separated by NUL bytes, so that the fuzzer reaches what lies behind the CRCs. */
#include <archive.h>
#include <archive_entry.h>

#include "extract/epub.h"
#include "extracting.h"

#define PACKED_MAX ((size_t)4 << 20)
#define CONTAINER "<container><rootfiles><rootfile full-path='O/p.opf'/></rootfiles></container>"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct archive *const archive, const char *const name, const struct bh_str text)
{
    struct archive_entry *const entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)text.size);
    archive_write_header(archive, entry);
    archive_write_data(archive, text.data, text.size);
    archive_entry_free(entry);
}

static size_t pack(char *const packed, struct bh_str parts)
{
    static const char *const names[] = { "O/p.opf", "O/nav.xhtml", "O/a.xhtml",
                                         "META-INF/encryption.xml" };
    size_t used = 0;
    struct archive *const archive = archive_write_new();
    archive_write_set_format_zip(archive);
    archive_write_zip_set_compression_store(archive);
    archive_write_set_bytes_in_last_block(archive, 1);
    archive_write_open_memory(archive, packed, PACKED_MAX, &used);
    add(archive, "META-INF/container.xml", BH_STR(CONTAINER));
    for (size_t i = 0; i < BH_COUNT_OF(names) && parts.size > 0; i++)
        add(archive, names[i], bh_str_split(&parts, '\0'));
    archive_write_close(archive);
    archive_write_free(archive);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static char packed[PACKED_MAX];
    struct tome_frame_writer writer;
    struct tome_input input;
    struct bh_error detail = { 0 };
    const struct bh_str bytes = { .data = (const char *)data, .size = size };
    if (size > 0 && data[0] == 'm') {
        const struct bh_str parts = { .data = bytes.data + 1, .size = size - 1 };
        tome_input_memory(&input, packed, pack(packed, parts));
    } else {
        tome_input_memory(&input, bytes.data, bytes.size);
    }
    extracting_begin(&writer);
    (void)tome_epub_read(&input, &writer, &detail);
    extracting_end(&writer);
    return 0;
}
