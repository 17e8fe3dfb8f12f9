/* `tomehub answer`: a question answered from the library, with where each sentence stands. */
#include <signal.h>
#include <stdio.h>

#include "answers/provider.h"
#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "library/library.h"
#include "views.h"

#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define QUESTION_MAX 2000 /* code points */

enum { OPTION_JSON, OPTION_BOOK, OPTION_USER };

static const struct tome_option options[] = {
    [OPTION_JSON] = { .name = "json", .help = "print the last line of the HTTP API's stream" },
    [OPTION_BOOK] = { .name = "book", .argument = "ID", .help = "only from this book" },
    [OPTION_USER] = TOME_OPTION_USER,
};

/* ---- For people: as it comes ---- */

static int loaded(void *const argument, const size_t count, struct bh_error *const reterr)
{
    (void)argument, (void)count, (void)reterr;
    return 0;
}

static int print_text(void *const argument, const struct bh_str text, struct bh_error *const reterr)
{
    const bool *const is_quiet = argument;
    if (*is_quiet)
        return 0;
    if (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout) != 0)
        return bh_error_set(reterr, BH_EIO, "cannot write to standard output");
    return 0;
}

static int start_again(void *const argument, struct bh_error *const reterr)
{
    (void)reterr;
    const bool *const is_quiet = argument;
    return *is_quiet ? 0 : print_text(argument, BH_STR("\n\n(thrown away; again:)\n\n"), reterr);
}

static enum tome_exit print_citations(const struct tome_reply *const reply)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    bh_buf_init(&text, ARENA_BYTES_MAX);
    bh_buf_append_str(&text, reply->citation_count > 0 ? BH_STR("\n\n") : BH_STR("\n"));
    for (size_t i = 0; i < reply->citation_count; i++) {
        const struct tome_citation *const citation = &reply->citations[i];
        const struct tome_search_hit *const hit = citation->hit;
        const bool sections = bh_str_equal(hit->page_kind, BH_STR("section"));
        bh_buf_printf(&text, "[%zu] %.*s", i + 1, BH_STR_ARGS(hit->title));
        if (hit->author.size > 0)
            bh_buf_printf(&text, ", %.*s", BH_STR_ARGS(hit->author));
        if (hit->chapter.size > 0)
            bh_buf_printf(&text, ", %.*s", BH_STR_ARGS(hit->chapter));
        bh_buf_printf(&text, ", %s %.*s (book %lld, content %lld)\n", sections ? "section" : "page",
                      BH_STR_ARGS(citation->page_label), (long long)hit->book_id,
                      (long long)hit->id);
    }
    return tome_output(&text);
}

static enum tome_exit print_json(const struct tome_reply *const reply)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, ARENA_BYTES_MAX);
    bh_json_init(&json, &text);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "status", BH_STR("complete"));
    tome_view_reply(&json, reply);
    bh_json_object_end(&json);
    return tome_output_line(&text);
}

/* ---- The command ---- */

/* The provider is waited for on a loop. */
struct asking {
    struct bh_task start;
    struct bh_loop *loop;
    struct tome_replier replier;
    const struct tome_search_request *request;
    struct tome_reply_listener listener;
    struct bh_arena *arena;
    struct tome_reply reply;
    int result;
    struct bh_error error;
};

static void ask(void *const argument)
{
    struct asking *const asking = argument;
    asking->result = tome_reply_make(&asking->replier, asking->request, &asking->listener,
                                     asking->arena, &asking->reply, &asking->error);
    bh_loop_stop(asking->loop);
}

static void start(struct bh_task *const task)
{
    struct asking *const asking = BH_CONTAINER_OF(task, struct asking, start);
    const int result = bh_fiber_spawn(asking->loop, ask, asking);
    bh_assert(result == 0);
}

static int ask_on_loop(const struct tome_session *const session, struct asking *const asking)
{
    struct bh_error *const error = &asking->error;
    int result = bh_arena_create(ARENA_BYTES_MAX, &asking->arena);
    if (result == 0)
        result = tome_searcher_create(session->db, &asking->replier.searcher, error);
    if (result == 0)
        result = tome_provider_create(&session->settings, &asking->replier.provider, error);
    if (result == 0)
        result = bh_loop_create(NULL, &asking->loop);
    if (result != 0)
        return result;
    asking->start.run = start;
    bh_loop_post(asking->loop, &asking->start);
    bh_loop_run(asking->loop);
    bh_loop_destroy(asking->loop);
    return asking->result;
}

static enum tome_exit answer(const struct tome_command *const command,
                             const struct tome_session *const session,
                             const struct tome_search_request *const request, bool is_json)
{
    struct asking asking = { .request = request,
                             .listener = { loaded, print_text, start_again, &is_json },
                             .error = { .message = "no memory for an answer" } };
    signal(SIGPIPE, SIG_IGN);
    const int result = ask_on_loop(session, &asking);
    tome_provider_destroy(asking.replier.provider);
    tome_searcher_destroy(asking.replier.searcher);
    enum tome_exit exit = TOME_EXIT_FAILED;
    if (result != 0)
        tome_cli_error(command, "%s", asking.error.message);
    else
        exit = is_json ? print_json(&asking.reply) : print_citations(&asking.reply);
    bh_arena_destroy(asking.arena);
    return exit;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    int64_t book = 0;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    const struct bh_str question = bh_str_trim(bh_str_from(given.arguments[0]));
    if (!tome_cli_number(command, &given, OPTION_BOOK, 1, TOME_BOOK_ID_MAX, 0, &book))
        return TOME_EXIT_USAGE;
    if (question.size == 0 || tome_view_code_points(question) > QUESTION_MAX ||
        !bh_str_is_utf8(question)) {
        tome_cli_error(command, "the question takes 1 to %d characters of UTF-8", QUESTION_MAX);
        return TOME_EXIT_USAGE;
    }
    if (!tome_session_open_for(command, given.values[OPTION_USER], &session))
        return TOME_EXIT_FAILED;
    const struct tome_search_request request = {
        .owner_id = session.owner_id,
        .query = question,
        .filters = { .book_ids = &book, .book_id_count = book != 0 },
    };
    result = answer(command, &session, &request, given.values[OPTION_JSON] != NULL);
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_answer = {
    .name = "answer",
    .arguments = "QUESTION",
    .summary = "answer a question from the library",
    .description = "The sentences of the library that answer best, each with the book, chapter and "
                   "page it stands on,\nor that the library does not say.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub answer 'Who killed Dr. Roylott?'\n"
                "  tomehub answer --json 'What frightened Helen?' | jq '.citations[].page_label'",
    .failures = "the library could not be searched (it does not say: 0)",
    .arguments_minimum = 1,
    .arguments_maximum = 1,
    .run = run,
};
