/*
 * One setting's value: from text, and what the setting takes in words. Numbers are decimal, units
 * are exact, nothing is guessed: "30 s", "1.5h" or "64M" are refused with what would be right.
 */
#include <stdio.h>
#include <strings.h>

#include "base/settings_private.h"
#include "bulkhead/base/assert.h"

#define SHOWN_VALUE_MAX 60
#define MESSAGE_MAX 1024

struct unit {
    const char *name;
    uint64_t factor;
};

/* Ascending: the largest that divides an amount is the one it is shown in. */
static const struct unit duration_units[] = {
    { "us", 1 },
    { "ms", 1000 },
    { "s", 1000000 },
    { "m", 60 * UINT64_C(1000000) },
    { "h", 3600 * UINT64_C(1000000) },
    { "d", 86400 * UINT64_C(1000000) },
};

static const struct unit size_units[] = {
    { "B", 1 },
    { "KB", 1000 },
    { "KiB", 1024 },
    { "MB", 1000000 },
    { "MiB", UINT64_C(1) << 20 },
    { "GB", 1000000000 },
    { "GiB", UINT64_C(1) << 30 },
    { "TB", UINT64_C(1000000000000) },
    { "TiB", UINT64_C(1) << 40 },
};

static const struct unit *find_unit(const struct unit *const units, const size_t count,
                                    const struct bh_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (bh_str_equal(bh_str_from(units[i].name), name))
            return &units[i];
    }
    return NULL;
}

static const struct unit *unit_of(const enum bh_setting_type type, const struct bh_str name)
{
    return type == BH_SETTING_DURATION
               ? find_unit(duration_units, BH_COUNT_OF(duration_units), name)
               : find_unit(size_units, BH_COUNT_OF(size_units), name);
}

static bool has_range(const struct bh_setting *const setting)
{
    return setting->minimum != 0 || setting->maximum != 0;
}

/* ---- In words ---- */

void bh_settings_value_show(const struct bh_str text, const size_t maximum,
                            struct bh_buf *const buf)
{
    for (size_t at = 0; at < text.size;) {
        const size_t sequence = bh_str_utf8_sequence(text.data + at, text.size - at);
        const size_t step = sequence > 0 ? sequence : 1;
        if (at + step > maximum) {
            bh_buf_append_str(buf, BH_STR("…"));
            return;
        }
        const unsigned char byte = (unsigned char)text.data[at];
        if (sequence == 0 || byte < 0x20 || byte == 0x7F)
            bh_buf_printf(buf, "\\x%02x", byte);
        else
            bh_buf_append(buf, text.data + at, step);
        at += step;
    }
}

static void append_amount(const struct bh_setting *const setting, const int64_t amount,
                          struct bh_buf *const buf)
{
    if (setting->type != BH_SETTING_DURATION && setting->type != BH_SETTING_SIZE) {
        bh_buf_append_int(buf, amount);
        return;
    }
    const bool is_duration = setting->type == BH_SETTING_DURATION;
    const struct unit *const units = is_duration ? duration_units : size_units;
    size_t best = is_duration ? BH_COUNT_OF(duration_units) : BH_COUNT_OF(size_units);
    do {
        best--;
    } while (best > 0 && (amount == 0 || (uint64_t)amount % units[best].factor != 0));
    bh_buf_append_int(buf, amount / (int64_t)units[best].factor);
    bh_buf_append_str(buf, bh_str_from(units[best].name));
}

static void append_range(const struct bh_setting *const setting, struct bh_buf *const buf)
{
    if (!has_range(setting))
        return;
    bh_buf_append_str(buf, BH_STR(" from "));
    append_amount(setting, setting->minimum, buf);
    bh_buf_append_str(buf, BH_STR(" to "));
    append_amount(setting, setting->maximum, buf);
}

