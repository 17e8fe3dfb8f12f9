/* Runs a reader on bytes in memory and keeps what it writes: pages, facts, the outcome. */
#pragma once

#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "extract/frame.h"
#include "extract/input.h"

#define READING_PAGES_MAX 4096
#define READING_LIMIT (UINT64_C(1) << 30)

struct reading_page {
    uint32_t number;
    enum tome_joint joint;
    char *label;
    char *chapter;
    char *text;
};

struct reading {
    enum tome_extract_failure failure;
    struct bh_error detail;
    char *facts[TOME_META_TAGS + 1];
    struct reading_page pages[READING_PAGES_MAX];
    size_t page_count;
    FILE *file;
    struct tome_frame_writer writer;
};

static inline char *reading_copy(const struct bh_str text)
{
    char *const copy = strndup(text.size > 0 ? text.data : "", text.size);
    assert_non_null(copy);
    return copy;
}

static inline struct reading *reading_begin(void)
{
    struct reading *const reading = calloc(1, sizeof(*reading));
    assert_non_null(reading);
    reading->file = tmpfile();
    assert_non_null(reading->file);
    tome_frame_writer_init(&reading->writer, fileno(reading->file), READING_LIMIT);
    return reading;
}

static inline void reading_take(struct reading *const reading, const struct tome_frame *const frame)
{
    if (frame->type == TOME_FRAME_META) {
        assert_null(reading->facts[frame->meta.key]);
        reading->facts[frame->meta.key] = reading_copy(frame->meta.value);
    } else if (frame->type == TOME_FRAME_PAGE) {
        assert_true(reading->page_count < READING_PAGES_MAX);
        reading->pages[reading->page_count++] =
            (struct reading_page){ .number = frame->page.number,
                                   .joint = frame->page.joint,
                                   .label = reading_copy(frame->page.label),
                                   .chapter = reading_copy(frame->page.chapter),
                                   .text = reading_copy(frame->page.text) };
    }
}

/* Reads back what was written, as strictly as the server would. */
static inline void reading_end(struct reading *const reading)
{
    assert_int_equal(tome_frame_writer_flush(&reading->writer), 0);
    struct tome_frame_reader *reader;
    assert_int_equal(tome_frame_reader_create(READING_LIMIT, &reader), 0);
    rewind(reading->file);
    for (;;) {
        struct tome_frame frame;
        struct bh_error error = { 0 };
        const int result = tome_frame_reader_next(reader, &frame, &error);
        if (result < 0)
            fail_msg("%s", error.message);
        if (result == 1) {
            reading_take(reading, &frame);
            continue;
        }
        size_t room;
        char *const to = tome_frame_reader_space(reader, &room);
        const ssize_t count = read(fileno(reading->file), to, room);
        assert_true(count >= 0);
        if (count == 0)
            break;
        tome_frame_reader_commit(reader, (size_t)count);
    }
    tome_frame_reader_destroy(reader);
}

static inline void reading_free(struct reading *const reading)
{
    for (size_t i = 0; i < reading->page_count; i++) {
        free(reading->pages[i].label);
        free(reading->pages[i].chapter);
        free(reading->pages[i].text);
    }
    for (size_t i = 0; i < BH_COUNT_OF(reading->facts); i++)
        free(reading->facts[i]);
    tome_frame_writer_fini(&reading->writer);
    fclose(reading->file);
    free(reading);
}

typedef enum tome_extract_failure reading_function(struct tome_input *input,
                                                   struct tome_frame_writer *writer);

static inline struct reading *reading_of(reading_function *const read, const char *const bytes,
                                         const size_t size)
{
    struct reading *const reading = reading_begin();
    struct tome_input input;
    tome_input_memory(&input, bytes, size);
    reading->failure = read(&input, &reading->writer);
    reading_end(reading);
    return reading;
}
