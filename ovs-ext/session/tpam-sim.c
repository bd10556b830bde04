/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/tpam-sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

enum {
    HOSTS = 8,
    GROUPS = 64,
    SECONDS = 3600,
    WARM_UP = 900,              /* Not judged: a day and a half. */
    DAY = 600,
    TTL = 60,                   /* Of a hint. */
    PATIENCE = 15,              /* Of the orchestrator. */
    BETWEEN_MOVES = 5,
    HOLD = 20                   /* Of overload-only. */
};

#define IDLE_US 400.0

struct sim_group {
    int host;
    double base, wander;        /* Load; its slow random part. */
    double boost, boost_to;     /* Factor, and where it is going. */
    double boost_step;
    double phase;
    double load, measured, smooth;

    /* The present hint. */
    bool hinted;
    int since, counted;         /* When it began; when last counted. */
    int quiet;
    size_t n_targets;
    int targets[TPAM_MAX_TARGETS];
    int last_move;
};

struct sim_host {
    bool draining;
    int drained_at;
    double noise, noise_to, noise_step; /* Taken by a neighbour. */
    bool visible;               /* In the CPU's load. */
    int noise_until;
    double load, cpu, latency;
    int over, next_move;
};

struct sim {
    enum tpam_scenario scenario;
    enum tpam_policy policy;
    const struct tpam_config *config;
    struct tpam *tpam;
    struct ext_rng world, eyes, tpam_eyes;  /* The same for all policies, but
                                             * for the last. */
    struct sim_host hosts[HOSTS];
    struct sim_group groups[GROUPS];
    int now, next_event, next_host;
    struct tpam_outcome *outcome;
    double (*history)[GROUPS][TPAM_N_FEATURES]; /* Ring of 'horizon'. */
    bool (*moved)[GROUPS];
};

const char *
tpam_scenario_name(enum tpam_scenario scenario)
{
    static const char *const names[] = {
        "rolling-drain", "hot-host", "diurnal", "noisy-neighbour"
    };
    return names[scenario];
}

const char *
tpam_policy_name(enum tpam_policy policy)
{
    static const char *const names[] = {
        "tpam", "everything", "overload-only"
    };
    return names[policy];
}

/* The configuration for a scenario: what an administrator would know. */
void
tpam_sim_config(enum tpam_scenario scenario, struct tpam_config *config)
{
    tpam_config_init(config);
    if (scenario == TPAM_DIURNAL) {
        config->season = DAY;
    }
}

static double
uniform(struct ext_rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * ext_rng_double(rng);
}

static void
init(struct sim *s)
{
    for (int i = 0; i < GROUPS; i++) {
        struct sim_group *g = &s->groups[i];

        g->host = i % HOSTS;
        g->base = uniform(&s->world, 0.03, 0.11);
        g->boost = g->boost_to = 1;
        g->phase = g->host / (double) HOSTS;
        g->last_move = -1000;
        g->smooth = g->base;
    }
    s->next_event = uniform(&s->world, 100, 200);
}

/* The world. */

static void
ramp(double *x, double to, double step)
{
    *x += MIN(MAX(to - *x, -step), step);
}

static void
event_hot(struct sim *s)
{
    int host = ext_rng_range(&s->world, HOSTS), n = 0;
    double seconds = uniform(&s->world, 40, 120);

    for (int i = 0; i < GROUPS && n < 3; i++) {
        struct sim_group *g = &s->groups[i];

        if (g->host == host) {
            g->boost_to = uniform(&s->world, 2, 3.5);
            g->boost_step = (g->boost_to - g->boost) / seconds;
            n++;
        } else if (g->boost_to > 1) {
            g->boost_to = 1;
            g->boost_step = 0.02;
        }
    }
    s->next_event = s->now + uniform(&s->world, 120, 240);
}

