/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TPAM_IMPL_H
#define TPAM_IMPL_H 1

/* For tpam*.c only. */

#include "openvswitch/hmap.h"
#include "ovs-ext/core/forecast.h"
#include "ovs-ext/session/tpam.h"

enum tpam_series {
    TPAM_CPU,
    TPAM_MEMORY,
    TPAM_BANDWIDTH,
    TPAM_LATENCY,
    TPAM_N_SERIES
};

struct tpam_host_state {
    struct hmap_node node;      /* In 'hosts', by ID. */
    uint64_t id;
    bool sampled;               /* Since the last tpam_run(). */
    bool draining;
    struct forecast *series[TPAM_N_SERIES];
    double now[TPAM_N_SERIES];
    double level[TPAM_N_SERIES];        /* Smoothed; NaN: not known. */
    double noise[TPAM_N_SERIES];        /* Variance of 'now' around it. */
    double floor_us;            /* Latency of an idle host, as far as seen. */
    double over_for;            /* Periods, less two for each one below. */
    uint64_t left_at;           /* tpam_run() after a group left it last. */

    /* Of the last tpam_run(): at half of the horizon, at it, at twice. */
    double over_soon, over_late;        /* Probability of being over. */
    double long_soon, long_late, long_far;      /* 'over_for', expected. */
    double busy;                /* Load, by whatever shows it. */
    double expected;            /* Load that others have to reckon with. */
    double promised;            /* Load that hints will bring. */
    struct tpam_group_state **groups;   /* By falling load. */
    size_t n_groups, allocated_groups;
};

/* What is to be learned from a group, once it is known what comes. */
struct tpam_case {
    bool is_open;
    unsigned int age;           /* Periods. */
    double x[TPAM_N_FEATURES];  /* When it was opened. */
};

struct tpam_group_state {
    struct hmap_node node;      /* In 'groups', by number. */
    uint64_t number;
    uint64_t host;
    struct forecast *rate, *latency;
    double load;                /* Smoothed. */
    double share;               /* Probability of being the first to go. */
    double x[TPAM_N_FEATURES];
    double p;
    bool hinted;
    uint64_t since;
    unsigned int below;         /* Periods below 'off'. */
    struct tpam_case learn;
    size_t n_targets;
    uint64_t targets[TPAM_MAX_TARGETS];
    double shares[TPAM_MAX_TARGETS];
};

struct tpam {
    struct tpam_config config;  /* Weights: those in force. */
    double shipped[TPAM_N_FEATURES];
    uint64_t n_runs;
    struct hmap hosts, groups;
    struct tpam_learned learned;
    double n_judged;            /* Cases that the errors are a mean of. */
};

/* tpam-features.c */
void tpam_host_sampled__(struct tpam_host_state *);
void tpam_host_loses__(struct tpam_host_state *, double load);
void tpam_host_gains__(struct tpam_host_state *, double load);
bool tpam_host_is_over__(const struct tpam *, const struct tpam_host_state *);
void tpam_host_run__(const struct tpam *, struct tpam_host_state *);
void tpam_host_features__(const struct tpam *, struct tpam_host_state *,
                          double room);

/* tpam-learn.c */
void tpam_case_run__(struct tpam *, struct tpam_group_state *);
void tpam_case_migrated__(struct tpam *, struct tpam_group_state *);

#endif /* tpam-impl.h */
