/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/tpam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ovs-ext/session/tpam-impl.h"
#include "util.h"

#define SIGMAS_90 3.29          /* Width of a 90 % interval. */
#define OVER_DECAY 0.1
/* What a group may be too large, for rooms are guessed. */
#define ROOM_MARGIN 0.005
/* Of who is on a host that drains: announced rather than predicted. */
#define DRAIN_PROBABILITY 0.97
#define LOAD_DECAY 0.2

void
tpam_config_init(struct tpam_config *config)
{
    *config = (struct tpam_config) {
        .period = 1,
        .horizon = 6,
        .limit = 0.85,
        .target = 0.75,
        .slo_us = 2000,
        .on = 0.8,
        .off = 0.3,
        .hold = 10,
        .n_targets = 2,
        .weights = {
#include "ovs-ext/session/tpam-weights.inc"
        },
    };
}

struct tpam *
tpam_create(const struct tpam_config *config)
{
    struct tpam *t = xzalloc(sizeof *t);

    t->config = *config;
    t->config.horizon = MAX(t->config.horizon, 3);
    t->config.n_targets = MIN(t->config.n_targets, TPAM_MAX_TARGETS);
    hmap_init(&t->hosts);
    hmap_init(&t->groups);
    return t;
}

static void
host_free(struct tpam *t, struct tpam_host_state *h)
{
    hmap_remove(&t->hosts, &h->node);
    for (int i = 0; i < TPAM_N_SERIES; i++) {
        forecast_destroy(h->series[i]);
    }
    free(h->groups);
    free(h);
}

static void
group_free(struct tpam *t, struct tpam_group_state *g)
{
    hmap_remove(&t->groups, &g->node);
    forecast_destroy(g->rate);
    forecast_destroy(g->latency);
    free(g);
}

void
tpam_destroy(struct tpam *t)
{
    struct tpam_group_state *g, *next_g;
    struct tpam_host_state *h, *next_h;

    if (t) {
        HMAP_FOR_EACH_SAFE (g, next_g, node, &t->groups) {
            group_free(t, g);
        }
        HMAP_FOR_EACH_SAFE (h, next_h, node, &t->hosts) {
            host_free(t, h);
        }
        hmap_destroy(&t->groups);
        hmap_destroy(&t->hosts);
        free(t);
    }
}

static struct tpam_host_state *
host_find(const struct tpam *t, uint32_t number)
{
    struct tpam_host_state *h;

    HMAP_FOR_EACH_WITH_HASH (h, node, hash_int(number, 0), &t->hosts) {
        if (h->number == number) {
            return h;
        }
    }
    return NULL;
}

static struct tpam_group_state *
group_find(const struct tpam *t, uint64_t number)
{
    struct tpam_group_state *g;

    HMAP_FOR_EACH_WITH_HASH (g, node, hash_uint64(number), &t->groups) {
        if (g->number == number) {
            return g;
        }
    }
    return NULL;
}

static struct forecast *
make_forecast(const struct tpam *t, double max)
{
    struct forecast_config config;

    forecast_config_init(&config);
    config.horizon = t->config.horizon;
    config.season = t->config.season;
    config.models = FORECAST_LIGHT;
    config.min = 0;
    config.max = max;
    return forecast_create(&config, NULL);
}

/* Takes the sample of 'host' for the period that the next tpam_run() ends.  A
 * host that is not known yet is a member from now on. */
void
tpam_host(struct tpam *t, uint32_t number, const struct tpam_host_sample *s)
{
    struct tpam_host_state *h = host_find(t, number);
    double now[TPAM_N_SERIES] = {
        s->cpu, s->memory, s->bandwidth, s->latency_us
    };

    if (!h) {
        if (hmap_count(&t->hosts) >= TPAM_MAX_HOSTS) {
            return;
        }
        h = xzalloc(sizeof *h);
        h->number = number;
        h->floor_us = INFINITY;
        for (int i = 0; i < TPAM_N_SERIES; i++) {
            h->series[i] = make_forecast(t, i == TPAM_LATENCY ? 1e9 : 1);
        }
        hmap_insert(&t->hosts, &h->node, hash_int(number, 0));
    }
    h->draining = s->draining;
    for (int i = 0; i < TPAM_N_SERIES; i++) {
        forecast_update(h->series[i], now[i]);
        if (isfinite(now[i])) {
            h->now[i] = now[i];
        }
    }

    /* Latency as load/(1 - load) queues have it: what an idle host's is. */
    double floor_us = h->now[TPAM_LATENCY] * (1 - MIN(h->now[TPAM_CPU], 0.99));
    if (isfinite(h->floor_us)) {
        h->floor_us += (floor_us < h->floor_us ? 0.02 : 0.002)
                       * (floor_us - h->floor_us);
    } else {
        h->floor_us = floor_us;
    }
}

