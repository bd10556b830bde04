/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/sim-traffic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

const struct sim_family sim_families[] = {
    { "balanced", false, "many equal flows: nothing to gain by steering" },
    { "http", false, "short heavy-tailed flows that come and go" },
    { "video", false, "streams that fetch segments every other second" },
    { "elephants", false, "a few large flows that begin in mid-run" },
    { "onoff", false, "sources with Pareto on and off times" },
    { "skew90", false, "90% of the traffic in the buckets of half the cores" },
    { "zipf", false, "flows with Zipf-distributed rates" },
    { "gaming", true, "small steady flows that wander slowly" },
    { "bursts", true, "bursts of 5 to 60 ms on random buckets" },
    { "flow-model", true, "the measured mixture of flow lengths" },
    { "drift", true, "a hot set that rotates through the buckets" },
    { "flash", true, "a flash crowd: a fifth of the buckets triples" },
    { "mix", true, "http, video, games and elephants at once" },
    { NULL, false, NULL },
};

#define REPLAY_COPIES 24        /* Of a capture, per core. */

enum flow_kind {
    FLOW_STEADY,                /* Wanders slowly around its mean. */
    FLOW_MORTAL,                /* Sends so many packets, then is replaced. */
    FLOW_ONOFF,                 /* Pareto on and off times. */
    FLOW_SEGMENT,               /* Regular on and off times. */
    FLOW_TIMED,                 /* Between two instants. */
};

struct flow {
    enum flow_kind kind;
    uint32_t bucket;
    bool on;
    float rate;                 /* Packets/s while on. */
    float left;                 /* FLOW_MORTAL: packets; others: seconds until
                                 * the next change. */
    float on_s, off_s;          /* Mean times (FLOW_TIMED: begin and end). */
    float wander;
};

struct sim_traffic {
    const struct sim_family *family;
    struct sim_traffic_params p;
    struct ext_rng rng;
    struct flow *flows;
    size_t n_flows, alloc;
    double background;          /* Packets/s for each bucket. */
    double now;                 /* Seconds. */
    double event_at;            /* Bursts: next one.  Flash: begin. */
    double *weight;             /* Drift, flash: by bucket. */

    /* Replay: packets by tick of the loop and bucket, sparse. */
    struct replay { uint32_t bucket; float pps; } *replay;
    uint32_t *replay_start;     /* By tick of the loop. */
    size_t n_loop;
};

