/* Jobs and the books they make, on a real database: from submission to purge. */
#include "cmocka_setup.h"

#include "library/books.h"
#include "library/intake.h"
#include "library/jobs.h"
#include "tomehub/test_library.h"

#define ME INT64_C(1001)
#define OTHER INT64_C(2002)

static const char hash_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  hash_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct tome_submission submission_of(const char *const hash, const int64_t instance)
{
    return (struct tome_submission){ .owner_id = 1,
                                     .instance = instance,
                                     .input = BH_STR("/tmp/input"),
                                     .input_kind = BH_STR("upload"),
                                     .content_hash = bh_str_from(hash),
                                     .file_name = BH_STR("a.txt"),
                                     .title = BH_STR(""),
                                     .author = BH_STR(""),
                                     .source_type = BH_STR("BOOK"),
                                     .language = BH_STR(""),
                                     .tags = BH_STR("[]"),
                                     .metadata = BH_STR("{}"),
                                     .byte_size = 7 };
}

static struct tome_submitted submit(struct test_library *const library,
                                    const struct tome_submission *const submission)
{
    struct tome_submitted submitted;
    TEST_CHECK(
        tome_jobs_submit(library->db, submission, library->arena, &submitted, &library->error));
    return submitted;
}

static struct tome_claim claim(struct test_library *const library, const int64_t instance)
{
    struct tome_claim claimed;
    TEST_CHECK(tome_jobs_claim(library->db, instance, library->arena, &claimed, &library->error));
    return claimed;
}

static struct tome_job job(struct test_library *const library, const int64_t id)
{
    struct tome_job found;
    TEST_CHECK(tome_jobs_get(library->db, 1, id, library->arena, &found, &library->error));
    return found;
}

static void assert_text(const struct bh_str text, const char *const wanted)
{
    if (!bh_str_equal(text, bh_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", BH_STR_ARGS(text), wanted);
}

/* One chunk, and with `title` the end of the job. */
static int write_chunk(struct test_library *const library, const struct tome_claim *const claimed,
                       const char *const title)
{
    const int64_t id = tome_chunk_id_first(claimed->book_id);
    const struct bh_db_value row[TOME_CHUNK_COLUMNS] = {
        bh_db_int(id),
        bh_db_int(1),
        bh_db_int(claimed->book_id),
        test_text(""),
        bh_db_int(1),
        bh_db_int(1),
        bh_db_null(),
        bh_db_int(1),
        bh_db_int(0),
        bh_db_int(2),
        test_text("heron pond"),
    };
    const struct bh_db_value chapter[TOME_CHAPTER_COLUMNS] = { bh_db_int(claimed->book_id),
                                                               bh_db_int(0), test_text("One"),
                                                               bh_db_int(1) };
    const struct tome_index_chunk chunk = { .id = id, .content = BH_STR("heron pond") };
    const struct tome_intake_finish finish = { .title = bh_str_from(title),
                                               .author = BH_STR("A"),
                                               .tags = BH_STR("[]"),
                                               .title_default = BH_STR("a"),
                                               .page_kind = BH_STR("section"),
                                               .page_count = 1,
                                               .chunk_count = 1,
                                               .word_count = 2 };
    struct tome_index_batch *batch = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer,
                                  TOME_LANGUAGE_ENGLISH, &chunk, 1, &batch, &library->error));
    const struct tome_intake intake = { .claim = claimed,
                                        .language = BH_STR("en"),
                                        .rows = { .chunks = row,
                                                  .chunk_count = 1,
                                                  .chapters = chapter,
                                                  .chapter_count = 1,
                                                  .index = batch },
                                        .progress = { .percent = 40, .pages = 1, .chunks = 1 },
                                        .finish = title != NULL ? &finish : NULL };
    const struct tome_intake *const batches[] = { &intake };
    size_t failed;
    const int result = tome_intake_write(library->db, library->analyzer, NULL, batches, 1,
                                         library->arena, &failed, &library->error);
    assert_int_equal(failed, result == 0 ? 1 : 0);
    tome_index_batch_destroy(batch);
    return result;
}

static int64_t count(struct test_library *const library, const char *const table)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return test_library_run(library, sql);
}

/* ---- Tests ---- */

