/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_SERIES_H
#define EXT_SERIES_H 1

/* Ring of the last samples of a time series
 * =========================================
 *
 * The memory belongs to the caller, who has it in the same block as the rest
 * of its state: adding a sample allocates nothing.  Samples are of type
 * 'float'; a series with a large constant part (bytes since the start) is to
 * be taken relative to it, as forecast.c does.
 *
 * Pure; a series belongs to one thread at a time. */

#include <stddef.h>
#include <stdint.h>

struct ext_series {
    float *ring;                /* Samples, not in order of time. */
    size_t size;                /* Room in 'ring'. */
    size_t head;                /* Where the next sample goes. */
    size_t n;                   /* Samples in 'ring', <= 'size'. */
};

static inline void
ext_series_init(struct ext_series *s, float *ring, size_t size)
{
    s->ring = ring;
    s->size = size;
    s->head = 0;
    s->n = 0;
}

/* Adds 'x', in place of the oldest sample if there is no room. */
static inline void
ext_series_push(struct ext_series *s, float x)
{
    s->ring[s->head] = x;
    s->head = s->head + 1 < s->size ? s->head + 1 : 0;
    s->n += s->n < s->size;
}

/* The sample 'age' samples before the latest; 'age' < 's->n'. */
static inline float
ext_series_get(const struct ext_series *s, size_t age)
{
    size_t i = s->head + s->size - 1 - age;

    return s->ring[i < s->size ? i : i - s->size];
}

#endif /* ext-series.h */
