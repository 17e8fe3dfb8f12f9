#include "db/fingerprint.h"

#include <pg_query.h>
#include <stdbool.h>
#include <string.h>

#include "bulkhead/base/str.h"

/* FNV-1a, fed byte by byte: there is no buffer that a long text could outgrow. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

enum token {
    TOKEN_END,
    TOKEN_WORD,     /* name or keyword, quoted name, parameter with a name or number */
    TOKEN_CONSTANT, /* also a bare "?" */
    TOKEN_COMMA,
    TOKEN_OTHER /* one byte */
};

struct reader {
    const char *at;
    bool after_blank;
    struct bh_fingerprint *to;
    size_t size; /* of to->text */
    bool is_cut;
};

static bool is_blank(const char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_digit(const char byte)
{
    return byte >= '0' && byte <= '9';
}

/* What a name goes on with; bytes of other scripts are letters. */
static bool is_name(const char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte) ||
           byte == '_' || (unsigned char)byte >= 0x80;
}

/* ---- Tokens: each returns where its token ends; one without an end goes to the end of the text */

static const char *skip_comment(const char *at)
{
    if (at[0] == '-') {
        while (*at != '\0' && *at != '\n')
            at++;
        return at;
    }
    const char *const end = strstr(at + 2, "*/");
    return end ? end + 2 : at + strlen(at);
}

/* Blanks and comments. */
static const char *skip_blanks(const char *at)
{
    for (;;) {
        if (is_blank(*at))
            at++;
        else if ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*'))
            at = skip_comment(at);
        else
            return at;
    }
}

/* `at` is behind the opening quote; a doubled quote is one of the text. */
static const char *skip_quoted(const char *at, const char quote, const bool has_escapes)
{
    for (; *at != '\0'; at++) {
        const bool is_escape = has_escapes && *at == '\\' && at[1] != '\0';
        if (is_escape || (*at == quote && at[1] == quote))
            at++;
        else if (*at == quote)
            return at + 1;
    }
    return at;
}

static const char *skip_number(const char *at)
{
    for (; is_name(*at) || *at == '.'; at++) {
        if ((*at == 'e' || *at == 'E') && (at[1] == '+' || at[1] == '-') && is_digit(at[2]))
            at++;
    }
    return at;
}

static const char *skip_name(const char *at)
{
    while (is_name(*at) || *at == '$')
        at++;
    return at;
}

/* $1 and $name are parameters; $tag$ opens a constant that ends with the same tag. */
static const char *skip_dollar(const char *const at, enum token *const ret_token)
{
    const char *tag_end = at + 1;
    while (is_name(*tag_end))
        tag_end++;
    *ret_token = tag_end > at + 1 ? TOKEN_WORD : TOKEN_OTHER;
    if (*tag_end != '$' || is_digit(at[1]))
        return tag_end;
    *ret_token = TOKEN_CONSTANT;
    const size_t tag_size = (size_t)(tag_end - at) + 1;
    for (const char *end = tag_end + 1; (end = strchr(end, '$')) != NULL; end++) {
        if (strncmp(end, at, tag_size) == 0)
            return end + tag_size;
    }
    return at + strlen(at);
}

/* E'…', X'…', B'…', N'…': the letter belongs to the constant. */
static bool is_constant_prefix(const char *const at)
{
    return at[1] == '\'' && strchr("eExXbBnN", at[0]) != NULL;
}

static const char *skip_token(const char *const at, enum token *const ret_token)
{
    *ret_token = TOKEN_WORD;
    if (*at == '"' || *at == '`')
        return skip_quoted(at + 1, *at, false);
    if (*at == '$')
        return skip_dollar(at, ret_token);
    if ((*at == '?' || *at == ':' || *at == '@') && is_name(at[1]))
        return skip_name(at + 1);

    *ret_token = TOKEN_CONSTANT;
    if (*at == '\'')
        return skip_quoted(at + 1, '\'', false);
    if (is_name(*at) && is_constant_prefix(at))
        return skip_quoted(at + 2, '\'', (*at | 0x20) == 'e');
    if (is_digit(*at) || (*at == '.' && is_digit(at[1])))
        return skip_number(at);
    if (*at == '?')
        return at + 1;

    *ret_token = TOKEN_WORD;
    if (is_name(*at))
        return skip_name(at);
    *ret_token = *at == ',' ? TOKEN_COMMA : *at == '\0' ? TOKEN_END : TOKEN_OTHER;
    return *at == '\0' ? at : at + 1;
}

