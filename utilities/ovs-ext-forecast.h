/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OVS_EXT_FORECAST_H
#define OVS_EXT_FORECAST_H 1

/* Parts of ovs-ext-forecast: series from text, made-up series, evaluation. */

#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/core/forecast.h"

/* Samples in order of time; NaN where one is missing. */
struct samples {
    double *v;
    size_t n, allocated;
};

void samples_add(struct samples *, double);
void samples_uninit(struct samples *);

/* A family of made-up series. */
struct family {
    const char *name;
    const char *what;
    size_t season, season2;     /* Known seasons, or 0. */
    void (*make)(struct samples *, size_t n, uint64_t seed);
};

/* Ends with an entry without a name. */
extern const struct family families[];
const struct family *family_find(const char *name);

/* How 'samples' are to be forecast and what to call them. */
struct evaluation {
    const char *series;
    const struct samples *samples;
    struct forecast_config config;      /* But for models and horizon. */
    const size_t *horizons;
    size_t n_horizons;
};

void evaluate(const struct evaluation *);

#endif /* ovs-ext-forecast.h */