static void a_job_goes_its_way(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    const struct tome_submitted submitted = submit(library, &submission);
    assert_true(submitted.is_new && submitted.job_id > 0 && submitted.book_id > 0);
    assert_text(job(library, submitted.job_id).status, "queued");

    const struct tome_claim claimed = claim(library, ME);
    assert_int_equal(claimed.job_id, submitted.job_id);
    assert_int_equal(claimed.book_id, submitted.book_id);
    assert_int_equal(claimed.attempt, 1);
    assert_int_equal(claimed.byte_size, 7);
    assert_text(claimed.content_hash, hash_a);
    assert_text(job(library, submitted.job_id).stage, "extract");

    assert_int_equal(write_chunk(library, &claimed, NULL), 0);
    struct tome_job running = job(library, submitted.job_id);
    assert_text(running.stage, "index");
    assert_int_equal(running.percent, 40);
    struct tome_book book;
    assert_int_equal(
        tome_books_get(library->db, 1, claimed.book_id, library->arena, &book, &library->error),
        BH_ENOTFOUND);
    assert_int_equal(test_library_search(library, "heron").total_count, 0);
}

static void the_last_write_shows_the_book(void **const state)
{
    struct test_library *const library = *state;
    const int64_t generation = test_library_run(library, "SELECT generation FROM owners");
    const struct tome_submission submission = submission_of(hash_a, ME);
    const struct tome_submitted submitted = submit(library, &submission);
    const struct tome_claim claimed = claim(library, ME);
    assert_int_equal(write_chunk(library, &claimed, "The Title"), 0);
    const struct tome_job done = job(library, submitted.job_id);
    assert_text(done.status, "done");
    assert_text(done.title, "The Title");
    assert_int_equal(done.percent, 100);
    assert_true(done.finished_at >= done.created_at);
    struct tome_book book;
    TEST_CHECK(
        tome_books_get(library->db, 1, claimed.book_id, library->arena, &book, &library->error));
    assert_text(book.title, "The Title");
    assert_text(book.language, "en");
    assert_int_equal(test_library_search(library, "heron").total_count, 1);
    assert_true(test_library_run(library, "SELECT generation FROM owners") > generation);
    assert_int_equal(submit(library, &submission).job_id, 0);
    assert_int_equal(submit(library, &submission).book_id, claimed.book_id);
}

static void the_same_content_has_one_job(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    const struct tome_submitted first = submit(library, &submission);
    const struct tome_submitted second = submit(library, &submission);
    assert_false(second.is_new);
    assert_int_equal(second.job_id, first.job_id);
    assert_int_equal(second.book_id, first.book_id);
    assert_int_equal(count(library, "books"), 1);
    const struct tome_submission other = submission_of(hash_b, ME);
    assert_true(submit(library, &other).is_new);
}

static void a_failed_job_frees_its_content(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    const struct tome_submitted first = submit(library, &submission);
    const struct tome_claim claimed = claim(library, ME);
    TEST_CHECK(tome_jobs_fail(library->db, &claimed, BH_STR("no good"), &library->error));
    const struct tome_job failed = job(library, first.job_id);
    assert_text(failed.status, "failed");
    assert_text(failed.error, "no good");
    struct tome_purge_book purge;
    TEST_CHECK(tome_purge_next(library->db, library->arena, &purge, &library->error));
    assert_int_equal(purge.id, first.book_id);
    assert_true(submit(library, &submission).is_new);
}

static void jobs_come_in_order_and_only_to_their_process(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission mine = submission_of(hash_a, ME),
                                 theirs = submission_of(hash_b, OTHER);
    submit(library, &theirs);
    const struct tome_submitted submitted = submit(library, &mine);
    assert_int_equal(claim(library, ME).job_id, submitted.job_id);
    struct tome_claim none = { .job_id = -1 };
    assert_int_equal(tome_jobs_claim(library->db, ME, library->arena, &none, &library->error),
                     BH_ENOTFOUND);
    assert_int_equal(none.job_id, -1);
}

