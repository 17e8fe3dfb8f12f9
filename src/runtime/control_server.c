#include "runtime/control_server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/base/time.h"

#define COMMAND_US (5 * BH_SECOND_US)

static void clear(struct bh_control_server *const server)
{
    *server = (struct bh_control_server){ .fd = -1, .place = { .folder = -1 } };
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        server->clients[i].fd = -1;
}

static int bind_and_listen(struct bh_control_server *const server, const char *const path,
                           struct bh_error *const reterr)
{
    const int other = bh_control_place_connect(&server->place);
    if (other >= 0) {
        close(other);
        return bh_error_set(reterr, BH_EEXISTS, "another supervisor answers at %s", path);
    }
    unlink(server->place.address.sun_path);
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = umask(0177);
    const bool bound = server->fd >= 0 &&
                       bind(server->fd, (const struct sockaddr *)&server->place.address,
                            sizeof(server->place.address)) == 0;
    umask(before);
    if (bound && listen(server->fd, BH_CONTROL_CLIENTS_MAX) == 0)
        return 0;
    return bh_error_errno(reterr, errno, "cannot listen at %s", path);
}

int bh_control_server_init(struct bh_control_server *const server, const char *const path,
                           struct bh_error *const reterr)
{
    clear(server);
    int result = bh_control_place_init(&server->place, path, reterr);
    if (result) {
        server->place.folder = -1;
        return result;
    }
    result = bind_and_listen(server, path, reterr);
    if (result == 0)
        return 0;
    if (server->fd >= 0)
        close(server->fd);
    bh_control_place_fini(&server->place);
    clear(server);
    return result;
}

static void drop(struct bh_control_client *const client)
{
    if (client->fd >= 0)
        close(client->fd);
    *client = (struct bh_control_client){ .fd = -1 };
}

void bh_control_server_fini(struct bh_control_server *const server)
{
    if (server->fd < 0)
        return;
    unlink(server->place.address.sun_path);
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX; i++)
        drop(&server->clients[i]);
    close(server->fd);
    bh_control_place_fini(&server->place);
    clear(server);
}

static bool is_permitted(const int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

void bh_control_server_accept(struct bh_control_server *const server, const uint64_t now_us)
{
    const int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (size_t i = 0; i < BH_CONTROL_CLIENTS_MAX && is_permitted(fd); i++) {
        if (server->clients[i].fd >= 0)
            continue;
        server->clients[i] = (struct bh_control_client){ .fd = fd,
                                                         .until_us = now_us + COMMAND_US };
        return;
    }
    close(fd);
}

bool bh_control_client_read(struct bh_control_client *const client, const uint64_t now_us)
{
    if (client->fd < 0 || client->is_waiting)
        return false;
    const ssize_t got = recv(client->fd, client->command + client->size,
                             sizeof(client->command) - client->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR) && now_us < client->until_us)
        return false;
    client->size += got > 0 ? (size_t)got : 0;
    char *const end = memchr(client->command, '\n', client->size);
    if (end) {
        *end = '\0';
        client->is_waiting = true;
        return true;
    }
    if (got <= 0 || client->size == sizeof(client->command))
        drop(client);
    return false;
}

void bh_control_client_answer(struct bh_control_client *const client, const struct bh_str answer)
{
    (void)!send(client->fd, answer.data, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    drop(client);
}
