/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/sim-run.h"

#include <math.h>
#include <string.h>

#include "util.h"

#define SIM_MAX_MOVES 256

struct window {
    double load[STEER_MAX_CORES];
    double largest;             /* Load of the largest bucket. */
    size_t n;                   /* Ticks. */
    double imbalance, floor;    /* Sums over windows. */
    size_t n_windows;
};

static void
window_add(struct window *w, const struct sim_switch *sw,
           const struct steer_state *st, double core_pps, size_t ticks)
{
    const double *demand = sim_switch_demand(sw);
    double largest = 0;

    for (size_t c = 0; c < st->n_cores; c++) {
        w->load[c] += demand[c];
    }
    for (size_t b = 0; b < st->n_buckets; b++) {
        largest = MAX(largest, st->buckets[b].pps);
    }
    w->largest += largest / core_pps;
    if (++w->n < ticks) {
        return;
    }

    double lo = HUGE_VAL, hi = 0, sum = 0;
    for (size_t c = 0; c < st->n_cores; c++) {
        lo = MIN(lo, w->load[c]);
        hi = MAX(hi, w->load[c]);
        sum += w->load[c];
        w->load[c] = 0;
    }
    double mean = sum / st->n_cores;
    if (mean > 0) {
        w->imbalance += (hi - lo) / mean;
        w->floor += MAX(0, w->largest / mean - 1);
        w->n_windows++;
    }
    w->largest = 0;
    w->n = 0;
}

static double
max_load(const struct steer_state *st)
{
    double load = 0;

    for (size_t c = 0; c < st->n_cores; c++) {
        load = MAX(load, st->cores[c].load);
    }
    return load;
}

void
sim_run(const struct sim_params *p, struct sim_traffic *traffic,
        struct steer_policy *policy, const struct steer_weights *weights,
        size_t max_moves, struct steer_dump *dump, struct sim_result *r)
{
    struct sim_switch *sw = sim_switch_create(p, traffic);
    size_t ticks = p->duration_s / p->tick_s + 0.5;
    size_t warmup = p->warmup_s / p->tick_s + 0.5;
    size_t per_window = MAX(1, SIM_WINDOW_S / p->tick_s + 0.5);
    struct window w = { .n = 0 };
    struct steer_move moves[SIM_MAX_MOVES];
    size_t n = 0, judged = 0;

    memset(r, 0, sizeof *r);
    max_moves = MIN(max_moves, SIM_MAX_MOVES);
    for (size_t i = 0; i < ticks; i++) {
        const struct steer_state *st = sim_switch_tick(sw);
        struct steer_reward_terms terms;
        double reward = steer_reward(weights, st, n, &terms);

        if (i == warmup && warmup) {
            sim_switch_clear(sw);
        }
        if (i >= warmup) {
            r->reward += reward;
            judged++;
            window_add(&w, sw, st, sim_core_pps(p), per_window);
        }
        n = (max_load(st) >= p->idle_load
             ? steer_policy_decide(policy, st, moves, max_moves) : 0);
        if (dump) {
            steer_dump_write(dump, st, moves, n, reward, &terms,
                             steer_policy_explain(policy));
        }
        sim_switch_move(sw, moves, n);
    }

    struct sim_totals t;
    sim_switch_get_totals(sw, &t);
    r->reward /= MAX(judged, 1);
    r->loss = t.offered > 0 ? t.dropped / t.offered : 0;
    r->p50_us = t.p50_us;
    r->p95_us = t.p95_us;
    r->p99_us = t.p99_us;
    r->moves = t.moves;
    r->moves_per_s = t.moves / MAX(judged * p->tick_s, 1e-9);
    if (w.n_windows) {
        r->imbalance = w.imbalance / w.n_windows;
        r->imbalance_floor = w.floor / w.n_windows;
    }
    steer_policy_get_rl_status(policy, &r->rl);
    sim_switch_destroy(sw);
}
