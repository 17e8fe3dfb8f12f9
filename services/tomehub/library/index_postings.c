/*
 * Occurrences are gathered in the order of the text, brought together by word (a counting sort,
 * which keeps that order), and written word by word.
 */
#include "library/index_postings.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/json.h"
#include "library/postings.h"
#include "library/score.h"
#include "tomehub_sql.h"

#define POSTINGS_MAGIC UINT32_C(0x746f6d50)
#define TEXT_BYTES_MAX (512U << 20)
#define ROW_COLUMNS 4 /* owner, word, segment, postings */
#define REMOVED_WORDS_AT_ONCE 1000
#define REMOVED_BYTES_MAX ((size_t)512 << 20)

struct span {
    size_t start, size;
};

struct tome_index_postings {
    BH_MAGIC_FIELD;
    int64_t first_id; /* of the batch: its segment */
    struct bh_buf text;
    struct bh_buf lists;
    struct bh_buf vocabulary;        /* words for spelling, a JSON array */
    struct span *words, *word_lists; /* in `text`, in `lists`; by word */
    size_t word_count;
    uint8_t *lengths; /* one for each ordinal from the first to the last */
    size_t length_count;
};

struct occurrence {
    uint32_t word;
    uint16_t chunk; /* of the batch */
    uint16_t column;
    uint32_t position;
};

struct gathering {
    struct tome_index_postings *postings;
    struct span *words; /* in the order they turned up */
    size_t word_count, word_capacity;
    uint32_t *slots; /* by hash: index of a word plus 1 */
    size_t slot_count;
    struct occurrence *occurrences;
    size_t occurrence_count, occurrence_capacity;
};

/* ---- Gathering ---- */

static size_t find_slot(const struct gathering *const gathering, const struct bh_str word)
{
    const char *const text = gathering->postings->text.data;
    size_t slot = (size_t)XXH3_64bits(word.data, word.size) & (gathering->slot_count - 1);
    for (; gathering->slots[slot] != 0; slot = (slot + 1) & (gathering->slot_count - 1)) {
        const struct span known = gathering->words[gathering->slots[slot] - 1];
        if (known.size == word.size && memcmp(text + known.start, word.data, word.size) == 0)
            break;
    }
    return slot;
}

static int grow_words(struct gathering *const gathering)
{
    const size_t capacity = gathering->word_capacity > 0 ? gathering->word_capacity * 2 : 4096;
    struct span *const words = reallocarray(gathering->words, capacity, sizeof(*words));
    uint32_t *const slots = calloc(capacity * 2, sizeof(*slots));
    if (words != NULL)
        gathering->words = words;
    if (words == NULL || slots == NULL) {
        free(slots);
        return BH_ENOMEM;
    }
    free(gathering->slots);
    gathering->slots = slots;
    gathering->slot_count = capacity * 2;
    gathering->word_capacity = capacity;
    for (size_t i = 0; i < gathering->word_count; i++) {
        const struct span span = words[i];
        const struct bh_str word = { gathering->postings->text.data + span.start, span.size };
        slots[find_slot(gathering, word)] = (uint32_t)i + 1;
    }
    return 0;
}

static int find_word(struct gathering *const gathering, const struct bh_str word,
                     uint32_t *const ret_word)
{
    struct bh_buf *const text = &gathering->postings->text;
    if (gathering->word_count == gathering->word_capacity && grow_words(gathering) < 0)
        return BH_ENOMEM;
    const size_t slot = find_slot(gathering, word);
    if (gathering->slots[slot] == 0) {
        gathering->words[gathering->word_count] = (struct span){ text->size, word.size };
        gathering->slots[slot] = (uint32_t)++gathering->word_count;
        bh_buf_append_str(text, word);
    }
    *ret_word = gathering->slots[slot] - 1;
    return bh_buf_error(text);
}

static int add(struct gathering *const gathering, const struct bh_str word, const size_t chunk,
               const unsigned column, const uint32_t position)
{
    if (gathering->occurrence_count == gathering->occurrence_capacity) {
        const size_t larger = gathering->occurrence_capacity > 0
                                  ? gathering->occurrence_capacity * 2
                                  : 65536;
        struct occurrence *const grown = reallocarray(gathering->occurrences, larger,
                                                      sizeof(*grown));
        if (grown == NULL)
            return BH_ENOMEM;
        gathering->occurrences = grown;
        gathering->occurrence_capacity = larger;
    }
    struct occurrence *const at = &gathering->occurrences[gathering->occurrence_count];
    const int result = find_word(gathering, word, &at->word);
    at->chunk = (uint16_t)chunk;
    at->column = (uint16_t)column;
    at->position = position;
    gathering->occurrence_count += result == 0;
    return result;
}

