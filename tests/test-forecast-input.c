/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the forecasters: input that should not exist, configurations,
 * memory. */

#include <config.h>
#include "tests/test-forecast.h"

#include "ovs-ext/core/ext-series.h"

/* Calls of malloc() and the like, by everything in this program, GSL included:
 * these are in front of those of the C library.  Not with a sanitizer, which
 * has its own. */
static size_t n_allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

void *
malloc(size_t size)
{
    n_allocations++;
    return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
    n_allocations++;
    return __libc_realloc(p, size);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

static void
check_sane(const struct forecast *f, size_t horizon)
{
    for (size_t h = 1; h <= horizon; h++) {
        struct forecast_value v;
        double mean;

        forecast_get(f, h, &v);
        CHECK(isfinite(v.mean) && !isnan(v.lo) && !isnan(v.hi));
        CHECK(v.lo <= v.mean && v.mean <= v.hi);
        CHECK(v.model < FORECAST_N_MODELS);
        for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
            CHECK(!forecast_get_model(f, i, h, &mean) || isfinite(mean));
        }
    }
    CHECK(isfinite(forecast_mase(f)));
}

static void
test_constant(void)
{
    static const double values[] = { 0, 1, -5, 1e-12, 1e15, -1e30 };

    for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
        struct forecast *f = create(FORECAST_ALL, 6, 5);

        for (size_t i = 0; i < 500; i++) {
            struct forecast_value v;

            add(f, values[k]);
            check_sane(f, 5);
            forecast_get(f, 5, &v);
            CHECK(v.mean == values[k] && v.lo == v.mean && v.hi == v.mean);
            CHECK(!forecast_changed(f));
        }
        /* It may yet begin to move. */
        for (size_t i = 0; i < 200; i++) {
            add(f, values[k] + i % 3);
            check_sane(f, 5);
        }
        forecast_destroy(f);
    }
}

static void
test_hostile(void)
{
    static const double odd[] = {
        NAN, INFINITY, -INFINITY, 0, -0.0, 1e300, -1e300, 1e30, -1e30, 1e-300,
        5e-324, 1.7e308, 1, -1, 1e15, 1e-15,
    };

    for (size_t seed = 1; seed <= 40; seed++) {
        size_t season = seed % 3 ? seed % 11 + 2 : 0;
        struct forecast *f = create(FORECAST_ALL, season, 1 + seed % 9);
        struct ext_rng r;
        double x = 0;

        ext_rng_init(&r, seed);
        for (size_t i = 0; i < 1500; i++) {
            switch (seed % 4) {
            case 0: x = odd[ext_rng_range(&r, ARRAY_SIZE(odd))]; break;
            case 1:
                x = (i < 40 || ext_rng_range(&r, 20)
                     ? 10 * ext_rng_normal(&r)
                     : odd[ext_rng_range(&r, ARRAY_SIZE(odd))]);
                break;
            case 2: x = x * 1.1 + 1; break;     /* Past 1e30. */
            case 3:                             /* Any bits. */
                {
                    uint64_t bits = ext_rng_next(&r);

                    memcpy(&x, &bits, sizeof x);
                }
                break;
            }
            add(f, x);
            check_sane(f, 1 + seed % 9);
        }
        CHECK(forecast_n_samples(f) + forecast_n_missing(f) >= 1500);

        /* Peace again.  After a few impossible samples forecasts recover by
         * themselves, after nothing else when they are told to forget. */
        if (seed % 4 != 1) {
            forecast_reset(f);
        }
        for (size_t i = 0; i < 4000; i++) {
            add(f, 50 + ext_rng_normal(&r));
        }
        CHECK_NEAR(mean_of(f, 1), 50, 5);
        forecast_destroy(f);
    }
}

static void
test_missing(void)
{
    struct forecast *f = create(FORECAST_ALL, 7, 7);
    struct forecast_value v;
    double last;
    size_t i;

    /* Before any sample. */
    CHECK(!forecast_get(f, 1, &v));
    CHECK(v.mean == 0 && v.lo == -INFINITY && v.hi == INFINITY);
    add(f, NAN);
    CHECK(!forecast_get(f, 1, &v));
    CHECK(forecast_n_samples(f) == 0 && forecast_n_missing(f) == 1);

    /* The season goes on where samples are missing. */
    for (i = 0; i < 300; i++) {
        add(f, i % 10 == 9 ? NAN : season_of(i));
    }
    for (size_t h = 1; h <= 7; h++) {
        CHECK_NEAR(mean_of(f, h), season_of(i - 1 + h), 2);
    }
    CHECK(forecast_n_missing(f) == 31);

    /* And where there are none at all, for long. */
    last = mean_of(f, 1);
    for (; i < 300 + 700; i++) {
        add(f, INFINITY);
        check_sane(f, 7);
    }
    CHECK_NEAR(mean_of(f, 1), last, 20);
    forecast_destroy(f);
}

