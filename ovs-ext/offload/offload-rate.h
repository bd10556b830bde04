/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_RATE_H
#define OFFLOAD_RATE_H 1

/* Packet rate of one flow, for the next seconds
 * =============================================
 *
 * Made for a hundred thousand flows at once: 12 bytes and some 10 ns each.
 *
 * The forecast is the mean rate over what has been observed, forgotten
 * exponentially after OFFLOAD_RATE_MEMORY seconds.  Counts of packets are
 * taken as Poisson distributed: where a new count contradicts the mean (by
 * OFFLOAD_RATE_JUMP standard deviations) the flow has changed, and the mean
 * begins anew with that count.  So a steady flow is known well, and one that
 * starts or ends is known at once.
 *
 * How well is what 'seen' says, seconds of observation: the variance of the
 * mean is (rate + 1/seen) / seen. */

#include <math.h>

#define OFFLOAD_RATE_MEMORY 16.0f
#define OFFLOAD_RATE_JUMP 4.0f

struct offload_rate {
    float mean;                 /* Packets a second. */
    float seen;                 /* Seconds of observation behind it. */
};

/* Forgets all but 'n' packets in 'dt' > 0 seconds. */
static inline void
offload_rate_restart(struct offload_rate *r, float n, float dt)
{
    r->mean = n / dt;
    r->seen = dt;
}

/* Takes in 'n' packets in 'dt' > 0 seconds.  Returns the square of how many
 * standard deviations that is off, 1 on average for a steady flow; 0 if
 * nothing was known. */
static inline float
offload_rate_update(struct offload_rate *r, float n, float dt)
{
    float expected = r->mean * dt;
    float off = n - expected;
    float var, off2;

    if (!(r->seen > 0)) {
        offload_rate_restart(r, n, dt);
        return 0;
    }
    var = (expected + dt / r->seen) * (1 + dt / r->seen);
    off2 = off * off;
    if (off2 > OFFLOAD_RATE_JUMP * OFFLOAD_RATE_JUMP * (var + 1)) {
        offload_rate_restart(r, n, dt);
    } else {
        float seen = fminf(r->seen, OFFLOAD_RATE_MEMORY);

        r->mean = (r->mean * seen + n) / (seen + dt);
        r->seen = seen + dt;
    }
    return off2 / var;
}

/* Standard deviation of 'mean' as an estimate. */
static inline float
offload_rate_error(const struct offload_rate *r)
{
    return r->seen > 0 ? sqrtf((r->mean + 1 / r->seen) / r->seen) : INFINITY;
}

#endif /* offload-rate.h */
