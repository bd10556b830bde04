/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Weight of the newest sample in the smoothed cost per packet and in the load
 * that no bucket explains. */
#define COST_ALPHA 0.3
#define FIXED_ALPHA 0.1

#define NO_HOME UINT8_MAX       /* In steer_view.home. */

void
steer_view_init(struct steer_view *v)
{
    memset(v, 0, sizeof *v);
}

void
steer_view_destroy(struct steer_view *v)
{
    free(v->list);
    free(v->home);
    free(v->bcur);
    free(v->bpred);
    free(v->allowed);
    free(v->items);
    free(v->items2);
}

void
steer_view_reset(struct steer_view *v)
{
    v->primed = false;
}

static void
view_reserve(struct steer_view *v, size_t n_buckets, size_t n_groups)
{
    if (n_buckets > v->alloc_buckets) {
        v->list = xrealloc(v->list, n_buckets * sizeof *v->list);
        v->home = xrealloc(v->home, n_buckets * sizeof *v->home);
        v->bcur = xrealloc(v->bcur, n_buckets * sizeof *v->bcur);
        v->bpred = xrealloc(v->bpred, n_buckets * sizeof *v->bpred);
        v->items = xrealloc(v->items, n_buckets * sizeof *v->items);
        v->items2 = xrealloc(v->items2, n_buckets * sizeof *v->items2);
        v->alloc_buckets = n_buckets;
    }
    if (n_groups > v->alloc_groups) {
        v->allowed = xrealloc(v->allowed, n_groups * sizeof *v->allowed);
        v->alloc_groups = n_groups;
    }
}

/* Returns 'x' where it is a finite number in 0...max, otherwise the nearest
 * bound (0 for a NaN). */
static double
sane(double x, double max)
{
    return !(x > 0) ? 0 : x > max ? max : x;
}

/* Loads and capacities of cores as measured. */
static void
view_cores(struct steer_view *v)
{
    const struct steer_state *st = v->st;
    double cap_sum = 0;
    size_t n_cap = 0;

    v->part = 0;
    v->n_part = 0;
    for (size_t i = 0; i < v->n_cores; i++) {
        const struct steer_core *c = &st->cores[i];

        v->cur[i] = sane(c->load, 1e3);
        v->cap[i] = sane(c->cap_pps, 1e12);
        if (!c->isolated) {
            v->part |= UINT64_C(1) << i;
            v->n_part++;
            if (v->cap[i] > 0) {
                cap_sum += v->cap[i];
                n_cap++;
            }
        }
    }

    /* Capacities as multiples of their mean.  An estimate that is far off
     * (a core that has seen little traffic) must not distort the picture. */
    double mean = n_cap ? cap_sum / n_cap : 1;
    for (size_t i = 0; i < v->n_cores; i++) {
        double r = v->cap[i] > 0 ? v->cap[i] / mean : 1;
        v->cap[i] = r < 0.25 ? 0.25 : r > 4 ? 4 : r;
    }
}

/* Sums over the buckets of each core. */
struct sums {
    double pps[STEER_MAX_CORES];    /* Measured packets/s. */
    double pred[STEER_MAX_CORES];   /* Predicted packets/s. */
    uint64_t fresh;             /* Cores whose buckets have just changed. */
};

/* Adds up the buckets of each core, and groups the movable ones by core. */
static void
view_list(struct steer_view *v, struct sums *sums)
{
    const struct steer_state *st = v->st;
    uint32_t n[STEER_MAX_CORES] = { 0 };

    memset(sums, 0, sizeof *sums);
    for (size_t i = 0; i < st->n_groups; i++) {
        v->allowed[i] = st->groups[i].cores & v->part;
    }
    for (size_t i = 0; i < v->n_buckets; i++) {
        const struct steer_bucket *b = &st->buckets[i];
        uint8_t home = NO_HOME;

        if (b->core < v->n_cores) {
            sums->pps[b->core] += sane(b->pps, 1e12);
            sums->pred[b->core] += sane(b->pred_pps, 1e12);
            sums->fresh |= ((uint64_t) (b->ticks_since_move < 3
                                        || !b->movable) << b->core);
            if (b->movable && b->group < st->n_groups
                && (v->part >> b->core) & 1) {
                home = b->core;
                n[home]++;
            }
        }
        v->home[i] = home;
    }
    v->start[0] = 0;
    for (size_t c = 0; c < v->n_cores; c++) {
        v->start[c + 1] = v->start[c] + n[c];
        n[c] = v->start[c];
    }
    v->n_list = v->start[v->n_cores];
    for (size_t i = 0; i < v->n_buckets; i++) {
        if (v->home[i] != NO_HOME) {
            v->list[n[v->home[i]]++] = i;
        }
    }
}

/* Predicts loads from the buckets' predicted rates and the cores' smoothed
 * costs per packet. */
