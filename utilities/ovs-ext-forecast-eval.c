/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Rolling-origin evaluation: after each sample, what is said about the sample
 * 'horizon' later is kept and compared when that comes.  Nothing sees a sample
 * before it has been forecast.  The first samples, the warm-up, are not
 * scored. */

#include <config.h>
#include "utilities/ovs-ext-forecast.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "util.h"

#define TIMING_PASSES 3

/* Errors of one model at one horizon. */
struct result {
    double mae, smape;
    double covered;             /* Share of samples within the interval. */
    double width;               /* Mean width of the interval. */
    size_t n;                   /* Samples scored. */
    size_t n_changes;
    const char *in_force;       /* Model at the end. */
};

/* Mean |error| of the two naive forecasts, computed here from the samples
 * alone: what the library is compared with does not come from it. */
struct naive {
    double scale;               /* Last-value, 1 ahead, in the warm-up. */
    double last, seasonal;      /* Over what is scored, same horizon; of two
                                 * seasons, the better one. */
};

static size_t
warm_up(const struct evaluation *e)
{
    size_t season = MAX(e->config.season, e->config.season2);
    size_t n = e->samples->n;

    return MIN(MAX(n / 5, 2 * season + 32), n / 2);
}

/* The last sample at or before 'i' that is not missing. */
static double
known(const double *v, size_t i)
{
    while (i > 0 && !isfinite(v[i])) {
        i--;
    }
    return v[i];
}

static void
run_naive(const struct evaluation *e, size_t horizon, struct naive *naive)
{
    const double *v = e->samples->v;
    size_t warm = warm_up(e), n_scale = 0, n = 0;
    size_t season[] = { e->config.season, e->config.season2 };
    double seasonal[] = { 0, 0 };

    *naive = (struct naive) { 0, 0, 0 };
    for (size_t i = 1; i < warm; i++) {
        if (isfinite(v[i])) {
            naive->scale += fabs(v[i] - known(v, i - 1));
            n_scale++;
        }
    }
    naive->scale /= MAX(n_scale, 1);
    for (size_t i = warm + horizon - 1; i < e->samples->n; i++) {
        if (!isfinite(v[i])) {
            continue;
        }
        naive->last += fabs(v[i] - known(v, i - horizon));
        for (size_t s = 0; s < 2; s++) {
            if (season[s]) {
                size_t back = ROUND_UP(horizon, season[s]);

                seasonal[s] += fabs(v[i] - (i >= back ? known(v, i - back)
                                            : v[0]));
            }
        }
        n++;
    }
    naive->last /= MAX(n, 1);
    naive->seasonal = (season[1] ? MIN(seasonal[0], seasonal[1])
                       : seasonal[0]) / MAX(n, 1);
}

static void
run(const struct evaluation *e, struct forecast *f, struct forecast_fit *fit,
    size_t horizon, struct result *r)
{
    const double *v = e->samples->v;
    struct forecast_value *said = xcalloc(horizon, sizeof *said);
    size_t first = warm_up(e) + horizon - 1;

    *r = (struct result) { .n = 0 };
    for (size_t i = 0; i < e->samples->n; i++) {
        struct forecast_value *s = &said[i % horizon];

        if (i >= first && isfinite(v[i])) {
            double size = fabs(v[i]) + fabs(s->mean);

            r->mae += fabs(v[i] - s->mean);
            r->smape += size > 0 ? 200 * fabs(v[i] - s->mean) / size : 0;
            r->covered += s->lo <= v[i] && v[i] <= s->hi;
            r->width += s->hi - s->lo;
            r->n++;
        }
        forecast_update(f, v[i]);
        forecast_refit(f, fit);
        forecast_get(f, horizon, s);
        r->in_force = forecast_model_name(s->model);
    }
    r->mae /= MAX(r->n, 1);
    r->smape /= MAX(r->n, 1);
    r->covered /= MAX(r->n, 1);
    r->width /= MAX(r->n, 1);
    r->n_changes = forecast_n_changes(f);
    free(said);
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* Times updates, and apart from them refits, the best of a few passes. */
static void
time_updates(const struct evaluation *e, struct forecast *f,
             struct forecast_fit *fit, double *update_ns, double *refit_ns)
{
    *update_ns = *refit_ns = INFINITY;
    for (size_t pass = 0; pass < TIMING_PASSES; pass++) {
        uint64_t start = now_ns(), refit = 0;
        size_t n_refits = 0;

        forecast_reset(f);
        for (size_t i = 0; i < e->samples->n; i++) {
            forecast_update(f, e->samples->v[i]);
            if (i % 64 == 63) {
                uint64_t before = now_ns();

                n_refits += forecast_refit(f, fit);
                refit += now_ns() - before;
            }
        }
        double n = e->samples->n;
        *update_ns = MIN(*update_ns, (now_ns() - start - refit) / n);
        *refit_ns = MIN(*refit_ns, (double) refit / MAX(n_refits, 1));
    }
}

static void
print_ratio(const char *key, double a, double b)
{
    if (b > 0) {
        printf(", \"%s\": %.4f", key, a / b);
    } else {
        printf(", \"%s\": null", key);
    }
}

/* One line for 'model', or for all of them with the choice between them. */
static void
evaluate_model(const struct evaluation *e, size_t horizon, int model,
               const struct naive *naive, struct forecast_fit *fit)
{
    struct forecast_config config = e->config;
    double update_ns, refit_ns;
    struct result r;

    config.horizon = horizon;
    config.models = model < 0 ? e->config.models : FORECAST_BIT(model);

    struct forecast *f = forecast_create(&config, NULL);
    run(e, f, fit, horizon, &r);
    time_updates(e, f, fit, &update_ns, &refit_ns);
    printf("{\"series\": \"%s\", \"samples\": %"PRIuSIZE", \"scored\": "
           "%"PRIuSIZE", \"season\": %"PRIuSIZE", \"season2\": %"PRIuSIZE", "
           "\"horizon\": %"PRIuSIZE", \"model\": \"%s\"", e->series,
           e->samples->n, r.n, config.season, config.season2, horizon,
           model < 0 ? "auto" : forecast_model_name(model));
    print_ratio("mase", r.mae, naive->scale);
    print_ratio("vs_last_value", r.mae, naive->last);
    print_ratio("vs_seasonal_naive", r.mae, naive->seasonal);
    printf(", \"smape\": %.3f, \"coverage90\": %.4f", r.smape, r.covered);
    print_ratio("width", r.width, naive->scale);
    printf(", \"ns_per_update\": %.0f, \"ns_per_refit\": %.0f, "
           "\"bytes\": %"PRIuSIZE", \"changes\": %"PRIuSIZE,
           update_ns, refit_ns, forecast_size(f), r.n_changes);
    if (model < 0) {
        printf(", \"in_force\": \"%s\"", r.in_force);
    }
    printf("}\n");
    forecast_destroy(f);
}

/* Prints a line of JSON for each horizon and model. */
void
evaluate(const struct evaluation *e)
{
    struct forecast_fit *fit = forecast_fit_create();

    for (size_t i = 0; i < e->n_horizons; i++) {
        struct naive naive;

        run_naive(e, e->horizons[i], &naive);
        for (int model = -1; model < FORECAST_MIX; model++) {
            if (model >= 0 && !(e->config.models & FORECAST_BIT(model))) {
                continue;
            }
            if (!e->config.season && (model == FORECAST_SEASONAL_NAIVE
                                      || model == FORECAST_HOLT_WINTERS)) {
                continue;
            }
            evaluate_model(e, e->horizons[i], model, &naive, fit);
        }
    }
    forecast_fit_destroy(fit);
}
