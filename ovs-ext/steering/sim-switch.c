/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/sim-switch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-ewma.h"
#include "ovs-ext/core/ext-rng.h"
#include "util.h"

/* Histogram of latency: 32 bins an octave from 2^-24 s (60 ns) up. */
#define BIN_BITS 5
#define N_BINS (32 << BIN_BITS)

/* A move in progress. */
struct sim_move {
    uint32_t bucket;
    uint16_t from, to;
    double delay_s;             /* Until the table is changed. */
    double marker;              /* Packets that the old core still has to
                                 * serve; then parking ends. */
    bool parking;
    double held, held_age;      /* Packets parked, and packets * seconds. */
    double since;               /* Begin of parking, seconds. */
};

struct sim_core {
    struct sim_packets *packets; /* Or null: fluid. */
    double queue;               /* Packets. */
    double debt_s;              /* Extra work. */
    double stall_s;             /* Pre-empted for that long. */
    double rate;                /* Packets/s arriving, without parked ones. */
    double nominal, actual;     /* Packets in this tick. */
    double served, dropped;     /* In this tick. */
    double sojourn;             /* Packets * seconds in this tick. */
    double work_s;              /* Extra work done in this tick. */
    double stalled_s;           /* Pre-empted in this tick. */
    double queue0;              /* At the begin of the tick. */
};

struct sim_switch {
    struct sim_params p;
    double mu;                  /* Capacity, packets/s. */
    struct sim_traffic *traffic;
    struct ext_rng rng;
    struct sim_core *cores;
    double now;                 /* Seconds. */
    double total;               /* Packets/s of all buckets. */
    double *pps;                /* By bucket, at present... */
    double *tick_pps;           /* ...and the mean of this tick. */
    uint32_t *flows;
    uint16_t *owner;            /* Core that the table names. */
    struct ext_holt *holt;
    struct sim_move *moves;
    size_t n_moves, alloc_moves;
    struct steer_state st;
    double *demand;
    double hist[N_BINS];
    double lat_sum, lat_n;
    double offered, served, dropped;
    uint64_t total_moves, refused;
};

void
sim_params_init(struct sim_params *p)
{
    *p = (struct sim_params) {
        .n_cores = 8,
        .n_buckets = 128,
        .packet_ns = 300,
        .batch_ns = 1500,
        .batch = 32,
        .ring = 2048,
        .train = 8,
        .install_ns = 3000,
        .warm_ns = 300,
        .cold_ns = 40000,
        .warm = true,
        .preempt_hz = 2,
        .preempt_s = 60e-6,
        .noise = 0.01,
        .tick_s = 0.01,
        .load = 0.8,
        .duration_s = 3,
        .warmup_s = 0.5,
        .seed = 1,
        .poll_ns = 60,
    };
}

double
sim_core_pps(const struct sim_params *p)
{
    return 1e9 / (p->packet_ns + p->batch_ns / p->batch);
}

static void
sim_init_state(struct sim_switch *s)
{
    struct steer_state *st = &s->st;

    st->n_cores = s->p.n_cores;
    st->cores = xcalloc(st->n_cores, sizeof *st->cores);
    st->n_buckets = s->p.n_buckets;
    st->buckets = xcalloc(st->n_buckets, sizeof *st->buckets);
    st->n_groups = 1;
    st->groups = xcalloc(1, sizeof *st->groups);
    st->groups[0].cores = (st->n_cores < 64
                           ? (UINT64_C(1) << st->n_cores) - 1 : UINT64_MAX);
    st->tick_s = s->p.tick_s;
    for (size_t i = 0; i < st->n_buckets; i++) {
        s->owner[i] = i % s->p.n_cores;
        st->buckets[i].core = s->owner[i];
        st->buckets[i].movable = true;
        st->buckets[i].ticks_since_move = UINT32_MAX;
    }
}

struct sim_switch *
sim_switch_create(const struct sim_params *p, struct sim_traffic *traffic)
{
    struct sim_switch *s = xzalloc(sizeof *s);

    s->p = *p;
    s->mu = sim_core_pps(p);
    s->traffic = traffic;
    ext_rng_init_stream(&s->rng, p->seed, 0x73776974);
    s->cores = xcalloc(p->n_cores, sizeof *s->cores);
    for (size_t i = 0; p->packets && i < p->n_cores; i++) {
        s->cores[i].packets = sim_packets_create(&s->p, i);
    }
    s->tick_pps = xcalloc(p->n_buckets, sizeof *s->tick_pps);
    s->pps = xcalloc(p->n_buckets, sizeof *s->pps);
    s->flows = xcalloc(p->n_buckets, sizeof *s->flows);
    s->owner = xcalloc(p->n_buckets, sizeof *s->owner);
    s->holt = xcalloc(p->n_buckets, sizeof *s->holt);
    s->demand = xcalloc(p->n_cores, sizeof *s->demand);
    sim_init_state(s);
    return s;
}

