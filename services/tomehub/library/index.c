/*
 * The index. A batch holds the parameters of the statements that write it, so that nothing is left
 * to do in the transaction but to run them.
 */
#include "library/index.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/log.h"
#include "library/batch_words.h"
#include "library/index_postings.h"
#include "library/score.h"
#include "tomehub_sql.h"

#define BATCH_MAGIC UINT32_C(0x746f6d49)
#define BATCH_CHUNKS_MAX 4096
#define BATCH_TEXT_MAX (512U << 20)
#define CHUNK_COLUMNS 4
#define WORDS_AT_ONCE 4096 /* of a batch are added; most have far fewer new ones */

/* A word's place in the vocabulary: what spelling is compared with. */
#define WORD_CHARACTERS_MIN 4
#define WORD_BYTES_MAX 48

struct tome_index_batch {
    BH_MAGIC_FIELD;
    struct tome_index_postings *postings; /* the whole batch in that form; else NULL */
    int64_t book_id, first_ordinal;
    size_t chunk_count, word_count;
    struct bh_buf text;         /* all words */
    struct bh_db_value *chunks; /* CHUNK_COLUMNS each */
    struct bh_str *words;       /* for the vocabulary, each once */
    uint64_t *hashes;           /* of the words */
    uint8_t *lengths;           /* one for each ordinal from the first to the last */
    size_t length_count;
};

/* ---- Preparing ---- */

bool tome_index_is_vocabulary(const struct bh_str form)
{
    if (form.size < WORD_CHARACTERS_MIN || form.size > WORD_BYTES_MAX)
        return false;
    size_t characters = 0;
    for (size_t i = 0; i < form.size; i++) {
        const unsigned char byte = (unsigned char)form.data[i];
        if (byte == '.' || (byte >= '0' && byte <= '9'))
            return false;
        characters += (byte & 0xc0) != 0x80;
    }
    return characters >= WORD_CHARACTERS_MIN;
}

static void append_word(struct bh_buf *const buf, const struct bh_str word)
{
    bh_buf_append_str(buf, word);
    bh_buf_append_byte(buf, ' ');
}

/* Forms go to `forms`, stems that differ to `stems` (which may not be the same). Returns the number
 * of words. `words` (may be NULL) takes the different ones, as spans of `forms`. */
static uint32_t analyse(struct tome_analyzer *const analyzer, const enum tome_language language,
                        const struct bh_str text, struct bh_buf *const forms,
                        struct bh_buf *const stems, struct tome_batch_words *const words,
                        int *const ret_result)
{
    uint32_t count = 0;
    struct tome_token token;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token)) {
        count++;
        const struct tome_span span = { forms->size, token.form.size };
        append_word(forms, token.form);
        if (bh_buf_error(forms) != 0)
            break;
        struct tome_batch_word *word = NULL;
        if (words != NULL && (word = tome_batch_words_meet(words, forms->data, span)) == NULL)
            *ret_result = BH_ENOMEM;
        tome_batch_words_stem(words, word, analyzer, &token, language, stems);
    }
    return count;
}

struct preparation {
    struct tome_analyzer *analyzer;
    enum tome_language language;
    struct tome_index_batch *batch;
    struct bh_buf stems; /* of the chunk at hand */
    struct tome_batch_words words;
    struct tome_span (*columns)[CHUNK_COLUMNS - 1];
};

