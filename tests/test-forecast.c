/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the forecasters: cases whose answer is known, and statistics
 * that must come out. */

#include <config.h>
#include "tests/test-forecast.h"

#include "ovs-ext/core/ext-change.h"

/* Models in cases where the right answer is known. */

static void
test_naive(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_LAST_VALUE), 0, 4);

    for (size_t i = 0; i < 20; i++) {
        add(f, i * i);
        CHECK(mean_of(f, 1) == i * i && mean_of(f, 4) == i * i);
    }
    forecast_destroy(f);

    f = create(FORECAST_BIT(FORECAST_SEASONAL_NAIVE), 5, 12);
    for (size_t i = 0; i < 23; i++) {
        add(f, 100 + i % 5 + i / 5);
    }
    for (size_t h = 1; h <= 12; h++) {      /* The last was number 22. */
        size_t i = 22 + h;

        while (i > 22) {
            i -= 5;
        }
        CHECK(mean_of(f, h) == 100 + i % 5 + i / 5);
    }
    forecast_destroy(f);
}

static void
test_ewma(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_EWMA), 0, 3);
    struct ext_rng r;
    double sum = 0;

    /* Of independent samples, the best weight is the smallest: its deviation
     * is sqrt(alpha / (2 - alpha)), 0.12 for 0.03; its mean size 0.8 times
     * that.  The next weight would make 0.18. */
    ext_rng_init(&r, 5);
    for (size_t i = 0; i < 4000; i++) {
        add(f, 70 + ext_rng_normal(&r));
        if (i >= 1000) {
            sum += fabs(mean_of(f, 3) - 70);
        }
    }
    CHECK(sum / 3000 < 0.15);
    forecast_destroy(f);
}

static void
test_holt(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_HOLT), 0, 10);

    /* A line goes on. */
    for (size_t i = 0; i < 50; i++) {
        add(f, 1e6 - 3 * (double) i);
        if (i >= 3) {
            CHECK_NEAR(mean_of(f, 1), 1e6 - 3 * (i + 1.0), 1e-3);
        }
    }
    CHECK_NEAR(mean_of(f, 10), 1e6 - 3 * 59, 1e-2);
    forecast_destroy(f);
}

static void
test_holt_winters(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_HOLT_WINTERS), 7, 20);
    size_t i;

    /* A season that repeats is known after it was there once. */
    for (i = 0; i < 60; i++) {
        add(f, season_of(i));
        if (i >= 7) {
            for (size_t h = 1; h <= 20; h++) {
                CHECK_NEAR(mean_of(f, h), season_of(i + h), 1e-3);
            }
        }
    }
    forecast_destroy(f);

    /* On a slope as well, after a while. */
    f = create(FORECAST_BIT(FORECAST_HOLT_WINTERS), 7, 7);
    for (i = 0; i < 2000; i++) {
        add(f, season_of(i) + 0.5 * i);
    }
    CHECK_NEAR(mean_of(f, 1), season_of(i) + 0.5 * i, 0.5);
    forecast_destroy(f);
}

/* Two seasons: 4 and 12, of which the second is on in its last third. */
static void
test_two_seasons(void)
{
    struct forecast_config config;
    double err = 0;

    forecast_config_init(&config);
    config.season = 4;
    config.season2 = 12;
    config.models = FORECAST_BIT(FORECAST_HOLT_WINTERS);
    struct forecast *f = forecast_create(&config, NULL);
    CHECK(f);
    for (size_t i = 0; i < 600; i++) {
        double x = 50 + 5 * (i % 4) + (i % 12 >= 8 ? 20 : 0);

        if (i >= 400) {
            err = MAX(err, fabs(mean_of(f, 1) - x));
        }
        add(f, x);
    }
    CHECK(err < 0.5);
    forecast_destroy(f);
}

/* Error of 'model' 1 ahead over AR(1) samples, coefficient 'phi', in units of
 * the innovations, of which the mean size is sqrt(2 / pi). */
