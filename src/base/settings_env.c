/*
 * The .env file: lines of `NAME=value`, blank lines and comments.
 *
 *     # a comment
 *     export NAME=value # a comment: the # follows a blank
 *     NAME='as it stands, # too'
 *     NAME="escapes: \n \t \r \\ \" \$"
 *
 * No variables are replaced and no value spans lines. A byte-order mark and CRLF are accepted. What
 * is neither of these forms is an error with the line's number; so is a name given twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings_private.h"

#define ENTRIES_MAX 1024
#define READ_BYTES 4096

struct parser {
    const char *path;
    unsigned line;
    struct settings_env *env;
    char *memory; /* where the next string goes; never past the text's size */
    struct bh_error *reterr;
};

static int fail(const struct parser *const parser, const char *const cause)
{
    return bh_error_set(parser->reterr, BH_ESYNTAX, "%s:%u: %s", parser->path, parser->line, cause);
}

static bool is_blank(const char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct bh_str skip(struct bh_str text, const size_t count)
{
    text.data += count;
    text.size -= count;
    return text;
}

static struct bh_str skip_blanks(struct bh_str text)
{
    while (text.size > 0 && is_blank(*text.data))
        text = skip(text, 1);
    return text;
}

static size_t name_size(const struct bh_str text)
{
    size_t at = 0;
    while (at < text.size) {
        const char byte = text.data[at];
        const bool is_letter = ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';
        if (!is_letter && !(at > 0 && byte >= '0' && byte <= '9'))
            break;
        at++;
    }
    return at;
}

static char *copy(struct parser *const parser, const struct bh_str text)
{
    char *const to = parser->memory;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    parser->memory += text.size + 1;
    return to;
}

/* Behind a closing quote only blanks and a comment may stand. */
static int check_rest(const struct parser *const parser, struct bh_str rest)
{
    rest = skip_blanks(rest);
    if (rest.size > 0 && *rest.data != '#')
        return fail(parser, "something stands behind the closing quote");
    return 0;
}

static int parse_single_quoted(struct parser *const parser, struct bh_str text,
                               char **const ret_value)
{
    text = skip(text, 1);
    const char *const end = text.size > 0 ? memchr(text.data, '\'', text.size) : NULL;
    if (!end)
        return fail(parser, "the closing ' is missing");
    const struct bh_str value = { .data = text.data, .size = (size_t)(end - text.data) };
    const int error = check_rest(parser, skip(text, value.size + 1));
    if (!error)
        *ret_value = copy(parser, value);
    return error;
}

/* What `\byte` stands for, or 0. */
static char unescape(const char byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case '\\':
    case '"':
    case '$':
        return byte;
    default:
        return 0;
    }
}

static int parse_double_quoted(struct parser *const parser, struct bh_str text,
                               char **const ret_value)
{
    char *const begin = parser->memory;
    char *to = begin;
    text = skip(text, 1);
    while (text.size > 0 && *text.data != '"') {
        char byte = *text.data;
        if (byte == '\\') {
            text = skip(text, 1);
            byte = text.size > 0 ? unescape(*text.data) : 0;
            if (byte == 0)
                return fail(parser,
                            "in double quotes a backslash stands only before n t r \\ \" $");
        }
        *to++ = byte;
        text = skip(text, 1);
    }
    if (text.size == 0)
        return fail(parser, "the closing \" is missing");
    const int error = check_rest(parser, skip(text, 1));
    if (error)
        return error;
    *to++ = '\0';
    parser->memory = to;
    *ret_value = begin;
    return 0;
}

static int parse_bare(struct parser *const parser, struct bh_str text, char **const ret_value)
{
    for (size_t i = 0; i < text.size; i++) {
        const char *const at = text.data + i;
        if (*at == '#' && is_blank(at[-1])) { /* the = or a blank stands in front */
            text.size = i;
            break;
        }
    }
    text = bh_str_trim(text);
    if (text.size > 0 && (memchr(text.data, '"', text.size) || memchr(text.data, '\'', text.size)))
        return fail(parser, "a quote inside a value; put quotes around the whole value");
    *ret_value = copy(parser, text);
    return 0;
}

static int parse_value(struct parser *const parser, const struct bh_str text,
                       char **const ret_value)
{
    if (text.size > 0 && *text.data == '\'')
        return parse_single_quoted(parser, text, ret_value);
    if (text.size > 0 && *text.data == '"')
        return parse_double_quoted(parser, text, ret_value);
    return parse_bare(parser, text, ret_value);
}

