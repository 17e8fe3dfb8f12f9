/* Checks of what clients send. */
#include "handlers/input.h"

#include <stdio.h>
#include <stdlib.h>

#include "views.h"

/* ---- Query parameters ---- */

static bool parse_int(const char *const name, const struct bh_str text, const int64_t minimum,
                      const int64_t maximum, int64_t *const value,
                      struct tome_problem *const problem)
{
    if (bh_str_to_int64(text, minimum, maximum, value) == 0)
        return true;
    return tome_invalid(problem, name, "%s takes a whole number from %lld to %lld", name,
                        (long long)minimum, (long long)maximum);
}

bool tome_query_int(struct bh_request *const request, const char *const name, const int64_t minimum,
                    const int64_t maximum, int64_t *const value, struct tome_problem *const problem)
{
    struct bh_str text;
    return !bh_request_query(request, name, &text) ||
           parse_int(name, text, minimum, maximum, value, problem);
}

bool tome_query_bool(struct bh_request *const request, const char *const name, bool *const value,
                     struct tome_problem *const problem)
{
    struct bh_str text;
    if (!bh_request_query(request, name, &text))
        return true;
    const bool yes = bh_str_equal(text, BH_STR("1")) || bh_str_equal(text, BH_STR("true"));
    const bool no = bh_str_equal(text, BH_STR("0")) || bh_str_equal(text, BH_STR("false"));
    if (!yes && !no)
        return tome_invalid(problem, name, "%s takes true, false, 1 or 0", name);
    *value = yes;
    return true;
}

bool tome_query_choice(struct bh_request *const request, const char *const name,
                       const char *const *const names, const size_t count, size_t *const value,
                       struct tome_problem *const problem)
{
    struct bh_str text;
    if (!bh_request_query(request, name, &text))
        return true;
    for (size_t i = 0; i < count; i++) {
        if (bh_str_equal(text, bh_str_from(names[i]))) {
            *value = i;
            return true;
        }
    }
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) list;
    bh_buf_init(&list, 256);
    for (size_t i = 0; i < count; i++)
        bh_buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", names[i]);
    return tome_invalid(problem, name, "%s takes %.*s", name, BH_STR_ARGS(bh_buf_peek(&list)));
}

bool tome_path_id(struct bh_request *const request, const char *const name, const int64_t maximum,
                  int64_t *const value, struct tome_problem *const problem)
{
    return parse_int(name, bh_request_parameter(request, name), 1, maximum, value, problem);
}

/* ---- JSON ---- */

bool tome_json_only(const json_t *const object, const char *const *const fields,
                    const size_t field_count, struct tome_problem *const problem)
{
    /* jansson's iterators take an object that may change; this one does not. */
    json_t *const iterated = (json_t *)(uintptr_t)object;
    for (void *at = json_object_iter(iterated); at != NULL;
         at = json_object_iter_next(iterated, at)) {
        const char *const key = json_object_iter_key(at);
        bool known = false;
        for (size_t i = 0; i < field_count; i++)
            known |= bh_str_equal(bh_str_from(key), bh_str_from(fields[i]));
        if (known)
            continue;
        struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) list;
        bh_buf_init(&list, 512);
        for (size_t i = 0; i < field_count; i++)
            bh_buf_printf(&list, "%s%s", i == 0 ? "" : ", ", fields[i]);
        snprintf(problem->name, sizeof(problem->name), "%s",
                 key); /* the key dies with the object */
        return tome_invalid(problem, problem->name, "unknown field; known are %.*s",
                            BH_STR_ARGS(bh_buf_peek(&list)));
    }
    return true;
}

bool tome_json_object(const struct bh_str body, const char *const *const fields,
                      const size_t field_count, json_t **const ret_object,
                      struct tome_problem *const problem)
{
    struct bh_error error;
    json_t *value = NULL;
    const int result = bh_json_parse(body, BH_JSON_DEPTH_MAX, &value, &error);
    if (result != 0) {
        tome_invalid(problem, NULL, "the body is not JSON that can be read: %s", error.message);
        problem->status = result == BH_ENOMEM ? 503 : 400;
        return false;
    }
    if (!json_is_object(value)) {
        tome_invalid(problem, NULL, "the body must be a JSON object");
        problem->status = 400;
    } else if (tome_json_only(value, fields, field_count, problem)) {
        *ret_object = value;
        return true;
    }
    json_decref(value);
    return false;
}