/* Forms stand in `forms`, stems that differ from theirs in `stems`. */
static int analyse(struct gathering *const gathering, struct tome_analyzer *const analyzer,
                   const enum tome_language language, const struct bh_str text, const size_t chunk,
                   const unsigned forms, const unsigned stems, uint32_t *const ret_count)
{
    char tagged[TOME_STEM_TAG_SIZE + TOME_FORM_MAX];
    struct tome_token token;
    uint32_t count = 0;
    int result = 0;
    tome_stem_tag(language, tagged);
    tome_analyzer_begin(analyzer, text);
    while (result == 0 && tome_analyzer_next(analyzer, &token)) {
        result = add(gathering, token.form, chunk, forms, count);
        const struct bh_str stem = tome_analyzer_stem(analyzer, &token, language);
        if (result == 0 && !bh_str_equal(stem, token.form)) {
            bh_assert(stem.size <= TOME_FORM_MAX);
            memcpy(tagged + TOME_STEM_TAG_SIZE, stem.data, stem.size);
            const struct bh_str word = { tagged, TOME_STEM_TAG_SIZE + stem.size };
            result = add(gathering, word, chunk, stems, count);
        }
        count++;
    }
    *ret_count = count;
    return result;
}

static int gather(struct gathering *const gathering, struct tome_analyzer *const analyzer,
                  const enum tome_language language, const struct tome_index_chunk *const chunks,
                  const size_t chunk_count)
{
    struct tome_index_postings *const postings = gathering->postings;
    int result = 0;
    for (size_t i = 0; i < chunk_count && result == 0; i++) {
        uint32_t words = 0, heading_words = 0;
        result = analyse(gathering, analyzer, language, chunks[i].content, i, TOME_COLUMN_BODY,
                         TOME_COLUMN_STEMS, &words);
        if (result == 0)
            result = analyse(gathering, analyzer, language, chunks[i].heading, i,
                             TOME_COLUMN_HEADING, TOME_COLUMN_HEADING, &heading_words);
        postings->lengths[chunks[i].id - postings->first_id] = tome_score_length_code(words);
    }
    return result;
}

/* ---- Writing lists ---- */

struct named_word {
    struct bh_str word;
    uint32_t index;
};

static int compare_words(const void *const a, const void *const b)
{
    return bh_str_compare(((const struct named_word *)a)->word,
                          ((const struct named_word *)b)->word);
}

static struct named_word *sort_words(const struct gathering *const gathering)
{
    struct named_word *const words = calloc(gathering->word_count + 1, sizeof(*words));
    for (size_t i = 0; words != NULL && i < gathering->word_count; i++)
        words[i] = (struct named_word){
            .word = { gathering->postings->text.data + gathering->words[i].start,
                      gathering->words[i].size },
            .index = (uint32_t)i,
        };
    if (words != NULL && gathering->word_count > 1)
        qsort(words, gathering->word_count, sizeof(*words), compare_words);
    return words;
}

/* Occurrences by word: those of word i stand from *ret_starts[i] on. */
static struct occurrence *sort_occurrences(const struct gathering *const gathering,
                                           size_t **const ret_starts)
{
    const size_t count = gathering->occurrence_count;
    struct occurrence *const sorted = calloc(count + 1, sizeof(*sorted));
    size_t *const starts = calloc(gathering->word_count + 2, sizeof(*starts));
    if (sorted == NULL || starts == NULL) {
        free(sorted);
        free(starts);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        starts[gathering->occurrences[i].word + 2]++;
    for (size_t i = 2; i < gathering->word_count + 2; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++)
        sorted[starts[gathering->occurrences[i].word + 1]++] = gathering->occurrences[i];
    *ret_starts = starts;
    return sorted;
}

static int write_lists(const struct gathering *const gathering,
                       const struct tome_index_chunk *const chunks,
                       const struct named_word *const words,
                       const struct occurrence *const occurrences, const size_t *const starts)
{
    struct tome_index_postings *const postings = gathering->postings;
    struct tome_postings_writer writer;
    struct bh_json json;
    int result = 0;
    tome_postings_writer_init(&writer);
    bh_json_init(&json, &postings->vocabulary);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < gathering->word_count && result == 0; i++) {
        const uint32_t word = words[i].index;
        const size_t before = postings->lists.size;
        bool in_body = false;
        tome_postings_begin(&writer, &postings->lists);
        for (size_t j = starts[word]; j < starts[word + 1]; j++) {
            in_body |= occurrences[j].column == TOME_COLUMN_BODY;
            tome_postings_add(&writer, chunks[occurrences[j].chunk].id, occurrences[j].column,
                              occurrences[j].position);
        }
        result = tome_postings_end(&writer);
        postings->words[i] = gathering->words[word];
        postings->word_lists[i] = (struct span){ before, postings->lists.size - before };
        if (in_body && tome_index_is_vocabulary(words[i].word))
            bh_json_string(&json, words[i].word);
    }
    bh_json_array_end(&json);
    tome_postings_writer_fini(&writer);
    postings->word_count = gathering->word_count;
    return result == 0 ? bh_buf_error(&postings->vocabulary) : result;
}

