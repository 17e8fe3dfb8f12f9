/* A form with a file: the file goes to the spool as it arrives, the other fields are small texts.
 * */
#include "bulkhead/http/multipart.h"
#include "handlers/ingest.h"

#define FIELD_BYTES_MAX 65536u
#define FILE_NAME_MAX 255 /* bytes */

enum field {
    FIELD_FILE,
    FIELD_TITLE,
    FIELD_AUTHOR,
    FIELD_SOURCE_TYPE,
    FIELD_TAGS,
    FIELD_BOOK_ID,
    FIELD_LANGUAGE,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_FILE] = "file",         [FIELD_TITLE] = "title",
    [FIELD_AUTHOR] = "author",     [FIELD_SOURCE_TYPE] = "source_type",
    [FIELD_TAGS] = "tags",         [FIELD_BOOK_ID] = "book_id",
    [FIELD_LANGUAGE] = "language",
};

struct form {
    struct bh_request *request;
    struct tome_spool *spool;
    struct tome_submission *submission;
    struct tome_problem problem;
    enum field field;                  /* of the part being read */
    struct bh_buf text;                /* its content, if it is not the file */
    struct bh_str tags[TOME_TAGS_MAX]; /* each may hold several */
    size_t tag_count;
    bool has_file;
};

/* ---- Parts ---- */

static bool begin_part(struct form *const form, const struct bh_multipart_item *const item)
{
    size_t field = 0;
    while (field < FIELD_COUNT && !bh_str_equal(item->name, bh_str_from(field_names[field])))
        field++;
    if (field == FIELD_COUNT) {
        snprintf(form->problem.name, sizeof(form->problem.name), "%.*s", BH_STR_ARGS(item->name));
        return tome_invalid(&form->problem, form->problem.name,
                            "unknown field; known are file, title, author, source_type, tags, "
                            "book_id, language");
    }
    form->field = (enum field)field;
    bh_buf_clear(&form->text);
    if (form->field != FIELD_FILE)
        return true;
    if (form->has_file)
        return tome_invalid(&form->problem, "file", "one file at a time");
    if (item->filename.data == NULL)
        return tome_invalid(&form->problem, "file", "file takes a file, not a text");
    /* The end of a long name is kept: it has the ending. */
    struct bh_str name = item->filename;
    while (name.size > FILE_NAME_MAX ||
           (name.size > 0 && ((unsigned char)name.data[0] & 0xc0) == 0x80))
        name = (struct bh_str){ .data = name.data + 1, .size = name.size - 1 };
    const char *const copy = bh_arena_strdup(bh_request_arena(form->request), name);
    form->submission->file_name = copy != NULL ? bh_str_from(copy) : BH_STR("");
    form->has_file = true;
    return true;
}

/* A copy in the request's arena. */
static bool keep_text(struct form *const form, const size_t minimum, const size_t maximum,
                      struct bh_str *const target)
{
    const char *const field = field_names[form->field];
    const char *const copy = bh_arena_strdup(bh_request_arena(form->request),
                                             bh_buf_peek(&form->text));
    if (copy == NULL)
        return tome_invalid(&form->problem, field, "%s is too long", field);
    struct bh_str text = { .data = copy, .size = form->text.size };
    if (!bh_str_is_utf8(text))
        return tome_invalid(&form->problem, field, "%s is not UTF-8", field);
    if (memchr(text.data, '\0', text.size) != NULL)
        return tome_invalid(&form->problem, field, "%s holds a NUL character", field);
    if (!tome_check_text(field, &text, minimum, maximum, &form->problem))
        return false;
    *target = text;
    return true;
}

/* Where a field comes twice, the last one counts; tags add up. An empty one is as if absent. */
static bool end_part(struct form *const form)
{
    struct tome_submission *const submission = form->submission;
    struct bh_str text = BH_STR("");
    switch (form->field) {
    case FIELD_FILE:
    case FIELD_COUNT:
        return true;
    case FIELD_TITLE:
        return keep_text(form, 0, TOME_TITLE_MAX, &submission->title);
    case FIELD_AUTHOR:
        return keep_text(form, 0, TOME_AUTHOR_MAX, &submission->author);
    case FIELD_LANGUAGE:
        return keep_text(form, 0, TOME_LANGUAGE_MAX, &submission->language);
    case FIELD_TAGS:
        if (form->tag_count == TOME_TAGS_MAX)
            return tome_invalid(&form->problem, "tags", "at most %d tags", TOME_TAGS_MAX);
        return keep_text(form, 0, FIELD_BYTES_MAX, &form->tags[form->tag_count++]);
    case FIELD_SOURCE_TYPE:
        if (!keep_text(form, 0, 50, &text))
            return false;
        if (text.size > 0)
            submission->source_type = text;
        return text.size == 0 || tome_check_source_type("source_type", text, &form->problem);
    case FIELD_BOOK_ID:
        if (!keep_text(form, 0, 50, &text))
            return false;
        return text.size == 0 ||
               bh_str_to_int64(text, 1, TOME_BOOK_ID_MAX, &submission->replaces) == 0 ||
               tome_invalid(&form->problem, "book_id", "book_id takes a book's id");
    }
    return true;
}