static int check_twice(const struct parser *const parser, const char *const name)
{
    const struct settings_env *const env = parser->env;
    for (size_t i = 0; i < env->count; i++) {
        if (strcmp(env->entries[i].name, name) == 0)
            return bh_error_set(parser->reterr, BH_ESYNTAX, "%s:%u: %s is set in line %u already",
                                parser->path, parser->line, name, env->entries[i].line);
    }
    return 0;
}

static int parse_line(struct parser *const parser, struct bh_str line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    line = skip_blanks(line);
    if (line.size == 0 || *line.data == '#')
        return 0;
    if (bh_str_starts_with(line, BH_STR("export ")) || bh_str_starts_with(line, BH_STR("export\t")))
        line = skip_blanks(skip(line, strlen("export ")));

    const struct bh_str name = { .data = line.data, .size = name_size(line) };
    line = skip_blanks(skip(line, name.size));
    if (name.size == 0 || line.size == 0 || *line.data != '=')
        return fail(parser, "expected NAME=value, a comment or a blank line");
    if (parser->env->count == ENTRIES_MAX)
        return fail(parser, "too many settings");

    struct settings_env_entry entry = { .name = copy(parser, name), .line = parser->line };
    int error = parse_value(parser, skip_blanks(skip(line, 1)), &entry.value);
    if (!error)
        error = check_twice(parser, entry.name);
    if (!error)
        parser->env->entries[parser->env->count++] = entry;
    return error;
}

int bh_settings_env_parse(struct bh_str text, const char *const path,
                          struct settings_env *const ret_env, struct bh_error *const reterr)
{
    if (text.size > SETTINGS_ENV_BYTES_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "%s: larger than %d bytes", path,
                            SETTINGS_ENV_BYTES_MAX);
    if (bh_str_starts_with(text, BH_STR("\xEF\xBB\xBF")))
        text = skip(text, 3);
    /* "N=v\n" takes as much as "N\0v\0"; a last line without its break one byte more */
    struct settings_env env = { .entries = calloc(ENTRIES_MAX, sizeof(*env.entries)),
                                .memory = malloc(text.size + 2) };
    struct parser parser = { .path = path, .env = &env, .memory = env.memory, .reterr = reterr };
    int error = env.entries && env.memory
                    ? 0
                    : bh_error_set(reterr, BH_ENOMEM, "%s: out of memory", path);
    while (!error && text.size > 0) {
        parser.line++;
        const struct bh_str line = bh_str_split(&text, '\n');
        if (line.size > 0 && memchr(line.data, '\0', line.size))
            error = fail(&parser, "a NUL byte");
        else if (!bh_str_is_utf8(line))
            error = fail(&parser, "not valid UTF-8");
        else
            error = parse_line(&parser, line);
    }
    if (error)
        bh_settings_env_fini(&env);
    else
        *ret_env = env;
    return error;
}

static int read_all(const int fd, const char *const path, struct bh_buf *const buf,
                    struct bh_error *const reterr)
{
    for (;;) {
        char *const to = bh_buf_reserve(buf, READ_BYTES);
        if (!to)
            return bh_error_set(reterr, bh_buf_error(buf), "%s: %s", path,
                                bh_buf_error(buf) == BH_ELIMIT ? "larger than 64 KiB"
                                                               : "out of memory");
        const ssize_t size = read(fd, to, READ_BYTES);
        if (size == 0)
            return 0;
        if (size > 0)
            bh_buf_advance(buf, (size_t)size);
        else if (errno != EINTR)
            return bh_error_errno(reterr, errno, "%s: cannot be read", path);
    }
}

int bh_settings_env_read(const char *const path, struct settings_env *const ret_env,
                         struct bh_error *const reterr)
{
    /* not blocking: a pipe of that name must not hold up the start */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        *ret_env = (struct settings_env){ .count = 0 };
        return 0;
    }
    if (fd < 0)
        return bh_error_errno(reterr, errno, "%s: cannot be opened", path);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, SETTINGS_ENV_BYTES_MAX + READ_BYTES);
    struct stat status;
    int error = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        error = bh_error_set(reterr, BH_EINVAL, "%s: not a regular file", path);
    else
        error = read_all(fd, path, &buf, reterr);
    close(fd);
    if (!error)
        error = bh_settings_env_parse(bh_buf_peek(&buf), path, ret_env, reterr);
    return error;
}

void bh_settings_env_fini(struct settings_env *const env)
{
    free(env->entries);
    free(env->memory);
    *env = (struct settings_env){ .count = 0 };
}
