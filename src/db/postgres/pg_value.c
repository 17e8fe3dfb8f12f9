/* Encoding of parameters and decoding of results, by the types' fixed object ids. */
#include "db/postgres/pg_value.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/assert.h"

/* pg_type.dat: these never change. */
enum type_id {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_CHAR = 18,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_UNKNOWN = 705,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_NUMERIC = 1700,
    TYPE_VOID = 2278,
    TYPE_JSONB = 3802,
};

#define ROWS_FIRST 8 /* room for rows taken at first; doubled as they come */

/* ---- Parameters ---- */

int bh_pg_value_check(const char *const statement_name, const struct bh_db_value *const values,
                      const size_t count, struct bh_error *const reterr)
{
    if (count > BH_PG_PARAMETERS_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "statement \"%s\": %zu parameters, %d at most",
                            statement_name, count, BH_PG_PARAMETERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct bh_db_value *const value = &values[i];
        if (value->type != BH_DB_TEXT && value->type != BH_DB_BLOB)
            continue;
        if (value->text.size > BH_PG_VALUE_BYTES_MAX)
            return bh_error_set(reterr, BH_ELIMIT,
                                "statement \"%s\": parameter %zu has %zu bytes, %zu at most",
                                statement_name, i + 1, value->text.size, BH_PG_VALUE_BYTES_MAX);
        if (value->type == BH_DB_TEXT && value->text.size > 0 &&
            memchr(value->text.data, '\0', value->text.size))
            return bh_error_set(reterr, BH_EINVAL,
                                "statement \"%s\": parameter %zu holds a NUL byte, which "
                                "PostgreSQL's text cannot; give it as a BLOB or remove the byte",
                                statement_name, i + 1);
    }
    return 0;
}

static void append_text(struct bh_buf *const texts, const struct bh_db_value *const value)
{
    if (value->type == BH_DB_INT)
        bh_buf_append_int(texts, value->integer);
    else if (value->type == BH_DB_TEXT)
        bh_buf_append_str(texts, value->text);
    else if (value->real != value->real)
        bh_buf_append_str(texts, BH_STR("NaN"));
    else if (value->real - value->real != 0.0)
        bh_buf_append_str(texts, value->real > 0 ? BH_STR("Infinity") : BH_STR("-Infinity"));
    else
        bh_buf_append_double(texts, value->real);
    bh_buf_append_byte(texts, '\0');
}

int bh_pg_value_parameters(const struct bh_db_value *const values, const size_t count,
                           struct bh_buf *const texts,
                           struct bh_pg_parameters *const ret_parameters)
{
    size_t offsets[BH_PG_PARAMETERS_MAX];
    bh_assert(count <= BH_PG_PARAMETERS_MAX);
    bh_buf_clear(texts);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = texts->size;
        if (values[i].type != BH_DB_NULL && values[i].type != BH_DB_BLOB)
            append_text(texts, &values[i]);
    }
    if (bh_buf_error(texts))
        return bh_buf_error(texts);
    ret_parameters->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        const bool is_blob = values[i].type == BH_DB_BLOB;
        ret_parameters->formats[i] = is_blob;
        ret_parameters->lengths[i] = is_blob ? (int)values[i].text.size : 0;
        if (values[i].type == BH_DB_NULL)
            ret_parameters->values[i] = NULL;
        else if (is_blob)
            ret_parameters->values[i] = values[i].text.size > 0 ? values[i].text.data : "";
        else
            ret_parameters->values[i] = texts->data + offsets[i];
    }
    return 0;
}

/* ---- COPY ---- */

static void append_u16(struct bh_buf *const buf, const uint16_t value)
{
    const uint16_t bytes = htobe16(value);
    bh_buf_append(buf, &bytes, sizeof(bytes));
}

static void append_u32(struct bh_buf *const buf, const uint32_t value)
{
    const uint32_t bytes = htobe32(value);
    bh_buf_append(buf, &bytes, sizeof(bytes));
}

static void append_u64(struct bh_buf *const buf, const uint64_t value)
{
    const uint64_t bytes = htobe64(value);
    append_u32(buf, sizeof(bytes));
    bh_buf_append(buf, &bytes, sizeof(bytes));
}

void bh_pg_value_copy_header(struct bh_buf *const buf)
{
    static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* flags and extension: none */
    bh_buf_append(buf, header, sizeof(header));
}

