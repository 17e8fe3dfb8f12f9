#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "extract/frame.h"

#define LIMIT UINT64_C(100000000)

/* Writes to an unlinked file and reads the bytes back. */
struct stream {
    FILE *file;
    struct tome_frame_writer writer;
    char *bytes;
    size_t size;
};

static void stream_open(struct stream *const stream)
{
    *stream = (struct stream){ .file = tmpfile() };
    assert_non_null(stream->file);
    tome_frame_writer_init(&stream->writer, fileno(stream->file), LIMIT);
}

static void stream_load(struct stream *const stream)
{
    (void)!tome_frame_writer_flush(&stream->writer);
    const off_t size = lseek(fileno(stream->file), 0, SEEK_END);
    stream->size = (size_t)size;
    stream->bytes = malloc(stream->size + 1);
    assert_int_equal(pread(fileno(stream->file), stream->bytes, stream->size, 0), size);
}

static void stream_close(struct stream *const stream)
{
    tome_frame_writer_fini(&stream->writer);
    free(stream->bytes);
    fclose(stream->file);
}

static struct tome_page page_of(const uint32_t number, const char *const text)
{
    return (struct tome_page){ .number = number, .text = bh_str_from(text) };
}

/* Feeds `bytes` in steps of `step` and returns the result of the last next() that was not 1. */
static int read_all(const char *const bytes, const size_t size, const size_t step,
                    const uint64_t limit, unsigned *const ret_frames, bool *const ret_finished)
{
    struct tome_frame_reader *reader;
    assert_int_equal(tome_frame_reader_create(limit, &reader), 0);
    struct tome_frame frame;
    int result = 0;
    *ret_frames = 0;
    for (size_t at = 0; at < size && result == 0;) {
        size_t room;
        char *const to = tome_frame_reader_space(reader, &room);
        assert_true(room > 0);
        size_t count = size - at < step ? size - at : step;
        count = count < room ? count : room;
        memcpy(to, bytes + at, count);
        tome_frame_reader_commit(reader, count);
        at += count;
        while ((result = tome_frame_reader_next(reader, &frame, NULL)) == 1)
            (*ret_frames)++;
    }
    *ret_finished = tome_frame_reader_finished(reader);
    tome_frame_reader_destroy(reader);
    return result;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    tome_frame_write_meta(&stream.writer, TOME_META_TITLE, BH_STR("Çalıkuşu"));
    tome_frame_write_page(&stream.writer, &(struct tome_page){ .number = 3,
                                                               .joint = TOME_JOINT_SPACE,
                                                               .label = BH_STR("iii"),
                                                               .chapter = BH_STR("Önsöz"),
                                                               .text = BH_STR("Bir.\n\nİki.") });
    tome_frame_write_progress(&stream.writer, 42);
    tome_frame_write_end(&stream.writer);
    assert_int_equal(tome_frame_writer_error(&stream.writer), 0);
    stream_load(&stream);

    struct tome_frame_reader *reader;
    assert_int_equal(tome_frame_reader_create(LIMIT, &reader), 0);
    size_t room;
    char *const to = tome_frame_reader_space(reader, &room);
    assert_true(room >= stream.size);
    memcpy(to, stream.bytes, stream.size);
    tome_frame_reader_commit(reader, stream.size);

    struct tome_frame frame;
    assert_int_equal(tome_frame_reader_next(reader, &frame, NULL), 1);
    assert_int_equal(frame.type, TOME_FRAME_META);
    assert_int_equal(frame.meta.key, TOME_META_TITLE);
    assert_true(bh_str_equal(frame.meta.value, BH_STR("Çalıkuşu")));
    assert_int_equal(tome_frame_reader_next(reader, &frame, NULL), 1);
    assert_int_equal(frame.type, TOME_FRAME_PAGE);
    assert_int_equal(frame.page.number, 3);
    assert_int_equal(frame.page.joint, TOME_JOINT_SPACE);
    assert_true(bh_str_equal(frame.page.label, BH_STR("iii")));
    assert_true(bh_str_equal(frame.page.chapter, BH_STR("Önsöz")));
    assert_true(bh_str_equal(frame.page.text, BH_STR("Bir.\n\nİki.")));
    assert_int_equal(tome_frame_reader_next(reader, &frame, NULL), 1);
    assert_int_equal(frame.type, TOME_FRAME_PROGRESS);
    assert_int_equal(frame.percent, 42);
    assert_false(tome_frame_reader_finished(reader));
    assert_int_equal(tome_frame_reader_next(reader, &frame, NULL), 1);
    assert_int_equal(frame.type, TOME_FRAME_END);
    assert_true(tome_frame_reader_finished(reader));
    assert_int_equal(tome_frame_reader_next(reader, &frame, NULL), 0);
    tome_frame_reader_destroy(reader);
    stream_close(&stream);
}

