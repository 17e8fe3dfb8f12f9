/* Two sources of frames behind one call. */
#include "ingest/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "extract/extract_process.h"

/* A document is bounded by what a request may hold; this is for one that was tampered with. */
#define DOCUMENT_BYTES_MAX (UINT64_C(1) << 30)

struct tome_input {
    int fd;
    struct tome_extract *extract;     /* of a file */
    struct tome_frame_reader *reader; /* of a document */
    atomic_bool canceled;
};

static int start_extract(struct tome_input *const input, const struct tome_claim *const claim,
                         const struct tome_input_limits *const limits,
                         struct bh_error *const reterr)
{
    const uint64_t cpu_limit_s = limits->extract_timeout_us / BH_SECOND_US + 1;
    const struct tome_extract_options options = {
        .source = TOME_SOURCE_AUTO,
        .file_name = claim->file_name,
        .memory_limit_bytes = limits->extract_memory,
        .cpu_limit_s = (unsigned)cpu_limit_s,
        .deadline_us = bh_time_now_us() + limits->extract_timeout_us,
    };
    return tome_extract_start(input->fd, &options, &input->extract, reterr);
}

static int start_reader(struct tome_input *const input, struct bh_error *const reterr)
{
    const int result = tome_frame_reader_create(DOCUMENT_BYTES_MAX, &input->reader);
    return result == 0 ? 0 : bh_error_set(reterr, result, "no memory to read a document");
}

int tome_input_open(const struct tome_claim *const claim,
                    const struct tome_input_limits *const limits,
                    struct tome_input **const ret_input, struct bh_error *const reterr)
{
    struct tome_input *const input = calloc(1, sizeof(*input));
    if (input == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to take in a file");
    input->fd = open(claim->input.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int result = input->fd >= 0 ? 0 : bh_error_errno(reterr, errno, "cannot read the file again");
    if (result == 0)
        result = bh_str_equal(claim->input_kind, BH_STR("document"))
                     ? start_reader(input, reterr)
                     : start_extract(input, claim, limits, reterr);
    if (result != 0) {
        tome_input_close(input);
        return result;
    }
    *ret_input = input;
    return 0;
}

void tome_input_close(struct tome_input *const input)
{
    if (input == NULL)
        return;
    tome_extract_destroy(input->extract);
    tome_frame_reader_destroy(input->reader);
    if (input->fd >= 0)
        close(input->fd);
    free(input);
}

void tome_input_cancel(struct tome_input *const input)
{
    atomic_store(&input->canceled, true);
    if (input->extract != NULL)
        tome_extract_cancel(input->extract);
}

/* ---- Documents ---- */

static int read_more(struct tome_input *const input, struct bh_error *const reterr)
{
    size_t room = 0;
    char *const space = tome_frame_reader_space(input->reader, &room);
    ssize_t size;
    do
        size = read(input->fd, space, room);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return bh_error_errno(reterr, errno, "cannot read the document that was accepted");
    if (size == 0)
        return bh_error_set(reterr, BH_ECORRUPT, "the document that was accepted is cut short");
    tome_frame_reader_commit(input->reader, (size_t)size);
    return 0;
}

static int next_of_document(struct tome_input *const input, struct tome_frame *const ret_frame,
                            struct bh_error *const reterr)
{
    while (!atomic_load(&input->canceled)) {
        const int found = tome_frame_reader_next(input->reader, ret_frame, reterr);
        if (found > 0 && ret_frame->type == TOME_FRAME_ERROR)
            return bh_error_set(reterr, BH_ECORRUPT, "%.*s", BH_STR_ARGS(ret_frame->error.message));
        if (found != 0)
            return found > 0 && ret_frame->type == TOME_FRAME_END ? 0 : found;
        const int result = read_more(input, reterr);
        if (result != 0)
            return result;
    }
    return bh_error_set(reterr, BH_ECANCELED, "the server is leaving");
}

/* ---- Files ---- */

static int next_of_file(struct tome_input *const input, struct tome_frame *const ret_frame,
                        struct bh_error *const reterr)
{
    const int found = tome_extract_next(input->extract, ret_frame, reterr);
    if (found >= 0)
        return found;
    const enum tome_extract_failure failure = tome_extract_failure(input->extract);
    if (failure == TOME_FAILURE_CANCELED)
        return BH_ECANCELED;
    return tome_extract_failure_is_temporary(failure) ? BH_EUNAVAILABLE : BH_EUNSUPPORTED;
}

int tome_input_next(void *const input, struct tome_frame *const ret_frame,
                    struct bh_error *const reterr)
{
    struct tome_input *const self = input;
    return self->reader != NULL ? next_of_document(self, ret_frame, reterr)
                                : next_of_file(self, ret_frame, reterr);
}