/* ---- Output ---- */

static void hash_token(struct reader *const reader, const char *const data, const size_t size)
{
    const bool is_quoted = size > 0 && (*data == '"' || *data == '`');
    uint64_t hash = reader->to->id;
    for (size_t i = 0; i < size; i++) {
        const bool is_upper = !is_quoted && data[i] >= 'A' && data[i] <= 'Z';
        hash = (hash ^ (unsigned char)(is_upper ? data[i] | 0x20 : data[i])) * HASH_PRIME;
    }
    reader->to->id = (hash ^ 0xff) * HASH_PRIME; /* the token's end: no byte of UTF-8 */
}

/* A token that does not fit whole ends the text. */
static void write_token(struct reader *const reader, const char *const data, const size_t size)
{
    const bool needs_blank = reader->after_blank && reader->size > 0;
    if (reader->is_cut || size + needs_blank > BH_FINGERPRINT_TEXT_MAX - reader->size) {
        reader->is_cut = true;
        return;
    }
    char *const text = reader->to->text;
    if (needs_blank)
        text[reader->size++] = ' ';
    for (size_t i = 0; i < size; i++)
        text[reader->size++] = is_blank(data[i]) ? ' ' : data[i];
}

static void emit(struct reader *const reader, const char *const data, const size_t size)
{
    hash_token(reader, data, size);
    write_token(reader, data, size);
}

void bh_fingerprint_plain(const char *const text, struct bh_fingerprint *const ret_fingerprint)
{
    ret_fingerprint->id = HASH_START;
    struct reader reader = { .at = text, .to = ret_fingerprint };
    bool in_list = false;     /* behind a constant, or a constant and a comma */
    bool has_comma = false;   /* held back: the list may go on with a constant */
    bool is_repeated = false; /* the list has more than one constant, which are one "…" */
    for (;;) {
        const char *const begin = skip_blanks(reader.at);
        reader.after_blank = begin > reader.at;
        enum token token;
        reader.at = skip_token(begin, &token);
        if (token == TOKEN_COMMA && in_list && !has_comma) {
            has_comma = true;
            continue;
        }
        if (token == TOKEN_CONSTANT && has_comma) {
            has_comma = false;
            reader.after_blank = false;
            if (!is_repeated)
                emit(&reader, ", …", sizeof(", …") - 1);
            is_repeated = true;
            continue;
        }
        if (has_comma) {
            const bool after_blank = reader.after_blank;
            reader.after_blank = false;
            emit(&reader, ",", 1);
            reader.after_blank = after_blank;
        }
        has_comma = false;
        is_repeated = false;
        in_list = token == TOKEN_CONSTANT;
        if (token == TOKEN_END)
            break;
        if (token == TOKEN_CONSTANT)
            emit(&reader, "?", 1);
        else
            emit(&reader, begin, (size_t)(reader.at - begin));
    }
    if (reader.is_cut) {
        memcpy(ret_fingerprint->text + reader.size, "…", sizeof("…") - 1);
        reader.size += sizeof("…") - 1;
    }
    ret_fingerprint->text[reader.size] = '\0';
}

void bh_fingerprint_postgres(const char *const text, struct bh_fingerprint *const ret_fingerprint)
{
    const PgQueryNormalizeResult normalized = pg_query_normalize(text);
    const PgQueryFingerprintResult parsed = pg_query_fingerprint(text);
    const bool is_read = !normalized.error && normalized.normalized_query && !parsed.error;
    bh_fingerprint_plain(is_read ? normalized.normalized_query : text, ret_fingerprint);
    if (is_read)
        ret_fingerprint->id = parsed.fingerprint;
    pg_query_free_fingerprint_result(parsed);
    pg_query_free_normalize_result(normalized);
}