void bh_pg_value_copy_trailer(struct bh_buf *const buf)
{
    append_u16(buf, UINT16_MAX);
}

void bh_pg_value_copy_row(struct bh_buf *const buf, const struct bh_db_value *const values,
                          const size_t count)
{
    append_u16(buf, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        switch (values[i].type) {
        case BH_DB_NULL:
            append_u32(buf, UINT32_MAX);
            break;
        case BH_DB_INT:
            append_u64(buf, (uint64_t)values[i].integer);
            break;
        case BH_DB_DOUBLE:
            memcpy(&bits, &values[i].real, sizeof(bits));
            append_u64(buf, bits);
            break;
        case BH_DB_TEXT:
        case BH_DB_BLOB:
            append_u32(buf, (uint32_t)values[i].text.size);
            bh_buf_append_str(buf, values[i].text);
            break;
        }
    }
}

/* ---- Results ---- */

static uint16_t read_u16(const char *const data)
{
    uint16_t value;
    memcpy(&value, data, sizeof(value));
    return be16toh(value);
}

static uint32_t read_u32(const char *const data)
{
    uint32_t value;
    memcpy(&value, data, sizeof(value));
    return be32toh(value);
}

static uint64_t read_u64(const char *const data)
{
    uint64_t value;
    memcpy(&value, data, sizeof(value));
    return be64toh(value);
}

