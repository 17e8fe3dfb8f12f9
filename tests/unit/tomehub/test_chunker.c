#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/buf.h"
#include "extract/chunker.h"
#include "extract/page_breaks.h"
#include "extract/sentence.h"

/* What the chunks of a book should amount to, and what they do. */
struct book {
    struct bh_buf expected; /* the pages joined */
    struct bh_buf pages;    /* a uint32_t for each byte of `expected` */
    struct bh_buf
        chapters;         /* a byte for each byte of `expected`: the last of the chapter's title */
    struct bh_buf actual; /* contents from overlap on */
    char chapter;
    char previous_chapter;
    unsigned chunks;
    uint64_t words;
    struct bh_buf previous; /* content of the chunk before */
    struct tome_chunker *chunker;
};

static void book_open(struct book *const book)
{
    *book = (struct book){ 0 };
    bh_buf_init(&book->expected, SIZE_MAX);
    bh_buf_init(&book->pages, SIZE_MAX);
    bh_buf_init(&book->chapters, SIZE_MAX);
    bh_buf_init(&book->actual, SIZE_MAX);
    bh_buf_init(&book->previous, SIZE_MAX);
    assert_int_equal(tome_chunker_create(&book->chunker), 0);
}

static void book_close(struct book *const book)
{
    tome_chunker_destroy(book->chunker);
    bh_buf_fini(&book->expected);
    bh_buf_fini(&book->pages);
    bh_buf_fini(&book->chapters);
    bh_buf_fini(&book->actual);
    bh_buf_fini(&book->previous);
}

static uint64_t count_words(const struct bh_str text)
{
    uint64_t words = 0;
    bool blank = true;
    for (size_t i = 0; i < text.size; i++) {
        words += blank && !tome_is_blank(text.data[i]);
        blank = tome_is_blank(text.data[i]);
    }
    return words;
}

static void check_pages(const struct book *const book, const struct tome_chunk *const chunk)
{
    const uint32_t *const pages = (const void *)book->pages.data;
    const size_t begin = book->actual.size - chunk->overlap;
    for (size_t i = 0; i < chunk->content.size; i++)
        assert_int_equal(tome_page_at(chunk->page_number, chunk->page_breaks, i), pages[begin + i]);
    assert_int_equal(chunk->page_end, pages[begin + chunk->content.size - 1]);
    for (size_t i = chunk->overlap; i < chunk->content.size; i++)
        assert_int_equal(book->chapters.data[begin + i],
                         chunk->chapter.data[chunk->chapter.size - 1]);
}

static void take(struct book *const book)
{
    struct tome_chunk chunk;
    while (tome_chunker_next(book->chunker, &chunk)) {
        assert_int_equal(chunk.ordinal, book->chunks++);
        assert_true(chunk.content.size > chunk.overlap);
        assert_true(chunk.content.size <= TOME_CHUNK_BYTES_MAX);
        assert_true(bh_str_is_utf8(chunk.content));
        assert_false(tome_is_blank(chunk.content.data[0]));
        assert_false(tome_is_blank(chunk.content.data[chunk.overlap]));
        assert_true(tome_chunk_tokens(count_words(chunk.content)) <= TOME_CHUNK_TOKENS_MAX);

        /* The overlap is the end of the chunk before, whole words, of the same chapter. */
        const struct bh_str overlap = { .data = chunk.content.data, .size = chunk.overlap };
        assert_true(tome_chunk_tokens(count_words(overlap)) <= TOME_CHUNK_OVERLAP_TOKENS);
        if (chunk.overlap > 0) {
            const struct bh_str previous = bh_buf_peek(&book->previous);
            assert_true(bh_str_ends_with(previous, overlap));
            assert_true(tome_is_blank(previous.data[previous.size - overlap.size - 1]));
            assert_int_equal(chunk.chapter.data[chunk.chapter.size - 1], book->previous_chapter);
        }
        check_pages(book, &chunk);
        bh_buf_append(&book->actual, chunk.content.data + chunk.overlap,
                      chunk.content.size - chunk.overlap);
        bh_buf_clear(&book->previous);
        bh_buf_append_str(&book->previous, chunk.content);
        book->previous_chapter = chunk.chapter.data[chunk.chapter.size - 1];
        book->words += chunk.word_count;
    }
}

