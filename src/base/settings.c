/*
 * Settings: gathers each value's text from environment, .env or table, lets settings_value.c read
 * it, and only when all are right writes the program's struct. Names that are not in the table are
 * told with the nearest one that is. Read once at start by one thread.
 */
#include "bulkhead/base/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/settings_private.h"
#include "bulkhead/base/assert.h"

#define NAME_BYTES_MAX 64
#define PLACE_BYTES_MAX 160
#define SLIP_NAME_MIN 6 /* shorter names (HOST, PORT) have too many honest neighbours */

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT };

struct origin_value {
    enum source source;
    unsigned line; /* of the file */
    char *text;
};

struct bh_settings_origin {
    BH_MAGIC_FIELD;
    char *env_path;
    size_t count;
    struct origin_value values[];
};

#define ORIGIN_MAGIC 0x53455453u

/* ---- Unknown names ---- */

static unsigned char fold(const char byte)
{
    return (unsigned char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
}

static size_t smallest(const size_t a, const size_t b, const size_t c)
{
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Typing slips between two names, case aside: a letter too many, too few, wrong, or two swapped
 * (optimal string alignment). */
static size_t distance(const struct bh_str a, const struct bh_str b)
{
    if (a.size > NAME_BYTES_MAX || b.size > NAME_BYTES_MAX)
        return SIZE_MAX;
    size_t rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *const row = rows[i % 3];
        const size_t *const above = rows[(i - 1) % 3];
        const size_t *const second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            const bool same = fold(a.data[i - 1]) == fold(b.data[j - 1]);
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && fold(a.data[i - 1]) == fold(b.data[j - 2]) &&
                fold(a.data[i - 2]) == fold(b.data[j - 1]) && second[j - 2] + 1 < row[j])
                row[j] = second[j - 2] + 1;
        }
    }
    return rows[a.size % 3][b.size];
}

static const struct bh_setting *find(const struct bh_setting *const table, const size_t count,
                                     const struct bh_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (bh_str_equal(bh_str_from(table[i].name), name))
            return &table[i];
    }
    return NULL;
}

static const struct bh_setting *find_nearest(const struct bh_setting *const table,
                                             const size_t count, const struct bh_str name,
                                             size_t *const ret_distance)
{
    const struct bh_setting *nearest = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t slips = distance(bh_str_from(table[i].name), name);
        if (slips < best) {
            best = slips;
            nearest = &table[i];
        }
    }
    *ret_distance = best;
    return nearest;
}

/* The first two words of a name of three or more ("DB_POOL_" of DB_POOL_MAX), else empty. */
static struct bh_str family_prefix(const char *const name)
{
    const char *const first = strchr(name, '_');
    const char *const second = first ? strchr(first + 1, '_') : NULL;
    if (!second)
        return BH_STR_NONE;
    return (struct bh_str){ .data = name, .size = (size_t)(second - name) + 1 };
}

static bool is_of_known_family(const struct bh_setting *const table, const size_t count,
                               const struct bh_str name)
{
    for (size_t i = 0; i < count; i++) {
        const struct bh_str prefix = family_prefix(table[i].name);
        if (prefix.size > 0 && bh_str_starts_with(name, prefix))
            return true;
    }
    return false;
}

/* "<place>: NAME is not a setting; did you mean <nearest>?" */
static int refuse_name(const char *const place, const struct bh_str name,
                       const struct bh_setting *const nearest, struct bh_error *const reterr)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf shown;
    bh_buf_init(&shown, 4 * NAME_BYTES_MAX + 8);
    bh_settings_value_show(name, NAME_BYTES_MAX, &shown);
    const struct bh_str text = bh_buf_peek(&shown);
    if (nearest)
        return bh_error_set(reterr, BH_EINVAL, "%s: %.*s is not a setting; did you mean %s?", place,
                            BH_STR_ARGS(text), nearest->name);
    return bh_error_set(reterr, BH_EINVAL, "%s: %.*s is not a setting; remove it", place,
                        BH_STR_ARGS(text));
}

static int check_file_names(const struct bh_setting *const table, const size_t count,
                            const struct settings_env *const env, const char *const path,
                            struct bh_error *const reterr)
{
    for (size_t i = 0; i < env->count; i++) {
        const struct bh_str name = bh_str_from(env->entries[i].name);
        if (find(table, count, name))
            continue;
        size_t slips;
        const struct bh_setting *const nearest = find_nearest(table, count, name, &slips);
        char place[PLACE_BYTES_MAX];
        snprintf(place, sizeof(place), "%s:%u", path, env->entries[i].line);
        return refuse_name(place, name, slips <= 1 + name.size / 6 ? nearest : NULL, reterr);
    }
    return 0;
}

