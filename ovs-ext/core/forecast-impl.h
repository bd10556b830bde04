/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef FORECAST_IMPL_H
#define FORECAST_IMPL_H 1

/* Inside the forecasters
 * ======================
 *
 * A model is a 'struct fc_class' and a piece of memory of its own.  What all
 * models look at, the history and the features made from it, is in 'struct
 * fc_env'.  Values are relative to the first sample of the series
 * ('forecast.offset'), so that 'float' is precise enough.
 *
 * The order within an update: every model is given the sample, while 'env' is
 * still as it was when the model made its forecast; then the sample goes into
 * 'env'; then every model makes its next forecast. */

#include <math.h>

#include "ovs-ext/core/ext-change.h"
#include "ovs-ext/core/ext-series.h"
#include "ovs-ext/core/forecast.h"

#define FC_N_SEASONS 2

/* Features for regression of the next sample's difference from the last one:
 * differences between two lags. */
#define FC_MAX_FEATURES 16
#define FC_N_LAGS 5             /* Differences of neighbours. */

struct fc_env {
    struct ext_series hist;     /* History, latest sample included. */
    size_t season[FC_N_SEASONS];    /* Samples a season, 0: none. */
    size_t horizon;             /* Length of a path. */
    uint64_t n;                 /* Samples so far. */
    double scale;               /* Mean |difference| of neighbours, > 0. */
    uint32_t n_wild;            /* Steps far beyond 'scale' in a row. */
    double mean;                /* Slowly moving mean. */
    double min, max;            /* Bounds from the configuration. */
    double lo, hi;              /* What a forecast may be at all. */
    double seen_lo, seen_hi;    /* Range of the samples, slowly forgetting. */
    double step;                /* Largest |difference|, slowly forgetting. */

    /* Features.  Feature 0 is 1, feature 1 is the last value less a centre,
     * and feature i > 1 is value[lag[i].a] less value[lag[i].b]. */
    size_t n_x;
    struct {
        uint16_t a, b;
    } lag[FC_MAX_FEATURES];
    size_t max_lag;             /* Samples that features look back. */
    bool x_valid;               /* Is there as much history? */
    float x[FC_MAX_FEATURES];   /* For the next sample, divided by 'rms'. */
    float rms[FC_MAX_FEATURES]; /* Running root mean square, > 0. */
};

struct fc_class {
    const char *name;
    bool seasonal;              /* Makes sense with a season only. */

    /* Bytes of state, 0 for none. */
    size_t (*size)(const struct fc_env *);

    /* Fills in zeroed state. */
    void (*init)(void *, const struct fc_env *, uint64_t seed);

    /* Learns from 'y'; null if there is nothing to learn. */
    void (*update)(void *, const struct fc_env *, double y);

    /* Writes env->horizon forecasts to 'path'.  Returns false if it is too
     * early for that. */
    bool (*predict)(const void *, const struct fc_env *, float *path);

    /* Fits by least squares; null if not needed. */
    void (*refit)(void *, const struct fc_env *, struct forecast_fit *);
};

extern const struct fc_class fc_last_value, fc_seasonal_naive, fc_ewma,
    fc_holt, fc_holt_winters, fc_ar, fc_arima, fc_nlms, fc_mlp, fc_harmonic,
    fc_states;

/* Value 'lag' >= 1 samples before the one that is 'k' steps after the sample
 * that is 'back' samples before the next; the first 'k' of these are in
 * 'path'. */
static inline double
fc_lag(const struct fc_env *env, const float *path, size_t k, size_t back,
       size_t lag)
{
    return (lag > k
            ? ext_series_get(&env->hist, lag - k - 1 + back)
            : path[k - lag]);
}

static inline double
fc_bound(const struct fc_env *env, double x)
{
    return x >= env->hi ? env->hi : x > env->lo ? x : env->lo;
}

/* Errors are cut there, in 'env->scale', when they are kept for comparison. */
#define FC_ERR_LIMIT 50

static inline double
fc_clip(const struct fc_env *env, double e)
{
    double limit = FC_ERR_LIMIT * env->scale;

    return e >= limit ? limit : e > -limit ? e : -limit;
}

/* forecast-env.c */
void fc_env_init(struct fc_env *, const struct forecast_config *);
size_t fc_env_history(const struct fc_env *,
                      const struct forecast_config *);
void fc_env_push(struct fc_env *, double y, bool missing);
void fc_features(const struct fc_env *, const float *path, size_t k,
                 size_t back, double centre, double x[FC_MAX_FEATURES]);

#define FC_MAX_SETTINGS 6

/* Running choice between the settings of a model: mean absolute error of each,
 * in a window that grows to 'window'. */
struct fc_bank {
    float mae;
    float n;
};

static inline void
fc_bank_update(struct fc_bank *b, const struct fc_env *env, double error,
               double window)
{
    b->n += b->n < window;
    b->mae += (fabs(fc_clip(env, error)) - b->mae) / b->n;
}

/* phi + phi^2 + ... + phi^n. */
static inline double
fc_damped_sum(double phi, size_t n)
{
    return phi < 1 ? phi * (1 - pow(phi, n)) / (1 - phi) : n;
}

/* Settings that are good one sample ahead are not those that are good at the
 * farthest horizon: this follows the errors of 'n' settings there. */
struct fc_far {
    struct fc_bank bank[FC_MAX_SETTINGS];
    uint32_t best;
    uint32_t n;
    float *pending;             /* ['horizon' * n]: forecasts for samples to
                                 * come, by their number modulo 'horizon'. */
};

/* From which step of a path on to use 'far.best': from there on, the farthest
 * horizon is nearer (as a factor) than the next sample. */
static inline size_t
fc_far_from(const struct fc_env *env)
{
    size_t k = 1;

    while ((k + 1) * (k + 1) < env->horizon) {
        k++;
    }
    return k < env->horizon ? k : env->horizon;
}

static inline size_t
fc_far_size(const struct fc_env *env, size_t n)
{
    return env->horizon > 1 ? env->horizon * n * sizeof(float) : 0;
}

static inline void
fc_far_init(struct fc_far *far, size_t n, float *pending)
{
    far->n = n;
    far->pending = pending;
}

/* To be called with each sample 'y', as a model's update().  Returns where to
 * put what each setting then says about 'horizon' samples after 'y'; null if
 * that is not wanted. */
static inline float *
fc_far_update(struct fc_far *far, const struct fc_env *env, double y,
              double window)
{
    float *said = &far->pending[env->n % env->horizon * far->n];

    if (env->horizon == 1) {
        return NULL;
    }
    if (env->n >= env->horizon) {
        for (size_t i = 0; i < far->n; i++) {
            fc_bank_update(&far->bank[i], env, y - said[i], window);
            if (far->bank[i].mae < far->bank[far->best].mae) {
                far->best = i;
            }
        }
    }
    return said;
}

/* forecast-fit.c */
#define FC_FIT_BLOCK 32
#define FC_MAX_NORMAL 32         /* Unknowns of fc_fit_normal(). */

struct forecast_fit {
    struct gsl_fit *gsl;        /* What GSL needs. */
    float *errors;              /* Room for FORECAST_MAX_HISTORY errors. */
};

void fc_fit_begin(struct forecast_fit *);
void fc_fit_row(struct forecast_fit *, const double *x, size_t n, double y,
                double weight);
bool fc_fit_end(struct forecast_fit *, double ridge, float *coef, size_t n);
bool fc_fit_normal(struct forecast_fit *, const double *a, const double *b,
                   size_t n, double ridge, float *coef);

#endif /* forecast-impl.h */
