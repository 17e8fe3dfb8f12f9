/*
 * Logs. A line is put together in a buffer on the stack and leaves in one write(2) of at most
 * PIPE_BUF bytes, which files, pipes and terminals take whole: lines of several threads never mix.
 *
 * Text from outside may stand in a message, so control characters, invalid UTF-8 and the quote and
 * backslash (JSON) are escaped while the line is built: no message can forge a second line or
 * drive a terminal. Nothing here allocates; a log line must come out when memory is short.
 *
 * Repeats: a table of the last REPEAT_SLOTS lines. The first is written, the same again within
 * REPEAT_WINDOW_US is counted, and the count is told by the first call after the window, or by
 * bh_log_flush. The table is guarded by a mutex, held for a comparison and a copy, never for a
 * write.
 */
#include "bulkhead/base/log.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/json_private.h"
#define BH_METRICS_FILE "base/log_metrics.def"
#include "bulkhead/base/metrics_define.h"
#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

#define LINE_BYTES_MAX PIPE_BUF
/* Of the escaped text: one message or path, four fields, module and fixed text fit into a line. */
#define MESSAGE_BYTES_MAX 2560
#define FIELD_BYTES_MAX 256
#define MODULE_BYTES_MAX 32
#define ELLIPSIS BH_STR("…")
#define REPEAT_SLOTS 16
#define REPEAT_TEXT_MAX 512 /* a longer message is not collapsed */
#define REPEAT_WINDOW_US BH_SECOND_US

struct line {
    char data[LINE_BYTES_MAX];
    size_t size;
    bool is_json;
};

struct repeat {
    uint64_t hash;   /* of level, module and text; 0: the slot is free */
    uint64_t end_us; /* of the window */
    uint64_t count;  /* lines not written */
    enum bh_log_level level;
    char module[MODULE_BYTES_MAX];
    char text[REPEAT_TEXT_MAX];
    size_t text_size;
};

static struct {
    _Atomic int level;
    bool is_json;
    int fd;
} setup = { .level = BH_LOG_INFO, .is_json = false, .fd = STDERR_FILENO };

static struct {
    pthread_mutex_t mutex;
    struct repeat slots[REPEAT_SLOTS];
} repeats_shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local const struct bh_log_context *current_context;

/* The end of the oldest open window; lets the usual line skip the table's lock. */
static _Atomic uint64_t next_end_us = BH_NEVER_US;

static const char *const level_names[] = { "debug", "info", "warning", "error" };
static bh_metric lines_metric[BH_COUNT_OF(level_names)];
static bh_metric collapsed_metric;
static bh_metric lost_metric;
static pthread_once_t metrics_once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (size_t i = 0; i < BH_COUNT_OF(level_names); i++)
        lines_metric[i] = bh_metrics_child(&metric_families[METRIC_lines], &level_names[i], 1);
    collapsed_metric = bh_metrics_child(&metric_families[METRIC_collapsed], NULL, 0);
    lost_metric = bh_metrics_child(&metric_families[METRIC_lost], NULL, 0);
}

void bh_log_setup(const enum bh_log_level level, const enum bh_log_format format, const int fd)
{
    setup.fd = fd;
    setup.is_json = format == BH_LOG_JSON || (format == BH_LOG_AUTO && !isatty(fd));
    atomic_store_explicit(&setup.level, (int)level, memory_order_relaxed);
}

bool bh_log_enabled(const enum bh_log_level level)
{
    return (int)level >= atomic_load_explicit(&setup.level, memory_order_relaxed);
}

void bh_log_context_set(const struct bh_log_context *const context)
{
    current_context = context;
}

const struct bh_log_context *bh_log_context_get(void)
{
    return current_context;
}

/* ---- A line ---- */

/* There is room: the limits of the parts add up to less than a line. */
static void line_append(struct line *const line, const char *const text, const size_t size)
{
    bh_assert(size <= sizeof(line->data) - line->size);
    memcpy(line->data + line->size, text, size);
    line->size += size;
}

static void line_literal(struct line *const line, const char *const text)
{
    line_append(line, text, strlen(text));
}

static void line_number(struct line *const line, const uint64_t number)
{
    char text[24];
    const int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    line_append(line, text, (size_t)size);
}

/* C0, DEL, C1 (a terminal takes U+009B for ESC [) and the line separators U+2028 and U+2029. */
static bool is_control(const unsigned char *const at, const size_t size)
{
    if (size == 1)
        return at[0] < 0x20 || at[0] == 0x7F;
    if (size == 2)
        return at[0] == 0xC2 && at[1] < 0xA0;
    return size == 3 && at[0] == 0xE2 && at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
}

