/* The lock that ends with the process. */
#include "cmocka_setup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/instance.h"

static char database[64];

static int setup(void **const state)
{
    (void)state;
    snprintf(database, sizeof(database), "/tmp/test-instance-%d.db", (int)getpid());
    return 0;
}

static int teardown(void **const state)
{
    (void)state;
    char path[80];
    snprintf(path, sizeof(path), "%s.lock", database);
    unlink(path);
    return 0;
}

static struct tome_instance begin(void)
{
    struct tome_instance instance;
    struct bh_error error;
    if (tome_instance_init(&instance, database, &error) != 0)
        fail_msg("%s", error.message);
    return instance;
}

static void instances_see_each_other(void **const state)
{
    (void)state;
    struct tome_instance one = begin(), two = begin();
    assert_true(one.number > 0 && one.number != two.number);
    assert_true(tome_instance_is_alive(&one, one.number));
    assert_true(tome_instance_is_alive(&one, two.number));
    assert_true(tome_instance_is_alive(&two, one.number));
    assert_false(tome_instance_is_alive(&one, one.number ^ 1));
    assert_int_equal(tome_instance_other(&one), two.number);
    assert_int_equal(tome_instance_other(&two), one.number);
    const int64_t number = two.number;
    tome_instance_fini(&two);
    assert_false(tome_instance_is_alive(&one, number));
    assert_int_equal(tome_instance_other(&one), 0);
    tome_instance_fini(&one);
}

/* A child that holds an instance until it is killed; *ret_number is its number. */
static pid_t start_child(int64_t *const ret_number)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const struct tome_instance instance = begin();
        if (write(ends[1], &instance.number, sizeof(instance.number)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], ret_number, sizeof(*ret_number)), sizeof(*ret_number));
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void a_killed_process_is_dead_at_once(void **const state)
{
    (void)state;
    struct tome_instance mine = begin();
    int64_t number = 0;
    const pid_t child = start_child(&number);
    assert_true(tome_instance_is_alive(&mine, number));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(tome_instance_is_alive(&mine, number));
    tome_instance_fini(&mine);
}

static void a_stopped_process_still_lives(void **const state)
{
    (void)state;
    struct tome_instance mine = begin();
    int64_t number = 0;
    const pid_t child = start_child(&number);
    kill(child, SIGSTOP);
    assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
    assert_true(tome_instance_is_alive(&mine, number));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    tome_instance_fini(&mine);
}

static void a_folder_that_is_not_there_is_told(void **const state)
{
    (void)state;
    struct tome_instance instance = { .fd = 77 };
    struct bh_error error;
    assert_int_equal(tome_instance_init(&instance, "/nowhere/library.db", &error), BH_ENOTFOUND);
    assert_int_equal(instance.fd, 77);
    assert_non_null(strstr(error.message, "/nowhere/library.db.lock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_see_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_process_is_dead_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_process_still_lives, setup, teardown),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
