/* Contents and pages on a real database. */
#include "cmocka_setup.h"

#include "library/chunks.h"
#include "library/library.h"
#include "tomehub/test_library.h"

#define PAGES 40

static void assert_text(const struct bh_str text, const char *const wanted)
{
    if (!bh_str_equal(text, bh_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", BH_STR_ARGS(text), wanted);
}

/* A book whose page n says "page n here" as often as n % 4 says, laid over chunks of 50 bytes
 * without regard to pages, as the chunker does; some pages are empty. */
struct paged {
    int64_t id;
    char texts[PAGES + 1][400];
};

struct laying {
    char content[51];
    char breaks[200];
    size_t used;
    int64_t first_page, last_page, ordinal;
};

static void write_chunk(struct test_library *const library, const struct paged *const book,
                        struct laying *const laying)
{
    static const struct bh_statement insert = TEST_STATEMENT(
        "INSERT INTO chunks (id, owner_id, book_id, page_number, page_end, page_breaks, paragraph, "
        "word_count, content) VALUES (?1, 1, ?2, ?3, ?4, ?5, 1, 1, ?6)");
    if (laying->used == 0)
        return;
    const struct bh_db_value row[] = {
        bh_db_int(tome_chunk_id_first(book->id) + laying->ordinal++),
        bh_db_int(book->id),
        bh_db_int(laying->first_page),
        bh_db_int(laying->last_page),
        laying->breaks[0] != '\0' ? test_text(laying->breaks) : bh_db_null(),
        bh_db_text((struct bh_str){ .data = laying->content, .size = laying->used }),
    };
    TEST_CHECK(bh_db_query(library->db, BH_DB_WRITE, &insert, row, BH_COUNT_OF(row), NULL, NULL,
                           &library->error));
    laying->used = 0;
    laying->breaks[0] = '\0';
}

static void lay(struct test_library *const library, const struct paged *const book,
                struct laying *const laying, const int64_t page, const char byte)
{
    if (laying->used == 0)
        laying->first_page = page;
    else if (page != laying->last_page)
        snprintf(laying->breaks + strlen(laying->breaks),
                 sizeof(laying->breaks) - strlen(laying->breaks), "%s%zu:%lld",
                 laying->breaks[0] != '\0' ? "," : "", laying->used, (long long)page);
    laying->last_page = page;
    laying->content[laying->used++] = byte;
    if (laying->used == 50)
        write_chunk(library, book, laying);
}

static struct paged *add_paged(struct test_library *const library)
{
    struct paged *const book = calloc(1, sizeof(*book));
    struct laying laying = { .ordinal = 0 };
    book->id = test_library_add(library,
                                &(struct test_book){ .title = "Paged", .chunks = { "x" } });
    char clear[100];
    snprintf(clear, sizeof(clear), "DELETE FROM chunks WHERE book_id = %lld", (long long)book->id);
    test_library_run(library, clear);
    for (int64_t page = 1; page <= PAGES; page++) {
        for (int64_t i = 0; i < (page * 7) % 30; i++)
            snprintf(book->texts[page] + strlen(book->texts[page]), 400 - strlen(book->texts[page]),
                     "%spage%lld", i == 0 ? "" : " ", (long long)page);
        for (const char *byte = book->texts[page]; *byte != '\0'; byte++)
            lay(library, book, &laying, page, *byte);
    }
    write_chunk(library, book, &laying);
    char sql[200];
    snprintf(sql, sizeof(sql),
             "UPDATE books SET chunk_count = %lld, page_count = %d WHERE id = %lld",
             (long long)laying.ordinal, PAGES, (long long)book->id);
    test_library_run(library, sql);
    snprintf(sql, sizeof(sql), "INSERT INTO page_labels VALUES (%lld, 3, 'iii')",
             (long long)book->id);
    test_library_run(library, sql);
    snprintf(sql, sizeof(sql),
             "INSERT INTO chapters VALUES (%lld, 0, 'One', 2), (%lld, 1, 'Two', 9)",
             (long long)book->id, (long long)book->id);
    test_library_run(library, sql);
    return book;
}

static void every_page_has_its_text(void **const state)
{
    struct test_library *const library = *state;
    test_library_add(library, &(struct test_book){ .title = "Before", .chunks = { "x", "y" } });
    struct paged *const book = add_paged(library);
    test_library_add(library, &(struct test_book){ .title = "Behind", .chunks = { "x", "y" } });
    for (int64_t number = 1; number <= PAGES; number++) {
        struct tome_book_page page;
        TEST_CHECK(tome_chunks_page(library->db, 1, book->id, number, library->arena, &page,
                                    &library->error));
        assert_text(page.text, book->texts[number]);
        assert_int_equal(page.page_count, PAGES);
        assert_text(page.chapter, number < 2 ? "" : number < 9 ? "One" : "Two");
        if (number == 3)
            assert_text(page.page_label, "iii");
    }
    struct tome_book_page page;
    assert_int_equal(tome_chunks_page(library->db, 1, book->id, PAGES + 1, library->arena, &page,
                                      &library->error),
                     BH_ENOTFOUND);
    assert_int_equal(
        tome_chunks_page(library->db, 2, book->id, 1, library->arena, &page, &library->error),
        BH_ENOTFOUND);
    free(book);
}

static void many_contents_in_the_order_asked(void **const state)
{
    struct test_library *const library = *state;
    const int64_t book = test_library_add(
        library,
        &(struct test_book){ .title = "T", .tags = "[\"x\"]", .chunks = { "a", "b", "c" } });
    const int64_t first = tome_chunk_id_first(book);
    const int64_t ids[] = { first + 2, 99, first, first + 2, first + 3 };
    struct tome_contents found;
    TEST_CHECK(tome_chunks_get_many(library->db, 1, ids, BH_COUNT_OF(ids), library->arena, &found,
                                    &library->error));
    assert_int_equal(found.count, 3);
    assert_int_equal(found.items[0].id, first + 2);
    assert_int_equal(found.items[1].id, first);
    assert_int_equal(found.items[2].id, first + 2);
    assert_text(found.items[1].content, "a");
    assert_text(found.items[1].tags, "[\"x\"]");
    TEST_CHECK(
        tome_chunks_get_many(library->db, 1, ids, 0, library->arena, &found, &library->error));
    assert_int_equal(found.count, 0);
    TEST_CHECK(tome_chunks_get_many(library->db, 2, ids, BH_COUNT_OF(ids), library->arena, &found,
                                    &library->error));
    assert_int_equal(found.count, 0);
}

static void only_ready_books_have_contents(void **const state)
{
    struct test_library *const library = *state;
    static const char *const states[] = { "loading", "purging" };
    for (size_t i = 0; i < BH_COUNT_OF(states); i++) {
        const int64_t book = test_library_add(
            library, &(struct test_book){ .title = "T", .state = states[i], .chunks = { "a" } });
        struct tome_content content;
        struct tome_book_page page;
        assert_int_equal(tome_chunks_get(library->db, 1, tome_chunk_id_first(book), library->arena,
                                         &content, &library->error),
                         BH_ENOTFOUND);
        assert_int_equal(
            tome_chunks_page(library->db, 1, book, 1, library->arena, &page, &library->error),
            BH_ENOTFOUND);
    }
}

static void a_book_is_walked_to_its_end(void **const state)
{
    struct test_library *const library = *state;
    const int64_t book = test_library_add(
        library, &(struct test_book){ .title = "T", .chunks = { "a", "b", "c", "d", "e" } });
    test_library_add(library, &(struct test_book){ .title = "U", .chunks = { "f" } });
    int64_t after = 0;
    char text[8] = "";
    for (size_t count = 2; count == 2;) {
        const struct tome_chunk_row *rows = NULL;
        TEST_CHECK(tome_chunks_after(library->db, 1, book, after, 2, library->arena, &rows, &count,
                                     &library->error));
        for (size_t i = 0; i < count; i++)
            text[strlen(text)] = rows[i].content.data[0];
        after = count > 0 ? rows[count - 1].id : after;
    }
    assert_string_equal(text, "abcde");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_library_setup, test_library_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_page_has_its_text),
        TEST(many_contents_in_the_order_asked),
        TEST(only_ready_books_have_contents),
        TEST(a_book_is_walked_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
