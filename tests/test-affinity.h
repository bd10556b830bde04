/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_AFFINITY_H
#define TEST_AFFINITY_H 1

/* Hosts made by hand, for test-affinity. */

#include "ovs-ext/affinity/aff-learn.h"
#include "ovs-ext/affinity/aff.h"
#include "ovs-ext/core/ext-rng.h"
#include "tests/test-steering-util.h"

#define CAPACITY 1e6            /* Packets/s of resources made here. */

static const struct aff_config defaults = AFF_CONFIG_DEFAULT;

/* Adds or changes a resource without load, kind by the name. */
static inline int
set_resource(struct aff_host *h, const char *name, enum hrm_state state,
             double utilization, double latency_us)
{
    struct aff_resource r = {
        .name = name, .state = state, .numa = 0, .capacity = CAPACITY,
        .unit = "packets/s", .steerable = true, .kind = HRM_N_KINDS,
        .m = { .utilization = utilization,
               .forecast_utilization = utilization,
               .latency_us = latency_us },
    };

    for (int kind = 0; kind < HRM_N_KINDS; kind++) {
        const char *prefix = hrm_kind_prefix(kind);

        if (!strncmp(name, prefix, strlen(prefix))
            && name[strlen(prefix)] == '/') {
            r.kind = kind;
        }
    }
    if (r.kind == HRM_FLOW_TABLE) {
        r.unit = "entries";
        r.capacity = 1000;
    }
    return aff_host_set_resource(h, &r);
}

/* Adds or changes a profile of 'share' of a resource. */
static inline int
set_profile(struct aff_host *h, const char *network, enum tp_class class,
            double share)
{
    const struct aff_profile p = {
        .network = network, .class = class, .pps = share * CAPACITY,
        .bps = share * CAPACITY * 8 * 500, .packet_size = 500,
        .burstiness = 1, .flows = 10, .elephant_share = 0.5,
    };

    return aff_host_set_profile(h, &p);
}

/* Plans with the defaults; the host applies it at once. */
static inline struct aff_result
plan(struct aff_host *h, const struct aff_config *config,
     struct aff_learner *learner, long long int now)
{
    struct aff_result result;

    if (learner) {
        aff_learner_solve(learner);
    }
    aff_plan(h, config ? config : &defaults, learner, now, &result);
    AFF_PROFILE_FOR_EACH (slot, h) {
        aff_profile_set_applied(h, slot, true);
    }
    return result;
}

static inline const char *
where(const struct aff_host *h, int profile)
{
    return aff_resource_name(h, aff_profile_decision(h, profile)->resource);
}

#define CHECK_AT(HOST, PROFILE, NAME)                                   \
    do {                                                                \
        if (strcmp(where(HOST, PROFILE), NAME)) {                       \
            fprintf(stderr, "%s:%d: %s is at \"%s\", not \"%s\" (%s)\n", \
                    __FILE__, __LINE__, #PROFILE, where(HOST, PROFILE), \
                    NAME, aff_profile_decision(HOST, PROFILE)->reason); \
            exit(1);                                                    \
        }                                                               \
    } while (0)

/* test-affinity-change.c */
void test_loss(void);
void test_flapping(void);
void test_flapping_rhythm(void);
void test_present(void);

/* test-affinity-learn.c */
void test_learner(void);
void test_shrink(void);
void test_text(void);
void test_fuzz(void);
void test_reward(void);
void test_report(void);
void test_bandit(void);
void test_never_pinned(void);
void test_explore_off(void);
void test_explore_bounds(void);

#endif /* test-affinity.h */
