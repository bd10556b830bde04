/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What is known of hosts and groups, as features of the regression. */

#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "ovs-ext/session/tpam-impl.h"
#include "util.h"

#define LEVEL_DECAY 0.6
#define NOISE_DECAY 0.03
/* A sample farther off is a change rather than noise. */
#define MAX_NOISE 0.06
#define MAX_NOISE_LATENCY 0.12          /* Of the level. */
/* By how much latency must show more load than the rest does, for somebody
 * else to be the reason. */
#define HIDDEN_LOAD 0.06
#define SIGMAS_90 3.29          /* Width of a 90 % interval. */

/* Uncertainty of the room elsewhere, and of which group is the largest. */
#define ROOM_SIGMA 0.02
#define LOAD_SCALE 0.03         /* Of the load. */

enum {
    MAX_OVER = 18,              /* Periods. */
    SETTLE = 4,                 /* After a group left: no trend so long. */
    LATELY = 6
};

static double
load_of_latency(double us, double floor_us)
{
    return us > floor_us && isfinite(floor_us) ? 1 - floor_us / us : 0;
}

/* Takes 'now' into account. */
void
tpam_host_sampled__(struct tpam_host_state *h)
{
    for (int i = 0; i < TPAM_N_SERIES; i++) {
        bool is_load = i != TPAM_LATENCY;
        double error, max;

        if (!isfinite(h->now[i])) {
            continue;
        }
        if (isnan(h->level[i])) {
            h->level[i] = h->now[i];
            h->noise[i] = is_load ? 1e-4 : 1e4;
        }
        error = h->now[i] - h->level[i];
        h->level[i] += LEVEL_DECAY * error;
        max = is_load ? MAX_NOISE : MAX_NOISE_LATENCY * h->level[i];
        error = MIN(MAX(error, -max), max);
        h->noise[i] += NOISE_DECAY * (error * error - h->noise[i]);
    }
}

/* The latency of 'h' with 'change' more load. */
static void
change_latency(struct tpam_host_state *h, double change)
{
    double load = load_of_latency(h->level[TPAM_LATENCY], h->floor_us);

    if (load > 0) {
        load = MIN(MAX(load + change, 0), 0.97);
        h->level[TPAM_LATENCY] = h->floor_us / (1 - load);
    }
}

/* 'load' has left 'h': so much is known before it is measured. */
void
tpam_host_loses__(struct tpam_host_state *h, double load)
{
    double left = (h->level[TPAM_CPU] > load
                   ? 1 - load / h->level[TPAM_CPU] : 0);

    h->level[TPAM_CPU] *= left;
    h->level[TPAM_BANDWIDTH] *= left;
    change_latency(h, -load);
}

/* 'load' has come to 'h'. */
void
tpam_host_gains__(struct tpam_host_state *h, double load)
{
    h->level[TPAM_CPU] += load;
    change_latency(h, load);
}

static double
limit_of(const struct tpam *t, enum tpam_series series)
{
    return series == TPAM_LATENCY ? t->config.slo_us : t->config.limit;
}

bool
tpam_host_is_over__(const struct tpam *t, const struct tpam_host_state *h)
{
    for (int i = 0; i < TPAM_N_SERIES; i++) {
        if (h->now[i] > limit_of(t, i)) {
            return true;
        }
    }
    return false;
}

/* What series 'i' gains a period. */
static double
trend_of(const struct tpam *t, const struct tpam_host_state *h,
         enum tpam_series i)
{
    struct forecast_value next, last;

    if (h->left_at && t->n_runs - h->left_at < SETTLE) {
        return 0;
    }
    return (forecast_get(h->series[i], 1, &next)
            && forecast_get(h->series[i], t->config.horizon, &last)
            ? (last.mean - next.mean) / (t->config.horizon - 1) : 0);
}

/* The probability that 'h' will be over a limit in 'ahead' periods. */
static double
over_in(const struct tpam *t, const struct tpam_host_state *h,
        const double trend[TPAM_N_SERIES], unsigned int ahead)
{
    double below = 1;

    for (int i = 0; i < TPAM_N_SERIES; i++) {
        double limit = limit_of(t, i);

        if (isfinite(h->level[i])) {
            double sigma = MAX(sqrt(h->noise[i]), 0.01 * limit);
            double z = (h->level[i] + trend[i] * ahead - limit) / sigma;

            below *= 0.5 * erfc(z * M_SQRT1_2);
        }
    }
    return 1 - below;
}

/* Says how long 'h' will have been over its limits. */
static void
project(const struct tpam *t, struct tpam_host_state *h)
{
    unsigned int soon = t->config.horizon / 2, late = t->config.horizon;
    double trend[TPAM_N_SERIES], how_long = h->over_for;

    for (int i = 0; i < TPAM_N_SERIES; i++) {
        trend[i] = trend_of(t, h, i);
    }
    for (unsigned int ahead = 1; ahead <= 2 * late; ahead++) {
        double over = over_in(t, h, trend, MIN(ahead, late));

        how_long = MIN(MAX(how_long + 3 * over - 2, 0), MAX_OVER);
        if (ahead == soon) {
            h->over_soon = over;
            h->long_soon = how_long;
        } else if (ahead == late) {
            h->over_late = over;
            h->long_late = how_long;
        }
    }
    h->long_far = how_long;
}

