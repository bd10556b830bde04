/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Stress and faults for what PMD threads and the agent share without locks.
 * Usage: test-steer-moves TEST [SEED] */

#include <config.h>

#include "tests/test-steer-moves.h"

#include <rte_cycles.h>

#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "timeval.h"

#ifdef __SANITIZE_THREAD__
enum { SCALE = 5 };
#else
enum { SCALE = 1 };
#endif

static struct steer_port *port;

static const struct steer_move_stats *
stats(void)
{
    return steer_moves_stats();
}

/* One run of the agent's housekeeping.  Returns true if any move is under
 * way. */
static bool
agent_run(void)
{
    bool busy;

    ovs_mutex_lock(&steer_mutex);
    busy = steer_moves_run();
    ovs_mutex_unlock(&steer_mutex);
    ovsrcu_quiesce();
    return busy;
}

/* Starts the move of 'bucket' to 'queue'.  Returns true if it began. */
static bool
agent_move(uint32_t bucket, uint16_t queue)
{
    struct steer_request request = { port, bucket, queue };
    bool begun;

    ovs_mutex_lock(&steer_mutex);
    begun = steer_moves_start(&request, 1);
    ovs_mutex_unlock(&steer_mutex);
    return begun;
}

/* Starts 'n' moves of random buckets to those queues whose bit is set. */
static void
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

static uint64_t
late(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        n += steer_ctr64_get(&steer_pmds[i].n.late);
    }
    return n;
}

static uint64_t
handoff_drops(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        n += steer_ctr64_get(&steer_pmds[i].n.handoff_drops);
    }
    return n;
}

/* Nothing has gone wrong so far. */
static void
check_order(void)
{
    CHECK(!fake_get(&fake_n_disorder));
    CHECK(!fake_get(&fake_n_bad));
}

/* Lets every packet through and every move finish, stops the PMD threads, and
 * checks that all that was sent was processed, in order. */
static void
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

static void
traffic(uint32_t first, uint32_t n)
{
    for (uint32_t b = first; b < first + n; b++) {
        atomic_store(&fake_traffic[b], true);
    }
}

static void
open_reta(unsigned int n_rxq, unsigned int n_buckets)
{
    fake_has_reta = true;
    fake_n_rxq = n_rxq;
    fake_n_buckets = n_buckets;
    port = fake_port_open();
    CHECK(port->mech == STEER_MECH_RETA);
}

/* Opens two queues without a table and three virtual ones. */
static void
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

static void
set_grace_usec(uint64_t usec)
{
    uint64_t hz = 2000000000;   /* About; it is no test of clocks. */

    atomic_store_relaxed(&steer_grace_cycles, usec * (hz / 1000000));
}

/* Random moves with traffic on every bucket, until 'n' have finished. */
static void
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

static void
test_reta(void)
{
    open_reta(6, 64);
    traffic(0, 60);             /* Some have none. */
    atomic_store_relaxed(&fake_window, UINT64_C(600));
    fake_pmd_start(0, 1 << 0 | 1 << 3);
    fake_pmd_start(1, 1 << 1 | 1 << 4);
    fake_pmd_start(2, 1 << 2 | 1 << 5);
    stress(20000 / SCALE, 0x3f);
    finish();
    CHECK(stats()->parked);
    CHECK(!late());
}

static void
test_handoff(void)
{
    open_handoff();
    traffic(0, 32);
    traffic(STEER_HANDOFF_BUCKETS, 32);
    atomic_store_relaxed(&fake_window, UINT64_C(900));
    fake_pmd_start(0, 1 << 0 | 1 << 2);
    fake_pmd_start(1, 1 << 1 | 1 << 3);
    fake_pmd_start(2, 1 << 4);
    stress(20000 / SCALE, 0x1f);
    CHECK(!handoff_drops());
    finish();
}

