/*
 * The text lies in one sliding buffer, so a chunk is a slice of it and its overlap costs nothing:
 * the next chunk simply begins a few words before the end of the last.
 *
 *   text:  [given out …][start … overlap … fresh … boundary … scanned …            end]
 *                        └──── the chunk being built ────────────┘ not yet looked at
 *
 * The scan goes word by word. `boundary` is the last place behind a sentence; when the next word
 * would make the chunk too long, the chunk is cut there and what lies behind it starts the next.
 * The last word of what was fed waits until it is known what follows it.
 */
#include "extract/chunker.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "extract/sentence.h"

#define CHUNKER_MAGIC 0x43484e4bu
#define WORD_BYTES 32u /* a longer word counts once for every such run begun */
#define TEXT_MAX (TOME_FRAME_PAGE_TEXT_MAX * 4)
/* The most words within the limits of tokens, and the fewest that reach the target. */
#define WEIGHT_MAX (TOME_CHUNK_TOKENS_MAX * 10 / 13)
#define WEIGHT_TARGET ((TOME_CHUNK_TOKENS_TARGET * 10 - 9 + 12) / 13)
#define WEIGHT_OVERLAP (TOME_CHUNK_OVERLAP_TOKENS * 10 / 13)

/* A place in the text, and what lies between the chunk's start and it. */
struct place {
    size_t offset;
    uint32_t weight; /* in words, overlap included */
    uint32_t words;  /* without overlap */
    uint32_t paragraph;
};

struct page_mark {
    size_t offset;
    uint32_t page;
};

struct tome_chunker {
    BH_MAGIC_FIELD;
    struct bh_buf text;
    size_t start;          /* of the chunk being built */
    struct place fresh;    /* behind its overlap; words 0 */
    struct place scanned;  /* the next word, or the end of text */
    struct place boundary; /* last end of a sentence; offset ≤ fresh.offset: none */
    size_t word_start;     /* the word before `scanned`, its first byte … */
    size_t word_end;       /* … and the byte behind it */
    bool in_word;          /* `scanned` lies inside a run without blanks */
    size_t chapter_end;    /* a chapter begins here; 0: none */
    bool finished;
    uint32_t ordinal;
    uint32_t page;      /* at `start` */
    uint32_t last_page; /* of the last feed */
    size_t mark_count;
    size_t mark_capacity;
    struct page_mark *marks; /* pages that begin behind `start`, ascending */
    struct bh_buf chapter;
    struct bh_buf next_chapter;
    struct bh_buf page_breaks;
};

int tome_chunker_create(struct tome_chunker **const ret_chunker)
{
    struct tome_chunker *const chunker = calloc(1, sizeof(*chunker));
    if (!chunker)
        return BH_ENOMEM;
    chunker->magic = CHUNKER_MAGIC;
    bh_buf_init(&chunker->text, TEXT_MAX);
    bh_buf_init(&chunker->chapter, TOME_FRAME_CHAPTER_MAX);
    bh_buf_init(&chunker->next_chapter, TOME_FRAME_CHAPTER_MAX);
    bh_buf_init(&chunker->page_breaks, SIZE_MAX);
    chunker->fresh.paragraph = 1;
    chunker->scanned = chunker->fresh;
    *ret_chunker = chunker;
    return 0;
}

void tome_chunker_destroy(struct tome_chunker *const chunker)
{
    if (!chunker)
        return;
    bh_buf_fini(&chunker->text);
    bh_buf_fini(&chunker->chapter);
    bh_buf_fini(&chunker->next_chapter);
    bh_buf_fini(&chunker->page_breaks);
    free(chunker->marks);
    chunker->magic = 0;
    free(chunker);
}

/* --- feeding ---------------------------------------------------------------------------------- */

/* Drops what has been given out. */
static void compact(struct tome_chunker *const chunker)
{
    const size_t gone = chunker->start;
    if (gone == 0)
        return;
    bh_buf_consume(&chunker->text, gone);
    chunker->start = 0;
    chunker->fresh.offset -= gone;
    chunker->scanned.offset -= gone;
    chunker->boundary.offset -= chunker->boundary.offset < gone ? chunker->boundary.offset : gone;
    chunker->word_start -= chunker->word_start < gone ? chunker->word_start : gone;
    chunker->word_end -= chunker->word_end < gone ? chunker->word_end : gone;
    for (size_t i = 0; i < chunker->mark_count; i++)
        chunker->marks[i].offset -= gone;
}