void
sim_switch_destroy(struct sim_switch *s)
{
    if (s) {
        sim_traffic_destroy(s->traffic);
        for (size_t i = 0; i < s->p.n_cores; i++) {
            sim_packets_destroy(s->cores[i].packets);
        }
        free(s->cores);
        free(s->tick_pps);
        free(s->pps);
        free(s->flows);
        free(s->owner);
        free(s->holt);
        free(s->demand);
        free(s->moves);
        free(s->st.cores);
        free(s->st.buckets);
        free(s->st.groups);
        free(s);
    }
}

struct steer_state *
sim_switch_state(struct sim_switch *s)
{
    return &s->st;
}

const double *
sim_switch_demand(const struct sim_switch *s)
{
    return s->demand;
}

static void
sim_latency(struct sim_switch *s, double n, double latency_s)
{
    union { float f; uint32_t u; } x = { .f = latency_s * 0x1p24 };
    int bin = (int) (x.u >> (23 - BIN_BITS)) - (127 << BIN_BITS);

    s->hist[bin < 0 ? 0 : bin >= N_BINS ? N_BINS - 1 : bin] += n;
    s->lat_sum += n * latency_s;
    s->lat_n += n;
}

/* Packets/s of each core from the buckets that the table gives it.  Buckets
 * being parked are kept apart. */
static void
sim_rates(struct sim_switch *s)
{
    for (size_t c = 0; c < s->p.n_cores; c++) {
        s->cores[c].rate = 0;
    }
    s->total = 0;
    for (size_t i = 0; i < s->p.n_buckets; i++) {
        s->cores[s->owner[i]].rate += s->pps[i];
        s->total += s->pps[i];
    }
    for (size_t i = 0; i < s->n_moves; i++) {
        const struct sim_move *m = &s->moves[i];

        if (m->parking) {
            s->cores[m->to].rate -= s->pps[m->bucket];
        }
    }
}

/* Moves: the table changes when flows are installed, parking ends when the old
 * core has served what it held at that moment.  Returns true if rates of cores
 * changed. */
static bool
sim_step_moves(struct sim_switch *s, double dt)
{
    bool changed = false;

    for (size_t i = 0; i < s->n_moves; ) {
        struct sim_move *m = &s->moves[i];
        struct steer_bucket *b = &s->st.buckets[m->bucket];

        if (!m->parking) {
            m->delay_s -= dt;
            if (m->delay_s <= 0) {
                m->parking = true;
                m->since = s->now;
                m->marker = s->cores[m->from].queue + 1;
                s->owner[m->bucket] = m->to;
                s->cores[m->to].debt_s += s->flows[m->bucket] * 1e-9
                    * (s->p.warm ? s->p.warm_ns : s->p.cold_ns);
                changed = true;
            }
            i++;
            continue;
        }

        double in = s->pps[m->bucket] * dt;
        m->held_age += m->held * dt + in * dt / 2;
        m->held += in;
        s->offered += in;
        if (m->marker > 0 && s->cores[m->from].queue >= 1) {
            i++;
            continue;
        }

        struct sim_core *to = &s->cores[m->to];
        if (to->packets) {
            size_t n = m->held + 0.5;

            s->offered += n - m->held;
            sim_packets_put(to->packets, n, m->since, s->now);
            to->queue += n;
        } else if (m->held > 0) {
            double lat = m->held_age / m->held + to->queue / s->mu;

            sim_latency(s, m->held, lat + s->p.batch_ns * 1e-9);
            to->sojourn += m->held * lat;
            to->queue += m->held;
        }
        b->core = m->to;
        b->movable = true;
        b->ticks_since_move = 0;
        s->moves[i] = s->moves[--s->n_moves];
        changed = true;
    }
    return changed;
}

/* Where the packet core 'c' reports to. */
struct sim_report {
    struct sim_switch *s;
    struct sim_core *c;
};

static void
sim_packet_served(void *report_, double latency_s)
{
    struct sim_report *report = report_;

    sim_latency(report->s, 1, latency_s);
    report->c->sojourn += latency_s;
}

/* As sim_step_core(), packet by packet. */
static void
sim_step_packets(struct sim_switch *s, struct sim_core *c, double dt)
{
    struct sim_report report = { s, c };
    struct sim_packets_step step;
    double rate = MAX(c->rate, 0);

    if (!s->p.n_interrupts) {
        c->debt_s += c->stall_s;
        c->stall_s = 0;
    }
    sim_packets_run(c->packets, s->now + dt, rate, s->total, c->debt_s,
                    sim_packet_served, &report, &step);
    c->debt_s = 0;
    c->queue = sim_packets_queued(c->packets);
    c->nominal += rate * dt;
    c->actual += step.arrived;
    c->served += step.served;
    c->dropped += step.dropped;
    c->work_s += step.extra_s;
    c->stalled_s += step.interrupted_s;
    s->offered += step.arrived;
    s->served += step.served;
    s->dropped += step.dropped;
}

