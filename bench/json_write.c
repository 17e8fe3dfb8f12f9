/*
 * The JSON writer beside jansson's dumper, in one run: the same page of search results, as ours
 * writes it into a reused buffer, as jansson dumps a tree that is there already, and as jansson
 * makes the tree and dumps it, which is what a handler would have to do.
 *
 *     build/release/bench/json_write [rounds]
 *
 * Rounds of the three alternate; the figure is the median of processor time. Before measuring, both
 * texts are read back and must be equal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/json.h"

enum { RESULTS = 20, ROUNDS_MAX = 1000, REPEATS = 50 };

struct page {
    const char *name;
    struct bh_str content;
    struct bh_str snippet;
};

#define ENGLISH                                                                                  \
    "On glancing over my notes of the seventy odd cases in which I have during the last eight "  \
    "years studied the methods of my friend Sherlock Holmes, I find many tragic, some comic, a " \
    "large number merely strange, but none commonplace; for, working as he did rather for the "  \
    "love of his art than for the acquirement of wealth, he refused to associate himself with "  \
    "any investigation which did not tend towards the unusual, and even the fantastic. \n\n"
#define TURKISH                                                                                \
    "Bütün mutlu aileler birbirine benzer; her mutsuz aile ise kendine göre "               \
    "mutsuzdur. Oblonski ailesinde her şey altüst olmuştu. Karısı, kocasının eskiden "  \
    "evlerinde öğretmenlik yapan Fransız kadınla ilişkisi olduğunu öğrenmiş, artık " \
    "onunla aynı çatı altında yaşayamayacağını söylemişti. Bu durum üç gündür "  \
    "sürüyor, hem karı kocaya hem bütün ev halkına sıkıntı veriyordu.\n\n"

static const struct page pages[] = {
    { "English text", BH_STR(ENGLISH ENGLISH ENGLISH), BH_STR(ENGLISH) },
    { "Turkish text", BH_STR(TURKISH TURKISH TURKISH), BH_STR(TURKISH) },
    { "no text, numbers and names", BH_STR("-"), BH_STR("-") },
};

static double score_of(const int i)
{
    return 31.0 / (1.7 + i);
}

static void write_result(struct bh_json *const json, const struct page *const page, const int i)
{
    bh_json_object_begin(json);
    bh_json_kv_int(json, "id", 4194305 + i * 7919);
    bh_json_kv_string(json, "title", BH_STR("The Adventures of Sherlock Holmes"));
    bh_json_kv_double(json, "score", score_of(i));
    bh_json_kv_string(json, "content", page->content);
    bh_json_kv_string(json, "snippet", page->snippet);
    bh_json_kv_array(json, "highlights");
    for (int j = 0; j < 4; j++) {
        bh_json_array_begin(json);
        bh_json_int(json, 12 + j * 20);
        bh_json_int(json, 20 + j * 20);
        bh_json_array_end(json);
    }
    bh_json_array_end(json);
    bh_json_kv_int(json, "book_id", 4 + i);
    bh_json_kv_int(json, "page_number", 172 + i);
    bh_json_kv_string(json, "page_kind", BH_STR("section"));
    bh_json_kv_null(json, "chapter");
    bh_json_kv_bool(json, "overlap", i % 2 == 0);
    bh_json_object_end(json);
}

static void write_page(struct bh_buf *const buf, const struct page *const page)
{
    bh_buf_clear(buf);
    struct bh_json json;
    bh_json_init(&json, buf);
    bh_json_object_begin(&json);
    bh_json_kv_int(&json, "total_count", 17342);
    bh_json_kv_array(&json, "results");
    for (int i = 0; i < RESULTS; i++)
        write_result(&json, page, i);
    bh_json_array_end(&json);
    bh_json_kv_bool(&json, "has_next", true);
    bh_json_object_end(&json);
    bh_assert(bh_buf_error(buf) == 0);
}

static json_t *string_of(const struct bh_str text)
{
    return json_stringn(text.data, text.size);
}

static json_t *make_result(const struct page *const page, const int i)
{
    json_t *const result = json_object();
    json_object_set_new(result, "id", json_integer(4194305 + i * 7919));
    json_object_set_new(result, "title", json_string("The Adventures of Sherlock Holmes"));
    json_object_set_new(result, "score", json_real(score_of(i)));
    json_object_set_new(result, "content", string_of(page->content));
    json_object_set_new(result, "snippet", string_of(page->snippet));
    json_t *const highlights = json_array();
    for (int j = 0; j < 4; j++) {
        json_t *const range = json_array();
        json_array_append_new(range, json_integer(12 + j * 20));
        json_array_append_new(range, json_integer(20 + j * 20));
        json_array_append_new(highlights, range);
    }
    json_object_set_new(result, "highlights", highlights);
    json_object_set_new(result, "book_id", json_integer(4 + i));
    json_object_set_new(result, "page_number", json_integer(172 + i));
    json_object_set_new(result, "page_kind", json_string("section"));
    json_object_set_new(result, "chapter", json_null());
    json_object_set_new(result, "overlap", json_boolean(i % 2 == 0));
    return result;
}

static json_t *make_page(const struct page *const page)
{
    json_t *const tree = json_object();
    json_object_set_new(tree, "total_count", json_integer(17342));
    json_t *const results = json_array();
    for (int i = 0; i < RESULTS; i++)
        json_array_append_new(results, make_result(page, i));
    json_object_set_new(tree, "results", results);
    json_object_set_new(tree, "has_next", json_true());
    return tree;
}

static void check_equal(const struct page *const page, struct bh_buf *const buf)
{
    write_page(buf, page);
    json_t *ours = NULL;
    bh_assert(bh_json_parse(bh_buf_peek(buf), 8, &ours, NULL) == 0);
    json_t *const theirs = make_page(page);
    bh_assert(json_equal(ours, theirs));
    json_decref(ours);
    json_decref(theirs);
}

/* Processor time: other work on the machine does not count. */
static uint64_t now_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * UINT64_C(1000000000) + (uint64_t)used.tv_nsec;
}

