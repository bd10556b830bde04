/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the planner knows, and what it wants to be in the tables. */

#include <config.h>

#include "ovs-ext/offload/offload-plan-impl.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/util.h"
#include "util.h"

#define PLAN_AHEAD 1.0          /* Seconds of budget planned in a tick. */

/* A port whose flows are, all in all, this much more off than usual, has seen
 * a change of traffic. */
#define SHIFT_FACTOR 1.5
#define SHIFT_OFF 16.0f         /* Most that one flow counts. */
#define SHIFT_FLOWS 16          /* Fewer do not make a change of traffic. */

struct offload_plan *
offload_plan_create(const struct offload_config *config, long long int now)
{
    struct offload_plan *plan = xzalloc(sizeof *plan);

    plan->config = *config;
    plan->tokens = PLAN_BURST * config->budget;
    plan->refilled = now;
    plan->asked = PLAN_NO_ID;
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
    plan->tokens = MIN(plan->tokens, PLAN_BURST * config->budget);
}

int
offload_plan_add_port(struct offload_plan *plan)
{
    for (int i = 0; i < OFFLOAD_MAX_PORTS; i++) {
        struct plan_port *port = &plan->ports[i];

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

    struct plan_cand *c = &plan->cands[id];
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
    struct plan_cand *c = &plan->cands[id];

    if (c->in != in) {
        c->in = in;
        plan->ports[c->port].n_in += in ? 1 : -1;
    }
}

void
offload_plan_remove(struct offload_plan *plan, uint32_t id)
{
    struct plan_cand *c = &plan->cands[id];

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
    struct plan_cand *c = &plan->cands[id];

    if (now > c->counted) {
        struct plan_port *port = &plan->ports[c->port];
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
worth(const struct plan_cand *c)
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
    plan->swaps[plan->n_swaps++] = (struct plan_swap) { gain, in, out };
}

static int
compare_swaps(const void *a_, const void *b_)
{
    const struct plan_swap *a = a_, *b = b_;

    return a->gain > b->gain ? -1 : a->gain < b->gain;
}

static void
decide_port(struct offload_plan *plan, struct plan_port *port, uint32_t k)
{
    const struct offload_config *config = &plan->config;
    struct offload_item *outs = plan->outs + port->first_out;
    struct offload_item *ins = plan->ins + port->first_in;
    uint32_t limit = plan_port_limit(port);
    uint32_t room = limit > port->n_in ? limit - port->n_in : 0;
    uint32_t i = 0;

    offload_select_top(outs, port->n_outs, k);
    for (; i < port->n_outs && i < k && i < room; i++) {
        const struct plan_cand *c = &plan->cands[outs[i].id];

        if (c->rate.mean * worth(c) * config->horizon >= config->cost) {
            add_swap(plan, c->rate.mean * worth(c), outs[i].id, PLAN_NO_ID);
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
check_shift(struct plan_port *port)
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
        struct plan_port *port = &plan->ports[i];

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
    struct plan_cand *c = &plan->cands[id];
    struct plan_port *port = &plan->ports[c->port];
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
            decide_port(plan, &plan->ports[i], k);
        }
    }
    if (plan->n_swaps) {
        qsort(plan->swaps, plan->n_swaps, sizeof *plan->swaps,
              compare_swaps);
    }
}

void
offload_plan_port_stats(const struct offload_plan *plan, int port_,
                        struct offload_port_stats *stats)
{
    const struct plan_port *port = &plan->ports[port_];

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
        .paused_until = port->failures >= PLAN_OUTAGE ? port->paused_until : 0,
    };
}

void
offload_plan_explain(const struct offload_plan *plan, uint32_t id,
                     struct offload_explanation *e)
{
    const struct plan_cand *c = &plan->cands[id];
    const struct plan_port *port = &plan->ports[c->port];

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