static double
ar1_error(uint32_t models, double phi, size_t n, uint64_t seed)
{
    struct forecast *f = create(models, 0, 1);
    struct ext_rng r;
    double x = 0, sum = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        x = phi * x + ext_rng_normal(&r);
        if (i >= n / 2) {
            sum += fabs(mean_of(f, 1) - (10 + x));
        }
        add(f, 10 + x);
    }
    forecast_destroy(f);
    return sum / (n - n / 2) / sqrt(2 / M_PI);
}

static void
test_ar(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_AR), 0, 2);
    struct ext_rng r;
    double x = 0, coef = 0, n = 0;

    /* The coefficient, read off the forecasts: (2 ahead) / (1 ahead) of the
     * deviation from the mean is 0.8 however the regression is written. */
    ext_rng_init(&r, 7);
    for (size_t i = 0; i < 6000; i++) {
        x = 0.8 * x + ext_rng_normal(&r);
        add(f, 500 + x);
        if (i >= 1000) {
            coef += x * (mean_of(f, 1) - 500);
            n += x * x;
        }
    }
    CHECK_NEAR(coef / n, 0.8, 0.05);
    forecast_destroy(f);

    CHECK_NEAR(ar1_error(FORECAST_BIT(FORECAST_AR), 0.8, 6000, 1), 1, 0.05);
    CHECK_NEAR(ar1_error(FORECAST_BIT(FORECAST_AR), -0.6, 6000, 2), 1, 0.05);
}

static void
test_arima(void)
{
    const uint32_t arima = FORECAST_BIT(FORECAST_ARIMA);
    struct forecast *f = create(arima, 0, 1);
    struct ext_rng r;
    double x = 0, last = 0, sum = 0, naive = 0;

    /* ARIMA(0,1,1) with theta 0.7: the error of the best forecast is that of
     * the innovations, last-value's is sqrt(1 + 0.7 ^ 2) times that. */
    ext_rng_init(&r, 3);
    for (size_t i = 0; i < 6000; i++) {
        double e = ext_rng_normal(&r);

        x += e - 0.7 * last;
        last = e;
        if (i >= 3000) {
            sum += fabs(mean_of(f, 1) - x);
        }
        add(f, x);
    }
    naive = 3000 * sqrt(2 / M_PI);
    CHECK_NEAR(sum / naive, 1, 0.05);
    forecast_destroy(f);

    CHECK_NEAR(ar1_error(arima, 0.8, 6000, 4), 1, 0.08);
}

static void
test_nlms(void)
{
    const uint32_t nlms = FORECAST_BIT(FORECAST_NLMS);
    double early = 0;

    for (size_t seed = 0; seed < 100; seed++) {
        early += ar1_error(nlms, 0.2, 30, seed) / 100;
    }
    CHECK(early > 1.1);
    CHECK_NEAR(ar1_error(nlms, 0.2, 8000, 1), 1, 0.06);
    CHECK_NEAR(ar1_error(nlms, -0.5, 8000, 2), 1, 0.06);
}

/* What no linear model can do: the logistic map. */
static void
test_mlp(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_MLP), 0, 1);
    double x = 0.3, sum = 0, naive = 0;

    for (size_t i = 0; i < 4000; i++) {
        double next = 3.8 * x * (1 - x);

        add(f, x);
        if (i >= 3000) {
            sum += fabs(mean_of(f, 1) - next);
            naive += fabs(next - x);
        }
        x = next;
    }
    CHECK(sum < 0.35 * naive);
    forecast_destroy(f);
}

/* Waves of a season that is long and seen a few times only, under noise that
 * hides it: innovations of 1, while a step of the season is at most 0.7.  No
 * forecast can be better than the innovations. */