static void
sim_step_core(struct sim_switch *s, struct sim_core *c, double dt)
{
    if (c->packets) {
        sim_step_packets(s, c, dt);
        return;
    }

    double nominal = c->rate > 0 ? c->rate * dt : 0;
    double in = nominal + sqrt(s->p.train * nominal)
                          * ext_rng_normal_fast(&s->rng);
    double avail = dt;

    in = MAX(in, 0);
    if (c->stall_s > 0) {
        double x = MIN(c->stall_s, avail);

        c->stall_s -= x;
        c->stalled_s += x;
        avail -= x;
    }
    if (c->debt_s > 0) {
        double x = MIN(c->debt_s, avail);

        c->debt_s -= x;
        c->work_s += x;
        avail -= x;
    }

    double q0 = c->queue;
    double served = MIN(q0 + in, avail * s->mu);
    double q1 = q0 + in - served;
    double room = MAX(s->p.ring, q0);   /* Unparked packets sit elsewhere. */
    double drop = MIN(MAX(q1 - room, 0), in);

    c->queue = q1 - drop;
    c->nominal += nominal;
    c->actual += in;
    c->served += served;
    c->dropped += drop;
    s->offered += in;
    s->served += served;
    s->dropped += drop;

    double accepted = in - drop;
    if (accepted > 0) {
        /* Mean queue seen on arrival, the train before oneself, and the
         * batch one is part of. */
        double rho = MIN(c->rate / s->mu, 0.999);
        double n = MIN(1 + rho / (1 - rho), s->p.batch);
        double lat = ((q0 + c->queue) / 2 / s->mu
                      + (dt - avail)
                      + (s->p.train / 2 + n / 2) / s->mu
                      + s->p.batch_ns * 1e-9);

        sim_latency(s, accepted, lat);
        c->sojourn += accepted * lat;
    }
}

/* Fills in what the policy sees. */
static void
sim_observe(struct sim_switch *s)
{
    struct steer_state *st = &s->st;
    double tick = s->p.tick_s;

    for (size_t i = 0; i < st->n_cores; i++) {
        struct sim_core *c = &s->cores[i];
        struct steer_core *o = &st->cores[i];
        double err = 1 + s->p.noise * ext_rng_normal_fast(&s->rng);
        double demand = c->served + c->dropped + c->queue - c->queue0;

        s->demand[i] = demand / (s->mu * tick);
        o->load = MAX(0, s->demand[i] + c->work_s / tick) * err;
        o->pps = c->served / tick;
        o->cap_pps = s->mu * (1 + s->p.noise * ext_rng_normal_fast(&s->rng));
        o->qfill = MIN(c->queue / s->p.ring, 1);
        o->drops_pps = c->dropped / tick;
        o->latency_ns = c->served > 0 ? c->sojourn / c->served * 1e9 : 0;
    }
    for (size_t i = 0; i < st->n_buckets; i++) {
        struct steer_bucket *b = &st->buckets[i];
        const struct sim_core *c = &s->cores[s->owner[i]];
        double k = c->nominal > 0 ? c->actual / c->nominal : 1;
        double kept = c->actual > 0 ? 1 - c->dropped / c->actual : 1;
        double n = s->tick_pps[i] * tick;

        /* Counts of arrivals vary; the train is counted for the core. */
        n = MAX(0, n * k + sqrt(n) * ext_rng_normal_fast(&s->rng)) * kept;
        b->pps = n / tick;
        b->bytes_ps = b->pps * 300;
        b->pred_pps = ext_holt_update(&s->holt[i], b->pps, 1 / tick);
        b->flows = s->flows[i];
        b->ticks_since_move += b->ticks_since_move < UINT32_MAX;
    }
    st->tick++;
}

/* Lets the traffic change; it stays so for 'share' of the tick. */
static void
sim_next_traffic(struct sim_switch *s, double share)
{
    sim_traffic_step(s->traffic, s->pps, s->flows);
    for (size_t i = 0; i < s->p.n_buckets; i++) {
        s->tick_pps[i] += s->pps[i] * share;
    }
    sim_rates(s);
}

