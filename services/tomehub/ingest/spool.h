/*
 * A file in the making: bytes as they arrive, written on worker threads, hashed on the way.
 *
 * Small content is written in one step when it is finished. A spool that is not kept removes its
 * file, so whoever fails or leaves in the middle leaves nothing behind; what a killed process
 * leaves is removed by recovery (the file's name begins with the process's number).
 */
#pragma once

#include <linux/limits.h>
#include <stdbool.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/loop/worker.h"

#define TOME_HASH_BYTES 32 /* SHA-256 */

struct tome_spool {
    char path[PATH_MAX];            /* read-only */
    uint64_t size;                  /* read-only: bytes given */
    uint8_t hash[TOME_HASH_BYTES];  /* read-only, after finish */
    struct bh_worker_pool *workers; /* private, as the rest */
    struct bh_buf pending;
    void *digest; /* EVP_MD_CTX */
    int fd;       /* -1: no file yet, or closed */
    bool exists;  /* the file is there and is ours to remove */
};

/* `directory`: absolute; the file is made in it. `instance`: this process's number. */
int tome_spool_init(struct tome_spool *spool, struct bh_worker_pool *workers, const char *directory,
                    int64_t instance, struct bh_error *reterr) BH_MUST_CHECK;

/* Closes; removes the file unless it was kept. */
void tome_spool_fini(struct tome_spool *spool);

/* Adds bytes; parks while they are written. BH_ENOSPACE, BH_EIO; those of bh_worker_run. Fiber. */
int tome_spool_write(struct tome_spool *spool, struct bh_str data,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Writes out what is left, closes the file, and fills `hash`. Fiber. */
int tome_spool_finish(struct tome_spool *spool, struct bh_error *reterr) BH_MUST_CHECK;

/* The file stays: somebody else answers for it now. */
void tome_spool_keep(struct tome_spool *spool);

/* An error of errno `errno_value` about our own files: BH_ENOSPACE, BH_ENOMEM or BH_EIO. (That a
 * folder of ours is gone is not what a client asked for that is not there.) */
int tome_spool_error(const char *path, int errno_value, struct bh_error *reterr);

/* SHA-256 of a file, on the calling (worker) thread; stops early when `job` is cancelled. */
int tome_spool_hash_file(struct bh_worker_job *job, const char *path,
                         uint8_t ret_hash[TOME_HASH_BYTES], uint64_t *ret_size,
                         struct bh_error *reterr) BH_MUST_CHECK;
