/* What metrics.c (registration and updates) and metrics_expose.c share. The mutex guards all. */
#pragma once

#include <pthread.h>

#include "bulkhead/base/metrics.h"

#define METRICS_FAMILIES_MAX 256

/* Upper bounds in µs; a last bucket takes what is longer. */
#define METRICS_BOUNDS_US                                                                      \
    {                                                                                          \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, \
            2500000, 5000000, 10000000, 30000000, 60000000                                     \
    }
#define METRICS_BOUNDS_COUNT 18
#define METRICS_BUCKETS (METRICS_BOUNDS_COUNT + 1)
#define METRICS_HISTOGRAM_SLOTS (METRICS_BUCKETS + 1) /* the buckets, then the sum in µs */

struct metrics_child {
    struct metrics_child *next;     /* of the family, in order of creation */
    bh_metric slot;                 /* the first */
    double (*read)(void *argument); /* instead of the slot */
    void *read_argument;
    char labels[]; /* as exposed: method="GET",status="200" */
};

struct metrics_family {
    const struct bh_metric_family *declared;
    size_t labels_count;
    struct metrics_child *first;
    struct metrics_child *last;
    struct metrics_child *other;    /* takes children past the limit; shown once used */
    double (*read)(void *argument); /* instead of children */
    void *read_argument;
    bool other_is_used;
};

struct metrics_shared {
    pthread_mutex_t mutex;
    struct metrics_family families[METRICS_FAMILIES_MAX];
    size_t families_count;
};
extern struct metrics_shared bh_metrics_shared;

/* The number of slots a child of this type takes. */
size_t bh_metrics_slots(enum bh_metric_type type);
