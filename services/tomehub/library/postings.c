#include "library/postings.h"

#include "bulkhead/base/assert.h"

#define BYTES_MAX (512U << 20)
#define ORDINAL_MAX ((INT64_C(1) << TOME_ORDINAL_BITS) - 1)
/* One less than fits: the id INT64_MAX says that a list is at its end. */
#define BOOK_MAX ((INT64_MAX >> TOME_ORDINAL_BITS) - 1)

enum { SHAPE_ONCE, SHAPE_BODY, SHAPE_STEMS, SHAPE_MIXED, SHAPE_BITS = 2 };

/* ---- Writing ---- */

static void append_number(struct bh_buf *const buf, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        bh_buf_append_byte(buf, (char)(number | 0x80));
    bh_buf_append_byte(buf, (char)number);
}

void tome_postings_writer_init(struct tome_postings_writer *const writer)
{
    *writer = (struct tome_postings_writer){ .id = -1 };
    bh_buf_init(&writer->entries, BYTES_MAX);
    for (size_t i = 0; i < TOME_COLUMN_COUNT; i++)
        bh_buf_init(&writer->positions[i], BYTES_MAX);
}

void tome_postings_writer_fini(struct tome_postings_writer *const writer)
{
    bh_buf_fini(&writer->entries);
    for (size_t i = 0; i < TOME_COLUMN_COUNT; i++)
        bh_buf_fini(&writer->positions[i]);
}

static void begin_entry(struct tome_postings_writer *const writer, const int64_t id)
{
    writer->id = id;
    for (size_t i = 0; i < TOME_COLUMN_COUNT; i++) {
        bh_buf_clear(&writer->positions[i]);
        writer->counts[i] = 0;
    }
}

static void begin_run(struct tome_postings_writer *const writer)
{
    bh_buf_clear(&writer->entries);
    writer->last_ordinal = -1;
    writer->run_chunks = 0;
}

void tome_postings_begin(struct tome_postings_writer *const writer, struct bh_buf *const out)
{
    writer->out = out;
    begin_run(writer);
    begin_entry(writer, -1);
}

static unsigned shape_of(const struct tome_postings_writer *const writer)
{
    const uint32_t *const counts = writer->counts;
    if (counts[TOME_COLUMN_HEADING] == 0 && counts[TOME_COLUMN_STEMS] == 0)
        return counts[TOME_COLUMN_BODY] == 1 ? SHAPE_ONCE : SHAPE_BODY;
    return counts[TOME_COLUMN_HEADING] == 0 && counts[TOME_COLUMN_BODY] == 0 ? SHAPE_STEMS
                                                                             : SHAPE_MIXED;
}

static void end_entry(struct tome_postings_writer *const writer)
{
    if (writer->id < 0)
        return;
    struct bh_buf *const out = &writer->entries;
    const int64_t ordinal = writer->id & ORDINAL_MAX;
    const unsigned shape = shape_of(writer);
    bh_assert(ordinal > writer->last_ordinal);
    append_number(out, (uint64_t)(ordinal - writer->last_ordinal) << SHAPE_BITS | shape);
    if (shape == SHAPE_MIXED) {
        unsigned columns = 0;
        for (unsigned i = 0; i < TOME_COLUMN_COUNT; i++)
            columns |= writer->counts[i] > 0 ? 1U << i : 0;
        append_number(out, columns);
    }
    for (size_t i = 0; i < TOME_COLUMN_COUNT; i++) {
        if (writer->counts[i] == 0)
            continue;
        if (shape != SHAPE_ONCE)
            append_number(out, writer->counts[i]);
        bh_buf_append_str(out, bh_buf_peek(&writer->positions[i]));
        if (bh_buf_error(&writer->positions[i]) != 0)
            out->error = bh_buf_error(&writer->positions[i]);
    }
    writer->last_ordinal = ordinal;
    writer->run_chunks++;
}