static void append_choices(const char *const choices, struct bh_buf *const buf)
{
    struct bh_str rest = bh_str_from(choices);
    bh_buf_append_str(buf, bh_str_split(&rest, '|'));
    while (rest.size > 0) {
        const struct bh_str choice = bh_str_split(&rest, '|');
        bh_buf_append_str(buf, rest.size > 0 ? BH_STR(", ") : BH_STR(" or "));
        bh_buf_append_str(buf, choice);
    }
}

static void append_plain_unit(const struct bh_setting *const setting, struct bh_buf *const buf)
{
    if (setting->unit && setting->unit[0] != '\0') {
        bh_buf_append_str(buf, BH_STR("; a plain number is in "));
        bh_buf_append_str(buf, bh_str_from(setting->unit));
    }
}

void bh_settings_value_describe(const struct bh_setting *const setting, struct bh_buf *const buf)
{
    switch (setting->type) {
    case BH_SETTING_TEXT:
    case BH_SETTING_SECRET:
    case BH_SETTING_URL:
        bh_buf_append_str(buf, BH_STR("a text without control characters"));
        break;
    case BH_SETTING_INT:
        bh_buf_append_str(buf, BH_STR("a whole number"));
        append_range(setting, buf);
        if (setting->unit && setting->unit[0] != '\0')
            bh_buf_printf(buf, " (%s)", setting->unit);
        break;
    case BH_SETTING_PERCENT:
        bh_buf_append_str(buf, BH_STR("a percentage from 1 to 100"));
        break;
    case BH_SETTING_BOOL:
        bh_buf_append_str(buf, BH_STR("on or off"));
        break;
    case BH_SETTING_DURATION:
        bh_buf_append_str(buf, BH_STR("a duration such as 500ms, 30s or 5m"));
        append_range(setting, buf);
        append_plain_unit(setting, buf);
        break;
    case BH_SETTING_SIZE:
        bh_buf_append_str(buf, BH_STR("a size such as 64MB or 1GiB"));
        append_range(setting, buf);
        append_plain_unit(setting, buf);
        break;
    case BH_SETTING_CHOICE:
        append_choices(setting->choices, buf);
        break;
    }
}

/* Where `url` names its user and password: behind "://", up to the last "@". Empty without one. */
static struct bh_str user_part(const struct bh_str url)
{
    const char *const begin = memmem(url.data, url.size, "://", 3);
    const char *const end = begin ? memrchr(url.data, '@', url.size) : NULL;
    if (!end || end < begin + 3)
        return BH_STR_NONE;
    return (struct bh_str){ begin + 3, (size_t)(end - begin - 3) };
}

/* The value of a parameter whose name ends in "password". */
static struct bh_str password_parameter(const struct bh_str url)
{
    static const char name[] = "password=";
    const char *const found = memmem(url.data, url.size, name, sizeof(name) - 1);
    if (!found)
        return BH_STR_NONE;
    const char *const value = found + sizeof(name) - 1;
    struct bh_str rest = { value, (size_t)(url.data + url.size - value) };
    return bh_str_split(&rest, '&');
}

/* The first of the secrets that `url` holds, or an empty string. */
static struct bh_str first_secret(const struct bh_str url)
{
    const struct bh_str user = user_part(url);
    const char *const colon = user.size > 0 ? memchr(user.data, ':', user.size) : NULL;
    if (colon)
        return (struct bh_str){ colon + 1, (size_t)(user.data + user.size - colon - 1) };
    return password_parameter(url);
}

void bh_settings_value_mask(const struct bh_str url, struct bh_buf *const buf)
{
    struct bh_str rest = url;
    for (struct bh_str secret; (secret = first_secret(rest)).size > 0;) {
        const char *const behind = secret.data + secret.size;
        bh_buf_append(buf, rest.data, (size_t)(secret.data - rest.data));
        bh_buf_append_str(buf, BH_STR("***"));
        rest = (struct bh_str){ behind, (size_t)(rest.data + rest.size - behind) };
    }
    bh_buf_append_str(buf, rest);
}

