/* JSON: what is read is what jansson reads, and can be written and read again as the same; what is
 * refused gets a clean message, and jansson refuses it as well; any bytes can be written as a
 * string. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/json.h"

enum { DEPTH = 16 };

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the reader allowed */
static void write_tree(struct bh_json *const json, const json_t *const tree)
{
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        bh_json_object_begin(json);
        for (void *at = json_object_iter((json_t *)(uintptr_t)tree); at;
             at = json_object_iter_next((json_t *)(uintptr_t)tree, at)) {
            bh_json_key(json, bh_str_from(json_object_iter_key(at)));
            write_tree(json, json_object_iter_value(at));
        }
        bh_json_object_end(json);
        break;
    case JSON_ARRAY:
        bh_json_array_begin(json);
        for (size_t i = 0; i < json_array_size(tree); i++)
            write_tree(json, json_array_get(tree, i));
        bh_json_array_end(json);
        break;
    case JSON_STRING:
        bh_json_string(json, (struct bh_str){ .data = json_string_value(tree),
                                              .size = json_string_length(tree) });
        break;
    case JSON_INTEGER:
        bh_json_int(json, json_integer_value(tree));
        break;
    case JSON_REAL:
        bh_json_double(json, json_real_value(tree));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        bh_json_bool(json, json_is_true(tree));
        break;
    case JSON_NULL:
        bh_json_null(json);
        break;
    }
}

static void check_as_jansson(const struct bh_str text, const json_t *const tree)
{
    BH_CLEANUP(bh_json_decref_cleanup)
    json_t *theirs = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                NULL);
    bh_assert(json_equal(theirs, (json_t *)(uintptr_t)tree));
}

static void check_round_trip(const json_t *const tree)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 64 << 20);
    struct bh_json json;
    bh_json_init(&json, &buf);
    write_tree(&json, tree);
    bh_assert(bh_buf_error(&buf) == 0);
    BH_CLEANUP(bh_json_decref_cleanup) json_t *again = NULL;
    bh_assert(bh_json_parse(bh_buf_peek(&buf), DEPTH, &again, NULL) == 0);
    bh_assert(json_equal(again, (json_t *)(uintptr_t)tree));
}

static void check_refusal(const struct bh_str text, const int code,
                          const struct bh_error *const error)
{
    const struct bh_str message = bh_str_from(error->message);
    bh_assert(code == BH_ESYNTAX || code == BH_ELIMIT);
    bh_assert(error->code == code);
    bh_assert(bh_str_starts_with(message, BH_STR("line ")) && bh_str_is_utf8(message));
    /* jansson takes a NUL for the end of the text, and knows neither limit */
    const bool is_ours = code == BH_ELIMIT || strstr(error->message, "at most") ||
                         (text.size > 0 && memchr(text.data, '\0', text.size));
    if (!is_ours)
        bh_assert(
            !json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL));
}

static void check_as_string(const struct bh_str text)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 6 * text.size + 2);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_string(&json, text);
    bh_assert(bh_buf_error(&buf) == 0);
    const bool has_nul = text.size > 0 && memchr(text.data, '\0', text.size);
    BH_CLEANUP(bh_json_decref_cleanup) json_t *tree = NULL;
    const int result = bh_json_parse(bh_buf_peek(&buf), 0, &tree, NULL);
    bh_assert(result == (has_nul ? BH_ESYNTAX : 0));
    if (result == 0 && bh_str_is_utf8(text)) {
        const struct bh_str back = { .data = json_string_value(tree),
                                     .size = json_string_length(tree) };
        bh_assert(bh_str_equal(back, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    const struct bh_str text = { .data = (const char *)data, .size = size };
    BH_CLEANUP(bh_json_decref_cleanup) json_t *tree = NULL;
    struct bh_error error = { .code = 0 };
    const int result = bh_json_parse(text, DEPTH, &tree, &error);
    if (result == 0) {
        check_as_jansson(text, tree);
        check_round_trip(tree);
    } else {
        check_refusal(text, result, &error);
    }
    check_as_string(text);
    return 0;
}
