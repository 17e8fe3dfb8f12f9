/* The list of books, and one book: read, changed, deleted. */
#include "handlers/cached.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"
#include "views.h"

#define LOOK_UP_MAX 200 /* code points */
#define PAGE_MAX INT64_C(1000000000)
#define PAGE_SIZE_MAX 1000

struct list_asked {
    struct bh_request *request;
    struct bh_str look_up;
    int64_t page, page_size;
    size_t sort;
};

static int write_list(void *const argument, struct bh_json *const json,
                      struct bh_error *const reterr)
{
    const struct list_asked *const asked = argument;
    struct tome_books books;
    int64_t total = 0;
    const int result = tome_books_list(
        tome_service_of(asked->request)->db, tome_owner_of(asked->request), asked->look_up,
        (enum tome_books_sort)asked->sort, asked->page, asked->page_size,
        bh_request_arena(asked->request), &books, &total, reterr);
    if (result != 0)
        return result;
    bh_json_kv_array(json, "books");
    for (size_t i = 0; i < books.count; i++) {
        bh_json_object_begin(json);
        tome_view_book(json, &books.books[i]);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
    tome_view_paging(json, total, asked->page, asked->page_size);
    return 0;
}

int tome_handle_books(struct bh_request *const request)
{
    static const char *const sorts[] = {
        [TOME_BOOKS_TITLE] = "title", [TOME_BOOKS_NEWEST] = "newest", [TOME_BOOKS_AUTHOR] = "author"
    };
    struct tome_problem problem = { 0 };
    struct list_asked asked = { .request = request,
                                .look_up = BH_STR(""),
                                .page = 1,
                                .page_size = 50,
                                .sort = TOME_BOOKS_TITLE };
    (void)bh_request_query(request, "q", &asked.look_up);
    if (!tome_check_text("q", &asked.look_up, 0, LOOK_UP_MAX, &problem) ||
        !tome_query_int(request, "page", 1, PAGE_MAX, &asked.page, &problem) ||
        !tome_query_int(request, "page_size", 1, PAGE_SIZE_MAX, &asked.page_size, &problem) ||
        !tome_query_choice(request, "sort", sorts, BH_COUNT_OF(sorts), &asked.sort, &problem))
        return tome_problem_send(request, &problem);
    struct tome_key key;
    tome_key_begin(&key, 'l', tome_owner_of(request));
    tome_key_text(&key, asked.look_up);
    tome_key_int(&key, asked.page);
    tome_key_int(&key, asked.page_size);
    tome_key_int(&key, (int64_t)asked.sort);
    const struct tome_cached cached = {
        .key = &key, .class = TOME_CACHE_DEFAULT, .write = write_list, .argument = &asked
    };
    return tome_cached_send(request, &cached);
}

/* ---- One book ---- */

struct book_asked {
    struct bh_request *request;
    int64_t id;
};

static int write_book(void *const argument, struct bh_json *const json,
                      struct bh_error *const reterr)
{
    const struct book_asked *const asked = argument;
    struct bh_db *const db = tome_service_of(asked->request)->db;
    struct bh_arena *const arena = bh_request_arena(asked->request);
    const int64_t owner_id = tome_owner_of(asked->request);
    const struct tome_chapter *chapters = NULL;
    struct tome_book book;
    size_t count = 0;
    int result = tome_books_get(db, owner_id, asked->id, arena, &book, reterr);
    if (result == 0)
        result = tome_books_chapters(db, owner_id, asked->id, arena, &chapters, &count, reterr);
    if (result != 0)
        return result;
    tome_view_book(json, &book);
    tome_view_chapters(json, chapters, count);
    return 0;
}

static int respond_book(struct bh_request *const request, const int64_t book_id,
                        const bool is_exact)
{
    struct book_asked asked = { .request = request, .id = book_id };
    struct tome_key key;
    tome_key_begin(&key, 'b', tome_owner_of(request));
    tome_key_int(&key, book_id);
    const struct tome_cached cached = { .key = &key,
                                        .class = TOME_CACHE_CONTENT,
                                        .book_id = book_id,
                                        .is_exact = is_exact,
                                        .write = write_book,
                                        .argument = &asked };
    return tome_cached_send(request, &cached);
}

int tome_handle_book(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    int64_t book_id = 0;
    if (!tome_path_id(request, "id", TOME_BOOK_ID_MAX, &book_id, &problem))
        return tome_problem_send(request, &problem);
    return respond_book(request, book_id, false);
}

static bool read_changes(const json_t *const object, struct bh_arena *const arena,
                         struct tome_book_changes *const changes,
                         struct tome_problem *const problem)
{
    return tome_json_text(object, "title", 1, TOME_TITLE_MAX, &changes->title, problem) &&
           tome_json_text(object, "author", 0, TOME_AUTHOR_MAX, &changes->author, problem) &&
           tome_json_text(object, "source_type", 0, 50, &changes->source_type, problem) &&
           (changes->source_type.data == NULL ||
            tome_check_source_type("source_type", changes->source_type, problem)) &&
           tome_json_tags(object, arena, &changes->tags, problem) &&
           tome_json_metadata(object, arena, &changes->metadata, problem);
}

int tome_handle_book_patch(struct bh_request *const request)
{
    static const char *const fields[] = { "title", "author", "source_type", "tags", "metadata" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    struct tome_problem problem = { 0 };
    struct tome_book_changes changes = { 0 };
    struct bh_arena *const arena = bh_request_arena(request);
    int64_t book_id = 0;
    if (!tome_path_id(request, "id", TOME_BOOK_ID_MAX, &book_id, &problem) ||
        !tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          &problem) ||
        !read_changes(object, arena, &changes, &problem))
        return tome_problem_send(request, &problem);
    struct bh_error error;
    if (tome_books_update(tome_service_of(request)->db, tome_owner_of(request), book_id, &changes,
                          arena, &error) != 0)
        return bh_respond_failure(request, &error);
    tome_cache_note_change(tome_service_of(request)->cache, tome_owner_of(request));
    return respond_book(request, book_id, true);
}

int tome_handle_book_delete(struct bh_request *const request)
{
    const struct tome_service *const service = tome_service_of(request);
    struct tome_problem problem = { 0 };
    struct bh_error error;
    int64_t book_id = 0;
    if (!tome_path_id(request, "id", TOME_BOOK_ID_MAX, &book_id, &problem))
        return tome_problem_send(request, &problem);
    if (tome_books_delete(service->db, tome_owner_of(request), book_id, bh_request_arena(request),
                          &error) != 0)
        return bh_respond_failure(request, &error);
    tome_cache_note_change(service->cache, tome_owner_of(request));
    tome_ingest_purge_soon(service->ingest);
    return bh_respond(request, 204, NULL, BH_STR(""));
}
