/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Exponential smoothing without seasons.  Parameters are not fitted: a few
 * settings run side by side and the one with the smallest rolling error
 * speaks. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define BANK_WINDOW 100

/* Simple exponential smoothing: a weighted mean. */

static const float ewma_alpha[] = { 0.03, 0.1, 0.25, 0.5, 0.75 };
#define N_EWMA ARRAY_SIZE(ewma_alpha)

struct ewma {
    double level[N_EWMA];
    struct fc_bank bank[N_EWMA];
    uint32_t best;
    uint32_t n;
};

static size_t
ewma_size(const struct fc_env *env OVS_UNUSED)
{
    return sizeof(struct ewma);
}

static void
ewma_update(void *state, const struct fc_env *env, double y)
{
    struct ewma *e = state;

    e->n += e->n < UINT32_MAX;
    for (size_t i = 0; i < N_EWMA; i++) {
        double err = y - e->level[i];

        if (e->n > 1) {
            fc_bank_update(&e->bank[i], env, err, BANK_WINDOW);
        }
        /* The plain mean until there are samples enough. */
        e->level[i] += err * MAX(ewma_alpha[i], 1.0 / e->n);
        if (e->bank[i].mae < e->bank[e->best].mae) {
            e->best = i;
        }
    }
}

static bool
ewma_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct ewma *e = state;

    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = e->level[e->best];
    }
    return true;
}

const struct fc_class fc_ewma = {
    .name = "ewma",
    .size = ewma_size,
    .update = ewma_update,
    .predict = ewma_predict,
};

/* Holt's linear trend, damped (Gardner and McKenzie 1985). */

static const struct {
    float alpha, beta, phi;
} holt_setting[] = {
    { 0.10, 0.02, 1.00 },
    { 0.30, 0.10, 1.00 },
    { 0.30, 0.05, 0.95 },
    { 0.60, 0.20, 0.90 },
    { 0.90, 0.30, 0.80 },
    { 0.90, 0.80, 0.90 },
};
#define N_HOLT ARRAY_SIZE(holt_setting)

BUILD_ASSERT_DECL(N_HOLT <= FC_MAX_SETTINGS);

struct holt {
    double level[N_HOLT], trend[N_HOLT];
    double far_sum[N_HOLT];     /* Damped steps to the farthest horizon. */
    struct fc_bank bank[N_HOLT];
    struct fc_far far;
    uint32_t best;
    uint32_t n;
};

static size_t
holt_size(const struct fc_env *env)
{
    return sizeof(struct holt) + fc_far_size(env, N_HOLT);
}

static void
holt_init(void *state, const struct fc_env *env, uint64_t seed OVS_UNUSED)
{
    struct holt *h = state;

    for (size_t i = 0; i < N_HOLT; i++) {
        h->far_sum[i] = fc_damped_sum(holt_setting[i].phi, env->horizon);
    }
    fc_far_init(&h->far, N_HOLT, (float *) (h + 1));
}

static void
holt_update_setting(struct holt *h, const struct fc_env *env, size_t i,
                    double y)
{
    double phi = holt_setting[i].phi;
    double err = y - (h->level[i] + phi * h->trend[i]);

    if (h->n == 1) {
        h->level[i] = y;
    } else if (h->n == 2) {
        h->trend[i] = y - h->level[i];
        h->level[i] = y;
    } else {
        double alpha = MAX(holt_setting[i].alpha, 1.0 / h->n);
        double beta = MAX(holt_setting[i].beta, 0.5 / h->n);

        fc_bank_update(&h->bank[i], env, err, BANK_WINDOW);
        h->level[i] += phi * h->trend[i] + alpha * err;
        h->trend[i] = phi * h->trend[i] + alpha * beta * err;
    }
}

static void
holt_update(void *state, const struct fc_env *env, double y)
{
    struct holt *h = state;
    float *far = fc_far_update(&h->far, env, y, BANK_WINDOW);

    h->n += h->n < UINT32_MAX;
    for (size_t i = 0; i < N_HOLT; i++) {
        holt_update_setting(h, env, i, y);
        if (h->bank[i].mae < h->bank[h->best].mae) {
            h->best = i;
        }
        if (far) {
            far[i] = h->level[i] + h->far_sum[i] * h->trend[i];
        }
    }
}

/* Writes what setting 'i' says to path[from...to - 1]. */
static void
holt_path(const struct holt *h, size_t i, size_t from, size_t to, float *path)
{
    double phi = holt_setting[i].phi;
    double sum = fc_damped_sum(phi, from + 1);
    double damp = pow(phi, from + 1);

    for (size_t k = from; k < to; k++) {
        path[k] = h->level[i] + sum * h->trend[i];
        damp *= phi;
        sum += damp;
    }
}

static bool
holt_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct holt *h = state;
    size_t far = fc_far_from(env);

    if (h->n < 3) {
        return false;
    }
    holt_path(h, h->best, 0, far, path);
    holt_path(h, h->far.best, far, env->horizon, path);
    return true;
}

const struct fc_class fc_holt = {
    .name = "holt",
    .size = holt_size,
    .init = holt_init,
    .update = holt_update,
    .predict = holt_predict,
};
