/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Dynamic harmonic regression: the next difference from a few lags, a lag of
 * each season, and the first waves (sines and cosines) of each season (P. C.
 * Young, D. J. Pedregal and W. Tych, "Dynamic harmonic regression", Journal of
 * Forecasting 18, 1999).  A day of 288 samples has 288 indices to learn for
 * holt-winters, of which each is seen once a day, but only a dozen waves.  Of
 * two seasons, the second also changes the size of the first's waves from day
 * to day: waves a little faster and a little slower than those.
 *
 * Sums for the normal equations are kept up with each sample and forget so
 * slowly that nearly all that was seen counts, where ar and arima know the
 * last few hundred samples; forecast_refit() solves them.  Errors far beyond
 * the usual count for less (Huber 1964), and lags are cleaned: a sample far
 * from what was expected is taken to be near the edge of that, unless the
 * next one is too (S. Gelper, R. Fried and C. Croux, "Robust forecasting with
 * exponential and Holt-Winters smoothing", 2010).  Where moves that large are
 * no accidents but news, the same regression does better with lags as they
 * came: both run, the better one speaks. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define MEMORY 2000             /* Samples after which 63 % is forgotten. */
#define RIDGE 2.0               /* As many samples at last-value. */
#define ROBUST 0.9              /* Errors from here on, in their mean size,
                                 * count for their size, not its square. */
#define CLEAN 4                 /* A cleaned sample is off by this much, in
                                 * the mean size of errors, at most. */
#define BANK_WINDOW 100

#define N_CLEAN 4               /* Lags that are cleaned: all short ones. */
#define N_WAVES 6               /* Of the first season. */
#define N_WAVES_LONG 3          /* Of the second. */

enum { CLEANED, AS_CAME, N_SETTINGS };

struct harmonic {
    size_t n_x;
    size_t waves;               /* Of the first season. */
    double sum_n;               /* Samples in the sums. */
    float coef[FC_MAX_NORMAL];
    float clean[N_CLEAN];       /* Latest samples, cleaned, latest first. */
    float size;                 /* Mean |error|. */
    double centre;              /* Mean of samples. */
    uint32_t since_cut;         /* Samples since one was cut: after N_CLEAN,
                                 * 'clean' is what came. */
    bool fitted;
    struct fc_bank bank[N_SETTINGS];
    double sums[];              /* Lower triangle by rows, then products with
                                 * the target. */
};

static size_t
n_waves(const struct fc_env *env)
{
    return env->season[0] ? MIN(N_WAVES, (env->season[0] - 1) / 2) : 0;
}

/* Waves of the second season: slow ones, and the first wave of the first
 * season as it changes with it. */
static size_t
n_features(const struct fc_env *env)
{
    size_t n = 3 + N_CLEAN - 1 + 2 * n_waves(env);

    n += env->season[0] ? 2 : 0;
    n += env->season[1] ? 2 + 2 * (N_WAVES_LONG + 2) : 0;
    ovs_assert(n <= FC_MAX_NORMAL);
    return n;
}

static size_t
harmonic_size(const struct fc_env *env)
{
    size_t n = n_features(env);

    return (sizeof(struct harmonic)
            + (n * (n + 1) / 2 + n) * sizeof(double));
}

static void
harmonic_init(void *state, const struct fc_env *env, uint64_t seed OVS_UNUSED)
{
    struct harmonic *h = state;

    h->n_x = n_features(env);
    h->waves = n_waves(env);
    h->since_cut = N_CLEAN;
}

/* Like fc_lag(), of the next sample, with the latest ones cleaned. */
static double
lag(const struct harmonic *h, const struct fc_env *env, const float *path,
    size_t k, size_t i, bool clean)
{
    return (clean && i > k && i - k <= N_CLEAN
            ? h->clean[i - k - 1] : fc_lag(env, path, k, 0, i));
}

/* Adds waves 1...'n' of 'turn', an angle as a share of a turn. */
static double *
add_waves(double *x, double turn, size_t n)
{
    double c = cos(2 * M_PI * turn), s = sin(2 * M_PI * turn);
    double re = c, im = s;

    for (size_t i = 0; i < n; i++) {
        double next = re * c - im * s;

        *x++ = re;
        *x++ = im;
        im = re * s + im * c;
        re = next;
    }
    return x;
}

/* Features for path[k]. */
static void
features(const struct harmonic *h, const struct fc_env *env, const float *path,
         size_t k, bool clean, double *x)
{
    double here = lag(h, env, path, k, 1, clean), last = here;
    uint64_t t = env->n + k;

    *x++ = 1;
    *x++ = here - env->mean;
    *x++ = here - h->centre;
    for (size_t i = 2; i <= N_CLEAN; i++) {
        double before = lag(h, env, path, k, i, clean);

        *x++ = last - before;
        last = before;
    }
    for (size_t s = 0; s < FC_N_SEASONS; s++) {
        size_t m = env->season[s];

        if (m) {
            double then = fc_lag(env, path, k, 0, m + 1);

            *x++ = fc_lag(env, path, k, 0, m) - then;
            *x++ = then - here;
        }
    }
    if (env->season[0]) {
        x = add_waves(x, (t % env->season[0]) / (double) env->season[0],
                      h->waves);
    }
    if (env->season[1]) {
        double slow = (t % env->season[1]) / (double) env->season[1];
        double fast = (t % env->season[0]) / (double) env->season[0];

        x = add_waves(x, slow, N_WAVES_LONG);
        x = add_waves(x, fast + slow, 1);
        x = add_waves(x, fast - slow, 1);
    }
}

static double
next(const struct harmonic *h, const struct fc_env *env, const float *path,
     size_t k, bool clean)
{
    double x[FC_MAX_NORMAL];
    double sum = lag(h, env, path, k, 1, clean);

    features(h, env, path, k, clean, x);
    for (size_t i = 0; i < h->n_x; i++) {
        sum += h->coef[i] * x[i];
    }
    return sum;
}

/* Adds one row to the sums, 'weight' times. */
static void
add_row(struct harmonic *h, const double *x, double y, double weight)
{
    const double keep = 1 - 1.0 / MEMORY;
    double *a = h->sums;

    for (size_t i = 0; i < h->n_x; i++) {
        double w = weight * x[i];

        for (size_t j = 0; j <= i; j++) {
            a[j] = keep * a[j] + w * x[j];
        }
        a += i + 1;
    }
    for (size_t i = 0; i < h->n_x; i++) {
        a[i] = keep * a[i] + weight * y * x[i];
    }
    h->sum_n = keep * h->sum_n + weight;
}

/* Puts 'y' among the cleaned samples; 'error' is that of the forecast made
 * from them. */
static void
add_clean(struct harmonic *h, const struct fc_env *env, double y, double error)
{
    double limit = CLEAN * h->size;
    bool cut = h->fitted && fabs(error) > limit;

    if (cut && !h->since_cut) { /* Twice in a row: it is there now. */
        for (size_t i = 0; i < N_CLEAN - 1; i++) {
            h->clean[i] = (i < env->hist.n ? ext_series_get(&env->hist, i)
                           : 0);
        }
        cut = false;
        h->since_cut = N_CLEAN;
    }
    memmove(h->clean + 1, h->clean, (N_CLEAN - 1) * sizeof *h->clean);
    h->clean[0] = cut ? y - error + copysign(limit, error) : y;
    h->since_cut = cut ? 0 : MIN(h->since_cut + 1, N_CLEAN);
}

static void
harmonic_update(void *state, const struct fc_env *env, double y)
{
    struct harmonic *h = state;
    double x[FC_MAX_NORMAL];
    double error = 0;

    if (env->x_valid) {
        double target = y - h->clean[0], said = h->clean[0];
        double weight = 1;

        features(h, env, NULL, 0, true, x);
        for (size_t i = 0; i < h->n_x; i++) {
            said += h->coef[i] * x[i];
        }
        error = y - said;
        if (!h->fitted) {
            h->size = env->scale;
        } else {
            fc_bank_update(&h->bank[CLEANED], env, error, BANK_WINDOW);
            fc_bank_update(&h->bank[AS_CAME], env,
                           h->since_cut >= N_CLEAN ? error
                           : y - next(h, env, NULL, 0, false), BANK_WINDOW);
        }
        if (fabs(error) > ROBUST * h->size) {
            weight = ROBUST * h->size / fabs(error);
        }
        add_row(h, x, target, weight);
        h->size += (MIN(fabs(error), 2 * CLEAN * h->size) - h->size) / 100;
    }
    add_clean(h, env, y, error);
    h->centre += (h->clean[0] - h->centre) / MIN(env->n + 1, MEMORY);
}

static bool
harmonic_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct harmonic *h = state;
    bool clean = h->bank[CLEANED].mae <= h->bank[AS_CAME].mae;

    if (!h->fitted) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        path[k] = fc_bound(env, next(h, env, path, k, clean));
    }
    return true;
}

static void
harmonic_refit(void *state, const struct fc_env *env OVS_UNUSED,
               struct forecast_fit *fit)
{
    struct harmonic *h = state;
    size_t n = h->n_x;

    if (h->sum_n >= n
        && fc_fit_normal(fit, h->sums, h->sums + n * (n + 1) / 2, n,
                         RIDGE / h->sum_n, h->coef)) {
        h->fitted = true;
    }
}

const struct fc_class fc_harmonic = {
    .name = "harmonic",
    .size = harmonic_size,
    .init = harmonic_init,
    .update = harmonic_update,
    .predict = harmonic_predict,
    .refit = harmonic_refit,
};
