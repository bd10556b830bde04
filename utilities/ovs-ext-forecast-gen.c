/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Made-up series: kinds of behaviour that rates, utilisations and counts of
 * sessions show, each drawn from a seed. */

#include <config.h>
#include "utilities/ovs-ext-forecast.h"

#include <math.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

/* A day of 'm' samples at place 'i' of it: busy hours, a dip at noon, a quiet
 * night; about -1...1. */
static double
day(size_t i, size_t m)
{
    double a = 2 * M_PI * i / m;

    return -0.75 * cos(a) - 0.3 * cos(2 * a + 0.6) + 0.12 * sin(4 * a);
}

static void
make_day__(struct samples *s, size_t n, uint64_t seed, size_t m, double noise,
           double phi, double trend)
{
    struct ext_rng r;
    double e = 0;

    ext_rng_init(&r, seed);
    double level = 100 + 20 * ext_rng_double(&r);
    size_t phase = ext_rng_range(&r, m);
    for (size_t i = 0; i < n; i++) {
        e = phi * e + noise * ext_rng_normal(&r);
        samples_add(s, level + trend * i + 40 * day((i + phase) % m, m) + e);
    }
}

#define MAKE_DAY(NAME, M, NOISE, PHI, TREND)                        \
    static void                                                     \
    NAME(struct samples *s, size_t n, uint64_t seed)                \
    {                                                               \
        make_day__(s, n, seed, M, NOISE, PHI, TREND);               \
    }
MAKE_DAY(make_day, 24, 5, 0.6, 0)
MAKE_DAY(make_day_trend, 24, 6, 0.3, 0.03)
MAKE_DAY(make_five_minutes, 288, 1, 0.3, 0)
MAKE_DAY(make_rough_day, 288, 3, 0.9, 0)

/* The amplitude of day and noise grows with the level. */
static void
make_day_growth(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double e = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        e = 0.7 * e + 0.06 * ext_rng_normal(&r);
        samples_add(s, exp(4 + 0.4 * i / n + 0.4 * day(i % 24, 24) + e));
    }
}

/* Days, and quiet week ends. */
static void
make_week(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double e = 0;

    ext_rng_init(&r, seed);
    size_t phase = ext_rng_range(&r, 168);
    for (size_t i = 0; i < n; i++) {
        size_t hour = (i + phase) % 168;
        double busy = hour / 24 >= 5 ? 0.35 : 1;

        e = 0.75 * e + 4 * ext_rng_normal(&r);
        samples_add(s, 60 + busy * (40 + 40 * day(hour % 24, 24)) + e);
    }
}

/* Days with outliers and missing samples. */
static void
make_dirty(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    size_t i;

    make_day(s, n, seed);
    ext_rng_init_stream(&r, seed, 1);
    for (i = 30; i < n; i++) {
        double u = ext_rng_double(&r);

        if (u < 0.01) {
            s->v[i] *= 2 + 3 * ext_rng_double(&r);
        } else if (u < 0.03) {
            s->v[i] = NAN;
        }
    }
}

static void
make_ar__(struct samples *s, size_t n, uint64_t seed, double a, double b)
{
    struct ext_rng r;
    double x = 0, old = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        double next = a * x + b * old + ext_rng_normal(&r);

        old = x;
        x = next;
        samples_add(s, 50 + x);
    }
}

static void
make_ar1(struct samples *s, size_t n, uint64_t seed)
{
    make_ar__(s, n, seed, 0.7, 0);
}

static void
make_ar2(struct samples *s, size_t n, uint64_t seed)
{
    make_ar__(s, n, seed, 1.5, -0.8);
}

static void
make_noise(struct samples *s, size_t n, uint64_t seed)
{
    make_ar__(s, n, seed, 0, 0);
}

static void
make_walk(struct samples *s, size_t n, uint64_t seed)
{
    make_ar__(s, n, seed, 1, 0);
}

/* A random walk seen through noise. */
static void
make_noisy_walk(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double x = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        x += 0.4 * ext_rng_normal(&r);
        samples_add(s, 50 + x + ext_rng_normal(&r));
    }
}

static void
make_trend(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double slope = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0, left = 0; i < n; i++, left--) {
        if (!left) {            /* Straight for a while. */
            left = 200 + ext_rng_range(&r, 400);
            slope = ext_rng_normal(&r) * 0.5;
        }
        samples_add(s, (i ? s->v[i - 1] : 500) + slope);
    }
    for (size_t i = 0; i < n; i++) {
        s->v[i] += 2 * ext_rng_normal(&r);
    }
}

static void
make_shifts(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double level = 100;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        if (ext_rng_double(&r) < 0.01) {
            level = 40 + 120 * ext_rng_double(&r);
        }
        samples_add(s, level + 4 * ext_rng_normal(&r));
    }
}

