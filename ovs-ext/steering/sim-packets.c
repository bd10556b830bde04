/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/sim-packets.h"

#include <math.h>
#include <stdlib.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/sim-switch.h"
#include "util.h"

struct sim_packets {
    const struct sim_params *p;
    struct ext_rng rng;
    double *arrival;            /* Times of those waiting, a ring buffer. */
    size_t head, n, alloc;      /* 'alloc' is a power of two. */
    double now;                 /* Arrivals are known until then. */
    double free_at;             /* The core looks again. */
    double next;                /* Arrival. */
    double rate, total;         /* That 'next' was drawn with. */
    double next_stop;           /* Interruption. */
    double stops_hz;            /* Of all kinds. */
};

struct sim_packets *
sim_packets_create(const struct sim_params *p, uint64_t stream)
{
    struct sim_packets *c = xzalloc(sizeof *c);

    c->p = p;
    ext_rng_init_stream(&c->rng, p->seed, 0x70616b00 + stream);
    c->alloc = 4096;
    c->arrival = xmalloc(c->alloc * sizeof *c->arrival);
    c->next = HUGE_VAL;
    for (size_t i = 0; i < p->n_interrupts; i++) {
        c->stops_hz += p->interrupts[i].hz;
    }
    c->next_stop = (c->stops_hz > 0 ? ext_rng_exp(&c->rng) / c->stops_hz
                    : HUGE_VAL);
    return c;
}

void
sim_packets_destroy(struct sim_packets *c)
{
    if (c) {
        free(c->arrival);
        free(c);
    }
}

size_t
sim_packets_queued(const struct sim_packets *c)
{
    return c->n;
}

static void
make_room(struct sim_packets *c, size_t n)
{
    if (c->n + n > c->alloc) {
        size_t alloc = c->alloc;

        while (c->n + n > alloc) {
            alloc *= 2;
        }
        double *fresh = xmalloc(alloc * sizeof *fresh);
        for (size_t i = 0; i < c->n; i++) {
            fresh[i] = c->arrival[(c->head + i) & (c->alloc - 1)];
        }
        free(c->arrival);
        c->arrival = fresh;
        c->alloc = alloc;
        c->head = 0;
    }
}

void
sim_packets_put(struct sim_packets *c, size_t n, double first, double last)
{
    make_room(c, n);
    c->head = (c->head - n) & (c->alloc - 1);
    for (size_t i = 0; i < n; i++) {
        c->arrival[(c->head + i) & (c->alloc - 1)]
            = first + (last - first) * (i + 0.5) / n;
    }
    c->n += n;
}

/* Time between two packets for this core. */
static double
gap(struct sim_packets *c)
{
    double share = c->rate / c->total;
    double skipped = 0;

    if (share < 0.999999) {
        skipped = floor(log(1 - ext_rng_double(&c->rng)) / log1p(-share));
    }
    return (1 + skipped) / c->total;
}

/* Takes what arrives until 't'. */
static void
arrive(struct sim_packets *c, double t, struct sim_packets_step *step)
{
    for (; c->next <= t; c->next += gap(c)) {
        step->arrived++;
        if (c->n >= c->p->ring) {
            step->dropped++;
            continue;
        }
        make_room(c, 1);
        c->arrival[(c->head + c->n++) & (c->alloc - 1)] = c->next;
    }
    c->now = MAX(c->now, t);
}

/* Returns how long the interruption at 'c->next_stop' lasts, and finds the
 * one after it. */
static double
stop(struct sim_packets *c, struct sim_packets_step *step)
{
    double u = ext_rng_double(&c->rng) * c->stops_hz;
    size_t i = 0;

    while (i + 1 < c->p->n_interrupts && u >= c->p->interrupts[i].hz) {
        u -= c->p->interrupts[i++].hz;
    }

    double s = c->p->interrupts[i].s;
    c->next_stop += s + ext_rng_exp(&c->rng) / c->stops_hz;
    step->interrupted_s += s;
    return s;
}

/* Nothing waits: the core looks again after the next arrival, or at 'end'. */
static void
idle(struct sim_packets *c, double end, struct sim_packets_step *step)
{
    double look = end;

    if (c->next <= end) {
        look = c->next + ext_rng_double(&c->rng) * c->p->poll_ns * 1e-9;
    }
    while (c->next_stop < look) {
        double over = c->next_stop;

        over += stop(c, step);
        look = MAX(look, over);
    }
    c->free_at = MAX(c->free_at, look);
}

static void
serve(struct sim_packets *c, double extra_s, sim_packets_cb *cb, void *aux,
      struct sim_packets_step *step)
{
    const struct sim_params *p = c->p;
    size_t n = MIN(c->n, (size_t) p->batch);
    double done = (c->free_at + extra_s
                   + (p->batch_ns + n * p->packet_ns) * 1e-9);

    for (size_t i = 0; p->jitter_ns > 0 && i < n; i++) {
        done += (ext_rng_exp(&c->rng) - 1) * p->jitter_ns * 1e-9;
    }
    while (c->next_stop < done) {
        done += stop(c, step);
    }
    for (size_t i = 0; i < n; i++) {
        double since = c->arrival[(c->head + i) & (c->alloc - 1)];

        cb(aux, MAX(done - p->after_ns * 1e-9 - since, 0));
    }
    c->head = (c->head + n) & (c->alloc - 1);
    c->n -= n;
    c->free_at = done;
    step->served += n;
    step->extra_s += extra_s;
}

void
sim_packets_run(struct sim_packets *c, double end, double rate, double total,
                double extra_s, sim_packets_cb *cb, void *aux,
                struct sim_packets_step *step)
{
    *step = (struct sim_packets_step) { .arrived = 0 };
    if (rate != c->rate || total != c->total) {
        c->rate = rate;
        c->total = total;
        c->next = rate > 0 ? c->now + gap(c) : HUGE_VAL;
    }
    while (c->free_at < end) {
        arrive(c, c->free_at, step);
        if (c->n) {
            serve(c, extra_s, cb, aux, step);
            extra_s = 0;
        } else if (extra_s > 0) {
            c->free_at += extra_s;
            step->extra_s += extra_s;
            extra_s = 0;
        } else {
            idle(c, end, step);
        }
    }
    if (extra_s > 0) {
        c->free_at += extra_s;
        step->extra_s += extra_s;
    }
    arrive(c, end, step);
}
