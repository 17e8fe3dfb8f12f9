/* libarchive walks an archive forward only. So the names are listed once, and an entry that lies
 * behind the place reached is found by starting again; spines are mostly stored in order. */
#include "extract/epub_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/arena.h"

#define ENTRIES_MAX 20000u
#define NAMES_BYTES_MAX (8u << 20)
#define READ_BYTES (64u * 1024)
#define UNPACKED_FREE_BYTES (UINT64_C(16) << 20)
#define UNPACKED_RATIO_MAX 200u
#define UNPACKED_MAX (UINT64_C(2) << 30)

struct name {
    struct bh_str path;
    unsigned ordinal;
};

struct tome_archive {
    struct tome_input *file;
    struct archive *reader;
    struct bh_arena *arena; /* of the names */
    struct name *names;     /* by path, then ordinal */
    size_t name_count;
    unsigned next_ordinal; /* of the header that libarchive gives next */
    struct archive_entry *entry;
    uint64_t unpacked;
    uint64_t unpacked_limit;
    char buffer[READ_BYTES];
};

/* --- libarchive on an input ------------------------------------------------------------------- */

static la_ssize_t on_read(struct archive *const reader, void *const argument,
                          const void **const ret_data)
{
    (void)reader;
    struct tome_archive *const archive = argument;
    size_t size;
    if (tome_input_read(archive->file, archive->buffer, sizeof(archive->buffer), &size) != 0)
        return -1;
    *ret_data = archive->buffer;
    return (la_ssize_t)size;
}

static la_int64_t on_seek(struct archive *const reader, void *const argument,
                          const la_int64_t offset, const int whence)
{
    (void)reader;
    struct tome_archive *const archive = argument;
    const la_int64_t total = (la_int64_t)archive->file->total;
    la_int64_t to = offset;
    if (whence == SEEK_CUR)
        to += (la_int64_t)archive->file->done;
    else if (whence == SEEK_END)
        to += total;
    if (to < 0 || to > total)
        return ARCHIVE_FATAL;
    archive->file->done = (uint64_t)to;
    return to;
}

static la_int64_t on_skip(struct archive *const reader, void *const argument,
                          const la_int64_t request)
{
    (void)reader;
    struct tome_archive *const archive = argument;
    const la_int64_t left = (la_int64_t)(archive->file->total - archive->file->done);
    const la_int64_t skipped = request < left ? request : left;
    if (skipped > 0)
        archive->file->done += (uint64_t)skipped;
    return skipped < 0 ? 0 : skipped;
}

static int restart(struct tome_archive *const archive)
{
    if (archive->reader)
        archive_read_free(archive->reader);
    archive->next_ordinal = 0;
    archive->entry = NULL;
    archive->file->done = 0;
    archive->reader = archive_read_new();
    if (!archive->reader)
        return BH_ENOMEM;
    if (archive_read_support_format_zip_seekable(archive->reader) != ARCHIVE_OK ||
        archive_read_set_read_callback(archive->reader, on_read) != ARCHIVE_OK ||
        archive_read_set_seek_callback(archive->reader, on_seek) != ARCHIVE_OK ||
        archive_read_set_skip_callback(archive->reader, on_skip) != ARCHIVE_OK ||
        archive_read_set_callback_data(archive->reader, archive) != ARCHIVE_OK)
        return BH_ENOMEM;
    return archive_read_open1(archive->reader) == ARCHIVE_OK ? 0 : BH_ECORRUPT;
}

/* 1: archive->entry is the next one. 0: there is none. */
static int advance(struct tome_archive *const archive)
{
    const int result = archive_read_next_header(archive->reader, &archive->entry);
    if (result == ARCHIVE_EOF)
        return 0;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return BH_ECORRUPT;
    archive->next_ordinal++;
    return 1;
}

/* --- names ------------------------------------------------------------------------------------ */

/* A name that stays inside the archive. */
static bool is_inside(const struct bh_str path)
{
    if (path.size == 0 || path.data[0] == '/' || memchr(path.data, '\\', path.size))
        return false;
    struct bh_str rest = path;
    while (rest.size > 0) {
        const struct bh_str step = bh_str_split(&rest, '/');
        if (bh_str_equal(step, BH_STR("..")))
            return false;
    }
    return true;
}