/* Bursts: on for a while, off for a while. */
static void
make_bursts(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    bool on = false;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        if (ext_rng_double(&r) < (on ? 0.2 : 0.1)) {
            on = !on;
        }
        samples_add(s, (on ? 80 : 10) * exp(0.2 * ext_rng_normal(&r)));
    }
}

/* Sources that are on and off for times from a heavy-tailed distribution:
 * self-similar traffic (Willinger et al. 1997). */
static void
make_self_similar(struct samples *s, size_t n, uint64_t seed)
{
    enum { N_SOURCES = 40 };
    double left[N_SOURCES];
    bool on[N_SOURCES];
    struct ext_rng r;

    ext_rng_init(&r, seed);
    for (size_t j = 0; j < N_SOURCES; j++) {
        on[j] = ext_rng_range(&r, 2);
        left[j] = 10 * ext_rng_double(&r);
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (size_t j = 0; j < N_SOURCES; j++) {
            double t = 1;       /* Left of this sample. */

            while (left[j] < t) {
                sum += on[j] ? left[j] : 0;
                t -= left[j];
                on[j] = !on[j];
                left[j] = 2 * pow(1 - ext_rng_double(&r), -1 / 1.4);
            }
            sum += on[j] ? t : 0;
            left[j] -= t;
        }
        samples_add(s, sum + 0.5 * ext_rng_normal(&r));
    }
}

/* Flash crowds: sudden demand that wears off. */
static void
make_flash(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double crowd = 0, e = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        crowd *= 0.93;
        if (ext_rng_double(&r) < 0.01) {
            crowd += 50 + 200 * ext_rng_double(&r);
        }
        e = 0.5 * e + 3 * ext_rng_normal(&r);
        samples_add(s, MAX(0, 40 + crowd + e));
    }
}

/* Utilisation of a core: bounded, a slow cycle that nobody configured, noise
 * of sampling. */
static void
make_utilization(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double x = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        x = 0.97 * x + 0.15 * ext_rng_normal(&r);
        double u = (1 / (1 + exp(-x - 0.8 * sin(i * 0.05)))
                    + 0.05 * ext_rng_normal(&r));

        samples_add(s, MAX(0, MIN(u, 1)));
    }
}

/* A sawtooth that nobody configured as a season: timers, batches. */
static void
make_sawtooth(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        samples_add(s, 20 + 5 * (i % 12) + 2 * ext_rng_normal(&r));
    }
}

/* Not linear: what grows beyond a threshold falls back. */
static void
make_threshold(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double x = 0;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        x = (x > 1 ? -0.8 * x + 1.5 : 0.9 * x + 0.8) + 0.3 *
            ext_rng_normal(&r);
        samples_add(s, 50 + 10 * x);
    }
}

/* Counts of rare events: packets of a small flow. */
static void
make_counts(struct samples *s, size_t n, uint64_t seed)
{
    struct ext_rng r;
    double rate = 3;

    ext_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;

        rate = exp(log(3) + 0.95 * (log(rate) - log(3))
                   + 0.1 * ext_rng_normal(&r));
        for (double t = ext_rng_exp(&r); t < rate; t += ext_rng_exp(&r)) {
            count++;
        }
        samples_add(s, count);
    }
}

const struct family families[] = {
    { "day", "hourly, a day", 24, 0, make_day },
    { "day-trend", "hourly, a day, growing", 24, 0, make_day_trend },
    { "day-growth", "hourly, amplitude grows with level", 24, 0,
      make_day_growth },
    { "five-minutes", "every five minutes, a day", 288, 0,
      make_five_minutes },
    { "week", "hourly, a day and a week", 24, 168, make_week },
    { "dirty", "day with outliers and missing samples", 24, 0, make_dirty },
    { "ar1", "autoregressive", 0, 0, make_ar1 },
    { "ar2", "autoregressive, waves", 0, 0, make_ar2 },
    { "noise", "independent samples", 0, 0, make_noise },
    { "noisy-walk", "random walk under noise", 0, 0, make_noisy_walk },
    { "trend", "straight lines under noise", 0, 0, make_trend },
    { "shifts", "jumps of the level", 0, 0, make_shifts },
    { "bursts", "on and off", 0, 0, make_bursts },
    { "self-similar", "heavy-tailed sources", 0, 0, make_self_similar },
    { "flash", "flash crowds", 0, 0, make_flash },
    { "utilization", "0...1, a slow wave", 0, 0, make_utilization },
    { "sawtooth", "a period that is not configured", 0, 0, make_sawtooth },
    { "threshold", "not linear", 0, 0, make_threshold },
    { "counts", "rare events", 0, 0, make_counts },
    { "random-walk", "nothing to predict", 0, 0, make_walk },
    { "rough-day", "next to nothing to predict one ahead", 288, 0,
      make_rough_day },
    { NULL, NULL, 0, 0, NULL },
};

const struct family *
family_find(const char *name)
{
    for (const struct family *f = families; f->name; f++) {
        if (!strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}
