/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Moves while devices refuse, threads exit or sleep and ports close. */

#include <config.h>

#include <errno.h>

#include "ovs-rcu.h"
#include "tests/test-steer-moves-agent.h"
#include "timeval.h"

void
test_reta_error(void)
{
    uint64_t errors = 0;

    open_reta(4, 64);
    traffic(0, 64);
    atomic_store_relaxed(&fake_window, UINT64_C(600));
    fake_pmd_start(0, 1 << 0 | 1 << 2);
    fake_pmd_start(1, 1 << 1 | 1 << 3);
    fake_generator_start();
    for (int i = 0; i < 40; i++) {
        uint16_t before[64];
        uint64_t writes;
        bool half = i % 2;

        memcpy(before, port->owner, sizeof before);
        atomic_store(&fake_refuse, 1);
        atomic_store(&fake_refuse_half, half);
        do {
            agent_run();
            agent_move_random(16, 0xf);
        } while (stats()->reta_errors == errors);
        CHECK(stats()->reta_errors == ++errors);
        WAIT_UNTIL(!agent_run());
        for (uint32_t b = 0; b < 64; b++) {
            CHECK(port->owner[b] == fake_reta(b));
            CHECK(half || port->owner[b] == before[b]);
        }

        /* It is left alone for a while. */
        writes = steer_ctr64_get(&fake_table_writes);
        if (time_msec() + 500 < port->backoff_until) {
            agent_move_random(1, 0xf);
            CHECK(steer_ctr64_get(&fake_table_writes) == writes);
        }
        port->backoff_until = 0;
        agent_move_random(16, 0xf);
        WAIT_UNTIL(!agent_run());
        check_order();
    }
    fake_generator_stop();
    finish();
}

void
test_pmd_exit(void)
{
    unsigned int starved = 0;

    open_reta(2, 64);
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    for (unsigned int i = 0; i < 60; i++) {
        unsigned int old = fake_reta(0), runs = fake_random(&fake_seed) % 20;
        long long int begun;

        fake_pmd_stall(old, true);
        fake_send(0, 200);
        begun = time_msec();
        move_begin(0, !old);
        fake_send(0, 200);
        fake_pmd_stop(old);
        for (unsigned int j = 0; j < runs; j++) {
            agent_run();
            xnanosleep(200000);
        }
        if (i % 2) {
            fake_pmd_start(old, 1 << old);
        } else {
            fake_pmd_set_queues(!old, 3);   /* The other gets both. */
        }
        WAIT_UNTIL(!agent_run()
                   && fake_get(&fake_n_processed) == fake_get(&fake_n_sent));
        if (!(i % 2)) {
            fake_pmd_set_queues(!old, 1 << !old);
            fake_pmd_start(old, 1 << old);
        }
        if (time_msec() - begun > 500) {
            /* So long without a thread that the agent gave the queue up. */
            starved++;
            atomic_store(&fake_n_disorder, UINT64_C(0));
            atomic_store(&fake_n_gaps, UINT64_C(0));
            fake_last[0] = fake_sent[0];
        }
        check_order();
    }
    CHECK(starved < 50);
    finish();
}

void
test_port_close(void)
{
    atomic_store_relaxed(&fake_window, UINT64_C(700));
    traffic(0, 64);
    traffic(STEER_HANDOFF_BUCKETS, 32);
    fake_has_reta = true;
    for (int i = 0; i < 60; i++) {
        uint64_t parked = 0;

        /* By handoff last: what is handed off once stays so. */
        if (i < 30) {
            open_reta(5, 64);
        } else {
            open_handoff();
        }
        set_grace_endless();
        fake_pmd_start(0, 1 << 0 | 1 << 3);
        fake_pmd_start(1, 1 << 1 | 1 << 4);
        fake_pmd_start(2, 1 << 2);
        fake_generator_start();
        do {
            agent_move_random(16, 0x1f);
            agent_run();
            xnanosleep(200000);
            for (size_t j = 0; j < STEER_MAX_MOVES; j++) {
                if (steer_move_phase(&steer_transits[j]) != STEER_FREE) {
                    parked += steer_ctr32_get(&steer_transits[j].parked);
                }
            }
        } while (!parked);
        if (i % 2) {
            set_grace_usec(0);  /* Close while they are being let go. */
            xnanosleep(1000 * (fake_random(&fake_seed) % 1000));
        }
        for (unsigned int pmd = 0; pmd < 3; pmd++) {
            fake_pmd_set_queues(pmd, 0);
        }
        fake_generator_stop();
        fake_port_close();
        WAIT_UNTIL(!fake_get(&fake_alive));  /* RCU frees some. */
        atomic_store(&fake_n_processed, fake_get(&fake_n_sent));
        CHECK(!agent_run());
        check_order();
        fake_pmds_stop();
        ovsrcu_synchronize();
    }
}