static void
event_noisy(struct sim *s)
{
    struct sim_host *h = &s->hosts[ext_rng_range(&s->world, HOSTS)];

    h->noise_to = uniform(&s->world, 0.25, 0.45);
    h->noise_step = h->noise_to / uniform(&s->world, 30, 90);
    h->visible = ext_rng_double(&s->world) < 0.5;
    h->noise_until = s->now + uniform(&s->world, 150, 300);
    s->next_event = s->now + uniform(&s->world, 100, 200);
}

static void
event_drain(struct sim *s)
{
    struct sim_host *h = &s->hosts[s->next_host];

    s->next_host = (s->next_host + 1) % HOSTS;
    h->draining = true;
    h->drained_at = 0;
    h->next_move = s->now + uniform(&s->world, 5, 20);
    s->next_event = s->now + uniform(&s->world, 200, 300);
}

static void
run_events(struct sim *s)
{
    if (s->now >= s->next_event) {
        if (s->scenario == TPAM_HOT_HOST) {
            event_hot(s);
        } else if (s->scenario == TPAM_NOISY_NEIGHBOUR) {
            event_noisy(s);
        } else if (s->scenario == TPAM_ROLLING_DRAIN) {
            event_drain(s);
        }
    }
    for (int i = 0; i < HOSTS; i++) {
        struct sim_host *h = &s->hosts[i];

        if (h->noise_to > 0 && s->now >= h->noise_until) {
            h->noise_to = 0;
            h->noise_step = 0.02;
        }
        ramp(&h->noise, h->noise_to, h->noise_step);
        if (h->draining && h->drained_at && s->now >= h->drained_at + 60) {
            h->draining = false;
        }
    }
}

static void
run_loads(struct sim *s)
{
    for (int i = 0; i < HOSTS; i++) {
        s->hosts[i].load = 0;
    }
    for (int i = 0; i < GROUPS; i++) {
        struct sim_group *g = &s->groups[i];
        double day = 1;

        if (s->scenario == TPAM_DIURNAL) {
            day = 1 + 0.7 * sin(2 * M_PI * (s->now / (double) DAY
                                            + g->phase));
        }
        g->wander = 0.98 * g->wander
                    + 0.02 * ext_rng_normal(&s->world);
        ramp(&g->boost, g->boost_to, g->boost_step);
        g->load = g->base * day * g->boost * MAX(1 + g->wander, 0.2);
        g->measured = g->load * (1 + 0.03 * ext_rng_normal(&s->eyes));
        g->smooth += 0.2 * (g->load - g->smooth);
        s->hosts[g->host].load += g->load;
    }
    for (int i = 0; i < HOSTS; i++) {
        struct sim_host *h = &s->hosts[i];
        double busy = MIN(h->load + h->noise, 0.98);

        h->cpu = MIN(h->load + (h->visible ? h->noise : 0), 1);
        h->cpu = MIN(MAX(h->cpu + 0.01 * ext_rng_normal(&s->eyes), 0), 1);
        h->latency = (IDLE_US / (1 - busy)
                      * exp(0.05 * ext_rng_normal(&s->eyes)));
    }
}

/* Predictions, and what becomes of them. */

static bool
is_judged(const struct sim *s)
{
    return s->now >= WARM_UP;
}

static void
count_hint(struct sim *s, struct sim_group *g, bool is_right)
{
    struct tpam_outcome *o = s->outcome;

    if (is_judged(s)) {
        o->hints++;
        o->right += is_right;
        o->templates += g->n_targets;
        o->wasted += g->n_targets - is_right;
        if (is_right && o->n_leads < ARRAY_SIZE(o->leads)) {
            o->leads[o->n_leads++] = s->now - g->since;
        }
    }
    g->counted = s->now;
}

static void
end_hint(struct sim *s, struct sim_group *g)
{
    if (g->hinted) {
        count_hint(s, g, false);
        g->hinted = false;
    }
}

static bool
is_over(const struct sim *s, const struct sim_host *h)
{
    return h->cpu > s->config->limit || h->latency > s->config->slo_us;
}