static void end_run(struct tome_postings_writer *const writer)
{
    end_entry(writer);
    if (writer->run_chunks == 0)
        return;
    append_number(writer->out, (uint64_t)(writer->id >> TOME_ORDINAL_BITS));
    append_number(writer->out, writer->run_chunks);
    append_number(writer->out, writer->entries.size);
    bh_buf_append_str(writer->out, bh_buf_peek(&writer->entries));
    if (bh_buf_error(&writer->entries) != 0)
        writer->out->error = bh_buf_error(&writer->entries);
}

void tome_postings_add(struct tome_postings_writer *const writer, const int64_t id,
                       const unsigned column, const uint32_t position)
{
    if (id != writer->id) {
        bh_assert(id > writer->id);
        if (writer->id >= 0 && id >> TOME_ORDINAL_BITS != writer->id >> TOME_ORDINAL_BITS) {
            end_run(writer);
            begin_run(writer);
        } else {
            end_entry(writer);
        }
        begin_entry(writer, id);
    }
    const bool is_first = writer->counts[column] == 0;
    if (column != TOME_COLUMN_STEMS) {
        const uint32_t last = writer->last_position[column];
        if (!is_first && position == last)
            return;
        bh_assert((is_first || position > last) && position <= TOME_POSTINGS_POSITION_MAX);
        append_number(&writer->positions[column], is_first ? position : position - last);
        writer->last_position[column] = position;
    }
    writer->counts[column]++;
}

int tome_postings_end(struct tome_postings_writer *const writer)
{
    end_run(writer);
    return bh_buf_error(writer->out);
}

/* ---- Reading ---- */

static bool fail(struct tome_postings_reader *const reader)
{
    reader->is_corrupt = true;
    reader->id = INT64_MAX;
    reader->at = reader->run_end = reader->end;
    reader->run_left = 0;
    return false;
}

static bool read_number(const uint8_t **const at, const uint8_t *const end, uint64_t *const number)
{
    const uint8_t *next = *at;
    if (next < end && *next < 0x80) { /* nearly always */
        *number = *next;
        *at = next + 1;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63 && next < end; shift += 7) {
        value |= (uint64_t)(*next & 0x7f) << shift;
        if (*next++ < 0x80) {
            *number = value;
            *at = next;
            return true;
        }
    }
    return false;
}

void tome_postings_read(struct tome_postings_reader *const reader, const struct bh_str list)
{
    const uint8_t *const bytes = (const uint8_t *)list.data;
    *reader = (struct tome_postings_reader){ .id = -1,
                                             .at = bytes,
                                             .run_end = bytes,
                                             .end = list.size > 0 ? bytes + list.size : bytes,
                                             .book_id = -1 };
}

/* The head of the next run. False: none is left, or it is malformed. */
static bool enter_run(struct tome_postings_reader *const reader)
{
    if (reader->run_left > 0)
        return fail(reader);
    if (reader->at == reader->end) {
        reader->id = INT64_MAX;
        return false;
    }
    uint64_t book, chunks, size;
    if (!read_number(&reader->at, reader->end, &book) ||
        !read_number(&reader->at, reader->end, &chunks) ||
        !read_number(&reader->at, reader->end, &size) || book > BOOK_MAX ||
        (int64_t)book < reader->book_id || chunks == 0 || chunks > ORDINAL_MAX + 1 ||
        size > (uint64_t)(reader->end - reader->at))
        return fail(reader);
    reader->book_id = (int64_t)book;
    reader->before = (reader->book_id << TOME_ORDINAL_BITS) - 1;
    reader->run_left = (uint32_t)chunks;
    reader->run_end = reader->at + size;
    return true;
}

/* Passes by `count` positions, which must stay in bounds. */
static bool pass_positions(struct tome_postings_reader *const reader, const uint64_t count)
{
    uint64_t position = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t step;
        if (!read_number(&reader->at, reader->run_end, &step) || (i > 0 && step == 0) ||
            step > TOME_POSTINGS_POSITION_MAX - position)
            return false;
        position += step;
    }
    return true;
}

static bool read_column(struct tome_postings_reader *const reader, const unsigned column,
                        const bool is_once)
{
    uint64_t count = 1;
    if (!is_once && (!read_number(&reader->at, reader->run_end, &count) || count == 0 ||
                     count > TOME_POSTINGS_POSITION_MAX))
        return false;
    reader->counts[column] = (uint32_t)count;
    reader->positions[column] = reader->at;
    return column == TOME_COLUMN_STEMS || pass_positions(reader, count);
}