static bool
drained(const struct steer_transit *move)
{
    bool value;

    atomic_read(&CONST_CAST(struct steer_transit *, move)->drained, &value);
    return value;
}

static bool
done(const struct steer_transit *move)
{
    bool value;

    atomic_read_explicit(&CONST_CAST(struct steer_transit *, move)->done,
                         &value, memory_order_acquire);
    return value;
}

/* Begins to move 'bucket' to 'queue', however often it takes. */
static struct steer_transit *
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

static void
test_straggler(void)
{
    struct steer_transit *move;
    uint64_t processed;

    open_reta(2, 64);
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    for (int i = 0; i < 50; i++) {
        unsigned int from = fake_reta(0), to = !from;
        uint64_t seq;

        /* Within the grace time. */
        atomic_store_relaxed(&steer_grace_cycles, UINT64_C(1) << 62);
        fake_send(0, 10);
        move = move_begin(0, to);
        WAIT_UNTIL(drained(move));
        seq = fake_sent[0];
        processed = fake_get(&fake_n_processed);
        for (int j = 2; j <= 40; j++) {
            fake_inject(to, 0, seq + j);
        }
        WAIT_UNTIL(steer_ctr32_get(&move->parked) >= 39);
        fake_inject(from, 0, seq + 1);
        WAIT_UNTIL(fake_get(&fake_n_processed) == processed + 1);
        WAIT_UNTIL(drained(move));
        CHECK(!done(move));
        set_grace_usec(0);
        WAIT_UNTIL(!agent_run()
                   && fake_get(&fake_n_processed) == fake_get(&fake_n_sent));
        CHECK(!fake_get(&fake_n_disorder) && !fake_get(&fake_n_gaps));
        CHECK(!late());
    }
    for (int i = 1; i <= 50; i++) {
        unsigned int from = fake_reta(0), to = !from;
        uint64_t seq = fake_sent[0];

        /* After it, before the agent has cleared up. */
        move = move_begin(0, to);
        fake_inject(to, 0, seq + 2);
        WAIT_UNTIL(done(move)
                   && fake_get(&fake_n_processed) == fake_get(&fake_n_sent));
        fake_inject(from, 0, seq + 1);
        WAIT_UNTIL(fake_get(&fake_n_processed) == fake_get(&fake_n_sent));
        CHECK(late() == i);
        CHECK(fake_get(&fake_n_disorder) == i);
        CHECK(fake_get(&fake_n_gaps) == i);
    }
    WAIT_UNTIL(!agent_run());
    fake_pmds_stop();
    fake_port_close();
    WAIT_UNTIL(!fake_get(&fake_alive));  /* RCU frees some. */
}

static void
test_idle_old_queue(void)
{
    open_reta(4, 64);
    traffic(32, 32);
    atomic_store_relaxed(&fake_window, UINT64_C(300));
    fake_pmd_start(0, 1 << 0 | 1 << 2);
    fake_pmd_start(1, 1 << 1);  /* Queue 3 is polled by nobody. */
    for (uint32_t b = 0; b < 64; b += 4) {
        move_begin(b, 1);       /* No traffic until here. */
    }
    WAIT_UNTIL(!agent_run());
    for (uint32_t b = 3; b < 64; b += 4) {
        agent_move(b, b % 3);
        agent_run();
    }
    WAIT_UNTIL(!agent_run());
    for (uint32_t b = 3; b < 64; b += 4) {
        if (fake_reta(b) == 3) {
            move_begin(b, 0);
        }
    }
    WAIT_UNTIL(!agent_run());

    /* A queue that its thread no longer polls though it runs. */
    fake_generator_start();
    for (int i = 0; i < 4; i++) {
        fake_pmd_set_queues(0, 1 << 0 | 1 << 2);
        for (uint32_t b = 0; b < 8; b++) {
            if (fake_reta(b) != 2) {
                move_begin(b, 2);
            }
        }
        WAIT_UNTIL(!agent_run());
        fake_pmd_set_queues(0, 1 << 0);
        for (uint32_t b = 0; b < 8; b++) {
            WAIT_UNTIL((agent_run() || true)
                       && (agent_move(b, 1) || fake_reta(b) == 1));
        }
        WAIT_UNTIL(!agent_run());
    }
    fake_generator_stop();
    fake_pmd_set_queues(0, 1 << 0 | 1 << 2);
    finish();
}

