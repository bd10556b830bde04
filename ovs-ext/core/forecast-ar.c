/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Autoregression on lags and seasonal lags, fitted over the history.
 *
 * Written for the next difference rather than the next value: the regression
 * is the same, but the ridge then pulls towards last-value, which is the right
 * thing to fall back to when there are few samples.
 *
 * Least squares once, then weighted so that large errors count in proportion
 * to their size (P. J. Huber, "Robust estimation of a location parameter",
 * 1964): a jump must not bend the coefficients. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define RIDGE 1.0               /* As many rows as this squared. */
#define ROUNDS 3                /* Fits, each with weights from the last. */
#define ROBUST 0.7              /* Errors from here on, in 'env->scale', count
                                 * for their size rather than its square. */

struct ar {
    float coef[FC_MAX_FEATURES];
    float spare[FC_MAX_FEATURES];
    double centre;              /* Of feature 1. */
    bool fitted;
};

static size_t
ar_size(const struct fc_env *env OVS_UNUSED)
{
    return sizeof(struct ar);
}

static double
ar_next(const struct ar *a, const struct fc_env *env, const float *path,
        size_t k)
{
    double x[FC_MAX_FEATURES];
    double sum = fc_lag(env, path, k, 0, 1);

    fc_features(env, path, k, 0, a->centre, x);
    for (size_t i = 0; i < env->n_x; i++) {
        sum += a->coef[i] * x[i];
    }
    return sum;
}

static bool
ar_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct ar *a = state;

    if (!a->fitted) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = fc_bound(env, ar_next(a, env, path, k));
    }
    return true;
}

/* Fits 'a->spare'.  Rows of which 'errors' (null: none known) says that they
 * do not fit count for less. */
static bool
ar_fit(struct ar *a, const struct fc_env *env, struct forecast_fit *fit,
       size_t rows, double centre, const float *errors)
{
    fc_fit_begin(fit);
    for (size_t i = 0; i < rows; i++) {
        double x[FC_MAX_FEATURES];
        double y = (ext_series_get(&env->hist, i)
                    - ext_series_get(&env->hist, i + 1));
        double weight = 1 - 0.75 * i / rows;

        if (errors) {
            double size = fabs(errors[i]) / (ROBUST * env->scale);

            weight /= MAX(size, 1);
        }
        fc_features(env, NULL, 0, i + 1, centre, x);
        for (size_t j = 1; j < env->n_x; j++) {
            x[j] /= env->scale;
        }
        fc_fit_row(fit, x, env->n_x, y / env->scale, weight);
    }
    return fc_fit_end(fit, RIDGE, a->spare, env->n_x);
}

/* Writes the errors of 'a->spare' to 'errors'. */
static void
ar_errors(const struct ar *a, const struct fc_env *env, size_t rows,
          double centre, float *errors)
{
    for (size_t i = 0; i < rows; i++) {
        double x[FC_MAX_FEATURES];
        double e = (ext_series_get(&env->hist, i)
                    - ext_series_get(&env->hist, i + 1)
                    - a->spare[0] * env->scale);

        fc_features(env, NULL, 0, i + 1, centre, x);
        for (size_t j = 1; j < env->n_x; j++) {
            e -= a->spare[j] * x[j];
        }
        errors[i] = e;
    }
}

static void
ar_refit(void *state, const struct fc_env *env, struct forecast_fit *fit)
{
    struct ar *a = state;
    size_t rows = env->hist.n > env->max_lag ? env->hist.n - env->max_lag : 0;
    double centre = 0;

    if (rows < 2 * env->n_x) {
        return;
    }
    for (size_t i = 0; i < env->hist.n; i++) {
        centre += ext_series_get(&env->hist, i);
    }
    centre /= env->hist.n;

    const float *errors = NULL;
    for (size_t round = 0; round < ROUNDS; round++) {
        if (!ar_fit(a, env, fit, rows, centre, errors)) {
            return;
        }
        ar_errors(a, env, rows, centre, fit->errors);
        errors = fit->errors;
    }
    memcpy(a->coef, a->spare, sizeof a->coef);
    a->coef[0] *= env->scale;
    a->centre = centre;
    a->fitted = true;
}

const struct fc_class fc_ar = {
    .name = "ar",
    .size = ar_size,
    .predict = ar_predict,
    .refit = ar_refit,
};