const struct steer_state *
sim_switch_tick(struct sim_switch *s)
{
    double step_s = s->p.packets ? SIM_PACKETS_STEP_S : SIM_STEP_S;
    size_t steps = MAX(1, s->p.tick_s / step_s + 0.5);
    size_t per_traffic = (s->p.traffic_s > 0
                          ? MAX(1, steps * s->p.traffic_s / s->p.tick_s + 0.5)
                          : steps);
    double dt = s->p.tick_s / steps;

    memset(s->tick_pps, 0, s->p.n_buckets * sizeof *s->tick_pps);
    for (size_t i = 0; i < s->p.n_cores; i++) {
        struct sim_core *c = &s->cores[i];

        c->nominal = c->actual = c->served = c->dropped = 0;
        c->sojourn = c->work_s = c->stalled_s = 0;
        c->queue0 = c->queue;
        if (ext_rng_double(&s->rng) < s->p.preempt_hz * s->p.tick_s) {
            c->stall_s += s->p.preempt_s * ext_rng_exp(&s->rng);
        }
    }
    for (size_t k = 0; k < steps; k++) {
        if (k % per_traffic == 0) {
            sim_next_traffic(s, (double) MIN(per_traffic, steps - k) / steps);
        }
        for (size_t i = 0; i < s->p.n_cores; i++) {
            double before = s->cores[i].served;

            sim_step_core(s, &s->cores[i], dt);
            for (size_t j = 0; j < s->n_moves; j++) {
                struct sim_move *m = &s->moves[j];

                if (m->parking && m->from == i) {
                    m->marker -= s->cores[i].served - before;
                }
            }
        }
        s->now += dt;
        if (s->n_moves && sim_step_moves(s, dt)) {
            sim_rates(s);
        }
    }
    sim_observe(s);
    return &s->st;
}

void
sim_switch_move(struct sim_switch *s, const struct steer_move *moves, size_t n)
{
    double all = 0;

    /* The real agent installs the flows of all moves, then writes the table
     * once. */
    for (size_t i = 0; s->p.warm && i < n; i++) {
        if (moves[i].bucket < s->p.n_buckets) {
            all += s->flows[moves[i].bucket] * s->p.install_ns * 1e-9;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct steer_move *m = &moves[i];

        if (m->bucket >= s->p.n_buckets || m->to >= s->p.n_cores
            || !s->st.buckets[m->bucket].movable
            || s->st.buckets[m->bucket].core != m->from
            || m->from == m->to || s->st.cores[m->to].isolated
            || !((s->st.groups[0].cores >> m->to) & 1)) {
            s->refused++;
            continue;
        }
        if (s->n_moves >= s->alloc_moves) {
            s->alloc_moves = s->alloc_moves ? 2 * s->alloc_moves : 64;
            s->moves = xrealloc(s->moves,
                                s->alloc_moves * sizeof *s->moves);
        }
        double install = s->p.warm ? s->flows[m->bucket] * s->p.install_ns
                                     * 1e-9 : 0;
        if (s->p.packets) {
            install = all;
        }
        s->moves[s->n_moves++] = (struct sim_move) {
            .bucket = m->bucket, .from = m->from, .to = m->to,
            .delay_s = 50e-6 + MIN(install, 0.02),
        };
        s->st.buckets[m->bucket].movable = false;
        s->total_moves++;
    }
}

static double
percentile(const struct sim_switch *s, double q)
{
    double sum = 0;

    for (size_t i = 0; i < N_BINS; i++) {
        sum += s->hist[i];
        if (sum >= q * s->lat_n && sum > 0) {
            double x = (i % (1 << BIN_BITS) + 0.5) / (1 << BIN_BITS);

            return ldexp(1 + x, (int) (i >> BIN_BITS) - 24) * 1e6;
        }
    }
    return 0;
}

void
sim_switch_get_totals(const struct sim_switch *s, struct sim_totals *t)
{
    *t = (struct sim_totals) {
        .offered = s->offered, .served = s->served, .dropped = s->dropped,
        .moves = s->total_moves, .refused = s->refused,
        .p50_us = percentile(s, 0.5), .p95_us = percentile(s, 0.95),
        .p99_us = percentile(s, 0.99),
        .mean_us = s->lat_n > 0 ? s->lat_sum / s->lat_n * 1e6 : 0,
    };
    for (size_t i = 0; i < s->p.n_cores; i++) {
        t->queued += s->cores[i].queue;
    }
    for (size_t i = 0; i < s->n_moves; i++) {
        t->parked += s->moves[i].held;
    }
}

void
sim_switch_clear(struct sim_switch *s)
{
    struct sim_totals t;

    sim_switch_get_totals(s, &t);
    memset(s->hist, 0, sizeof s->hist);
    s->lat_sum = s->lat_n = 0;
    s->offered = t.queued + t.parked;
    s->served = s->dropped = 0;
    s->total_moves = s->refused = 0;
}