/* The field's value; NULL where it is absent or null. */
static const json_t *get(const json_t *const object, const char *const name)
{
    const json_t *const value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static struct bh_str text_of(const json_t *const value)
{
    return (struct bh_str){ .data = json_string_value(value), .size = json_string_length(value) };
}

bool tome_check_text(const char *const field, struct bh_str *const value, const size_t minimum,
                     const size_t maximum, struct tome_problem *const problem)
{
    const struct bh_str text = bh_str_trim(*value);
    const size_t count = (size_t)tome_view_code_points(text);
    if (count < minimum && minimum == 1)
        return tome_invalid(problem, field, "%s must not be empty", field);
    if (count < minimum || count > maximum)
        return tome_invalid(problem, field, "%s takes %zu to %zu characters, not %zu", field,
                            minimum, maximum, count);
    *value = text;
    return true;
}

bool tome_json_text(const json_t *const object, const char *const name, const size_t minimum,
                    const size_t maximum, struct bh_str *const value,
                    struct tome_problem *const problem)
{
    const json_t *const found = get(object, name);
    if (found == NULL)
        return true;
    if (!json_is_string(found))
        return tome_invalid(problem, name, "%s takes a text", name);
    struct bh_str text = text_of(found);
    if (!tome_check_text(name, &text, minimum, maximum, problem))
        return false;
    *value = text.data != NULL ? text : BH_STR("");
    return true;
}

bool tome_json_int(const json_t *const object, const char *const name, const int64_t minimum,
                   const int64_t maximum, int64_t *const value, struct tome_problem *const problem)
{
    const json_t *const found = get(object, name);
    if (found == NULL)
        return true;
    if (!json_is_integer(found) || json_integer_value(found) < minimum ||
        json_integer_value(found) > maximum)
        return tome_invalid(problem, name, "%s takes a whole number from %lld to %lld", name,
                            (long long)minimum, (long long)maximum);
    *value = json_integer_value(found);
    return true;
}

bool tome_json_bool(const json_t *const object, const char *const name, bool *const value,
                    struct tome_problem *const problem)
{
    const json_t *const found = get(object, name);
    if (found == NULL)
        return true;
    if (!json_is_boolean(found))
        return tome_invalid(problem, name, "%s takes true or false", name);
    *value = json_is_true(found);
    return true;
}

/* ---- Values with rules of their own ---- */

bool tome_check_source_type(const char *const field, const struct bh_str value,
                            struct tome_problem *const problem)
{
    static const char *const known[] = { "BOOK", "ARTICLE", "NOTE", "HIGHLIGHT" };
    for (size_t i = 0; i < BH_COUNT_OF(known); i++)
        if (bh_str_equal(value, bh_str_from(known[i])))
            return true;
    return tome_invalid(problem, field, "%s takes BOOK, ARTICLE, NOTE or HIGHLIGHT", field);
}

/* Tags gathered as a JSON array. */
struct tags {
    struct bh_buf text;
    struct bh_json json;
    size_t count;
};

static void tags_begin(struct tags *const tags)
{
    bh_buf_init(&tags->text, (size_t)TOME_TAGS_MAX * TOME_TAG_MAX * 8);
    bh_json_init(&tags->json, &tags->text);
    tags->count = 0;
    bh_json_array_begin(&tags->json);
}

static bool tags_add(struct tags *const tags, struct bh_str tag, struct tome_problem *const problem)
{
    if (!tome_check_text("tags", &tag, 1, TOME_TAG_MAX, problem))
        return false;
    if (++tags->count > TOME_TAGS_MAX)
        return tome_invalid(problem, "tags", "at most %d tags", TOME_TAGS_MAX);
    bh_json_string(&tags->json, tag);
    return true;
}

static bool tags_add_list(struct tags *const tags, struct bh_str list,
                          struct tome_problem *const problem)
{
    while (list.size > 0) {
        const struct bh_str tag = bh_str_trim(bh_str_split(&list, ','));
        if (tag.size > 0 && !tags_add(tags, tag, problem))
            return false;
    }
    return true;
}

/* Into the arena if `ok`; gives the memory back in any case. */
static bool tags_end(struct tags *const tags, const bool ok, struct bh_arena *const arena,
                     struct bh_str *const value, struct tome_problem *const problem)
{
    bool stored = ok;
    if (ok) {
        bh_json_array_end(&tags->json);
        const char *const copy = bh_buf_error(&tags->text) == 0
                                     ? bh_arena_strdup(arena, bh_buf_peek(&tags->text))
                                     : NULL;
        stored = copy != NULL || tome_invalid(problem, "tags", "too many or too long tags");
        *value = bh_str_from(copy);
    }
    bh_buf_fini(&tags->text);
    return stored;
}

bool tome_json_tags(const json_t *const object, struct bh_arena *const arena,
                    struct bh_str *const value, struct tome_problem *const problem)
{
    const json_t *const found = get(object, "tags");
    if (found == NULL)
        return true;
    if (json_is_string(found)) {
        const struct bh_str text = text_of(found);
        return tome_text_tags(&text, 1, arena, value, problem);
    }
    if (!json_is_array(found))
        return tome_invalid(problem, "tags", "tags takes an array of texts");
    struct tags tags;
    tags_begin(&tags);
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(found); i++) {
        const json_t *const tag = json_array_get(found, i);
        ok = json_is_string(tag) ? tags_add(&tags, text_of(tag), problem)
                                 : tome_invalid(problem, "tags", "tags takes an array of texts");
    }
    return tags_end(&tags, ok, arena, value, problem);
}

bool tome_text_tags(const struct bh_str *const texts, const size_t count,
                    struct bh_arena *const arena, struct bh_str *const value,
                    struct tome_problem *const problem)
{
    struct tags tags;
    tags_begin(&tags);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = tags_add_list(&tags, texts[i], problem);
    return tags_end(&tags, ok, arena, value, problem);
}

bool tome_json_metadata(const json_t *const object, struct bh_arena *const arena,
                        struct bh_str *const value, struct tome_problem *const problem)
{
    const json_t *const found = get(object, "metadata");
    if (found == NULL)
        return true;
    if (!json_is_object(found))
        return tome_invalid(problem, "metadata", "metadata takes an object");
    char *const text = json_dumps(found, JSON_COMPACT);
    const size_t size = text != NULL ? strlen(text) : 0;
    bool ok = text != NULL && size <= TOME_METADATA_MAX;
    if (!ok)
        tome_invalid(problem, "metadata", "metadata takes at most %d bytes", TOME_METADATA_MAX);
    const char *const copy =
        ok ? bh_arena_strdup(arena, (struct bh_str){ .data = text, .size = size }) : NULL;
    free(text);
    if (ok && copy == NULL)
        ok = tome_invalid(problem, "metadata", "metadata is too large");
    if (ok)
        *value = (struct bh_str){ .data = copy, .size = size };
    return ok;
}
