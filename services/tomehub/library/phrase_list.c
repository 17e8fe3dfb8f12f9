#include "library/phrase_list.h"

#include <stdlib.h>
#include <string.h>

#include "library/postings.h"
#include "library/search_postings.h"

/* What the beginning of a word may stand for. */
#define PREFIX_BYTES_MAX ((size_t)64 << 20)
#define LIST_BYTES_MAX (512U << 20)
#define KEY_BYTES_MAX 65536
#define CHUNKS_BETWEEN_LOOKS 1024

static struct tome_postings_search *search_of(const struct tome_search_run *const run)
{
    return run->context;
}

static bool is_canceled(const struct tome_postings_search *const search)
{
    return search->canceled != NULL && atomic_load_explicit(search->canceled, memory_order_relaxed);
}

/* A phrase to be made into a list. */
struct making {
    struct tome_search_run *run;
    const struct tome_expression *expression;
    struct tome_plan_phrase phrase;
    const struct tome_word_lists *lists; /* of names or of chunks */
    size_t word_count;
    bool is_prefix;
};

struct place {
    int64_t id;
    uint32_t column, position;
};

struct places {
    struct place *items;
    size_t count, capacity;
};

static int add_place(struct places *const places, const struct place place)
{
    if (places->count == places->capacity) {
        const size_t larger = places->capacity > 0 ? places->capacity * 2 : 1024;
        struct place *const grown = reallocarray(places->items, larger, sizeof(*grown));
        if (grown == NULL)
            return BH_ENOMEM;
        places->items = grown;
        places->capacity = larger;
    }
    places->items[places->count++] = place;
    return 0;
}

/* All of a list's places in body and heading. */
static int add_places(struct places *const places, const struct bh_str list)
{
    static const unsigned columns[] = { TOME_COLUMN_BODY, TOME_COLUMN_HEADING };
    struct tome_postings_reader reader;
    tome_postings_read(&reader, list);
    while (tome_postings_next(&reader)) {
        for (size_t i = 0; i < BH_COUNT_OF(columns); i++) {
            struct tome_places left = tome_postings_places(&reader, columns[i]);
            while (tome_places_next(&left))
                if (add_place(places, (struct place){ reader.id, columns[i], left.position }) < 0)
                    return BH_ENOMEM;
        }
    }
    return reader.is_corrupt ? BH_ECORRUPT : 0;
}

