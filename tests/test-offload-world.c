/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "tests/test-offload-world.h"

#include <math.h>

uint32_t
world_poisson(struct ext_rng *rng, double mean)
{
    if (mean > 30) {
        double x = mean + sqrt(mean) * ext_rng_normal(rng) + 0.5;

        return x > 0 ? x : 0;
    }

    double limit = exp(-mean), p = ext_rng_double(rng);
    uint32_t k = 0;

    while (p > limit) {
        p *= ext_rng_double(rng);
        k++;
    }
    return k;
}

static int
descending(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a > *b ? -1 : *a < *b;
}

void
world_shuffle(struct world *w, double pps, double exponent)
{
    double sum = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        w->rate[i] = pow(i + 1, -exponent);
        sum += w->rate[i];
    }
    for (uint32_t i = 0; i < w->n; i++) {
        w->rate[i] *= pps / sum;
    }
    memcpy(w->sorted, w->rate, w->n * sizeof *w->rate);
    qsort(w->sorted, w->n, sizeof *w->sorted, descending);
    for (uint32_t i = w->n - 1; i > 0; i--) {
        uint32_t j = ext_rng_range(&w->rng, i + 1);
        double tmp = w->rate[i];

        w->rate[i] = w->rate[j];
        w->rate[j] = tmp;
    }
}

void
world_init(struct world *w, uint32_t n, uint32_t capacity, double budget)
{
    struct offload_config config = OFFLOAD_CONFIG_DEFAULT;

    memset(w, 0, sizeof *w);
    config.budget = budget;
    ext_rng_init(&w->rng, 7);
    w->plan = offload_plan_create(&config, 0);
    w->port = offload_plan_add_port(w->plan);
    w->n = n;
    w->capacity = capacity;
    w->broken = OFFLOAD_DONE;
    w->id = xcalloc(n, sizeof *w->id);
    w->rate = xcalloc(n, sizeof *w->rate);
    w->sorted = xcalloc(n, sizeof *w->sorted);
    w->packets = xcalloc(n, sizeof *w->packets);
    w->in = xcalloc(n, sizeof *w->in);
    for (uint32_t i = 0; i < n; i++) {
        w->id[i] = offload_plan_add(w->plan, w->port, 0,
                                    (void *) (uintptr_t) i, 0);
    }
}

void
world_destroy(struct world *w)
{
    offload_plan_destroy(w->plan);
    free(w->id);
    free(w->rate);
    free(w->sorted);
    free(w->packets);
    free(w->in);
}

static enum offload_result
nic_update(struct world *w, uint32_t i, bool insert)
{
    CHECK(w->in[i] != insert);
    if (!insert) {
        w->in[i] = false;
        w->used--;
        w->n_evicts++;
        return OFFLOAD_DONE;
    }
    w->n_inserts++;
    if (w->broken != OFFLOAD_DONE || w->used >= w->capacity) {
        w->n_refused++;
        return w->broken != OFFLOAD_DONE ? w->broken : OFFLOAD_NO_SPACE;
    }
    w->in[i] = true;
    w->used++;
    w->peak = MAX(w->peak, w->used);
    return OFFLOAD_DONE;
}

/* Carries out updates in the millisecond 'now'. */
static void
run_updates(struct world *w)
{
    struct offload_update u;
    uint64_t n = 0, sum = 0;

    while (offload_plan_next(w->plan, w->now, &u)) {
        uint32_t i = (uintptr_t) u.aux;

        CHECK_EQ(u.id, w->id[i]);
        offload_plan_result(w->plan, u.id, nic_update(w, i, u.insert),
                            w->now);
        n++;
    }
    w->n_updates += n;
    w->second[w->now % 1000] = n;
    for (int i = 0; i < 1000; i++) {
        sum += w->second[i];
    }
    w->peak_updates = MAX(w->peak_updates, sum);
}

void
world_run(struct world *w, long long int ms)
{
    for (long long int end = w->now + ms; w->now < end; ) {
        w->now++;
        if (w->now % INTERVAL == 0) {
            for (uint32_t i = 0; i < w->n; i++) {
                if (w->rate[i] > 0) {
                    w->packets[i] += world_poisson(&w->rng,
                                                   w->rate[i] * INTERVAL / 1e3);
                }
                offload_plan_count(w->plan, w->id[i], w->packets[i], w->now);
            }
            offload_plan_tick(w->plan, w->now);
        }
        run_updates(w);
    }
}

double
world_share(const struct world *w)
{
    double sum = 0, all = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        all += w->rate[i];
        sum += w->in[i] ? w->rate[i] : 0;
    }
    return sum / all;
}

double
world_oracle(const struct world *w)
{
    double sum = 0, all = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        all += w->sorted[i];
        sum += i < w->capacity ? w->sorted[i] : 0;
    }
    return sum / all;
}