static int prepare_chunk(struct preparation *const preparation, const size_t index,
                         const struct tome_index_chunk *const chunk)
{
    struct tome_index_batch *const batch = preparation->batch;
    struct bh_buf *const text = &batch->text;
    struct bh_buf *const stems = &preparation->stems;
    struct tome_span *const columns = preparation->columns[index];
    int result = 0;

    bh_buf_clear(stems);
    columns[0].start = text->size;
    const uint32_t words = analyse(preparation->analyzer, preparation->language, chunk->content,
                                   text, stems, &preparation->words, &result);
    columns[0].size = text->size - columns[0].start;
    columns[1] = (struct tome_span){ text->size, stems->size };
    bh_buf_append_str(text, bh_buf_peek(stems));

    bh_buf_clear(stems);
    columns[2].start = text->size;
    analyse(preparation->analyzer, preparation->language, chunk->heading, text, stems, NULL,
            &result);
    bh_buf_append_str(text, bh_buf_peek(stems));
    columns[2].size = text->size - columns[2].start;

    const int64_t ordinal = chunk->id & ((INT64_C(1) << TOME_ORDINAL_BITS) - 1);
    batch->lengths[ordinal - batch->first_ordinal] = tome_score_length_code(words);
    batch->chunks[index * CHUNK_COLUMNS] = bh_db_int(chunk->id);
    if (result == 0 && (bh_buf_error(text) != 0 || bh_buf_error(stems) != 0))
        result = BH_ENOMEM;
    return result;
}

/* Turns spans into values now that the text stays where it is. */
static int finish_values(struct preparation *const preparation)
{
    struct tome_index_batch *const batch = preparation->batch;
    const char *const text = batch->text.data;
    for (size_t i = 0; i < batch->chunk_count; i++)
        for (size_t j = 0; j < CHUNK_COLUMNS - 1; j++) {
            const struct tome_span span = preparation->columns[i][j];
            const struct bh_str value = { span.size > 0 ? text + span.start : "", span.size };
            batch->chunks[i * CHUNK_COLUMNS + 1 + j] = bh_db_text(value);
        }

    const struct tome_batch_words *const words = &preparation->words;
    batch->words = calloc(words->count + 1, sizeof(*batch->words));
    batch->hashes = calloc(words->count + 1, sizeof(*batch->hashes));
    if (batch->words == NULL || batch->hashes == NULL)
        return BH_ENOMEM;
    for (size_t i = 0; i < words->count; i++) {
        const struct tome_batch_word *const word = &words->words[i];
        if (!word->is_vocabulary)
            continue;
        batch->hashes[batch->word_count] = word->hash;
        batch->words[batch->word_count++] = (struct bh_str){ text + word->start, word->size };
    }
    return 0;
}

static int create_batch(const struct tome_index_chunk *const chunks, const size_t chunk_count,
                        struct tome_index_batch **const ret_batch)
{
    struct tome_index_batch *const batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        return BH_ENOMEM;
    batch->magic = BATCH_MAGIC;
    bh_buf_init(&batch->text, BATCH_TEXT_MAX);
    const int64_t ordinal_mask = (INT64_C(1) << TOME_ORDINAL_BITS) - 1;
    batch->book_id = chunks[0].id >> TOME_ORDINAL_BITS;
    batch->first_ordinal = chunks[0].id & ordinal_mask;
    batch->chunk_count = chunk_count;
    batch->length_count = (size_t)(chunks[chunk_count - 1].id - chunks[0].id + 1);
    size_t content_size = 0;
    for (size_t i = 0; i < chunk_count; i++)
        content_size += chunks[i].content.size;
    /* Forms are about as long as the text, and every other word has a stem of its own. */
    (void)!bh_buf_reserve(&batch->text, content_size + content_size / 2);
    batch->chunks = calloc(chunk_count, CHUNK_COLUMNS * sizeof(*batch->chunks));
    batch->lengths = calloc(batch->length_count, 1);
    if (bh_buf_error(&batch->text) != 0 || batch->chunks == NULL || batch->lengths == NULL) {
        tome_index_batch_destroy(batch);
        return BH_ENOMEM;
    }
    *ret_batch = batch;
    return 0;
}

enum tome_index_form tome_index_form(const struct bh_db *const db)
{
    return strcmp(bh_db_backend(db), "postgresql") == 0 ? TOME_INDEX_POSTINGS : TOME_INDEX_FTS5;
}

