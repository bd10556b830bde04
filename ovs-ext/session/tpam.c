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

/* Of who is on a host that drains: announced rather than predicted. */
#define DRAIN_PROBABILITY 0.97
#define LOAD_DECAY 0.2
/* How much more load one of two targets must have for the other to be e times
 * as likely. */
#define TARGET_SCALE 0.02

void
tpam_config_init(struct tpam_config *config)
{
    *config = (struct tpam_config) {
        .period = 1,
        .horizon = 6,
        .limit = 0.85,
        .target = 0.75,
        .slo_us = 2000,
        .on = 0.82,
        .off = 0.2,
        .hold = 40,
        .n_targets = 2,
        .target_min = 0.05,
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
    memcpy(t->shipped, config->weights, sizeof t->shipped);
    t->learned.is_shipped = true;
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
host_find(const struct tpam *t, uint64_t id)
{
    struct tpam_host_state *h;

    HMAP_FOR_EACH_WITH_HASH (h, node, hash_uint64(id), &t->hosts) {
        if (h->id == id) {
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

/* Takes the sample of host 'id' for the period that the next tpam_run() ends.
 * A host that is not known yet is from now on, unless there are
 * TPAM_MAX_HOSTS. */
void
tpam_host(struct tpam *t, uint64_t id, const struct tpam_host_sample *s)
{
    struct tpam_host_state *h = host_find(t, id);
    double now[TPAM_N_SERIES] = {
        s->cpu, s->memory, s->bandwidth, s->latency_us
    };

    if (!h) {
        if (hmap_count(&t->hosts) >= TPAM_MAX_HOSTS) {
            return;
        }
        h = xzalloc(sizeof *h);
        h->id = id;
        h->floor_us = INFINITY;
        for (int i = 0; i < TPAM_N_SERIES; i++) {
            h->now[i] = h->level[i] = NAN;
            h->series[i] = make_forecast(t, i == TPAM_LATENCY ? 1e9 : 1);
        }
        hmap_insert(&t->hosts, &h->node, hash_uint64(id));
    }
    h->sampled = true;
    h->draining = s->draining;
    for (int i = 0; i < TPAM_N_SERIES; i++) {
        forecast_update(h->series[i], now[i]);
        if (isfinite(now[i])) {
            h->now[i] = now[i];
        }
    }

    tpam_host_sampled__(h);

    /* Latency as load/(1 - load) queues have it: what an idle host's is. */
    double cpu = isnan(h->now[TPAM_CPU]) ? 0 : h->now[TPAM_CPU];
    double floor_us = h->now[TPAM_LATENCY] * (1 - MIN(cpu, 0.99));
    if (isfinite(h->floor_us) && isfinite(floor_us)) {
        h->floor_us += (floor_us < h->floor_us ? 0.02 : 0.002)
                       * (floor_us - h->floor_us);
    } else if (isfinite(floor_us)) {
        h->floor_us = floor_us;
    }
}

/* Takes the sample of 'group', which is at 'host'. */
void
tpam_group(struct tpam *t, uint64_t number, uint64_t host,
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

/* Drops the targets of 'g' that are much less likely than the first; 'loads'
 * are what they are expected to have. */
static void
weigh_targets(const struct tpam *t, struct tpam_group_state *g,
              const double loads[TPAM_MAX_TARGETS])
{
    double sum = 0;

    for (size_t i = 0; i < g->n_targets; i++) {
        g->shares[i] = exp((loads[0] - loads[i]) / TARGET_SCALE);
        sum += g->shares[i];
    }
    for (size_t i = 0; i < g->n_targets; i++) {
        g->shares[i] /= sum;
    }
    while (g->n_targets > 1
           && g->shares[g->n_targets - 1] < t->config.target_min) {
        g->n_targets--;
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

        if (h->id == g->host || h->draining) {
            continue;
        }
        for (i = n; i > 0 && (load < best[i - 1]
                              || (load == best[i - 1]
                                  && h->id < g->targets[i - 1])); i--) {
            if (i < t->config.n_targets) {
                best[i] = best[i - 1];
                g->targets[i] = g->targets[i - 1];
            }
        }
        if (i < t->config.n_targets) {
            best[i] = load;
            g->targets[i] = h->id;
            n = MIN(n + 1, t->config.n_targets);
        }
    }
    g->n_targets = n;
    if (n) {
        weigh_targets(t, g, best);
        host_find(t, g->targets[0])->promised += g->p * g->load;
    }
}

static void
run_hint(struct tpam *t, struct tpam_host_state *h, struct tpam_group_state *g)
{
    g->p = tpam_score(t->config.weights, g->x);
    if (h->draining) {
        g->p = MAX(g->p, DRAIN_PROBABILITY);
    }
    if (!g->hinted && g->p >= t->config.on) {
        g->hinted = true;
        g->since = t->n_runs;
        g->below = 0;
    } else if (g->hinted) {
        g->below = g->p < t->config.off ? g->below + 1 : 0;
        g->hinted = g->below <= t->config.hold;
        t->learned.nothing += !g->hinted;
    }
    if (g->hinted) {
        choose_targets(t, g);
    }
    if (h->draining) {
        g->learn.is_open = false;
    } else {
        tpam_case_run__(t, g);
    }
}

/* What the two least loaded hosts can take. */
struct rooms {
    const struct tpam_host_state *best;
    double room, second;
};

static void
find_rooms(const struct tpam *t, struct rooms *r)
{
    const struct tpam_host_state *h;

    *r = (struct rooms) { .room = 0 };
    HMAP_FOR_EACH (h, node, &t->hosts) {
        double room = t->config.limit - h->expected;

        if (h->draining) {
            continue;
        } else if (room > r->room) {
            r->second = r->room;
            r->room = room;
            r->best = h;
        } else {
            r->second = MAX(r->second, room);
        }
    }
}

/* Hands each group to its host. */
static void
sort_groups(struct tpam *t)
{
    struct tpam_group_state *g;

    HMAP_FOR_EACH (g, node, &t->groups) {
        struct tpam_host_state *h = host_find(t, g->host);

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
}

/* Forgets hosts that the period has no sample of. */
static void
drop_hosts(struct tpam *t)
{
    struct tpam_host_state *h, *next;

    HMAP_FOR_EACH_SAFE (h, next, node, &t->hosts) {
        if (h->sampled) {
            h->sampled = false;
        } else {
            host_free(t, h);
        }
    }
}

/* Ends a period: forecasts and decides. */
void
tpam_run(struct tpam *t)
{
    struct tpam_host_state *h;
    struct rooms rooms;

    t->n_runs++;
    drop_hosts(t);
    HMAP_FOR_EACH (h, node, &t->hosts) {
        tpam_host_run__(t, h);
    }
    sort_groups(t);
    find_rooms(t, &rooms);
    HMAP_FOR_EACH (h, node, &t->hosts) {
        tpam_host_features__(t, h, h == rooms.best ? rooms.second
                                                   : rooms.room);
    }
    HMAP_FOR_EACH (h, node, &t->hosts) {
        for (size_t i = 0; i < h->n_groups; i++) {
            run_hint(t, h, h->groups[i]);
        }
    }
}

/* Says that 'group' has migrated. */
void
tpam_migrated(struct tpam *t, uint64_t number, uint64_t to)
{
    struct tpam_group_state *g = group_find(t, number);

    if (g) {
        struct tpam_host_state *from = host_find(t, g->host);
        struct tpam_host_state *dest = host_find(t, to);

        if (from && !from->draining) {
            tpam_case_migrated__(t, g);
            if (g->hinted && g->since < t->n_runs) {
                t->learned.came++;
            } else {
                t->learned.missed++;
            }
        }
        if (from) {
            from->left_at = t->n_runs;
            tpam_host_loses__(from, g->load);
        }
        if (dest) {
            tpam_host_gains__(dest, g->load);
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
            memcpy(hint->shares, g->shares, sizeof hint->shares);
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
 * no such group, or nothing to be learned: its host drains. */
bool
tpam_features(const struct tpam *t, uint64_t number,
              double x[TPAM_N_FEATURES])
{
    const struct tpam_group_state *g = group_find(t, number);
    const struct tpam_host_state *h = g ? host_find(t, g->host) : NULL;

    if (!h || h->draining) {
        return false;
    }
    memcpy(x, g->x, sizeof g->x);
    return true;
}
