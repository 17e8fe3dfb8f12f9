/* `tomehub books`: the list of books, or one of them deleted. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "views.h"

#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define BOOKS_AT_ONCE 500

enum { OPTION_JSON, OPTION_SORT, OPTION_FIND, OPTION_DELETE, OPTION_USER };
static const struct tome_option options[] = {
    [OPTION_JSON] = { .name = "json", .help = "one JSON object a line" },
    [OPTION_SORT] = { .name = "sort",
                      .argument = "KEY",
                      .help = "title, author or newest (title)" },
    [OPTION_FIND] = { .name = "find",
                      .argument = "WORDS",
                      .help = "only where title or author has them" },
    [OPTION_DELETE] = { .name = "delete", .argument = "ID", .help = "delete this book" },
    [OPTION_USER] = TOME_OPTION_USER,
};

static void append_book(struct bh_buf *const text, const struct tome_book *const book,
                        const bool as_json)
{
    if (as_json) {
        struct bh_json json;
        bh_json_init(&json, text);
        bh_json_object_begin(&json);
        tome_view_book(&json, book);
        bh_json_object_end(&json);
        bh_buf_append_byte(text, '\n');
        return;
    }
    const bool sections = bh_str_equal(book->page_kind, BH_STR("section"));
    bh_buf_printf(text, "%6lld  %.*s", (long long)book->id, BH_STR_ARGS(book->title));
    if (book->author.size > 0)
        bh_buf_printf(text, ", %.*s", BH_STR_ARGS(book->author));
    bh_buf_printf(text, " (%lld %s%s)\n", (long long)book->page_count,
                  sections ? "section" : "page", book->page_count == 1 ? "" : "s");
}

static int list(const struct tome_session *const session, const struct bh_str find,
                const enum tome_books_sort sort, const bool as_json, enum tome_exit *const ret_exit,
                struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    int64_t total = 0;
    bh_buf_init(&text, ARENA_BYTES_MAX);
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    *ret_exit = TOME_EXIT_OK;
    for (int64_t page = 1; page == 1 || (page - 1) * BOOKS_AT_ONCE < total; page++) {
        struct tome_books books;
        bh_arena_reset(arena);
        const int result = tome_books_list(session->db, session->owner_id, find, sort, page,
                                           BOOKS_AT_ONCE, arena, &books, &total, reterr);
        if (result != 0)
            return result;
        for (size_t i = 0; i < books.count; i++)
            append_book(&text, &books.books[i], as_json);
        if (page == 1 && total == 0 && !as_json)
            bh_buf_printf(&text, find.size > 0 ? "No such book.\n"
                                               : "No books yet: tomehub ingest FILE adds one.\n");
        *ret_exit = tome_output(&text);
        bh_buf_clear(&text);
        if (*ret_exit != TOME_EXIT_OK)
            return 0;
    }
    return 0;
}

static int delete_book(const struct tome_session *const session, const int64_t id,
                       struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(65536, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    return tome_books_delete(session->db, session->owner_id, id, arena, reterr);
}

static bool parse_sort(const char *const name, enum tome_books_sort *const ret_sort)
{
    static const char *const names[] = {
        [TOME_BOOKS_TITLE] = "title", [TOME_BOOKS_NEWEST] = "newest", [TOME_BOOKS_AUTHOR] = "author"
    };
    for (size_t i = 0; i < BH_COUNT_OF(names); i++) {
        if (name == NULL || bh_str_equal(bh_str_from(name), bh_str_from(names[i]))) {
            *ret_sort = (enum tome_books_sort)i;
            return true;
        }
    }
    return false;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct bh_error error;
    enum tome_books_sort sort;
    int64_t id = 0;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_cli_number(command, &given, OPTION_DELETE, 1, TOME_BOOK_ID_MAX, 0, &id))
        return TOME_EXIT_USAGE;
    if (!parse_sort(given.values[OPTION_SORT], &sort)) {
        tome_cli_error(command, "--sort takes title, author or newest");
        return TOME_EXIT_USAGE;
    }
    if (!tome_session_open_for(command, given.values[OPTION_USER], &session))
        return TOME_EXIT_FAILED;
    const char *const find = given.values[OPTION_FIND];
    const int done = id != 0 ? delete_book(&session, id, &error)
                             : list(&session, bh_str_from(find != NULL ? find : ""), sort,
                                    given.values[OPTION_JSON] != NULL, &result, &error);
    if (done != 0)
        tome_cli_error(command, "%s", error.message);
    else if (id != 0)
        result = TOME_EXIT_OK;
    tome_session_end(&session);
    return done == 0 ? result : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_books = {
    .name = "books",
    .arguments = "",
    .summary = "list the books, or delete one",
    .description = "",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub books\n"
                "  tomehub books --find holmes --sort newest\n"
                "  tomehub books --json | jq -r '[.id, .title] | @tsv'\n"
                "  tomehub books --delete 12\n"
                "  tomehub books --user ann",
    .failures = "the library could not be read, or there is no such book",
    .run = run,
};
