/* Runs a reader of files on fuzzed bytes and checks that the server would accept all it writes. */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "extract/frame.h"
#include "extract/input.h"

#define EXTRACTING_LIMIT (UINT64_C(64) << 20)

static inline void extracting_check(const int fd)
{
    struct tome_frame_reader *reader;
    struct tome_frame frame;
    bh_assert(tome_frame_reader_create(EXTRACTING_LIMIT, &reader) == 0);
    off_t at = 0;
    for (;;) {
        const int result = tome_frame_reader_next(reader, &frame, NULL);
        bh_assert(result >= 0);
        if (result == 1)
            continue;
        size_t room;
        char *const to = tome_frame_reader_space(reader, &room);
        const ssize_t count = pread(fd, to, room, at);
        bh_assert(count >= 0);
        if (count == 0)
            break;
        tome_frame_reader_commit(reader, (size_t)count);
        at += count;
    }
    tome_frame_reader_destroy(reader);
}

static inline void extracting_begin(struct tome_frame_writer *const writer)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("frames", MFD_CLOEXEC);
    bh_assert(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    tome_frame_writer_init(writer, fd, EXTRACTING_LIMIT);
}

static inline void extracting_end(struct tome_frame_writer *const writer)
{
    tome_frame_write_end(writer);
    bh_assert(tome_frame_writer_flush(writer) == 0);
    extracting_check(writer->fd);
    tome_frame_writer_fini(writer);
}
