/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef FORECAST_H
#define FORECAST_H 1

/* Forecasts of time series
 * ========================
 *
 * A 'struct forecast' follows one series of samples, taken at a constant rate,
 * and says at any time what it expects 1...'horizon' samples ahead, with an
 * interval that should hold 90 % of what then comes.
 *
 *     struct forecast_config config;
 *     forecast_config_init(&config);
 *     config.horizon = 5;
 *     config.min = 0;                          // A utilization.
 *     config.max = 1;
 *     struct forecast *f = forecast_create(&config, NULL);
 *
 *     forecast_update(f, sample);              // Each 100 ms.
 *     forecast_refit(f, fit);                  // Then, or in idle time.
 *     if (forecast_get(f, 5, &v) && v.hi > 0.9) { ... }
 *
 * Several models run side by side:
 *
 * last-value      what came last, comes next
 * seasonal-naive  what came a season ago, comes next
 * ewma            exponentially weighted mean, best of five weights
 * holt            level and damped trend, best of six settings
 * holt-winters    level, trend, one or two additive seasons, and an
 *                 autoregressive error (Taylor 2010), best of four settings
 * ar              regression on lags and seasonal lags, by least squares
 * arima           differenced, with lagged innovations and seasonal ones, by
 *                 extended least squares (Hannan and Rissanen 1982)
 * nlms            adaptive linear filter (normalised least mean squares)
 * mlp             a network with 8 hidden units, trained on line
 * harmonic        regression on cleaned lags and on the waves of the seasons,
 *                 over nearly all that was seen, by least squares (dynamic
 *                 harmonic regression, Young et al. 1999)
 * states          the median of what followed values like the last one
 * mix             mean of the others, weighted by their rolling error
 *
 * and the one with the smallest rolling absolute error is in force, apart for
 * short and long horizons, and with hysteresis.  One that has not been better
 * than the naive forecast by more than chance explains, in the long run or
 * clearly so of late, is not chosen instead of it: what cannot be predicted,
 * as a random walk, gets last-value.  Each model is scored on what it said
 * before it saw the sample.  A model is among the candidates from the start
 * and says the same as last-value until it can do better.
 *
 * Intervals are quantiles of the past errors of what was in force at the same
 * horizon, relative to their running mean size, tracked on line (Gibbs and
 * Candes, "Adaptive conformal inference", 2021), so coverage is right in the
 * long run whatever the distribution of errors.
 *
 * Properties and limits
 * ---------------------
 *
 * update          no allocation, no system call, bounded time: with all models
 *                 0.8 us for a horizon of 1, 1.5 for 6, 5 for 24 (medians of
 *                 './quickstart bench forecast'), most of it for mlp; with
 *                 FORECAST_LIGHT 0.2 to 0.3 us for 1, 0.6 to 0.9 for 24
 * memory          fixed by the configuration, one block, see forecast_size():
 *                 horizon 5 without a season 8 kB, FORECAST_LIGHT 3.3 kB; with
 *                 a season of 24 11 and 4.5 kB, of 288 20 and 11 kB
 * least squares   in forecast_refit() only, 0.05 to 0.3 ms, due every 30 to 70
 *                 samples; without it ar, arima and harmonic say what
 *                 last-value says
 * samples         |x| <= 1e30; NaN, infinite and larger ones count as missing:
 *                 time goes on, what was expected takes their place.  So does
 *                 one 1e9 times larger than all before (a counter wrapped),
 *                 up to 8 in a row
 * season          up to FORECAST_MAX_SEASON samples; two seasons (a day and a
 *                 week) are possible
 *
 * Thread safety: none; a forecast belongs to one thread at a time, a 'struct
 * forecast_fit' likewise, and may serve all forecasts of its thread.  Time is
 * the number of updates, randomness comes from the seed: equal input gives
 * equal output. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forecast;
struct forecast_fit;

enum forecast_model {
    FORECAST_LAST_VALUE,
    FORECAST_SEASONAL_NAIVE,
    FORECAST_EWMA,
    FORECAST_HOLT,
    FORECAST_HOLT_WINTERS,
    FORECAST_AR,
    FORECAST_ARIMA,
    FORECAST_NLMS,
    FORECAST_MLP,
    FORECAST_HARMONIC,
    FORECAST_STATES,
    FORECAST_MIX,
    FORECAST_N_MODELS
};

/* Sets of models, as bits. */
#define FORECAST_BIT(MODEL) (1u << (MODEL))
#define FORECAST_ALL ((1u << FORECAST_N_MODELS) - 1)
/* Those that need neither forecast_refit() nor much time or memory, for
 * hundreds of series. */
#define FORECAST_LIGHT                                              \
    (FORECAST_BIT(FORECAST_LAST_VALUE)                              \
     | FORECAST_BIT(FORECAST_SEASONAL_NAIVE)                        \
     | FORECAST_BIT(FORECAST_EWMA)                                  \
     | FORECAST_BIT(FORECAST_HOLT)                                  \
     | FORECAST_BIT(FORECAST_HOLT_WINTERS)                          \
     | FORECAST_BIT(FORECAST_MIX))

#define FORECAST_MAX_SEASON 2048
#define FORECAST_MAX_HORIZON 512
#define FORECAST_MAX_HISTORY 16384
#define FORECAST_MAX_VALUE 1e30

struct forecast_config {
    size_t season;              /* Samples a season, 0: none, else >= 2. */
    size_t season2;             /* Samples a longer season, 0: none. */
    size_t horizon;             /* Farthest forecast, in samples, >= 1. */
    uint32_t models;            /* Candidates; seasonal ones are left out
                                 * where 'season' is 0. */
    double min, max;            /* Bounds of forecasts and intervals, where the
                                 * series has such (may be infinite). */
    double coverage;            /* Share of samples that the interval should
                                 * hold, 0.5...0.99. */
    size_t history;             /* Samples kept for least squares; 0: as many
                                 * as suit the seasons. */
    uint64_t seed;              /* Of everything random. */
};

/* A forecast. */
struct forecast_value {
    double mean;                /* Expected. */
    double lo, hi;              /* Interval, lo <= mean <= hi. */
    enum forecast_model model;  /* Which model said so. */
};

void forecast_config_init(struct forecast_config *);
bool forecast_config_check(const struct forecast_config *, char **errorp);

struct forecast *forecast_create(const struct forecast_config *,
                                 char **errorp);
void forecast_destroy(struct forecast *);
void forecast_reset(struct forecast *);
size_t forecast_size(const struct forecast *);

void forecast_update(struct forecast *, double value);
bool forecast_get(const struct forecast *, size_t horizon,
                  struct forecast_value *);
bool forecast_get_model(const struct forecast *, enum forecast_model,
                        size_t horizon, double *mean);

/* What a forecast says about itself. */
bool forecast_changed(const struct forecast *);
uint64_t forecast_n_changes(const struct forecast *);
uint64_t forecast_n_samples(const struct forecast *);
uint64_t forecast_n_missing(const struct forecast *);
double forecast_mase(const struct forecast *);

const char *forecast_model_name(enum forecast_model);
bool forecast_model_from_name(const char *name, enum forecast_model *);

/* Least squares. */
struct forecast_fit *forecast_fit_create(void);
void forecast_fit_destroy(struct forecast_fit *);
bool forecast_refit(struct forecast *, struct forecast_fit *);

/* Looking at a series as a whole, once. */
size_t forecast_guess_season(const double *values, size_t n, size_t max);

#endif /* forecast.h */
