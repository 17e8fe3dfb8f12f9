/*
 * Reading what a request asks for: query parameters and JSON fields, checked. Each function returns
 * true with the value, or false with *problem told (422 naming the field, 400 for malformed JSON).
 * An absent optional value leaves the target as it was.
 */
#pragma once

#include "handlers/answer.h"

/* ---- Query parameters ---- */

bool tome_query_int(struct bh_request *request, const char *name, int64_t minimum, int64_t maximum,
                    int64_t *value, struct tome_problem *problem) BH_MUST_CHECK;
bool tome_query_bool(struct bh_request *request, const char *name, bool *value,
                     struct tome_problem *problem) BH_MUST_CHECK;

/* One of `names`; *value is its place. */
bool tome_query_choice(struct bh_request *request, const char *name, const char *const *names,
                       size_t count, size_t *value, struct tome_problem *problem) BH_MUST_CHECK;

/* A path's {id}: a positive number up to `maximum`, else 422. */
bool tome_path_id(struct bh_request *request, const char *name, int64_t maximum, int64_t *value,
                  struct tome_problem *problem) BH_MUST_CHECK;

/* ---- JSON ---- */

/* Parses the body as an object that has only `fields`. *ret_object: the caller's to decref. */
bool tome_json_object(struct bh_str body, const char *const *fields, size_t field_count,
                      json_t **ret_object, struct tome_problem *problem) BH_MUST_CHECK;

/* Refuses fields other than these; `prefix` stands before the name in the message. */
bool tome_json_only(const json_t *object, const char *const *fields, size_t field_count,
                    struct tome_problem *problem) BH_MUST_CHECK;

/* Text of `minimum` to `maximum` code points behind trimming; borrowed from the object. */
bool tome_json_text(const json_t *object, const char *name, size_t minimum, size_t maximum,
                    struct bh_str *value, struct tome_problem *problem) BH_MUST_CHECK;
bool tome_json_int(const json_t *object, const char *name, int64_t minimum, int64_t maximum,
                   int64_t *value, struct tome_problem *problem) BH_MUST_CHECK;
bool tome_json_bool(const json_t *object, const char *name, bool *value,
                    struct tome_problem *problem) BH_MUST_CHECK;

/* ---- Values with rules of their own ---- */

#define TOME_TITLE_MAX 1000 /* code points */
#define TOME_AUTHOR_MAX 1000
#define TOME_TAG_MAX 100
#define TOME_TAGS_MAX 100
#define TOME_LANGUAGE_MAX 35
#define TOME_METADATA_MAX 65536 /* bytes of JSON */

/* Text of a form or query parameter within bounds (code points, trimmed in place). */
bool tome_check_text(const char *field, struct bh_str *value, size_t minimum, size_t maximum,
                     struct tome_problem *problem) BH_MUST_CHECK;

/* BOOK, ARTICLE, NOTE or HIGHLIGHT. */
bool tome_check_source_type(const char *field, struct bh_str value,
                            struct tome_problem *problem) BH_MUST_CHECK;

/* An array of tags, or a comma-separated text, as the JSON array to be stored, in the arena. */
bool tome_json_tags(const json_t *object, struct bh_arena *arena, struct bh_str *value,
                    struct tome_problem *problem) BH_MUST_CHECK;
bool tome_text_tags(const struct bh_str *texts, size_t count, struct bh_arena *arena,
                    struct bh_str *value, struct tome_problem *problem) BH_MUST_CHECK;

/* An object, as the JSON to be stored, in the arena. */
bool tome_json_metadata(const json_t *object, struct bh_arena *arena, struct bh_str *value,
                        struct tome_problem *problem) BH_MUST_CHECK;
