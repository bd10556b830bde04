/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the simulator, and of the shipped policy in it. */

#include <config.h>
#include "tests/test-steering-util.h"

#include <math.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/sim-run.h"

static struct sim_switch *
make_switch(const char *family, struct sim_params *p)
{
    struct sim_traffic_params tp = {
        .n_cores = p->n_cores, .n_buckets = p->n_buckets,
        .core_pps = sim_core_pps(p), .load = p->load,
        .tick_s = p->tick_s, .duration_s = p->duration_s, .seed = p->seed,
    };
    const struct sim_family *f = sim_family_find(family);

    CHECK(f);
    return sim_switch_create(p, sim_traffic_create(f, &tp));
}

/* Nothing is lost or made up, also with many moves, overload and illegal
 * moves. */
static void
test_sim_conservation(void)
{
    for (const struct sim_family *f = sim_families; f->name; f++) {
        struct sim_params p;
        struct sim_totals t;
        struct ext_rng rng;

        sim_params_init(&p);
        p.n_cores = 4;
        p.load = 1.1;
        struct sim_switch *sw = make_switch(f->name, &p);
        ext_rng_init(&rng, 6);
        for (int i = 0; i < 200; i++) {
            struct steer_move moves[20];

            sim_switch_tick(sw);
            for (int j = 0; j < 20; j++) {
                moves[j] = (struct steer_move) {
                    .bucket = ext_rng_range(&rng, p.n_buckets + 3),
                    .from = ext_rng_range(&rng, 5),
                    .to = ext_rng_range(&rng, 5),
                };
            }
            sim_switch_move(sw, moves, 20);
            sim_switch_get_totals(sw, &t);
            double sum = t.served + t.dropped + t.queued + t.parked;
            CHECK(fabs(t.offered - sum) < 1e-6 * t.offered);
        }
        CHECK(t.moves > 300);
        CHECK(t.refused > 300);
        CHECK(t.dropped > 0);
        CHECK(t.p50_us <= t.p95_us && t.p95_us <= t.p99_us);
        sim_switch_destroy(sw);
    }
}

/* Cores simulated packet by packet, fed evenly with 'pps' each for a second;
 * every other bucket is of core 1. */
static void
run_packets(const struct sim_params *base, double pps0, double pps1,
            struct sim_totals *t)
{
    struct sim_params p = *base;
    float pps[64];

    p.n_cores = 2;
    p.n_buckets = ARRAY_SIZE(pps);
    p.packets = true;
    p.warm = false;
    for (size_t i = 0; i < ARRAY_SIZE(pps); i++) {
        pps[i] = (i % 2 ? pps1 : pps0) / (ARRAY_SIZE(pps) / 2);
    }
    struct sim_traffic_params tp = {
        .n_cores = 2, .n_buckets = p.n_buckets, .core_pps = sim_core_pps(&p),
        .load = 1, .tick_s = p.tick_s, .duration_s = 1, .seed = p.seed,
        .absolute = true,
    };
    struct sim_switch *sw = sim_switch_create(
        &p, sim_traffic_trace(pps, 1, p.n_buckets, &tp));
    for (int i = 0; i < 100; i++) {
        sim_switch_tick(sw);
        sim_switch_get_totals(sw, t);
        double sum = t->served + t->dropped + t->queued + t->parked;
        CHECK(fabs(t->offered - sum) < 1e-6 * t->offered);
    }
    sim_switch_destroy(sw);
}

static bool
near(double x, double wanted, double tolerance)
{
    if (fabs(x - wanted) <= tolerance * wanted) {
        return true;
    }
    fprintf(stderr, "%g is not %g\n", x, wanted);
    return false;
}

/* What a queue with batches does, where it can be reckoned by hand. */
static void
test_sim_packets(void)
{
    struct sim_params p;
    struct sim_totals t;

    sim_params_init(&p);
    p.packet_ns = 200;
    p.batch_ns = 400;
    p.after_ns = 100;
    p.poll_ns = 60;
    p.preempt_hz = 0;

    /* Lonely packets: half a look, then the work but for its end. */
    run_packets(&p, 10e3, 10e3, &t);
    CHECK(near(t.offered, 20e3, 0.02));
    CHECK(near(t.p50_us, 0.2 + 0.4 - 0.1 + 0.03, 0.05));
    CHECK(t.p99_us < 0.2 + 0.4 - 0.1 + 0.06 + 0.2 && t.dropped == 0);

    /* Overload: full batches, a full ring, and the rest is lost. */
    double mu = sim_core_pps(&p);
    CHECK(near(mu, 1e9 / (200 + 400 / 32.), 1e-6));
    run_packets(&p, 2 * mu, 0.1 * mu, &t);
    CHECK(near(t.served, 1.1 * mu, 0.02));
    CHECK(near(t.dropped / t.offered, 1 / 2.1, 0.02));
    CHECK(near(t.p99_us, 2048 / mu * 1e6, 0.05));

    /* Below that: a batch is what came during the one before. */
    double n = 0.4 * 3 / (1 - 0.2 * 3);
    run_packets(&p, 3e6, 3e6, &t);
    CHECK(t.dropped == 0);
    CHECK(near(t.mean_us, 1.5 * (0.4 + 0.2 * n), 0.25));

    /* An interruption costs those that come meanwhile. */
    p.interrupts[0] = (struct sim_interrupt) { .s = 50e-6, .hz = 1000 };
    p.n_interrupts = 1;
    run_packets(&p, 100e3, 100e3, &t);
    CHECK(near(t.p99_us, 40, 0.1));
    CHECK(t.dropped == 0);

    /* The share of a second that jitter adds is nought. */
    p.n_interrupts = 0;
    p.jitter_ns = 200;
    run_packets(&p, 2 * mu, 2 * mu, &t);
    CHECK(near(t.served, 2 * mu, 0.02));
}

