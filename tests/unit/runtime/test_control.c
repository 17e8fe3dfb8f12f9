#include "cmocka_setup.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/runtime/control.h"
#include "runtime/control_server.h"

static char folder[256], path[512];

static int set_up(void **const state)
{
    (void)state;
    /* longer than what a socket's address holds */
    char deep[] = "/tmp/bh-control-with-a-name-that-is-much-too-long-for-the-address-of-a-socket-"
                  "which-holds-no-more-than-a-hundred-and-seven-bytes-XXXXXX";
    snprintf(folder, sizeof(folder), "%s", mkdtemp(deep));
    snprintf(path, sizeof(path), "%s/control", folder);
    return 0;
}

static int tear_down(void **const state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int connected(void)
{
    struct bh_control_place place;
    struct bh_error error;
    assert_int_equal(bh_control_place_init(&place, path, &error), 0);
    const int fd = bh_control_place_connect(&place);
    bh_control_place_fini(&place);
    return fd;
}

static void test_a_question_gets_its_answer(void **const state)
{
    (void)state;
    struct bh_control_server server;
    struct bh_error error;
    assert_int_equal(bh_control_server_init(&server, path, &error), 0);
    const int fd = connected();
    assert_true(fd >= 0);
    bh_control_server_accept(&server, 0);
    struct bh_control_client *const client = &server.clients[0];
    assert_false(bh_control_client_read(client, 0));
    assert_int_equal(write(fd, "sta", 3), 3);
    assert_false(bh_control_client_read(client, 0));
    assert_int_equal(write(fd, "tus\nrest", 8), 8);
    assert_true(bh_control_client_read(client, 0));
    assert_string_equal(client->command, "status");
    bh_control_client_answer(client, BH_STR("fine\n"));
    char answer[16] = "";
    assert_int_equal(read(fd, answer, sizeof(answer)), 5);
    assert_string_equal(answer, "fine\n");
    close(fd);
    bh_control_server_fini(&server);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_what_a_killed_one_left_is_replaced(void **const state)
{
    (void)state;
    struct bh_control_server killed, server, third;
    struct bh_error error;
    struct stat about;
    assert_int_equal(bh_control_server_init(&killed, path, &error), 0);
    close(killed.fd); /* as its death would */
    assert_int_equal(bh_control_server_init(&server, path, &error), 0);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(bh_control_server_init(&third, path, &error), BH_EEXISTS);
    assert_int_equal(third.fd, -1);
    bh_control_server_fini(&third);
    assert_int_equal(access(path, F_OK), 0);
    bh_control_server_fini(&server);
    bh_control_place_fini(&killed.place);
}

static void test_clients_are_bounded(void **const state)
{
    (void)state;
    struct bh_control_server server;
    struct bh_error error;
    int fds[BH_CONTROL_CLIENTS_MAX + 1];
    char byte;
    assert_int_equal(bh_control_server_init(&server, path, &error), 0);
    for (size_t i = 0; i < BH_COUNT_OF(fds); i++) {
        fds[i] = connected();
        bh_control_server_accept(&server, 0);
    }
    assert_int_equal(read(fds[BH_CONTROL_CLIENTS_MAX], &byte, 1), 0); /* turned away */

    /* one says too much, one goes away, one says nothing for too long */
    static const char noise[BH_CONTROL_COMMAND_MAX] = "without an end without an end!!";
    assert_int_equal(write(fds[0], noise, sizeof(noise)), sizeof(noise));
    close(fds[1]);
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        assert_false(bh_control_client_read(&server.clients[i], 0));
    assert_int_equal(server.clients[0].fd, -1);
    assert_int_equal(server.clients[1].fd, -1);
    assert_true(server.clients[2].fd >= 0);
    assert_false(bh_control_client_read(&server.clients[2], server.clients[2].until_us));
    assert_int_equal(server.clients[2].fd, -1);
    for (size_t i = 0; i < BH_COUNT_OF(fds); i++)
        if (i != 1)
            close(fds[i]);
    bh_control_server_fini(&server);
}

static void test_asking_nobody_fails(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf answer;
    bh_buf_init(&answer, BH_CONTROL_ANSWER_MAX);
    struct bh_error error;
    assert_int_equal(bh_control_ask(path, "status", BH_SECOND_US, &answer, &error),
                     BH_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "no supervisor answers"));
    struct bh_control_server server; /* one that never answers */
    assert_int_equal(bh_control_server_init(&server, path, &error), 0);
    assert_int_equal(bh_control_ask(path, "status", 20 * BH_MS_US, &answer, &error), BH_ETIMEDOUT);
    bh_control_server_fini(&server);
    assert_int_equal(bh_control_ask("/nowhere/at/all", "status", 1, &answer, &error), BH_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_gets_its_answer),
        cmocka_unit_test(test_what_a_killed_one_left_is_replaced),
        cmocka_unit_test(test_clients_are_bounded),
        cmocka_unit_test(test_asking_nobody_fails),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