static void frames_arrive_whole_however_they_are_cut(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    char *const text = malloc(TOME_FRAME_PAGE_TEXT_MAX + 1);
    memset(text, 'x', TOME_FRAME_PAGE_TEXT_MAX);
    text[TOME_FRAME_PAGE_TEXT_MAX] = '\0';
    for (uint32_t i = 1; i <= 40; i++) {
        const struct tome_page page = page_of(i, text + (i % 2) * 100000);
        tome_frame_write_page(&stream.writer, &page);
    }
    tome_frame_write_end(&stream.writer);
    stream_load(&stream);
    static const size_t steps[] = { 1009, 4096, 65536, 100000000 };
    for (size_t i = 0; i < BH_COUNT_OF(steps); i++) {
        unsigned frames;
        bool finished;
        assert_int_equal(read_all(stream.bytes, stream.size, steps[i], LIMIT, &frames, &finished),
                         0);
        assert_int_equal(frames, 41);
        assert_true(finished);
    }
    free(text);
    stream_close(&stream);
}

static void a_stream_cut_anywhere_is_not_finished(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    const struct tome_page page = page_of(1, "Some text.");
    tome_frame_write_page(&stream.writer, &page);
    tome_frame_write_end(&stream.writer);
    stream_load(&stream);
    for (size_t size = 0; size < stream.size; size++) {
        unsigned frames;
        bool finished;
        assert_int_equal(read_all(stream.bytes, size, 7, LIMIT, &frames, &finished), 0);
        assert_false(finished);
    }
    stream_close(&stream);
}

/* One frame by hand: type, payload. */
static int read_frame(const int type, const char *const payload, const size_t size)
{
    char *const bytes = malloc(5 + size);
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (char)(unsigned char)(size >> (8 * i));
    bytes[4] = (char)type;
    memcpy(bytes + 5, payload, size);
    unsigned frames;
    bool finished;
    const int result = read_all(bytes, 5 + size, 4096, LIMIT, &frames, &finished);
    free(bytes);
    return result == 0 && frames == 0 ? -100 : result;
}

#define FRAME(type, payload) read_frame(type, payload, sizeof(payload) - 1)

static void hostile_frames_are_refused(void **state)
{
    (void)state;
    /* unknown types */
    assert_int_equal(FRAME(0, ""), BH_ESYNTAX);
    assert_int_equal(FRAME(6, ""), BH_ESYNTAX);
    /* META: key out of range, no key, bad UTF-8, a control character */
    assert_int_equal(FRAME(1, "\x01ok"), 0);
    assert_int_equal(FRAME(1, ""), BH_ESYNTAX);
    assert_int_equal(FRAME(1, "\x00title"), BH_ESYNTAX);
    assert_int_equal(FRAME(1, "\x07title"), BH_ESYNTAX);
    assert_int_equal(FRAME(1, "\x01\xC3"), BH_ESYNTAX);
    assert_int_equal(FRAME(1, "\x01two\nlines"), BH_ESYNTAX);
    /* PAGE: too short, page 0, unknown joint, parts that do not fit, no text, blanks, NUL */
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0text"), 0);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\0\0\0\0\0\0\0\0\0text"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\xFF\xFF\xFF\xFF\0\0\0\0\0text"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\x03\0\0\0\0text"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\x05\0\0\0text"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\xFF\xFF\xFF\xFFtext"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0 text"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0text\n"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0te\0xt"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0te\xED\xA0\x80xt"), BH_ESYNTAX);
    assert_int_equal(FRAME(2, "\x01\0\0\0\0\0\0\0\0te\x1B[31mxt"), BH_ESYNTAX);
    /* PROGRESS, ERROR, END */
    assert_int_equal(FRAME(3, "\x64"), 0);
    assert_int_equal(FRAME(3, "\x65"), BH_ESYNTAX);
    assert_int_equal(FRAME(3, ""), BH_ESYNTAX);
    assert_int_equal(FRAME(4, "\x01why"), 0);
    assert_int_equal(FRAME(4, "\x00why"), BH_ESYNTAX);
    assert_int_equal(FRAME(4, "\x7Fwhy"), BH_ESYNTAX);
    assert_int_equal(FRAME(5, "x"), BH_ESYNTAX);
}