static void
test_park_full(void)
{
    uint64_t rounds = 0, limit = 256;
    long long int until = time_msec() + 4000;

    atomic_store_relaxed(&steer_park_limit, (uint32_t) limit);
    open_reta(3, 64);
    traffic(0, 12);
    atomic_store_relaxed(&fake_window, UINT64_C(1800));
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    fake_pmd_start(2, 1 << 2);
    fake_generator_start();
    while (rounds < 20 || time_msec() < until || stats()->called_off < 3) {
        unsigned int slow = rounds++ % 3;
        struct fake_pmd *pmd = &fake_pmds[slow];

        /* Fill the old queue, begin, let it drain slowly. */
        fake_pmd_stall(slow, true);
        WAIT_UNTIL(fake_depth(slow) > FAKE_RING / 2
                   || (fake_get(&fake_n_sent) - fake_get(&fake_n_processed)
                       >= steer_ctr64_get(&fake_window)));
        for (uint32_t b = 0; b < 12; b++) {
            if (fake_reta(b) == slow) {
                agent_move(b, (slow + 1 + b % 2) % 3);
            }
        }
        for (int i = 0; i < 20; i++) {
            agent_run();
            xnanosleep(100000);
        }
        atomic_store_relaxed(&pmd->slow_usec, 1000);
        fake_pmd_stall(slow, false);
        for (int i = 0; i < 30; i++) {
            agent_run();
            xnanosleep(500000);
        }
        atomic_store_relaxed(&pmd->slow_usec, 0);
        if (rounds % 4) {
            agent_move_random(4, 7);
        } else {
            WAIT_UNTIL(!agent_run());
        }
        check_order();
        CHECK(time_msec() < until + 110000);
    }
    fake_generator_stop();
    finish();
    CHECK(stats()->parked_max <= limit + 3 * FAKE_RING);
    printf("%"PRIu64" rounds, %"PRIu64" called off, at most %"PRIu64
           " parked\n", rounds, stats()->called_off, stats()->parked_max);
}

static void
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

static void
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

static void
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
        atomic_store_relaxed(&steer_grace_cycles, UINT64_C(1) << 62);
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

static void
test_unpolled_new_queue(void)
{
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

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "reta", test_reta },
    { "handoff", test_handoff },
    { "straggler", test_straggler },
    { "idle-old-queue", test_idle_old_queue },
    { "park-full", test_park_full },
    { "reta-error", test_reta_error },
    { "pmd-exit", test_pmd_exit },
    { "port-close", test_port_close },
    { "unpolled-new-queue", test_unpolled_new_queue },
};

int
main(int argc, char *argv[])
{
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(tests); i++) {
        if (!strcmp(argv[1], tests[i].name)) {
            set_program_name(argv[0]);
            if (argc > 2) {
                fake_seed = strtoull(argv[2], NULL, 0);
            }
            printf("%s, seed %"PRIu64": ", argv[1], fake_seed);
            fflush(stdout);
            vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
            steer_ports_init();
            steer_moves_init();
            tests[i].run();
            printf("%"PRIu64" packets, %"PRIu64" moves, %"PRIu64" parked: "
                   "ok\n", fake_get(&fake_n_processed), stats()->finished,
                   stats()->parked);
            fflush(stdout);
            return 0;
        }
    }
    fprintf(stderr, "usage: %s TEST [SEED], where TEST is one of\n", argv[0]);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        fprintf(stderr, "  %s\n", tests[i].name);
    }
    return 2;
}
