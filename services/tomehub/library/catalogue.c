#include "library/catalogue.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "library/postings.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define NAME_BYTES_MAX (64U << 20)

/* Columns of search_catalogue.sql. */
enum {
    COLUMN_ID,
    COLUMN_CHUNK_COUNT,
    COLUMN_WORD_COUNT,
    COLUMN_LANGUAGE,
    COLUMN_TITLE,
    COLUMN_AUTHOR,
    COLUMN_SOURCE_TYPE,
    COLUMN_TAGS,
    COLUMN_TITLE_SORT,
    COLUMN_CREATED_AT,
    COLUMN_TITLE_WORDS,
    COLUMN_AUTHOR_WORDS,
    COLUMN_PAGE_KIND,
    COLUMN_METADATA,
    COLUMN_HAS_LABELS
};

/* A word of a title or author. */
struct name_word {
    struct bh_str word;
    int64_t id;
    unsigned column;
    uint32_t position;
};

struct names {
    struct name_word *words;
    size_t count, capacity;
};

/* ---- Books ---- */

static struct bh_str copy_at(struct bh_arena *const arena, const struct bh_db_rows *const rows,
                             const size_t row, const size_t column, bool *const has_failed)
{
    const struct bh_str text = bh_db_text_at(rows, row, column);
    const char *const copy = bh_arena_strdup(arena, text);
    *has_failed |= copy == NULL;
    return (struct bh_str){ copy, copy != NULL ? text.size : 0 };
}

static int take_books(struct tome_catalogue *const catalogue, const struct bh_db_rows *const rows)
{
    struct bh_arena *const arena = catalogue->arena;
    const size_t count = rows->row_count;
    struct tome_visible *const visible = &catalogue->visible;
    struct tome_catalogue_book *const books = bh_arena_calloc(arena, count + 1, sizeof(*books));
    visible->books = bh_arena_calloc(arena, count + 1, sizeof(*visible->books));
    if (books == NULL || visible->books == NULL)
        return BH_ENOMEM;
    int64_t word_count = 0;
    bool has_failed = false;
    for (size_t i = 0; i < count; i++) {
        const uint32_t chunks = (uint32_t)bh_db_int_at(rows, i, COLUMN_CHUNK_COUNT);
        visible->books[i].id = bh_db_int_at(rows, i, COLUMN_ID);
        visible->books[i].chunk_count = chunks;
        visible->chunk_count += chunks;
        const enum tome_language language = tome_language_from_code(
            bh_db_text_at(rows, i, COLUMN_LANGUAGE));
        visible->language_chunks[language] += chunks;
        word_count += bh_db_int_at(rows, i, COLUMN_WORD_COUNT);
        books[i] = (struct tome_catalogue_book){
            .title = copy_at(arena, rows, i, COLUMN_TITLE, &has_failed),
            .author = copy_at(arena, rows, i, COLUMN_AUTHOR, &has_failed),
            .source_type = copy_at(arena, rows, i, COLUMN_SOURCE_TYPE, &has_failed),
            .tags = copy_at(arena, rows, i, COLUMN_TAGS, &has_failed),
            .title_sort = copy_at(arena, rows, i, COLUMN_TITLE_SORT, &has_failed),
            .page_kind = copy_at(arena, rows, i, COLUMN_PAGE_KIND, &has_failed),
            .metadata = copy_at(arena, rows, i, COLUMN_METADATA, &has_failed),
            .created_at = bh_db_int_at(rows, i, COLUMN_CREATED_AT),
            .language = language,
            .has_labels = bh_db_int_at(rows, i, COLUMN_HAS_LABELS) != 0,
        };
    }
    visible->book_count = count;
    visible->average_length = visible->chunk_count > 0 && word_count > 0
                                  ? (double)word_count / (double)visible->chunk_count
                                  : 1.0;
    catalogue->books = books;
    return has_failed ? BH_ENOMEM : 0;
}

/* Rows: book, first ordinal, lengths. */
static int take_lengths(struct tome_catalogue *const catalogue, const struct bh_db_rows *const rows)
{
    struct tome_visible *const visible = &catalogue->visible;
    uint8_t *const lengths = bh_arena_calloc(catalogue->arena, (size_t)visible->chunk_count + 1, 1);
    if (lengths == NULL)
        return BH_ENOMEM;
    size_t start = 0;
    for (size_t i = 0; i < visible->book_count; i++) {
        visible->books[i].lengths = lengths + start;
        visible->books[i].length_count = visible->books[i].chunk_count;
        start += visible->books[i].chunk_count;
    }
    for (size_t row = 0; row < rows->row_count; row++) {
        const int64_t at = tome_visible_find(visible, bh_db_int_at(rows, row, 0));
        const int64_t first = bh_db_int_at(rows, row, 1);
        const struct bh_str part = bh_db_text_at(rows, row, 2);
        if (at < 0 || part.size == 0)
            continue;
        const struct tome_visible_book *const book = &visible->books[at];
        if (first >= 0 && first < book->chunk_count &&
            part.size <= book->chunk_count - (size_t)first)
            memcpy(lengths + (book->lengths - lengths) + first, part.data, part.size);
    }
    return 0;
}

