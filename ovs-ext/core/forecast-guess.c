/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* A guess at the length of the season. */

#include <config.h>
#include "ovs-ext/core/forecast.h"

#include <math.h>

#include "util.h"

#define LEAST 0.3               /* Autocorrelation of a season, at least. */
#define TIE 0.05                /* A shorter one this close is preferred. */

/* Autocorrelation at 'lag' of the series less its linear trend. */
static double
correlation(const double *v, size_t n, size_t lag)
{
    double mean = 0, slope = 0, t0 = (n - 1) / 2.0, var_t = 0;
    double cov = 0, var = 0;

    for (size_t i = 0; i < n; i++) {
        mean += v[i] / n;
    }
    for (size_t i = 0; i < n; i++) {
        slope += (i - t0) * (v[i] - mean);
        var_t += (i - t0) * (i - t0);
    }
    slope /= var_t;
    for (size_t i = 0; i < n; i++) {
        double x = v[i] - mean - slope * (i - t0);

        var += x * x;
        if (i >= lag) {
            cov += x * (v[i - lag] - mean - slope * (i - lag - t0));
        }
    }
    /* Not what rounding leaves of a straight line. */
    double least = n * mean * mean * 1e-18;
    return var > least ? cov / var * n / (n - lag) : 0;
}

/* Returns the length of the season of the 'n' samples 'values' (finite), at
 * most 'max' and at most a third of 'n', or 0 if there is none to be seen: the
 * first peak of the autocorrelation that is about as high as the highest.
 * Takes n * max steps. */
size_t
forecast_guess_season(const double *values, size_t n, size_t max)
{
    double best = 0, before = 1, here, next;
    size_t season = 0;

    max = MIN(max, n / 3);
    if (n < 12 || max < 3) {
        return 0;
    }
    here = correlation(values, n, 2);
    before = correlation(values, n, 1);
    for (size_t lag = 2; lag <= max; lag++) {
        next = correlation(values, n, lag + 1);
        if (here > before && here >= next && here > LEAST
            && here > best + TIE) {
            best = here;
            season = lag;
        }
        before = here;
        here = next;
    }
    return season;
}
