/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What all models of a forecast look at: history, scale, features. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define SCALE_WINDOW 128

/* A step counts for this many usual ones at most, unless there are so many of
 * them in a row: a counter that wraps is no reason to forget what is usual. */
#define WILD_STEPS 30
#define WILD_IN_A_ROW 8
#define RANGE_WINDOW 1024
#define RMS_WINDOW 256

/* Seasons up to this length get features from two seasons ago as well. */
#define TWICE_SEASON 64

static void
add_lag(struct fc_env *env, size_t a, size_t b)
{
    ovs_assert(env->n_x < FC_MAX_FEATURES);
    env->lag[env->n_x].a = a;
    env->lag[env->n_x].b = b;
    env->n_x++;
    env->max_lag = MAX(env->max_lag, MAX(a, b));
}

/* Initializes 'env' but for the ring of 'env->hist'. */
void
fc_env_init(struct fc_env *env, const struct forecast_config *config)
{
    *env = (struct fc_env) {
        .season = { config->season, config->season2 },
        .horizon = config->horizon,
        .scale = 1e-9,
        .n_x = 2,
        .min = config->min, .max = config->max,
    };
    for (size_t i = 0; i < FC_MAX_FEATURES; i++) {
        env->rms[i] = 1;
    }
    for (size_t i = 1; i <= FC_N_LAGS; i++) {
        add_lag(env, i, i + 1);
    }
    for (size_t i = 0; i < FC_N_SEASONS; i++) {
        size_t m = env->season[i];

        if (m) {
            /* What happened at the same place of the last season, and how far
             * the series is from where it was then. */
            add_lag(env, m, m + 1);
            add_lag(env, m + 1, 1);
            if (m > 2) {
                add_lag(env, m - 1, m);
            }
            if (!i && m <= TWICE_SEASON) {
                add_lag(env, 2 * m, 2 * m + 1);
            }
        }
    }
}

/* Samples to keep for 'config'. */
size_t
fc_env_history(const struct fc_env *env, const struct forecast_config *config)
{
    const uint32_t learners = (FORECAST_BIT(FORECAST_AR)
                               | FORECAST_BIT(FORECAST_ARIMA)
                               | FORECAST_BIT(FORECAST_MLP));
    size_t least = env->max_lag + 2;
    size_t rows = MIN(MAX(4 * MAX(config->season, config->season2), 256), 640);

    if (!(config->models & learners)) {
        rows = 0;
    }
    return MAX(least, config->history ? config->history
                                      : env->max_lag + rows);
}

/* Computes features to predict the value 'k' steps after the sample that is
 * 'back' samples before the next one.  'path' has the 'k' values in between.
 * There must be as much history: 'max_lag' + 'back' samples. */
void
fc_features(const struct fc_env *env, const float *path, size_t k,
            size_t back, double centre, double x[FC_MAX_FEATURES])
{
    x[0] = 1;
    x[1] = fc_lag(env, path, k, back, 1) - centre;
    for (size_t i = 2; i < env->n_x; i++) {
        x[i] = (fc_lag(env, path, k, back, env->lag[i].a)
                - fc_lag(env, path, k, back, env->lag[i].b));
    }
}

/* Keeps the limits of what models may say: well beyond what was seen, since a
 * trend goes on, but not so far that a model gone wild ends in infinity. */
static void
update_range(struct fc_env *env, double y, double step)
{
    const double decay = 1.0 / RANGE_WINDOW;

    if (!env->n) {
        env->seen_lo = env->seen_hi = y;
    }
    env->seen_lo = MIN(y, env->seen_lo + decay * (y - env->seen_lo));
    env->seen_hi = MAX(y, env->seen_hi - decay * (env->seen_hi - y));
    env->step = MAX(step, env->step * (1 - decay));

    double room = MAX(env->seen_hi - env->seen_lo,
                      env->step * (env->horizon + 1));
    env->lo = MAX(env->min, env->seen_lo - room);
    env->hi = MIN(env->max, env->seen_hi + room);
}

static void
update_features(struct fc_env *env)
{
    double x[FC_MAX_FEATURES];

    env->x_valid = env->hist.n >= env->max_lag;
    if (!env->x_valid) {
        return;
    }
    fc_features(env, NULL, 0, 0, env->mean, x);

    double seen = env->n - env->max_lag + 1.0;
    double gain = 1 / MIN(seen, RMS_WINDOW);

    for (size_t i = 1; i < env->n_x; i++) {
        double ms = env->rms[i] * env->rms[i];
        double square = x[i] * x[i];
        double floor = env->scale * 1e-3 + 1e-15;

        if (seen > RMS_WINDOW && square > WILD_STEPS * WILD_STEPS * ms) {
            square = WILD_STEPS * WILD_STEPS * ms;
        }
        ms = seen <= 1 ? square : ms + gain * (square - ms);
        env->rms[i] = MAX(sqrt(ms), floor);
        env->x[i] = x[i] / env->rms[i];
    }
    env->x[0] = 1;
}

/* Adds sample 'y'; 'missing' if it is a forecast in place of one. */
void
fc_env_push(struct fc_env *env, double y, bool missing)
{
    double window = MAX(64, 2 * MAX(env->season[0], env->season[1]));
    double step = 0;

    if (env->n) {
        double gain = 1.0 / MIN(env->n, SCALE_WINDOW);
        double tiny = 1e-9 * fabs(env->seen_hi - env->seen_lo) + 1e-12;

        step = fabs(y - ext_series_get(&env->hist, 0));
        double limit = INFINITY;

        env->n_wild = step > WILD_STEPS * env->scale ? env->n_wild + 1 : 0;
        if (env->n > SCALE_WINDOW / 4 && env->n_wild <= WILD_IN_A_ROW) {
            limit = WILD_STEPS * env->scale;
        }
        env->scale += gain * (MIN(step, limit) - env->scale);
        env->scale = MAX(env->scale, tiny);
    }
    if (!missing) {
        update_range(env, y, step);
    }
    if (env->n >= window) {
        env->mean += fc_clip(env, y - env->mean) / window;
    } else {
        env->mean += (y - env->mean) / (env->n + 1);
    }
    ext_series_push(&env->hist, y);
    env->n++;
    update_features(env);
}