/* `chapter`: one letter. */
static void feed(struct book *const book, const uint32_t number, const char chapter,
                 const enum tome_joint joint, const struct bh_str text)
{
    const char title[] = { 'C', chapter };
    const struct tome_page page = { .number = number,
                                    .joint = joint,
                                    .chapter = { .data = title, .size = sizeof(title) },
                                    .text = text };
    if (book->expected.size > 0) {
        const enum tome_joint applied = chapter == book->chapter ? joint : TOME_JOINT_PARAGRAPH;
        uint32_t last;
        memcpy(&last, book->pages.data + book->pages.size - 4, 4);
        const unsigned bytes = applied == TOME_JOINT_PARAGRAPH ? 2
                               : applied == TOME_JOINT_SPACE   ? 1
                                                               : 0;
        for (unsigned i = 0; i < bytes; i++) {
            bh_buf_append_byte(&book->expected, bytes == 2 ? '\n' : ' ');
            bh_buf_append(&book->pages, &last, 4);
            bh_buf_append_byte(&book->chapters, book->chapter);
        }
    }
    for (size_t i = 0; i < text.size; i++) {
        bh_buf_append(&book->pages, &number, 4);
        bh_buf_append_byte(&book->chapters, chapter);
    }
    bh_buf_append_str(&book->expected, text);
    book->chapter = chapter;
    assert_int_equal(tome_chunker_feed(book->chunker, &page), 0);
    take(book);
}

static void finish(struct book *const book)
{
    tome_chunker_finish(book->chunker);
    take(book);
    assert_int_equal(book->actual.size, book->expected.size);
    assert_memory_equal(book->actual.data, book->expected.data, book->expected.size);
    assert_int_equal(book->words, count_words(bh_buf_peek(&book->expected)));
}

/* --- properties, on random books -------------------------------------------------------------- */

static uint64_t seed;

static unsigned roll(const unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

static void random_word(struct bh_buf *const text)
{
    static const char *const letters[] = {
        "a", "b", "e", "n", "R", "7", "ş", "İ", "漢", "。", "😀"
    };
    static const char *const ends[] = { "", "", "", "", ".", ".", "!", "?”", ",", "…", ".)" };
    const unsigned kind = roll(200);
    const unsigned size = kind == 0 ? 1 + roll(30000) : kind < 5 ? 1 + roll(300) : 1 + roll(9);
    const unsigned alphabet = kind % 3 == 0 ? (unsigned)BH_COUNT_OF(letters) : 5;
    for (unsigned i = 0; i < size; i++)
        bh_buf_append_str(text, bh_str_from(letters[roll(alphabet)]));
    bh_buf_append_str(text, bh_str_from(ends[roll(BH_COUNT_OF(ends))]));
}

static void random_text(struct bh_buf *const text, const unsigned words)
{
    static const char *const blanks[] = { " ", " ", " ", " ", " ", "\n", "\n\n", "   " };
    for (unsigned i = 0; i < words && text->size < 60000; i++) {
        if (i > 0)
            bh_buf_append_str(text, bh_str_from(blanks[roll(BH_COUNT_OF(blanks))]));
        random_word(text);
    }
}

static void contents_are_the_book_and_pages_are_exact(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned round = 0; round < 120; round++) {
        seed = round;
        struct book book;
        book_open(&book);
        uint32_t number = 1;
        char chapter = 'a';
        const unsigned parts = 1 + roll(60);
        const unsigned size = 1 + roll(round % 4 == 0 ? 5 : 600);
        for (unsigned i = 0; i < parts; i++) {
            bh_buf_clear(&text);
            random_text(&text, 1 + roll(size));
            const enum tome_joint joint = (enum tome_joint)roll(3);
            feed(&book, number, chapter, joint, bh_buf_peek(&text));
            number += roll(3);
            chapter = (char)(chapter + (roll(8) == 0 && chapter < 'z'));
        }
        finish(&book);
        book_close(&book);
    }
    bh_buf_fini(&text);
}

/* --- single rules ----------------------------------------------------------------------------- */

