/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_HIST_H
#define EXTNIC_HIST_H 1

/* Log-linear histograms of the NIC model.
 *
 * Values below 2**EXTNIC_HIST_BITS have a slot of their own; above, every
 * power of two is split into 2**EXTNIC_HIST_BITS equal slots, so that a
 * quantile read from the middle of its slot is off by at most
 * 1 / 2**(EXTNIC_HIST_BITS + 1) of its value: 1.6 % with 5 bits.  A second,
 * coarse scale (3 bits, 6.3 %) keeps the history of each interval.
 *
 * Values are unsigned cycles; what exceeds the last slot counts in it.
 * Adding is a handful of instructions without a branch that data decides.
 *
 * Not thread safe: one writer per histogram.  Merge copies to read many. */

#include <stdint.h>
#include <stddef.h>

#define EXTNIC_HIST_BITS 5
#define EXTNIC_HIST_OCTAVES 38
#define EXTNIC_HIST_N ((EXTNIC_HIST_OCTAVES - EXTNIC_HIST_BITS + 1) \
                       << EXTNIC_HIST_BITS)

#define EXTNIC_WHIST_BITS 3
#define EXTNIC_WHIST_FIRST 6    /* Values below 2**(6 + 3) share slots. */
#define EXTNIC_WHIST_N 192

struct extnic_hist {
    uint64_t n[EXTNIC_HIST_N];
};

/* Slot of 'value' on a scale with 2**'bits' slots a power of two. */
static inline uint32_t
extnic_hist_slot__(uint64_t value, uint32_t bits, uint32_t n)
{
    uint32_t msb = 63 - __builtin_clzll(value | (UINT64_C(1) << bits));
    uint32_t shift = msb - bits;
    uint64_t slot = ((uint64_t) shift << bits) + (value >> shift);

    return slot < n ? slot : n - 1;
}

/* Middle of the values that 'slot' stands for. */
static inline double
extnic_hist_middle__(uint32_t slot, uint32_t bits)
{
    uint32_t shift = slot >> bits;

    if (shift <= 1) {
        return slot;
    }
    shift--;
    uint64_t low = (uint64_t) (slot - (shift << bits)) << shift;
    return low + ((UINT64_C(1) << shift) - 1) / 2.0;
}

static inline void
extnic_hist_add(struct extnic_hist *hist, uint64_t value)
{
    hist->n[extnic_hist_slot__(value, EXTNIC_HIST_BITS, EXTNIC_HIST_N)]++;
}

static inline void
extnic_hist_merge(struct extnic_hist *dst, const struct extnic_hist *src)
{
    for (size_t i = 0; i < EXTNIC_HIST_N; i++) {
        dst->n[i] += src->n[i];
    }
}

/* Value below which the fraction 'q' (0 to 1) of the samples lie, in cycles;
 * 0 without samples. */
static inline double
extnic_hist_quantile(const struct extnic_hist *hist, double q)
{
    uint64_t total = 0, sum = 0;

    for (size_t i = 0; i < EXTNIC_HIST_N; i++) {
        total += hist->n[i];
    }
    if (!total) {
        return 0;
    }
    uint64_t rank = q * total;
    rank = rank < total ? rank : total - 1;
    for (size_t i = 0; i < EXTNIC_HIST_N; i++) {
        sum += hist->n[i];
        if (sum > rank) {
            return extnic_hist_middle__(i, EXTNIC_HIST_BITS);
        }
    }
    return 0;
}

/* The coarse scale. */
static inline uint32_t
extnic_whist_slot(uint64_t value)
{
    return extnic_hist_slot__(value >> EXTNIC_WHIST_FIRST, EXTNIC_WHIST_BITS,
                              EXTNIC_WHIST_N);
}

static inline double
extnic_whist_quantile(const uint32_t n[EXTNIC_WHIST_N], double q)
{
    uint64_t total = 0, sum = 0;

    for (size_t i = 0; i < EXTNIC_WHIST_N; i++) {
        total += n[i];
    }
    if (!total) {
        return 0;
    }
    uint64_t rank = q * total;
    rank = rank < total ? rank : total - 1;
    for (size_t i = 0; i < EXTNIC_WHIST_N; i++) {
        sum += n[i];
        if (sum > rank) {
            return (extnic_hist_middle__(i, EXTNIC_WHIST_BITS) + 0.5)
                   * (1 << EXTNIC_WHIST_FIRST);
        }
    }
    return 0;
}

#endif /* extnic-hist.h */