void
test_unpolled_new_queue(void)
{
    long long int begun;
    uint64_t unacked;

    open_reta(4, 64);
    traffic(0, 64);
    atomic_store_relaxed(&fake_window, UINT64_C(600));
    fake_pmd_start(0, 1 << 0 | 1 << 1);
    fake_pmd_start(1, 1 << 2);  /* Queue 3 is polled by nobody... */
    for (uint32_t b = 3; b < 64; b += 4) {
        /* ...so give it nothing. */
        WAIT_UNTIL((agent_run() || true) && agent_move(b, b % 3)
                   && fake_reta(b) != 3);
    }
    WAIT_UNTIL(!agent_run());
    fake_generator_start();
    for (uint32_t b = 0; b < 64; b++) {
        uint16_t before = fake_reta(b);

        agent_move(b, 3);
        agent_run();
        CHECK(fake_reta(b) == before);
        CHECK(port->owner[b] == before);
    }
    unacked = stats()->unacked;
    CHECK(unacked);

    /* A thread that may be asleep is waited for. */
    atomic_store_relaxed(&steer_max_sleep_usec, 100000);
    WAIT_UNTIL(!agent_run());
    begun = time_usec();
    agent_move(0, 3);
    CHECK(time_usec() - begun >= 100000);
    atomic_store_relaxed(&steer_max_sleep_usec, 0);

    /* That must not keep other moves from being made. */
    for (int i = 0; i < 20; i++) {
        uint16_t to = (fake_reta(63) + 1) % 3;

        WAIT_UNTIL((agent_run() || true) && agent_move(63, to)
                   && fake_reta(63) == to);
    }
    check_order();

    /* It is polled at last, and moved to. */
    fake_pmd_set_queues(1, 1 << 2 | 1 << 3);
    WAIT_UNTIL(!agent_run());
    move_begin(0, 3);
    fake_generator_stop();
    finish();
}

/* Polls virtual queue 2 as a PMD thread for which there is no slot. */
static void *
poll_without_slot(void *aux OVS_UNUSED)
{
    struct dp_packet_batch batch;

    CHECK(!steer_pmd_self());
    dp_packet_batch_init(&batch);
    CHECK(steer_rxq_recv(port->rxqs[2]->rx, &batch, NULL) == EAGAIN);
    return NULL;
}

void
test_no_slot(void)
{
    open_handoff();
    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        atomic_store(&steer_pmds[i].used, true);
    }
    xpthread_join(ovs_thread_create("pmd-c64/id:", poll_without_slot, NULL),
                  NULL);

    /* So many threads get no virtual queues in the first place. */
    fake_port_close();
    steer_ports_set_virtual(STEER_MAX_PMDS + 1);
    port = fake_port_open();
    CHECK(!port->n_virtual);
    fake_port_close();
}

/* Polls queue 'id' once.  Returns the packets that are for the caller. */
static size_t
poll_queue(unsigned int id)
{
    struct dp_packet_batch batch;
    size_t n = 0;

    dp_packet_batch_init(&batch);
    if (!steer_rxq_recv(port->rxqs[id]->rx, &batch, NULL)) {
        n = batch.count;
        dp_packet_delete_batch(&batch, true);
    }
    return n;
}

/* A PMD thread as OVS has it with pmd-maxsleep, whose queue 0 is a
 * dispatcher. */