/* "NAME=value: takes <description> (default x)<hint>" */
static int refuse(const struct bh_setting *const setting, const char *const text,
                  const char *const hint, struct bh_error *const reterr)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, MESSAGE_MAX);
    bh_buf_append_str(&buf, bh_str_from(setting->name));
    bh_buf_append_byte(&buf, '=');
    if (setting->type == BH_SETTING_SECRET)
        bh_buf_append_str(&buf, BH_STR("***"));
    else if (setting->type == BH_SETTING_URL)
        bh_buf_append_str(&buf, BH_STR("…"));
    else
        bh_settings_value_show(bh_str_from(text), SHOWN_VALUE_MAX, &buf);
    bh_buf_append_str(&buf, BH_STR(": takes "));
    bh_settings_value_describe(setting, &buf);
    if (setting->default_value[0] != '\0' && setting->type != BH_SETTING_SECRET) {
        bh_buf_append_str(&buf, BH_STR(" (default "));
        bh_buf_append_str(&buf, bh_str_from(setting->default_value));
        bh_buf_append_byte(&buf, ')');
    }
    bh_buf_append_str(&buf, bh_str_from(hint));
    return bh_error_set(reterr, BH_EINVAL, "%.*s", BH_STR_ARGS(bh_buf_peek(&buf)));
}

/* ---- From text ---- */

static int parse_text(const struct bh_setting *const setting, const char *const text,
                      union settings_value *const ret_value, struct bh_error *const reterr)
{
    const struct bh_str value = bh_str_from(text);
    bool is_clean = bh_str_is_utf8(value);
    for (size_t i = 0; i < value.size; i++)
        is_clean = is_clean && (unsigned char)text[i] >= 0x20 && text[i] != 0x7F;
    if (!is_clean)
        return refuse(setting, text, "", reterr);
    ret_value->text = text;
    return 0;
}

static int parse_int(const struct bh_setting *const setting, const char *const text,
                     union settings_value *const ret_value, struct bh_error *const reterr)
{
    const int64_t minimum = has_range(setting) ? setting->minimum : INT64_MIN;
    const int64_t maximum = has_range(setting) ? setting->maximum : INT64_MAX;
    if (bh_str_to_int64(bh_str_from(text), minimum, maximum, &ret_value->number) != 0)
        return refuse(setting, text, "", reterr);
    return 0;
}

/* "0.85" and ".850" → 85; 0 if the text is no such fraction. */
static int percent_of_fraction(const char *text)
{
    if (*text == '0')
        text++;
    if (*text != '.' && *text != ',')
        return 0;
    text++;
    int digits = 0;
    int percent = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (digits++ < 2)
            percent = percent * 10 + (*text - '0');
    }
    if (*text != '\0' || digits == 0)
        return 0;
    return digits == 1 ? percent * 10 : percent;
}

static int parse_percent(const struct bh_setting *const setting, const char *const text,
                         union settings_value *const ret_value, struct bh_error *const reterr)
{
    struct bh_str digits = bh_str_from(text);
    if (bh_str_ends_with(digits, BH_STR("%")))
        digits.size--;
    if (bh_str_to_int64(digits, 1, 100, &ret_value->number) == 0)
        return 0;
    const int meant = percent_of_fraction(text);
    if (meant == 0)
        return refuse(setting, text, "", reterr);
    char hint[64];
    snprintf(hint, sizeof(hint), "; this is a fraction, write %d", meant);
    return refuse(setting, text, hint, reterr);
}

static int parse_bool(const struct bh_setting *const setting, const char *const text,
                      union settings_value *const ret_value, struct bh_error *const reterr)
{
    static const char *const words[2][4] = { { "off", "false", "no", "0" },
                                             { "on", "true", "yes", "1" } };
    for (size_t truth = 0; truth < 2; truth++) {
        for (size_t i = 0; i < BH_COUNT_OF(words[truth]); i++) {
            if (strcasecmp(text, words[truth][i]) == 0) {
                ret_value->truth = truth == 1;
                return 0;
            }
        }
    }
    return refuse(setting, text, "", reterr);
}