static int add_mark(struct tome_chunker *const chunker, const uint32_t page)
{
    if (chunker->mark_count == chunker->mark_capacity) {
        const size_t capacity = chunker->mark_capacity == 0 ? 16 : chunker->mark_capacity * 2;
        struct page_mark *const marks = realloc(chunker->marks, capacity * sizeof(*marks));
        if (!marks)
            return BH_ENOMEM;
        chunker->marks = marks;
        chunker->mark_capacity = capacity;
    }
    chunker->marks[chunker->mark_count++] = (struct page_mark){ .offset = chunker->text.size,
                                                                .page = page };
    return 0;
}

static void append_joint(struct bh_buf *const text, const enum tome_joint joint)
{
    switch (joint) {
    case TOME_JOINT_PARAGRAPH:
        bh_buf_append(text, "\n\n", 2);
        break;
    case TOME_JOINT_SPACE:
        bh_buf_append_byte(text, ' ');
        break;
    case TOME_JOINT_NONE:
        break;
    }
}

int tome_chunker_feed(struct tome_chunker *const chunker, const struct tome_page *const page)
{
    bh_magic_check(chunker, CHUNKER_MAGIC);
    bh_assert(!chunker->finished && chunker->chapter_end == 0);
    const struct bh_str text = tome_trim(page->text);
    if (page->text.size > TOME_FRAME_PAGE_TEXT_MAX || page->chapter.size > TOME_FRAME_CHAPTER_MAX)
        return BH_ELIMIT;
    if (text.size == 0)
        return 0;
    compact(chunker);

    const bool first = chunker->text.size == 0;
    const bool same_chapter = bh_str_equal(bh_buf_peek(&chunker->chapter), page->chapter);
    struct bh_buf *const chapter = first ? &chunker->chapter : &chunker->next_chapter;
    if (first || !same_chapter) {
        bh_buf_clear(chapter);
        bh_buf_append_str(chapter, page->chapter);
    }
    if (!first) {
        append_joint(&chunker->text, same_chapter ? page->joint : TOME_JOINT_PARAGRAPH);
        chunker->chapter_end = same_chapter ? 0 : chunker->text.size;
    }
    if (first) {
        chunker->page = page->number;
    } else if (page->number != chunker->last_page && add_mark(chunker, page->number) != 0) {
        return BH_ENOMEM;
    }
    chunker->last_page = page->number;
    bh_buf_append_str(&chunker->text, text);
    return bh_buf_error(&chunker->text) ? bh_buf_error(&chunker->text) : bh_buf_error(chapter);
}

void tome_chunker_finish(struct tome_chunker *const chunker)
{
    bh_magic_check(chunker, CHUNKER_MAGIC);
    chunker->finished = true;
}

/* --- cutting ---------------------------------------------------------------------------------- */

static struct bh_str slice(const struct tome_chunker *const chunker, const size_t begin,
                           const size_t end)
{
    return (struct bh_str){ .data = chunker->text.data + begin, .size = end - begin };
}

static uint32_t weight_of(const size_t word_size, const size_t blanks_size)
{
    return (uint32_t)((word_size + WORD_BYTES - 1) / WORD_BYTES + blanks_size / WORD_BYTES);
}

/* The last whole words before `cut` that may be repeated: none that were themselves repeated, and
 * none when the cut is inside a word. */
static size_t overlap_start(const struct tome_chunker *const chunker, const size_t cut,
                            uint32_t *const ret_weight)
{
    const char *const text = chunker->text.data;
    size_t begin = cut;
    uint32_t weight = 0;
    size_t at = cut;
    while (at > chunker->fresh.offset && tome_is_blank(text[at - 1])) {
        const size_t blanks_end = at;
        while (at > chunker->fresh.offset && tome_is_blank(text[at - 1]))
            at--;
        const size_t word_end = at;
        while (at > chunker->fresh.offset && !tome_is_blank(text[at - 1]))
            at--;
        weight += weight_of(word_end - at, blanks_end - word_end);
        if (weight > WEIGHT_OVERLAP || at == chunker->fresh.offset)
            break;
        begin = at;
        *ret_weight = weight;
    }
    return begin;
}

