/* From frames to batches of rows, and documents to frames. */
#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/assembly.h"
#include "ingest/posted.h"

#define BOOK INT64_C(7)

/* A source that hands out frames of an array, and then `end`. */
struct script {
    const struct tome_frame *frames;
    size_t count, at;
    int end;
};

static int next_frame(void *const argument, struct tome_frame *const ret_frame,
                      struct bh_error *const reterr)
{
    struct script *const script = argument;
    if (script->at == script->count)
        return script->end < 0 ? bh_error_set(reterr, script->end, "the script says so") : 0;
    *ret_frame = script->frames[script->at++];
    return 1;
}

struct assembling {
    struct tome_analyzer *analyzer;
    struct tome_assembly *assembly;
    struct tome_batch *batch;
};

static struct assembling begin(const char *const language)
{
    struct assembling self;
    assert_int_equal(tome_analyzer_create(&self.analyzer), 0);
    assert_int_equal(tome_batch_create(&self.batch), 0);
    assert_int_equal(tome_assembly_create(TOME_INDEX_FTS5, self.analyzer, 1, BOOK,
                                          bh_str_from(language), &self.assembly),
                     0);
    return self;
}

static void end(struct assembling *const self)
{
    tome_assembly_destroy(self->assembly);
    tome_batch_destroy(self->batch);
    tome_analyzer_destroy(self->analyzer);
}

static struct tome_frame page(const uint32_t number, const char *const label,
                              const char *const chapter, const char *const text)
{
    return (struct tome_frame){ .type = TOME_FRAME_PAGE,
                                .page = { .number = number,
                                          .label = bh_str_from(label),
                                          .chapter = bh_str_from(chapter),
                                          .text = bh_str_from(text) } };
}

static struct tome_frame meta(const enum tome_meta_key key, const char *const value)
{
    return (struct tome_frame){ .type = TOME_FRAME_META,
                                .meta = { .key = key, .value = bh_str_from(value) } };
}