static int compare(const void *const a, const void *const b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *const values, const size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

static void measure(const struct page *const page, const size_t rounds)
{
    static double ours_ns[ROUNDS_MAX];
    static double dump_ns[ROUNDS_MAX];
    static double make_ns[ROUNDS_MAX];
    static char text[1 << 20];
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, sizeof(text));
    check_equal(page, &buf);
    json_t *const tree = make_page(page);
    for (size_t round = 0; round < rounds; round++) {
        const uint64_t begin = now_ns();
        for (int i = 0; i < REPEATS; i++)
            write_page(&buf, page);
        const uint64_t written = now_ns();
        for (int i = 0; i < REPEATS; i++)
            bh_assert(json_dumpb(tree, text, sizeof(text), JSON_COMPACT) > 0);
        const uint64_t dumped = now_ns();
        for (int i = 0; i < REPEATS; i++) {
            json_t *const made = make_page(page);
            bh_assert(json_dumpb(made, text, sizeof(text), JSON_COMPACT) > 0);
            json_decref(made);
        }
        ours_ns[round] = (double)(written - begin) / REPEATS;
        dump_ns[round] = (double)(dumped - written) / REPEATS;
        make_ns[round] = (double)(now_ns() - dumped) / REPEATS;
    }
    const double ours = median(ours_ns, rounds);
    const double dump = median(dump_ns, rounds);
    const double make = median(make_ns, rounds);
    printf("%-28s %8zu %10.1f %10.1f %10.1f %8.2f %8.2f %9.0f\n", page->name, buf.size, ours / 1e3,
           dump / 1e3, make / 1e3, dump / ours, make / ours, (double)buf.size / ours * 1e3);
    json_decref(tree);
}

int main(const int argc, char **const argv)
{
    size_t rounds = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 51;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    printf("%-28s %8s %10s %10s %10s %8s %8s %9s\n", "a page of 20 results", "bytes", "ours us",
           "dump us", "make+dump", "ratio", "ratio", "ours MB/s");
    for (size_t i = 0; i < BH_COUNT_OF(pages); i++)
        measure(&pages[i], rounds);
    return 0;
}
