/* A Redis server of the test's own, on a free port of 127.0.0.1, in memory alone. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"

struct redis_server {
    pid_t pid;
    unsigned port;
    const char *password;          /* NULL: none */
    const char *certificate, *key; /* files; NULL: plain */
    char url[128];
};

static inline struct sockaddr_in redis_server_address(const unsigned port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline unsigned redis_server_free_port(void)
{
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = redis_server_address(0);
    socklen_t size = sizeof(address);
    bh_assert(bind(probe, (struct sockaddr *)&address, size) == 0);
    bh_assert(getsockname(probe, (struct sockaddr *)&address, &size) == 0);
    close(probe);
    return ntohs(address.sin_port);
}

static inline bool redis_server_listens(const unsigned port)
{
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = redis_server_address(port);
    const int result = connect(probe, (const struct sockaddr *)&address, sizeof(address));
    close(probe);
    return result == 0;
}

static inline void redis_server_start(struct redis_server *const server)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", server->port);
    char password[64];
    snprintf(password, sizeof(password), "%s", server->password ? server->password : "");
    char plain_port[] = "--port", tls_port[] = "--tls-port";
    char *const arguments[] = {
        (char[]){ "redis-server" }, server->certificate ? tls_port : plain_port, port,
        (char[]){ "--bind" }, (char[]){ "127.0.0.1" }, (char[]){ "--save" }, (char[]){ "" },
        (char[]){ "--appendonly" }, (char[]){ "no" }, (char[]){ "--requirepass" }, password,
        /* the rest under TLS alone */
        server->certificate ? plain_port : NULL, (char[]){ "0" }, (char[]){ "--tls-auth-clients" },
        (char[]){ "no" }, (char[]){ "--tls-cert-file" }, (char *)(uintptr_t)server->certificate,
        (char[]){ "--tls-key-file" }, (char *)(uintptr_t)server->key, NULL
    };
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    const int result = posix_spawnp(&server->pid, "redis-server", &actions, NULL, arguments,
                                    environ);
    posix_spawn_file_actions_destroy(&actions);
    if (result != 0)
        fprintf(stderr, "no redis-server here; install it (tools/deps test)\n");
    bh_assert(result == 0);
    while (!redis_server_listens(server->port)) {
        bh_assert(waitpid(server->pid, NULL, WNOHANG) == 0);
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
}

static inline void redis_server_create(struct redis_server *const server,
                                       const char *const password)
{
    *server = (struct redis_server){ .port = redis_server_free_port(), .password = password };
    snprintf(server->url, sizeof(server->url), "redis://127.0.0.1:%u/0", server->port);
    redis_server_start(server);
}

static inline void redis_server_kill(struct redis_server *const server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0)
        bh_assert(errno == EINTR);
    server->pid = 0;
}