static bool read_entry(struct tome_postings_reader *const reader)
{
    uint64_t head, columns = 0;
    if (!read_number(&reader->at, reader->run_end, &head) ||
        head >> SHAPE_BITS > (uint64_t)ORDINAL_MAX + 1)
        return fail(reader);
    const unsigned shape = head & ((1U << SHAPE_BITS) - 1);
    const int64_t id = reader->before + (int64_t)(head >> SHAPE_BITS);
    if (id <= reader->id || id <= reader->before || id >> TOME_ORDINAL_BITS != reader->book_id)
        return fail(reader);
    reader->id = reader->before = id;
    for (unsigned i = 0; i < TOME_COLUMN_COUNT; i++)
        reader->counts[i] = 0;
    if (shape == SHAPE_MIXED) {
        if (!read_number(&reader->at, reader->run_end, &columns) || columns == 0 ||
            columns >> TOME_COLUMN_COUNT != 0)
            return fail(reader);
    } else {
        columns = shape == SHAPE_STEMS ? 1U << TOME_COLUMN_STEMS : 1U << TOME_COLUMN_BODY;
    }
    for (unsigned i = 0; i < TOME_COLUMN_COUNT; i++)
        if ((columns >> i & 1) != 0 && !read_column(reader, i, shape == SHAPE_ONCE))
            return fail(reader);
    reader->run_left--;
    return true;
}

bool tome_postings_next(struct tome_postings_reader *const reader)
{
    if (reader->at == reader->run_end) {
        if (reader->id == INT64_MAX)
            return false;
        if (!enter_run(reader))
            return false;
    }
    if (reader->run_left == 0)
        return fail(reader);
    return read_entry(reader);
}

bool tome_postings_seek(struct tome_postings_reader *const reader, const int64_t id)
{
    const int64_t book_id = id >> TOME_ORDINAL_BITS;
    while (reader->id < id) {
        if (reader->at != reader->run_end && reader->book_id < book_id) {
            reader->at = reader->run_end;
            reader->run_left = 0;
        }
        if (reader->at == reader->run_end) {
            if (!enter_run(reader))
                return false;
            if (reader->book_id < book_id)
                continue;
        }
        if (reader->run_left == 0)
            return fail(reader);
        if (!read_entry(reader))
            return false;
    }
    return reader->id != INT64_MAX;
}

bool tome_postings_next_book(struct tome_postings_reader *const reader, int64_t *const ret_book,
                             uint32_t *const ret_chunks)
{
    reader->at = reader->run_end;
    reader->run_left = 0;
    if (reader->id == INT64_MAX || !enter_run(reader))
        return false;
    *ret_book = reader->book_id;
    *ret_chunks = reader->run_left;
    return true;
}

int tome_postings_drop(const struct bh_str list, const int64_t book, struct bh_buf *const out)
{
    struct tome_postings_reader reader;
    int64_t book_at_hand;
    uint32_t chunks;
    tome_postings_read(&reader, list);
    const uint8_t *run = reader.at;
    while (tome_postings_next_book(&reader, &book_at_hand, &chunks)) {
        if (book_at_hand != book)
            bh_buf_append(out, run, (size_t)(reader.run_end - run));
        run = reader.run_end;
    }
    return reader.is_corrupt ? BH_ECORRUPT : bh_buf_error(out);
}

struct tome_places tome_postings_places(const struct tome_postings_reader *const reader,
                                        const unsigned column)
{
    return (struct tome_places){ .at = reader->positions[column], .left = reader->counts[column] };
}

bool tome_places_next(struct tome_places *const places)
{
    if (places->left == 0)
        return false;
    /* The bytes were looked at when the chunk was read. */
    uint64_t step = 0;
    uint8_t byte;
    unsigned shift = 0;
    do {
        byte = *places->at++;
        step |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte >= 0x80);
    places->position += (uint32_t)step;
    places->left--;
    return true;
}
