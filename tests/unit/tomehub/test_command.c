/* Reading the command line: options, slips, numbers. */
#include "cmocka_setup.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

enum { JSON, LIMIT };
static const struct tome_option options[] = {
    [JSON] = { .name = "json", .letter = 'j', .help = "" },
    [LIMIT] = { .name = "limit", .letter = 'n', .argument = "N", .help = "" },
};

static const struct tome_command command = {
    .name = "probe",
    .arguments = "QUERY",
    .summary = "",
    .description = "",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "",
    .failures = "",
    .arguments_minimum = 1,
    .arguments_maximum = 2,
};

/* What standard error got while a command line was read. */
struct reading {
    struct tome_options options;
    enum tome_exit exit;
    bool ok;
    char told[512];
};

static void read_line(struct reading *const reading, const char *const first,
                      const char *const second, const char *const third)
{
    static char words[4][64] = { "probe" }; /* what is read points into it */
    char *argv[5] = { words[0] };
    int argc = 1;
    const char *const given[] = { first, second, third };
    for (size_t i = 0; i < BH_COUNT_OF(given) && given[i] != NULL; i++) {
        snprintf(words[argc], sizeof(words[0]), "%s", given[i]);
        argv[argc] = words[argc];
        argc++;
    }
    FILE *const file = tmpfile();
    const int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    optind = 0; /* getopt begins anew */
    reading->ok = tome_cli_parse(&command, argc, argv, &reading->options, &reading->exit);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    const size_t size = fread(reading->told, 1, sizeof(reading->told) - 1, file);
    reading->told[size] = '\0';
    fclose(file);
}

static void options_and_arguments_are_told_apart(void **const state)
{
    (void)state;
    struct reading reading;
    read_line(&reading, "--limit=5", "word", "-j");
    assert_true(reading.ok);
    assert_string_equal(reading.options.values[LIMIT], "5");
    assert_string_equal(reading.options.values[JSON], "");
    assert_int_equal(reading.options.argument_count, 1);
    read_line(&reading, "-n7", "--", "-j");
    assert_true(reading.ok);
    assert_string_equal(reading.options.values[LIMIT], "7");
    assert_null(reading.options.values[JSON]);
    assert_int_equal(reading.options.argument_count, 1);
}

static void wrong_calls_are_refused_with_a_hint(void **const state)
{
    (void)state;
    static const struct {
        const char *first, *second, *third, *hint;
    } cases[] = {
        { "--limt", "5", "x", "did you mean --limit?" },
        { "--jsn", "x", NULL, "did you mean --json?" },
        { "--zzzzzzzz", "x", NULL, "--help" },
        { "-z", "x", NULL, "--help" },
        { "x", "--limit", NULL, "--limit needs a value" },
        { NULL, NULL, NULL, "needs QUERY" },
        { "a", "b", "c", "too many arguments" },
        { "--json=yes", "x", NULL, "--json=yes" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct reading reading;
        read_line(&reading, cases[i].first, cases[i].second, cases[i].third);
        assert_false(reading.ok);
        assert_int_equal(reading.exit, TOME_EXIT_USAGE);
        if (strstr(reading.told, cases[i].hint) == NULL)
            fail_msg("case %zu: %s", i, reading.told);
    }
}

static void numbers_are_whole_and_within_bounds(void **const state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "1", true, 1 },   { "100", true, 100 },
        { "0", false, 0 },  { "101", false, 0 },
        { "-1", false, 0 }, { "5x", false, 0 },
        { "", false, 0 },   { "99999999999999999999", false, 0 },
        { NULL, true, 42 },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct tome_options given = { .values = { [LIMIT] = cases[i].text } };
        int64_t value = -7;
        const bool ok = tome_cli_number(&command, &given, LIMIT, 1, 100, 42, &value);
        assert_int_equal(ok, cases[i].ok);
        assert_int_equal(value, cases[i].ok ? cases[i].value : -7);
    }
}

static void only_near_names_are_suggested(void **const state)
{
    (void)state;
    static const char *const names[] = { "serve", "search", "books", "config" };
    assert_string_equal(tome_cli_nearest("serch", names, BH_COUNT_OF(names)), "search");
    assert_string_equal(tome_cli_nearest("sreve", names, BH_COUNT_OF(names)), "serve");
    assert_string_equal(tome_cli_nearest("book", names, BH_COUNT_OF(names)), "books");
    assert_null(tome_cli_nearest("frobnicate", names, BH_COUNT_OF(names)));
    char long_word[200];
    memset(long_word, 'a', sizeof(long_word));
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(tome_cli_nearest(long_word, names, BH_COUNT_OF(names)));
}

static void every_command_explains_itself(void **const state)
{
    (void)state;
    for (size_t i = 0; i < tome_command_count; i++) {
        const struct tome_command *const one = tome_commands[i];
        assert_non_null(one->run);
        if (one->summary == NULL)
            continue;
        assert_true(one->examples[0] != '\0' && one->failures[0] != '\0');
        assert_true(one->option_count <= TOME_OPTIONS_MAX);
        for (size_t at = 0; at < one->option_count; at++)
            assert_true(one->options[at].help[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_are_told_apart),
        cmocka_unit_test(wrong_calls_are_refused_with_a_hint),
        cmocka_unit_test(numbers_are_whole_and_within_bounds),
        cmocka_unit_test(only_near_names_are_suggested),
        cmocka_unit_test(every_command_explains_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
