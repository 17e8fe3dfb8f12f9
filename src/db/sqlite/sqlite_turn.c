#include "db/sqlite/sqlite_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int bh_sqlite_turn_open(const char *const path, int *const ret_file, struct bh_error *const reterr)
{
    char name[4096];
    const int size = snprintf(name, sizeof(name), "%s-turn", path);
    if (size < 0 || (size_t)size >= sizeof(name))
        return bh_error_set(reterr, BH_EINVAL, "database \"%s\": its path is too long", path);
    const int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0)
        return bh_error_errno(reterr, errno, "\"%s\": make it writable for this user", name);
    *ret_file = file;
    return 0;
}

void bh_sqlite_turn_close(const int file)
{
    close(file);
}

bool bh_sqlite_turn_try(const int file)
{
    return flock(file, LOCK_EX | LOCK_NB) == 0;
}

void bh_sqlite_turn_give(const int file)
{
    flock(file, LOCK_UN);
}