static void
test_bounds(void)
{
    struct forecast_config config;
    struct ext_rng r;

    forecast_config_init(&config);
    config.horizon = 6;
    config.min = 0;
    config.max = 1;
    struct forecast *f = forecast_create(&config, NULL);
    ext_rng_init(&r, 1);
    for (size_t i = 0; i < 1000; i++) {
        struct forecast_value v;

        add(f, MAX(0, MIN(1, 0.5 + 0.6 * sin(i * 0.2)
                             + 0.1 * ext_rng_normal(&r))));
        for (size_t h = 1; h <= 6; h++) {
            forecast_get(f, h, &v);
            CHECK(v.lo >= 0 && v.hi <= 1);
        }
    }
    /* Samples out of bounds do not get forecasts out of bounds. */
    for (size_t i = 0; i < 50; i++) {
        add(f, 7);
        check_sane(f, 6);
        CHECK(mean_of(f, 6) <= 1);
    }
    forecast_destroy(f);
}

/* A large constant part does not cost precision. */
static void
test_offset(void)
{
    struct forecast *a = create(FORECAST_ALL, 0, 3);
    struct forecast *b = create(FORECAST_ALL, 0, 3);
    struct ext_rng r;

    ext_rng_init(&r, 1);
    for (size_t i = 0; i < 1000; i++) {
        /* A multiple of 2 ^ -10, so that adding 2 ^ 40 does not round. */
        double x = floor(1024 * (10 * sin(i * 0.3) + ext_rng_normal(&r)));

        add(a, x / 1024);
        add(b, x / 1024 + 0x1p40);
        CHECK_NEAR(mean_of(a, 3), mean_of(b, 3) - 0x1p40, 1e-3);
    }
    forecast_destroy(a);
    forecast_destroy(b);
}

/* A counter that wraps once leaves no trace. */
static void
test_wrap(void)
{
    struct forecast *a = create(FORECAST_ALL, 0, 1);
    struct forecast *b = create(FORECAST_ALL, 0, 1);
    struct ext_rng r;

    ext_rng_init(&r, 9);
    for (size_t i = 0; i < 1000; i++) {
        double x = 1e6 + 1e3 * ext_rng_normal(&r);

        add(a, i == 500 ? 1.8e20 : x);
        add(b, i == 500 ? NAN : x);
        CHECK(mean_of(a, 1) == mean_of(b, 1));
    }
    forecast_destroy(a);
    forecast_destroy(b);
}

/* Nor does a first sample far from all others. */
static void
test_far(void)
{
    struct forecast *f = create(FORECAST_ALL, 0, 1);
    struct ext_rng r;
    double sum = 0;

    ext_rng_init(&r, 1);
    add(f, 1e14);
    for (size_t i = 0; i < 6000; i++) {
        double x = 50 + ext_rng_normal(&r);

        if (i >= 5000) {
            sum += fabs(mean_of(f, 1) - x);
        }
        add(f, x);
    }
    CHECK(sum / 1000 < 0.9);
    CHECK(forecast_n_samples(f) == 6001);
    forecast_destroy(f);
}

/* Nothing but the samples and the seed counts. */
static void
test_deterministic(void)
{
    struct forecast *a = create(FORECAST_ALL, 12, 5);
    struct forecast *b = create(FORECAST_ALL, 12, 5);
    struct ext_rng r;

    for (size_t round = 0; round < 2; round++) {
        ext_rng_init(&r, 1);
        for (size_t i = 0; i < 600; i++) {
            struct forecast_value va, vb;
            double x = 10 * sin(i * M_PI / 6) + ext_rng_normal(&r);

            add(a, x);
            add(b, x);
            forecast_get(a, 5, &va);
            forecast_get(b, 5, &vb);
            CHECK(va.mean == vb.mean && va.lo == vb.lo && va.hi == vb.hi
                  && va.model == vb.model);
        }
        /* The second time, one is new and one has been reset. */
        forecast_reset(a);
        forecast_destroy(b);
        b = create(FORECAST_ALL, 12, 5);
    }
    forecast_destroy(a);
    forecast_destroy(b);
}

static void
test_no_allocation(void)
{
    struct forecast *f = create(FORECAST_ALL, 24, 24);
    struct forecast_value v;
    struct ext_rng r;
    size_t before, fits = 0;

    ext_rng_init(&r, 1);
    before = n_allocations;
    CHECK(before > 0 || !COUNTS_ALLOCATIONS);   /* create() did. */
    for (size_t i = 0; i < 3000; i++) {
        forecast_update(f, i % 100 ? 20 * sin(i * M_PI / 12)
                                     + ext_rng_normal(&r) : NAN);
        fits += forecast_refit(f, fit);
        forecast_get(f, 24, &v);
    }
    CHECK(n_allocations == before);
    CHECK(fits > 10);
    forecast_reset(f);
    CHECK(n_allocations == before);
    forecast_destroy(f);

    /* The sizes that the header names. */
    f = create(FORECAST_LIGHT, 0, 1);
    CHECK(forecast_size(f) < 4096);
    forecast_destroy(f);
    f = create(FORECAST_ALL, 0, 5);
    CHECK(forecast_size(f) < 8192);
    forecast_destroy(f);
}

