/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-guard.h"

#include <math.h>
#include <string.h>

#include "util.h"

void
guard_init(struct guard *g)
{
    memset(g, 0, sizeof *g);
    g->holdoff = GUARD_HOLDOFF_MIN;
}

static void
guard_enter(struct guard *g, enum guard_cause cause, uint64_t ticks)
{
    g->cause = cause;
    g->left = ticks;
    g->n_entered++;
    g->before = g->reward;
    g->held_sum = 0;
    g->held_n = 0;
    g->bad = 0;
    g->ood = 0;
}

static void
guard_leave(struct guard *g)
{
    if (g->cause == GUARD_WORSE && g->held_n) {
        double held = g->held_sum / g->held_n;

        if (held > g->before + GUARD_MARGIN / 2) {
            g->holdoff = MIN(g->holdoff * 2, GUARD_HOLDOFF_MAX);
        } else {
            g->holdoff = GUARD_HOLDOFF_MIN;
        }
    }
    g->cause = GUARD_NONE;
    g->n_rl = 0;
}

static void
guard_learn_bias(struct guard *g, double realised, double expected)
{
    double e = realised - expected;
    double alpha = MAX(GUARD_ALPHA / 2, 1.0 / (g->n_bias + 1));

    g->bias += alpha * (e - g->bias);
    g->error += alpha * (fabs(e - g->bias) - g->error);
    g->n_bias += g->n_bias < UINT32_MAX;
}

void
guard_outcome(struct guard *g, double realised, double expected,
              bool by_rsspp)
{
    if (!isfinite(realised) || !isfinite(expected)) {
        return;
    }
    if (by_rsspp) {
        guard_learn_bias(g, realised, expected);
    }
    if (g->cause != GUARD_NONE) {
        g->held_sum += realised;
        g->held_n++;
        return;
    }

    double base = expected + g->bias;
    if (!g->n_rl) {
        g->reward = realised;
        g->baseline = base;
    } else {
        g->reward += GUARD_ALPHA * (realised - g->reward);
        g->baseline += GUARD_ALPHA * (base - g->baseline);
    }
    g->n_rl += g->n_rl < UINT32_MAX;

    double margin = (g->n_bias < GUARD_MIN_BIAS ? GUARD_MARGIN_BLIND
                     : GUARD_MARGIN + 2 * g->error);
    if (g->n_rl > GUARD_WARMUP && g->reward < g->baseline - margin) {
        g->bad++;
    } else {
        g->bad = 0;
    }
    if (g->bad >= GUARD_PATIENCE) {
        guard_enter(g, GUARD_WORSE, g->holdoff);
    }
}

enum guard_cause
guard_decide(struct guard *g, bool ood)
{
    if (g->cause != GUARD_NONE) {
        if (g->left) {
            g->left--;
            return g->cause;
        }
        guard_leave(g);
    }
    if (!ood) {
        g->ood = 0;
        return GUARD_NONE;
    }
    if (++g->ood >= GUARD_OOD_TICKS) {
        guard_enter(g, GUARD_OOD, GUARD_OOD_HOLDOFF);
    }
    return GUARD_OOD;
}