static void
test_harmonic(void)
{
    const size_t m = 144;
    struct forecast *f = create(FORECAST_BIT(FORECAST_HARMONIC), m, m / 2);
    double x = 0, sum = 0, far = 0;
    struct ext_rng r;

    ext_rng_init(&r, 4);
    for (size_t i = 0; i < 10 * m; i++) {
        double turn = 2 * M_PI * i / m;

        x = 0.8 * x + ext_rng_normal(&r);
        if (i >= 4 * m) {
            sum += fabs(mean_of(f, 1) - (15 * sin(turn) + 2 * cos(3 * turn)
                                         + x)) / (6 * m);
        }
        add(f, 15 * sin(turn) + 2 * cos(3 * turn) + x);
        if (i >= 4 * m) {       /* Half a season ahead noise has died out. */
            far += fabs(mean_of(f, m / 2) + 15 * sin(turn)
                        + 2 * cos(3 * turn)) / (6 * m);
        }
    }
    CHECK_NEAR(sum / sqrt(2 / M_PI), 1, 0.06);
    CHECK(far < 1);
    forecast_destroy(f);
}

/* Lags are cleaned: after an outlier it says what it would have said without,
 * but a level that is there twice is believed. */
static void
test_harmonic_clean(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_HARMONIC), 0, 1);
    struct ext_rng r;
    double x = 0, sum = 0;

    ext_rng_init(&r, 9);
    for (size_t i = 0; i < 3000; i++) {
        bool outlier = i % 25 == 0;

        x = 0.9 * x + ext_rng_normal(&r);
        add(f, 50 + x + (outlier ? 80 : 0));
        if (i > 500 && outlier) {
            sum += fabs(mean_of(f, 1) - 50 - 0.9 * x) / 100;
        }
    }
    CHECK(sum < 4);
    for (size_t i = 0; i < 3; i++) {
        add(f, 130 + ext_rng_normal(&r));
    }
    CHECK(mean_of(f, 1) > 80);
    forecast_destroy(f);
}

/* On or off: what follows is the median of what followed in that state, not a
 * little less than what came last. */
static void
test_states(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_STATES), 0, 1);
    double sum = 0, naive = 0, last = 0, off = 0;
    struct ext_rng r;
    bool on = false;

    ext_rng_init(&r, 6);
    for (size_t i = 0; i < 6000; i++) {
        double x;

        on = ext_rng_double(&r) < 0.05 ? !on : on;
        x = (on ? 80 : 10) + 3 * ext_rng_normal(&r);
        sum += fabs((i ? mean_of(f, 1) : x) - x);
        naive += fabs(last - x);
        add(f, x);
        off += fabs(mean_of(f, 1) - (on ? 80 : 10)) / 6000;
        last = x;
    }
    /* 0.95 * 0.8 * 3 for the noise at best, for last-value sqrt(2) times that,
     * and 0.05 * 70 for changes in either: 0.86 is what can be had. */
    CHECK(sum < 0.95 * naive);
    CHECK(off < 3);
    forecast_destroy(f);
}

/* The choice. */

static void
test_choice(void)
{
    struct forecast *f = create(FORECAST_ALL, 7, 14);
    struct forecast_value v;
    struct ext_rng r;
    size_t i;

    ext_rng_init(&r, 1);
    for (i = 0; i < 400; i++) {
        add(f, season_of(i) + ext_rng_normal(&r));
    }
    forecast_get(f, 1, &v);
    CHECK(v.model == FORECAST_HOLT_WINTERS || v.model == FORECAST_AR
          || v.model == FORECAST_MIX || v.model == FORECAST_NLMS
          || v.model == FORECAST_MLP || v.model == FORECAST_SEASONAL_NAIVE
          || v.model == FORECAST_ARIMA);
    CHECK(forecast_mase(f) < 0.1);
    for (size_t h = 1; h <= 14; h++) {
        CHECK_NEAR(mean_of(f, h), season_of(i - 1 + h), 3);
    }

    /* Among a few: the one that can. */
    forecast_destroy(f);
    f = create(FORECAST_BIT(FORECAST_LAST_VALUE) | FORECAST_BIT(FORECAST_EWMA)
               | FORECAST_BIT(FORECAST_HOLT_WINTERS), 7, 1);
    for (i = 0; i < 100; i++) {
        add(f, season_of(i) + ext_rng_normal(&r));
    }
    forecast_get(f, 1, &v);
    CHECK(v.model == FORECAST_HOLT_WINTERS);

    /* ... and back, when the season ends. */
    for (i = 0; i < 1000; i++) {
        add(f, 200 + 20 * ext_rng_normal(&r));
    }
    forecast_get(f, 1, &v);
    CHECK(v.model != FORECAST_LAST_VALUE);
    CHECK(forecast_mase(f) < 0.78);
    forecast_destroy(f);
}