static unsigned code_point(const unsigned char *const at, const size_t size)
{
    if (size == 1)
        return at[0];
    if (size == 2)
        return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
    return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
}

/* Writes a control character as an escape; returns its size. */
static size_t escape_control(char escape[8], const unsigned code)
{
    const char *const names = code == '\n'   ? "\\n"
                              : code == '\t' ? "\\t"
                              : code == '\r' ? "\\r"
                                             : NULL;
    if (names) {
        memcpy(escape, names, 2);
        return 2;
    }
    return (size_t)snprintf(escape, 8, "\\u%04x", code & 0xFFFF);
}

/* The front of `text` as it may stand in the line, using `escape` if it must be changed.
 * *ret_taken: how much of the text that was. */
static struct bh_str harmless_piece(const struct line *const line, const struct bh_str text,
                                    char escape[8], size_t *const ret_taken)
{
    const unsigned char *const here = (const unsigned char *)text.data;
    size_t run = bh_json_ascii_run(text);
    const char *const del = memchr(text.data, 0x7F, run); /* which JSON does not mind */
    if (del)
        run = (size_t)(del - text.data);
    if (run > 0) {
        *ret_taken = run;
        return (struct bh_str){ .data = text.data, .size = run };
    }
    const size_t size = bh_str_utf8_sequence(text.data, text.size);
    *ret_taken = size > 0 ? size : 1;
    if (size == 0)
        return BH_STR("\uFFFD");
    if (is_control(here, size)) {
        const size_t escaped = escape_control(escape, code_point(here, size));
        return (struct bh_str){ .data = escape, .size = escaped };
    }
    if (line->is_json && (*here == '"' || *here == '\\')) {
        escape[0] = '\\';
        escape[1] = (char)*here;
        return (struct bh_str){ .data = escape, .size = 2 };
    }
    return (struct bh_str){ .data = text.data, .size = size };
}

/* Text from anywhere, made harmless; at most `maximum` bytes of it, then an ellipsis. */
static void line_text(struct line *const line, struct bh_str text, const size_t maximum)
{
    const size_t end = line->size + maximum - ELLIPSIS.size;
    while (text.size > 0) {
        char escape[8];
        size_t taken;
        struct bh_str piece = harmless_piece(line, text, escape, &taken);
        if (piece.size > end - line->size) {
            if (piece.data == text.data && (unsigned char)*piece.data < 0x80) /* a run */
                line_append(line, piece.data, end - line->size);
            line_append(line, ELLIPSIS.data, ELLIPSIS.size);
            return;
        }
        line_append(line, piece.data, piece.size);
        text.data += taken;
        text.size -= taken;
    }
}

/* `name` is a literal with what stands before it: ",\"route\":\"". */
static void line_field(struct line *const line, const char *const name, const struct bh_str value,
                       const size_t maximum)
{
    line_literal(line, name);
    line_text(line, value, maximum);
    line_literal(line, "\"");
}

static void line_begin(struct line *const line, const enum bh_log_level level,
                       const char *const module)
{
    static const char *const text_names[] = { " DEBUG   ", " INFO    ", " WARNING ", " ERROR   " };
    char time[BH_TIME_TEXT_SIZE];
    bh_time_text(bh_time_wall_us(), time);
    line->size = 0;
    line->is_json = setup.is_json;
    if (line->is_json) {
        line_field(line, "{\"time\":\"", bh_str_from(time), FIELD_BYTES_MAX);
        line_field(line, ",\"level\":\"", bh_str_from(level_names[level]), FIELD_BYTES_MAX);
        line_field(line, ",\"module\":\"", bh_str_from(module), MODULE_BYTES_MAX);
    } else {
        line_literal(line, time);
        line_literal(line, text_names[level]);
        line_text(line, bh_str_from(module), MODULE_BYTES_MAX);
        line_literal(line, ": ");
    }
}

static void line_write(struct line *const line)
{
    size_t written = 0;
    while (written < line->size) {
        const ssize_t result = write(setup.fd, line->data + written, line->size - written);
        if (result < 0 && errno == EINTR)
            continue;
        if (result <= 0) {
            bh_metrics_add(lost_metric, 1);
            return;
        }
        written += (size_t)result;
    }
}

static void line_finish(struct line *const line, const char *const end)
{
    line_literal(line, end);
    line_write(line);
}