static int compare_names(const void *const left, const void *const right)
{
    const struct name *const a = left;
    const struct name *const b = right;
    const int order = bh_str_compare(a->path, b->path);
    return order != 0 ? order : (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

static int list_names(struct tome_archive *const archive)
{
    archive->names = bh_arena_calloc(archive->arena, ENTRIES_MAX, sizeof(*archive->names));
    if (!archive->names)
        return BH_ENOMEM;
    int result;
    while ((result = advance(archive)) == 1) {
        if (archive->next_ordinal > ENTRIES_MAX)
            return BH_ELIMIT;
        const char *const raw = archive_entry_pathname(archive->entry);
        const struct bh_str path = bh_str_from(raw ? raw : "");
        if (!is_inside(path))
            continue;
        char *const copy = bh_arena_strdup(archive->arena, path);
        if (!copy)
            return BH_ELIMIT;
        archive->names[archive->name_count++] = (struct name){
            .path = { .data = copy, .size = path.size }, .ordinal = archive->next_ordinal - 1
        };
    }
    qsort(archive->names, archive->name_count, sizeof(*archive->names), compare_names);
    return result;
}

/* The first entry of this name, or NULL. */
static const struct name *find_name(const struct tome_archive *const archive,
                                    const struct bh_str path)
{
    size_t low = 0;
    size_t high = archive->name_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (bh_str_compare(archive->names[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == archive->name_count || !bh_str_equal(archive->names[low].path, path))
        return NULL;
    return &archive->names[low];
}

int tome_archive_open(struct tome_input *const input, struct tome_archive **const ret_archive)
{
    struct tome_archive *const archive = calloc(1, sizeof(*archive));
    if (!archive)
        return BH_ENOMEM;
    archive->file = input;
    archive->unpacked_limit = UNPACKED_FREE_BYTES + input->total * UNPACKED_RATIO_MAX;
    if (archive->unpacked_limit > UNPACKED_MAX)
        archive->unpacked_limit = UNPACKED_MAX;
    int error = bh_arena_create(NAMES_BYTES_MAX, &archive->arena);
    if (!error)
        error = restart(archive);
    if (!error)
        error = list_names(archive);
    if (error) {
        tome_archive_close(archive);
        return error;
    }
    *ret_archive = archive;
    return 0;
}

void tome_archive_close(struct tome_archive *const archive)
{
    if (!archive)
        return;
    if (archive->reader)
        archive_read_free(archive->reader);
    bh_arena_destroy(archive->arena);
    free(archive);
}

/* --- entries ---------------------------------------------------------------------------------- */

static int read_entry(struct tome_input *const input, char *const data, const size_t size,
                      size_t *const ret_size)
{
    struct tome_archive *const archive = input->context;
    const la_ssize_t count = archive_read_data(archive->reader, data, size);
    if (count < 0)
        return archive_errno(archive->reader) == ENOMEM ? BH_ENOMEM : BH_ECORRUPT;
    archive->unpacked += (uint64_t)count;
    if (archive->unpacked > archive->unpacked_limit)
        return BH_ELIMIT;
    *ret_size = (size_t)count;
    return 0;
}

int tome_archive_entry(struct tome_archive *const archive, const struct bh_str path,
                       struct tome_input *const ret_input)
{
    const struct name *const name = find_name(archive, path);
    if (!name)
        return BH_ENOTFOUND;
    if (name->ordinal < archive->next_ordinal) {
        const int error = restart(archive);
        if (error)
            return error;
    }
    while (archive->next_ordinal <= name->ordinal) {
        const int result = advance(archive);
        if (result != 1)
            return result < 0 ? result : BH_ECORRUPT;
    }
    if (archive_entry_is_data_encrypted(archive->entry))
        return BH_EACCESS;
    *ret_input = (struct tome_input){ .read = read_entry, .context = archive };
    return 0;
}

int tome_archive_load(struct tome_archive *const archive, const struct bh_str path,
                      struct bh_buf *const out)
{
    struct tome_input input;
    int error = tome_archive_entry(archive, path, &input);
    size_t size = READ_BYTES;
    while (!error && size == READ_BYTES) {
        char *const to = bh_buf_reserve(out, READ_BYTES);
        if (!to)
            return bh_buf_error(out);
        error = tome_input_read(&input, to, READ_BYTES, &size);
        if (!error)
            bh_buf_advance(out, size);
    }
    return error;
}