static int compare_places(const void *const a, const void *const b)
{
    const struct place *const left = a, *const right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    if (left->column != right->column)
        return left->column < right->column ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

/* The lists of all words that begin so, as one. */
static int make_prefix(const struct tome_word_lists *const lists, const struct bh_str prefix,
                       struct tome_postings_writer *const writer)
{
    struct places places = { 0 };
    size_t bytes = 0;
    int result = 0;
    for (size_t i = tome_word_lists_from(lists, prefix);
         i < lists->count && result == 0 && bh_str_starts_with(lists->items[i].word, prefix); i++) {
        bytes += lists->items[i].postings.size;
        result = bytes > PREFIX_BYTES_MAX ? BH_ELIMIT
                                          : add_places(&places, lists->items[i].postings);
    }
    if (result == 0 && places.count > 0)
        qsort(places.items, places.count, sizeof(*places.items), compare_places);
    for (size_t i = 0; i < places.count && result == 0; i++)
        tome_postings_add(writer, places.items[i].id, places.items[i].column,
                          places.items[i].position);
    free(places.items);
    return result;
}

/* Keeps those of `starts` behind which, `distance` words on, the reader's word stands. */
static size_t follow(uint32_t *const starts, const size_t count,
                     const struct tome_postings_reader *const reader, const unsigned column,
                     const uint32_t distance)
{
    struct tome_places places = tome_postings_places(reader, column);
    bool has_place = tome_places_next(&places);
    size_t kept = 0;
    for (size_t i = 0; i < count && has_place; i++) {
        while (has_place && places.position < starts[i] + distance)
            has_place = tome_places_next(&places);
        if (has_place && places.position == starts[i] + distance)
            starts[kept++] = starts[i];
    }
    return kept;
}

struct phrase_words {
    struct tome_postings_reader readers[TOME_QUERY_PHRASE_MAX];
    size_t count;
    uint32_t *starts;
    size_t capacity;
};

/* Where the words follow one another in a chunk that holds them all. */
static int write_chunk(struct phrase_words *const words, const unsigned column,
                       struct tome_postings_writer *const writer)
{
    const struct tome_postings_reader *const first = &words->readers[0];
    if (first->counts[column] > words->capacity) {
        uint32_t *const grown = reallocarray(words->starts, first->counts[column], sizeof(*grown));
        if (grown == NULL)
            return BH_ENOMEM;
        words->starts = grown;
        words->capacity = first->counts[column];
    }
    size_t count = 0;
    struct tome_places places = tome_postings_places(first, column);
    while (tome_places_next(&places))
        words->starts[count++] = places.position;
    for (size_t i = 1; i < words->count && count > 0; i++)
        count = follow(words->starts, count, &words->readers[i], column, (uint32_t)i);
    for (size_t i = 0; i < count; i++)
        tome_postings_add(writer, first->id, column, words->starts[i]);
    return 0;
}

/* Moves all readers to the next chunk that holds all words; false: there is none. */
static bool meet(struct phrase_words *const words, int64_t id)
{
    for (size_t i = 0; i < words->count;) {
        struct tome_postings_reader *const reader = &words->readers[i];
        if (!tome_postings_seek(reader, id))
            return false;
        i = reader->id > id && i > 0 ? 0 : i + 1;
        id = reader->id;
    }
    return true;
}

static int make_sequence(struct phrase_words *const words,
                         struct tome_postings_writer *const writer,
                         const struct tome_postings_search *const search)
{
    int result = 0;
    size_t chunks = 0;
    for (int64_t id = 0; result == 0 && meet(words, id); id = words->readers[0].id + 1) {
        result = write_chunk(words, TOME_COLUMN_BODY, writer);
        if (result == 0)
            result = write_chunk(words, TOME_COLUMN_HEADING, writer);
        if (++chunks % CHUNKS_BETWEEN_LOOKS == 0 && is_canceled(search))
            result = BH_ECANCELED;
    }
    for (size_t i = 0; i < words->count && result == 0; i++)
        result = words->readers[i].is_corrupt ? BH_ECORRUPT : 0;
    return result;
}

static struct bh_str word_of(const struct making *const making, const size_t index)
{
    char buffer[TOME_PHRASE_WORD_MAX]; /* of no use: the words of a phrase are forms */
    return tome_phrase_word(&making->run->plan, making->phrase, index, buffer);
}

static int make_list(const struct making *const making, struct tome_postings_writer *const writer,
                     struct bh_buf *const out)
{
    struct phrase_words words = { .count = making->word_count };
    struct bh_buf last BH_CLEANUP(bh_buf_fini_cleanup);
    const size_t whole = making->word_count - making->is_prefix;
    int result = 0;
    bh_buf_init(&last, LIST_BYTES_MAX);
    for (size_t i = 0; i < whole; i++)
        tome_postings_read(&words.readers[i],
                           tome_word_lists_find(making->lists, word_of(making, i)));
    if (making->is_prefix) {
        struct bh_buf *const target = whole > 0 ? &last : out;
        tome_postings_begin(writer, target);
        result = make_prefix(making->lists, word_of(making, whole), writer);
        if (result == 0)
            result = tome_postings_end(writer);
        if (result < 0 || whole == 0)
            return result;
        tome_postings_read(&words.readers[whole], bh_buf_peek(&last));
    }
    tome_postings_begin(writer, out);
    result = make_sequence(&words, writer, search_of(making->run));
    free(words.starts);
    const int ended = tome_postings_end(writer);
    return result < 0 ? result : ended;
}

/* What tells a made list from others: the words, whether the last is a prefix, and where. */
static void append_key(const struct making *const making, struct bh_buf *const key)
{
    bh_buf_append_byte(key, making->expression->in_books ? 'b' : 'c');
    bh_buf_append_byte(key, making->is_prefix ? '*' : ' ');
    for (size_t i = 0; i < making->word_count; i++) {
        bh_buf_append_byte(key, ' ');
        bh_buf_append_str(key, word_of(making, i));
    }
}

static int made_list(const struct making *const making, struct bh_str *const ret_list)
{
    struct tome_postings_search *const search = search_of(making->run);
    struct bh_arena *const arena = search->fetched.arena;
    struct bh_buf key BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_buf out BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&key, KEY_BYTES_MAX);
    bh_buf_init(&out, LIST_BYTES_MAX);
    append_key(making, &key);
    if (bh_buf_error(&key) != 0)
        return BH_ENOMEM;
    for (size_t i = 0; i < search->made.count; i++) {
        if (!bh_str_equal(search->made.items[i].word, bh_buf_peek(&key)))
            continue;
        *ret_list = search->made.items[i].postings;
        return 0;
    }
    struct tome_postings_writer writer;
    tome_postings_writer_init(&writer);
    const int result = make_list(making, &writer, &out);
    tome_postings_writer_fini(&writer);
    if (result < 0)
        return result;
    const char *const word = bh_arena_strdup(arena, bh_buf_peek(&key));
    const char *const bytes = bh_arena_strdup(arena, bh_buf_peek(&out));
    if (word == NULL || bytes == NULL)
        return BH_ENOMEM;
    *ret_list = (struct bh_str){ bytes, out.size };
    return tome_word_lists_add(&search->made, arena, (struct bh_str){ word, key.size }, *ret_list);
}

int tome_phrase_list(struct tome_search_run *const run,
                     const struct tome_expression *const expression,
                     const struct tome_plan_phrase phrase, struct bh_str *const ret_list)
{
    const struct tome_postings_search *const search = search_of(run);
    const struct making making = {
        .run = run,
        .expression = expression,
        .phrase = phrase,
        .lists = expression->in_books ? &search->catalogue->names : &search->fetched.chunks,
        .word_count = tome_phrase_word_count(&run->plan, phrase),
        .is_prefix = tome_phrase_is_prefix(&run->plan, expression, phrase),
    };
    if (making.word_count > 1 || making.is_prefix)
        return made_list(&making, ret_list);
    char buffer[TOME_PHRASE_WORD_MAX];
    *ret_list = tome_word_lists_find(making.lists, tome_phrase_word(&run->plan, phrase, 0, buffer));
    return 0;
}