static double read_float4(const char *const data)
{
    const uint32_t bits = read_u32(data);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

static double read_float8(const char *const data)
{
    const uint64_t bits = read_u64(data);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static int take_bytes(struct bh_arena *const arena, const enum bh_db_type type,
                      const struct bh_str bytes, struct bh_db_value *const value)
{
    const char *const copy = bh_arena_strdup(arena, bytes);
    if (!copy)
        return BH_ELIMIT;
    value->type = type;
    value->text = (struct bh_str){ copy, bytes.size };
    return 0;
}

#define NUMERIC_NEGATIVE 0x4000u
#define NUMERIC_NAN 0xc000u
#define NUMERIC_PLUS_INFINITY 0xd000u
#define NUMERIC_MINUS_INFINITY 0xf000u
#define NUMERIC_HEADER_BYTES 8

/* numeric_send's groups of four decimal digits: count, weight of the first, sign, digits behind the
 * point, then the groups. */
static int take_numeric(struct bh_arena *const arena, const struct bh_str bytes,
                        struct bh_db_value *const value)
{
    if (bytes.size < NUMERIC_HEADER_BYTES)
        return BH_ECORRUPT;
    const unsigned groups = read_u16(bytes.data);
    const int weight = (int16_t)read_u16(bytes.data + 2);
    const unsigned sign = read_u16(bytes.data + 4);
    const unsigned scale = read_u16(bytes.data + 6);
    if (bytes.size < NUMERIC_HEADER_BYTES + (size_t)groups * 2)
        return BH_ECORRUPT;
    if (sign == NUMERIC_NAN)
        return take_bytes(arena, BH_DB_TEXT, BH_STR("NaN"), value);
    if (sign == NUMERIC_PLUS_INFINITY || sign == NUMERIC_MINUS_INFINITY)
        return take_bytes(arena, BH_DB_TEXT,
                          sign == NUMERIC_PLUS_INFINITY ? BH_STR("Infinity") : BH_STR("-Infinity"),
                          value);
    struct bh_buf text;
    bh_buf_init(&text, (size_t)4 * (UINT16_MAX + INT16_MAX) + 16);
    if (sign == NUMERIC_NEGATIVE)
        bh_buf_append_byte(&text, '-');
    if (weight < 0)
        bh_buf_append_byte(&text, '0');
    for (int i = 0; i <= weight; i++) {
        const unsigned group = (unsigned)i < groups
                                   ? read_u16(bytes.data + NUMERIC_HEADER_BYTES + i * 2)
                                   : 0;
        bh_buf_printf(&text, i == 0 ? "%u" : "%04u", group);
    }
    if (scale > 0)
        bh_buf_append_byte(&text, '.');
    const size_t point = text.size;
    for (int i = weight + 1; text.size < point + scale && !bh_buf_error(&text); i++) {
        const unsigned group = i >= 0 && (unsigned)i < groups
                                   ? read_u16(bytes.data + NUMERIC_HEADER_BYTES + i * 2)
                                   : 0;
        bh_buf_printf(&text, "%04u", group);
    }
    struct bh_str shown = bh_buf_peek(&text);
    if (shown.size > point + scale)
        shown.size = point + scale;
    const int result = bh_buf_error(&text) ? BH_ENOMEM
                                           : take_bytes(arena, BH_DB_TEXT, shown, value);
    bh_buf_fini(&text);
    return result;
}

/* The server's sizes are checked all the same: a wrong one must not read beyond the value. */
static int take_value(struct bh_arena *const arena, const Oid type, const struct bh_str bytes,
                      struct bh_db_value *const value)
{
    switch (type) {
    case TYPE_BOOL:
        if (bytes.size != 1)
            return BH_ECORRUPT;
        *value = bh_db_int(bytes.data[0] != 0);
        return 0;
    case TYPE_INT2:
        if (bytes.size != 2)
            return BH_ECORRUPT;
        *value = bh_db_int((int16_t)read_u16(bytes.data));
        return 0;
    case TYPE_INT4:
        if (bytes.size != 4)
            return BH_ECORRUPT;
        *value = bh_db_int((int32_t)read_u32(bytes.data));
        return 0;
    case TYPE_OID:
        if (bytes.size != 4)
            return BH_ECORRUPT;
        *value = bh_db_int(read_u32(bytes.data));
        return 0;
    case TYPE_INT8:
        if (bytes.size != 8)
            return BH_ECORRUPT;
        *value = bh_db_int((int64_t)read_u64(bytes.data));
        return 0;
    case TYPE_FLOAT4:
        if (bytes.size != 4)
            return BH_ECORRUPT;
        *value = bh_db_double(read_float4(bytes.data));
        return 0;
    case TYPE_FLOAT8:
        if (bytes.size != 8)
            return BH_ECORRUPT;
        *value = bh_db_double(read_float8(bytes.data));
        return 0;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_CHAR:
    case TYPE_UNKNOWN:
    case TYPE_JSON:
        return take_bytes(arena, BH_DB_TEXT, bytes, value);
    case TYPE_JSONB: /* a version byte, then the text */
        if (bytes.size < 1)
            return BH_ECORRUPT;
        return take_bytes(arena, BH_DB_TEXT, (struct bh_str){ bytes.data + 1, bytes.size - 1 },
                          value);
    case TYPE_BYTEA:
        return take_bytes(arena, BH_DB_BLOB, bytes, value);
    case TYPE_NUMERIC:
        return take_numeric(arena, bytes, value);
    case TYPE_VOID:
        *value = bh_db_null();
        return 0;
    default:
        return BH_EUNSUPPORTED;
    }
}

static int make_room(struct bh_pg_rows *const rows, const size_t wanted)
{
    if (rows->row_count + wanted <= rows->row_capacity)
        return 0;
    size_t capacity = rows->row_capacity ? rows->row_capacity * 2 : ROWS_FIRST;
    if (rows->row_count == 0 || capacity < rows->row_count + wanted)
        capacity = rows->row_count + wanted;
    struct bh_db_value *const values = bh_arena_alloc(rows->arena, capacity * rows->column_count *
                                                                       sizeof(*values));
    if (!values)
        return BH_ELIMIT;
    if (rows->row_count > 0)
        memcpy(values, rows->values, rows->row_count * rows->column_count * sizeof(*values));
    rows->values = values;
    rows->row_capacity = capacity;
    return 0;
}

static int take_row(struct bh_pg_rows *const rows, const PGresult *const result, const int row,
                    int *const ret_column)
{
    struct bh_db_value *const values = &rows->values[rows->row_count * rows->column_count];
    for (int column = 0; column < (int)rows->column_count; column++) {
        if (PQgetisnull(result, row, column)) {
            values[column] = bh_db_null();
            continue;
        }
        const struct bh_str bytes = { PQgetvalue(result, row, column),
                                      (size_t)PQgetlength(result, row, column) };
        const int code = take_value(rows->arena, PQftype(result, column), bytes, &values[column]);
        if (code) {
            *ret_column = column;
            return code;
        }
    }
    rows->row_count++;
    return 0;
}

int bh_pg_value_rows(struct bh_pg_rows *const rows, const PGresult *const result,
                     int *const ret_column)
{
    rows->column_count = (size_t)PQnfields(result);
    const int count = PQntuples(result);
    if (!rows->arena || count == 0)
        return 0;
    int code = make_room(rows, (size_t)count);
    for (int row = 0; !code && row < count; row++)
        code = take_row(rows, result, row, ret_column);
    return code;
}
