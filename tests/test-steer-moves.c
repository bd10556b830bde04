/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Stress and faults for what PMD threads and the agent share without locks.
 * Usage: test-steer-moves TEST [SEED] */

#include <config.h>

#include "openvswitch/vlog.h"
#include "tests/test-steer-moves-agent.h"
#include "timeval.h"

#ifdef __SANITIZE_THREAD__
enum { SCALE = 5 };
#else
enum { SCALE = 1 };
#endif

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

/* Has the old queue's thread noted how much it has to drain? */
static bool
marked(const struct steer_transit *move)
{
    uint32_t ack;

    atomic_read_explicit(&move->old_q->ack, &ack, memory_order_acquire);
    return (int32_t) (ack - move->old.seq) >= 0;
}

/* Returns the slot of 'q''s thread; STEER_MAX_PMDS or more if none has polled
 * it yet. */
static uint16_t
polled_by(const struct steer_rxq *q)
{
    uint16_t slot;

    atomic_read_relaxed(&CONST_CAST(struct steer_rxq *, q)->pmd, &slot);
    return slot;
}

/* Waits until 'q''s thread, which polls no other, has polled it 'n' times
 * more. */
static void
wait_polls(const struct steer_rxq *q, unsigned int n)
{
    const struct steer_pmd *pmd;
    uint64_t polls;

    WAIT_UNTIL(polled_by(q) < STEER_MAX_PMDS);
    pmd = &steer_pmds[polled_by(q)];
    polls = steer_ctr64_get(&pmd->n.polls);
    WAIT_UNTIL(steer_ctr64_get(&pmd->n.polls) - polls >= n);
}

/* A thread stands still wherever that could hurt. */
static void
test_preempted(void)
{
    struct steer_transit *move;

    open_reta(2, 64);
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    for (int i = 0; i < 40; i++) {
        unsigned int from = fake_reta(0), to = !from;
        uint64_t seq;

        /* The old queue's, after it has seen its ring empty, until long after
         * the grace time, in which a straggler has come. */
        set_grace_endless();
        fake_send(0, 10);
        move = move_begin(0, to);
        WAIT_UNTIL(marked(move) && fake_all_processed());
        wait_polls(move->old_q, 3);
        fake_pmd_stall(from, true);
        seq = fake_sent[0];
        fake_inject(from, 0, seq + 1);
        fake_inject(to, 0, seq + 2);
        WAIT_UNTIL(steer_ctr32_get(&move->parked));
        set_grace_usec(0);
        wait_polls(move->new_q, 100);
        CHECK(!done(move));
        fake_pmd_stall(from, false);
        WAIT_UNTIL(!agent_run() && fake_all_processed());
        check_order();

        /* The new queue's, from when it parks until long after the old one has
         * drained. */
        to = from;
        set_grace_endless();
        move = move_begin(0, to);
        fake_pmd_stall(to, true);
        fake_send(0, 10);
        set_grace_usec(0);
        WAIT_UNTIL(drained(move));
        CHECK(!done(move));
        fake_pmd_stall(to, false);
        WAIT_UNTIL(!agent_run() && fake_all_processed());
        check_order();
    }
    CHECK(!late());
    finish();
}

/* A device gives nothing though its ring holds packets: it is out of
 * buffers. */