static void
view_predict(struct steer_view *v, const struct sums *sums)
{
    const struct steer_state *st = v->st;
    double cur_scale[STEER_MAX_CORES];

    for (size_t c = 0; c < v->n_cores; c++) {
        double pps = sane(st->cores[c].pps, 1e12);
        double cap = sane(st->cores[c].cap_pps, 1e12);
        double nominal = cap > 0 ? 1 / cap : 0;
        double cost = nominal;

        /* Only a core that does some work tells what a packet costs. */
        if (pps > 0 && (v->cur[c] > 0.02 || !nominal)) {
            cost = v->cur[c] / pps;
        }
        if (!v->primed || !(v->cost[c] > 0)) {
            v->cost[c] = cost;
        } else if (v->cur[c] > 1 || cost > 1.2 * v->cost[c]) {
            v->cost[c] = cost;          /* Overload shows at once. */
        } else {
            v->cost[c] += COST_ALPHA * (cost - v->cost[c]);
        }

        double fixed = (pps - sums->pps[c]) * v->cost[c];
        fixed = fixed > 0 ? fixed : 0;
        if (!v->primed) {
            v->fixed[c] = fixed;
        } else if (!((sums->fresh >> c) & 1)) {
            v->fixed[c] += FIXED_ALPHA * (fixed - v->fixed[c]);
        }
        v->pred[c] = sums->pps[c] > 0 || sums->pred[c] > 0
                     ? sane(sums->pred[c] * v->cost[c] + v->fixed[c], 1e3)
                     : v->cur[c];
        cur_scale[c] = sums->pps[c] > 0
                       ? v->cur[c] / MAX(sums->pps[c], pps) : 0;
    }
    for (size_t i = 0; i < v->n_buckets; i++) {
        const struct steer_bucket *b = &st->buckets[i];
        bool ok = b->core < v->n_cores;

        v->bcur[i] = ok ? sane(b->pps, 1e12) * cur_scale[b->core] : 0;
        v->bpred[i] = ok ? sane(b->pred_pps, 1e12) * v->cost[b->core] : 0;
    }
    v->primed = true;
}

/* Digests 'st', which must stay as it is while 'v' is in use. */
void
steer_view_update(struct steer_view *v, const struct steer_state *st)
{
    v->st = st;
    v->n_cores = MIN(st->n_cores, STEER_MAX_CORES);
    v->n_buckets = st->n_buckets;
    view_reserve(v, v->n_buckets, st->n_groups);
    view_cores(v);

    struct sums sums;
    view_list(v, &sums);
    view_predict(v, &sums);

    v->mean_cur = v->mean_pred = 0;
    for (size_t c = 0; c < v->n_cores; c++) {
        if ((v->part >> c) & 1) {
            v->mean_cur += v->cur[c];
            v->mean_pred += v->pred[c];
        }
    }
    if (v->n_part) {
        v->mean_cur /= v->n_part;
        v->mean_pred /= v->n_part;
    }
}

double
steer_view_imbalance(const struct steer_view *v,
                     const struct steer_move *moves, size_t n_moves)
{
    double load[STEER_MAX_CORES];
    double lo = HUGE_VAL, hi = 0;

    memcpy(load, v->pred, sizeof load);
    for (size_t i = 0; i < n_moves; i++) {
        const struct steer_move *m = &moves[i];
        double b = v->bpred[m->bucket];

        load[m->from] -= b;
        load[m->to] += steer_view_rescale(v, b, m->from, m->to);
    }
    for (size_t c = 0; c < v->n_cores; c++) {
        if ((v->part >> c) & 1) {
            lo = MIN(lo, load[c]);
            hi = MAX(hi, load[c]);
        }
    }
    return v->mean_pred > 1e-9 ? (hi - lo) / v->mean_pred : 0;
}

/* Scatters 'src' into 'dst' by DIGIT bits from 'shift' up, largest first, given
 * how many have each value. */
#define DIGIT 7
#define N_DIGITS (1 << DIGIT)
BUILD_ASSERT_DECL(2 * DIGIT == STEER_KEY_BITS);

static void
radix_pass(const struct steer_item *src, struct steer_item *dst, size_t n,
           uint32_t count[N_DIGITS], int shift)
{
    uint32_t at = 0;

    for (int i = N_DIGITS - 1; i >= 0; i--) {
        uint32_t c = count[i];

        count[i] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++) {
        dst[count[(src[i].key >> shift) & (N_DIGITS - 1)]++] = src[i];
    }
}

void
steer_sort(struct steer_item *items, struct steer_item *tmp, size_t n)
{
    uint32_t low[N_DIGITS] = { 0 }, high[N_DIGITS] = { 0 };

    if (n < 2) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        low[items[i].key & (N_DIGITS - 1)]++;
        high[items[i].key >> DIGIT]++;
    }
    radix_pass(items, tmp, n, low, 0);
    radix_pass(tmp, items, n, high, DIGIT);
}