static void *
sleeper_main(void *aux OVS_UNUSED)
{
    struct steer_pmd *pmd = steer_pmd_self();
    uint64_t absent;
    int tries = 0;

    CHECK(agent_move(0, 2));
    while (agent_run()) {
        poll_queue(0);
        poll_queue(2);
    }
    steer_sleep(500000);        /* The move has kept it awake. */
    CHECK(!fake_n_sleeps && !steer_taken());

    /* Nothing is left of a full burst, but it was one. */
    fake_send(0, NETDEV_MAX_BURST);
    CHECK(!poll_queue(0));
    CHECK(steer_taken() == NETDEV_MAX_BURST && !steer_taken());
    steer_sleep(500000);
    CHECK(!fake_n_sleeps);
    steer_sleep(500000);
    steer_sleep(500000);
    CHECK(fake_n_sleeps == 2 && fake_sleep_ns == 2000);
    fake_send(0, NETDEV_MAX_BURST / 2 - 1);
    CHECK(!poll_queue(0));
    steer_sleep(2500);
    CHECK(fake_n_sleeps == 3 && fake_sleep_ns == 2500);

    /* Who sleeps is not absent, nor busy, unless this thread really does not
     * get to run. */
    do {
        CHECK(tries++ < 1000);
        absent = steer_ctr64_get(&pmd->n.gaps);
        absent += steer_ctr64_get(&pmd->n.preempted);
        fake_send(1, 1);
        CHECK(poll_queue(0) == 1);
        steer_sleep(500000);
        poll_queue(0);
        absent -= steer_ctr64_get(&pmd->n.gaps);
        absent -= steer_ctr64_get(&pmd->n.preempted);
    } while (absent);
    return NULL;
}

void
test_sleep(void)
{
    open_handoff();
    xpthread_join(ovs_thread_create("pmd-c00/id:", sleeper_main, NULL), NULL);
    fake_port_close();
}

static bool
is_stuck(uint32_t bucket)
{
    bool stuck;

    ovs_mutex_lock(&steer_mutex);
    stuck = steer_bucket_is_stuck(port, bucket);
    ovs_mutex_unlock(&steer_mutex);
    return stuck;
}

/* Returns true if any slot is in use. */
static bool
in_flight(void)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        if (steer_move_phase(&steer_transits[i]) != STEER_FREE) {
            return true;
        }
    }
    return false;
}

/* A dispatcher that is not polled, as a vhost port's whose guest is down. */
void
test_silent_dispatcher(void)
{
    const uint32_t first = STEER_HANDOFF_BUCKETS;   /* Queue 1's. */
    uint16_t before[STEER_HANDOFF_BUCKETS];

    open_handoff();
    traffic(0, 2 * STEER_HANDOFF_BUCKETS);
    atomic_store_relaxed(&fake_window, UINT64_C(600));
    fake_pmd_start(0, 1 << 0 | 1 << 2);
    fake_pmd_start(1, 1 << 1 | 1 << 3 | 1 << 4);
    fake_generator_start();
    for (uint32_t b = first; b < first + 40; b++) {
        WAIT_UNTIL((agent_run() || true)
                   && (agent_move(b, 2 + b % 3)
                       || port->owner[b] == 2 + b % 3));
    }
    WAIT_UNTIL(!agent_run());
    fake_generator_stop();
    WAIT_UNTIL(fake_all_processed());
    memcpy(before, &port->owner[first], sizeof before);

    /* Moves that it never hears of. */
    fake_pmd_set_queues(1, 1 << 3 | 1 << 4);
    for (uint32_t b = first; b < first + STEER_HANDOFF_BUCKETS; b++) {
        CHECK(agent_move(b, port->owner[b] == 1 ? 2 : 1));
    }
    CHECK(!agent_move(0, 3));   /* No slot. */
    WAIT_UNTIL(!agent_run() && !in_flight());
    CHECK(!memcmp(before, &port->owner[first], sizeof before));
    CHECK(is_stuck(first) && !is_stuck(0));
    CHECK(!agent_move(first, 1));
    CHECK(agent_move(0, 3));
    WAIT_UNTIL(!agent_run());

    /* It is polled again. */
    fake_pmd_set_queues(1, 1 << 1 | 1 << 3 | 1 << 4);
    WAIT_UNTIL(!is_stuck(first));
    fake_generator_start();
    for (uint32_t b = first; b < first + 40; b++) {
        WAIT_UNTIL((agent_run() || true)
                   && (agent_move(b, 1) || port->owner[b] == 1));
    }
    WAIT_UNTIL(!agent_run());
    fake_generator_stop();
    WAIT_UNTIL(fake_all_processed());
    check_order();
    CHECK(!fake_get(&fake_n_gaps));

    /* A move that it was in the middle of. */
    set_grace_endless();
    CHECK(agent_move(first, 2));
    fake_inject(1, first, fake_sent[first] + 1);
    WAIT_UNTIL(steer_ctr32_get(&port->moving[first]->parked));
    fake_pmd_set_queues(1, 1 << 3 | 1 << 4);
    WAIT_UNTIL(!agent_run() && !in_flight());
    CHECK(port->owner[first] == 1);
    CHECK(is_stuck(first));
    fake_pmd_set_queues(1, 1 << 1 | 1 << 3 | 1 << 4);
    WAIT_UNTIL(!is_stuck(first));
    fake_pmds_stop();
    fake_port_close();
    WAIT_UNTIL(!fake_get(&fake_alive));  /* RCU frees some. */
}

