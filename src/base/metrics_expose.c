/*
 * Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0.0.
 *
 * A histogram's cumulative counts and its _count are added up from one reading of its buckets, so
 * they never fall within a family and +Inf always equals _count, while other threads keep counting.
 * Numbers are written without the C library's locale.
 */
#include <math.h>

#include "base/metrics_private.h"

static void append_escaped(struct bh_buf *const buf, const char *text, const bool escape_quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            bh_buf_append_str(buf, BH_STR("\\n"));
        else if (*text == '\\' || (*text == '"' && escape_quotes))
            bh_buf_append(buf, (const char[2]){ '\\', *text }, 2);
        else
            bh_buf_append_byte(buf, *text);
    }
}

/* Microseconds as seconds: "0.0001", "2.5", "60.0". */
static void append_seconds(struct bh_buf *const buf, const int64_t us)
{
    bh_buf_append_double(buf, (double)us / 1e6);
}

/* Within the range where every whole number is a double, so that the cast is exact. */
static bool is_whole(const double value)
{
    if (!(value > -1e15 && value < 1e15))
        return false;
    const double whole = (double)(int64_t)value;
    return !(whole < value) && !(whole > value);
}

static void append_number(struct bh_buf *const buf, const double value)
{
    if (isnan(value))
        bh_buf_append_str(buf, BH_STR("NaN"));
    else if (isinf(value))
        bh_buf_append_str(buf, value > 0 ? BH_STR("+Inf") : BH_STR("-Inf"));
    else if (is_whole(value))
        bh_buf_append_int(buf, (int64_t)value);
    else
        bh_buf_append_double(buf, value);
}

static void append_head(struct bh_buf *const buf, const struct bh_metric_family *const family,
                        const bool openmetrics)
{
    static const char *const types[] = { [BH_METRIC_COUNTER] = "counter",
                                         [BH_METRIC_GAUGE] = "gauge",
                                         [BH_METRIC_HISTOGRAM] = "histogram" };
    struct bh_str name = bh_str_from(family->name);
    if (openmetrics && family->type == BH_METRIC_COUNTER)
        name.size -= strlen("_total");
    bh_buf_append_str(buf, BH_STR("# HELP "));
    bh_buf_append_str(buf, name);
    bh_buf_append_byte(buf, ' ');
    append_escaped(buf, family->help, openmetrics);
    bh_buf_append_str(buf, BH_STR("\n# TYPE "));
    bh_buf_append_str(buf, name);
    bh_buf_append_byte(buf, ' ');
    bh_buf_append_str(buf, bh_str_from(types[family->type]));
    bh_buf_append_byte(buf, '\n');
}

/* name<suffix>{labels,le="bound"} and a blank; `bound` may be empty. */
static void append_sample(struct bh_buf *const buf, const char *const name,
                          const char *const suffix, const char *const labels,
                          const struct bh_str bound)
{
    bh_buf_append_str(buf, bh_str_from(name));
    bh_buf_append_str(buf, bh_str_from(suffix));
    if (labels[0] != '\0' || bound.size > 0) {
        bh_buf_append_byte(buf, '{');
        bh_buf_append_str(buf, bh_str_from(labels));
        if (bound.size > 0) {
            if (labels[0] != '\0')
                bh_buf_append_byte(buf, ',');
            bh_buf_append_str(buf, BH_STR("le=\""));
            bh_buf_append_str(buf, bound);
            bh_buf_append_byte(buf, '"');
        }
        bh_buf_append_byte(buf, '}');
    }
    bh_buf_append_byte(buf, ' ');
}

static void expose_histogram(struct bh_buf *const buf, const char *const name,
                             const struct metrics_child *const child)
{
    static const struct bh_str bounds[] = {
        BH_STR("0.0001"), BH_STR("0.00025"), BH_STR("0.0005"), BH_STR("0.001"), BH_STR("0.0025"),
        BH_STR("0.005"),  BH_STR("0.01"),    BH_STR("0.025"),  BH_STR("0.05"),  BH_STR("0.1"),
        BH_STR("0.25"),   BH_STR("0.5"),     BH_STR("1.0"),    BH_STR("2.5"),   BH_STR("5.0"),
        BH_STR("10.0"),   BH_STR("30.0"),    BH_STR("60.0"),   BH_STR("+Inf")
    };
    _Static_assert(BH_COUNT_OF(bounds) == METRICS_BUCKETS, "a text for each bucket");
    int64_t count = 0;
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        count += bh_metrics_value(child->slot + i);
        append_sample(buf, name, "_bucket", child->labels, bounds[i]);
        bh_buf_append_int(buf, count);
        bh_buf_append_byte(buf, '\n');
    }
    append_sample(buf, name, "_sum", child->labels, BH_STR_NONE);
    append_seconds(buf, bh_metrics_value(child->slot + METRICS_BUCKETS));
    bh_buf_append_byte(buf, '\n');
    append_sample(buf, name, "_count", child->labels, BH_STR_NONE);
    bh_buf_append_int(buf, count);
    bh_buf_append_byte(buf, '\n');
}

static void expose_child(struct bh_buf *const buf, const struct bh_metric_family *const declared,
                         const struct metrics_child *const child)
{
    if (declared->type == BH_METRIC_HISTOGRAM) {
        expose_histogram(buf, declared->name, child);
        return;
    }
    append_sample(buf, declared->name, "", child->labels, BH_STR_NONE);
    if (child->read)
        append_number(buf, child->read(child->read_argument));
    else
        bh_buf_append_int(buf, bh_metrics_value(child->slot));
    bh_buf_append_byte(buf, '\n');
}

static void expose_family(struct bh_buf *const buf, const struct metrics_family *const family,
                          const bool openmetrics)
{
    append_head(buf, family->declared, openmetrics);
    if (family->read) {
        append_sample(buf, family->declared->name, "", "", BH_STR_NONE);
        append_number(buf, family->read(family->read_argument));
        bh_buf_append_byte(buf, '\n');
        return;
    }
    for (const struct metrics_child *child = family->first; child; child = child->next)
        expose_child(buf, family->declared, child);
    if (family->other_is_used)
        expose_child(buf, family->declared, family->other);
}

void bh_metrics_expose(struct bh_buf *const buf, const bool openmetrics)
{
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    for (size_t i = 0; i < bh_metrics_shared.families_count; i++)
        expose_family(buf, &bh_metrics_shared.families[i], openmetrics);
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
    if (openmetrics)
        bh_buf_append_str(buf, BH_STR("# EOF\n"));
}