static void
least_loaded(const struct sim *s, struct sim_group *g)
{
    g->n_targets = 0;
    for (size_t n = 0; n < s->config->n_targets; n++) {
        int best = -1;

        for (int i = 0; i < HOSTS; i++) {
            bool is_taken = n && g->targets[0] == i;

            if (i != g->host && !s->hosts[i].draining && !is_taken
                && (best < 0 || s->hosts[i].cpu < s->hosts[best].cpu)) {
                best = i;
            }
        }
        if (best >= 0) {
            g->targets[g->n_targets++] = best;
        }
    }
}

static void
begin_hint(struct sim *s, struct sim_group *g)
{
    if (!g->hinted) {
        g->hinted = true;
        g->since = g->counted = s->now;
    } else if (s->now - g->counted >= TTL) {
        count_hint(s, g, false);
    }
}

static void
predict_simply(struct sim *s)
{
    for (int i = 0; i < GROUPS; i++) {
        struct sim_group *g = &s->groups[i];
        bool want = (s->policy == TPAM_POLICY_EVERYTHING
                     || is_over(s, &s->hosts[g->host]));

        g->quiet = want ? 0 : g->quiet + 1;
        if (want || (g->hinted && g->quiet <= HOLD)) {
            begin_hint(s, g);
            least_loaded(s, g);
        } else {
            end_hint(s, g);
        }
    }
}

static void
predict(struct sim *s)
{
    struct tpam_hint hints[GROUPS];
    bool is_hinted[GROUPS] = { false };
    size_t n = tpam_hints(s->tpam, hints, GROUPS);

    for (size_t i = 0; i < n; i++) {
        struct sim_group *g = &s->groups[hints[i].group];

        is_hinted[hints[i].group] = true;
        begin_hint(s, g);
        g->n_targets = hints[i].n_targets;
        for (size_t j = 0; j < g->n_targets; j++) {
            g->targets[j] = hints[i].targets[j];
        }
    }
    for (int i = 0; i < GROUPS; i++) {
        if (!is_hinted[i]) {
            end_hint(s, &s->groups[i]);
        }
    }
}

static void
measure(struct sim *s)
{
    for (int i = 0; i < HOSTS; i++) {
        const struct sim_host *h = &s->hosts[i];
        struct tpam_host_sample sample = {
            .cpu = h->cpu, .memory = 0.1 + 0.5 * h->load,
            .bandwidth = MIN(0.8 * h->load, 1), .latency_us = h->latency,
            .draining = h->draining,
        };

        tpam_host(s->tpam, i, &sample);
    }
    for (int i = 0; i < GROUPS; i++) {
        const struct sim_group *g = &s->groups[i];
        struct tpam_group_sample sample = {
            .load = g->measured, .packet_size = 800,
            .interarrival_us = 1 / MAX(g->measured, 1e-3),
            .latency_us = s->hosts[g->host].latency
                          * exp(0.05 * ext_rng_normal(&s->tpam_eyes)),
        };

        tpam_group(s->tpam, i, g->host, &sample);
    }
    tpam_run(s->tpam);
}

/* The orchestrator. */

static void
migrate(struct sim *s, struct sim_group *g, int to)
{
    struct tpam_outcome *o = s->outcome;
    bool is_right = false;

    for (size_t i = 0; g->hinted && i < g->n_targets; i++) {
        is_right |= g->targets[i] == to;
    }
    if (is_judged(s)) {
        o->migrations++;
        o->foreseen += is_right && s->now > g->since;
    }
    if (g->hinted) {
        count_hint(s, g, is_right && s->now > g->since);
        g->hinted = false;
    }
    s->hosts[g->host].load -= g->load;
    s->hosts[to].load += g->load;
    g->host = to;
    g->last_move = s->now;
    s->moved[s->now % (s->config->horizon + 1)][g - s->groups] = true;
    tpam_migrated(s->tpam, g - s->groups, to);
}

