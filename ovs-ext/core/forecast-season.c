/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Holt-Winters with additive seasons, one or two (a day and a week), a damped
 * trend and a first-order autoregressive error, as in J. W. Taylor,
 * "Triple seasonal methods for short-term electricity demand forecasting",
 * European Journal of Operational Research 204 (2010).  The autoregression is
 * what makes it good one step ahead: level and seasons move slowly, the
 * deviation from them is taken to die out.
 *
 * Settings run side by side, as in forecast-smooth.c; the autoregressive
 * coefficient of each is estimated from its own errors. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define BANK_WINDOW 200
#define RHO_WINDOW 200

static const struct {
    float alpha, beta, phi, gamma[FC_N_SEASONS];
} setting[] = {
    { 0.01, 0.000, 0.00, { 0.05, 0.10 } },
    { 0.05, 0.000, 0.00, { 0.15, 0.25 } },
    { 0.10, 0.020, 0.99, { 0.10, 0.20 } },
    { 0.30, 0.050, 0.95, { 0.30, 0.30 } },
    { 0.02, 0.000, 0.00, { 0.60, 0.60 } },
};
#define N_SETTINGS ARRAY_SIZE(setting)

struct hw {
    double level[N_SETTINGS], trend[N_SETTINGS];
    double err[N_SETTINGS];     /* Deviation from level, trend and seasons. */
    double num[N_SETTINGS], den[N_SETTINGS];    /* Of the coefficient. */
    struct fc_bank bank[N_SETTINGS];
    size_t best;
    uint64_t n;                 /* Samples so far. */
    struct fc_far far;
    float *index[FC_N_SEASONS]; /* [season * N_SETTINGS + setting]. */
};
BUILD_ASSERT_DECL(N_SETTINGS <= FC_MAX_SETTINGS);

static size_t
hw_size(const struct fc_env *env)
{
    return (sizeof(struct hw)
            + ((env->season[0] + env->season[1]) * N_SETTINGS
               * sizeof(float))
            + fc_far_size(env, N_SETTINGS));
}

static void
hw_init(void *state, const struct fc_env *env, uint64_t seed OVS_UNUSED)
{
    struct hw *w = state;

    w->index[0] = (float *) (w + 1);
    w->index[1] = w->index[0] + env->season[0] * N_SETTINGS;
    fc_far_init(&w->far, N_SETTINGS,
                w->index[1] + env->season[1] * N_SETTINGS);
}

/* The index of season 's' for sample 'n', one for each setting. */
static float *
indices(const struct hw *w, const struct fc_env *env, size_t s, uint64_t n)
{
    return &w->index[s][n % env->season[s] * N_SETTINGS];
}

/* Takes the first season as it came, less its mean. */
static void
hw_start(struct hw *w, const struct fc_env *env, double y)
{
    size_t m = env->season[0];
    double mean = y;

    for (size_t i = 0; i + 1 < m; i++) {
        mean += ext_series_get(&env->hist, i);
    }
    mean /= m;
    for (size_t i = 0; i < m; i++) {
        double v = i ? ext_series_get(&env->hist, i - 1) : y;
        float *index = indices(w, env, 0, w->n - i);

        for (size_t j = 0; j < N_SETTINGS; j++) {
            index[j] = v - mean;
        }
    }
    for (size_t j = 0; j < N_SETTINGS; j++) {
        w->level[j] = mean;
    }
}

static double
rho(const struct hw *w, size_t i)
{
    double r = w->den[i] > 0 ? w->num[i] / w->den[i] : 0;

    return MAX(0, MIN(r, 0.98));
}

static void
hw_update_setting(struct hw *w, const struct fc_env *env, size_t i, double y)
{
    double phi = setting[i].phi;
    double base = w->level[i] + phi * w->trend[i];
    float *index[FC_N_SEASONS] = { NULL, NULL };

    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        if (env->season[s]) {
            index[s] = &indices(w, env, s, w->n)[i];
            base += *index[s];
        }
    }

    double err = fc_clip(env, y - base);
    fc_bank_update(&w->bank[i], env, err - rho(w, i) * w->err[i], BANK_WINDOW);

    double seen = w->n - env->season[0] + 1.0;
    double decay = 1 - 1 / MIN(seen + 10, RHO_WINDOW);
    w->num[i] = decay * w->num[i] + err * w->err[i];
    w->den[i] = decay * w->den[i] + w->err[i] * w->err[i];
    w->err[i] = err;

    /* The mean of the first visits, then a slow one.  The long season starts
     * from nothing and takes what the short one leaves. */
    double alpha = MAX(setting[i].alpha, 0.5 / seen);
    double gamma[FC_N_SEASONS] = { 0, 0 };
    double sum = alpha;

    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        if (index[s]) {
            double visits = w->n / env->season[s] + 1 + (s ? 1 : 0);

            gamma[s] = MAX(setting[i].gamma[s], 1 / visits);
            sum += gamma[s];
        }
    }
    if (sum > 0.9) {            /* Together they must not overshoot. */
        err *= 0.9 / sum;
    }
    w->level[i] += phi * w->trend[i] + alpha * err;
    w->trend[i] = phi * w->trend[i] + alpha * setting[i].beta * err;
    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        if (index[s]) {
            *index[s] += gamma[s] * err;
        }
    }
}

/* Writes what setting 'i' says about path[from...to - 1] to 'out'; the next
 * sample is path[0], number 'w->n'. */
static void
hw_path(const struct hw *w, const struct fc_env *env, size_t i, size_t from,
        size_t to, float *out)
{
    double phi = setting[i].phi, r = rho(w, i);
    double sum = fc_damped_sum(phi, from + 1), damp = pow(phi, from + 1);
    double err = w->err[i] * pow(r, from + 1);

    for (size_t k = from; k < to; k++) {
        double x = w->level[i] + sum * w->trend[i] + err;

        for (size_t s = 0; s < FC_N_SEASONS; s++) {
            if (env->season[s]) {
                x += indices(w, env, s, w->n + k)[i];
            }
        }
        *out++ = x;
        err *= r;
        damp *= phi;
        sum += damp;
    }
}

static void
hw_update(void *state, const struct fc_env *env, double y)
{
    struct hw *w = state;
    size_t m = env->season[0];
    float *far = fc_far_update(&w->far, env, y, BANK_WINDOW);

    if (w->n + 1 == m) {
        hw_start(w, env, y);
    } else if (w->n >= m) {
        for (size_t i = 0; i < N_SETTINGS; i++) {
            hw_update_setting(w, env, i, y);
            if (w->bank[i].mae < w->bank[w->best].mae) {
                w->best = i;
            }
        }
    }
    w->n++;
    for (size_t i = 0; far && i < N_SETTINGS; i++) {
        hw_path(w, env, i, env->horizon - 1, env->horizon, &far[i]);
    }
}

static bool
hw_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct hw *w = state;
    size_t far = fc_far_from(env);

    if (w->n < env->season[0]) {
        return false;
    }
    hw_path(w, env, w->best, 0, far, path);
    hw_path(w, env, w->far.best, far, env->horizon, path + far);
    return true;
}

const struct fc_class fc_holt_winters = {
    .name = "holt-winters",
    .seasonal = true,
    .size = hw_size,
    .init = hw_init,
    .update = hw_update,
    .predict = hw_predict,
};
