/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_PLAN_IMPL_H
#define OFFLOAD_PLAN_IMPL_H 1

/* What the files of the planner share: offload-plan.c decides what is to be in
 * the tables, offload-update.c gives out the updates that lead there and
 * learns from what became of them. */

#include "ovs-ext/offload/offload-plan.h"
#include "ovs-ext/offload/offload-rate.h"
#include "ovs-ext/offload/offload-select.h"

#define PLAN_BURST 0.25         /* Seconds of budget that may be saved up. */
#define PLAN_OUTAGE 4           /* Failures in a row that are the port's. */

#define PLAN_NO_ID UINT32_MAX

struct plan_cand {
    void *aux;
    uint64_t packets;           /* When last counted. */
    long long int counted;      /* That time. */
    long long int retry_at;     /* If 'failures'. */
    struct offload_rate rate;
    float last_n, last_dt;      /* Last count. */
    float saving;
    float boost;                /* 1: not preferred. */
    uint16_t port;
    uint8_t failures;           /* In a row, up to 255. */
    bool used;                  /* Not a free slot. */
    bool in;                    /* In the port's table. */
};

struct plan_port {
    bool used;
    bool amnesty;               /* Failed candidates may come back. */
    uint32_t n;                 /* Candidates. */
    uint32_t n_in;
    uint32_t capacity;
    uint32_t failures;          /* In a row. */
    long long int paused_until;

    uint32_t extra;             /* Rules to try beyond 'capacity'. */
    uint32_t step;              /* Next 'extra'. */
    long long int probe_at, probe_every;

    /* How far flows are off their forecasts: this time, and as a rule. */
    double off;
    uint32_t n_off;
    double usual_off;
    bool shifted;               /* For the tick: forget what was before. */

    uint64_t inserted, evicted, no_space, failed, retries;
    uint64_t shifts;
    double rate, rate_in, threshold;

    /* For the tick: where its part of the scratch arrays begins. */
    uint32_t first_out, n_outs, first_in, n_ins;
};

/* A change of a table: one in, one out, or both. */
struct plan_swap {
    float gain;                 /* Packets a second. */
    uint32_t in, out;           /* PLAN_NO_ID: none. */
};

struct offload_plan {
    struct offload_config config;

    struct plan_cand *cands;
    uint32_t n_cands, allocated;
    uint32_t *free, n_free;     /* Slots to give out, 'allocated' of them. */
    uint32_t n_freed;           /* Those at the end: not before a tick. */

    struct plan_port ports[OFFLOAD_MAX_PORTS];
    int n_ports;                /* Highest used + 1. */

    double tokens;
    long long int refilled;

    struct offload_item *outs, *ins;    /* Scratch, [allocated]. */
    struct plan_swap *swaps;
    size_t n_swaps, next_swap, allocated_swaps;
    uint32_t asked;             /* Id of the update given out last. */
    bool asked_insert;
};

/* Rules that 'port' may have now. */
static inline uint32_t
plan_port_limit(const struct plan_port *port)
{
    return (port->capacity == OFFLOAD_UNKNOWN ? OFFLOAD_UNKNOWN
            : port->capacity + port->extra);
}

#endif /* offload-plan-impl.h */
