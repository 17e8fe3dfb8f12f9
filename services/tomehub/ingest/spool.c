/* Collects a quarter of a megabyte at a time for the worker threads, which write and hash it. */
#include "ingest/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE_BYTES (256u * 1024)

static atomic_uint_fast64_t next_number; /* makes the names of this process's files differ */

int tome_spool_init(struct tome_spool *const spool, struct bh_worker_pool *const workers,
                    const char *const directory, const int64_t instance,
                    struct bh_error *const reterr)
{
    *spool = (struct tome_spool){ .workers = workers, .fd = -1 };
    bh_buf_init(&spool->pending, 2 * PIECE_BYTES);
    const uint64_t number = atomic_fetch_add(&next_number, 1);
    const int size = snprintf(spool->path, sizeof(spool->path), "%s/%" PRIx64 "-%" PRIu64,
                              directory, (uint64_t)instance, number);
    if (size < 0 || (size_t)size >= sizeof(spool->path))
        return bh_error_set(reterr, BH_EINVAL, "the path %s is too long", directory);
    spool->digest = EVP_MD_CTX_new();
    if (spool->digest == NULL || EVP_DigestInit_ex(spool->digest, EVP_sha256(), NULL) != 1)
        return bh_error_set(reterr, BH_ENOMEM, "cannot begin a SHA-256");
    return 0;
}

void tome_spool_fini(struct tome_spool *const spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    if (spool->exists)
        unlink(spool->path);
    bh_buf_fini(&spool->pending);
    EVP_MD_CTX_free(spool->digest);
    *spool = (struct tome_spool){ .fd = -1 };
}

void tome_spool_keep(struct tome_spool *const spool)
{
    spool->exists = false;
}

static int write_all(const int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

int tome_spool_error(const char *const path, const int errno_value, struct bh_error *const reterr)
{
    const int result = bh_error_errno(reterr, errno_value, "cannot write %s", path);
    if (result == BH_ENOSPACE || result == BH_ENOMEM)
        return result;
    reterr->code = BH_EIO;
    return BH_EIO;
}

struct flush {
    struct tome_spool *spool;
    bool last;
    struct bh_error error;
};

/* On a worker thread. */
static int flush_now(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct flush *const flush = argument;
    struct tome_spool *const spool = flush->spool;
    if (!spool->exists) {
        spool->fd = open(spool->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (spool->fd < 0)
            return tome_spool_error(spool->path, errno, &flush->error);
        spool->exists = true;
    }
    const struct bh_str data = bh_buf_peek(&spool->pending);
    const int errno_value = write_all(spool->fd, data.data, data.size);
    if (errno_value != 0)
        return tome_spool_error(spool->path, errno_value, &flush->error);
    if (EVP_DigestUpdate(spool->digest, data.data, data.size) != 1 ||
        (flush->last && EVP_DigestFinal_ex(spool->digest, spool->hash, NULL) != 1))
        return bh_error_set(&flush->error, BH_EINTERNAL, "cannot compute a SHA-256");
    if (!flush->last)
        return 0;
    const int closed = close(spool->fd);
    spool->fd = -1;
    if (closed != 0)
        return tome_spool_error(spool->path, errno, &flush->error);
    return 0;
}

static int flush(struct tome_spool *const spool, const bool last, struct bh_error *const reterr)
{
    struct flush flush = { .spool = spool, .last = last };
    const int result = bh_worker_run(spool->workers, flush_now, &flush, NULL);
    bh_buf_clear(&spool->pending);
    if (result == 0)
        return 0;
    if (flush.error.code != result)
        return bh_error_set(reterr, result, "%s", bh_error_text(result));
    if (reterr != NULL)
        *reterr = flush.error;
    return result;
}

int tome_spool_write(struct tome_spool *const spool, struct bh_str data,
                     struct bh_error *const reterr)
{
    while (data.size > 0) {
        const size_t room = PIECE_BYTES - spool->pending.size;
        const size_t size = data.size < room ? data.size : room;
        bh_buf_append(&spool->pending, data.data, size);
        if (bh_buf_error(&spool->pending) != 0)
            return bh_error_set(reterr, BH_ENOMEM, "no memory to take in a file");
        data = (struct bh_str){ .data = data.data + size, .size = data.size - size };
        spool->size += size;
        const int result = spool->pending.size == PIECE_BYTES ? flush(spool, false, reterr) : 0;
        if (result != 0)
            return result;
    }
    return 0;
}

int tome_spool_finish(struct tome_spool *const spool, struct bh_error *const reterr)
{
    return flush(spool, true, reterr);
}

int tome_spool_hash_file(struct bh_worker_job *const job, const char *const path,
                         uint8_t ret_hash[TOME_HASH_BYTES], uint64_t *const ret_size,
                         struct bh_error *const reterr)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bh_error_errno(reterr, errno, "cannot read %s", path);
    EVP_MD_CTX *const digest = EVP_MD_CTX_new();
    char *const piece = malloc(PIECE_BYTES);
    uint64_t total = 0;
    ssize_t size = 0;
    bool ok = digest != NULL && piece != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    while (ok && !atomic_load(&job->canceled) && (size = read(fd, piece, PIECE_BYTES)) > 0) {
        ok = EVP_DigestUpdate(digest, piece, (size_t)size) == 1;
        total += (uint64_t)size;
    }
    const int errno_value = errno;
    ok = ok && EVP_DigestFinal_ex(digest, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(digest);
    free(piece);
    close(fd);
    if (size < 0)
        return bh_error_errno(reterr, errno_value, "cannot read %s", path);
    if (atomic_load(&job->canceled))
        return bh_error_set(reterr, BH_ECANCELED, "stopped reading %s", path);
    *ret_size = total;
    return ok ? 0 : bh_error_set(reterr, BH_EINTERNAL, "cannot compute a SHA-256 of %s", path);
}
