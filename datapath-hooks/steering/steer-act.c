/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the agent does to ports: moves, virtual queues, the way home. */

#include <config.h>

#include "datapath-hooks/steering/steer-agent.h"

#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "random.h"
#include "timeval.h"

enum {
    STEER_WARM_BUDGET = 4096,   /* Flows put in a tick. */
    STEER_HAND_OFF_TICKS = 3    /* Lopsided ticks that call for handoff. */
};

/* Load of the busiest core that calls for handoff. */
#define STEER_HAND_OFF_LOAD 0.6

/* Returns true if move 'm' has its flows on the destination core. */
static bool
steer_agent_warm_move(struct steer_agent *a, const struct steer_port *port,
                      uint32_t bucket, const struct steer_move *m,
                      int *budget) OVS_REQUIRES(steer_mutex)
{
    int n = 0;

    if (a->settings.warm) {
        n = steer_warm_bucket(port, bucket,
                              a->obs.cores[m->from].pmd->core_id,
                              a->obs.cores[m->to].pmd->core_id, *budget);
    }
    if (n < 0) {
        *budget = 0;
        a->n_cold++;
        return false;
    }
    *budget -= n;
    return true;
}

size_t
steer_agent_act(struct steer_agent *a, const struct steer_move *moves,
                size_t n)
{
    struct steer_request requests[STEER_TICK_MOVES];
    int budget = STEER_WARM_BUDGET;
    size_t n_requests = 0;

    for (size_t i = 0; i < n; i++) {
        struct steer_request *req = &requests[n_requests];

        if (a->move_tokens < 1) {
            a->n_limited += n - i;
            break;
        }
        req->port = steer_observer_port(&a->obs, moves[i].bucket,
                                        &req->bucket);
        req->queue = steer_observer_queue(&a->obs, req->port, req->bucket,
                                          moves[i].to);
        if (req->queue != UINT16_MAX
            && steer_agent_warm_move(a, req->port, req->bucket, &moves[i],
                                     &budget)) {
            a->obs.state.buckets[moves[i].bucket].ticks_since_move = 0;
            a->move_tokens--;
            n_requests++;
        }
    }
    return n_requests ? steer_moves_start(requests, n_requests) : 0;
}

bool
steer_agent_go_home(struct steer_agent *a)
{
    struct steer_request requests[STEER_TICK_MOVES];
    bool busy = steer_moves_run();
    struct steer_port *port;
    size_t n = 0;

    LIST_FOR_EACH (port, node, &steer_ports) {
        /* One that was closed since the last tick and has opened again. */
        steer_port_ready(port);
        for (uint32_t b = 0; port->ready && b < port->n_buckets; b++) {
            if (port->owner[b] != port->home[b]
                && !steer_bucket_is_stuck(port, b)) {
                busy = true;
                if (!port->moving[b] && n < STEER_TICK_MOVES
                    && time_msec() >= port->backoff_until) {
                    requests[n].port = port;
                    requests[n].bucket = b;
                    requests[n++].queue = port->home[b];
                }
            }
        }
    }
    if (n) {
        steer_moves_start(requests, n);
    }
    a->is_home = !busy;
    return !busy;
}

void
steer_agent_hand_off(struct steer_agent *a)
{
    const struct steer_state *s = &a->obs.state;
    double max_load = 0, min_load = 1;
    struct steer_port *port;
    unsigned int busiest = 0;

    if (a->settings.mode <= STEER_STATIC || s->n_cores < 2) {
        return;
    }
    for (size_t i = 0; i < s->n_cores; i++) {
        if (s->cores[i].load > max_load) {
            max_load = s->cores[i].load;
            busiest = steer_pmd_slot(a->obs.cores[i].pmd);
        }
        min_load = MIN(min_load, s->cores[i].load);
    }
    if (max_load < STEER_HAND_OFF_LOAD || min_load > max_load / 2) {
        a->n_lopsided = 0;
        return;
    }
    if (++a->n_lopsided < STEER_HAND_OFF_TICKS) {
        return;
    }
    LIST_FOR_EACH (port, node, &steer_ports) {
        for (int q = 0; q < port->n_real; q++) {
            struct steer_rxq *rxq = port->rxqs[q];
            uint16_t slot = UINT16_MAX;

            if (rxq) {
                atomic_read_relaxed(&rxq->pmd, &slot);
            }
            if (slot == busiest && steer_ctr64_get(&rxq->received)) {
                steer_port_hand_off(port);
            }
        }
    }
}

void
steer_agent_churn(struct steer_agent *a)
{
    long long int deadline = time_usec() + a->settings.tick_ms * 900;

    while (a->churn && time_usec() < deadline) {
        struct steer_request requests[STEER_TICK_MOVES];
        struct steer_port *port;
        size_t n = 0, begun;

        steer_moves_run();
        LIST_FOR_EACH (port, node, &steer_ports) {
            /* All of a batch to one queue: a queue that parks gives none. */
            uint16_t q = random_range(MAX(port->n_real + port->n_virtual, 1));
            uint32_t b = random_range(MAX(port->n_buckets, 1));

            for (uint32_t i = 0; port->ready && i < port->n_buckets; i++) {
                b = (b + 1) % port->n_buckets;
                if (n < MIN(STEER_TICK_MOVES, a->churn)
                    && (b || port->mech != STEER_MECH_RETA)
                    && !port->moving[b] && port->owner[b] != q) {
                    requests[n].port = port;
                    requests[n].bucket = b;
                    requests[n++].queue = q;
                }
            }
        }
        begun = n ? steer_moves_start(requests, n) : 0;
        a->churn -= begun;
        a->churned += begun;
        if (!begun) {
            xnanosleep(20000);
        }
    }
}
