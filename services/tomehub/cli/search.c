/* `tomehub search`: hits with title, chapter, page and a highlighted excerpt. */
#include <stdio.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "views.h"

#define ARENA_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define QUERY_MAX 2000 /* code points */
#define BOLD "\033[1m"
#define MARK "\033[1;33m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

enum { OPTION_JSON, OPTION_LIMIT, OPTION_PAGE, OPTION_BOOK, OPTION_USER };
static const struct tome_option options[] = {
    [OPTION_JSON] = { .name = "json", .help = "print the answer of the HTTP API" },
    [OPTION_LIMIT] = { .name = "limit",
                       .letter = 'n',
                       .argument = "N",
                       .help = "hits on a page, 1 to 1000 (10)" },
    [OPTION_PAGE] = { .name = "page", .argument = "N", .help = "which page of the hits (1)" },
    [OPTION_BOOK] = { .name = "book", .argument = "ID", .help = "only in this book" },
    [OPTION_USER] = TOME_OPTION_USER,
};

/* ---- For people ---- */

static void append_marked(struct bh_buf *const text, const struct tome_search_hit *const hit,
                          const bool color)
{
    uint32_t at = 0; /* code points behind */
    size_t next = 0; /* of the highlights */
    bool inside = false;
    for (size_t i = 0; i <= hit->snippet.size; i++) {
        const bool begins = i == hit->snippet.size ||
                            ((unsigned char)hit->snippet.data[i] & 0xc0) != 0x80;
        if (begins && inside && at >= hit->highlights[next].end) {
            bh_buf_printf(text, "%s", color ? PLAIN : "]");
            inside = false;
            next++;
        }
        if (begins && !inside && next < hit->highlight_count && at == hit->highlights[next].start) {
            bh_buf_printf(text, "%s", color ? MARK : "[");
            inside = true;
        }
        if (i < hit->snippet.size)
            bh_buf_append_byte(text, hit->snippet.data[i] == '\n' ? ' ' : hit->snippet.data[i]);
        at += begins;
    }
}

static void append_hit(struct bh_buf *const text, const size_t number,
                       const struct tome_search_hit *const hit, const bool color)
{
    bh_buf_printf(text, "%s%zu. %.*s%s", color ? BOLD : "", number, BH_STR_ARGS(hit->title),
                  color ? PLAIN : "");
    if (hit->author.size > 0)
        bh_buf_printf(text, ", %.*s", BH_STR_ARGS(hit->author));
    bh_buf_printf(text, "\n   %s", color ? DIM : "");
    if (hit->chapter.size > 0)
        bh_buf_printf(text, "%.*s, ", BH_STR_ARGS(hit->chapter));
    const bool sections = bh_str_equal(hit->page_kind, BH_STR("section"));
    bh_buf_printf(text, "%s %.*s (book %lld, content %lld)%s\n   ", sections ? "section" : "page",
                  BH_STR_ARGS(hit->page_label), (long long)hit->book_id, (long long)hit->id,
                  color ? PLAIN : "");
    append_marked(text, hit, color);
    bh_buf_append_str(text, BH_STR("\n\n"));
}

static void append_answer(struct bh_buf *const text,
                          const struct tome_search_request *const request,
                          const struct tome_search_answer *const answer, const bool color)
{
    const size_t before = ((size_t)answer->page - 1) * request->page_size;
    for (size_t i = 0; i < answer->hit_count; i++)
        append_hit(text, before + i + 1, &answer->hits[i], color);
    if (answer->total_count == 0)
        bh_buf_printf(text, "Nothing found.");
    else
        bh_buf_printf(text, "%lld hit%s in %lld book%s%s%s", (long long)answer->total_count,
                      answer->total_count == 1 ? "" : "s", (long long)answer->total_books,
                      answer->total_books == 1 ? "" : "s",
                      answer->match_some ? " with some of the words" : "",
                      answer->has_next ? "; more with --page" : "");
    if (answer->did_you_mean.size > 0)
        bh_buf_printf(text, " Did you mean: %.*s?", BH_STR_ARGS(answer->did_you_mean));
    bh_buf_append_byte(text, '\n');
}