/* One that is no better by more than chance does not come into force: a random
 * walk has last-value, with few changes of mind. */
static void
test_hysteresis(void)
{
    struct forecast *f = create(FORECAST_BIT(FORECAST_LAST_VALUE)
                                | FORECAST_BIT(FORECAST_EWMA), 0, 1);
    struct forecast_value v;
    enum forecast_model model = FORECAST_LAST_VALUE;
    size_t switches = 0;
    struct ext_rng r;
    double x = 0;

    ext_rng_init(&r, 1);
    for (size_t i = 0; i < 5000; i++) {
        x += ext_rng_normal(&r);
        add(f, x);
        forecast_get(f, 1, &v);
        switches += v.model != model;
        model = v.model;
    }
    CHECK(switches <= 4);
    CHECK(model == FORECAST_LAST_VALUE);
    forecast_destroy(f);
}

/* Nor is anything else chosen by chance, with all models and farther ahead,
 * where errors overlap and a few hundred of them are little evidence. */
static void
test_proof(void)
{
    for (size_t seed = 1; seed <= 4; seed++) {
        struct forecast *f = create(FORECAST_ALL, 0, 6);
        double said[6] = { 0 }, then[6] = { 0 };
        double x = 0, sum = 0, naive = 0;
        struct ext_rng r;

        ext_rng_init(&r, seed);
        for (size_t i = 0; i < 3000; i++) {
            x += ext_rng_normal(&r);
            if (i >= 300) {
                sum += fabs(said[i % 6] - x);
                naive += fabs(then[i % 6] - x);
            }
            add(f, x);
            said[i % 6] = mean_of(f, 6);
            then[i % 6] = x;
        }
        CHECK(sum < 1.003 * naive);
        forecast_destroy(f);
    }
}

/* Intervals. */

enum noise { GAUSSIAN, EXPONENTIAL, HEAVY };

static double
draw(struct ext_rng *r, enum noise noise)
{
    switch (noise) {
    case GAUSSIAN: return ext_rng_normal(r);
    case EXPONENTIAL: return ext_rng_exp(r);
    case HEAVY: return pow(1 - ext_rng_double(r), -1 / 2.5);
    default: OVS_NOT_REACHED();
    }
}

static void
check_coverage(enum noise noise, size_t horizon, double coverage)
{
    struct forecast_config config;
    struct forecast_value said[8];
    size_t n = 0, covered = 0;
    struct ext_rng r;
    double x = 0;

    forecast_config_init(&config);
    config.horizon = horizon;
    config.coverage = coverage;
    struct forecast *f = forecast_create(&config, NULL);
    ext_rng_init_stream(&r, 17, noise);
    for (size_t i = 0; i < 6000; i++) {
        struct forecast_value *v = &said[i % horizon];

        x = 0.6 * x + draw(&r, noise);
        if (i >= 500) {
            n++;
            covered += v->lo <= x && x <= v->hi;
        }
        add(f, x);
        CHECK(forecast_get(f, horizon, v));
    }
    CHECK_NEAR((double) covered / n, coverage, 0.025);
    forecast_destroy(f);
}

static void
test_coverage(void)
{
    for (size_t horizon = 1; horizon <= 8; horizon += 7) {
        check_coverage(GAUSSIAN, horizon, 0.9);
        check_coverage(EXPONENTIAL, horizon, 0.9);
        check_coverage(HEAVY, horizon, 0.9);
    }
    check_coverage(GAUSSIAN, 1, 0.8);
    check_coverage(GAUSSIAN, 1, 0.98);
}