#define FRACTION_DIGITS_MAX 6

/* What stands behind the point, in `factor`: 25 of 1.25s is 250,000 us. Cut off, not rounded. */
static bool fraction_of(const struct bh_str digits, const uint64_t factor,
                        int64_t *const ret_amount)
{
    int64_t scale = 1;
    for (size_t i = 0; i < digits.size; i++)
        scale *= 10;
    int64_t number;
    if (digits.size > FRACTION_DIGITS_MAX || bh_str_to_int64(digits, 0, scale, &number) != 0 ||
        __builtin_mul_overflow(number, (int64_t)factor, &number))
        return false;
    *ret_amount = number / scale;
    return true;
}

static int parse_amount(const struct bh_setting *const setting, const char *const text,
                        union settings_value *const ret_value, struct bh_error *const reterr)
{
    static const char figures[] = "0123456789";
    const struct bh_str digits = { .data = text, .size = strspn(text, figures) };
    const char *unit_name = text + digits.size;
    struct bh_str behind = { 0 };
    const bool has_fraction = *unit_name == '.';
    if (has_fraction) {
        behind = (struct bh_str){ unit_name + 1, strspn(unit_name + 1, figures) };
        unit_name = behind.data + behind.size;
    }
    if (*unit_name == '\0' && setting->unit)
        unit_name = setting->unit;
    const struct unit *const unit = unit_of(setting->type, bh_str_from(unit_name));
    const uint64_t factor = unit ? unit->factor : 1;
    int64_t amount;
    int64_t fraction = 0;
    const int64_t minimum = has_range(setting) ? setting->minimum : 0;
    const int64_t maximum = has_range(setting) ? setting->maximum : INT64_MAX;
    const bool is_bare_zero = strcmp(text, "0") == 0;
    if ((!unit && !is_bare_zero) || bh_str_to_int64(digits, 0, INT64_MAX, &amount) != 0 ||
        (has_fraction && !fraction_of(behind, factor, &fraction)) ||
        __builtin_mul_overflow(amount, (int64_t)factor, &amount) ||
        __builtin_add_overflow(amount, fraction, &amount) || amount < minimum || amount > maximum)
        return refuse(setting, text, "", reterr);
    ret_value->amount = (uint64_t)amount;
    return 0;
}

static int parse_choice(const struct bh_setting *const setting, const char *const text,
                        union settings_value *const ret_value, struct bh_error *const reterr)
{
    struct bh_str rest = bh_str_from(setting->choices);
    while (rest.size > 0) {
        if (bh_str_equal(bh_str_split(&rest, '|'), bh_str_from(text))) {
            ret_value->text = text;
            return 0;
        }
    }
    return refuse(setting, text, "", reterr);
}

int bh_settings_value_parse(const struct bh_setting *const setting, const char *const text,
                            union settings_value *const ret_value, struct bh_error *const reterr)
{
    const bool is_text = setting->type == BH_SETTING_TEXT || setting->type == BH_SETTING_SECRET ||
                         setting->type == BH_SETTING_URL;
    union settings_value value = { .amount = 0 };
    int error = 0;
    if (is_text) {
        error = parse_text(setting, text, &value, reterr);
    } else if (text[0] == '\0' && setting->default_value[0] == '\0') {
        if (setting->type == BH_SETTING_CHOICE)
            value.text = text;
    } else if (setting->type == BH_SETTING_INT) {
        error = parse_int(setting, text, &value, reterr);
    } else if (setting->type == BH_SETTING_PERCENT) {
        error = parse_percent(setting, text, &value, reterr);
    } else if (setting->type == BH_SETTING_BOOL) {
        error = parse_bool(setting, text, &value, reterr);
    } else if (setting->type == BH_SETTING_CHOICE) {
        error = parse_choice(setting, text, &value, reterr);
    } else {
        error = parse_amount(setting, text, &value, reterr);
    }
    if (!error)
        *ret_value = value;
    return error;
}
