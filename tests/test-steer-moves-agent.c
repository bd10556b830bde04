/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "tests/test-steer-moves-agent.h"

#include "ovs-rcu.h"
#include "timeval.h"

struct steer_port *port;

const struct steer_move_stats *
stats(void)
{
    return steer_moves_stats();
}

bool
agent_run(void)
{
    bool busy;

    ovs_mutex_lock(&steer_mutex);
    busy = steer_moves_run();
    ovs_mutex_unlock(&steer_mutex);
    ovsrcu_quiesce();
    return busy;
}

bool
agent_move(uint32_t bucket, uint16_t queue)
{
    struct steer_request request = { port, bucket, queue };
    bool begun;

    ovs_mutex_lock(&steer_mutex);
    begun = steer_moves_start(&request, 1);
    ovs_mutex_unlock(&steer_mutex);
    return begun;
}

void
agent_move_random(unsigned int n, uint32_t queues)
{
    struct steer_request requests[STEER_MAX_MOVES];

    for (unsigned int i = 0; i < n; i++) {
        unsigned int queue;

        do {
            queue = fake_random(&fake_seed) % FAKE_MAX_QUEUES;
        } while (!(queues & 1u << queue));
        requests[i].port = port;
        requests[i].bucket = fake_random(&fake_seed) % fake_n_buckets;
        requests[i].queue = queue;
        if (port->mech == STEER_MECH_HANDOFF && queue < fake_n_rxq) {
            requests[i].queue = port->home[requests[i].bucket];
        }
    }
    ovs_mutex_lock(&steer_mutex);
    steer_moves_start(requests, n);
    ovs_mutex_unlock(&steer_mutex);
}

uint64_t
late(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        n += steer_ctr64_get(&steer_pmds[i].n.late);
    }
    return n;
}

uint64_t
handoff_drops(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        n += steer_ctr64_get(&steer_pmds[i].n.handoff_drops);
    }
    return n;
}

void
check_order(void)
{
    CHECK(!fake_get(&fake_n_disorder));
    CHECK(!fake_get(&fake_n_bad));
}

void
finish(void)
{
    WAIT_UNTIL(!agent_run()
               && fake_get(&fake_n_processed) == fake_get(&fake_n_sent));
    fake_pmds_stop();
    check_order();
    CHECK(!fake_get(&fake_n_gaps));
    for (uint32_t b = 0; b < STEER_MAX_BUCKETS; b++) {
        CHECK(fake_last[b] == fake_sent[b]);
    }
    fake_port_close();
    WAIT_UNTIL(!fake_get(&fake_alive));  /* RCU frees some. */
}

void
traffic(uint32_t first, uint32_t n)
{
    for (uint32_t b = first; b < first + n; b++) {
        atomic_store(&fake_traffic[b], true);
    }
}

void
open_reta(unsigned int n_rxq, unsigned int n_buckets)
{
    fake_has_reta = true;
    fake_n_rxq = n_rxq;
    fake_n_buckets = n_buckets;
    port = fake_port_open();
    CHECK(port->mech == STEER_MECH_RETA);
}

void
open_handoff(void)
{
    fake_has_reta = false;
    fake_n_rxq = 2;
    fake_n_buckets = 2 * STEER_HANDOFF_BUCKETS;
    if (!steer_ports_have_virtual()) {
        port = fake_port_open();
        if (port->mech == STEER_MECH_NONE) {
            steer_ports_set_virtual(3);
            ovs_mutex_lock(&steer_mutex);
            steer_port_hand_off(port);
            ovs_mutex_unlock(&steer_mutex);
            fake_port_close();
            port = fake_port_open();
        }
    }
    CHECK(port->mech == STEER_MECH_HANDOFF);
    CHECK(port->n_virtual == 3);
}

void
set_grace_usec(uint64_t usec)
{
    uint64_t hz = 2000000000;   /* About; it is no test of clocks. */

    atomic_store_relaxed(&steer_grace_cycles, usec * (hz / 1000000));
    atomic_store_relaxed(&steer_flush_cycles, usec * (hz / 1000000));
}

void
set_grace_endless(void)
{
    atomic_store_relaxed(&steer_grace_cycles, UINT64_C(1) << 62);
    atomic_store_relaxed(&steer_flush_cycles, UINT64_C(1) << 62);
}

struct steer_transit *
move_begin(uint32_t bucket, uint16_t queue)
{
    struct steer_transit *move = NULL;

    do {
        WAIT_UNTIL(!agent_run());
        if (agent_move(bucket, queue)) {
            move = port->moving[bucket];
        }
    } while (!move || steer_move_phase(move) != STEER_DRAINING);
    return move;
}

void
stress(uint64_t n, uint32_t queues)
{
    fake_generator_start();
    while (stats()->finished < n) {
        uint64_t before = stats()->finished;
        long long int limit = time_msec() + 120000;

        agent_move_random(1 + fake_random(&fake_seed) % 32, queues);
        while (agent_run() && fake_random(&fake_seed) % 4) {
            xnanosleep(20000);
        }
        check_order();
        if (stats()->finished == before && time_msec() > limit) {
            fake_fail("moves do not finish");
        }
        if (!(fake_random(&fake_seed) % 64)) {
            unsigned int pmd = fake_random(&fake_seed) % 3;

            fake_pmd_stall(pmd, true);
            agent_move_random(8, queues);
            agent_run();
            fake_pmd_stall(pmd, false);
            set_grace_usec(fake_random(&fake_seed) % 50);
        }
    }
    fake_generator_stop();
}