static void sentences_stay_whole(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 500; i++)
        bh_buf_printf(&text, "%sSentence %u tells Mr. Holmes of 3.14 things, e.g. this one.",
                      i == 0 ? "" : " ", i);
    struct tome_chunker *chunker;
    assert_int_equal(tome_chunker_create(&chunker), 0);
    const struct tome_page page = { .number = 1, .text = bh_buf_peek(&text) };
    assert_int_equal(tome_chunker_feed(chunker, &page), 0);
    tome_chunker_finish(chunker);
    struct tome_chunk chunk;
    unsigned chunks = 0;
    while (tome_chunker_next(chunker, &chunk)) {
        const struct bh_str fresh = { .data = chunk.content.data + chunk.overlap,
                                      .size = chunk.content.size - chunk.overlap };
        assert_true(bh_str_starts_with(fresh, BH_STR("Sentence ")));
        assert_true(bh_str_ends_with(bh_str_trim(fresh), BH_STR("one.")));
        assert_int_equal(chunk.overlap == 0, chunks == 0);
        chunks++;
    }
    assert_in_range(chunks, 20, 23);
    tome_chunker_destroy(chunker);
    bh_buf_fini(&text);
}

static void a_chapter_starts_a_chunk_without_overlap(void **state)
{
    (void)state;
    struct book book;
    book_open(&book);
    feed(&book, 1, 'a', TOME_JOINT_PARAGRAPH, BH_STR("The first chapter is very short."));
    feed(&book, 1, 'b', TOME_JOINT_PARAGRAPH, BH_STR("So is the second."));
    feed(&book, 1, 'b', TOME_JOINT_PARAGRAPH, BH_STR("It has two paragraphs."));
    feed(&book, 2, 'c', TOME_JOINT_SPACE, BH_STR("Third."));
    finish(&book);
    assert_int_equal(book.chunks, 3);
    book_close(&book);
}

static void a_sentence_across_a_page_break_is_not_cut(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 260; i++)
        bh_buf_printf(&text, "%sword", i == 0 ? "" : " ");
    bh_buf_printf(&text, ". Now this sentence");
    struct tome_chunker *chunker;
    assert_int_equal(tome_chunker_create(&chunker), 0);
    struct tome_page page = { .number = 4, .text = bh_buf_peek(&text) };
    assert_int_equal(tome_chunker_feed(chunker, &page), 0);
    struct tome_chunk chunk;
    assert_false(tome_chunker_next(chunker, &chunk));
    page = (struct tome_page){ .number = 6,
                               .joint = TOME_JOINT_SPACE,
                               .text = BH_STR("goes on over the page and on. Here is another.") };
    assert_int_equal(tome_chunker_feed(chunker, &page), 0);
    assert_true(tome_chunker_next(chunker, &chunk));
    assert_true(bh_str_ends_with(chunk.content, BH_STR("over the page and on. ")));
    assert_int_equal(chunk.page_number, 4);
    assert_int_equal(chunk.page_end, 6);
    assert_true(bh_str_equal(chunk.page_breaks, BH_STR("1319:6")));
    tome_chunker_finish(chunker);
    assert_true(tome_chunker_next(chunker, &chunk));
    assert_true(bh_str_ends_with(chunk.content, BH_STR(" Here is another.")));
    assert_int_equal(chunk.page_number, 4);
    assert_false(tome_chunker_next(chunker, &chunk));
    tome_chunker_destroy(chunker);
    bh_buf_fini(&text);
}

static void a_million_letters_are_cut_at_code_points(void **state)
{
    (void)state;
    struct book book;
    book_open(&book);
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 33333; i++)
        bh_buf_append_str(&text, BH_STR("ğ"));
    for (unsigned i = 0; i < 30; i++)
        feed(&book, 1, 'a', TOME_JOINT_NONE, bh_buf_peek(&text));
    finish(&book);
    assert_int_equal(book.words, 1);
    assert_in_range(book.chunks, 150, 250);
    bh_buf_fini(&text);
    book_close(&book);
}

static void a_sentence_longer_than_a_chunk_is_cut_at_words(void **state)
{
    (void)state;
    struct book book;
    book_open(&book);
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 10000; i++)
        bh_buf_append_str(&text, BH_STR("endless, "));
    bh_buf_append_str(&text, BH_STR("sentence."));
    feed(&book, 1, 'a', TOME_JOINT_PARAGRAPH, bh_buf_peek(&text));
    finish(&book);
    assert_in_range(book.chunks, 10001 / 346, 10001 / 320 + 1);
    bh_buf_fini(&text);
    book_close(&book);
}

static void blanks_and_nothing_give_no_chunk(void **state)
{
    (void)state;
    struct tome_chunker *chunker;
    struct tome_chunk chunk;
    assert_int_equal(tome_chunker_create(&chunker), 0);
    const struct tome_page page = { .number = 1, .text = BH_STR(" \n\n\t ") };
    assert_int_equal(tome_chunker_feed(chunker, &page), 0);
    assert_false(tome_chunker_next(chunker, &chunk));
    tome_chunker_finish(chunker);
    assert_false(tome_chunker_next(chunker, &chunk));
    tome_chunker_destroy(chunker);
    tome_chunker_destroy(NULL);
}