static int prepare_postings(struct tome_analyzer *const analyzer, const enum tome_language language,
                            const struct tome_index_chunk *const chunks, const size_t chunk_count,
                            struct tome_index_batch **const ret_batch)
{
    struct tome_index_batch *const batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        return BH_ENOMEM;
    batch->magic = BATCH_MAGIC;
    batch->chunk_count = chunk_count;
    const int result = tome_index_postings_prepare(analyzer, language, chunks, chunk_count,
                                                   &batch->postings);
    if (result < 0)
        tome_index_batch_destroy(batch);
    else
        *ret_batch = batch;
    return result;
}

static int prepare_fts5(struct tome_analyzer *const analyzer, const enum tome_language language,
                        const struct tome_index_chunk *const chunks, const size_t chunk_count,
                        struct tome_index_batch **const ret_batch)
{
    struct preparation preparation = { .analyzer = analyzer, .language = language };
    bh_buf_init(&preparation.stems, BATCH_TEXT_MAX);
    tome_batch_words_init(&preparation.words, BATCH_TEXT_MAX);
    preparation.columns = calloc(chunk_count, sizeof(*preparation.columns));
    int result = preparation.columns == NULL ? BH_ENOMEM : 0;
    if (result == 0)
        result = create_batch(chunks, chunk_count, &preparation.batch);
    for (size_t i = 0; i < chunk_count && result == 0; i++)
        result = prepare_chunk(&preparation, i, &chunks[i]);
    if (result == 0)
        result = finish_values(&preparation);
    free(preparation.columns);
    tome_batch_words_fini(&preparation.words);
    bh_buf_fini(&preparation.stems);
    if (result < 0)
        tome_index_batch_destroy(preparation.batch);
    else
        *ret_batch = preparation.batch;
    return result;
}

int tome_index_prepare(const enum tome_index_form form, struct tome_analyzer *const analyzer,
                       const enum tome_language language,
                       const struct tome_index_chunk *const chunks, const size_t chunk_count,
                       struct tome_index_batch **const ret_batch, struct bh_error *const reterr)
{
    bh_assert(chunk_count > 0 && chunk_count <= BATCH_CHUNKS_MAX);
    for (size_t i = 1; i < chunk_count; i++)
        bh_assert(chunks[i].id > chunks[i - 1].id &&
                  chunks[i].id >> TOME_ORDINAL_BITS == chunks[0].id >> TOME_ORDINAL_BITS);
    const int result = form == TOME_INDEX_POSTINGS
                           ? prepare_postings(analyzer, language, chunks, chunk_count, ret_batch)
                           : prepare_fts5(analyzer, language, chunks, chunk_count, ret_batch);
    return result == 0 ? 0
                       : bh_error_set(reterr, result, "no memory to index %zu chunks", chunk_count);
}

void tome_index_batch_destroy(struct tome_index_batch *const batch)
{
    if (batch == NULL)
        return;
    bh_magic_check(batch, BATCH_MAGIC);
    tome_index_postings_destroy(batch->postings);
    bh_buf_fini(&batch->text);
    free(batch->chunks);
    free(batch->words);
    free(batch->hashes);
    free(batch->lengths);
    batch->magic = 0;
    free(batch);
}

/* ---- Writing ---- */

static int words_error(const struct tome_index_batch *const batch, struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for the words of %zu chunks",
                        batch->chunk_count);
}

