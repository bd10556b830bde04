/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/offload/offload-plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/util.h"
#include "ovs-ext/offload/offload-rate.h"
#include "ovs-ext/offload/offload-select.h"
#include "util.h"

#define BURST 0.25              /* Seconds of budget that may be saved up. */
#define PLAN_AHEAD 1.0          /* Seconds of budget planned in a tick. */

#define RETRY_MIN 1000          /* ms; of a candidate. */
#define RETRY_MAX 300000
#define OUTAGE 4                /* Failures in a row that are the port's. */
#define PAUSE_MIN 250           /* ms; of a port. */
#define PAUSE_MAX 30000
#define PROBE_MIN 10000         /* ms; for more capacity. */
#define PROBE_MAX 300000
#define PROBE_STEP_MAX 1024

/* A port whose flows are, all in all, this much more off than usual, has seen
 * a change of traffic. */
#define SHIFT_FACTOR 1.5
#define SHIFT_OFF 16.0f         /* Most that one flow counts. */
#define SHIFT_FLOWS 16          /* Fewer do not make a change of traffic. */

#define NO_ID UINT32_MAX

struct cand {
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

struct port {
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
struct swap {
    float gain;                 /* Packets a second. */
    uint32_t in, out;           /* NO_ID: none. */
};

struct offload_plan {
    struct offload_config config;

    struct cand *cands;
    uint32_t n_cands, allocated;
    uint32_t *free, n_free;     /* Slots to give out, 'allocated' of them. */
    uint32_t n_freed;           /* Those at the end: not before a tick. */

    struct port ports[OFFLOAD_MAX_PORTS];
    int n_ports;                /* Highest used + 1. */

    double tokens;
    long long int refilled;

