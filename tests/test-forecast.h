/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_FORECAST_H
#define TEST_FORECAST_H 1

/* Helpers of test-forecast and test-forecast-input. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/core/forecast.h"
#include "util.h"

#define CHECK(COND)                                                     \
    do {                                                                \
        if (!(COND)) {                                                  \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__,      \
                    __LINE__, #COND);                                   \
            exit(1);                                                    \
        }                                                               \
    } while (0)

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

/* A named test. */
struct test {
    const char *name;
    void (*run)(void);
};

/* Runs the test named on the command line, or all.  Returns the exit code. */
static inline int
run_tests(const struct test *tests, int argc, char *argv[])
{
    size_t n = 0;

    fit = forecast_fit_create();
    for (const struct test *t = tests; t->name; t++) {
        if (argc < 2 || !strcmp(argv[1], t->name)) {
            t->run();
            printf("%s: ok\n", t->name);
            n++;
        }
    }
    forecast_fit_destroy(fit);
    if (!n) {
        fprintf(stderr, "%s: no such test\n", argv[1]);
        return 1;
    }
    return 0;
}

#endif /* test-forecast.h */