static int write_all(const struct gathering *const gathering,
                     const struct tome_index_chunk *const chunks)
{
    struct tome_index_postings *const postings = gathering->postings;
    size_t *starts = NULL;
    struct occurrence *const occurrences = sort_occurrences(gathering, &starts);
    struct named_word *const words = sort_words(gathering);
    postings->words = calloc(gathering->word_count + 1, sizeof(*postings->words));
    postings->word_lists = calloc(gathering->word_count + 1, sizeof(*postings->word_lists));
    const int result = occurrences == NULL || words == NULL || postings->words == NULL ||
                               postings->word_lists == NULL
                           ? BH_ENOMEM
                           : write_lists(gathering, chunks, words, occurrences, starts);
    free(occurrences);
    free(words);
    free(starts);
    return result;
}

/* ---- Preparing ---- */

int tome_index_postings_prepare(struct tome_analyzer *const analyzer,
                                const enum tome_language language,
                                const struct tome_index_chunk *const chunks,
                                const size_t chunk_count,
                                struct tome_index_postings **const ret_postings)
{
    struct tome_index_postings *const postings = calloc(1, sizeof(*postings));
    if (postings == NULL)
        return BH_ENOMEM;
    postings->magic = POSTINGS_MAGIC;
    postings->first_id = chunks[0].id;
    bh_buf_init(&postings->text, TEXT_BYTES_MAX);
    bh_buf_init(&postings->lists, TEXT_BYTES_MAX);
    bh_buf_init(&postings->vocabulary, TEXT_BYTES_MAX);
    postings->length_count = (size_t)(chunks[chunk_count - 1].id - chunks[0].id + 1);
    postings->lengths = calloc(postings->length_count, 1);
    struct gathering gathering = { .postings = postings };
    int result = postings->lengths == NULL ? BH_ENOMEM : 0;
    if (result == 0)
        result = gather(&gathering, analyzer, language, chunks, chunk_count);
    if (result == 0)
        result = write_all(&gathering, chunks);
    free(gathering.words);
    free(gathering.slots);
    free(gathering.occurrences);
    if (result < 0) {
        tome_index_postings_destroy(postings);
        return result;
    }
    *ret_postings = postings;
    return 0;
}

void tome_index_postings_destroy(struct tome_index_postings *const postings)
{
    if (postings == NULL)
        return;
    bh_magic_check(postings, POSTINGS_MAGIC);
    bh_buf_fini(&postings->text);
    bh_buf_fini(&postings->lists);
    bh_buf_fini(&postings->vocabulary);
    free(postings->words);
    free(postings->word_lists);
    free(postings->lengths);
    postings->magic = 0;
    free(postings);
}

size_t tome_index_postings_count(const struct tome_index_postings *const postings)
{
    return postings->word_count;
}

struct bh_str tome_index_postings_word(const struct tome_index_postings *const postings,
                                       const size_t index)
{
    return (struct bh_str){ postings->text.data + postings->words[index].start,
                            postings->words[index].size };
}

struct bh_str tome_index_postings_list(const struct tome_index_postings *const postings,
                                       const size_t index)
{
    return (struct bh_str){ postings->lists.data + postings->word_lists[index].start,
                            postings->word_lists[index].size };
}

/* ---- Rows ---- */

static int no_memory(const struct tome_index_postings *const postings,
                     struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for the rows of %zu words",
                        postings->word_count);
}

static int run(struct bh_db_transaction *const transaction,
               const struct bh_statement *const statement,
               const struct bh_db_value *const parameters, const size_t count,
               struct bh_error *const reterr)
{
    return bh_db_transaction_query(transaction, statement, parameters, count, NULL, NULL, reterr);
}

/* A row of parameters, as bh_db_transaction_many takes them one behind another. */
struct row {
    struct bh_db_value owner, word, first, list;
};

