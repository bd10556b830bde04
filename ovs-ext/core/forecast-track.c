/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/core/forecast-track.h"

#include "util.h"

#define SCALE_WINDOW 100
#define GAIN_WINDOW 1000
#define STEP 0.04               /* Of quantile tracking, once under way. */
#define STEP_START 0.6          /* At the first errors. */

void
fc_gain_update(struct fc_gain *g, double gain)
{
    g->n = MIN(g->n + 1, GAIN_WINDOW);
    g->mean += (gain - g->mean) / g->n;
}

void
fc_interval_init(struct fc_interval *v, double coverage)
{
    /* Quantiles of Gaussian errors in units of their mean size: 2.06 for 0.9;
     * between 0.5 and 0.99 this is close enough to start from. */
    double q = 2.06 + 1.2 * (coverage - 0.9) / 0.09 * (coverage > 0.9)
               + 3.0 * (coverage - 0.9) * (coverage < 0.9);

    *v = (struct fc_interval) { .lo = -q, .hi = q };
}

/* Tracks one quantile: if a share 'beyond' of errors is to be outside, a step
 * of 1 - 'beyond' out for each outside and of 'beyond' in for each inside
 * balance. */
static float
track(float quantile, bool outside, double beyond, double step)
{
    quantile += step * ((outside ? 1 : 0) - beyond);
    return MAX(0, MIN(quantile, 50));
}

/* Takes into account that a forecast was 'error' too low. */
void
fc_interval_update(struct fc_interval *v, double error, double coverage)
{
    double beyond = (1 - coverage) / 2;
    double step = MAX(STEP, STEP_START / (1 + v->n / 8));

    if (v->scale > 0) {
        double z = error / v->scale;

        v->hi = track(v->hi, z > v->hi, beyond, step);
        v->lo = -track(-v->lo, z < v->lo, beyond, step);
    }

    v->n = MIN(v->n + 1, 1e6);
    v->scale += (fabs(error) - v->scale) / MIN(v->n, SCALE_WINDOW);
}
