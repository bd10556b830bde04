/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef FORECAST_TRACK_H
#define FORECAST_TRACK_H 1

/* What a forecast knows of its own past: errors of its models at some
 * horizons, and how large the errors are of what it said.
 *
 * Not every horizon is followed but 1, 3, 9..., and the farthest: short ones
 * and long ones have different models, those in between are alike. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_MAX_TRACKED 6

/* Rolling mean of absolute errors. */
struct fc_score {
    float mae;
    float n;                    /* Weight: samples that 'mae' stands for. */
};

static inline void
fc_score_update(struct fc_score *s, double error, double window)
{
    s->n = s->n + 1 < window ? s->n + 1 : window;
    s->mae += (fabs(error) - s->mae) / s->n;
}

/* Mean of how much smaller errors were than those of the naive forecast of the
 * same samples, in the long run. */
struct fc_gain {
    float mean;
    float n;
};

void fc_gain_update(struct fc_gain *, double gain);

/* Bounds of the errors of one horizon: quantiles of errors divided by their
 * rolling mean size. */
struct fc_interval {
    float scale;                /* Rolling mean |error|. */
    float lo, hi;               /* Quantiles, 'lo' <= 0 <= 'hi'. */
    float n;
};

void fc_interval_init(struct fc_interval *, double coverage);
void fc_interval_update(struct fc_interval *, double error, double coverage);

#endif /* forecast-track.h */