static int add_rows(struct bh_db_transaction *const transaction, const int64_t owner_id,
                    const struct tome_index_postings *const postings, struct bh_error *const reterr)
{
    struct row *const rows = calloc(postings->word_count + 1, sizeof(*rows));
    if (rows == NULL)
        return no_memory(postings, reterr);
    for (size_t i = 0; i < postings->word_count; i++) {
        rows[i] = (struct row){
            .owner = bh_db_int(owner_id),
            .word = bh_db_text(tome_index_postings_word(postings, i)),
            .first = bh_db_int(postings->first_id),
            .list = bh_db_blob(tome_index_postings_list(postings, i)),
        };
    }
    const int result = postings->word_count == 0
                           ? 0
                           : bh_db_transaction_many(transaction, &TOME_SQL_POSTINGS_ADD,
                                                    &rows->owner, ROW_COLUMNS, postings->word_count,
                                                    NULL, reterr);
    free(rows);
    return result;
}

int tome_index_postings_add(struct bh_db_transaction *const transaction, const int64_t owner_id,
                            const struct tome_index_postings *const postings,
                            struct bh_error *const reterr)
{
    bh_magic_check(postings, POSTINGS_MAGIC);
    const int64_t ordinal_mask = (INT64_C(1) << TOME_ORDINAL_BITS) - 1;
    const struct bh_db_value words[] = { bh_db_int(owner_id),
                                         bh_db_text(bh_buf_peek(&postings->vocabulary)) };
    const struct bh_db_value lengths[] = {
        bh_db_int(postings->first_id >> TOME_ORDINAL_BITS),
        bh_db_int(postings->first_id & ordinal_mask),
        bh_db_blob((struct bh_str){ (const char *)postings->lengths, postings->length_count }),
    };
    int result = add_rows(transaction, owner_id, postings, reterr);
    if (result == 0)
        result = run(transaction, &TOME_SQL_INDEX_LENGTHS_SET, lengths, BH_COUNT_OF(lengths),
                     reterr);
    if (result == 0) /* last: other transactions wait for this one from here on */
        result = run(transaction, &TOME_SQL_WORDS_LOCK, words, 1, reterr);
    if (result == 0)
        result = run(transaction, &TOME_SQL_WORDS_ADD, words, BH_COUNT_OF(words), reterr);
    return result;
}

/* ---- Removing a book ---- */

struct removal {
    struct bh_db_transaction *transaction;
    int64_t owner_id, book_id;
    struct bh_arena *arena; /* of the words at hand */
    struct row *kept;       /* rows that hold other books as well, as they are to be */
    struct row *empty;      /* of each the owner, the word and the segment */
    size_t kept_count, empty_count;
    struct bh_error *reterr;
};

/* Sorts a row in: owner, word, segment and what is left of its list. */
static int remove_from_row(struct removal *const removal, struct row row)
{
    struct bh_buf left BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&left, TEXT_BYTES_MAX);
    const int result = tome_postings_drop(row.list.text, removal->book_id, &left);
    if (result == BH_ECORRUPT)
        return bh_error_set(removal->reterr, result,
                            "the search index is damaged; rebuild it with "
                            "`tomehub check --rebuild-index`");
    if (result == 0 && left.size == row.list.text.size)
        return 0; /* another book's */
    const char *const copy = result == 0 ? bh_arena_strdup(removal->arena, bh_buf_peek(&left))
                                         : NULL;
    if (copy == NULL)
        return bh_error_set(removal->reterr, BH_ENOMEM, "no memory to remove a book's postings");
    row.list = bh_db_blob((struct bh_str){ copy, left.size });
    if (left.size > 0)
        removal->kept[removal->kept_count++] = row;
    else
        removal->empty[removal->empty_count++] = row;
    return 0;
}

/* Rows are told by the columns of their key. */
static int delete_rows(const struct removal *const removal)
{
    struct bh_buf words BH_CLEANUP(bh_buf_fini_cleanup), segments BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_json word_json, segment_json;
    bh_buf_init(&words, TEXT_BYTES_MAX);
    bh_buf_init(&segments, TEXT_BYTES_MAX);
    bh_json_init(&word_json, &words);
    bh_json_init(&segment_json, &segments);
    bh_json_array_begin(&word_json);
    bh_json_array_begin(&segment_json);
    for (size_t i = 0; i < removal->empty_count; i++) {
        bh_json_string(&word_json, removal->empty[i].word.text);
        bh_json_int(&segment_json, removal->empty[i].first.integer);
    }
    bh_json_array_end(&word_json);
    bh_json_array_end(&segment_json);
    if (bh_buf_error(&words) != 0 || bh_buf_error(&segments) != 0)
        return bh_error_set(removal->reterr, BH_ENOMEM, "no memory to remove a book's postings");
    const struct bh_db_value parameters[] = { bh_db_int(removal->owner_id),
                                              bh_db_text(bh_buf_peek(&words)),
                                              bh_db_text(bh_buf_peek(&segments)) };
    return run(removal->transaction, &TOME_SQL_POSTINGS_REMOVE, parameters, BH_COUNT_OF(parameters),
               removal->reterr);
}