void
tpam_host_run__(const struct tpam *t, struct tpam_host_state *h)
{
    double hidden = load_of_latency(h->level[TPAM_LATENCY], h->floor_us);
    double cpu = isnan(h->level[TPAM_CPU]) ? 0 : h->level[TPAM_CPU];

    h->over_for = (tpam_host_is_over__(t, h) ? MIN(h->over_for + 1, MAX_OVER)
                   : MAX(h->over_for - 2, 0));
    project(t, h);
    h->busy = MAX(cpu, hidden);
    h->expected = (hidden > cpu + HIDDEN_LOAD ? hidden
                   : fmax(cpu, fmax(h->level[TPAM_MEMORY],
                                    h->level[TPAM_BANDWIDTH])));
    h->promised = 0;
    h->n_groups = 0;
}

static int
by_load(const void *a_, const void *b_)
{
    const struct tpam_group_state *a = *(struct tpam_group_state *const *) a_;
    const struct tpam_group_state *b = *(struct tpam_group_state *const *) b_;

    return (a->load != b->load ? (a->load < b->load ? 1 : -1)
            : a->number < b->number ? -1 : a->number > b->number);
}

/* Adds to the shares of the groups of 'h' what they have if there is 'room'
 * elsewhere, 'weight' in all: the largest that fits, or one that might be. */
static void
add_shares(struct tpam_host_state *h, double room, double weight)
{
    size_t first = 0, last;
    double top, sum = 0;

    while (first < h->n_groups && h->groups[first]->load > room) {
        first++;
    }
    if (first == h->n_groups) {
        return;
    }
    top = MAX(h->groups[first]->load, 1e-3);
    for (last = first; last < h->n_groups; last++) {
        double lag = (h->groups[last]->load - top) / (LOAD_SCALE * top);

        if (lag < -15) {
            break;
        }
        sum += exp(lag);
    }
    for (size_t i = first; i < last; i++) {
        struct tpam_group_state *g = h->groups[i];

        g->share += weight * exp((g->load - top) / (LOAD_SCALE * top)) / sum;
    }
}

/* Finds the shares: an integral over the room, which is normal. */
static void
find_shares(struct tpam_host_state *h, double room)
{
    static const double points[] = { -1.8, -1.1, -0.5, 0, 0.5, 1.1, 1.8 };
    static const double weights[] = {
        0.06, 0.14, 0.19, 0.22, 0.19, 0.14, 0.06
    };

    for (size_t i = 0; i < h->n_groups; i++) {
        h->groups[i]->share = 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        add_shares(h, room + points[i] * ROOM_SIGMA, weights[i]);
    }
}

/* How far the latency of 'g' will be over what is too much, in sigmas. */
static double
late_by(const struct tpam *t, const struct tpam_group_state *g)
{
    struct forecast_value v;
    double sigma;

    if (!forecast_get(g->latency, t->config.horizon, &v)) {
        return -6;
    }
    sigma = MAX((v.hi - v.lo) / SIGMAS_90, 0.01 * t->config.slo_us);
    return MIN(MAX((v.mean - t->config.slo_us) / sigma, -6), 6);
}

static double
above(double how_long)
{
    return MAX(how_long - 9, 0) / 6;
}

/* Features of the groups of 'h'; 'room' is what the least loaded other host
 * can take. */
void
tpam_host_features__(const struct tpam *t, struct tpam_host_state *h,
                     double room)
{
    double longer = above(h->long_late);

    if (h->n_groups) {
        qsort(h->groups, h->n_groups, sizeof *h->groups, by_load);
    }
    find_shares(h, h->draining ? INFINITY : room);
    for (size_t i = 0; i < h->n_groups; i++) {
        struct tpam_group_state *g = h->groups[i];
        double log_share = log(MAX(g->share, 0.02));
        double excess = (h->busy - t->config.target) / MAX(g->load, 1e-3);

        g->x[TPAM_F_ONE] = 1;
        g->x[TPAM_F_LATENCY] = late_by(t, g) / 3;
        g->x[TPAM_F_LONG_SOON] = h->long_soon / 15;
        g->x[TPAM_F_LONG_LATE] = h->long_late / 15;
        g->x[TPAM_F_LONGER_SOON] = above(h->long_soon);
        g->x[TPAM_F_LONGER_LATE] = longer;
        g->x[TPAM_F_LONGER_NOW] = above(h->over_for);
        g->x[TPAM_F_OVER_SOON] = h->over_soon;
        g->x[TPAM_F_OVER_LATE] = h->over_late;
        g->x[TPAM_F_LOG_SHARE] = log_share;
        g->x[TPAM_F_SHARE] = g->share;
        g->x[TPAM_F_EXCESS] = MIN(MAX(excess, -2), 2);
        g->x[TPAM_F_LATELY] = h->left_at && t->n_runs - h->left_at < LATELY;
        g->x[TPAM_F_LONGER_LOG_SHARE] = longer * log_share;
        g->x[TPAM_F_LONGER_SHARE] = longer * g->share;
        g->x[TPAM_F_LONGER_FAR] = MIN(above(h->long_far), 1);
    }
}
