/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SIM_RUN_H
#define SIM_RUN_H 1

/* One episode: a policy steers the simulated switch for a while. */

#include "ovs-ext/steering/sim-switch.h"
#include "ovs-ext/steering/steer-dump.h"

/* Imbalance is measured over windows of this length, seconds. */
#define SIM_WINDOW_S 0.1

struct sim_result {
    double reward;              /* Mean of steer_reward() over ticks. */
    double loss;                /* Dropped / offered. */
    double p50_us, p95_us, p99_us;
    double imbalance;           /* Mean over windows of (max - min) / mean of
                                 * the load offered to the cores. */
    double imbalance_floor;     /* The same for the least that the largest
                                 * bucket permits: max(0, largest bucket /
                                 * mean load - 1).  0 if it fits. */
    double moves_per_s;
    uint64_t moves;
    struct steer_rl_status rl;
};

/* Runs 'policy' on 'traffic' (of which it takes ownership).  Moves a tick are
 * limited to 'max_moves'.  If 'dump' is nonnull, decisions are written to
 * it. */
void sim_run(const struct sim_params *, struct sim_traffic *traffic,
             struct steer_policy *policy, const struct steer_weights *,
             size_t max_moves, struct steer_dump *dump, struct sim_result *);

#endif /* sim-run.h */
