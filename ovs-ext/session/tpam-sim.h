/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TPAM_SIM_H
#define TPAM_SIM_H 1

/* Simulated fleets, to judge predictions of migrations
 * ====================================================
 *
 * Hosts with groups of sessions, whose loads wander; latency grows as that of
 * a queue.  An orchestrator that knows nothing of predictions moves the
 * largest group that fits off a host that has been over its limits for 15 s,
 * to the host with the least load, until there is room again; and empties
 * hosts that drain.
 *
 * rolling-drain    host after host is announced as draining and emptied
 * hot-host         some groups of a host grow for a while
 * diurnal          loads follow a day of ten minutes, hosts at their own hours
 * noisy-neighbour  somebody else on a host takes its CPU, or its caches, which
 *                  only latency shows
 *
 * Predictions are made by a policy: "tpam" (tpam.h), "everything" (each group,
 * always) or "overload-only" (each group of a host that is over its limits
 * now), the latter two with the least loaded hosts as targets.  A hint
 * prepares a template for each target and is good for a minute; a longer one
 * counts again.  It is right if its group migrates to one of its targets while
 * it stands, and is wasted otherwise.  A migration is foreseen if a right hint
 * stood at least a second before.
 *
 * Pure; equal arguments give equal results. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/tpam.h"

enum tpam_scenario {
    TPAM_ROLLING_DRAIN,
    TPAM_HOT_HOST,
    TPAM_DIURNAL,
    TPAM_NOISY_NEIGHBOUR,
    TPAM_N_SCENARIOS
};

enum tpam_policy {
    TPAM_POLICY_TPAM,
    TPAM_POLICY_EVERYTHING,
    TPAM_POLICY_OVERLOAD,
    TPAM_N_POLICIES
};

struct tpam_outcome {
    uint64_t migrations, foreseen;
    uint64_t hints, right;
    uint64_t templates, wasted;
    double leads[4096];         /* Seconds, of right hints. */
    size_t n_leads;
};

/* Told of every group and second, with what came. */
typedef void tpam_sample_func(const double x[TPAM_N_FEATURES], bool migrated,
                              void *aux);

void tpam_sim_config(enum tpam_scenario, struct tpam_config *);
void tpam_simulate(enum tpam_scenario, uint64_t seed, enum tpam_policy,
                   const struct tpam_config *, struct tpam_outcome *,
                   tpam_sample_func *, void *aux);
const char *tpam_scenario_name(enum tpam_scenario);
const char *tpam_policy_name(enum tpam_policy);

#endif /* tpam-sim.h */
