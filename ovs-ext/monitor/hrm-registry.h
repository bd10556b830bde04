/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef HRM_REGISTRY_H
#define HRM_REGISTRY_H 1

/* Registry of hardware resources
 * ==============================
 *
 * Raw counters go in, in rounds of one sample for each resource; resources
 * with rates, forecasts and states come out:
 *
 *     hrm_registry_begin(r, now);
 *     for each resource that there is: hrm_registry_put(r, &sample);
 *     hrm_registry_end(r);
 *
 * States
 * ------
 *
 * "No answer" is a probe that failed, a resource that is missing in a round,
 * or one whose counter of finished work stands still although work is queued.
 * Two samples in a row without answer make a resource unavailable; one that
 * says itself that it is down (a link) is so at once.
 *
 * To come back takes HRM_UP_SAMPLES good samples, and twice as many with each
 * outage not long ago (half forgotten after 10 s), so that a resource that
 * flaps stays unavailable rather than taking traffic back and forth.
 *
 * Degraded is a resource whose latency is several times its own usual one, or
 * which loses a share of its work, in HRM_BAD_SAMPLES samples in a row.  The
 * limits to leave that state are lower than those to enter it and must hold
 * for HRM_WELL_SAMPLES samples.  What latency is usual is known from
 * HRM_USUAL_SAMPLES samples of work on.  It follows slowly while the resource
 * is degraded by nothing but latency: one that stays as slow as it has become
 * is available again after some minutes, the later the slower it is.
 *
 * A resource that is gone for HRM_FORGET_MS is forgotten.
 *
 * Time
 * ----
 *
 * 'now' is in ms.  States count samples, so a clock that jumps does not change
 * them.  A round not later than the one before gives no rates; smoothing never
 * takes an interval for longer than HRM_MAX_DT_MS.
 *
 * Memory: one entry a resource, at most the number given at creation; beyond
 * that new resources are refused and counted.
 *
 * Not thread-safe: the caller serializes. */

#include "openvswitch/compiler.h"
#include "ovs-ext/monitor/hrm.h"

#define HRM_DOWN_SAMPLES 2      /* Without answer. */
#define HRM_UP_SAMPLES 2        /* With answer, after an outage. */
#define HRM_UP_SAMPLES_MAX 100
#define HRM_BAD_SAMPLES 3
#define HRM_WELL_SAMPLES 10
#define HRM_USUAL_SAMPLES 20
#define HRM_FORGET_MS 10000
#define HRM_MAX_DT_MS 1000

/* What a probe has found. */
enum hrm_answer {
    HRM_ANSWER,                 /* The sample's counters are good. */
    HRM_NO_ANSWER,              /* They are not: see 'why'. */
    HRM_DOWN,                   /* It says that it is down: see 'why'. */
    HRM_NOT_OURS                /* It is there and that is all we know. */
};

/* One reading of a resource.  Counters count from any time on and may start
 * anew. */
struct hrm_sample {
    char name[HRM_NAME_LEN];
    enum hrm_kind kind;
    enum hrm_answer answer;
    const char *why;            /* A word or two, or null.  Not owned. */
    int numa;
    const char *unit;           /* Constant. */

    uint64_t done;              /* Counter: units of work finished. */
    uint64_t failed;            /* Counter: units of work that failed. */
    bool queued;                /* Work is there that should move 'done'. */

    /* Utilization: counters of time, or a gauge if 'total' is not used. */
    uint64_t busy, total;
    double fill;                /* 0...1. */

    /* Latency: the busy time over the units done if 'cycles_us', the counts of
     * 'busy' in a microsecond, is not zero; or by Little's law the units that
     * wait over the rate at which they are done; or a gauge. */
    double cycles_us;
    double latency_us;          /* Gauge; 0 is unknown. */
    bool counts_waiting;        /* 'waiting' is good and gives the latency. */
    double waiting;             /* Units of work taken in and not finished. */

    double capacity;            /* 0: unknown, or learned from a 'total'. */

    struct hrm_attr attrs[HRM_MAX_ATTRS];
    unsigned int n_attrs;
};

/* Sets '*s' to an answer without work.  'format' makes the part of the name
 * behind the kind's prefix and '/'. */
void hrm_sample_init(struct hrm_sample *s, enum hrm_kind, const char *unit,
                     const char *format, ...) OVS_PRINTF_FORMAT(4, 5);
void hrm_sample_attr(struct hrm_sample *, const char *key,
                     const char *format, ...) OVS_PRINTF_FORMAT(3, 4);

struct hrm_registry *hrm_registry_create(size_t max_resources);
void hrm_registry_destroy(struct hrm_registry *);

void hrm_registry_begin(struct hrm_registry *, long long int now);
void hrm_registry_put(struct hrm_registry *, const struct hrm_sample *);
void hrm_registry_end(struct hrm_registry *);

/* Copies all resources, ordered by kind and name, to '*resources', which the
 * caller must free(), and their number to '*n'. */
void hrm_registry_snapshot(const struct hrm_registry *,
                           struct hrm_resource **resources, size_t *n);

size_t hrm_registry_count(const struct hrm_registry *);

struct hrm_registry_stats {
    uint64_t rounds;
    uint64_t refused;           /* Samples of resources beyond the maximum. */
    uint64_t transitions;       /* Changes of state. */
    uint64_t skipped;           /* Rounds without progress of the clock. */
};
const struct hrm_registry_stats *hrm_registry_stats(
    const struct hrm_registry *);

#endif /* hrm-registry.h */
