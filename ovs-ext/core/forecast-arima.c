/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ARIMA(3,1,2), with a season also its difference, innovation and the
 * innovation before: the (0,1,1)(0,1,1) of Box and Jenkins is among what that
 * can express.
 *
 * Innovations cannot be observed.  First a long autoregression gives an
 * estimate of them (E. J. Hannan and J. Rissanen, "Recursive estimation of
 * mixed autoregressive-moving average order", Biometrika 69, 1982); then they
 * are computed with the coefficients themselves, which are fitted again, and
 * the coefficients with the smallest innovations are kept.  Coefficients whose
 * innovations are no smaller than the differences themselves are no use. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define RIDGE 1.0
#define N_AR 3
#define N_MA 2
#define ERR_LIMIT 20            /* An innovation at most, in 'env->scale'. */
#define ROUNDS 3                /* Fits with innovations of their own. */
#define MA_LIMIT 0.95           /* Sum of their |coefficients| at most: more,
                                 * and an error in them never dies out. */

struct arima {
    float coef[FC_MAX_FEATURES];
    float spare[FC_MAX_FEATURES];
    size_t n_terms;
    size_t n_err;               /* Innovations kept. */
    bool fitted;
    struct ext_series err;      /* Innovations. */
};

static size_t
err_room(const struct fc_env *env)
{
    return MAX(env->season[0], env->season[1]) + N_MA + 1;
}

static size_t
arima_size(const struct fc_env *env)
{
    return sizeof(struct arima) + err_room(env) * sizeof(float);
}

static void
arima_init(void *state, const struct fc_env *env, uint64_t seed OVS_UNUSED)
{
    struct arima *a = state;

    ext_series_init(&a->err, (float *) (a + 1), err_room(env));
    a->n_terms = N_AR + N_MA;
    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        a->n_terms += env->season[s] ? 3 : 0;
    }
}

/* Terms of the regression, for 'k' steps after the sample 'back' samples
 * before the next.  'err' returns the innovation 'lag' >= 1 samples before. */
static void
terms(const struct fc_env *env, const float *path, size_t k, size_t back,
      double (*err)(const void *, size_t lag), const void *aux, double *x)
{
    size_t n = 0;

    for (size_t i = 1; i <= N_AR; i++) {
        x[n++] = (fc_lag(env, path, k, back, i)
                  - fc_lag(env, path, k, back, i + 1));
    }
    for (size_t i = 1; i <= N_MA; i++) {
        x[n++] = err(aux, i);
    }
    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        size_t m = env->season[s];

        if (m) {
            x[n++] = (fc_lag(env, path, k, back, m)
                      - fc_lag(env, path, k, back, m + 1));
            x[n++] = err(aux, m);
            x[n++] = err(aux, m + 1);
        }
    }
}

/* Innovations in the model's ring; those to come are taken to be 0. */
struct live {
    const struct ext_series *err;
    size_t k;
};

static double
live_err(const void *live_, size_t lag)
{
    const struct live *live = live_;

    return (lag > live->k && lag - live->k <= live->err->n
            ? ext_series_get(live->err, lag - live->k - 1) : 0);
}

static double
arima_next(const struct arima *a, const struct fc_env *env, const float *path,
           size_t k)
{
    struct live live = { &a->err, k };
    double x[FC_MAX_FEATURES];
    double sum = fc_lag(env, path, k, 0, 1);

    terms(env, path, k, 0, live_err, &live, x);
    for (size_t i = 0; i < a->n_terms; i++) {
        sum += a->coef[i] * x[i];
    }
    return sum;
}

static double
clip(const struct fc_env *env, double e)
{
    double limit = ERR_LIMIT * env->scale;

    return MAX(-limit, MIN(e, limit));
}

static void
arima_update(void *state, const struct fc_env *env, double y)
{
    struct arima *a = state;

    if (a->fitted) {
        double e = y - fc_bound(env, arima_next(a, env, NULL, 0));

        ext_series_push(&a->err, clip(env, e));
    }
}

static bool
arima_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct arima *a = state;

    if (!a->fitted) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = fc_bound(env, arima_next(a, env, path, k));
    }
    return true;
}

/* Innovations of the history: errors[i] belongs to the sample 'i' samples
 * before the latest, for i < n. */
struct past {
    const float *errors;
    size_t i, n;
};

static double
past_err(const void *past_, size_t lag)
{
    const struct past *past = past_;

    return past->i + lag < past->n ? past->errors[past->i + lag] : 0;
}

static double
difference(const struct fc_env *env, size_t i)
{
    return (ext_series_get(&env->hist, i)
            - ext_series_get(&env->hist, i + 1));
}

static double
weight(size_t i, size_t rows)
{
    return 1 - 0.75 * i / rows;
}