void
tpam_host_remove(struct tpam *t, uint32_t number)
{
    struct tpam_host_state *h = host_find(t, number);

    if (h) {
        host_free(t, h);
    }
}

/* Takes the sample of 'group', which is at 'host'. */
void
tpam_group(struct tpam *t, uint64_t number, uint32_t host,
           const struct tpam_group_sample *s)
{
    struct tpam_group_state *g = group_find(t, number);

    if (!g) {
        g = xzalloc(sizeof *g);
        g->number = number;
        g->load = isfinite(s->load) ? s->load : 0;
        g->rate = make_forecast(t, 1e15);
        g->latency = make_forecast(t, 1e9);
        hmap_insert(&t->groups, &g->node, hash_uint64(number));
    }
    g->host = host;
    if (isfinite(s->load)) {
        g->load += LOAD_DECAY * (s->load - g->load);
    }
    forecast_update(g->rate, s->packet_size / MAX(s->interarrival_us, 1e-3));
    forecast_update(g->latency, s->latency_us);
}

void
tpam_group_remove(struct tpam *t, uint64_t number)
{
    struct tpam_group_state *g = group_find(t, number);

    if (g) {
        group_free(t, g);
    }
}

/* How far a series will be over 'limit' at 'horizon', in sigmas.  Adds what
 * that is in load to '*excess', if that is more than there is. */
static double
distance(const struct forecast *f, unsigned int horizon, double limit,
         double (*to_load)(double value, double floor_us), double floor_us,
         double *over)
{
    struct forecast_value v;
    double sigma;

    if (!forecast_get(f, horizon, &v)) {
        return -6;
    }
    sigma = MAX((v.hi - v.lo) / SIGMAS_90, 0.01 * limit);
    *over = MAX(*over, to_load(v.mean, floor_us) - to_load(limit, floor_us));
    return MIN(MAX((v.mean - limit) / sigma, -6), 6);
}

static double
load_itself(double value, double floor_us OVS_UNUSED)
{
    return value;
}

static double
load_of_latency(double us, double floor_us)
{
    return us > floor_us && isfinite(floor_us) ? 1 - floor_us / us : 0;
}

static double
host_distance(const struct tpam *t, const struct tpam_host_state *h,
              unsigned int horizon, double *over)
{
    double z = -6;

    for (int i = 0; i < TPAM_N_SERIES; i++) {
        bool is_load = i != TPAM_LATENCY;

        z = MAX(z, distance(h->series[i], horizon,
                            is_load ? t->config.limit : t->config.slo_us,
                            is_load ? load_itself : load_of_latency,
                            h->floor_us, over));
    }
    return z;
}

static bool
is_over(const struct tpam *t, const struct tpam_host_state *h)
{
    return (MAX(h->now[TPAM_CPU], MAX(h->now[TPAM_MEMORY],
                                      h->now[TPAM_BANDWIDTH]))
            > t->config.limit || h->now[TPAM_LATENCY] > t->config.slo_us);
}