    struct offload_item *outs, *ins;    /* Scratch, [allocated]. */
    struct swap *swaps;
    size_t n_swaps, next_swap, allocated_swaps;
    uint32_t asked;             /* Id of the update given out last. */
    bool asked_insert;
};

struct offload_plan *
offload_plan_create(const struct offload_config *config, long long int now)
{
    struct offload_plan *plan = xzalloc(sizeof *plan);

    plan->config = *config;
    plan->tokens = BURST * config->budget;
    plan->refilled = now;
    plan->asked = NO_ID;
    return plan;
}

void
offload_plan_destroy(struct offload_plan *plan)
{
    if (plan) {
        free(plan->cands);
        free(plan->free);
        free(plan->outs);
        free(plan->ins);
        free(plan->swaps);
        free(plan);
    }
}

void
offload_plan_configure(struct offload_plan *plan,
                       const struct offload_config *config)
{
    plan->config = *config;
    plan->tokens = MIN(plan->tokens, BURST * config->budget);
}

int
offload_plan_add_port(struct offload_plan *plan)
{
    for (int i = 0; i < OFFLOAD_MAX_PORTS; i++) {
        struct port *port = &plan->ports[i];

        if (!port->used) {
            memset(port, 0, sizeof *port);
            port->used = true;
            port->capacity = OFFLOAD_UNKNOWN;
            port->step = 1;
            plan->n_ports = MAX(plan->n_ports, i + 1);
            return i;
        }
    }
    return -1;
}

void
offload_plan_remove_port(struct offload_plan *plan, int port)
{
    ovs_assert(!plan->ports[port].n);
    plan->ports[port].used = false;
}

static void
grow(struct offload_plan *plan)
{
    plan->allocated = MAX(64, 2 * plan->allocated);
    plan->cands = xrealloc(plan->cands,
                           plan->allocated * sizeof *plan->cands);
    plan->free = xrealloc(plan->free, plan->allocated * sizeof *plan->free);
    plan->outs = xrealloc(plan->outs, plan->allocated * sizeof *plan->outs);
    plan->ins = xrealloc(plan->ins, plan->allocated * sizeof *plan->ins);
}

uint32_t
offload_plan_add(struct offload_plan *plan, int port, uint64_t packets,
                 void *aux, long long int now)
{
    uint32_t id;

    /* What was freed since the last tick may still be in 'swaps'. */
    if (plan->n_free > plan->n_freed) {
        uint32_t last = --plan->n_free;

        id = plan->free[last - plan->n_freed];
        plan->free[last - plan->n_freed] = plan->free[last];
    } else {
        if (plan->n_cands == plan->allocated) {
            grow(plan);
        }
        id = plan->n_cands++;
    }

    struct cand *c = &plan->cands[id];
    memset(c, 0, sizeof *c);
    c->aux = aux;
    c->packets = packets;
    c->counted = now;
    c->saving = c->boost = 1;
    c->port = port;
    c->used = true;
    plan->ports[port].n++;
    return id;
}

void
offload_plan_set_in(struct offload_plan *plan, uint32_t id, bool in)
{
    struct cand *c = &plan->cands[id];

    if (c->in != in) {
        c->in = in;
        plan->ports[c->port].n_in += in ? 1 : -1;
    }
}

void
offload_plan_remove(struct offload_plan *plan, uint32_t id)
{
    struct cand *c = &plan->cands[id];

    offload_plan_set_in(plan, id, false);
    plan->ports[c->port].n--;
    c->used = false;
    plan->free[plan->n_free++] = id;
    plan->n_freed++;
}

void
offload_plan_count(struct offload_plan *plan, uint32_t id, uint64_t packets,
                   long long int now)
{
    struct cand *c = &plan->cands[id];

    if (now > c->counted) {
        struct port *port = &plan->ports[c->port];
        float off, expected;

        /* Counters go back when a flow is removed from one of the PMD threads
         * that it is on. */
        c->last_n = packets > c->packets ? packets - c->packets : 0;
        c->last_dt = (now - c->counted) / 1e3f;
        expected = c->rate.mean * c->last_dt;
        off = offload_rate_update(&c->rate, c->last_n, c->last_dt);
        if (expected >= 1) {
            port->off += MIN(off, SHIFT_OFF);
            port->n_off++;
        }
        c->packets = packets;
        c->counted = now;
    }
}

void
offload_plan_set_saving(struct offload_plan *plan, uint32_t id, double saving)
{
    plan->cands[id].saving = saving;
}

void
offload_plan_set_boost(struct offload_plan *plan, uint32_t id, double boost)
{
    plan->cands[id].boost = MAX(1, MIN(boost, OFFLOAD_MAX_BOOST));
}

/* What a packet of 'c' in hardware is worth. */
static float
worth(const struct cand *c)
{
    return c->saving * c->boost;
}

static void
add_swap(struct offload_plan *plan, float gain, uint32_t in, uint32_t out)
{
    if (plan->n_swaps == plan->allocated_swaps) {
        plan->swaps = x2nrealloc(plan->swaps, &plan->allocated_swaps,
                                 sizeof *plan->swaps);
    }
    plan->swaps[plan->n_swaps++] = (struct swap) { gain, in, out };
}

static int
compare_swaps(const void *a_, const void *b_)
{
    const struct swap *a = a_, *b = b_;

    return a->gain > b->gain ? -1 : a->gain < b->gain;
}

/* Rules that 'port' may have now. */
static uint32_t
limit(const struct port *port)
{
    return (port->capacity == OFFLOAD_UNKNOWN ? OFFLOAD_UNKNOWN
            : port->capacity + port->extra);
}

static void
plan_port(struct offload_plan *plan, struct port *port, uint32_t k)
{
    const struct offload_config *config = &plan->config;
    struct offload_item *outs = plan->outs + port->first_out;
    struct offload_item *ins = plan->ins + port->first_in;
    uint32_t room = limit(port) > port->n_in ? limit(port) - port->n_in : 0;
    uint32_t i = 0;

    offload_select_top(outs, port->n_outs, k);
    for (; i < port->n_outs && i < k && i < room; i++) {
        const struct cand *c = &plan->cands[outs[i].id];

        if (c->rate.mean * worth(c) * config->horizon >= config->cost) {
            add_swap(plan, c->rate.mean * worth(c), outs[i].id, NO_ID);
        }
    }
    if (i == port->n_outs || i == k) {
        return;
    }

    /* Keys of 'ins' are negative: the least valuable come first. */
    offload_select_top(ins, port->n_ins, k);
    for (uint32_t j = 0; i < port->n_outs && i < k && j < port->n_ins
                         && j < k; i++, j++) {
        float old = -ins[j].key;
        float gain = outs[i].key - old;

        if (outs[i].key <= old * (1 + config->margin)
            || gain * config->horizon <= 2 * config->cost) {
            break;
        }
        add_swap(plan, gain, outs[i].id, ins[j].id);
    }
}

/* Sees whether the traffic of 'port' as a whole has changed. */
static void
check_shift(struct port *port)
{
    port->shifted = false;
    if (port->n_off >= SHIFT_FLOWS) {
        double off = port->off / port->n_off;

        if (port->usual_off > 0 && off > SHIFT_FACTOR * port->usual_off) {
            port->shifted = true;
            port->shifts++;
        }
        port->usual_off += (off - port->usual_off) * (port->usual_off > 0
                                                      ? 0.1 : 1);
    }
    port->off = port->n_off = 0;
}

/* Sums up 'port's and gives each its part of the scratch arrays. */
static void
begin_ports(struct offload_plan *plan, long long int now)
{
    uint32_t first_out = 0, first_in = 0;

    for (int i = 0; i < plan->n_ports; i++) {
        struct port *port = &plan->ports[i];

        check_shift(port);
        port->rate = port->rate_in = 0;
        port->threshold = 0;
        port->n_outs = port->n_ins = 0;
        port->first_out = first_out;
        port->first_in = first_in;
        first_out += port->n - port->n_in;
        first_in += port->n_in;
        port->extra = (port->capacity != OFFLOAD_UNKNOWN
                       && now >= port->probe_at ? port->step : 0);
    }
}

static void
sort_out(struct offload_plan *plan, uint32_t id, long long int now)
{
    struct cand *c = &plan->cands[id];
    struct port *port = &plan->ports[c->port];
    float doubt, value;

    if (port->shifted && c->rate.seen > c->last_dt && c->last_dt > 0) {
        offload_rate_restart(&c->rate, c->last_n, c->last_dt);
    }
    doubt = plan->config.doubt * offload_rate_error(&c->rate);
    value = c->rate.mean * worth(c);
    if (port->amnesty) {
        c->retry_at = now;
    }
    port->rate += c->rate.mean;
    if (c->in) {
        port->rate_in += c->rate.mean;
        if (!port->n_ins || value < port->threshold) {
            port->threshold = value;
        }
        plan->ins[port->first_in + port->n_ins++]
            = (struct offload_item) { -(c->rate.mean + doubt) * worth(c),
                                      id };
    } else if (c->rate.mean > 0
               && (!c->failures || now >= c->retry_at)) {
        plan->outs[port->first_out + port->n_outs++]
            = (struct offload_item) { (c->rate.mean - doubt) * worth(c), id };
    }
}

void
offload_plan_tick(struct offload_plan *plan, long long int now)
{
    uint32_t k = MAX(64, plan->config.budget * PLAN_AHEAD);

    begin_ports(plan, now);
    for (uint32_t id = 0; id < plan->n_cands; id++) {
        if (plan->cands[id].used) {
            sort_out(plan, id, now);
        }
    }
    plan->n_swaps = plan->next_swap = 0;
    plan->n_freed = 0;
    for (int i = 0; i < plan->n_ports; i++) {
        plan->ports[i].amnesty = false;
        if (plan->ports[i].used && now >= plan->ports[i].paused_until) {
            plan_port(plan, &plan->ports[i], k);
        }
    }
    if (plan->n_swaps) {
        qsort(plan->swaps, plan->n_swaps, sizeof *plan->swaps,
              compare_swaps);
    }
}

/* Updates. */

static void
refill(struct offload_plan *plan, long long int now)
{
    if (now > plan->refilled) {
        double burst = MAX(2, BURST * plan->config.budget);

        plan->tokens += (now - plan->refilled) / 1e3 * plan->config.budget;
        plan->tokens = MIN(plan->tokens, burst);
        plan->refilled = now;
    }
}

bool
offload_plan_take(struct offload_plan *plan, long long int now)
{
    refill(plan, now);
    if (plan->tokens < 1) {
        return false;
    }
    plan->tokens--;
    return true;
}

/* Whether the planned update of 'id' still makes sense. */
static bool
still_wanted(const struct offload_plan *plan, uint32_t id, bool insert,
             long long int now)
{
    const struct cand *c = &plan->cands[id];
    const struct port *port = &plan->ports[c->port];

    return (c->used && c->in != insert && now >= port->paused_until
            && !(insert && (port->n_in >= limit(port)
                            || (c->failures && now < c->retry_at))));
}

bool
offload_plan_next(struct offload_plan *plan, long long int now,
                  struct offload_update *update)
{
    for (; plan->next_swap < plan->n_swaps; plan->next_swap++) {
        struct swap *swap = &plan->swaps[plan->next_swap];
        bool evict = swap->out != NO_ID;
        uint32_t id = evict ? swap->out : swap->in;

        if (id == NO_ID) {
            continue;
        }
        if (evict && (!plan->cands[swap->in].used
                      || plan->cands[swap->in].in)) {
            continue;           /* Nobody would take the place. */
        }
        if (!still_wanted(plan, id, !evict, now)) {
            if (evict) {
                swap->out = NO_ID;      /* It left by itself. */
                plan->next_swap--;
            }
            continue;
        }
        refill(plan, now);
        if (plan->tokens < (evict ? 2 : 1)) {
            return false;
        }
        plan->tokens--;
        if (evict) {
            swap->out = NO_ID;
        } else {
            swap->in = NO_ID;
        }
        plan->asked = id;
        plan->asked_insert = !evict;
        *update = (struct offload_update) { id, plan->cands[id].aux, !evict };
        return true;
    }
    return false;
}

long long int
offload_plan_wake(const struct offload_plan *plan)
{
    if (plan->next_swap >= plan->n_swaps) {
        return LLONG_MAX;
    }
    return plan->refilled + 1 + MAX(0, (2 - plan->tokens) * 1e3
                                       / plan->config.budget);
}

static void
inserted(struct port *port, struct cand *c, long long int now)
{
    port->inserted++;
    port->retries += c->failures > 0;
    port->amnesty = port->amnesty || port->failures >= OUTAGE;
    port->failures = 0;
    c->failures = 0;
    if (port->capacity != OFFLOAD_UNKNOWN && port->n_in > port->capacity) {
        port->capacity = port->n_in;
        port->extra -= port->extra > 0;
        port->step = MIN(2 * port->step, PROBE_STEP_MAX);
        port->probe_every = PROBE_MIN;
        port->probe_at = now;
    }
}

static void
full(struct port *port, long long int now)
{
    bool probed = (port->capacity != OFFLOAD_UNKNOWN
                   && port->n_in >= port->capacity);

    port->probe_every = (probed ? MIN(2 * port->probe_every, PROBE_MAX)
                         : PROBE_MIN);
    port->probe_at = now + port->probe_every;
    port->capacity = port->n_in;
    port->extra = 0;
    port->step = 1;
}

static void
failed(struct port *port, struct cand *c, long long int now)
{
    unsigned int shift = MIN(c->failures, 9);

    port->failed++;
    c->failures += c->failures < 255;
    c->retry_at = now + MIN(RETRY_MIN << shift, RETRY_MAX);
    if (++port->failures >= OUTAGE) {
        shift = MIN(port->failures - OUTAGE, 8);
        port->paused_until = now + MIN(PAUSE_MIN << shift, PAUSE_MAX);
    }
}

void
offload_plan_result(struct offload_plan *plan, uint32_t id,
                    enum offload_result result, long long int now)
{
    struct cand *c = &plan->cands[id];
    struct port *port = &plan->ports[c->port];