static void paragraphs_are_counted_in_the_chapter(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 1; i <= 100; i++)
        bh_buf_printf(&text, "%sparagraph-%u has only a few words", i == 1 ? "" : "\n\n", i);
    struct tome_chunker *chunker;
    assert_int_equal(tome_chunker_create(&chunker), 0);
    const struct tome_page page = { .number = 1, .text = bh_buf_peek(&text) };
    assert_int_equal(tome_chunker_feed(chunker, &page), 0);
    tome_chunker_finish(chunker);
    struct tome_chunk chunk;
    unsigned chunks = 0;
    while (tome_chunker_next(chunker, &chunk)) {
        char expected[32];
        snprintf(expected, sizeof(expected), "paragraph-%u ", chunk.paragraph);
        const struct bh_str fresh = { .data = chunk.content.data + chunk.overlap,
                                      .size = chunk.content.size - chunk.overlap };
        assert_true(bh_str_starts_with(fresh, bh_str_from(expected)));
        chunks++;
    }
    assert_true(chunks > 1);
    tome_chunker_destroy(chunker);
    bh_buf_fini(&text);
}

static void too_long_a_text_or_title_is_refused(void **state)
{
    (void)state;
    struct tome_chunker *chunker;
    assert_int_equal(tome_chunker_create(&chunker), 0);
    char *const text = malloc(TOME_FRAME_PAGE_TEXT_MAX + 1);
    memset(text, 'x', TOME_FRAME_PAGE_TEXT_MAX + 1);
    struct tome_page page = { .number = 1,
                              .text = { .data = text, .size = TOME_FRAME_PAGE_TEXT_MAX + 1 } };
    assert_int_equal(tome_chunker_feed(chunker, &page), BH_ELIMIT);
    page.text.size = 10;
    page.chapter = (struct bh_str){ .data = text, .size = TOME_FRAME_CHAPTER_MAX + 1 };
    assert_int_equal(tome_chunker_feed(chunker, &page), BH_ELIMIT);
    free(text);
    tome_chunker_destroy(chunker);
}

static void slices_of_a_page(void **state)
{
    (void)state;
    const struct bh_str content = BH_STR("0123456789");
    const struct bh_str breaks = BH_STR("3:5,6:8");
    const struct bh_str none = tome_page_slice(content, 0, 4, breaks, 6);
    assert_int_equal(none.size, 0);
    assert_true(bh_str_equal(tome_page_slice(content, 0, 4, breaks, 4), BH_STR("012")));
    assert_true(bh_str_equal(tome_page_slice(content, 2, 4, breaks, 4), BH_STR("2")));
    assert_true(bh_str_equal(tome_page_slice(content, 2, 4, breaks, 5), BH_STR("345")));
    assert_true(bh_str_equal(tome_page_slice(content, 4, 4, breaks, 5), BH_STR("45")));
    assert_true(bh_str_equal(tome_page_slice(content, 2, 4, breaks, 8), BH_STR("6789")));
    assert_int_equal(tome_page_slice(content, 2, 4, breaks, 9).size, 0);
    assert_true(bh_str_equal(tome_page_slice(content, 0, 4, BH_STR_NONE, 4), content));
    /* Text from a damaged row does no harm. */
    assert_true(bh_str_equal(tome_page_slice(content, 0, 4, BH_STR("junk"), 4), content));
    assert_int_equal(tome_page_slice(content, 0, 4, BH_STR("99:5"), 5).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_are_the_book_and_pages_are_exact),
        cmocka_unit_test(sentences_stay_whole),
        cmocka_unit_test(a_chapter_starts_a_chunk_without_overlap),
        cmocka_unit_test(a_sentence_across_a_page_break_is_not_cut),
        cmocka_unit_test(a_million_letters_are_cut_at_code_points),
        cmocka_unit_test(a_sentence_longer_than_a_chunk_is_cut_at_words),
        cmocka_unit_test(blanks_and_nothing_give_no_chunk),
        cmocka_unit_test(paragraphs_are_counted_in_the_chapter),
        cmocka_unit_test(too_long_a_text_or_title_is_refused),
        cmocka_unit_test(slices_of_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