static void
check_refused(const struct forecast_config *config, const char *why)
{
    char *error;

    CHECK(!forecast_create(config, &error));
    if (!strstr(error, why)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", error, why);
        exit(1);
    }
    free(error);
    CHECK(!forecast_create(config, NULL));
}

static void
test_config(void)
{
    struct forecast_config good, c;
    enum forecast_model model;
    struct forecast *f;

    forecast_config_init(&good);
    CHECK(forecast_config_check(&good, NULL));
#define REFUSED(STATEMENT, WHY)                 \
    do {                                        \
        c = good;                               \
        STATEMENT;                              \
        check_refused(&c, WHY);                 \
    } while (0)
    REFUSED(c.horizon = 0, "horizon 0");
    REFUSED(c.horizon = 513, "horizon 513");
    REFUSED(c.season = 1, "season 1");
    REFUSED(c.season = 2049, "season 2049");
    REFUSED(c.season2 = 10, "second season 10");
    REFUSED((c.season = 24, c.season2 = 24), "second season 24");
    REFUSED((c.season = 24, c.season2 = 4000), "second season 4000");
    REFUSED(c.history = 100000, "history 100000");
    REFUSED(c.coverage = 0.2, "coverage 0.2");
    REFUSED(c.coverage = NAN, "coverage");
    REFUSED((c.min = 1, c.max = 1), "minimum 1");
    REFUSED(c.min = NAN, "minimum");
    REFUSED(c.models = 0, "0x0");
    REFUSED(c.models = 1u << 30, "0x40000000");

    /* A season model without a season leaves last-value. */
    f = create(FORECAST_BIT(FORECAST_HOLT_WINTERS), 0, 1);
    add(f, 3);
    CHECK(mean_of(f, 1) == 3);
    forecast_destroy(f);

    /* The largest that is allowed. */
    c = good;
    c.season = 2047;
    c.season2 = 2048;
    c.horizon = 512;
    c.history = FORECAST_MAX_HISTORY;
    f = forecast_create(&c, NULL);
    CHECK(f);
    for (size_t i = 0; i < 5000; i++) {
        forecast_update(f, i % 2048);
        forecast_refit(f, fit);
    }
    check_sane(f, 512);
    forecast_destroy(f);

    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        CHECK(forecast_model_from_name(forecast_model_name(i), &model));
        CHECK(model == i);
    }
    CHECK(!forecast_model_from_name("oracle", &model));
}

static void
test_ring(void)
{
    struct ext_series s;
    float ring[5];

    ext_series_init(&s, ring, 5);
    for (size_t i = 0; i < 23; i++) {
        ext_series_push(&s, i);
        CHECK(s.n == MIN(i + 1, 5));
        for (size_t age = 0; age < s.n; age++) {
            CHECK(ext_series_get(&s, age) == i - age);
        }
    }
}

static void
test_guess_season(void)
{
    enum { N = 600 };
    struct ext_rng r;
    double v[N];

    ext_rng_init(&r, 1);
    for (size_t i = 0; i < N; i++) {
        v[i] = 0.2 * i + 10 * sin(2 * M_PI * i / 24) + 2 * ext_rng_normal(&r);
    }
    CHECK(forecast_guess_season(v, N, 200) == 24);
    for (size_t i = 0; i < N; i++) {
        v[i] = ext_rng_normal(&r);
    }
    CHECK(forecast_guess_season(v, N, 200) == 0);
    for (size_t i = 0; i < N; i++) {
        v[i] = season_of(i);
    }
    CHECK(forecast_guess_season(v, N, 200) == 7);
    for (size_t i = 0; i < N; i++) {
        v[i] = 5;
    }
    CHECK(forecast_guess_season(v, N, 200) == 0);
    CHECK(forecast_guess_season(v, 3, 200) == 0);
}

/* Outliers are none: neither one at a time nor with gaps. */
static void
test_outliers(void)
{
    struct forecast *f = create(FORECAST_ALL, 0, 1);
    struct ext_rng r;

    ext_rng_init(&r, 3);
    for (size_t i = 0; i < 5000; i++) {
        double x = 100 + 2 * ext_rng_normal(&r);

        add(f, i > 100 && i % 50 == 0 ? x + 60 + i % 7 * 10 : x);
        if (i > 200 && i % 50 != 0) {
            CHECK_NEAR(mean_of(f, 1), 100, 40);
        }
    }
    CHECK(forecast_n_changes(f) == 0);
    forecast_destroy(f);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "constant", test_constant },
        { "hostile", test_hostile },
        { "missing", test_missing },
        { "bounds", test_bounds },
        { "offset", test_offset },
        { "wrap", test_wrap },
        { "far", test_far },
        { "deterministic", test_deterministic },
        { "outliers", test_outliers },
        { "no-allocation", test_no_allocation },
        { "config", test_config },
        { "ring", test_ring },
        { "guess-season", test_guess_season },
        { NULL, NULL },
    };

    return run_forecast_tests(tests, argc, argv);
}