static void assert_text(const struct bh_str text, const char *const wanted)
{
    if (!bh_str_equal(text, bh_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", BH_STR_ARGS(text), wanted);
}

/* ---- Assembly ---- */

static void frames_become_rows_and_facts(void **const state)
{
    (void)state;
    const struct tome_frame frames[] = {
        meta(TOME_META_TITLE, "T"),
        meta(TOME_META_AUTHOR, "A"),
        meta(TOME_META_PAGE_KIND, "list"),
        meta(TOME_META_TAGS, "one, two,, three \"x\""),
        meta(TOME_META_LANGUAGE, "en-GB"),
        page(1, "i", "First", "Alpha beta gamma."),
        { .type = TOME_FRAME_PROGRESS, .percent = 50 },
        page(2, "ii", "First", "Delta epsilon."),
        page(2, "ii", "Second", "Zeta."),
        page(5, "", "", "Eta theta."),
    };
    struct assembling self = begin("");
    struct script script = { .frames = frames, .count = BH_COUNT_OF(frames) };
    struct tome_intake_rows rows;
    struct bh_error error;
    bool ended = false;
    assert_int_equal(
        tome_assembly_fill(self.assembly, self.batch, next_frame, &script, &ended, &error), 0);
    assert_true(ended);
    tome_batch_rows(self.batch, &rows);
    assert_int_equal(rows.chunk_count, 3); /* chapters are never mixed */
    assert_int_equal(rows.chapter_count, 2);
    assert_int_equal(rows.label_count, 2); /* once a page, not once a frame */
    assert_non_null(rows.index);
    assert_int_equal(rows.chunks[0].integer, BOOK << 20);
    assert_int_equal(rows.chunks[TOME_CHUNK_COLUMNS].integer, (BOOK << 20) + 1);
    assert_text(rows.chapters[TOME_CHAPTER_COLUMNS + 2].text, "Second");
    assert_int_equal(rows.chapters[TOME_CHAPTER_COLUMNS + 3].integer, 2);
    const struct tome_assembly_facts *const facts = tome_assembly_facts(self.assembly);
    assert_text(facts->title, "T");
    assert_text(facts->author, "A");
    assert_text(facts->page_kind, "list");
    assert_text(facts->tags, "[\"one\",\"two\",\"three \\\"x\\\"\"]");
    assert_text(facts->language, "en-GB");
    assert_int_equal(facts->page_count, 5);
    assert_int_equal(facts->chunk_count, 3);
    assert_int_equal(facts->word_count, 8);
    assert_int_equal(facts->percent, 50);
    end(&self);
}

static void the_clients_language_wins_and_text_tells_it_last(void **const state)
{
    (void)state;
    const struct tome_frame frames[] = {
        meta(TOME_META_LANGUAGE, "fr"),
        page(1, "", "", "The quick brown fox jumps over the lazy dog, and it was not the first."),
    };
    static const struct {
        const char *given;
        size_t skip;
        const char *language;
    } cases[] = { { "tr", 0, "tr" }, { "", 0, "fr" }, { "", 1, "en" } };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct assembling self = begin(cases[i].given);
        struct script script = { .frames = frames + cases[i].skip, .count = 2 - cases[i].skip };
        struct bh_error error;
        bool ended = false;
        assert_int_equal(
            tome_assembly_fill(self.assembly, self.batch, next_frame, &script, &ended, &error), 0);
        assert_text(tome_assembly_facts(self.assembly)->language, cases[i].language);
        end(&self);
    }
}

/* Memory is a batch, however long the book. */
static void a_long_book_comes_in_batches(void **const state)
{
    (void)state;
    enum { PAGES = 3000 };
    static struct tome_frame frames[PAGES];
    static char texts[PAGES][1200], chapters[PAGES][32], labels[PAGES][32];
    for (uint32_t i = 0; i < PAGES; i++) {
        size_t size = 0;
        for (unsigned word = 0; word < 150; word++)
            size += (size_t)snprintf(texts[i] + size, sizeof(texts[i]) - size, "word%u ", word % 7);
        texts[i][size - 1] = '\0';
        snprintf(chapters[i], sizeof(chapters[i]), "Chapter %u", i);
        snprintf(labels[i], sizeof(labels[i]), "p%u", i);
        frames[i] = page(i + 1, labels[i], chapters[i], texts[i]);
    }
    struct assembling self = begin("en");
    struct script script = { .frames = frames, .count = PAGES };
    size_t chunks = 0, chapter_rows = 0, label_rows = 0, turns = 0;
    for (bool ended = false; !ended; turns++) {
        struct tome_intake_rows rows;
        struct bh_error error;
        tome_batch_clear(self.batch);
        assert_int_equal(
            tome_assembly_fill(self.assembly, self.batch, next_frame, &script, &ended, &error), 0);
        tome_batch_rows(self.batch, &rows);
        assert_true(rows.chunk_count <= TOME_BATCH_CHUNKS);
        assert_true(rows.chapter_count <= TOME_BATCH_CHAPTERS);
        assert_true(rows.label_count <= TOME_BATCH_LABELS);
        if (rows.chunk_count > 0)
            assert_int_equal(rows.chunks[0].integer, (BOOK << 20) + (int64_t)chunks);
        chunks += rows.chunk_count;
        chapter_rows += rows.chapter_count;
        label_rows += rows.label_count;
    }
    assert_int_equal(chunks, tome_assembly_facts(self.assembly)->chunk_count);
    assert_int_equal(chunks, PAGES);
    assert_int_equal(chapter_rows, PAGES);
    assert_int_equal(label_rows, PAGES);
    assert_true(turns >= PAGES / TOME_BATCH_CHUNKS);
    end(&self);
}

static void errors_of_the_source_are_passed_on(void **const state)
{
    (void)state;
    const struct tome_frame frames[] = { page(1, "", "", "Some text.") };
    struct assembling self = begin("");
    struct script script = { .frames = frames, .count = 1, .end = BH_EUNSUPPORTED };
    struct bh_error error;
    bool ended = false;
    assert_int_equal(
        tome_assembly_fill(self.assembly, self.batch, next_frame, &script, &ended, &error),
        BH_EUNSUPPORTED);
    assert_string_equal(error.message, "the script says so");
    assert_false(ended);
    end(&self);
}

static void nothing_gives_no_rows(void **const state)
{
    (void)state;
    struct assembling self = begin("");
    struct script script = { .count = 0 };
    struct tome_intake_rows rows;
    struct bh_error error;
    bool ended = false;
    assert_int_equal(
        tome_assembly_fill(self.assembly, self.batch, next_frame, &script, &ended, &error), 0);
    assert_true(ended);
    tome_batch_rows(self.batch, &rows);
    assert_int_equal(rows.chunk_count + rows.chapter_count + rows.label_count, 0);
    assert_null(rows.index);
    end(&self);
}

/* ---- Documents ---- */

/* Writes a document and reads its frames back as "number:label:chapter:text|…". */
static int write_and_read(const struct tome_posted *const posted, char *const text,
                          const size_t size, char kind[16])
{
    FILE *const file = tmpfile();
    struct bh_error error;
    const int result = tome_posted_write(posted, fileno(file), &error);
    text[0] = '\0';
    if (result == 0) {
        struct tome_frame_reader *reader;
        struct tome_frame frame;
        assert_int_equal(tome_frame_reader_create(1 << 30, &reader), 0);
        rewind(file);
        for (int found; (found = tome_frame_reader_next(reader, &frame, &error)) >= 0;) {
            size_t room = 0;
            char *const space = tome_frame_reader_space(reader, &room);
            if (found == 0)
                tome_frame_reader_commit(reader, fread(space, 1, room, file));
            else if (frame.type == TOME_FRAME_END)
                break;
            else if (frame.type == TOME_FRAME_META && frame.meta.key == TOME_META_PAGE_KIND)
                snprintf(kind, 16, "%.*s", BH_STR_ARGS(frame.meta.value));
            else if (frame.type == TOME_FRAME_PAGE)
                snprintf(text + strlen(text), size - strlen(text), "%u:%.*s:%.*s:%.*s|",
                         frame.page.number, BH_STR_ARGS(frame.page.label),
                         BH_STR_ARGS(frame.page.chapter), BH_STR_ARGS(frame.page.text));
        }
        assert_true(tome_frame_reader_finished(reader));
        tome_frame_reader_destroy(reader);
    }
    fclose(file);
    return result;
}

static void pages_keep_their_numbers(void **const state)
{
    (void)state;
    const struct tome_posted_page pages[] = {
        { .number = 1, .text = BH_STR("One.") },
        { .number = 4, .chapter = BH_STR("C"), .text = BH_STR("Four.\n\nMore.") },
        { .number = 5, .text = BH_STR("Five.") },
    };
    const struct tome_posted posted = { .title = BH_STR("T"), .pages = pages, .page_count = 3 };
    char text[400], kind[16];
    assert_int_equal(write_and_read(&posted, text, sizeof(text), kind), 0);
    assert_string_equal(text, "1:::One.|4::C:Four.\n\nMore.|5:::Five.|");
    assert_string_equal(kind, "page");
}

static void labels_make_a_page_list(void **const state)
{
    (void)state;
    const struct tome_posted_page pages[] = {
        { .number = 1, .label = BH_STR("iv"), .text = BH_STR("Four.") }
    };
    const struct tome_posted posted = { .title = BH_STR("T"), .pages = pages, .page_count = 1 };
    char text[400], kind[16];
    assert_int_equal(write_and_read(&posted, text, sizeof(text), kind), 0);
    assert_string_equal(text, "1:iv::Four.|");
    assert_string_equal(kind, "list");
}

static void text_gets_sections(void **const state)
{
    (void)state;
    const struct tome_posted posted = { .title = BH_STR("T"),
                                        .text = BH_STR("One.\nTwo.\n\nThree.") };
    char text[400], kind[16];
    assert_int_equal(write_and_read(&posted, text, sizeof(text), kind), 0);
    assert_string_equal(text, "1:::One.\nTwo.\n\nThree.|");
    assert_string_equal(kind, "section");
}

static void blanks_are_no_text(void **const state)
{
    (void)state;
    const struct tome_posted_page pages[] = { { .number = 1, .text = BH_STR(" \n ") } };
    const struct tome_posted none[] = {
        { .title = BH_STR("T"), .text = BH_STR(" \n\t\n ") },
        { .title = BH_STR("T"), .pages = pages, .page_count = 1 },
    };
    char text[400], kind[16];
    for (size_t i = 0; i < BH_COUNT_OF(none); i++)
        assert_int_equal(write_and_read(&none[i], text, sizeof(text), kind), BH_EUNSUPPORTED);
}

static void different_documents_have_different_hashes(void **const state)
{
    (void)state;
    const struct tome_posted_page one[] = { { .number = 1, .text = BH_STR("ab") } };
    const struct tome_posted_page two[] = { { .number = 2, .text = BH_STR("ab") } };
    const struct tome_posted_page label[] = {
        { .number = 1, .label = BH_STR("a"), .text = BH_STR("b") }
    };
    const struct tome_posted documents[] = {
        { .title = BH_STR("T"), .text = BH_STR("ab") },
        { .title = BH_STR("Ta"), .text = BH_STR("b") },
        { .title = BH_STR("T"), .author = BH_STR("a"), .text = BH_STR("b") },
        { .title = BH_STR("T"), .pages = one, .page_count = 1 },
        { .title = BH_STR("T"), .pages = two, .page_count = 1 },
        { .title = BH_STR("T"), .pages = label, .page_count = 1 },
    };
    uint8_t hashes[BH_COUNT_OF(documents)][TOME_HASH_BYTES], again[TOME_HASH_BYTES];
    struct bh_error error;
    for (size_t i = 0; i < BH_COUNT_OF(documents); i++) {
        assert_int_equal(tome_posted_hash(&documents[i], hashes[i], &error), 0);
        assert_int_equal(tome_posted_hash(&documents[i], again, &error), 0);
        assert_memory_equal(hashes[i], again, TOME_HASH_BYTES);
        for (size_t before = 0; before < i; before++)
            assert_memory_not_equal(hashes[i], hashes[before], TOME_HASH_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_rows_and_facts),
        cmocka_unit_test(the_clients_language_wins_and_text_tells_it_last),
        cmocka_unit_test(a_long_book_comes_in_batches),
        cmocka_unit_test(errors_of_the_source_are_passed_on),
        cmocka_unit_test(nothing_gives_no_rows),
        cmocka_unit_test(pages_keep_their_numbers),
        cmocka_unit_test(labels_make_a_page_list),
        cmocka_unit_test(text_gets_sections),
        cmocka_unit_test(blanks_are_no_text),
        cmocka_unit_test(different_documents_have_different_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
