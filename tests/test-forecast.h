/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_FORECAST_H
#define TEST_FORECAST_H 1

/* Helpers of test-forecast and test-forecast-input. */

#include <math.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/core/forecast.h"
#include "tests/test-util.h"

#define CHECK_NEAR(A, B, TOLERANCE)                                     \
    do {                                                                \
        double a__ = (A), b__ = (B);                                    \
        if (!(fabs(a__ - b__) <= (TOLERANCE))) {                        \
            fprintf(stderr, "%s:%d: %s is %.9g, not %s = %.9g\n",       \
                    __FILE__, __LINE__, #A, a__, #B, b__);              \
            exit(1);                                                    \
        }                                                               \
    } while (0)

static struct forecast_fit *fit;

static inline struct forecast *
create(uint32_t models, size_t season, size_t horizon)
{
    struct forecast_config config;
    char *error;

    forecast_config_init(&config);
    config.models = models;
    config.season = season;
    config.horizon = horizon;
    struct forecast *f = forecast_create(&config, &error);
    if (!f) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return f;
}

static inline void
add(struct forecast *f, double x)
{
    forecast_update(f, x);
    forecast_refit(f, fit);
}

static inline double
mean_of(const struct forecast *f, size_t horizon)
{
    struct forecast_value v;

    CHECK(forecast_get(f, horizon, &v));
    CHECK(v.lo <= v.mean && v.mean <= v.hi);
    return v.mean;
}

static inline double
season_of(size_t i)
{
    static const double shape[] = { 3, -1, 4, 1, -5, 9, -2 };

    return 200 + 10 * shape[i % ARRAY_SIZE(shape)];
}

/* run_tests() with what refits need. */
static inline int
run_forecast_tests(const struct test *tests, int argc, char *argv[])
{
    int retval;

    fit = forecast_fit_create();
    retval = run_tests(tests, argc, argv);
    forecast_fit_destroy(fit);
    return retval;
}

#endif /* test-forecast.h */
