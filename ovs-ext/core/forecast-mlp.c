/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* A small network trained on line: the features of forecast-env.c, 8 hidden
 * units (tanh) and a linear part beside them, one output, the next difference.
 * With each sample it learns from that sample and from one drawn from the
 * history (replay, L.-J. Lin, "Self-improving reactive agents", 1992), by Adam
 * (D. P. Kingma and J. Ba, 2015). */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

#define N_HIDDEN 8
#define RATE 0.003
#define RATE_START 0.02         /* At the first samples. */
#define BETA1 0.9f
#define BETA2 0.99f
#define ERR_LIMIT 1             /* Beyond, an error pulls no harder: towards
                                 * the median rather than the mean. */
#define IN_LIMIT 4              /* Inputs are cut there. */

struct mlp_weights {
    float hidden[N_HIDDEN][FC_MAX_FEATURES];
    float linear[FC_MAX_FEATURES];
    float out[N_HIDDEN];
};
#define N_WEIGHTS (sizeof(struct mlp_weights) / sizeof(float))

union mlp_vector {
    struct mlp_weights w;
    float v[N_WEIGHTS];
};

struct mlp {
    union mlp_vector w;         /* Weights. */
    union mlp_vector m1, m2;    /* Moments of the gradient, for Adam. */
    float decay1, decay2;       /* BETA1 and BETA2 to the number of steps. */
    uint32_t steps;
    struct ext_rng rng;
};

static size_t
mlp_size(const struct fc_env *env OVS_UNUSED)
{
    return sizeof(struct mlp);
}

static void
mlp_init(void *state, const struct fc_env *env, uint64_t seed)
{
    struct mlp *m = state;
    double size = 1 / sqrt(env->n_x);

    ext_rng_init_stream(&m->rng, seed, FORECAST_MLP);
    for (size_t i = 0; i < N_HIDDEN; i++) {
        for (size_t j = 0; j < env->n_x; j++) {
            m->w.w.hidden[i][j] = size * ext_rng_normal(&m->rng);
        }
    }
    /* The output starts at 0: the network says the same as last-value. */
    m->decay1 = m->decay2 = 1;
}

/* A rational function close to tanh (a Pade approximant, cut at 1). */
static inline float
squash(float x)
{
    x = x > 3 ? 3 : x < -3 ? -3 : x;
    return x * (27 + x * x) / (27 + 9 * x * x);
}

/* The output for 'x'; the values of the hidden units to 'hidden'. */
static float
mlp_forward(const struct mlp *m, size_t n_x, const float *x, float *hidden)
{
    float y = 0;

    for (size_t j = 0; j < n_x; j++) {
        y += m->w.w.linear[j] * x[j];
    }
    for (size_t i = 0; i < N_HIDDEN; i++) {
        float sum = 0;

        for (size_t j = 0; j < n_x; j++) {
            sum += m->w.w.hidden[i][j] * x[j];
        }
        hidden[i] = squash(sum);
        y += m->w.w.out[i] * hidden[i];
    }
    return y;
}

static inline void
adam(struct mlp *m, const float *base, float gradient, float rate)
{
    size_t i = base - m->w.v;

    m->m1.v[i] += (1 - BETA1) * (gradient - m->m1.v[i]);
    m->m2.v[i] += (1 - BETA2) * (gradient * gradient - m->m2.v[i]);
    m->w.v[i] -= rate * m->m1.v[i] / (sqrtf(m->m2.v[i]) + 1e-6f);
}

/* Takes one step towards 'target' for 'x'. */
static void
mlp_learn(struct mlp *m, size_t n_x, const float *x, float target)
{
    float hidden[N_HIDDEN];
    float err = mlp_forward(m, n_x, x, hidden) - target;
    float rate = MAX(RATE, RATE_START / (1 + m->steps * 0.02f));

    m->steps++;
    m->decay1 *= BETA1;
    m->decay2 *= BETA2;
    rate *= sqrtf(1 - m->decay2) / (1 - m->decay1);
    err = MAX(-ERR_LIMIT, MIN(err, ERR_LIMIT));
    for (size_t j = 0; j < n_x; j++) {
        adam(m, &m->w.w.linear[j], err * x[j], rate);
    }
    for (size_t i = 0; i < N_HIDDEN; i++) {
        float back = err * m->w.w.out[i] * (1 - hidden[i] * hidden[i]);

        adam(m, &m->w.w.out[i], err * hidden[i], rate);
        for (size_t j = 0; j < n_x; j++) {
            adam(m, &m->w.w.hidden[i][j], back * x[j], rate);
        }
    }
}

static void
cut(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = MAX(-IN_LIMIT, MIN(x[i], IN_LIMIT));
    }
}

/* Input for 'k' steps after the sample 'back' samples before the next. */
static void
mlp_input(const struct fc_env *env, const float *path, size_t k, size_t back,
          float *in)
{
    double x[FC_MAX_FEATURES];

    fc_features(env, path, k, back, env->mean, x);
    in[0] = 1;
    for (size_t i = 1; i < env->n_x; i++) {
        in[i] = x[i] / env->rms[i];
    }
    cut(in, env->n_x);
}

static void
mlp_update(void *state, const struct fc_env *env, double y)
{
    struct mlp *m = state;
    float x[FC_MAX_FEATURES];

    if (!env->x_valid) {
        return;
    }
    memcpy(x, env->x, sizeof x);
    cut(x, env->n_x);
    mlp_learn(m, env->n_x, x,
              (y - ext_series_get(&env->hist, 0)) / env->scale);

    size_t rows = env->hist.n - env->max_lag;
    if (rows >= 2) {
        size_t i = ext_rng_range(&m->rng, rows);

        if (i + 1 + env->max_lag <= env->hist.n) {
            mlp_input(env, NULL, 0, i + 1, x);
            mlp_learn(m, env->n_x, x,
                      (ext_series_get(&env->hist, i)
                       - ext_series_get(&env->hist, i + 1)) / env->scale);
        }
    }
}

static bool
mlp_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct mlp *m = state;

    if (!env->x_valid || !m->steps) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        float x[FC_MAX_FEATURES], hidden[N_HIDDEN];

        mlp_input(env, path, k, 0, x);
        path[k] = fc_bound(env, fc_lag(env, path, k, 0, 1)
                                + (mlp_forward(m, env->n_x, x, hidden)
                                   * env->scale));
    }
    return true;
}

const struct fc_class fc_mlp = {
    .name = "mlp",
    .size = mlp_size,
    .init = mlp_init,
    .update = mlp_update,
    .predict = mlp_predict,
};
