/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_STEERING_UTIL_H
#define TEST_STEERING_UTIL_H 1

/* Helpers of the programs that test policies: states made by hand. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/steering/steer-policy.h"
#include "tests/test-util.h"

#define CAP 2e6                 /* Packets/s of a core in states made here. */

/* A state with room for itself. */
struct fixture {
    struct steer_state st;
    struct steer_core cores[STEER_MAX_CORES];
    struct steer_bucket *buckets;
    struct steer_group group;
};

static inline void
fixture_init(struct fixture *f, size_t n_cores, size_t n_buckets)
{
    memset(f, 0, sizeof *f);
    f->buckets = xcalloc(n_buckets, sizeof *f->buckets);
    f->st = (struct steer_state) {
        .n_cores = n_cores, .cores = f->cores,
        .n_buckets = n_buckets, .buckets = f->buckets,
        .n_groups = 1, .groups = &f->group, .tick_s = 0.01,
    };
    f->group.cores = n_cores < 64 ? (UINT64_C(1) << n_cores) - 1 : UINT64_MAX;
    for (size_t i = 0; i < n_buckets; i++) {
        f->buckets[i] = (struct steer_bucket) {
            .core = i % n_cores, .movable = true, .flows = 10,
            .ticks_since_move = UINT32_MAX,
        };
    }
}

static inline void
fixture_uninit(struct fixture *f)
{
    free(f->buckets);
}

/* Sets the rate of bucket 'b' to 'load' of a core. */
static inline void
fixture_load(struct fixture *f, size_t b, double load)
{
    f->buckets[b].pps = f->buckets[b].pred_pps = load * CAP;
}

/* Makes the cores agree with their buckets: queues and drops where there is
 * more than they can do. */
static inline void
fixture_settle(struct fixture *f)
{
    double load[STEER_MAX_CORES] = { 0 };

    for (size_t i = 0; i < f->st.n_buckets; i++) {
        if (f->buckets[i].core < f->st.n_cores) {
            load[f->buckets[i].core] += f->buckets[i].pps / CAP;
        }
    }
    for (size_t c = 0; c < f->st.n_cores; c++) {
        struct steer_core *core = &f->cores[c];

        core->load = load[c];
        core->cap_pps = CAP;
        core->pps = MIN(load[c], 1) * CAP;
        core->drops_pps = MAX(load[c] - 1, 0) * CAP;
        core->qfill = load[c] > 1 ? 1 : 0;
        core->latency_ns = load[c] > 1 ? 500e3 : 5e3;
    }
}

/* Carries out moves at once, and a tick passes. */
static inline void
fixture_move(struct fixture *f, const struct steer_move *moves, size_t n)
{
    for (size_t i = 0; i < f->st.n_buckets; i++) {
        f->buckets[i].ticks_since_move
            += f->buckets[i].ticks_since_move < UINT32_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(f->buckets[moves[i].bucket].core, moves[i].from);
        f->buckets[moves[i].bucket].core = moves[i].to;
        f->buckets[moves[i].bucket].ticks_since_move = 0;
    }
    f->st.tick++;
    fixture_settle(f);
}

static inline struct steer_policy *
policy_create(const char *name, const struct steer_config *config)
{
    struct steer_config defaults;
    char *error;

    if (!config) {
        steer_config_init(&defaults);
        config = &defaults;
    }
    struct steer_policy *p = steer_policy_create(name, config, &error);
    if (!p) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return p;
}

#endif /* test-steering-util.h */