/* Moves, packet by packet, lose and double nothing either. */
static void
test_sim_packet_moves(void)
{
    struct sim_params p;
    struct sim_totals t;
    struct ext_rng rng;

    sim_params_init(&p);
    p.n_cores = 3;
    p.load = 1.05;
    p.packets = true;
    struct sim_switch *sw = make_switch("zipf", &p);
    ext_rng_init(&rng, 7);
    for (int i = 0; i < 50; i++) {
        struct steer_move moves[20];

        sim_switch_tick(sw);
        for (int j = 0; j < 20; j++) {
            moves[j] = (struct steer_move) {
                .bucket = ext_rng_range(&rng, p.n_buckets),
                .from = ext_rng_range(&rng, 3), .to = ext_rng_range(&rng, 3),
            };
        }
        sim_switch_move(sw, moves, 20);
        sim_switch_get_totals(sw, &t);
        double sum = t.served + t.dropped + t.queued + t.parked;
        CHECK(fabs(t.offered - sum) < 1e-6 * t.offered);
    }
    CHECK(t.moves > 50);
    sim_switch_destroy(sw);
}

/* The load asked for is the load offered. */
static void
test_sim_load(void)
{
    for (const struct sim_family *f = sim_families; f->name; f++) {
        struct sim_totals t;
        struct sim_params p;
        double sum = 0;

        for (int seed = 0; seed < 8; seed++) {
            sim_params_init(&p);
            p.load = 0.6;
            p.n_cores = 4;
            p.seed = seed;
            struct sim_switch *sw = make_switch(f->name, &p);
            for (int i = 0; i < 300; i++) {
                sim_switch_tick(sw);
            }
            sim_switch_get_totals(sw, &t);
            sum += t.offered / 8;
            sim_switch_destroy(sw);
        }
        double load = sum / 3 / sim_core_pps(&p) / 4;
        if (!(load > 0.6 * 0.65 && load < 0.6 * 1.4)) {
            fprintf(stderr, "%s offers %.3f, not 0.6\n", f->name, load);
            exit(1);
        }
    }
}

static void
run_episode(const char *policy, const char *family, uint64_t seed,
            struct sim_result *r)
{
    struct steer_config config;
    struct sim_params p;

    sim_params_init(&p);
    p.seed = seed;
    p.load = 0.85;
    steer_config_init(&config);
    struct steer_policy *pol = policy_create(policy, &config);
    struct sim_traffic_params tp = {
        .n_cores = p.n_cores, .n_buckets = p.n_buckets,
        .core_pps = sim_core_pps(&p), .load = p.load,
        .tick_s = p.tick_s, .duration_s = p.duration_s, .seed = p.seed,
    };
    sim_run(&p, sim_traffic_create(sim_family_find(family), &tp), pol,
            &config.w, 32, NULL, r);
    steer_policy_destroy(pol);
}

/* The same seed gives the same run, bit for bit; another one does not. */
static void
test_deterministic(void)
{
    static const char *const policies[] = { "static", "rsspp", "lpt", "rl" };

    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        struct sim_result a, b, c;

        run_episode(policies[i], "mix", 1, &a);
        run_episode(policies[i], "mix", 1, &b);
        run_episode(policies[i], "mix", 2, &c);
        CHECK(!memcmp(&a, &b, sizeof a));
        CHECK(a.reward != c.reward);
    }
}

/* The shipped policy on traffic it was not trained on: no worse than rsspp by
 * more than 2 %, better on most, and with fewer moves in all. */
static void
test_shipped(void)
{
    double moves[2] = { 0, 0 };
    int better = 0, n = 0;

    for (const struct sim_family *f = sim_families; f->name; f++) {
        double reward[2] = { 0, 0 };

        if (!f->heldout) {
            continue;
        }
        for (uint64_t seed = 901; seed < 904; seed++) {
            struct sim_result rsspp, rl;

            run_episode("rsspp", f->name, seed, &rsspp);
            run_episode("rl", f->name, seed, &rl);
            reward[0] += rsspp.reward;
            reward[1] += rl.reward;
            moves[0] += rsspp.moves;
            moves[1] += rl.moves;
        }
        if (reward[1] < reward[0] * 0.98) {
            fprintf(stderr, "%s: rl %.4f, rsspp %.4f\n", f->name,
                    reward[1] / 3, reward[0] / 3);
            exit(1);
        }
        better += reward[1] > reward[0];
        n++;
    }
    CHECK(better > n / 2);
    CHECK(moves[1] < moves[0]);
}

/* Balance of the shipped policy at 8 cores. */
static void
test_balance(void)
{
    static const char *const families[] = { "balanced", "gaming", "skew90" };

    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct sim_result r;

        run_episode("rl", families[i], 911, &r);
        if (r.imbalance > 0.07) {
            fprintf(stderr, "%s: imbalance %.3f\n", families[i],
                    r.imbalance);
            exit(1);
        }
    }
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "sim-conservation", test_sim_conservation },
        { "sim-packets", test_sim_packets },
        { "sim-packet-moves", test_sim_packet_moves },
        { "sim-load", test_sim_load },
        { "deterministic", test_deterministic },
        { "shipped", test_shipped },
        { "balance", test_balance },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