/* ---- Names ---- */

static int add_words(struct names *const names, const int64_t id, const unsigned column,
                     struct bh_str text)
{
    for (uint32_t position = 0; text.size > 0; position++) {
        const struct bh_str word = bh_str_split(&text, ' ');
        if (word.size == 0)
            continue;
        if (names->count == names->capacity) {
            const size_t larger = names->capacity > 0 ? names->capacity * 2 : 1024;
            struct name_word *const grown = reallocarray(names->words, larger, sizeof(*grown));
            if (grown == NULL)
                return BH_ENOMEM;
            names->words = grown;
            names->capacity = larger;
        }
        names->words[names->count++] = (struct name_word){ word, id, column, position };
    }
    return 0;
}

static int compare_words(const void *const a, const void *const b)
{
    const struct name_word *const left = a, *const right = b;
    const int order = bh_str_compare(left->word, right->word);
    if (order != 0)
        return order;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    if (left->column != right->column)
        return left->column < right->column ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

/* The list of the words from `first` to `end`, which are equal. */
static int take_list(struct tome_catalogue *const catalogue, const struct name_word *const words,
                     const size_t first, const size_t end,
                     struct tome_postings_writer *const writer, struct bh_buf *const buf)
{
    bh_buf_clear(buf);
    tome_postings_begin(writer, buf);
    for (size_t i = first; i < end; i++)
        tome_postings_add(writer, words[i].id, words[i].column, words[i].position);
    if (tome_postings_end(writer) < 0)
        return BH_ENOMEM;
    const char *const word = bh_arena_strdup(catalogue->arena, words[first].word);
    const char *const list = bh_arena_strdup(catalogue->arena, bh_buf_peek(buf));
    if (word == NULL || list == NULL)
        return BH_ENOMEM;
    return tome_word_lists_add(&catalogue->names, catalogue->arena,
                               (struct bh_str){ word, words[first].word.size },
                               (struct bh_str){ list, buf->size });
}

static int take_lists(struct tome_catalogue *const catalogue, const struct names *const names)
{
    struct bh_buf buf BH_CLEANUP(bh_buf_fini_cleanup);
    struct tome_postings_writer writer;
    bh_buf_init(&buf, NAME_BYTES_MAX);
    tome_postings_writer_init(&writer);
    int result = 0;
    for (size_t first = 0, end; first < names->count && result == 0; first = end) {
        for (end = first + 1;
             end < names->count && bh_str_equal(names->words[end].word, names->words[first].word);)
            end++;
        result = take_list(catalogue, names->words, first, end, &writer, &buf);
    }
    tome_postings_writer_fini(&writer);
    return result;
}

static int take_names(struct tome_catalogue *const catalogue, const struct bh_db_rows *const rows)
{
    struct names names = { 0 };
    int result = 0;
    for (size_t i = 0; i < rows->row_count && result == 0; i++) {
        const int64_t id = bh_db_int_at(rows, i, COLUMN_ID) << TOME_ORDINAL_BITS;
        result = add_words(&names, id, TOME_COLUMN_BODY,
                           bh_db_text_at(rows, i, COLUMN_TITLE_WORDS));
        if (result == 0)
            result = add_words(&names, id, TOME_COLUMN_HEADING,
                               bh_db_text_at(rows, i, COLUMN_AUTHOR_WORDS));
    }
    if (result == 0 && names.count > 0) {
        qsort(names.words, names.count, sizeof(*names.words), compare_words);
        result = take_lists(catalogue, &names);
    }
    free(names.words);
    return result;
}

/* ---- Orders ---- */

struct placed {
    const struct tome_catalogue_book *book;
    size_t index;
};

static int compare_age(const void *const a, const void *const b)
{
    const struct placed *const left = a, *const right = b;
    if (left->book->created_at != right->book->created_at)
        return left->book->created_at > right->book->created_at ? -1 : 1;
    return left->index > right->index ? -1 : left->index < right->index;
}

static int compare_title(const void *const a, const void *const b)
{
    const struct placed *const left = a, *const right = b;
    const int order = bh_str_compare(left->book->title_sort, right->book->title_sort);
    return order != 0 ? order : left->index < right->index ? -1 : left->index > right->index;
}

static const uint32_t *make_places(struct tome_catalogue *const catalogue,
                                   int (*const compare)(const void *, const void *))
{
    const size_t count = catalogue->visible.book_count;
    struct placed *const order = calloc(count + 1, sizeof(*order));
    uint32_t *const places = bh_arena_calloc(catalogue->arena, count + 1, sizeof(*places));
    if (order != NULL && places != NULL) {
        for (size_t i = 0; i < count; i++)
            order[i] = (struct placed){ &catalogue->books[i], i };
        if (count > 1)
            qsort(order, count, sizeof(*order), compare);
        for (size_t i = 0; i < count; i++)
            places[order[i].index] = (uint32_t)i;
    }
    const bool is_made = order != NULL && places != NULL;
    free(order);
    return is_made ? places : NULL;
}

/* ---- Life ---- */

/* Everything rests on ids that rise and fit a chunk's. */
static bool has_good_ids(const struct bh_db_rows *const rows)
{
    int64_t last = 0;
    for (size_t i = 0; i < rows->row_count; i++) {
        const int64_t id = bh_db_int_at(rows, i, COLUMN_ID);
        const int64_t chunks = bh_db_int_at(rows, i, COLUMN_CHUNK_COUNT);
        if (id <= last || id > INT64_MAX >> TOME_ORDINAL_BITS || chunks < 0 ||
            chunks > INT64_C(1) << TOME_ORDINAL_BITS)
            return false;
        last = id;
    }
    return true;
}

int tome_catalogue_create(const int64_t owner_id, const int64_t generation,
                          const struct bh_db_rows *const books,
                          const struct bh_db_rows *const lengths,
                          struct tome_catalogue **const ret_catalogue,
                          struct bh_error *const reterr)
{
    if (!has_good_ids(books))
        return bh_error_set(reterr, BH_ECORRUPT,
                            "the table of books holds impossible ids or counts; restore the "
                            "database from a backup");
    struct tome_catalogue *const catalogue = calloc(1, sizeof(*catalogue));
    int result = catalogue == NULL ? BH_ENOMEM : 0;
    if (result == 0) {
        atomic_init(&catalogue->references, 1);
        catalogue->owner_id = owner_id;
        catalogue->generation = generation;
        result = bh_arena_create(ARENA_BYTES_MAX, &catalogue->arena);
    }
    if (result == 0)
        result = take_books(catalogue, books);
    if (result == 0)
        result = take_lengths(catalogue, lengths);
    if (result == 0)
        result = take_names(catalogue, books);
    if (result == 0) {
        catalogue->places_by_age = make_places(catalogue, compare_age);
        catalogue->places_by_title = make_places(catalogue, compare_title);
        result = catalogue->places_by_age == NULL || catalogue->places_by_title == NULL ? BH_ENOMEM
                                                                                        : 0;
    }
    if (result < 0) {
        tome_catalogue_unref(catalogue);
        return bh_error_set(reterr, result, "no memory for the catalogue of %zu books",
                            books->row_count);
    }
    *ret_catalogue = catalogue;
    return 0;
}

struct tome_catalogue *tome_catalogue_ref(struct tome_catalogue *const catalogue)
{
    atomic_fetch_add_explicit(&catalogue->references, 1, memory_order_relaxed);
    return catalogue;
}

void tome_catalogue_unref(struct tome_catalogue *const catalogue)
{
    if (catalogue == NULL ||
        atomic_fetch_sub_explicit(&catalogue->references, 1, memory_order_acq_rel) != 1)
        return;
    bh_arena_destroy(catalogue->arena);
    free(catalogue);
}

/* ---- Kept counts: 32 bits of hash and the count in one word, so that no lock is needed ---- */

static _Atomic uint64_t *count_slot(struct tome_catalogue *const catalogue,
                                    const struct bh_str expression, uint64_t *const ret_tag)
{
    const uint64_t hash = XXH3_64bits(expression.data, expression.size);
    *ret_tag = (hash >> 32 | 1) << 32;
    return &catalogue->counts[hash % TOME_CATALOGUE_COUNTS];
}

bool tome_catalogue_counted(struct tome_catalogue *const catalogue, const struct bh_str expression,
                            int64_t *const ret_count)
{
    uint64_t tag;
    const uint64_t kept = atomic_load_explicit(count_slot(catalogue, expression, &tag),
                                               memory_order_relaxed);
    if ((kept & ~(uint64_t)UINT32_MAX) != tag)
        return false;
    *ret_count = (int64_t)(kept & UINT32_MAX);
    return true;
}

void tome_catalogue_keep_count(struct tome_catalogue *const catalogue,
                               const struct bh_str expression, const int64_t count)
{
    uint64_t tag;
    _Atomic uint64_t *const slot = count_slot(catalogue, expression, &tag);
    if (count >= 0 && count <= UINT32_MAX)
        atomic_store_explicit(slot, tag | (uint64_t)count, memory_order_relaxed);
}
