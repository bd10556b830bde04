/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_EWMA_H
#define EXT_EWMA_H 1

/* Streaming predictors
 * ====================
 *
 * 'struct ext_holt' is Holt's double exponential smoothing with a damped
 * trend: 16 bytes of state and a dozen flops a sample, for the many small
 * series (a packet rate for each bucket) that are sampled once a tick.
 *
 * The level follows a step at once where the step exceeds what counting noise
 * explains: packets that arrive at random vary by the square root of their
 * number, so a deviation of more than 'STEP_SIGMA' such square roots is taken
 * as a change of traffic rather than noise and is followed with a gain near 1.
 * Smaller ones are smoothed.  (A Kalman filter with an innovation gate does
 * the same; this is its fixed-gain form.)
 *
 * 'struct ext_ewma' is the plain exponentially weighted mean.
 *
 * Pure; a series belongs to one thread at a time. */

#include <math.h>
#include <stdbool.h>

struct ext_ewma {
    float value;
    bool primed;                /* False: no sample yet. */
};

/* Adds 'x' with weight 'alpha' (0...1] and returns the new mean. */
static inline double
ext_ewma_update(struct ext_ewma *e, double x, double alpha)
{
    if (!e->primed) {
        e->primed = true;
        e->value = x;
    } else {
        e->value += alpha * (x - e->value);
    }
    return e->value;
}

struct ext_holt {
    float level;                /* Smoothed value. */
    float trend;                /* Change per sample, damped. */
    float dev;                  /* Mean absolute deviation of samples. */
    bool primed;                /* False: no sample yet. */
};

#define EXT_HOLT_ALPHA 0.25     /* Gain on noise. */
#define EXT_HOLT_BETA 0.10      /* Gain of the trend. */
#define EXT_HOLT_DAMP 0.80      /* Damping of the trend per sample. */
#define EXT_HOLT_STEP_SIGMA 4.0 /* Deviations that make a step. */

/* Adds sample 'x' (>= 0; for example packets/s) of which one unit of count is
 * worth 'unit' (1 / seconds per sample for packets/s; 0 where 'x' is no rate
 * of counted things).  Returns the prediction for the next sample, >= 0. */
static inline double
ext_holt_update(struct ext_holt *h, double x, double unit)
{
    if (!h->primed) {
        h->primed = true;
        h->level = x;
        h->trend = 0;
        h->dev = sqrt(x * unit);
        return x;
    }

    double err = x - (h->level + EXT_HOLT_DAMP * h->trend);
    double shot = sqrt((h->level > 0 ? h->level : 0) * unit) + unit;
    double sigma = h->dev > shot ? h->dev : shot;
    double z = fabs(err) / (EXT_HOLT_STEP_SIGMA * sigma + 1e-9);
    double gain = EXT_HOLT_ALPHA;

    if (z > 1) {
        gain += (1 - EXT_HOLT_ALPHA) * (z < 2 ? z - 1 : 1);
    }

    double old = h->level;
    h->level += EXT_HOLT_DAMP * h->trend + gain * err;
    if (h->level < 0) {
        h->level = 0;
    }
    if (z > 1) {
        h->trend = 0;           /* A step tells nothing about the trend. */
    } else {
        h->trend = ((1 - EXT_HOLT_BETA) * EXT_HOLT_DAMP * h->trend
                    + EXT_HOLT_BETA * (h->level - old));
    }

    double limit = 3 * sigma;   /* A step must not inflate the deviation. */
    double a = fabs(err) < limit ? fabs(err) : limit;
    h->dev += 0.1 * (a - h->dev);

    double pred = h->level + EXT_HOLT_DAMP * h->trend;
    return pred > 0 ? pred : 0;
}

#endif /* ext-ewma.h */