static int remove_from_rows(struct removal *const removal, const struct bh_db_rows *const rows)
{
    int result = 0;
    removal->kept_count = removal->empty_count = 0;
    removal->kept = bh_arena_calloc(removal->arena, rows->row_count + 1, sizeof(struct row));
    removal->empty = bh_arena_calloc(removal->arena, rows->row_count + 1, sizeof(struct row));
    if (removal->kept == NULL || removal->empty == NULL)
        return bh_error_set(removal->reterr, BH_ENOMEM, "no memory to remove a book's postings");
    for (size_t i = 0; i < rows->row_count && result == 0; i++)
        result = remove_from_row(removal, (struct row){ .owner = bh_db_int(removal->owner_id),
                                                        .word = *bh_db_at(rows, i, 0),
                                                        .first = *bh_db_at(rows, i, 1),
                                                        .list = *bh_db_at(rows, i, 2) });
    if (result == 0 && removal->empty_count > 0)
        result = delete_rows(removal);
    if (result == 0 && removal->kept_count > 0)
        result = bh_db_transaction_many(removal->transaction, &TOME_SQL_POSTINGS_SET,
                                        &removal->kept->owner, ROW_COLUMNS, removal->kept_count,
                                        NULL, removal->reterr);
    return result;
}

static int remove_words(struct removal *const removal,
                        const struct tome_index_postings *const postings, const size_t first,
                        const size_t end)
{
    struct bh_buf words BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_json json;
    bh_buf_init(&words, TEXT_BYTES_MAX);
    bh_json_init(&json, &words);
    bh_json_array_begin(&json);
    for (size_t i = first; i < end; i++)
        bh_json_string(&json, tome_index_postings_word(postings, i));
    bh_json_array_end(&json);
    if (bh_buf_error(&words) != 0)
        return no_memory(postings, removal->reterr);
    const int64_t first_id = removal->book_id << TOME_ORDINAL_BITS;
    const struct bh_db_value parameters[] = {
        bh_db_int(removal->owner_id), bh_db_text(bh_buf_peek(&words)), bh_db_int(first_id),
        bh_db_int(first_id + (INT64_C(1) << TOME_ORDINAL_BITS) - 1)
    };
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(removal->transaction, &TOME_SQL_POSTINGS_OF_BOOK,
                                               parameters, BH_COUNT_OF(parameters), removal->arena,
                                               &rows, removal->reterr);
    return result != 0 ? result : remove_from_rows(removal, &rows);
}

static int remove_rows(struct removal *const removal,
                       const struct tome_index_postings *const postings)
{
    const struct bh_db_value owner = bh_db_int(removal->owner_id);
    int result = bh_arena_create(REMOVED_BYTES_MAX, &removal->arena);
    if (result != 0)
        return no_memory(postings, removal->reterr);
    result = run(removal->transaction, &TOME_SQL_POSTINGS_LOCK, &owner, 1, removal->reterr);
    for (size_t first = 0; first < postings->word_count && result == 0;
         first += REMOVED_WORDS_AT_ONCE) {
        const size_t left = postings->word_count - first;
        bh_arena_reset(removal->arena);
        result = remove_words(removal, postings, first,
                              first +
                                  (left < REMOVED_WORDS_AT_ONCE ? left : REMOVED_WORDS_AT_ONCE));
    }
    bh_arena_destroy(removal->arena);
    return result;
}

int tome_index_postings_remove(struct bh_db_transaction *const transaction, const int64_t owner_id,
                               const struct tome_index_postings *const postings,
                               struct bh_error *const reterr)
{
    bh_magic_check(postings, POSTINGS_MAGIC);
    struct removal removal = { .transaction = transaction,
                               .owner_id = owner_id,
                               .book_id = postings->first_id >> TOME_ORDINAL_BITS,
                               .reterr = reterr };
    const struct bh_db_value vocabulary[] = { bh_db_int(owner_id),
                                              bh_db_text(bh_buf_peek(&postings->vocabulary)) };
    int result = remove_rows(&removal, postings);
    if (result == 0)
        result = run(transaction, &TOME_SQL_WORDS_LOCK, vocabulary, 1, reterr);
    if (result == 0)
        result = run(transaction, &TOME_SQL_WORDS_REMOVE, vocabulary, BH_COUNT_OF(vocabulary),
                     reterr);
    return result;
}