/* Intervals of horizons that are not followed lie between those that are. */
static void
test_horizons(void)
{
    struct forecast *f = create(FORECAST_ALL, 0, 30);
    struct ext_rng r;
    double x = 0, width = 0;

    ext_rng_init(&r, 2);
    for (size_t i = 0; i < 2000; i++) {
        x += ext_rng_normal(&r);
        add(f, x);
    }
    for (size_t h = 1; h <= 30; h++) {
        struct forecast_value v;

        CHECK(forecast_get(f, h, &v));
        CHECK(v.hi - v.lo > 0.98 * width);
        width = v.hi - v.lo;
    }
    /* A random walk's deviation grows with the square root. */
    CHECK(width > 3 * 3.29 && width < 10 * 3.29);
    forecast_destroy(f);
}

/* Change. */

static void
test_change(void)
{
    struct ext_change c;
    struct ext_rng r;

    /* No false alarm in 10^5 samples; not even in 10^7. */
    ext_rng_init(&r, 1);
    ext_change_init(&c, EXT_CHANGE_DELTA, EXT_CHANGE_LAMBDA);
    for (size_t i = 0; i < 10 * 1000 * 1000; i++) {
        CHECK(!ext_change_update(&c, ext_rng_normal_fast(&r)));
    }

    /* A shift by 3 deviations, up or down, is found within 15 samples, one by
     * 1.5 within 60, and once. */
    static const struct {
        double shift;
        size_t delay;
    } cases[] = { { 3, 15 }, { -3, 15 }, { 1.5, 60 }, { -1.5, 60 } };

    for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
        for (size_t seed = 0; seed < 50; seed++) {
            size_t found = 0, when = 0;

            ext_rng_init_stream(&r, seed, k);
            ext_change_init(&c, EXT_CHANGE_DELTA, EXT_CHANGE_LAMBDA);
            for (size_t i = 0; i < 500; i++) {
                double x = (ext_rng_normal(&r)
                            + (i >= 300 ? cases[k].shift : 0));

                if (ext_change_update(&c, x)) {
                    found++;
                    when = i;
                }
            }
            CHECK(found == 1);
            CHECK(when >= 300 && when < 300 + cases[k].delay);
        }
    }
    CHECK(!ext_change_update(&c, NAN));
    CHECK(!ext_change_update(&c, INFINITY));
}

/* The same in a forecast, which adapts meanwhile. */
static void
test_forecast_change(void)
{
    for (size_t seed = 0; seed < 20; seed++) {
        struct forecast *f = create(FORECAST_ALL, 0, 1);
        struct ext_rng r;
        size_t when = 0;

        ext_rng_init(&r, seed);
        for (size_t i = 0; i < 1000; i++) {
            add(f, 100 + 2 * ext_rng_normal(&r) + (i >= 800 ? 60 : 0));
            if (forecast_changed(f) && !when) {
                when = i;
            }
        }
        CHECK(when >= 800 && when < 820);
        CHECK(forecast_n_changes(f) <= 2);
        forecast_destroy(f);
    }
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "naive", test_naive },
        { "ewma", test_ewma },
        { "holt", test_holt },
        { "holt-winters", test_holt_winters },
        { "two-seasons", test_two_seasons },
        { "ar", test_ar },
        { "arima", test_arima },
        { "nlms", test_nlms },
        { "mlp", test_mlp },
        { "harmonic", test_harmonic },
        { "harmonic-clean", test_harmonic_clean },
        { "states", test_states },
        { "choice", test_choice },
        { "hysteresis", test_hysteresis },
        { "proof", test_proof },
        { "coverage", test_coverage },
        { "horizons", test_horizons },
        { "change", test_change },
        { "forecast-change", test_forecast_change },
        { NULL, NULL },
    };

    return run_forecast_tests(tests, argc, argv);
}