const struct sim_family *
sim_family_find(const char *name)
{
    for (const struct sim_family *f = sim_families; f->name; f++) {
        if (!strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

static struct flow *
add_flow(struct sim_traffic *t, enum flow_kind kind, double rate)
{
    if (t->n_flows >= t->alloc) {
        t->alloc = t->alloc ? 2 * t->alloc : 256;
        t->flows = xrealloc(t->flows, t->alloc * sizeof *t->flows);
    }

    struct flow *f = &t->flows[t->n_flows++];
    *f = (struct flow) {
        .kind = kind,
        .bucket = ext_rng_range(&t->rng, t->p.n_buckets),
        .on = true,
        .rate = rate,
        .wander = 1,
    };
    return f;
}

/* Length in packets of a flow of the two long components of the measured
 * mixture (weights 0.0293 and 0.00835 of all flows, 93 % of packets). */
static double
flow_length(struct ext_rng *rng)
{
    bool longest = ext_rng_double(rng) < 0.00835 / (0.00835 + 0.02929);
    double z = ext_rng_normal(rng);
    double n = (longest ? 1084.47 * exp(1.98384 * z)
                : 128.645 * exp(1.12526 * z));

    return n < 30 ? 30 : n > 3e7 ? 3e7 : n;
}

static void
rebirth(struct sim_traffic *t, struct flow *f, double mean_rate)
{
    double z = ext_rng_normal(&t->rng);

    f->bucket = ext_rng_range(&t->rng, t->p.n_buckets);
    f->rate = mean_rate * exp(0.7 * z);
    f->left = flow_length(&t->rng);
}

/* A population of 'n' mortal flows with 'pps' in all.  'stretch' lengthens
 * flows. */
static void
add_mortals(struct sim_traffic *t, size_t n, double pps, double stretch)
{
    /* A slot spends more time in slow flows; the mean is the harmonic one. */
    double mean = pps / n * exp(0.5 * 0.7 * 0.7);

    for (size_t i = 0; i < n; i++) {
        struct flow *f = add_flow(t, FLOW_MORTAL, mean);

        rebirth(t, f, mean);
        f->on_s = mean;
        f->off_s = stretch;
        f->left *= stretch * ext_rng_double(&t->rng);
    }
}

static void
add_onoff(struct sim_traffic *t, enum flow_kind kind, size_t n, double pps,
          double on_s, double off_s, double spread)
{
    double sum = 0;
    size_t first = t->n_flows;

    for (size_t i = 0; i < n; i++) {
        struct flow *f = add_flow(t, kind,
                                  exp(spread * ext_rng_normal(&t->rng)));

        f->on_s = on_s * (0.5 + ext_rng_double(&t->rng));
        f->off_s = off_s * (0.5 + ext_rng_double(&t->rng));
        f->on = ext_rng_double(&t->rng) < f->on_s / (f->on_s + f->off_s);
        f->left = ext_rng_double(&t->rng) * (f->on ? f->on_s : f->off_s);
        sum += f->rate * f->on_s / (f->on_s + f->off_s);
    }
    for (size_t i = first; i < t->n_flows; i++) {
        t->flows[i].rate *= pps / sum;
    }
}

static void
add_steady(struct sim_traffic *t, size_t n, double pps, double spread)
{
    double sum = 0;
    size_t first = t->n_flows;

    for (size_t i = 0; i < n; i++) {
        sum += add_flow(t, FLOW_STEADY,
                        exp(spread * ext_rng_normal(&t->rng)))->rate;
    }
    for (size_t i = first; i < t->n_flows; i++) {
        t->flows[i].rate *= pps / sum;
    }
}

static void
add_zipf(struct sim_traffic *t, size_t n, double pps, double s)
{
    double sum = 0;

    for (size_t i = 1; i <= n; i++) {
        sum += pow(i, -s);
    }
    for (size_t i = 1; i <= n; i++) {
        add_flow(t, FLOW_STEADY, pps * pow(i, -s) / sum);
    }
}

/* Elephants of 15 to 50 % of a core that begin and end somewhere in the run,
 * 'pps' together if all are on. */
static void
add_elephants(struct sim_traffic *t, double pps)
{
    while (pps > 0) {
        double r = t->p.core_pps * (0.15 + 0.35 * ext_rng_double(&t->rng));
        struct flow *f = add_flow(t, FLOW_TIMED, MIN(r, pps));

        f->on_s = t->p.duration_s * (0.1 + 0.6 * ext_rng_double(&t->rng));
        f->off_s = f->on_s + t->p.duration_s * (0.3 + ext_rng_double(&t->rng));
        f->on = false;
        pps -= r;
    }
}

/* Skewed steady flows: 90 % of packets to the buckets that a round-robin table
 * gives to the first half of the cores. */
static void
add_skew90(struct sim_traffic *t, double pps)
{
    size_t half = MAX(1, t->p.n_cores / 2);
    size_t first = t->n_flows;
    double sum[2] = { 0, 0 };

    add_steady(t, 100 * t->p.n_cores, pps, 0.8);
    for (size_t i = first; i < t->n_flows; i++) {
        struct flow *f = &t->flows[i];

        sum[f->bucket % t->p.n_cores < half] += f->rate;
    }
    for (size_t i = first; i < t->n_flows; i++) {
        struct flow *f = &t->flows[i];
        bool hot = f->bucket % t->p.n_cores < half;

        f->rate *= (hot ? 0.9 : 0.1) * pps / MAX(sum[hot], 1);
    }
}

static void
traffic_populate(struct sim_traffic *t)
{
    const char *name = t->family->name;
    double pps = t->p.load * t->p.core_pps * t->p.n_cores;
    size_t n = t->p.n_cores;
    double back = 0.1 * pps;    /* Even background of short flows. */

    pps -= back;
    if (!strcmp(name, "balanced")) {
        add_steady(t, 250 * n, pps * 0.5, 0.3);
        back += pps * 0.5;
    } else if (!strcmp(name, "http")) {
        add_mortals(t, 150 * n, pps, 8);
    } else if (!strcmp(name, "video")) {
        add_onoff(t, FLOW_SEGMENT, 120 * n, pps, 0.5, 1.5, 0.4);
    } else if (!strcmp(name, "elephants")) {
        add_elephants(t, pps * 0.4);
        add_mortals(t, 150 * n, pps * 0.6, 20);
    } else if (!strcmp(name, "onoff")) {
        add_onoff(t, FLOW_ONOFF, 60 * n, pps, 0.3, 0.6, 0.6);
    } else if (!strcmp(name, "skew90")) {
        add_skew90(t, pps);
    } else if (!strcmp(name, "zipf")) {
        add_zipf(t, 200 * n, pps, 0.9);
    } else if (!strcmp(name, "gaming")) {
        add_steady(t, 100 * n, pps, 0.6);
    } else if (!strcmp(name, "bursts")) {
        add_steady(t, 100 * n, pps * 0.9, 0.6);
        t->event_at = 0.1;
    } else if (!strcmp(name, "flow-model")) {
        add_mortals(t, 60 * n, pps, 30);
    } else if (!strcmp(name, "drift") || !strcmp(name, "flash")) {
        add_steady(t, 100 * n, pps, 0.6);
        t->weight = xmalloc(t->p.n_buckets * sizeof *t->weight);
        for (size_t i = 0; i < t->p.n_buckets; i++) {
            t->weight[i] = ext_rng_double(&t->rng);
        }
        t->event_at = t->p.duration_s * (0.2 + 0.3 * ext_rng_double(&t->rng));
    } else {
        add_mortals(t, 60 * n, pps * 0.3, 15);
        add_onoff(t, FLOW_SEGMENT, 60 * n, pps * 0.25, 0.5, 1.5, 0.4);
        add_steady(t, 50 * n, pps * 0.25, 0.6);
        add_elephants(t, pps * 0.2);
    }
    t->background = back / t->p.n_buckets;
}

static struct sim_traffic *
traffic_alloc(const struct sim_traffic_params *p)
{
    struct sim_traffic *t = xzalloc(sizeof *t);

    t->p = *p;
    ext_rng_init_stream(&t->rng, p->seed, 0x74726166);
    return t;
}

struct sim_traffic *
sim_traffic_create(const struct sim_family *family,
                   const struct sim_traffic_params *p)
{
    struct sim_traffic *t = traffic_alloc(p);

    t->family = family;
    traffic_populate(t);
    return t;
}

void
sim_traffic_destroy(struct sim_traffic *t)
{
    if (t) {
        free(t->flows);
        free(t->weight);
        free(t->replay);
        free(t->replay_start);
        free(t);
    }
}

/* Pareto with shape 1.5 and mean 'mean', cut off at 20 times that. */
static double
pareto(struct ext_rng *rng, double mean)
{
    double x = mean / 3 * pow(1 - ext_rng_double(rng), -1 / 1.5);

    return MIN(x, 20 * mean);
}

/* Advances a flow and returns its mean packets/s in this tick. */
static double
flow_step(struct sim_traffic *t, struct flow *f)
{
    double dt = t->p.tick_s;

    switch (f->kind) {
    case FLOW_STEADY:
        f->wander += 0.02 * (1 - f->wander)
                     + 0.02 * ext_rng_normal_fast(&t->rng);
        f->wander = MAX(f->wander, 0.2);
        return f->rate * f->wander;
    case FLOW_MORTAL:
        f->left -= f->rate * dt;
        if (f->left <= 0) {
            double stretch = f->off_s;

            rebirth(t, f, f->on_s);
            f->left *= stretch;
        }
        return f->rate;
    case FLOW_ONOFF:
    case FLOW_SEGMENT:
        f->left -= dt;
        if (f->left <= 0) {
            double mean;

            f->on = !f->on;
            mean = f->on ? f->on_s : f->off_s;
            f->left = (f->kind == FLOW_ONOFF ? pareto(&t->rng, mean)
                       : mean * (0.8 + 0.4 * ext_rng_double(&t->rng)));
        }
        return f->on ? f->rate : 0;
    case FLOW_TIMED:
    default:
        f->on = t->now >= f->on_s && t->now < f->off_s;
        return f->on ? f->rate : 0;
    }
}

/* Factor on bucket 'b' of the families that modulate by bucket. */
static double
bucket_factor(const struct sim_traffic *t, size_t b)
{
    double w = t->weight[b];

    if (!strcmp(t->family->name, "flash")) {
        double ramp = (t->now - t->event_at) / 0.1;

        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        return w < 0.2 ? 0.72 * (1 + 2 * ramp) : 0.72;
    }

    /* Drift: a bump a quarter of the buckets wide goes round in 4 s; buckets
     * of a RETA are dealt to cores round robin, so the bump follows another
     * order in which each core owns an interval. */
    size_t n = t->p.n_cores;
    double x = ((b % n) + (double) b / t->p.n_buckets) / n - t->now / 4;
    return 0.8 + 0.9 * exp(4 * (cos(2 * M_PI * x) - 1));
}

static void
maybe_burst(struct sim_traffic *t)
{
    while (t->now >= t->event_at) {
        double r = t->p.core_pps * (0.1 + 0.4 * ext_rng_double(&t->rng));
        struct flow *f = NULL;

        for (size_t i = 0; i < t->n_flows; i++) {
            if (t->flows[i].kind == FLOW_TIMED
                && t->now > t->flows[i].off_s) {
                f = &t->flows[i];       /* Re-use a burst that is over. */
                f->bucket = ext_rng_range(&t->rng, t->p.n_buckets);
                f->rate = r;
                break;
            }
        }
        if (!f) {
            f = add_flow(t, FLOW_TIMED, r);
        }
        f->on_s = t->now;
        f->off_s = t->now + 0.005 + 0.055 * ext_rng_double(&t->rng);
        t->event_at += ext_rng_exp(&t->rng) * 0.4 / t->p.n_cores;
    }
}

static void
replay_step(struct sim_traffic *t, double *pps)
{
    size_t k = (size_t) (t->now / t->p.tick_s + 0.5) % t->n_loop;

    for (uint32_t i = t->replay_start[k]; i < t->replay_start[k + 1]; i++) {
        pps[t->replay[i].bucket] += t->replay[i].pps;
    }
}

void
sim_traffic_step(struct sim_traffic *t, double *pps, uint32_t *flows)
{
    for (size_t i = 0; i < t->p.n_buckets; i++) {
        pps[i] = t->background;
        flows[i] = 2 + t->p.bucket_flows;   /* Two of the background. */
    }
    if (t->replay) {
        replay_step(t, pps);
        t->now += t->p.tick_s;
        return;
    }
    if (t->family->name[0] == 'b' && t->family->name[1] == 'u') {
        maybe_burst(t);
    }
    for (size_t i = 0; i < t->n_flows; i++) {
        struct flow *f = &t->flows[i];
        double r = flow_step(t, f);

        if (r > 0) {
            pps[f->bucket] += r;
            flows[f->bucket]++;
        }
    }
    if (t->weight) {
        for (size_t i = 0; i < t->p.n_buckets; i++) {
            pps[i] *= bucket_factor(t, i);
        }
    }
    t->now += t->p.tick_s;
}

static uint32_t
mix32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

/* Makes 'dense', a table of 't->n_loop' rows with a column for each bucket,
 * the traffic to replay, scaled to the load wanted. */
static void
replay_build(struct sim_traffic *t, const float *dense)
{
    size_t nb = t->p.n_buckets;
    double total = 0;
    size_t n = 0;

    for (size_t i = 0; i < t->n_loop * nb; i++) {
        n += dense[i] > 0;
        total += dense[i] > 0 ? dense[i] : 0;
    }

    double unit = (t->p.absolute ? 1
                   : t->p.load * t->p.core_pps * t->p.n_cores
                     / MAX(total / t->n_loop, 1e-9));
    t->replay = xmalloc(MAX(n, 1) * sizeof *t->replay);
    t->replay_start = xcalloc(t->n_loop + 1, sizeof *t->replay_start);
    n = 0;
    for (size_t k = 0; k < t->n_loop; k++) {
        t->replay_start[k] = n;
        for (size_t b = 0; b < nb; b++) {
            float x = dense[k * nb + b];

            if (x > 0) {
                t->replay[n++] = (struct replay) { b, x * unit };
            }
        }
    }
    t->replay_start[t->n_loop] = n;
}

struct sim_traffic *
sim_traffic_replay(const struct sim_packet *packets, size_t n_packets,
                   double loop_s, const struct sim_traffic_params *p)
{
    struct sim_traffic *t = traffic_alloc(p);
    size_t nb = p->n_buckets;

    ovs_assert(n_packets > 0);
    t->n_loop = MAX(1, loop_s / p->tick_s);

    float *dense = xcalloc(t->n_loop * nb, sizeof *dense);
    double span = packets[n_packets - 1].t - packets[0].t;
    for (size_t c = 0; c < REPLAY_COPIES * p->n_cores; c++) {
        uint32_t salt = ext_rng_next(&t->rng);
        uint32_t phase = ext_rng_range(&t->rng, t->n_loop);

        for (size_t i = 0; i < n_packets; i++) {
            double x = span > 0 ? (packets[i].t - packets[0].t) / span : 0;
            size_t k = (size_t) (MIN(MAX(x, 0), 1) * (t->n_loop - 1)) + phase;

            dense[k % t->n_loop * nb + mix32(packets[i].hash ^ salt) % nb]++;
        }
    }
    replay_build(t, dense);
    free(dense);
    return t;
}

struct sim_traffic *
sim_traffic_trace(const float *pps, size_t n_ticks, size_t n_trace_buckets,
                  const struct sim_traffic_params *p)
{
    struct sim_traffic *t = traffic_alloc(p);
    size_t nb = p->n_buckets;

    ovs_assert(n_ticks > 0);
    t->n_loop = n_ticks;

    float *dense = xcalloc(n_ticks * nb, sizeof *dense);
    for (size_t k = 0; k < n_ticks; k++) {
        for (size_t b = 0; b < n_trace_buckets; b++) {
            dense[k * nb + b % nb] += pps[k * n_trace_buckets + b];
        }
    }
    replay_build(t, dense);
    free(dense);
    return t;
}
