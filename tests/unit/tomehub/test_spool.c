/* Files in the making: content and hash, and that nothing stays behind. */
#include "cmocka_setup.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in_fiber.h"
#include "ingest/spool.h"

static char folder[] = "/tmp/test-spool-XXXXXX";
static struct bh_worker_pool *workers;

static int setup(void **const state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    return bh_worker_pool_create("spool", 2, 16, &workers);
}

static int teardown(void **const state)
{
    (void)state;
    bh_worker_pool_destroy(workers);
    return rmdir(folder); /* fails if a file stayed */
}

static unsigned files(void)
{
    unsigned count = 0;
    DIR *const open_folder = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(open_folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(open_folder);
    return count;
}

static void begin(struct tome_spool *const spool)
{
    struct bh_error error;
    assert_int_equal(tome_spool_init(spool, workers, folder, 0x1234, &error), 0);
}

static void assert_hash(const uint8_t hash[TOME_HASH_BYTES], const char *const hex)
{
    char text[2 * TOME_HASH_BYTES + 1];
    for (size_t i = 0; i < TOME_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, hex);
}

/* FIPS 180-2, B.1 to B.3. */
static void known_hashes(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    begin(&spool);
    assert_int_equal(tome_spool_write(&spool, BH_STR("abc"), &error), 0);
    assert_int_equal(files(), 0); /* small content waits for its end */
    assert_int_equal(tome_spool_finish(&spool, &error), 0);
    assert_hash(spool.hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(files(), 1);
    tome_spool_fini(&spool);
    assert_int_equal(files(), 0);

    begin(&spool);
    for (size_t i = 0; i < 1000; i++) {
        char thousand[1000];
        memset(thousand, 'a', sizeof(thousand));
        const struct bh_str piece = { .data = thousand, .size = sizeof(thousand) };
        assert_int_equal(tome_spool_write(&spool, piece, &error), 0);
    }
    assert_int_equal(tome_spool_finish(&spool, &error), 0);
    assert_hash(spool.hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(spool.size, 1000000);
    struct stat status;
    assert_int_equal(stat(spool.path, &status), 0);
    assert_int_equal(status.st_size, 1000000);
    assert_int_equal(status.st_mode & 0777, 0600);
    tome_spool_fini(&spool);

    begin(&spool);
    assert_int_equal(tome_spool_finish(&spool, &error), 0); /* an empty file is a file */
    assert_hash(spool.hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(files(), 1);
    tome_spool_fini(&spool);
}

static void a_kept_file_stays(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    char path[PATH_MAX];
    begin(&spool);
    assert_int_equal(tome_spool_write(&spool, BH_STR("kept"), &error), 0);
    assert_int_equal(tome_spool_finish(&spool, &error), 0);
    memcpy(path, spool.path, sizeof(path));
    tome_spool_keep(&spool);
    tome_spool_fini(&spool);
    tome_spool_fini(&spool); /* twice is harmless */
    assert_int_equal(files(), 1);
    assert_int_equal(unlink(path), 0);
}

static void an_unfinished_file_goes(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    static char piece[600 * 1024];
    begin(&spool);
    const struct bh_str data = { .data = piece, .size = sizeof(piece) };
    assert_int_equal(tome_spool_write(&spool, data, &error), 0);
    assert_int_equal(files(), 1);
    tome_spool_fini(&spool);
    assert_int_equal(files(), 0);
}

/* A limit on the size of files stands for a disk that is full. */
static void a_full_disk_is_told(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    static char piece[1024 * 1024];
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 300 * 1024;
    setrlimit(RLIMIT_FSIZE, &small);
    begin(&spool);
    const struct bh_str data = { .data = piece, .size = sizeof(piece) };
    const int result = tome_spool_write(&spool, data, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(result < 0);
    assert_int_equal(error.code, result);
    assert_non_null(strstr(error.message, spool.path));
    tome_spool_fini(&spool);
    assert_int_equal(files(), 0);
}

static void a_folder_that_is_gone_is_told(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    assert_int_equal(tome_spool_init(&spool, workers, "/nowhere", 1, &error), 0);
    assert_int_equal(tome_spool_write(&spool, BH_STR("x"), &error), 0);
    assert_int_equal(tome_spool_finish(&spool, &error), BH_EIO);
    assert_int_equal(error.code, BH_EIO);
    tome_spool_fini(&spool);
}

static int hash_now(struct bh_worker_job *const job, void *const argument)
{
    uint8_t hash[TOME_HASH_BYTES];
    uint64_t size = 0;
    struct bh_error error;
    const int result = tome_spool_hash_file(job, argument, hash, &size, &error);
    if (result == 0)
        assert_hash(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    return result;
}

static void files_are_hashed_alike(void *const argument)
{
    (void)argument;
    struct tome_spool spool;
    struct bh_error error;
    begin(&spool);
    assert_int_equal(tome_spool_write(&spool, BH_STR("abc"), &error), 0);
    assert_int_equal(tome_spool_finish(&spool, &error), 0);
    assert_int_equal(bh_worker_run(workers, hash_now, spool.path, NULL), 0);
    tome_spool_fini(&spool);
    assert_int_equal(bh_worker_run(workers, hash_now, spool.path, NULL), BH_ENOTFOUND);
}

#define TEST(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        in_fiber_run(name, NULL);         \
    }

TEST(known_hashes)
TEST(a_kept_file_stays)
TEST(an_unfinished_file_goes)
TEST(a_full_disk_is_told)
TEST(a_folder_that_is_gone_is_told)
TEST(files_are_hashed_alike)

int main(void)
{
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    sigaction(SIGXFSZ, &ignored, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hashes),
        cmocka_unit_test(test_a_kept_file_stays),
        cmocka_unit_test(test_an_unfinished_file_goes),
        cmocka_unit_test(test_a_full_disk_is_told),
        cmocka_unit_test(test_a_folder_that_is_gone_is_told),
        cmocka_unit_test(test_files_are_hashed_alike),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
