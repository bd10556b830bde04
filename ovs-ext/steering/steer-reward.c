/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-policy.h"

#include <math.h>

#include "util.h"

/* Mean latency that costs half of the latency term, ns. */
#define LATENCY_HALF_NS 100e3

/* Variance of load / mean^2 that costs half of the balance term. */
#define BALANCE_HALF 0.01

double
steer_reward(const struct steer_weights *w, const struct steer_state *st,
             size_t n_moves, struct steer_reward_terms *terms)
{
    struct steer_reward_terms t;
    double handled = 0, missed = 0, sojourn = 0, timed = 0;
    double sum = 0, sum2 = 0;
    size_t n = 0;

    for (size_t i = 0; i < st->n_cores; i++) {
        const struct steer_core *c = &st->cores[i];

        if (c->isolated || !(c->load >= 0) || !(c->pps >= 0)) {
            continue;
        }
        handled += c->pps;
        missed += c->drops_pps > 0 ? c->drops_pps : 0;
        if (c->latency_ns > 0) {
            sojourn += c->pps * c->latency_ns;
            timed += c->pps;
        }
        sum += c->load;
        sum2 += c->load * c->load;
        n++;
    }

    t.throughput = handled + missed > 0 ? handled / (handled + missed) : 1;

    double lat = timed > 0 ? sojourn / timed : 0;
    t.latency = lat / (lat + LATENCY_HALF_NS);

    t.balance = 1;
    if (n > 1 && sum > 1e-6) {
        double mean = sum / n;
        double cv2 = sum2 / n / (mean * mean) - 1;

        /* The variance of idle cores matters little: nobody waits. */
        cv2 = MAX(cv2, 0) * MIN(mean, 1);
        t.balance = BALANCE_HALF / (BALANCE_HALF + cv2);
    }

    t.switching = n ? MIN(1.0, (double) n_moves / n) : 0;

    if (terms) {
        *terms = t;
    }
    return (w->throughput * t.throughput - w->latency * t.latency
            + w->balance * t.balance - w->switching * t.switching);
}

double
steer_imbalance(const struct steer_state *st)
{
    double lo = HUGE_VAL, hi = 0, sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < st->n_cores; i++) {
        const struct steer_core *c = &st->cores[i];

        if (!c->isolated && c->load >= 0) {
            lo = MIN(lo, c->load);
            hi = MAX(hi, c->load);
            sum += c->load;
            n++;
        }
    }
    return n && sum > 1e-9 ? (hi - lo) / (sum / n) : 0;
}