static int check_environment_names(const struct bh_setting *const table, const size_t count,
                                   char *const *const environment, struct bh_error *const reterr)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        struct bh_str rest = bh_str_from(environment[i]);
        const struct bh_str name = bh_str_split(&rest, '=');
        if (find(table, count, name))
            continue;
        size_t slips;
        const struct bh_setting *const nearest = find_nearest(table, count, name, &slips);
        if (slips <= 1 && name.size >= SLIP_NAME_MIN)
            return refuse_name("environment", name, nearest, reterr);
        if (is_of_known_family(table, count, name))
            return refuse_name("environment", name, slips <= 1 + name.size / 6 ? nearest : NULL,
                               reterr);
    }
    return 0;
}

/* ---- Load ---- */

static const char *find_in_environment(char *const *const environment, const char *const name)
{
    const size_t size = strlen(name);
    for (size_t i = 0; environment && environment[i]; i++) {
        if (strncmp(environment[i], name, size) == 0 && environment[i][size] == '=')
            return environment[i] + size + 1;
    }
    return NULL;
}

static const struct settings_env_entry *find_in_file(const struct settings_env *const env,
                                                     const char *const name)
{
    for (size_t i = 0; i < env->count; i++) {
        if (strcmp(env->entries[i].name, name) == 0)
            return &env->entries[i];
    }
    return NULL;
}

static int gather(const struct bh_setting *const setting, const struct settings_env *const env,
                  char *const *const environment, struct origin_value *const ret_value)
{
    struct origin_value value = { .source = SOURCE_ENVIRONMENT };
    const struct settings_env_entry *const entry = find_in_file(env, setting->name);
    const char *text = find_in_environment(environment, setting->name);
    if (!text && entry) {
        value.source = SOURCE_FILE;
        value.line = entry->line;
        text = entry->value;
    } else if (!text) {
        value.source = SOURCE_DEFAULT;
        text = setting->default_value;
    }
    value.text = strdup(text);
    if (!value.text)
        return BH_ENOMEM;
    *ret_value = value;
    return 0;
}

static void store(const struct bh_setting *const setting, const union settings_value *const value,
                  void *const target)
{
    char *const field = (char *)target + setting->offset;
    switch (setting->type) {
    case BH_SETTING_TEXT:
    case BH_SETTING_SECRET:
    case BH_SETTING_URL:
    case BH_SETTING_CHOICE:
        memcpy(field, &value->text, sizeof(value->text));
        break;
    case BH_SETTING_INT:
    case BH_SETTING_PERCENT:
        memcpy(field, &value->number, sizeof(value->number));
        break;
    case BH_SETTING_BOOL:
        memcpy(field, &value->truth, sizeof(value->truth));
        break;
    case BH_SETTING_DURATION:
    case BH_SETTING_SIZE:
        memcpy(field, &value->amount, sizeof(value->amount));
        break;
    }
}

static int create_origin(const size_t count, const char *const env_path,
                         struct bh_settings_origin **const ret_origin)
{
    struct bh_settings_origin *const origin = calloc(1, sizeof(*origin) +
                                                            count * sizeof(origin->values[0]));
    char *const path = strdup(env_path ? env_path : "");
    if (!origin || !path) {
        free(origin);
        free(path);
        return BH_ENOMEM;
    }
    origin->magic = ORIGIN_MAGIC;
    origin->env_path = path;
    origin->count = count;
    *ret_origin = origin;
    return 0;
}

void bh_settings_origin_destroy(struct bh_settings_origin *const origin)
{
    if (!origin)
        return;
    bh_magic_check(origin, ORIGIN_MAGIC);
    for (size_t i = 0; i < origin->count; i++)
        free(origin->values[i].text);
    free(origin->env_path);
    origin->magic = 0;
    free(origin);
}
BH_DEFINE_CLEANUP(struct bh_settings_origin, bh_settings_origin_destroy)

/* Reads all values before it stores the first, so that a failure leaves `target` untouched. */
static int read_values(const struct bh_setting *const table, const size_t count,
                       const struct bh_settings_origin *const origin, void *const target,
                       struct bh_error *const reterr)
{
    union settings_value *const values = calloc(count > 0 ? count : 1, sizeof(*values));
    if (!values)
        return bh_error_set(reterr, BH_ENOMEM, "settings: out of memory");
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        error = bh_settings_value_parse(&table[i], origin->values[i].text, &values[i], reterr);
        bh_assert(!error || origin->values[i].source != SOURCE_DEFAULT);
    }
    for (size_t i = 0; i < count && !error; i++)
        store(&table[i], &values[i], target);
    free(values);
    return error;
}

int bh_settings_load(const struct bh_setting *const table, const size_t count,
                     const char *const env_path, char *const *const environment, void *const target,
                     struct bh_settings_origin **const ret_origin, struct bh_error *const reterr)
{
    BH_CLEANUP(bh_settings_env_fini_cleanup) struct settings_env env = { .count = 0 };
    BH_CLEANUP(bh_settings_origin_destroy_cleanup) struct bh_settings_origin *origin = NULL;
    int error = env_path ? bh_settings_env_read(env_path, &env, reterr) : 0;
    if (!error)
        error = check_file_names(table, count, &env, env_path, reterr);
    if (!error)
        error = check_environment_names(table, count, environment, reterr);
    if (error)
        return error;