    ovs_assert(id == plan->asked);
    plan->asked = NO_ID;
    switch (result) {
    case OFFLOAD_DONE:
        offload_plan_set_in(plan, id, plan->asked_insert);
        if (plan->asked_insert) {
            inserted(port, c, now);
        } else {
            port->evicted++;
        }
        break;
    case OFFLOAD_NO_SPACE:
        port->no_space++;
        full(port, now);
        break;
    case OFFLOAD_FAILED:
        failed(port, c, now);
        break;
    case OFFLOAD_GONE:
    default:
        break;
    }
}

void
offload_plan_set_full(struct offload_plan *plan, int port, uint32_t n,
                      long long int now)
{
    struct port *p = &plan->ports[port];

    if (p->capacity != n) {
        full(p, now);
        p->capacity = n;
    }
}

void
offload_plan_port_stats(const struct offload_plan *plan, int port_,
                        struct offload_port_stats *stats)
{
    const struct port *port = &plan->ports[port_];

    *stats = (struct offload_port_stats) {
        .candidates = port->n,
        .used = port->n_in,
        .capacity = port->capacity,
        .inserted = port->inserted,
        .evicted = port->evicted,
        .no_space = port->no_space,
        .failed = port->failed,
        .retries = port->retries,
        .rate = port->rate,
        .rate_in = port->rate_in,
        .threshold = port->threshold,
        .paused_until = port->failures >= OUTAGE ? port->paused_until : 0,
    };
}

void
offload_plan_explain(const struct offload_plan *plan, uint32_t id,
                     struct offload_explanation *e)
{
    const struct cand *c = &plan->cands[id];
    const struct port *port = &plan->ports[c->port];

    *e = (struct offload_explanation) {
        .rate = c->rate.mean,
        .error = c->rate.seen > 0 ? offload_rate_error(&c->rate) : 0,
        .value = c->rate.mean * worth(c),
        .boost = c->boost,
        .threshold = port->threshold,
        .in = c->in,
        .failures = c->failures,
        .retry_at = c->failures ? c->retry_at : 0,
        .room = port->n_in < port->capacity,
    };
}