/* The request's fields in a JSON line. */
static void line_context(struct line *const line, const struct bh_log_context *const context)
{
    line_field(line, ",\"request_id\":\"", context->request_id, FIELD_BYTES_MAX);
    line_field(line, ",\"route\":\"", context->route, FIELD_BYTES_MAX);
    if (context->tenant.size > 0)
        line_field(line, ",\"tenant\":\"", context->tenant, FIELD_BYTES_MAX);
}

/* Who asks, behind the request's id in a text line. */
static void line_tenant(struct line *const line, const struct bh_log_context *const context)
{
    if (context->tenant.size == 0)
        return;
    line_literal(line, " tenant=");
    line_text(line, context->tenant, FIELD_BYTES_MAX);
}

static void write_line(const enum bh_log_level level, const char *const module,
                       const struct bh_log_context *const context, const struct bh_str text,
                       const uint64_t repeats)
{
    struct line line;
    line_begin(&line, level, module);
    if (line.is_json) {
        if (context)
            line_context(&line, context);
        if (repeats > 0) {
            line_literal(&line, ",\"repeated\":");
            line_number(&line, repeats);
        }
        line_literal(&line, ",\"message\":\"");
        line_text(&line, text, MESSAGE_BYTES_MAX);
        line_finish(&line, "\"}\n");
    } else {
        if (context) {
            line_literal(&line, "[");
            line_text(&line, context->request_id, FIELD_BYTES_MAX);
            line_literal(&line, " ");
            line_text(&line, context->route, FIELD_BYTES_MAX);
            line_tenant(&line, context);
            line_literal(&line, "] ");
        }
        line_text(&line, text, MESSAGE_BYTES_MAX);
        if (repeats > 0) {
            line_literal(&line, " (repeated ");
            line_number(&line, repeats);
            line_literal(&line, repeats == 1 ? " time)" : " times)");
        }
        line_finish(&line, "\n");
    }
}

/* ---- Repeats ---- */

/* With the mutex held. */
static void update_next_end(void)
{
    uint64_t first = BH_NEVER_US;
    for (size_t i = 0; i < REPEAT_SLOTS; i++) {
        const struct repeat *const slot = &repeats_shared.slots[i];
        if (slot->hash != 0 && slot->end_us < first)
            first = slot->end_us;
    }
    atomic_store_explicit(&next_end_us, first, memory_order_relaxed);
}

static void tell_repeat(const struct repeat *const repeat)
{
    const struct bh_str text = { .data = repeat->text, .size = repeat->text_size };
    write_line(repeat->level, repeat->module, NULL, text, repeat->count);
}

/* Frees slots whose window ended by `now` and tells their counts. */
static void tell_ended(const uint64_t now)
{
    for (size_t i = 0; i < REPEAT_SLOTS; i++) {
        struct repeat ended = { .count = 0 };
        pthread_mutex_lock(&repeats_shared.mutex);
        struct repeat *const slot = &repeats_shared.slots[i];
        if (slot->hash != 0 && slot->end_us <= now) {
            if (slot->count > 0)
                ended = *slot;
            slot->hash = 0;
        }
        if (i + 1 == REPEAT_SLOTS)
            update_next_end();
        pthread_mutex_unlock(&repeats_shared.mutex);
        if (ended.count > 0)
            tell_repeat(&ended);
    }
}

static bool is_same(const struct repeat *const slot, const uint64_t hash,
                    const enum bh_log_level level, const char *const module,
                    const struct bh_str text)
{
    return slot->hash == hash && slot->level == level && strcmp(slot->module, module) == 0 &&
           bh_str_equal((struct bh_str){ .data = slot->text, .size = slot->text_size }, text);
}

/* True: the line is a repeat and has been counted. Else it is remembered, in place of the line
 * whose window ends first; if that one has repeats to tell, they go to *ret_evicted. */