    error = create_origin(count, env_path, &origin);
    for (size_t i = 0; i < count && !error; i++)
        error = gather(&table[i], &env, environment, &origin->values[i]);
    if (error)
        return bh_error_set(reterr, error, "settings: out of memory");
    error = read_values(table, count, origin, target, reterr);
    if (error)
        return error;
    *ret_origin = origin;
    origin = NULL;
    return 0;
}

/* ---- Texts ---- */

/* As it can stand in .env: bare if nothing in it needs quotes. */
static void append_quoted(const char *const text, struct bh_buf *const buf)
{
    if (!strpbrk(text, " \t#'\"\\$")) {
        bh_buf_append_str(buf, bh_str_from(text));
        return;
    }
    bh_buf_append_byte(buf, '"');
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("\\\"$", *at))
            bh_buf_append_byte(buf, '\\');
        bh_buf_append_byte(buf, *at);
    }
    bh_buf_append_byte(buf, '"');
}

static void append_masked(const char *const url, struct bh_buf *const buf)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf masked;
    bh_buf_init(&masked, SETTINGS_ENV_BYTES_MAX * 2);
    bh_settings_value_mask(bh_str_from(url), &masked);
    bh_buf_append_byte(&masked, '\0');
    append_quoted(bh_buf_error(&masked) ? "" : masked.data, buf);
}

void bh_settings_print(const struct bh_setting *const table, const size_t count,
                       const struct bh_settings_origin *const origin, struct bh_buf *const buf)
{
    bh_magic_check(origin, ORIGIN_MAGIC);
    bh_assert(origin->count == count);
    for (size_t i = 0; i < count; i++) {
        const struct origin_value *const value = &origin->values[i];
        bh_buf_append_str(buf, bh_str_from(table[i].name));
        bh_buf_append_byte(buf, '=');
        if (table[i].type == BH_SETTING_SECRET && value->text[0] != '\0')
            bh_buf_append_str(buf, BH_STR("***"));
        else if (table[i].type == BH_SETTING_URL)
            append_masked(value->text, buf);
        else
            append_quoted(value->text, buf);
        if (value->source == SOURCE_ENVIRONMENT)
            bh_buf_append_str(buf, BH_STR(" # from environment\n"));
        else if (value->source == SOURCE_FILE)
            bh_buf_printf(buf, " # from %s:%u\n", origin->env_path, value->line);
        else
            bh_buf_append_str(buf, BH_STR(" # default\n"));
    }
}

void bh_settings_example(const struct bh_setting *const table, const size_t count,
                         struct bh_buf *const buf)
{
    bh_buf_append_str(buf, BH_STR("# Every setting with its default. Copy to .env and uncomment "
                                  "what differs; the environment wins.\n"));
    for (size_t i = 0; i < count; i++) {
        bh_buf_append_str(buf, BH_STR("\n# "));
        bh_buf_append_str(buf, bh_str_from(table[i].help));
        bh_buf_append_str(buf, BH_STR("\n# Takes "));
        bh_settings_value_describe(&table[i], buf);
        bh_buf_append_str(buf, BH_STR(".\n#"));
        bh_buf_append_str(buf, bh_str_from(table[i].name));
        bh_buf_append_byte(buf, '=');
        append_quoted(table[i].default_value, buf);
        bh_buf_append_byte(buf, '\n');
    }
}

/* A cell of a Markdown table. */
static void append_cell(const char *const text, struct bh_buf *const buf)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '|')
            bh_buf_append_byte(buf, '\\');
        bh_buf_append_byte(buf, *at);
    }
}

void bh_settings_reference(const struct bh_setting *const table, const size_t count,
                           struct bh_buf *const buf)
{
    bh_buf_append_str(buf, BH_STR("| Setting | Default | Takes | Meaning |\n"
                                  "| --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < count; i++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf takes;
        bh_buf_init(&takes, 1024);
        bh_settings_value_describe(&table[i], &takes);
        bh_buf_append_byte(&takes, '\0');
        bh_buf_printf(buf, "| `%s` | ", table[i].name);
        if (table[i].default_value[0] != '\0') {
            bh_buf_append_byte(buf, '`');
            append_cell(table[i].default_value, buf);
            bh_buf_append_byte(buf, '`');
        }
        bh_buf_append_str(buf, BH_STR(" | "));
        append_cell(bh_buf_error(&takes) ? "" : bh_buf_peek(&takes).data, buf);
        bh_buf_append_str(buf, BH_STR(" | "));
        append_cell(table[i].help, buf);
        bh_buf_append_str(buf, BH_STR(" |\n"));
    }
}
