#include "answers/event_stream.h"

void tome_event_stream_init(struct tome_event_stream *const stream)
{
    *stream = (struct tome_event_stream){ .has_data = false };
    bh_buf_init(&stream->line, TOME_EVENT_DATA_MAX);
    bh_buf_init(&stream->data, TOME_EVENT_DATA_MAX);
}

void tome_event_stream_fini(struct tome_event_stream *const stream)
{
    bh_buf_fini(&stream->line);
    bh_buf_fini(&stream->data);
}

static void take_field(struct tome_event_stream *const stream)
{
    struct bh_str value = bh_buf_peek(&stream->line);
    const struct bh_str name = bh_str_split(&value, ':');
    if (!bh_str_equal(name, BH_STR("data")))
        return;
    if (value.size > 0 && value.data[0] == ' ')
        value = (struct bh_str){ value.data + 1, value.size - 1 };
    if (stream->has_data)
        bh_buf_append_byte(&stream->data, '\n');
    bh_buf_append_str(&stream->data, value);
    stream->has_data = true;
}

/* Whether an event ends with this line. */
static bool take_line(struct tome_event_stream *const stream)
{
    const bool is_end = stream->line.size == 0 && stream->has_data;
    if (stream->line.size > 0)
        take_field(stream);
    bh_buf_clear(&stream->line);
    return is_end;
}

/* The end of the line that `input` begins with or goes on: its size before CR or LF. */
static size_t line_size(const struct bh_str input)
{
    size_t size = 0;
    while (size < input.size && input.data[size] != '\n' && input.data[size] != '\r')
        size++;
    return size;
}

static void skip(struct bh_str *const input, const size_t size)
{
    input->data += size;
    input->size -= size;
}

int tome_event_stream_next(struct tome_event_stream *const stream, struct bh_str *const input,
                           struct bh_str *const ret_data)
{
    if (stream->is_told) {
        bh_buf_clear(&stream->data);
        stream->has_data = stream->is_told = false;
    }
    while (input->size > 0) {
        if (stream->was_cr && input->data[0] == '\n')
            skip(input, 1);
        stream->was_cr = false;
        const size_t size = line_size(*input);
        bh_buf_append(&stream->line, input->data, size);
        skip(input, size);
        if (input->size == 0)
            break;
        stream->was_cr = input->data[0] == '\r';
        skip(input, 1);
        const int limit = bh_buf_error(&stream->line);
        const bool is_end = limit == 0 && take_line(stream);
        if (limit != 0 || bh_buf_error(&stream->data) != 0)
            return BH_ELIMIT;
        if (is_end) {
            stream->is_told = true;
            *ret_data = bh_buf_peek(&stream->data);
            return 1;
        }
    }
    return bh_buf_error(&stream->line) != 0 ? BH_ELIMIT : 0;
}
