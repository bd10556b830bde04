/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Updates of the tables, within the budget, and what is learned from them: the
 * capacity, what is not worth another try for now. */

#include <config.h>

#include "ovs-ext/offload/offload-plan-impl.h"

#include <limits.h>

#include "openvswitch/util.h"
#include "util.h"

#define RETRY_MIN 1000          /* ms; of a candidate. */
#define RETRY_MAX 300000
#define PAUSE_MIN 250           /* ms; of a port. */
#define PAUSE_MAX 30000
#define PROBE_MIN 10000         /* ms; for more capacity. */
#define PROBE_MAX 300000
#define PROBE_STEP_MAX 1024

static void
refill(struct offload_plan *plan, long long int now)
{
    if (now > plan->refilled) {
        double burst = MAX(2, PLAN_BURST * plan->config.budget);

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
    const struct plan_cand *c = &plan->cands[id];
    const struct plan_port *port = &plan->ports[c->port];

    return (c->used && c->in != insert && now >= port->paused_until
            && !(insert && (port->n_in >= plan_port_limit(port)
                            || (c->failures && now < c->retry_at))));
}

bool
offload_plan_next(struct offload_plan *plan, long long int now,
                  struct offload_update *update)
{
    for (; plan->next_swap < plan->n_swaps; plan->next_swap++) {
        struct plan_swap *swap = &plan->swaps[plan->next_swap];
        bool evict = swap->out != PLAN_NO_ID;
        uint32_t id = evict ? swap->out : swap->in;

        if (id == PLAN_NO_ID) {
            continue;
        }
        if (evict && (!plan->cands[swap->in].used
                      || plan->cands[swap->in].in)) {
            continue;           /* Nobody would take the place. */
        }
        if (!still_wanted(plan, id, !evict, now)) {
            if (evict) {
                swap->out = PLAN_NO_ID;      /* It left by itself. */
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
            swap->out = PLAN_NO_ID;
        } else {
            swap->in = PLAN_NO_ID;
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
inserted(struct plan_port *port, struct plan_cand *c, long long int now)
{
    port->inserted++;
    port->retries += c->failures > 0;
    port->amnesty = port->amnesty || port->failures >= PLAN_OUTAGE;
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
full(struct plan_port *port, long long int now)
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
back_off(struct plan_cand *c, long long int now)
{
    unsigned int shift = MIN(c->failures, 9);

    c->failures += c->failures < 255;
    c->retry_at = now + MIN(RETRY_MIN << shift, RETRY_MAX);
}

static void
failed(struct plan_port *port, struct plan_cand *c, long long int now)
{
    port->failed++;
    back_off(c, now);
    if (++port->failures >= PLAN_OUTAGE) {
        unsigned int shift = MIN(port->failures - PLAN_OUTAGE, 8);

        port->paused_until = now + MIN(PAUSE_MIN << shift, PAUSE_MAX);
    }
}

void
offload_plan_result(struct offload_plan *plan, uint32_t id,
                    enum offload_result result, long long int now)
{
    struct plan_cand *c = &plan->cands[id];
    struct plan_port *port = &plan->ports[c->port];

    ovs_assert(id == plan->asked);
    plan->asked = PLAN_NO_ID;
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
    case OFFLOAD_REFUSED:
        back_off(c, now);
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
    struct plan_port *p = &plan->ports[port];

    if (p->capacity != n) {
        full(p, now);
        p->capacity = n;
    }
}
