/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TPAM_IMPL_H
#define TPAM_IMPL_H 1

/* For tpam.c only. */

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
    struct hmap_node node;      /* In 'hosts', by number. */
    uint32_t number;
    bool draining;
    bool known;
    struct forecast *series[TPAM_N_SERIES];
    double now[TPAM_N_SERIES];
    double floor_us;            /* Latency of an idle host, as far as seen. */
    double over;                /* Mean of being over a limit, 10 periods. */
    double over_for;            /* Periods, less two for each one below. */
    uint64_t left_at;           /* tpam_run() after a group left it last. */

    /* Of the last tpam_run(). */
    double z_soon, z_late;      /* Distance from the limits, in sigmas. */
    double excess;              /* Load that must leave. */
    double expected;            /* Load at the horizon. */
    double promised;            /* Load that hints will bring. */
    struct tpam_group_state **groups;   /* By falling load. */
    size_t n_groups, allocated_groups;
};

struct tpam_group_state {
    struct hmap_node node;      /* In 'groups', by number. */
    uint64_t number;
    uint32_t host;
    struct forecast *rate, *latency;
    double load;                /* Smoothed. */
    double x[TPAM_N_FEATURES];
    double p;
    bool hinted;
    uint64_t since;
    unsigned int below;         /* Periods below 'off'. */
    double x_hint[TPAM_N_FEATURES];     /* When the hint began. */
    size_t n_targets;
    uint32_t targets[TPAM_MAX_TARGETS];
};

struct tpam {
    struct tpam_config config;
    uint64_t n_runs;
    struct hmap hosts, groups;
};

#endif /* tpam-impl.h */