/* ---- The command ---- */

static void append_json(struct bh_buf *const text, const struct tome_search_request *const request,
                        const struct tome_search_answer *const answer, const uint64_t begun_ns)
{
    struct bh_json json;
    bh_json_init(&json, text);
    bh_json_object_begin(&json);
    tome_view_search(&json, request, answer);
    bh_json_key(&json, BH_STR("execution_time_ms"));
    bh_json_fixed(&json, (double)(bh_time_now_ns() - begun_ns) / 1e6, 3);
    bh_json_kv_bool(&json, "cache_hit", false);
    bh_json_object_end(&json);
    bh_buf_append_byte(text, '\n');
}

static enum tome_exit search(const struct tome_command *const command,
                             const struct tome_session *const session,
                             const struct tome_search_request *const request, const bool json)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct tome_search_answer answer = { .page = request->page };
    struct bh_error error = { 0 };
    const uint64_t begun_ns = bh_time_now_ns();
    bh_buf_init(&text, ARENA_BYTES_MAX);
    struct tome_searcher *searcher = NULL;
    int result = bh_arena_create(ARENA_BYTES_MAX, &arena);
    if (result == 0)
        result = tome_searcher_create(session->db, &searcher, &error);
    if (result == 0)
        result = tome_search(searcher, request, arena, &answer, &error);
    tome_searcher_destroy(searcher);
    if (result != 0 && result != BH_EINVAL) { /* EINVAL: nothing in it that can be searched */
        tome_cli_error(command, "%s", error.message);
        return TOME_EXIT_FAILED;
    }
    if (json)
        append_json(&text, request, &answer, begun_ns);
    else
        append_answer(&text, request, &answer, isatty(STDOUT_FILENO) == 1);
    return tome_output(&text);
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    int64_t limit = 0, page = 0, book = 0;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    const struct bh_str query = bh_str_trim(bh_str_from(given.arguments[0]));
    if (!tome_cli_number(command, &given, OPTION_LIMIT, 1, 1000, 10, &limit) ||
        !tome_cli_number(command, &given, OPTION_PAGE, 1, 1000000000, 1, &page) ||
        !tome_cli_number(command, &given, OPTION_BOOK, 1, TOME_BOOK_ID_MAX, 0, &book))
        return TOME_EXIT_USAGE;
    if (query.size == 0 || tome_view_code_points(query) > QUERY_MAX || !bh_str_is_utf8(query)) {
        tome_cli_error(command, "the query takes 1 to %d characters of UTF-8", QUERY_MAX);
        return TOME_EXIT_USAGE;
    }
    if (!tome_session_open_for(command, given.values[OPTION_USER], &session))
        return TOME_EXIT_FAILED;
    const struct tome_search_request request = {
        .owner_id = session.owner_id,
        .query = query,
        .filters = { .book_ids = &book, .book_id_count = book != 0 },
        .page = (uint32_t)page,
        .page_size = (uint32_t)limit,
        .include_details = true,
    };
    result = search(command, &session, &request, given.values[OPTION_JSON] != NULL);
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_search = {
    .name = "search",
    .arguments = "QUERY",
    .summary = "search the library",
    .description =
        "Words must all match; \"phrases\" in double quotes, OR, -not, prefix*, and title: "
        "author: tag:\ntype: book: in front of a word or phrase. Quote the whole query for "
        "the shell.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub search 'speckled band'\n"
                "  tomehub search '\"speckled band\" -snake author:doyle'\n"
                "  tomehub search --user ann heron\n"
                "  tomehub search --json -n 3 'adventur*' | jq '.results[].page_label'",
    .failures = "the library could not be searched (nothing found: 0)",
    .arguments_minimum = 1,
    .arguments_maximum = 1,
    .run = run,
};