static void the_living_take_over_from_the_dead(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission one = submission_of(hash_a, OTHER),
                                 two = submission_of(hash_b, OTHER);
    const struct tome_submitted running = submit(library, &one);
    submit(library, &two);
    claim(library, OTHER);
    const int64_t *instances = NULL;
    size_t instance_count = 0;
    TEST_CHECK(tome_jobs_instances(library->db, library->arena, &instances, &instance_count,
                                   &library->error));
    assert_int_equal(instance_count, 1);
    assert_int_equal(instances[0], OTHER);
    const struct tome_job_left *left = NULL;
    size_t left_count = 0;
    TEST_CHECK(
        tome_jobs_left(library->db, OTHER, library->arena, &left, &left_count, &library->error));
    assert_int_equal(left_count, 2);
    assert_int_equal(left[0].id, running.job_id);
    assert_true(bh_str_equal(left[0].input, one.input) && left[0].created_at > 0);
    const int64_t jobs[] = { left[0].id, left[1].id };
    const size_t counts[] = { 1, 2, 2 }; /* the first; what is left of both; nothing is */
    for (size_t i = 0; i < BH_COUNT_OF(counts); i++) {
        int64_t taken = -1;
        TEST_CHECK(
            tome_jobs_take_over(library->db, ME, OTHER, jobs, counts[i], &taken, &library->error));
        assert_int_equal(taken, i < 2 ? 1 : 0);
    }
    const struct tome_claim claimed = claim(library, ME);
    assert_int_equal(claimed.job_id, running.job_id);
    assert_int_equal(claimed.attempt, 2); /* so what the dead one wrote is purged first */
}

static void a_leaving_process_gives_its_jobs_back(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    const struct tome_submitted submitted = submit(library, &submission);
    claim(library, ME);
    for (int64_t round = 0; round < 3; round++) {
        TEST_CHECK(tome_jobs_release(library->db, ME, &library->error));
        assert_text(job(library, submitted.job_id).status, "queued");
        assert_int_equal(claim(library, ME).attempt, 2); /* leftovers, but no further attempt */
    }
}

static void replacing_is_one_step(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission first = submission_of(hash_a, ME);
    submit(library, &first);
    const struct tome_claim old = claim(library, ME);
    assert_int_equal(write_chunk(library, &old, "Old"), 0);
    struct tome_submission second = submission_of(hash_b, ME);
    second.replaces = old.book_id;
    submit(library, &second);
    const struct tome_claim new = claim(library, ME);
    assert_int_equal(new.replaces, old.book_id);
    assert_int_equal(test_library_search(library, "heron").hits[0].book_id, old.book_id);
    assert_int_equal(write_chunk(library, &new, "New"), 0);
    const struct tome_search_answer answer = test_library_search(library, "heron");
    assert_int_equal(answer.total_count, 1);
    assert_int_equal(answer.hits[0].book_id, new.book_id);
}

static void replacing_is_refused_where_it_makes_no_sense(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission first = submission_of(hash_a, ME);
    submit(library, &first);
    const struct tome_claim known = claim(library, ME);
    assert_int_equal(write_chunk(library, &known, "Known"), 0);
    struct tome_submission again = submission_of(hash_a, ME);
    struct tome_submitted submitted = { .job_id = -1 };
    again.replaces = known.book_id + 100;
    assert_int_equal(
        tome_jobs_submit(library->db, &again, library->arena, &submitted, &library->error),
        BH_ECONFLICT);
    struct tome_submission missing = submission_of(hash_b, ME);
    missing.replaces = known.book_id + 100;
    assert_int_equal(
        tome_jobs_submit(library->db, &missing, library->arena, &submitted, &library->error),
        BH_ENOTFOUND);
    assert_int_equal(submitted.job_id, -1);
    assert_int_equal(count(library, "jobs"), 1);
    assert_int_equal(count(library, "books"), 1);
}

static void a_purge_leaves_nothing(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    submit(library, &submission);
    const struct tome_claim claimed = claim(library, ME);
    assert_int_equal(write_chunk(library, &claimed, "Gone"), 0);
    TEST_CHECK(tome_books_delete(library->db, 1, claimed.book_id, library->arena, &library->error));
    struct tome_purge_book book;
    TEST_CHECK(tome_purge_next(library->db, library->arena, &book, &library->error));
    const struct tome_index_chunk *chunks = NULL;
    size_t chunk_count = 0;
    TEST_CHECK(tome_purge_read(library->db, book.id, 10, library->arena, &chunks, &chunk_count,
                               &library->error));
    assert_int_equal(chunk_count, 1);
    struct tome_index_batch *batch = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer,
                                  tome_language_from_code(book.language), chunks, chunk_count,
                                  &batch, &library->error));
    TEST_CHECK(tome_purge_chunks(library->db, &book, chunks, chunk_count, batch, &library->error));
    /* Another process that had read the same rows comes too late, and changes nothing. */
    assert_int_equal(
        tome_purge_chunks(library->db, &book, chunks, chunk_count, batch, &library->error),
        BH_ECONFLICT);
    tome_index_batch_destroy(batch);
    TEST_CHECK(tome_purge_rest(library->db, &book, true, &library->error));
    assert_int_equal(
        count(library, "books") + count(library, "chunks") + count(library, "chapters"), 0);
    assert_int_equal(tome_purge_next(library->db, library->arena, &book, &library->error),
                     BH_ENOTFOUND);
}

