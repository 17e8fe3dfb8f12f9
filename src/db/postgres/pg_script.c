/* Just enough of PostgreSQL's lexical rules to find where statements begin. */
#include "db/postgres/pg_script.h"

#include <string.h>
#include <strings.h>

#include "bulkhead/base/macro.h"

#define WORD_SIZE 16

static bool is_digit(const char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_word(const char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte) ||
           byte == '_' || (unsigned char)byte >= 0x80;
}

/* Comments nest. */
static const char *skip_comment(const char *at)
{
    int depth = 0;
    do {
        const bool opens = at[0] == '/' && at[1] == '*';
        const bool closes = at[0] == '*' && at[1] == '/';
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (depth > 0 && *at);
    return at;
}

/* A quote is doubled inside of itself; behind E a backslash takes the next byte. */
static const char *skip_quoted(const char *at, const bool has_escapes)
{
    const char quote = *at++;
    while (*at) {
        if (has_escapes && *at == '\\' && at[1])
            at++;
        else if (*at == quote && *++at != quote)
            return at;
        at++;
    }
    return at;
}

/* $tag$ … $tag$; anything else behind a dollar sign is one byte. */
static const char *skip_dollar(const char *const at)
{
    const char *tag_end = at + 1;
    while (is_word(*tag_end))
        tag_end++;
    if (*tag_end != '$' || is_digit(at[1]))
        return at + 1;
    const size_t size = (size_t)(tag_end + 1 - at);
    for (const char *rest = tag_end + 1; *rest; rest++) {
        if (strncmp(rest, at, size) == 0)
            return rest + size;
    }
    return at + strlen(at);
}

/* The next byte that is neither blank nor comment. */
static const char *skip_blank(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n\f\v");
        if (at[0] == '-' && at[1] == '-')
            at += strcspn(at, "\n");
        else if (at[0] == '/' && at[1] == '*')
            at = skip_comment(at);
        else
            return at;
    }
}

static const char *skip_statement(const char *at)
{
    while (*at && *at != ';') {
        const bool begins_word = is_word(*at);
        if (*at == '\'' || *at == '"')
            at = skip_quoted(at, false);
        else if ((*at == 'E' || *at == 'e') && at[1] == '\'')
            at = skip_quoted(at + 1, true);
        else if (*at == '$')
            at = skip_dollar(at);
        else if ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*'))
            at = skip_blank(at);
        else
            at++;
        if (begins_word && at[-1] != '\'')
            while (is_word(*at) || *at == '$')
                at++;
    }
    return at;
}

static const char *read_word(const char *at, char word[WORD_SIZE])
{
    size_t size = 0;
    for (; is_word(*at); at++) {
        if (size + 1 < WORD_SIZE)
            word[size++] = *at;
    }
    word[size] = '\0';
    return at;
}

static bool is_transaction(const char *const at)
{
    static const char *const words[] = { "begin", "commit", "end",    "rollback",
                                         "abort", "start",  "prepare" };
    char first[WORD_SIZE], second[WORD_SIZE];
    read_word(skip_blank(read_word(at, first)), second);
    if (strcasecmp(first, "rollback") == 0 && strcasecmp(second, "to") == 0)
        return false; /* a savepoint */
    if (strcasecmp(first, "prepare") == 0)
        return strcasecmp(second, "transaction") == 0;
    for (size_t i = 0; i < BH_COUNT_OF(words); i++) {
        if (strcasecmp(first, words[i]) == 0)
            return true;
    }
    return false;
}

bool bh_pg_script_has_transaction(const char *const text)
{
    for (const char *at = skip_blank(text); *at; at = skip_blank(at)) {
        if (is_transaction(at))
            return true;
        at = skip_statement(at);
        at += *at == ';';
    }
    return false;
}
