/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Forecasts without parameters: last-value and seasonal-naive.  They are what
 * the others have to beat. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

static bool
last_value_predict(const void *state OVS_UNUSED, const struct fc_env *env,
                   float *path)
{
    float last = ext_series_get(&env->hist, 0);

    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = last;
    }
    return true;
}

const struct fc_class fc_last_value = {
    .name = "last-value",
    .predict = last_value_predict,
};

/* With two seasons, the one that has done better of late. */

#define BANK_WINDOW 100

struct seasonal_naive {
    struct fc_bank bank[FC_N_SEASONS];
};

static size_t
seasonal_naive_size(const struct fc_env *env)
{
    return env->season[1] ? sizeof(struct seasonal_naive) : 0;
}

static void
seasonal_naive_update(void *state, const struct fc_env *env, double y)
{
    struct seasonal_naive *s = state;

    if (!s || env->hist.n < env->season[1]) {
        return;
    }
    for (size_t i = 0; i < FC_N_SEASONS; i++) {
        size_t age = env->season[i] - 1;

        fc_bank_update(&s->bank[i], env, y - ext_series_get(&env->hist, age),
                       BANK_WINDOW);
    }
}

static bool
seasonal_naive_predict(const void *state, const struct fc_env *env,
                       float *path)
{
    const struct seasonal_naive *s = state;
    size_t m = env->season[s && s->bank[1].mae < s->bank[0].mae];

    if (env->hist.n < m) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = k < m ? ext_series_get(&env->hist, m - 1 - k) : path[k - m];
    }
    return true;
}

const struct fc_class fc_seasonal_naive = {
    .name = "seasonal-naive",
    .seasonal = true,
    .size = seasonal_naive_size,
    .update = seasonal_naive_update,
    .predict = seasonal_naive_predict,
};