static void only_inputs_of_live_jobs_are_needed(void **const state)
{
    struct test_library *const library = *state;
    const struct tome_submission submission = submission_of(hash_a, ME);
    submit(library, &submission);
    const struct bh_str paths[] = { BH_STR("/tmp/other"), BH_STR("/tmp/input"),
                                    BH_STR("/tmp/in\"put") };
    bool needed[3];
    TEST_CHECK(
        tome_jobs_inputs_needed(library->db, paths, 3, library->arena, needed, &library->error));
    assert_true(!needed[0] && needed[1] && !needed[2]);
    const struct tome_claim claimed = claim(library, ME);
    TEST_CHECK(tome_jobs_fail(library->db, &claimed, BH_STR("x"), &library->error));
    TEST_CHECK(
        tome_jobs_inputs_needed(library->db, paths, 3, library->arena, needed, &library->error));
    assert_false(needed[1]);
}

static void old_jobs_are_forgotten(void **const state)
{
    struct test_library *const library = *state;
    test_library_run(
        library, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050) "
                 "INSERT INTO jobs (owner_id, status, stage, instance, book_id, input, "
                 "input_kind, content_hash, created_at) "
                 "SELECT 1, iif(i = 3, 'queued', 'done'), iif(i = 3, 'queued', 'done'), "
                 "iif(i = 3, 7, NULL), i, '', 'upload', randomblob(32), 1 FROM n");
    TEST_CHECK(tome_jobs_prune(library->db, &library->error));
    assert_int_equal(count(library, "jobs"), TOME_JOBS_REMEMBERED + 1);
    assert_text(job(library, 3).status, "queued");
    struct tome_job_counts counts;
    TEST_CHECK(tome_jobs_count(library->db, library->arena, &counts, &library->error));
    assert_int_equal(counts.queued, 1);
    assert_int_equal(counts.running, 0);
}

static void owners_do_not_see_each_other(void **const state)
{
    struct test_library *const library = *state;
    test_library_run(library, "INSERT INTO owners (id) VALUES (2)");
    struct tome_submission mine = submission_of(hash_a, ME), theirs = submission_of(hash_a, ME);
    theirs.owner_id = 2;
    const struct tome_submitted first = submit(library, &mine);
    const struct tome_submitted second = submit(library, &theirs);
    assert_true(second.is_new && second.book_id != first.book_id);
    struct tome_job found;
    assert_int_equal(
        tome_jobs_get(library->db, 1, second.job_id, library->arena, &found, &library->error),
        BH_ENOTFOUND);
    const struct tome_job *jobs = NULL;
    size_t job_count = 0;
    TEST_CHECK(tome_jobs_list(library->db, 2, BH_STR_NONE, 10, library->arena, &jobs, &job_count,
                              &library->error));
    assert_int_equal(job_count, 1);
    assert_int_equal(jobs[0].id, second.job_id);
    const struct tome_claim claimed = claim(library, ME);
    assert_int_equal(write_chunk(library, &claimed, "Mine"), 0);
    assert_int_equal(
        tome_books_delete(library->db, 2, claimed.book_id, library->arena, &library->error),
        BH_ENOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_library_setup, test_library_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_goes_its_way),
        TEST(the_last_write_shows_the_book),
        TEST(the_same_content_has_one_job),
        TEST(a_failed_job_frees_its_content),
        TEST(jobs_come_in_order_and_only_to_their_process),
        TEST(the_living_take_over_from_the_dead),
        TEST(a_leaving_process_gives_its_jobs_back),
        TEST(replacing_is_one_step),
        TEST(replacing_is_refused_where_it_makes_no_sense),
        TEST(a_purge_leaves_nothing),
        TEST(only_inputs_of_live_jobs_are_needed),
        TEST(old_jobs_are_forgotten),
        TEST(owners_do_not_see_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
