/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_RNG_H
#define EXTNIC_RNG_H 1

/* Random numbers of the NIC model: SplitMix64 (Steele, Lea, Flood, "Fast
 * splittable pseudorandom number generators", 2014).  The driver is loaded
 * into daemons that have none of our libraries, hence an own one.  The same
 * seed gives the same traffic on every machine.  Not thread safe. */

#include <math.h>
#include <stdint.h>

struct extnic_rng {
    uint64_t state;
};

static inline uint64_t
extnic_rng_next(struct extnic_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double
extnic_rng_double(struct extnic_rng *rng)
{
    return (extnic_rng_next(rng) >> 11) * 0x1.0p-53;
}

/* Uniform in [0, n). */
static inline uint32_t
extnic_rng_below(struct extnic_rng *rng, uint32_t n)
{
    return ((extnic_rng_next(rng) >> 32) * n) >> 32;
}

/* Standard normal (Box and Muller). */
static inline double
extnic_rng_normal(struct extnic_rng *rng)
{
    double u = 1.0 - extnic_rng_double(rng);
    double v = extnic_rng_double(rng);

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

#endif /* extnic-rng.h */