static int read_generation(struct bh_db_transaction *const transaction, const int64_t owner_id,
                           int64_t *const ret_generation, struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    if (bh_arena_create(4096, &arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to index words");
    const struct bh_db_value owner = bh_db_int(owner_id);
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_WORD_GENERATION, &owner, 1,
                                               arena, &rows, reterr);
    if (result == 0)
        *ret_generation = rows.row_count > 0 ? bh_db_int_at(&rows, 0, 0) : 0;
    return result;
}

/* Rows of parameters, as bh_db_transaction_many takes them one behind another. */
struct added_word {
    struct bh_db_value owner, word;
};
struct removed_word {
    struct bh_db_value owner, word, query;
};

static int add_words(struct bh_db_transaction *const transaction, const int64_t owner_id,
                     const struct tome_index_batch *const batch,
                     struct tome_known_words *const known, struct bh_error *const reterr)
{
    int64_t generation = 0;
    int result = known != NULL ? read_generation(transaction, owner_id, &generation, reterr) : 0;
    if (result != 0)
        return result;
    struct added_word *const rows = calloc(WORDS_AT_ONCE, sizeof(*rows));
    if (rows == NULL)
        return words_error(batch, reterr);
    size_t count = 0;
    for (size_t i = 0; i < batch->word_count && result == 0; i++) {
        if (known == NULL || !tome_known_words_meet(known, owner_id, generation, batch->hashes[i]))
            rows[count++] = (struct added_word){ bh_db_int(owner_id), bh_db_text(batch->words[i]) };
        if (count < WORDS_AT_ONCE && (i + 1 < batch->word_count || count == 0))
            continue;
        result = bh_db_transaction_many(transaction, &TOME_SQL_INDEX_WORD_ADD, &rows->owner, 2,
                                        count, NULL, reterr);
        count = 0;
    }
    free(rows);
    return result;
}

/* Each with the query that finds the chunks which still hold it. */
static int remove_words(struct bh_db_transaction *const transaction, const int64_t owner_id,
                        const struct tome_index_batch *const batch, struct bh_error *const reterr)
{
    struct bh_buf queries BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&queries, BATCH_TEXT_MAX);
    for (size_t i = 0; i < batch->word_count; i++)
        bh_buf_printf(&queries, "body:\"%.*s\"", BH_STR_ARGS(batch->words[i]));
    struct removed_word *const rows = calloc(batch->word_count + 1, sizeof(*rows));
    if (rows == NULL || bh_buf_error(&queries) != 0) {
        free(rows);
        return words_error(batch, reterr);
    }
    size_t offset = 0;
    for (size_t i = 0; i < batch->word_count; i++) {
        const struct bh_str word = batch->words[i];
        const size_t size = word.size + sizeof("body:\"\"") - 1;
        rows[i] = (struct removed_word){
            .owner = bh_db_int(owner_id),
            .word = bh_db_text(word),
            .query = bh_db_text((struct bh_str){ queries.data + offset, size }),
        };
        offset += size;
    }
    const struct bh_db_value owner = bh_db_int(owner_id);
    int result = bh_db_transaction_many(transaction, &TOME_SQL_WORD_GENERATION_BUMP, &owner, 1, 1,
                                        NULL, reterr);
    if (result == 0 && batch->word_count > 0)
        result = bh_db_transaction_many(transaction, &TOME_SQL_INDEX_WORD_REMOVE, &rows->owner, 3,
                                        batch->word_count, NULL, reterr);
    free(rows);
    return result;
}

int tome_index_add_words(struct bh_db_transaction *const transaction, const int64_t owner_id,
                         const struct tome_index_batch *const batch,
                         struct tome_known_words *const known, struct bh_error *const reterr)
{
    bh_magic_check(batch, BATCH_MAGIC);
    if (batch->postings != NULL)
        return tome_index_postings_add(transaction, owner_id, batch->postings, reterr);
    const int result = add_words(transaction, owner_id, batch, known, reterr);
    if (result < 0)
        return result;
    const struct bh_db_value lengths[] = {
        bh_db_int(batch->book_id),
        bh_db_int(batch->first_ordinal),
        bh_db_blob((struct bh_str){ (const char *)batch->lengths, batch->length_count }),
    };
    return bh_db_transaction_many(transaction, &TOME_SQL_INDEX_LENGTHS_SET, lengths,
                                  BH_COUNT_OF(lengths), 1, NULL, reterr);
}

int tome_index_add_chunks(struct bh_db_transaction *const transaction,
                          const struct tome_index_batch *const batch, struct bh_error *const reterr)
{
    bh_magic_check(batch, BATCH_MAGIC);
    if (batch->postings != NULL)
        return 0; /* they went with the words */
    return bh_db_transaction_many(transaction, &TOME_SQL_INDEX_CHUNK_ADD, batch->chunks,
                                  CHUNK_COLUMNS, batch->chunk_count, NULL, reterr);
}

