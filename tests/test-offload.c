/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the planner of offload placement, against a simulated NIC and
 * simulated flows.  Time is simulated too. */

#include <config.h>
#include "tests/test-offload-world.h"

#include <math.h>
#include <time.h>

#include "ovs-ext/offload/offload-rate.h"

/* A rate is known well when steady, and at once when it changes. */
static void
test_rate(void)
{
    struct offload_rate r = { 0, 0 };
    struct ext_rng rng;

    ext_rng_init(&rng, 1);
    for (int i = 0; i < 100; i++) {
        offload_rate_update(&r, world_poisson(&rng, 50), 0.5);
    }
    CHECK(fabs(r.mean - 100) < 15);
    CHECK(offload_rate_error(&r) < 5);
    offload_rate_update(&r, world_poisson(&rng, 500), 0.5);
    CHECK(r.mean > 800);
    offload_rate_update(&r, 0, 0.5);
    CHECK(r.mean == 0);
    offload_rate_update(&r, 1, 0.5);
    CHECK(r.mean > 0 && r.mean < 2.5);
}

/* The table gets the flows that carry most, whatever it holds, and follows a
 * change of all of them within 3 s. */
static void
test_oracle(void)
{
    static const uint32_t capacity[] = { 1000, 8000 };
    struct timespec a, b;

    for (int i = 0; i < 2; i++) {
        struct world w;

        world_init(&w, 100000, capacity[i], 10000);
        world_shuffle(&w, 500000, 1.0);
        for (int change = 0; change < 3; change++) {
            world_run(&w, 3000);
            CHECK(world_share(&w) >= 0.98 * world_oracle(&w));
            world_run(&w, 5000);
            CHECK(world_share(&w) >= 0.99 * world_oracle(&w));
            world_shuffle(&w, 500000, 1.0);
        }
        clock_gettime(CLOCK_MONOTONIC, &a);
        offload_plan_tick(w.plan, w.now);
        clock_gettime(CLOCK_MONOTONIC, &b);
        printf("a tick of 100000 candidates: %.1f ms\n",
               (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
        CHECK_EQ(w.used, capacity[i]);
        CHECK(w.peak_updates <= 10000 * 1.25 + 1);
        world_destroy(&w);
    }
}

/* However much there is to do, no second has more updates than the budget and
 * what may be saved up. */
static void
test_budget(void)
{
    static const double budget[] = { 1, 7, 100, 5000 };

    for (int i = 0; i < 4; i++) {
        struct world w;

        world_init(&w, 20000, 2000, budget[i]);
        for (int change = 0; change < 5; change++) {
            world_shuffle(&w, 100000, 1.0);
            world_run(&w, 4000);
        }
        CHECK(w.n_updates > 0);
        CHECK(w.peak_updates <= budget[i] + MAX(2, budget[i] / 4) + 1);
        CHECK(w.n_updates <= budget[i] * 20 + MAX(2, budget[i] / 4) + 1);
        world_destroy(&w);
    }
}

/* Popularity that does not change leaves the table alone, though counts vary
 * by chance. */
static void
test_hysteresis(void)
{
    struct world w;
    uint64_t before;

    world_init(&w, 20000, 1000, 10000);
    world_shuffle(&w, 100000, 1.0);
    world_run(&w, 30000);
    before = w.n_updates;
    world_run(&w, 60000);
    /* A thousandth of the table changes in a second, and nothing is lost by
     * it. */
    CHECK(w.n_updates - before <= 2 * 60 * w.capacity * 0.001);
    CHECK(world_share(&w) >= 0.97 * world_oracle(&w));

    /* All flows the same: no flow is better than another. */
    for (uint32_t i = 0; i < w.n; i++) {
        w.rate[i] = w.sorted[i] = 10;
    }
    world_run(&w, 30000);
    before = w.n_updates;
    world_run(&w, 60000);
    CHECK(w.n_updates - before <= 2 * 60 * w.capacity * 0.01);
    CHECK_EQ(w.used, w.capacity);
    world_destroy(&w);
}

/* A silent candidate is not worth an update. */
static void
test_idle(void)
{
    struct world w;

    world_init(&w, 1000, 100, 1000);
    world_run(&w, 20000);
    CHECK_EQ(w.n_updates, 0);
    w.rate[17] = 1000;
    world_run(&w, 2000);
    CHECK(w.in[17]);
    CHECK_EQ(w.n_updates, 1);
    world_destroy(&w);
}

/* Capacity is learned from what is refused, and unlearned when there is more
 * room; probing costs little. */
static void
test_capacity(void)
{
    struct offload_port_stats stats;
    struct world w;
    uint64_t refused;

    world_init(&w, 20000, 1234, 10000);
    world_shuffle(&w, 200000, 0.8);
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK_EQ(stats.capacity, OFFLOAD_UNKNOWN);
    world_run(&w, 5000);
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK_EQ(stats.capacity, 1234);
    CHECK_EQ(stats.used, 1234);
    CHECK(w.n_refused >= 1 && w.n_refused <= 2);

    /* A full table is probed ever more seldom. */
    refused = w.n_refused;
    world_run(&w, 600000);
    CHECK(w.n_refused > refused);
    CHECK(w.n_refused <= refused + 12);

    /* Someone else takes room: learned at once. */
    w.capacity = 1000;
    w.used -= 100;
    for (uint32_t i = 0, n = 0; n < 100; i++) {
        if (w.in[i]) {
            w.in[i] = false;
            offload_plan_set_in(w.plan, w.id[i], false);
            n++;
        }
    }
    world_run(&w, 5000);
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK(stats.capacity <= 1134);

    /* And gives it back: learned within some minutes, faster and faster. */
    w.capacity = 5000;
    world_run(&w, 400000);
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK_EQ(stats.used, 5000);
    CHECK_EQ(stats.capacity, 5000);
    CHECK(w.peak <= 5000);
    world_destroy(&w);
}

/* A table without any room. */
static void
test_no_room(void)
{
    struct world w;

    world_init(&w, 1000, 0, 1000);
    world_shuffle(&w, 100000, 1.0);
    world_run(&w, 60000);
    CHECK_EQ(w.used, 0);
    CHECK(w.n_inserts <= 5);
    world_destroy(&w);
}

/* A device that refuses everything is asked seldom; when it works again, the
 * table fills. */
static void
test_outage(void)
{
    struct offload_port_stats stats;
    struct world w;
    uint64_t inserts;

    world_init(&w, 5000, 500, 10000);
    world_shuffle(&w, 100000, 1.0);
    w.broken = OFFLOAD_FAILED;
    world_run(&w, 60000);
    CHECK_EQ(w.used, 0);
    CHECK(w.n_inserts >= 6);
    CHECK(w.n_inserts <= 30);
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK(stats.paused_until > 0);

    w.broken = OFFLOAD_DONE;
    world_run(&w, 35000);
    CHECK_EQ(w.used, 500);
    CHECK(world_share(&w) >= 0.95 * world_oracle(&w));
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK(stats.retries > 0);

    /* Again, with a full table: nothing is evicted for nothing. */
    inserts = w.n_inserts;
    w.broken = OFFLOAD_FAILED;
    world_shuffle(&w, 100000, 1.0);
    world_run(&w, 60000);
    CHECK(w.n_inserts - inserts <= 30);
    CHECK(w.used >= 500 - 30);
    world_destroy(&w);
}

/* One candidate that the device does not want is tried again, and again, at
 * growing intervals, while others are served. */
static void
test_retry(void)
{
    struct offload_config config = OFFLOAD_CONFIG_DEFAULT;
    struct offload_explanation e;
    struct offload_plan *plan = offload_plan_create(&config, 0);
    int port = offload_plan_add_port(plan);
    uint32_t bad = offload_plan_add(plan, port, 0, NULL, 0);
    long long int last = 0, gap = 0;
    int tries = 0;

    for (long long int now = 100; now < 600000; now += 100) {
        struct offload_update u;

        offload_plan_count(plan, bad, now, now);
        offload_plan_tick(plan, now);
        while (offload_plan_next(plan, now, &u)) {
            CHECK_EQ(u.id, bad);
            CHECK(u.insert);
            CHECK(tries < 3 || now - last >= gap);
            gap = now - last;
            last = now;
            tries++;
            offload_plan_result(plan, bad, (tries < 9 ? OFFLOAD_FAILED
                                            : OFFLOAD_DONE), now);
        }
    }
    CHECK_EQ(tries, 9);
    offload_plan_explain(plan, bad, &e);
    CHECK(e.in);
    CHECK_EQ(e.failures, 0);
    CHECK(e.rate > 900 && e.rate < 1100);
    offload_plan_destroy(plan);
}

/* Candidates that are refused by their owner wait, each for itself: others of
 * the port are served, and the port has not failed. */
static void
test_refused(void)
{
    enum { N = 100, N_REFUSED = 60 };
    struct offload_config config = OFFLOAD_CONFIG_DEFAULT;
    struct offload_plan *plan = offload_plan_create(&config, 0);
    int port = offload_plan_add_port(plan);
    unsigned int tries[N] = { 0 };
    struct offload_port_stats stats;
    uint32_t ids[N];

    for (uintptr_t i = 0; i < N; i++) {
        ids[i] = offload_plan_add(plan, port, 0, (void *) i, 0);
    }
    for (long long int now = 100; now < 20000; now += 100) {
        struct offload_update u;

        for (int i = 0; i < N; i++) {
            /* The refused have most packets, so are tried first. */
            offload_plan_count(plan, ids[i], now * (N - i), now);
        }
        offload_plan_tick(plan, now);
        while (offload_plan_next(plan, now, &u)) {
            uintptr_t i = (uintptr_t) u.aux;

            CHECK(u.insert);
            tries[i]++;
            offload_plan_result(plan, u.id, (i < N_REFUSED ? OFFLOAD_REFUSED
                                             : OFFLOAD_DONE), now);
        }
        offload_plan_port_stats(plan, port, &stats);
        CHECK_EQ(stats.failed, 0);
        CHECK_EQ(stats.paused_until, 0);
        CHECK(now < 500 || stats.used == N - N_REFUSED);
    }
    for (int i = 0; i < N; i++) {
        CHECK(i < N_REFUSED ? tries[i] > 2 && tries[i] < 7 : tries[i] == 1);
    }
    offload_plan_destroy(plan);
}

/* A rule that only marks packets gives way to one that saves all. */
static void
test_saving(void)
{
    struct world w;

    world_init(&w, 20, 10, 1000);
    for (uint32_t i = 0; i < 10; i++) {
        w.rate[i] = 2000;
    }
    world_run(&w, 3000);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(w.in[i]);
        offload_plan_set_saving(w.plan, w.id[i], 0.2);
    }
    for (uint32_t i = 10; i < 15; i++) {
        w.rate[i] = 1000;
    }
    w.capacity = 10;
    offload_plan_set_full(w.plan, w.port, 10, w.now);
    world_run(&w, 3000);
    for (uint32_t i = 10; i < 15; i++) {
        CHECK(w.in[i]);
    }
    world_destroy(&w);
}

/* Preferred flows hold places against what carries a few times as much, and
 * not more; without preference it is as before. */
static void
test_prefer(void)
{
    struct world w;

    world_init(&w, 20, 10, 1000);
    for (uint32_t i = 0; i < 20; i++) {
        w.rate[i] = i < 10 ? 2000 : i < 15 ? 1000 : 100;
    }
    w.capacity = 10;
    offload_plan_set_full(w.plan, w.port, 10, w.now);
    world_run(&w, 3000);
    for (uint32_t i = 0; i < 20; i++) {
        CHECK(w.in[i] == (i < 10));
        offload_plan_set_boost(w.plan, w.id[i], i < 10 ? 1 : 1000);
    }
    world_run(&w, 3000);
    for (uint32_t i = 10; i < 20; i++) {
        CHECK(w.in[i] == (i < 15));
        offload_plan_set_boost(w.plan, w.id[i], 1);
    }
    world_run(&w, 3000);
    for (uint32_t i = 0; i < 20; i++) {
        CHECK(w.in[i] == (i < 10));
    }
    world_destroy(&w);
}

/* Ports have tables of their own. */
static void
test_ports(void)
{
    struct offload_config config = OFFLOAD_CONFIG_DEFAULT;
    struct offload_plan *plan = offload_plan_create(&config, 0);
    struct offload_port_stats stats;
    struct offload_update u;
    uint32_t ids[2][100];
    int port[2];

    for (int p = 0; p < 2; p++) {
        port[p] = offload_plan_add_port(plan);
        for (int i = 0; i < 100; i++) {
            ids[p][i] = offload_plan_add(plan, port[p], 0, NULL, 0);
        }
    }
    CHECK(port[0] != port[1]);
    offload_plan_set_full(plan, port[0], 10, 0);
    for (int t = 1; t < 10; t++) {
        for (int p = 0; p < 2; p++) {
            for (int i = 0; i < 100; i++) {
                offload_plan_count(plan, ids[p][i], t * (1000 + i),
                                   t * 500);
            }
        }
        offload_plan_tick(plan, t * 500);
        while (offload_plan_next(plan, t * 500, &u)) {
            offload_plan_result(plan, u.id, OFFLOAD_DONE, t * 500);
        }
    }
    offload_plan_port_stats(plan, port[0], &stats);
    CHECK_EQ(stats.used, 10);
    offload_plan_port_stats(plan, port[1], &stats);
    CHECK_EQ(stats.used, 100);
    for (int i = 0; i < 100; i++) {
        offload_plan_remove(plan, ids[1][i]);
    }
    offload_plan_remove_port(plan, port[1]);
    CHECK_EQ(offload_plan_add_port(plan), port[1]);
    offload_plan_port_stats(plan, port[1], &stats);
    CHECK_EQ(stats.candidates, 0);
    offload_plan_destroy(plan);
}

/* Candidates come and go at any time, also between the plan and its updates;
 * the planner's count of the table stays right. */
static void
test_churn(void)
{
    struct offload_port_stats stats;
    struct world w;

    world_init(&w, 2000, 300, 3000);
    world_shuffle(&w, 50000, 1.0);
    for (int i = 0; i < 20000; i++) {
        uint32_t f = ext_rng_range(&w.rng, w.n);

        if (w.in[f]) {
            w.in[f] = false;
            w.used--;
        }
        offload_plan_remove(w.plan, w.id[f]);
        w.packets[f] = 0;
        w.id[f] = offload_plan_add(w.plan, w.port, 0, (void *) (uintptr_t) f,
                                   w.now);
        world_run(&w, ext_rng_range(&w.rng, 8));
        if (i == 10000) {
            w.capacity = 200;
        }
    }
    offload_plan_port_stats(w.plan, w.port, &stats);
    CHECK_EQ(stats.used, w.used);
    CHECK_EQ(stats.candidates, w.n);
    world_destroy(&w);
}

static const struct test tests[] = {
    { "rate", test_rate },
    { "oracle", test_oracle },
    { "budget", test_budget },
    { "hysteresis", test_hysteresis },
    { "idle", test_idle },
    { "capacity", test_capacity },
    { "no-room", test_no_room },
    { "outage", test_outage },
    { "retry", test_retry },
    { "refused", test_refused },
    { "saving", test_saving },
    { "prefer", test_prefer },
    { "ports", test_ports },
    { "churn", test_churn },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
