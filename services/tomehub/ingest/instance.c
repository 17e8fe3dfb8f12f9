/* One byte of a lock file for each process; see fcntl(2), F_OFD_SETLK. */
#include "ingest/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#define NUMBER_BITS 52 /* exact in every JSON reader; two of millions differ */

static struct flock byte_at(const int64_t number)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = number, .l_len = 1 };
}

int tome_instance_init(struct tome_instance *const instance, const char *const database_path,
                       struct bh_error *const reterr)
{
    char path[PATH_MAX];
    const int size = snprintf(path, sizeof(path), "%s.lock", database_path);
    if (size < 0 || (size_t)size >= sizeof(path))
        return bh_error_set(reterr, BH_EINVAL, "the path %s is too long", database_path);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return bh_error_errno(reterr, errno, "cannot open %s", path);
    for (;;) {
        uint64_t random = 0;
        if (uv_random(NULL, NULL, &random, sizeof(random), 0, NULL) != 0)
            break;
        const int64_t number = (int64_t)(random >> (64 - NUMBER_BITS)) + 1;
        struct flock lock = byte_at(number);
        if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
            *instance = (struct tome_instance){ .number = number, .fd = fd };
            return 0;
        }
        if (errno != EAGAIN && errno != EACCES) /* else the number is taken: another one */
            break;
    }
    const int errno_value = errno;
    close(fd);
    return bh_error_errno(reterr, errno_value, "cannot lock %s; is it on a local disk?", path);
}

int tome_instance_init_session(struct tome_instance *const instance, struct bh_db *const db,
                               const char *const url, struct bh_error *const reterr)
{
    struct tome_instance_session *session = NULL;
    int64_t number = 0;
    const int result = tome_instance_session_create(url, &session, &number, reterr);
    if (result == 0)
        *instance =
            (struct tome_instance){ .number = number, .fd = -1, .session = session, .db = db };
    return result;
}

void tome_instance_fini(struct tome_instance *const instance)
{
    if (instance->fd >= 0)
        close(instance->fd);
    tome_instance_session_destroy(instance->session);
    *instance = (struct tome_instance){ .fd = -1 };
}

bool tome_instance_is_alive(const struct tome_instance *const instance, const int64_t number)
{
    if (number == instance->number)
        return true;
    if (instance->session != NULL)
        return tome_instance_session_is_alive(instance->db, number);
    struct flock lock = byte_at(number);
    return fcntl(instance->fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

int64_t tome_instance_other(const struct tome_instance *const instance)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET }; /* of any byte */
    if (instance->session != NULL || fcntl(instance->fd, F_OFD_GETLK, &lock) != 0)
        return 0;
    return lock.l_type != F_UNLCK ? lock.l_start : 0;
}