static void take_pages(struct tome_chunker *const chunker, const size_t cut,
                       struct tome_chunk *const chunk)
{
    bh_buf_clear(&chunker->page_breaks);
    chunk->page_number = chunker->page;
    chunk->page_end = chunker->page;
    for (size_t i = 0; i < chunker->mark_count && chunker->marks[i].offset < cut; i++) {
        const struct page_mark *const mark = &chunker->marks[i];
        chunk->page_end = mark->page;
        if (mark->offset == chunker->start) {
            chunk->page_number = mark->page;
            continue;
        }
        if (chunker->page_breaks.size > 0)
            bh_buf_append_byte(&chunker->page_breaks, ',');
        bh_buf_append_int(&chunker->page_breaks, (int64_t)(mark->offset - chunker->start));
        bh_buf_append_byte(&chunker->page_breaks, ':');
        bh_buf_append_int(&chunker->page_breaks, mark->page);
    }
    chunk->page_breaks = bh_buf_peek(&chunker->page_breaks);
}

/* Moves the start of the chunk being built, and with it the page it begins on. */
static void move_start(struct tome_chunker *const chunker, const size_t start)
{
    size_t passed = 0;
    while (passed < chunker->mark_count && chunker->marks[passed].offset <= start)
        chunker->page = chunker->marks[passed++].page;
    chunker->mark_count -= passed;
    if (chunker->mark_count > 0)
        memmove(chunker->marks, chunker->marks + passed,
                chunker->mark_count * sizeof(*chunker->marks));
    chunker->start = start;
}

/* Gives out [start, cut) and begins the next chunk; `cut` lies between fresh and scanned. */
static void give_out(struct tome_chunker *const chunker, const struct place cut,
                     const bool with_overlap, struct tome_chunk *const ret_chunk)
{
    struct tome_chunk chunk = {
        .ordinal = chunker->ordinal++,
        .chapter = bh_buf_peek(&chunker->chapter),
        .paragraph = chunker->fresh.paragraph,
        .overlap = chunker->fresh.offset - chunker->start,
        .word_count = cut.words,
        .content = slice(chunker, chunker->start, cut.offset),
    };
    take_pages(chunker, cut.offset, &chunk);

    const uint32_t rest_weight = chunker->scanned.weight - cut.weight;
    uint32_t overlap_weight = 0;
    size_t start = cut.offset;
    if (with_overlap)
        start = overlap_start(chunker, cut.offset, &overlap_weight);
    if (rest_weight + overlap_weight > WEIGHT_MAX) {
        start = cut.offset;
        overlap_weight = 0;
    }
    move_start(chunker, start);
    chunker->fresh = (struct place){ .offset = cut.offset,
                                     .weight = overlap_weight,
                                     .paragraph = cut.paragraph };
    chunker->scanned.weight = rest_weight + overlap_weight;
    chunker->scanned.words -= cut.words;
    chunker->boundary = chunker->fresh;
    *ret_chunk = chunk;
}

/* An overlap gives way to a sentence that fits only without it. */
static void drop_overlap(struct tome_chunker *const chunker)
{
    move_start(chunker, chunker->fresh.offset);
    chunker->scanned.weight -= chunker->fresh.weight;
    chunker->boundary.weight = 0;
    chunker->fresh.weight = 0;
}

/* --- scanning --------------------------------------------------------------------------------- */

static uint32_t line_feeds(const struct bh_str blanks)
{
    uint32_t count = 0;
    for (size_t i = 0; i < blanks.size; i++)
        count += blanks.data[i] == '\n';
    return count;
}