static void an_invented_length_is_refused_at_once(void **state)
{
    (void)state;
    static const char bytes[] = "\xFF\xFF\xFF\xFF\x02";
    unsigned frames;
    bool finished;
    assert_int_equal(read_all(bytes, 5, 5, LIMIT, &frames, &finished), BH_ESYNTAX);
}

static void pages_never_go_back_and_nothing_follows_the_end(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    const struct tome_page second = page_of(2, "two");
    const struct tome_page first = page_of(1, "one");
    tome_frame_write_page(&stream.writer, &second);
    tome_frame_write_page(&stream.writer, &first);
    stream_load(&stream);
    unsigned frames;
    bool finished;
    assert_int_equal(read_all(stream.bytes, stream.size, 4096, LIMIT, &frames, &finished),
                     BH_ESYNTAX);
    assert_int_equal(frames, 1);
    stream_close(&stream);

    stream_open(&stream);
    tome_frame_write_end(&stream.writer);
    tome_frame_write_page(&stream.writer, &first);
    stream_load(&stream);
    assert_int_equal(read_all(stream.bytes, stream.size, 4096, LIMIT, &frames, &finished),
                     BH_ESYNTAX);
    stream_close(&stream);
}

static void the_total_is_limited_on_both_sides(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream.writer.limit = 100;
    for (uint32_t i = 1; i < 100; i++) {
        const struct tome_page page = page_of(i, "0123456789");
        tome_frame_write_page(&stream.writer, &page);
    }
    assert_int_equal(tome_frame_writer_error(&stream.writer), BH_ELIMIT);
    tome_frame_write_error(&stream.writer, TOME_FAILURE_TOO_LARGE, BH_STR("too much"));
    stream_load(&stream);
    unsigned frames;
    bool finished;
    assert_int_equal(read_all(stream.bytes, stream.size, 4096, 100, &frames, &finished), 0);
    assert_int_equal(frames, 5);
    assert_true(finished);
    stream_close(&stream);

    stream_open(&stream);
    for (uint32_t i = 1; i < 100000; i++) {
        const struct tome_page page = page_of(i, "0123456789");
        tome_frame_write_page(&stream.writer, &page);
    }
    stream_load(&stream);
    assert_int_equal(read_all(stream.bytes, stream.size, 4096, 1000, &frames, &finished),
                     BH_ELIMIT);
    stream_close(&stream);
}

static void a_reader_that_is_gone_is_an_error_of_the_writer(void **state)
{
    (void)state;
    struct tome_frame_writer writer;
    tome_frame_writer_init(&writer, -1, LIMIT);
    tome_frame_write_end(&writer);
    assert_int_equal(tome_frame_writer_flush(&writer), BH_EIO);
    assert_int_equal(tome_frame_writer_flush(&writer), BH_EIO);
    tome_frame_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(frames_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_stream_cut_anywhere_is_not_finished),
        cmocka_unit_test(hostile_frames_are_refused),
        cmocka_unit_test(an_invented_length_is_refused_at_once),
        cmocka_unit_test(pages_never_go_back_and_nothing_follows_the_end),
        cmocka_unit_test(the_total_is_limited_on_both_sides),
        cmocka_unit_test(a_reader_that_is_gone_is_an_error_of_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
