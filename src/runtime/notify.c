#include "runtime/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define TEXT_BYTES_MAX 512

/* A path, or behind an @ a name in the abstract space. */
static int connect_to(const char *const name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const size_t size = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, length) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static uint64_t watchdog_us(void)
{
    const char *const pid = getenv("WATCHDOG_PID");
    const char *const interval = getenv("WATCHDOG_USEC");
    int64_t value = 0;
    if (pid && (bh_str_to_int64(bh_str_from(pid), 1, INT32_MAX, &value) != 0 || value != getpid()))
        return 0;
    if (!interval || bh_str_to_int64(bh_str_from(interval), 1, INT64_MAX, &value) != 0)
        return 0;
    return (uint64_t)value;
}

void bh_notify_init(struct bh_notify *const notify)
{
    *notify = (struct bh_notify){ .fd = -1 };
    const char *const name = getenv("NOTIFY_SOCKET");
    if (name) {
        notify->fd = connect_to(name);
        if (notify->fd < 0)
            bh_log_warning("supervisor", "cannot reach NOTIFY_SOCKET=%s: systemd is told nothing",
                           name);
        else
            notify->watchdog_us = watchdog_us();
    }
}

void bh_notify_fini(struct bh_notify *const notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void bh_notify_send(const struct bh_notify *const notify, const char *const format, ...)
{
    if (notify->fd < 0)
        return;
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size <= 0)
        return;
    const size_t length = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    (void)!send(notify->fd, text, length, MSG_NOSIGNAL);
}

void bh_notify_reloading(const struct bh_notify *const notify)
{
    bh_notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)bh_time_now_us());
}