/* Writes the errors of a long autoregression to 'fit->errors'. */
static bool
long_ar(struct arima *a, const struct fc_env *env, struct forecast_fit *fit,
        size_t rows)
{
    double x[FC_MAX_FEATURES];

    fc_fit_begin(fit);
    for (size_t i = 0; i < rows; i++) {
        fc_features(env, NULL, 0, i + 1, env->mean, x);
        for (size_t j = 1; j < env->n_x; j++) {
            x[j] /= env->scale;
        }
        fc_fit_row(fit, x, env->n_x, difference(env, i) / env->scale,
                   weight(i, rows));
    }
    if (!fc_fit_end(fit, RIDGE, a->spare, env->n_x)) {
        return false;
    }
    for (size_t i = 0; i < rows; i++) {
        double e = difference(env, i) - a->spare[0] * env->scale;

        fc_features(env, NULL, 0, i + 1, env->mean, x);
        for (size_t j = 1; j < env->n_x; j++) {
            e -= a->spare[j] * x[j];
        }
        fit->errors[i] = clip(env, e);
    }
    return true;
}

/* Fits 'a->spare' to the history and the innovations in 'fit->errors'.  The
 * first season of them is left out, they have no season before. */
static bool
fit_terms(struct arima *a, const struct fc_env *env, struct forecast_fit *fit,
          size_t rows)
{
    size_t skip = MAX(env->season[0], env->season[1]);

    skip = MIN(skip, rows / 3);
    fc_fit_begin(fit);
    for (size_t i = 0; i < rows - skip; i++) {
        struct past past = { fit->errors, i, rows };
        double x[FC_MAX_FEATURES];

        terms(env, NULL, 0, i + 1, past_err, &past, x);
        for (size_t j = 0; j < a->n_terms; j++) {
            x[j] /= env->scale;
        }
        fc_fit_row(fit, x, a->n_terms, difference(env, i) / env->scale,
                   weight(i, rows));
    }
    return fc_fit_end(fit, RIDGE, a->spare, a->n_terms);
}

static bool
is_ma(size_t term)
{
    return (term < N_AR + N_MA ? term >= N_AR
            : (term - N_AR - N_MA) % 3 != 0);
}

/* Pulls the coefficients of innovations into what is stable. */
static void
limit_ma(struct arima *a)
{
    double sum = 0;

    for (size_t j = 0; j < a->n_terms; j++) {
        sum += is_ma(j) ? fabs(a->spare[j]) : 0;
    }
    for (size_t j = 0; sum > MA_LIMIT && j < a->n_terms; j++) {
        a->spare[j] *= is_ma(j) ? MA_LIMIT / sum : 1;
    }
}

/* Computes innovations with 'coef', oldest first.  Returns their mean size, in
 * that of the differences; the latter half counts. */
static double
innovate(const struct arima *a, const struct fc_env *env, const float *coef,
         struct forecast_fit *fit, size_t rows)
{
    double sum = 0, naive = 0;

    for (size_t i = rows; i-- > 0; ) {
        struct past past = { fit->errors, i, rows };
        double x[FC_MAX_FEATURES];
        double y = difference(env, i);
        double e = y;

        terms(env, NULL, 0, i + 1, past_err, &past, x);
        for (size_t j = 0; j < a->n_terms; j++) {
            e -= coef[j] * x[j];
        }
        fit->errors[i] = clip(env, e);
        if (i < rows / 2) {
            sum += fabs(e);
            naive += fabs(y);
        }
    }
    return naive > 0 ? sum / naive : 1;
}

static void
arima_refit(void *state, const struct fc_env *env, struct forecast_fit *fit)
{
    struct arima *a = state;
    size_t rows = env->hist.n > env->max_lag ? env->hist.n - env->max_lag : 0;
    float best[FC_MAX_FEATURES];
    double least = 1;

    rows = MIN(rows, FORECAST_MAX_HISTORY);
    if (rows < 2 * env->n_x || !long_ar(a, env, fit, rows)) {
        return;
    }
    if (a->fitted) {            /* What there is may still be the best. */
        memcpy(best, a->coef, sizeof best);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        if (!fit_terms(a, env, fit, rows)) {
            break;
        }
        limit_ma(a);

        double size = innovate(a, env, a->spare, fit, rows);
        if (size < least) {
            least = size;
            memcpy(best, a->spare, sizeof best);
        }
    }
    a->fitted = a->fitted || least < 1;
    if (!a->fitted) {
        return;
    }
    memcpy(a->coef, best, sizeof a->coef);
    innovate(a, env, a->coef, fit, rows);
    ext_series_init(&a->err, a->err.ring, a->err.size);
    for (size_t i = MIN(rows, a->err.size); i-- > 0; ) {
        ext_series_push(&a->err, fit->errors[i]);
    }
}

const struct fc_class fc_arima = {
    .name = "arima",
    .size = arima_size,
    .init = arima_init,
    .update = arima_update,
    .predict = arima_predict,
    .refit = arima_refit,
};