/* Moves the largest group of 'from' that fits on the host with least load. */
static bool
move_one(struct sim *s, int from)
{
    struct sim_group *largest = NULL;
    int to = -1;
    double least = INFINITY;

    for (int i = 0; i < HOSTS; i++) {
        double load = (s->hosts[i].load + s->hosts[i].noise
                       + 0.01 * ext_rng_normal(&s->world));

        if (i != from && !s->hosts[i].draining && load < least) {
            least = load;
            to = i;
        }
    }
    for (int i = 0; i < GROUPS && to >= 0; i++) {
        struct sim_group *g = &s->groups[i];

        if (g->host == from && (!largest || g->smooth > largest->smooth)
            && (s->hosts[from].draining
                || least + g->smooth <= s->config->limit)) {
            largest = g;
        }
    }
    if (largest) {
        migrate(s, largest, to);
    }
    return largest != NULL;
}

static void
orchestrate(struct sim *s)
{
    for (int i = 0; i < HOSTS; i++) {
        struct sim_host *h = &s->hosts[i];

        if (h->draining) {
            if (s->now >= h->next_move && !h->drained_at) {
                if (!move_one(s, i)) {
                    h->drained_at = s->now;
                }
                h->next_move = s->now + uniform(&s->world, 3, 10);
            }
            continue;
        }
        h->over = is_over(s, h) ? MIN(h->over + 1, PATIENCE + 5)
                                : MAX(h->over - 2, 0);
        if (h->over >= PATIENCE && s->now >= h->next_move
            && h->load + h->noise > s->config->target) {
            move_one(s, i);
            h->next_move = s->now + BETWEEN_MOVES;
        }
    }
}

/* Gives the features of a horizon ago to 'cb', now that it is known what
 * came: whatever went in the same second could not have been foreseen. */
static void
give_samples(struct sim *s, tpam_sample_func *cb, void *aux)
{
    int ring = s->config->horizon + 1;
    int oldest = (s->now + 1) % ring;

    for (int i = 0; i < GROUPS && s->now >= WARM_UP; i++) {
        bool moved = false;

        for (int j = 0; j < ring; j++) {
            moved |= j != oldest && s->moved[j][i];
        }
        if (s->history[oldest][i][TPAM_F_ONE] && !s->moved[oldest][i]) {
            cb(s->history[oldest][i], moved, aux);
        }
    }
}

/* Runs 'scenario' with 'seed' under 'policy' and adds to 'outcome'.  'cb' may
 * be null. */
void
tpam_simulate(enum tpam_scenario scenario, uint64_t seed,
              enum tpam_policy policy, const struct tpam_config *config,
              struct tpam_outcome *outcome, tpam_sample_func *cb, void *aux)
{
    struct sim *s = xzalloc(sizeof *s);
    size_t ring = config->horizon + 1;

    s->scenario = scenario;
    s->policy = policy;
    s->config = config;
    s->outcome = outcome;
    s->tpam = tpam_create(config);
    s->history = xcalloc(ring, sizeof *s->history);
    s->moved = xcalloc(ring, sizeof *s->moved);
    ext_rng_init_stream(&s->world, seed, scenario);
    ext_rng_init_stream(&s->eyes, seed, 100 + scenario);
    ext_rng_init_stream(&s->tpam_eyes, seed, 200 + scenario);
    init(s);
    for (s->now = 0; s->now < SECONDS; s->now++) {
        memset(s->moved[s->now % ring], 0, sizeof *s->moved);
        run_events(s);
        run_loads(s);
        if (policy == TPAM_POLICY_TPAM) {
            measure(s);
            for (int i = 0; i < GROUPS; i++) {
                double *x = s->history[s->now % ring][i];

                if (!tpam_features(s->tpam, i, x)) {
                    x[TPAM_F_ONE] = 0;
                }
            }
            predict(s);
        } else {
            predict_simply(s);
        }
        orchestrate(s);
        if (cb) {
            give_samples(s, cb, aux);
        }
    }
    tpam_destroy(s->tpam);
    free(s->history);
    free(s->moved);
    free(s);
}
