/* Batches of several jobs on their way into a real database. */
#include "cmocka_setup.h"

#include "in_fiber.h"
#include "ingest/writer.h"
#include "tomehub/test_library.h"

#define JOBS 4
#define INSTANCE INT64_C(1001)

/* A book of one chunk. */
struct book {
    struct tome_claim claim;
    struct tome_index_batch *index;
    struct bh_db_value row[TOME_CHUNK_COLUMNS];
    struct tome_intake_finish finish;
    struct tome_write write;
};

struct setting {
    struct test_library *library;
    struct tome_writer writer;
    struct book books[JOBS];
};

static void make_book(struct test_library *const library, const size_t number,
                      struct book *const book)
{
    static const char *const hashes[JOBS] = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                              "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                              "cccccccccccccccccccccccccccccccc",
                                              "dddddddddddddddddddddddddddddddd" };
    const struct tome_submission submission = { .owner_id = 1,
                                                .instance = INSTANCE,
                                                .input = BH_STR("/tmp/input"),
                                                .input_kind = BH_STR("upload"),
                                                .content_hash = bh_str_from(hashes[number]),
                                                .file_name = BH_STR("a.txt"),
                                                .title = BH_STR(""),
                                                .author = BH_STR(""),
                                                .source_type = BH_STR("BOOK"),
                                                .language = BH_STR(""),
                                                .tags = BH_STR("[]"),
                                                .metadata = BH_STR("{}"),
                                                .byte_size = 7 };
    struct tome_submitted submitted;
    TEST_CHECK(
        tome_jobs_submit(library->db, &submission, library->arena, &submitted, &library->error));
    TEST_CHECK(
        tome_jobs_claim(library->db, INSTANCE, library->arena, &book->claim, &library->error));
    const int64_t book_id = book->claim.book_id, id = tome_chunk_id_first(book_id);
    const struct bh_db_value row[TOME_CHUNK_COLUMNS] = {
        bh_db_int(id),
        bh_db_int(1),
        bh_db_int(book_id),
        test_text(""),
        bh_db_int(1),
        bh_db_int(1),
        bh_db_null(),
        bh_db_int(1),
        bh_db_int(0),
        bh_db_int(2),
        test_text("heron pond"),
    };
    memcpy(book->row, row, sizeof(row));
    const struct tome_index_chunk chunk = { .id = id, .content = BH_STR("heron pond") };
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer,
                                  TOME_LANGUAGE_ENGLISH, &chunk, 1, &book->index, &library->error));
    book->finish = (struct tome_intake_finish){ .title = BH_STR("Title"),
                                                .author = BH_STR(""),
                                                .tags = BH_STR("[]"),
                                                .title_default = BH_STR("a"),
                                                .page_kind = BH_STR("section"),
                                                .page_count = 1,
                                                .chunk_count = 1,
                                                .word_count = 2 };
    book->write = (struct tome_write){
        .intake = { .claim = &book->claim,
                    .language = BH_STR("en"),
                    .rows = { .chunks = book->row, .chunk_count = 1, .index = book->index },
                    .finish = &book->finish },
    };
}

static void start_all(struct setting *const setting)
{
    struct test_library *const library = setting->library;
    for (size_t i = 0; i < JOBS; i++)
        TEST_CHECK(tome_write_start(&setting->writer, &setting->books[i].write, &library->error));
}

static int64_t count(struct setting *const setting, const char *const sql)
{
    return test_library_run(setting->library, sql);
}

#define READY "SELECT count(*) FROM books WHERE state = 'ready'"

/* Full-text search makes one segment of what comes in one transaction. */
#define SEGMENTS "SELECT count(DISTINCT segid) FROM chunks_fts_idx"

static void what_waits_goes_into_one_transaction(void *const argument)
{
    struct setting *const setting = argument;
    struct test_library *const library = setting->library;
    start_all(setting);
    for (size_t i = 0; i < JOBS; i++)
        TEST_CHECK(tome_write_await(&setting->books[i].write, &library->error));
    assert_int_equal(count(setting, READY), JOBS);
    assert_int_equal(count(setting, SEGMENTS), 2); /* the first one, then the others together */
    assert_int_equal(count(setting, "SELECT count(*) FROM index_words"), 2);
}

/* Its job is not there any more; the others do not suffer for it. */
static void a_batch_at_fault_fails_alone(void *const argument)
{
    struct setting *const setting = argument;
    struct test_library *const library = setting->library;
    char sql[100];
    snprintf(sql, sizeof(sql), "UPDATE books SET state = 'purging' WHERE id = %lld",
             (long long)setting->books[2].claim.book_id);
    test_library_run(library, sql);
    start_all(setting);
    for (size_t i = 0; i < JOBS; i++) {
        struct bh_error error = { 0 };
        const int result = tome_write_await(&setting->books[i].write, &error);
        assert_int_equal(result, i == 2 ? BH_ECONFLICT : 0);
        assert_int_equal(error.code, result);
    }
    assert_int_equal(count(setting, READY), JOBS - 1);
    assert_int_equal(count(setting, "SELECT count(*) FROM chunks"), JOBS - 1);
    /* The words of the transaction that was rolled back were not taken for known. */
    assert_int_equal(count(setting, "SELECT count(*) FROM index_words"), 2);
}

static void all_fail_when_the_database_does(void *const argument)
{
    struct setting *const setting = argument;
    test_library_run(setting->library, "CREATE TRIGGER full BEFORE INSERT ON chunks "
                                       "BEGIN SELECT RAISE(ABORT, 'full'); END");
    start_all(setting);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(tome_write_await(&setting->books[i].write, NULL) < 0);
    test_library_run(setting->library, "DROP TRIGGER full");
    assert_int_equal(count(setting, READY), 0);
    start_all(setting);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(tome_write_await(&setting->books[i].write, NULL), 0);
    assert_int_equal(count(setting, READY), JOBS);
}

/* A cancelled fiber stays until its batch's memory is not needed any more. */
static void a_cancelled_fiber_awaits_its_write(void *const argument)
{
    struct setting *const setting = argument;
    start_all(setting);
    bh_fiber_cancel(bh_fiber_current());
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(tome_write_await(&setting->books[i].write, NULL), 0);
}

static void run(struct test_library *const library, bh_fiber_function *const body)
{
    struct setting setting = { .library = library };
    assert_int_equal(tome_writer_init(&setting.writer, library->db), 0);
    for (size_t i = 0; i < JOBS; i++)
        make_book(library, i, &setting.books[i]);
    in_fiber_run(body, &setting);
    for (size_t i = 0; i < JOBS; i++)
        tome_index_batch_destroy(setting.books[i].index);
    tome_writer_fini(&setting.writer);
}

#define TEST(name)                              \
    static void test_##name(void **const state) \
    {                                           \
        run(*state, name);                      \
    }

TEST(what_waits_goes_into_one_transaction)
TEST(a_batch_at_fault_fails_alone)
TEST(all_fail_when_the_database_does)
TEST(a_cancelled_fiber_awaits_its_write)

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_library_setup, test_library_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_waits_goes_into_one_transaction),
        CASE(test_a_batch_at_fault_fails_alone),
        CASE(test_all_fail_when_the_database_does),
        CASE(test_a_cancelled_fiber_awaits_its_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
