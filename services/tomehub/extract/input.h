/* Where a reader's bytes come from: the file, an entry of an archive, a pipe. One thread. */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

struct tome_input {
    /* Up to `size` bytes; *ret_size 0 is the end. 0 or a BH_E code. */
    int (*read)(struct tome_input *input, char *data, size_t size, size_t *ret_size);
    void *context;  /* the source's own */
    int fd;         /* of a file */
    uint64_t done;  /* read-only: bytes so far */
    uint64_t total; /* bytes in all, 0 if that is not known */
};

/* Bytes of a regular file from its start; `fd` is borrowed and its offset is left alone. */
void tome_input_file(struct tome_input *input, int fd, uint64_t size);

/* Bytes in memory, borrowed. */
void tome_input_memory(struct tome_input *input, const char *data, size_t size);

/* Fills `data` unless the end comes first. BH_EIO, BH_ECORRUPT, … as the source says. */
int tome_input_read(struct tome_input *input, char *data, size_t size,
                    size_t *ret_size) BH_MUST_CHECK;
