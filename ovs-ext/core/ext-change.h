/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_CHANGE_H
#define EXT_CHANGE_H 1

/* Change detection: Page-Hinkley
 * ==============================
 *
 * Two-sided Page-Hinkley test (E. S. Page, "Continuous inspection schemes",
 * Biometrika 41, 1954; D. V. Hinkley, 1971): sums deviations of the samples
 * from their running mean, less a tolerance 'delta', and signals a change when
 * a sum has risen more than 'lambda' above its lowest value so far.  In units
 * of the standard deviation of the samples, 'delta' of 0.5 and 'lambda' of 20
 * find a shift of the mean by 3 deviations in about 8 samples; a false alarm
 * on independent Gaussian samples comes less than once in 10^9.
 *
 * After an alarm the test starts anew, with the new mean.
 *
 * Pure; a detector belongs to one thread at a time. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct ext_change {
    float delta;                /* Tolerance, in units of the samples. */
    float lambda;               /* Threshold, in the same units. */
    float mean;                 /* Of the samples since the last alarm. */
    float up, down;             /* Sums less their lowest value, >= 0. */
    uint32_t n;                 /* Samples since the last alarm. */
};

#define EXT_CHANGE_DELTA 0.5
#define EXT_CHANGE_LAMBDA 20.0
#define EXT_CHANGE_MEMORY 256   /* Samples that the running mean remembers. */

static inline void
ext_change_init(struct ext_change *c, double delta, double lambda)
{
    *c = (struct ext_change) { .delta = delta, .lambda = lambda };
}

/* Adds 'x'.  Returns true if that makes a change; samples that are not finite
 * are left out. */
static inline bool
ext_change_update(struct ext_change *c, double x)
{
    if (!isfinite(x)) {
        return false;
    }
    if (c->n < EXT_CHANGE_MEMORY) {
        c->n++;
    }
    c->mean += (x - c->mean) / c->n;
    c->up = fmax(0, c->up + (x - c->mean) - c->delta);
    c->down = fmax(0, c->down - (x - c->mean) - c->delta);
    if (c->up > c->lambda || c->down > c->lambda) {
        ext_change_init(c, c->delta, c->lambda);
        return true;
    }
    return false;
}

#endif /* ext-change.h */
