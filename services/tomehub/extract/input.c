#include "extract/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int read_file(struct tome_input *const input, char *const data, const size_t size,
                     size_t *const ret_size)
{
    ssize_t count;
    do {
        count = pread(input->fd, data, size, (off_t)input->done);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return BH_EIO;
    *ret_size = (size_t)count;
    return 0;
}

void tome_input_file(struct tome_input *const input, const int fd, const uint64_t size)
{
    *input = (struct tome_input){ .read = read_file, .fd = fd, .total = size };
}

static int read_memory(struct tome_input *const input, char *const data, const size_t size,
                       size_t *const ret_size)
{
    const size_t left = (size_t)(input->total - input->done);
    const size_t count = size < left ? size : left;
    if (count > 0)
        memcpy(data, (const char *)input->context + input->done, count);
    *ret_size = count;
    return 0;
}

void tome_input_memory(struct tome_input *const input, const char *const data, const size_t size)
{
    /* The context is only read. */
    *input = (struct tome_input){ .read = read_memory,
                                  .context = (void *)(uintptr_t)data,
                                  .total = size };
}

int tome_input_read(struct tome_input *const input, char *const data, const size_t size,
                    size_t *const ret_size)
{
    size_t filled = 0;
    while (filled < size) {
        size_t count = 0;
        const int error = input->read(input, data + filled, size - filled, &count);
        if (error)
            return error;
        if (count == 0)
            break;
        filled += count;
        input->done += count;
    }
    *ret_size = filled;
    return 0;
}