static bool
watch_gave_up(void)
{
    bool gave_up;

    ovs_mutex_lock(&steer_mutex);
    steer_watch_run(time_usec());
    gave_up = steer_watch_gave_up(port->name);
    ovs_mutex_unlock(&steer_mutex);
    return gave_up;
}

/* Sends packets of 'bucket' until one more than before has been processed. */
static bool
gets_through(uint32_t bucket, uint64_t before)
{
    if (fake_depth(0) < FAKE_RING / 2) {
        fake_send(bucket, 64);
    }
    return fake_get(&fake_n_processed) > before;
}

/* A virtual queue that loses its thread. */
void
test_unpolled_virtual_queue(void)
{
    uint64_t processed;

    open_handoff();
    atomic_store_relaxed(&steer_park_limit, 512);
    fake_pmd_start(0, 1 << 0 | 1 << 2);
    fake_pmd_start(1, 1 << 1 | 1 << 3 | 1 << 4);
    for (uint32_t b = 0; b < 3; b++) {
        WAIT_UNTIL((agent_run() || true) && agent_move(b, 4));
    }
    WAIT_UNTIL(!agent_run());
    fake_send(0, 100);
    WAIT_UNTIL(fake_all_processed());
    CHECK(!watch_gave_up());
    fake_pmd_set_queues(1, 1 << 1 | 1 << 3);

    /* Its buckets' packets come through again at last... */
    processed = fake_get(&fake_n_processed);
    WAIT_UNTIL(gets_through(0, processed));

    /* ...and such a bucket, moved away or back to it, stops no other. */
    WAIT_UNTIL((agent_run() || true) && agent_move(0, 3));
    WAIT_UNTIL(gets_through(0, fake_get(&fake_n_processed))
               && !agent_run() && port->owner[0] == 3);
    processed = fake_get(&fake_n_processed);
    WAIT_UNTIL(gets_through(0, processed + 1000));
    WAIT_UNTIL((agent_run() || true) && agent_move(0, 4));
    WAIT_UNTIL(!gets_through(0, UINT64_MAX) && !agent_run());

    /* The agent takes the virtual queues away. */
    WAIT_UNTIL(watch_gave_up());
    fake_pmds_stop();
    fake_port_close();
    port = fake_port_open();
    CHECK(!port->n_virtual);
    fake_port_close();

    /* Once threads are set aside for other queues, it may have some again. */
    steer_watch_schedule("fake1", "0:3");
    port = fake_port_open();
    CHECK(port->n_virtual);
    fake_port_close();
    WAIT_UNTIL(!fake_get(&fake_alive));  /* RCU frees some. */
}