static void
run_host(struct tpam *t, struct tpam_host_state *h)
{
    double over = -1, late = -1;
    struct forecast_value v;

    h->z_soon = host_distance(t, h, MAX(t->config.horizon / 3, 1), &over);
    h->z_late = host_distance(t, h, t->config.horizon, &late);
    h->excess = MAX(over, late) + t->config.limit - t->config.target;
    h->over += OVER_DECAY * (is_over(t, h) - h->over);
    h->over_for = (is_over(t, h) ? MIN(h->over_for + 1, 18)
                   : MAX(h->over_for - 2, 0));
    /* Latency says of load what others do not show, but roughly. */
    h->expected = (forecast_get(h->series[TPAM_LATENCY], 1, &v)
                   ? load_of_latency(v.mean, h->floor_us) - 0.08 : 0);
    for (int i = 0; i < TPAM_LATENCY; i++) {
        if (forecast_get(h->series[i], MAX(t->config.horizon / 3, 1), &v)) {
            h->expected = MAX(h->expected, v.mean);
        }
    }
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

/* By how much group 'i' of 'h' is larger than the next: 1 for clearly. */
static double
lead_of(const struct tpam_host_state *h, size_t i)
{
    return (i + 1 < h->n_groups
            ? MIN((h->groups[i]->load - h->groups[i + 1]->load)
                  / MAX(0.15 * h->groups[i]->load, 1e-3), 1)
            : 1);
}

/* Features of the groups of 'h'; 'room' is what the least loaded other host
 * can take. */
static void
run_groups(const struct tpam *t, struct tpam_host_state *h, double room)
{
    double soon = MIN(MAX(h->z_soon / 3, 0), 1);
    double still = MIN(MAX(0.5 + h->z_soon / 2, 0), 1);
    double before = 0;
    size_t rank = 0;

    if (h->n_groups) {
        qsort(h->groups, h->n_groups, sizeof *h->groups, by_load);
    }
    for (size_t i = 0; i < h->n_groups; i++) {
        struct tpam_group_state *g = h->groups[i];
        double load = MAX(g->load, 1e-3);
        bool fits = h->draining || load <= room + ROOM_MARGIN;
        double need = (fits ? MIN(MAX((h->excess - before) / load, -2), 2)
                       : -2);
        double over = -1;
        double late = distance(g->latency, t->config.horizon,
                               t->config.slo_us, load_itself, 0, &over);
        double among = need > 1 ? 1 : need > 0 ? 0.5 + need / 2 : 0;
        double first = fits && rank == 0;
        bool lately = h->left_at && t->n_runs - h->left_at < 5;

        g->x[0] = 1;
        g->x[1] = h->draining;
        g->x[2] = need;
        g->x[3] = h->z_soon / 3;
        g->x[4] = h->z_late / 3;
        g->x[5] = h->over;
        g->x[6] = among * h->over;
        g->x[7] = late / 3;
        g->x[8] = first;
        g->x[9] = among * soon;
        g->x[10] = first * soon;
        g->x[11] = among * MIN(h->over_for / 15, 1);
        g->x[12] = lately && !h->draining;
        g->x[13] = first * still * MIN(MAX((h->over_for - 6) / 6, 0), 1);
        g->x[14] = fits && rank == 1;
        g->x[15] = (first ? lead_of(h, i)
                    : fits && rank == 1 ? -lead_of(h, i - 1) : 0);
        g->p = tpam_score(t->config.weights, g->x);
        if (h->draining) {
            g->p = MAX(g->p, DRAIN_PROBABILITY);
        }
        if (fits) {
            before += load;
            rank++;
        }
    }
}

/* Ranks the hosts that could take 'g'. */
static void
choose_targets(struct tpam *t, struct tpam_group_state *g)
{
    double best[TPAM_MAX_TARGETS];
    struct tpam_host_state *h;
    size_t n = 0;

    HMAP_FOR_EACH (h, node, &t->hosts) {
        double load = h->expected + h->promised;
        size_t i;

        if (h->number == g->host || h->draining) {
            continue;
        }
        for (i = n; i > 0 && (load < best[i - 1]
                              || (load == best[i - 1]
                                  && h->number < g->targets[i - 1])); i--) {
            if (i < t->config.n_targets) {
                best[i] = best[i - 1];
                g->targets[i] = g->targets[i - 1];
            }
        }
        if (i < t->config.n_targets) {
            best[i] = load;
            g->targets[i] = h->number;
            n = MIN(n + 1, t->config.n_targets);
        }
    }
    g->n_targets = n;
    if (n) {
        host_find(t, g->targets[0])->promised += g->load;
    }
}

static void
learn(struct tpam *t, const struct tpam_group_state *g, bool migrated)
{
    if (t->config.learning_rate > 0) {
        tpam_step(t->config.weights, g->x_hint, migrated,
                  t->config.learning_rate);
    }
}

static void
run_hint(struct tpam *t, struct tpam_group_state *g)
{
    if (!g->hinted && g->p >= t->config.on) {
        g->hinted = true;
        g->since = t->n_runs;
        g->below = 0;
        memcpy(g->x_hint, g->x, sizeof g->x_hint);
    } else if (g->hinted) {
        g->below = g->p < t->config.off ? g->below + 1 : 0;
        if (g->below > t->config.hold) {
            g->hinted = false;
            learn(t, g, false);
        }
    }
    if (g->hinted) {
        choose_targets(t, g);
    }
}

/* What the least loaded host other than 'h' can take. */
static double
room_beside(const struct tpam *t, const struct tpam_host_state *h)
{
    const struct tpam_host_state *other;
    double room = 0;

    HMAP_FOR_EACH (other, node, &t->hosts) {
        if (other != h && !other->draining) {
            room = MAX(room, t->config.limit - other->expected);
        }
    }
    return room;
}

/* Ends a period: forecasts and decides. */
void
tpam_run(struct tpam *t)
{
    struct tpam_host_state *h;
    struct tpam_group_state *g;

    t->n_runs++;
    HMAP_FOR_EACH (h, node, &t->hosts) {
        run_host(t, h);
    }
    HMAP_FOR_EACH (g, node, &t->groups) {
        h = host_find(t, g->host);
        if (!h) {
            g->p = 0;
            g->hinted = false;
            continue;
        }
        if (h->n_groups == h->allocated_groups) {
            h->groups = x2nrealloc(h->groups, &h->allocated_groups,
                                   sizeof *h->groups);
        }
        h->groups[h->n_groups++] = g;
    }
    HMAP_FOR_EACH (h, node, &t->hosts) {
        run_groups(t, h, room_beside(t, h));
    }
    HMAP_FOR_EACH (h, node, &t->hosts) {
        for (size_t i = 0; i < h->n_groups; i++) {
            run_hint(t, h->groups[i]);
        }
    }
}

/* Says that 'group' has migrated. */
void
tpam_migrated(struct tpam *t, uint64_t number, uint32_t to)
{
    struct tpam_group_state *g = group_find(t, number);

    if (g) {
        struct tpam_host_state *h = host_find(t, g->host);

        if (h) {
            h->left_at = t->n_runs;
        }
        if (g->hinted) {
            learn(t, g, true);
        }
        g->hinted = false;
        g->host = to;
    }
}

/* Stores at most 'max' hints, in no particular order.  Returns how many. */
size_t
tpam_hints(const struct tpam *t, struct tpam_hint *hints, size_t max)
{
    const struct tpam_group_state *g;
    size_t n = 0;

    HMAP_FOR_EACH (g, node, &t->groups) {
        if (g->hinted && n < max) {
            struct tpam_hint *hint = &hints[n++];

            hint->group = g->number;
            hint->host = g->host;
            hint->probability = g->p;
            hint->since = g->since;
            hint->n_targets = g->n_targets;
            memcpy(hint->targets, g->targets, sizeof hint->targets);
        }
    }
    return n;
}

/* The probability that 'group' migrates within the horizon. */
double
tpam_probability(const struct tpam *t, uint64_t number)
{
    const struct tpam_group_state *g = group_find(t, number);

    return g ? g->p : 0;
}

/* The features of 'group' at the last tpam_run().  Returns false if there is
 * no such group. */
bool
tpam_features(const struct tpam *t, uint64_t number,
              double x[TPAM_N_FEATURES])
{
    const struct tpam_group_state *g = group_find(t, number);

    if (g) {
        memcpy(x, g->x, sizeof g->x);
    }
    return g != NULL;
}

double
tpam_score(const double w[TPAM_N_FEATURES], const double x[TPAM_N_FEATURES])
{
    double sum = 0;

    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        sum += w[i] * x[i];
    }
    return 1 / (1 + exp(-sum));
}

/* One step of gradient descent on the log loss. */
void
tpam_step(double w[TPAM_N_FEATURES], const double x[TPAM_N_FEATURES],
          bool migrated, double rate)
{
    double error = migrated - tpam_score(w, x);

    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        w[i] += rate * error * x[i];
    }
}
