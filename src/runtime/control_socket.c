#include "runtime/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/str.h"
#include "bulkhead/base/time.h"
#include "bulkhead/runtime/control.h"

#define STEP_BYTES 4096

int bh_control_place_init(struct bh_control_place *const place, const char *const path,
                          struct bh_error *const reterr)
{
    char folder[PATH_MAX];
    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    const size_t size = slash ? (size_t)(slash - path) + 1 : 0;
    if (size >= sizeof(folder))
        return bh_error_set(reterr, BH_EINVAL, "the path %s is too long", path);
    memcpy(folder, path, size);
    memcpy(folder + size, size > 0 ? "" : ".", size > 0 ? 1 : 2);
    *place = (struct bh_control_place){ .address = { .sun_family = AF_UNIX } };
    place->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->folder < 0)
        return bh_error_errno(reterr, errno, "cannot open the folder of %s", path);
    const int written = snprintf(place->address.sun_path, sizeof(place->address.sun_path),
                                 "/proc/self/fd/%d/%s", place->folder, name);
    if (name[0] != '\0' && written > 0 && (size_t)written < sizeof(place->address.sun_path))
        return 0;
    bh_control_place_fini(place);
    return bh_error_set(reterr, BH_EINVAL, "\"%s\" is no name for a socket: 1 to 80 bytes", name);
}

void bh_control_place_fini(struct bh_control_place *const place)
{
    if (place->folder >= 0)
        close(place->folder);
    place->folder = -1;
}

int bh_control_place_connect(const struct bh_control_place *const place)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (const struct sockaddr *)&place->address, sizeof(place->address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- Asking ---- */

static int receive(const int fd, const uint64_t until_us, struct bh_buf *const answer,
                   struct bh_error *const reterr)
{
    for (;;) {
        const uint64_t now_us = bh_time_now_us();
        const uint64_t left_ms = until_us > now_us ? (until_us - now_us) / BH_MS_US + 1 : 0;
        struct pollfd readable = { .fd = fd, .events = POLLIN };
        const int ready = left_ms > 0 ? poll(&readable, 1, (int)(left_ms < 60000 ? left_ms : 60000))
                                      : 0;
        if (ready == 0 && left_ms == 0)
            return bh_error_set(reterr, BH_ETIMEDOUT, "the supervisor did not answer in time");
        if (ready <= 0)
            continue;
        char *const to = bh_buf_reserve(answer, STEP_BYTES);
        if (!to)
            return bh_error_set(reterr, bh_buf_error(answer), "the answer is too long");
        const ssize_t got = recv(fd, to, STEP_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bh_error_errno(reterr, errno, "the supervisor went away");
        if (got == 0)
            return answer->size > 0
                       ? 0
                       : bh_error_set(reterr, BH_EUNAVAILABLE, "the supervisor gave no answer");
        bh_buf_advance(answer, (size_t)got);
    }
}

int bh_control_ask(const char *const path, const char *const command, const uint64_t timeout_us,
                   struct bh_buf *const answer, struct bh_error *const reterr)
{
    struct bh_control_place place;
    int result = bh_control_place_init(&place, path, reterr);
    if (result)
        return result;
    const int fd = bh_control_place_connect(&place);
    bh_control_place_fini(&place);
    if (fd < 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "no supervisor answers at %s: %s", path,
                            strerrordesc_np(errno));
    char line[64];
    const int size = snprintf(line, sizeof(line), "%s\n", command);
    if (size < 0 || (size_t)size >= sizeof(line) ||
        send(fd, line, (size_t)size, MSG_NOSIGNAL) != size)
        result = bh_error_set(reterr, BH_EUNAVAILABLE, "the supervisor at %s does not listen",
                              path);
    else
        result = receive(fd, bh_time_now_us() + timeout_us, answer, reterr);
    close(fd);
    return result;
}