int tome_index_remove(struct bh_db_transaction *const transaction, const int64_t owner_id,
                      const struct tome_index_batch *const batch, struct bh_error *const reterr)
{
    bh_magic_check(batch, BATCH_MAGIC);
    if (batch->postings != NULL)
        return tome_index_postings_remove(transaction, owner_id, batch->postings, reterr);
    const int result = bh_db_transaction_many(transaction, &TOME_SQL_INDEX_CHUNK_REMOVE,
                                              batch->chunks, CHUNK_COLUMNS, batch->chunk_count,
                                              NULL, reterr);
    return result < 0 ? result : remove_words(transaction, owner_id, batch, reterr);
}

/* Forms and stems of a title or a name, in `buf`. */
static void analyse_name(struct tome_analyzer *const analyzer, const enum tome_language language,
                         const struct bh_str name, struct bh_buf *const buf)
{
    struct bh_buf stems BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&stems, BATCH_TEXT_MAX);
    int result = 0;
    bh_buf_clear(buf);
    analyse(analyzer, language, name, buf, &stems, NULL, &result);
    bh_buf_append_str(buf, bh_buf_peek(&stems));
    if (bh_buf_error(&stems) != 0)
        buf->error = bh_buf_error(&stems);
}

static int set_book(struct bh_db_transaction *const transaction,
                    struct tome_analyzer *const analyzer, const enum tome_language language,
                    const int64_t book_id, const struct bh_str title, const struct bh_str author,
                    struct bh_error *const reterr)
{
    struct bh_buf title_words BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_buf author_words BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&title_words, BATCH_TEXT_MAX);
    bh_buf_init(&author_words, BATCH_TEXT_MAX);
    analyse_name(analyzer, language, title, &title_words);
    analyse_name(analyzer, TOME_LANGUAGE_NONE, author, &author_words); /* names have no stems */
    if (bh_buf_error(&title_words) != 0 || bh_buf_error(&author_words) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the words of a title");
    const struct bh_db_value values[] = {
        bh_db_int(book_id),
        bh_db_text(bh_buf_peek(&title_words)),
        bh_db_text(bh_buf_peek(&author_words)),
    };
    return bh_db_transaction_many(transaction, &TOME_SQL_INDEX_BOOK_SET, values,
                                  BH_COUNT_OF(values), 1, NULL, reterr);
}

int tome_index_set_book(struct bh_db_transaction *const transaction,
                        struct tome_analyzer *const analyzer, const int64_t owner_id,
                        const int64_t book_id, const struct bh_str title,
                        const struct bh_str author, struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    if (bh_arena_create(4096, &arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to index a title");
    const struct bh_db_value key[] = { bh_db_int(owner_id), bh_db_int(book_id) };
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_INDEX_BOOK_LANGUAGE, key,
                                               BH_COUNT_OF(key), arena, &rows, reterr);
    if (result < 0)
        return result;
    if (rows.row_count == 0)
        return bh_error_set(reterr, BH_ENOTFOUND, "there is no book %lld", (long long)book_id);
    const enum tome_language language = tome_language_from_code(bh_db_text_at(&rows, 0, 0));
    return set_book(transaction, analyzer, language, book_id, title, author, reterr);
}

int tome_index_remove_book(struct bh_db_transaction *const transaction, const int64_t owner_id,
                           const int64_t book_id, struct bh_error *const reterr)
{
    (void)owner_id; /* book ids are unique over all owners */
    const struct bh_db_value key = bh_db_int(book_id);
    const int result = bh_db_transaction_many(transaction, &TOME_SQL_INDEX_BOOK_REMOVE, &key, 1, 1,
                                              NULL, reterr);
    if (result < 0)
        return result;
    return bh_db_transaction_many(transaction, &TOME_SQL_INDEX_LENGTHS_REMOVE, &key, 1, 1, NULL,
                                  reterr);
}
