/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Normalised least mean squares: a linear filter that adapts with each sample
 * (B. Widrow and M. E. Hoff, "Adaptive switching circuits", 1960; with the
 * step divided by the power of the input, J. Nagumo and A. Noda, 1967).  It
 * predicts the next difference from the features of forecast-env.c.  Two step
 * sizes run side by side. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define BANK_WINDOW 100
#define ERR_LIMIT 1             /* Errors beyond, in 'env->scale', are cut. */

static const float step_size[] = { 0.02, 0.15 };
#define N_STEPS ARRAY_SIZE(step_size)

struct nlms {
    float w[N_STEPS][FC_MAX_FEATURES];
    struct fc_bank bank[N_STEPS];
    uint32_t best;
    bool begun;
};

static size_t
nlms_size(const struct fc_env *env OVS_UNUSED)
{
    return sizeof(struct nlms);
}

static void
nlms_update(void *state, const struct fc_env *env, double y)
{
    struct nlms *f = state;

    if (!env->x_valid) {
        return;
    }
    double target = (y - ext_series_get(&env->hist, 0)) / env->scale;
    double power = 0;

    for (size_t j = 0; j < env->n_x; j++) {
        power += env->x[j] * env->x[j];
    }
    for (size_t i = 0; i < N_STEPS; i++) {
        double err = target;

        for (size_t j = 0; j < env->n_x; j++) {
            err -= f->w[i][j] * env->x[j];
        }
        fc_bank_update(&f->bank[i], env, err * env->scale, BANK_WINDOW);
        err = MAX(-ERR_LIMIT, MIN(err, ERR_LIMIT));

        double step = step_size[i] * err / (0.1 + power);
        for (size_t j = 0; j < env->n_x; j++) {
            f->w[i][j] += step * env->x[j];
        }
        if (f->bank[i].mae < f->bank[f->best].mae) {
            f->best = i;
        }
    }
    f->begun = true;
}

static bool
nlms_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct nlms *f = state;
    const float *w = f->w[f->best];

    if (!f->begun) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        double sum = 0;

        if (!k) {
            for (size_t j = 0; j < env->n_x; j++) {
                sum += w[j] * env->x[j];
            }
        } else {
            double x[FC_MAX_FEATURES];

            fc_features(env, path, k, 0, env->mean, x);
            sum = w[0];
            for (size_t j = 1; j < env->n_x; j++) {
                sum += w[j] * x[j] / env->rms[j];
            }
        }
        path[k] = fc_bound(env, fc_lag(env, path, k, 0, 1)
                                + sum * env->scale);
    }
    return true;
}

const struct fc_class fc_nlms = {
    .name = "nlms",
    .size = nlms_size,
    .update = nlms_update,
    .predict = nlms_predict,
};