static int too_large(struct form *const form)
{
    return bh_respond_error(
        form->request, 413, "the file is larger than MAX_UPLOAD_MB, %lld MB",
        (long long)(tome_ingest_upload_maximum(tome_service_of(form->request)->ingest) >> 20));
}

/* 0, or what the handler returns. */
static int take_data(struct form *const form, const struct bh_str data, bool *const ret_ok)
{
    struct bh_error error;
    *ret_ok = false;
    if (form->field != FIELD_FILE) {
        if (form->text.size + data.size > FIELD_BYTES_MAX) {
            tome_invalid(&form->problem, field_names[form->field], "%s is too long",
                         field_names[form->field]);
            return tome_problem_send(form->request, &form->problem);
        }
        bh_buf_append_str(&form->text, data);
        *ret_ok = bh_buf_error(&form->text) == 0;
        return *ret_ok ? 0 : BH_ENOMEM;
    }
    const struct tome_ingest *const ingest = tome_service_of(form->request)->ingest;
    if (form->spool->size + data.size > tome_ingest_upload_maximum(ingest))
        return too_large(form);
    const int result = tome_spool_write(form->spool, data, &error);
    if (result != 0)
        return result == BH_ECANCELED ? result : bh_respond_failure(form->request, &error);
    *ret_ok = true;
    return 0;
}

/* ---- The form ---- */

/* True at the closing boundary. False: *ret_result. */
static bool read_parts(struct form *const form, struct bh_multipart *const multipart,
                       int *const ret_result)
{
    struct bh_multipart_item item;
    struct bh_error error;
    bool in_part = false;
    for (;;) {
        const int result = bh_multipart_next(multipart, &item, &error);
        if (result == BH_ELIMIT) {
            *ret_result = too_large(form);
            return false;
        }
        if (result != 0) {
            *ret_result = result == BH_ECANCELED || result == BH_ECLOSED
                              ? BH_ECANCELED
                              : bh_respond_failure(form->request, &error);
            return false;
        }
        if (item.event == BH_MULTIPART_DATA) {
            bool ok;
            *ret_result = take_data(form, item.data, &ok);
            if (!ok)
                return false;
            continue;
        }
        if ((in_part && !end_part(form)) ||
            (item.event == BH_MULTIPART_PART && !begin_part(form, &item))) {
            *ret_result = tome_problem_send(form->request, &form->problem);
            return false;
        }
        in_part = true;
        if (item.event == BH_MULTIPART_END)
            return true;
    }
}

static bool finish(struct form *const form, int *const ret_result)
{
    struct tome_submission *const submission = form->submission;
    struct bh_error error;
    if (!form->has_file) {
        tome_invalid(&form->problem, "file", "file is missing");
        *ret_result = tome_problem_send(form->request, &form->problem);
        return false;
    }
    if (form->tag_count > 0 &&
        !tome_text_tags(form->tags, form->tag_count, bh_request_arena(form->request),
                        &submission->tags, &form->problem)) {
        *ret_result = tome_problem_send(form->request, &form->problem);
        return false;
    }
    const int result = tome_spool_finish(form->spool, &error);
    if (result != 0) {
        *ret_result = result == BH_ECANCELED ? result : bh_respond_failure(form->request, &error);
        return false;
    }
    submission->input_kind = BH_STR("upload");
    submission->byte_size = (int64_t)form->spool->size;
    submission->content_hash = (struct bh_str){ .data = (const char *)form->spool->hash,
                                                .size = TOME_HASH_BYTES };
    return true;
}

bool tome_ingest_read_form(struct bh_request *const request, struct tome_spool *const spool,
                           struct tome_submission *const submission, int *const ret_result)
{
    struct form *const form = bh_arena_calloc(bh_request_arena(request), 1, sizeof(*form));
    struct bh_multipart *multipart = NULL;
    struct bh_error error;
    if (form == NULL) {
        *ret_result = BH_ENOMEM;
        return false;
    }
    form->request = request;
    form->spool = spool;
    form->submission = submission;
    bh_buf_init(&form->text, FIELD_BYTES_MAX);
    bool ok = false;
    if (bh_multipart_begin(request, &multipart, &error) != 0)
        *ret_result = bh_respond_error(request, 400, "%s", error.message);
    else
        ok = read_parts(form, multipart, ret_result) && finish(form, ret_result);
    bh_buf_fini(&form->text);
    return ok;
}
