/* A result as a server might send it: types and bytes of its own choice. And a migration's text. */
#include "bulkhead/base/assert.h"
#include "db/postgres/pg_script.h"
#include "db/postgres/pg_value.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Oid types[] = {
    16, 17, 18, 20, 21, 23, 25, 26, 114, 700, 701, 1700, 2278, 3802, 1184
};

/* The first byte of a value chooses its column's type, the second its length. */
static PGresult *result_of(const uint8_t *data, size_t size, int *const ret_columns)
{
    PGresult *const result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[COLUMNS_MAX];
    const uint8_t *values[COLUMNS_MAX];
    int lengths[COLUMNS_MAX], count = 0;
    bh_assert(result != NULL);
    for (; count < COLUMNS_MAX && size >= 2; count++) {
        static char name[] = "column";
        const size_t length = data[1] < size - 2 ? data[1] : size - 2;
        columns[count] = (PGresAttDesc){ .name = name,
                                         .format = 1,
                                         .typid = types[data[0] % BH_COUNT_OF(types)] };
        values[count] = data + 2;
        lengths[count] = (int)length;
        data += 2 + length;
        size -= 2 + length;
    }
    if (count > 0 && !PQsetResultAttrs(result, count, columns))
        abort();
    for (int i = 0; i < count; i++) {
        char copy[256];
        memcpy(copy, values[i], (size_t)lengths[i]);
        if (!PQsetvalue(result, 0, i, copy, lengths[i]))
            abort();
    }
    *ret_columns = count;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    struct bh_arena *arena;
    if (bh_arena_create((size_t)64 * 1024, &arena) != 0)
        return 0;
    int columns = 0, column = -1;
    PGresult *const result = result_of(data, size, &columns);
    struct bh_pg_rows rows = { .arena = arena };
    const int code = bh_pg_value_rows(&rows, result, &column);
    bh_assert(code == 0 || code == BH_ELIMIT || (column >= 0 && column < columns));
    PQclear(result);
    bh_arena_destroy(arena);

    char *const text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)bh_pg_script_has_transaction(text);
    free(text);
    return 0;
}