/* Whether the word before `scanned` ends a paragraph or a sentence. */
static bool at_boundary(const struct tome_chunker *const chunker, const size_t end)
{
    const size_t here = chunker->scanned.offset;
    if (here - chunker->word_end > 1 && line_feeds(slice(chunker, chunker->word_end, here)) > 1)
        return true;
    return tome_sentence_ends(slice(chunker, chunker->word_start, chunker->word_end),
                              slice(chunker, here, end));
}

static void pass_word(struct tome_chunker *const chunker, const size_t word_end,
                      const size_t blanks_end)
{
    struct place *const place = &chunker->scanned;
    place->weight += weight_of(word_end - place->offset, blanks_end - word_end);
    place->words += !chunker->in_word;
    if (blanks_end - word_end > 1)
        place->paragraph += line_feeds(slice(chunker, word_end, blanks_end)) > 1;
    chunker->in_word = blanks_end == word_end;
    chunker->word_start = place->offset;
    chunker->word_end = word_end;
    place->offset = blanks_end;
}

/* The word at `scanned` alone is longer than a chunk: passes as much of it as one may hold. */
static void pass_part_of_word(struct tome_chunker *const chunker)
{
    size_t end = chunker->scanned.offset + (size_t)WEIGHT_MAX * WORD_BYTES;
    while (((unsigned char)chunker->text.data[end] & 0xC0) == 0x80)
        end--;
    pass_word(chunker, end, end);
}

/* Looks at words up to `end` until a chunk is full: then true. `final`: nothing follows `end`. */
static bool scan(struct tome_chunker *const chunker, const size_t end, const bool final,
                 struct tome_chunk *const ret_chunk)
{
    const struct bh_str text = slice(chunker, 0, end);
    struct place *const scanned = &chunker->scanned;
    while (scanned->offset < end) {
        if (scanned->offset > chunker->boundary.offset && at_boundary(chunker, end)) {
            chunker->boundary = *scanned;
            if (scanned->weight >= WEIGHT_TARGET) {
                give_out(chunker, *scanned, true, ret_chunk);
                return true;
            }
        }
        const size_t word_end = tome_word_end(text, scanned->offset);
        const bool fits = scanned->weight + weight_of(word_end - scanned->offset, 0) <= WEIGHT_MAX;
        if (fits) {
            const size_t blanks_end = tome_blanks_end(text, word_end);
            if (blanks_end == end && !final)
                return false;
            pass_word(chunker, word_end, blanks_end);
        } else if (chunker->boundary.offset > chunker->fresh.offset) {
            give_out(chunker, chunker->boundary, true, ret_chunk);
            return true;
        } else if (chunker->start < chunker->fresh.offset) {
            drop_overlap(chunker);
        } else if (scanned->offset > chunker->fresh.offset) {
            give_out(chunker, *scanned, true, ret_chunk);
            return true;
        } else {
            pass_part_of_word(chunker);
            give_out(chunker, *scanned, false, ret_chunk);
            return true;
        }
    }
    return false;
}

static void begin_chapter(struct tome_chunker *const chunker)
{
    move_start(chunker, chunker->chapter_end);
    chunker->fresh = (struct place){ .offset = chunker->chapter_end, .paragraph = 1 };
    chunker->scanned = chunker->fresh;
    chunker->boundary = chunker->fresh;
    chunker->in_word = false;
    chunker->chapter_end = 0;
    const struct bh_buf chapter = chunker->chapter;
    chunker->chapter = chunker->next_chapter;
    chunker->next_chapter = chapter;
}

bool tome_chunker_next(struct tome_chunker *const chunker, struct tome_chunk *const ret_chunk)
{
    bh_magic_check(chunker, CHUNKER_MAGIC);
    if (chunker->text.size == 0)
        return false;
    for (;;) {
        const bool chapter_ends = chunker->chapter_end > 0;
        const size_t end = chapter_ends ? chunker->chapter_end : chunker->text.size;
        const bool final = chapter_ends || chunker->finished;
        if (scan(chunker, end, final, ret_chunk))
            return true;
        if (final && chunker->fresh.offset < end) {
            give_out(chunker, chunker->scanned, false, ret_chunk);
            return true;
        }
        if (!chapter_ends)
            return false;
        begin_chapter(chunker);
    }
}