static void
test_no_buffers(void)
{
    struct steer_transit *move;

    set_grace_usec(0);
    open_reta(2, 64);
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    for (int i = 0; i < 40; i++) {
        unsigned int from = fake_reta(0), to = !from;

        atomic_store(&fake_no_buffers, 1u << from);
        wait_polls(port->rxqs[from], 2);
        fake_send(0, 10);
        move = move_begin(0, to);
        WAIT_UNTIL(marked(move));
        fake_send(0, 10);
        WAIT_UNTIL(steer_ctr32_get(&move->parked) == 10 || done(move));
        wait_polls(move->old_q, 100);
        wait_polls(move->new_q, 100);
        CHECK(!drained(move) && !done(move));
        atomic_store(&fake_no_buffers, 0);
        WAIT_UNTIL(!agent_run() && fake_all_processed());
        check_order();
    }
    CHECK(!late());
    finish();
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
        set_grace_endless();
        fake_send(0, 10);
        move = move_begin(0, to);
        WAIT_UNTIL(marked(move) && fake_all_processed());
        seq = fake_sent[0];
        processed = fake_get(&fake_n_processed);
        for (int j = 2; j <= 40; j++) {
            fake_inject(to, 0, seq + j);
        }
        WAIT_UNTIL(steer_ctr32_get(&move->parked) >= 39);
        fake_inject(from, 0, seq + 1);
        WAIT_UNTIL(fake_get(&fake_n_processed) == processed + 1);
        CHECK(!drained(move) && !done(move));
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
        WAIT_UNTIL(done(move) && fake_all_processed());
        fake_inject(from, 0, seq + 1);
        WAIT_UNTIL(fake_all_processed());
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

enum { PARK_BUCKETS = 12, PARK_LIMIT = 256 };

/* Moves 'bucket', whose old queue gives nothing though it holds packets, until
 * the agent calls it off. */
static void
fill_park(uint32_t bucket)
{
    unsigned int from = fake_reta(bucket);
    uint64_t called_off = stats()->called_off;
    struct steer_transit *move;

    atomic_store(&fake_no_buffers, 1u << from);
    WAIT_UNTIL(fake_depth(from) > FAKE_RING / 2);
    move = move_begin(bucket, (from + 1) % 3);
    WAIT_UNTIL(marked(move)
               && steer_ctr32_get(&move->parked) > PARK_LIMIT / 4 * 3);
    CHECK(!drained(move) && stats()->called_off == called_off);
    WAIT_UNTIL(agent_run() && stats()->called_off > called_off);
    CHECK(fake_reta(bucket) == from);
    atomic_store(&fake_no_buffers, 0);
    WAIT_UNTIL(!agent_run());
}

/* Moves what the queue of 'bucket' has, while it drains slowly. */
static void
drain_slowly(uint32_t bucket)
{
    unsigned int slow = fake_reta(bucket);

    fake_pmd_stall(slow, true);
    WAIT_UNTIL(fake_depth(slow) > FAKE_RING / 2
               || (fake_get(&fake_n_sent) - fake_get(&fake_n_processed)
                   >= steer_ctr64_get(&fake_window)));
    for (uint32_t b = 0; b < PARK_BUCKETS; b++) {
        if (fake_reta(b) == slow) {
            agent_move(b, (slow + 1 + b % 2) % 3);
        }
    }
    for (int i = 0; i < 10; i++) {
        agent_run();
        xnanosleep(100000);
    }
    atomic_store_relaxed(&fake_pmds[slow].slow_usec, 1000);
    fake_pmd_stall(slow, false);
    for (int i = 0; i < 20; i++) {
        agent_run();
        xnanosleep(500000);
    }
    atomic_store_relaxed(&fake_pmds[slow].slow_usec, 0);
}

static void
test_park_full(void)
{
    const int rounds = 40 / SCALE;

    atomic_store_relaxed(&steer_park_limit, PARK_LIMIT);
    open_reta(3, 64);
    traffic(0, PARK_BUCKETS);
    atomic_store_relaxed(&fake_window, UINT64_C(1800));
    fake_pmd_start(0, 1 << 0);
    fake_pmd_start(1, 1 << 1);
    fake_pmd_start(2, 1 << 2);
    fake_generator_start();
    for (int i = 0; i < rounds; i++) {
        drain_slowly(fake_random(&fake_seed) % PARK_BUCKETS);
        if (i % 4) {
            agent_move_random(4, 7);
        } else {
            WAIT_UNTIL(!agent_run());
            fill_park(fake_random(&fake_seed) % PARK_BUCKETS);
        }
        check_order();
    }
    fake_generator_stop();
    finish();
    CHECK(stats()->called_off >= rounds / 4);
    CHECK(stats()->parked_max <= PARK_LIMIT + 3 * FAKE_RING);
    printf("%d rounds, %"PRIu64" called off, at most %"PRIu64" parked\n",
           rounds, stats()->called_off, stats()->parked_max);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "reta", test_reta },
    { "handoff", test_handoff },
    { "straggler", test_straggler },
    { "preempted", test_preempted },
    { "no-buffers", test_no_buffers },
    { "idle-old-queue", test_idle_old_queue },
    { "park-full", test_park_full },
    { "reta-error", test_reta_error },
    { "pmd-exit", test_pmd_exit },
    { "port-close", test_port_close },
    { "unpolled-new-queue", test_unpolled_new_queue },
    { "no-slot", test_no_slot },
    { "sleep", test_sleep },
    { "silent-dispatcher", test_silent_dispatcher },
    { "unpolled-virtual-queue", test_unpolled_virtual_queue },
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