static bool count_repeat(const uint64_t now, const enum bh_log_level level,
                         const char *const module, const struct bh_str text,
                         struct repeat *const ret_evicted)
{
    const uint64_t hash =
        XXH3_64bits_withSeed(text.data, text.size, (uint64_t)level * 31 + strlen(module)) | 1;
    bool is_repeat = false;
    pthread_mutex_lock(&repeats_shared.mutex);
    struct repeat *oldest = &repeats_shared.slots[0];
    for (size_t i = 0; i < REPEAT_SLOTS && !is_repeat; i++) {
        struct repeat *const slot = &repeats_shared.slots[i];
        if (is_same(slot, hash, level, module, text)) {
            slot->count++;
            is_repeat = true;
        } else if (oldest->hash != 0 && (slot->hash == 0 || slot->end_us < oldest->end_us)) {
            oldest = slot;
        }
    }
    if (!is_repeat) {
        if (oldest->hash != 0 && oldest->count > 0)
            *ret_evicted = *oldest;
        oldest->hash = hash;
        oldest->end_us = now + REPEAT_WINDOW_US;
        oldest->count = 0;
        oldest->level = level;
        memcpy(oldest->module, module, strlen(module) + 1);
        memcpy(oldest->text, text.data, text.size);
        oldest->text_size = text.size;
        update_next_end();
    }
    pthread_mutex_unlock(&repeats_shared.mutex);
    return is_repeat;
}

void bh_log(const enum bh_log_level level, const char *const module, const char *const format, ...)
{
    if (!bh_log_enabled(level))
        return;
    const int saved_errno = errno; /* %m in the format, and a caller that logs before it looks */
    char message[MESSAGE_BYTES_MAX + 8];
    va_list arguments;
    va_start(arguments, format);
    const int printed = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct bh_str text = { .data = message, .size = printed > 0 ? (size_t)printed : 0 };
    if (text.size >= sizeof(message))
        text.size = sizeof(message) - 1;

    pthread_once(&metrics_once, register_metrics);
    bh_metrics_add(lines_metric[level], 1);
    const uint64_t now = bh_time_now_us();
    if (now >= atomic_load_explicit(&next_end_us, memory_order_relaxed))
        tell_ended(now);
    struct repeat evicted = { .count = 0 };
    if (text.size <= REPEAT_TEXT_MAX && strlen(module) < MODULE_BYTES_MAX &&
        count_repeat(now, level, module, text, &evicted)) {
        bh_metrics_add(collapsed_metric, 1);
    } else {
        if (evicted.count > 0)
            tell_repeat(&evicted);
        write_line(level, module, current_context, text, 0);
    }
    errno = saved_errno;
}

void bh_log_access(const struct bh_log_access *const access)
{
    if (!bh_log_enabled(BH_LOG_INFO))
        return;
    const int saved_errno = errno;
    pthread_once(&metrics_once, register_metrics);
    bh_metrics_add(lines_metric[BH_LOG_INFO], 1);
    const uint64_t now = bh_time_now_us();
    if (now >= atomic_load_explicit(&next_end_us, memory_order_relaxed))
        tell_ended(now);

    const struct bh_log_context *const context = current_context;
    struct line line;
    line_begin(&line, BH_LOG_INFO, "access");
    if (line.is_json) {
        if (context)
            line_context(&line, context);
        line_field(&line, ",\"method\":\"", access->method, FIELD_BYTES_MAX);
        line_field(&line, ",\"peer\":\"", access->peer, FIELD_BYTES_MAX);
        line_literal(&line, ",\"status\":");
        line_number(&line, (uint64_t)(access->status > 0 ? access->status : 0));
        line_literal(&line, ",\"duration_us\":");
        line_number(&line, access->duration_us);
        line_literal(&line, ",\"bytes_sent\":");
        line_number(&line, access->bytes_sent);
        line_literal(&line, ",\"path\":\"");
        line_text(&line, access->path, MESSAGE_BYTES_MAX);
        line_finish(&line, "\"}\n");
    } else {
        line_text(&line, access->peer, FIELD_BYTES_MAX);
        line_literal(&line, " ");
        line_text(&line, access->method, FIELD_BYTES_MAX);
        line_literal(&line, " ");
        line_text(&line, access->path, MESSAGE_BYTES_MAX);
        line_literal(&line, " ");
        line_number(&line, (uint64_t)(access->status > 0 ? access->status : 0));
        line_literal(&line, " ");
        line_number(&line, access->duration_us);
        line_literal(&line, " us ");
        line_number(&line, access->bytes_sent);
        line_literal(&line, " bytes");
        if (context) {
            line_literal(&line, " ");
            line_text(&line, context->request_id, FIELD_BYTES_MAX);
            line_tenant(&line, context);
        }
        line_finish(&line, "\n");
    }
    errno = saved_errno;
}

void bh_log_flush(void)
{
    const int saved_errno = errno;
    pthread_once(&metrics_once, register_metrics);
    tell_ended(BH_NEVER_US);
    errno = saved_errno;
}
