/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of steering policies: reward, rsspp, lpt, rl. */

#include <config.h>
#include "tests/test-steering-util.h"

#include <math.h>

#include "ovs-ext/core/ext-ewma.h"
#include "ovs-ext/core/ext-rng.h"

#define MAX_MOVES 128

/* Policies that may move. */
static const char *const movers[] = { "rsspp", "lpt", "rl" };

/* Runs 'p' once on 'f'. */
static size_t
decide(struct steer_policy *p, const struct fixture *f,
       struct steer_move moves[MAX_MOVES])
{
    return steer_policy_decide(p, &f->st, moves, MAX_MOVES);
}

/* Every policy must keep to these rules whatever the state. */
static void
check_legal(const struct fixture *f, const struct steer_move *moves, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct steer_move *m = &moves[i];

        CHECK(m->bucket < f->st.n_buckets);
        const struct steer_bucket *b = &f->buckets[m->bucket];
        CHECK(m->to < f->st.n_cores);
        CHECK_EQ(m->from, b->core);
        CHECK(m->from != m->to);
        CHECK(b->movable);
        CHECK((f->group.cores >> m->to) & 1);
        CHECK(!f->cores[m->to].isolated);
        CHECK(!f->cores[m->from].isolated);
        for (size_t j = 0; j < i; j++) {
            CHECK(moves[j].bucket != m->bucket);
        }
    }
}

static void
test_reward(void)
{
    struct steer_weights w = { 1, 1, 1, 1 };
    struct steer_reward_terms t;
    struct fixture f;

    fixture_init(&f, 2, 2);
    fixture_load(&f, 0, 0.5);
    fixture_load(&f, 1, 0.5);
    fixture_settle(&f);
    f.cores[0].latency_ns = f.cores[1].latency_ns = 100e3;
    double r = steer_reward(&w, &f.st, 1, &t);
    CHECK(t.throughput == 1);
    CHECK(fabs(t.latency - 0.5) < 1e-9);
    CHECK(fabs(t.balance - 1) < 1e-9);
    CHECK(t.switching == 0.5);
    CHECK(fabs(r - (1 - 0.5 + 1 - 0.5)) < 1e-9);
    CHECK(steer_imbalance(&f.st) == 0);

    /* Isolated cores do not count. */
    f.cores[1].isolated = true;
    f.cores[1].drops_pps = 1e6;
    steer_reward(&w, &f.st, 0, &t);
    CHECK(t.throughput == 1);
    f.cores[1].isolated = false;

    /* Loss, imbalance: worse. */
    fixture_load(&f, 0, 1.5);
    fixture_settle(&f);
    steer_reward(&w, &f.st, 0, &t);
    CHECK(fabs(t.throughput - 0.75) < 1e-9);
    CHECK(t.balance < 0.1);
    CHECK(fabs(steer_imbalance(&f.st) - 1) < 1e-9);

    /* Nothing at all is not a reason for NaN. */
    memset(f.cores, 0, sizeof f.cores);
    CHECK(isfinite(steer_reward(&w, &f.st, 0, &t)));
    f.st.n_cores = 0;
    CHECK(isfinite(steer_reward(&w, &f.st, 0, &t)));
    fixture_uninit(&f);
}

static void
test_static(void)
{
    struct steer_policy *p = policy_create("static", NULL);
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    fixture_init(&f, 2, 8);
    for (int i = 0; i < 8; i += 2) {
        fixture_load(&f, i, 0.3);
    }
    fixture_settle(&f);
    CHECK_EQ(decide(p, &f, moves), 0);
    CHECK_EQ(steer_policy_explain(p)->decided_by, STEER_BY_STATIC);
    CHECK(steer_policy_explain(p)->imbalance_before > 1);
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

static void
test_create_errors(void)
{
    struct steer_config config;
    char *error;

    steer_config_init(&config);
    CHECK(!steer_policy_create("nonsense", &config, &error));
    CHECK(strstr(error, "nonsense"));
    free(error);
    config.w.latency = NAN;
    CHECK(!steer_policy_create("rsspp", &config, &error));
    CHECK(strstr(error, "weights"));
    free(error);
}

/* Balanced: no policy moves.  Differences below RSS++'s 2 % are balanced. */
static void
test_balanced(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(movers); k++) {
        struct steer_policy *p = policy_create(movers[k], NULL);
        struct steer_move moves[MAX_MOVES];
        struct fixture f;

        fixture_init(&f, 4, 64);
        for (size_t i = 0; i < 64; i++) {
            fixture_load(&f, i, 0.05);
        }
        fixture_load(&f, 0, 0.06);
        fixture_settle(&f);
        for (int tick = 0; tick < 50; tick++) {
            CHECK_EQ(decide(p, &f, moves), 0);
            fixture_move(&f, NULL, 0);
        }
        fixture_uninit(&f);
        steer_policy_destroy(p);
    }
}

/* One core over, one under: the right buckets go, the rest stays. */
static void
test_rsspp_moves(void)
{
    struct steer_policy *p = policy_create("rsspp", NULL);
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    /* Core 0: 0.5 + 0.2 + 0.1; core 1: 0.2.  Mean 0.5: moving 0.2 and 0.1
     * makes both 0.5. */
    fixture_init(&f, 2, 6);
    fixture_load(&f, 0, 0.5);
    fixture_load(&f, 2, 0.2);
    fixture_load(&f, 4, 0.1);
    fixture_load(&f, 1, 0.2);
    fixture_settle(&f);
    size_t n = decide(p, &f, moves);
    check_legal(&f, moves, n);
    CHECK_EQ(n, 2);
    CHECK_EQ(moves[0].bucket, 2);
    CHECK_EQ(moves[1].bucket, 4);
    CHECK(steer_policy_explain(p)->imbalance_after < 1e-6);
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* The bisection of the tolerance: with none no bucket fits, yet moving 0.24
 * helps (0.62/0.30 becomes 0.38/0.54, then nothing better). */
static void
test_rsspp_tolerance(void)
{
    struct steer_policy *p = policy_create("rsspp", NULL);
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    fixture_init(&f, 2, 6);
    fixture_load(&f, 0, 0.38);
    fixture_load(&f, 2, 0.24);
    fixture_load(&f, 1, 0.30);
    fixture_settle(&f);
    size_t n = decide(p, &f, moves);
    CHECK_EQ(n, 1);
    CHECK_EQ(moves[0].bucket, 2);

    /* A bucket larger than the whole difference stays: the plan would make
     * things worse. */
    steer_policy_reset(p);
    fixture_load(&f, 0, 0.05);
    fixture_load(&f, 2, 0.60);
    fixture_load(&f, 1, 0.50);
    fixture_settle(&f);
    n = decide(p, &f, moves);
    for (size_t i = 0; i < n; i++) {
        CHECK(moves[i].bucket != 2);
    }
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* A core that has just received sits out the next tick. */
static void
test_rsspp_sits_out(void)
{
    struct steer_config config;
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    steer_config_init(&config);
    config.rsspp_period_s = 0.01;
    struct steer_policy *p = policy_create("rsspp", &config);
    fixture_init(&f, 3, 30);
    for (size_t i = 0; i < 30; i += 3) {
        fixture_load(&f, i, 0.08);      /* Core 0: 0.8. */
    }
    fixture_load(&f, 1, 0.30);          /* Core 1. */
    fixture_load(&f, 2, 0.05);          /* Core 2. */
    fixture_settle(&f);
    size_t n = decide(p, &f, moves);
    CHECK(n > 0);
    uint32_t received = 0;
    for (size_t i = 0; i < n; i++) {
        received |= 1u << moves[i].to;
    }
    CHECK(received & (1u << 2));

    /* As if nothing had been done, the same plan would follow; but the
     * receivers sit out. */
    fixture_move(&f, NULL, 0);
    n = decide(p, &f, moves);
    for (size_t i = 0; i < n; i++) {
        CHECK(!((received >> moves[i].to) & 1));
        CHECK(!((received >> moves[i].from) & 1));
    }
    fixture_move(&f, NULL, 0);
    CHECK(decide(p, &f, moves) > 0);    /* The tick after they may again. */
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* LPT on cases with a known optimum: 8 7 6 5 4 on two cores is 15/15, and
 * plain LPT gets 17/13; on any case it is within 4/3 of the optimum. */
static void
test_lpt(void)
{
    static const double loads[] = { 0.08, 0.07, 0.06, 0.05, 0.04 };
    struct steer_policy *p = policy_create("lpt", NULL);
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    fixture_init(&f, 2, 5);
    for (size_t i = 0; i < 5; i++) {
        f.buckets[i].core = 0;
        fixture_load(&f, i, loads[i]);
    }
    fixture_settle(&f);
    size_t n = decide(p, &f, moves);
    check_legal(&f, moves, n);
    fixture_move(&f, moves, n);
    double hi = MAX(f.cores[0].load, f.cores[1].load);
    CHECK(hi < 0.17 + 1e-6);
    CHECK(hi > 0.15 - 1e-6);

    /* Packed once, it is left alone. */
    CHECK_EQ(decide(p, &f, moves), 0);
    fixture_uninit(&f);
    steer_policy_destroy(p);

    /* A perfect packing with two cores' names exchanged must not be
     * "repaired": only what makes a difference moves. */
    p = policy_create("lpt", NULL);
    fixture_init(&f, 4, 16);
    for (size_t i = 0; i < 16; i++) {
        fixture_load(&f, i, 0.1);
    }
    f.buckets[4].core = 1;              /* 0.3, 0.5, 0.4, 0.4 */
    fixture_settle(&f);
    n = decide(p, &f, moves);
    CHECK(n >= 1 && n <= 4);
    fixture_move(&f, moves, n);
    CHECK(steer_imbalance(&f.st) < 1e-6);
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* Whatever happens, no policy does anything illegal: random states with
 * isolated cores, forbidden cores, unknown cores, buckets in mid-move and
 * absurd numbers. */
static void
test_legal(void)
{
    static const double absurd[] = { NAN, INFINITY, -INFINITY, -1, 1e300 };

    for (size_t k = 0; k < ARRAY_SIZE(movers); k++) {
        struct steer_policy *p = policy_create(movers[k], NULL);
        struct steer_move moves[MAX_MOVES];
        struct ext_rng rng;
        size_t total = 0;

        ext_rng_init(&rng, 7);
        for (int round = 0; round < 400; round++) {
            size_t n_cores = 1 + ext_rng_range(&rng, 12);
            struct fixture f;

            fixture_init(&f, n_cores, 16 + ext_rng_range(&rng, 200));
            for (size_t i = 0; i < f.st.n_buckets; i++) {
                struct steer_bucket *b = &f.buckets[i];

                fixture_load(&f, i, ext_rng_double(&rng) * 0.2);
                b->core = ext_rng_range(&rng, n_cores);
                b->movable = ext_rng_range(&rng, 10) > 0;
                b->core = ext_rng_range(&rng, 20) ? b->core : STEER_NO_CORE;
                b->group = ext_rng_range(&rng, 30) ? 0 : 9;
                if (!ext_rng_range(&rng, 30)) {
                    b->pps = absurd[ext_rng_range(&rng, 5)];
                }
                if (!ext_rng_range(&rng, 30)) {
                    b->pred_pps = absurd[ext_rng_range(&rng, 5)];
                }
            }
            fixture_settle(&f);
            f.group.cores &= ext_rng_next(&rng) | ext_rng_next(&rng);
            for (size_t c = 0; c < n_cores; c++) {
                f.cores[c].isolated = !ext_rng_range(&rng, 6);
                if (!ext_rng_range(&rng, 8)) {
                    f.cores[c].load = absurd[ext_rng_range(&rng, 5)];
                }
                if (!ext_rng_range(&rng, 8)) {
                    f.cores[c].cap_pps = absurd[ext_rng_range(&rng, 5)];
                }
                if (!ext_rng_range(&rng, 8)) {
                    f.cores[c].qfill = absurd[ext_rng_range(&rng, 5)];
                }
            }
            size_t max = ext_rng_range(&rng, MAX_MOVES + 1);
            size_t n = steer_policy_decide(p, &f.st, moves, max);
            CHECK(n <= max);
            check_legal(&f, moves, n);
            total += n;
            fixture_uninit(&f);
        }
        CHECK(total > 100);             /* Or the test tests nothing. */
        steer_policy_destroy(p);
    }
}

/* An elephant larger than the fair share never moves; what shares its core
 * does. */
static void
test_elephant(void)
{
    for (size_t k = 0; k < ARRAY_SIZE(movers); k++) {
        struct steer_policy *p = policy_create(movers[k], NULL);
        struct steer_move moves[MAX_MOVES];
        struct fixture f;
        int last = -1;

        fixture_init(&f, 4, 64);
        for (size_t i = 0; i < 64; i++) {
            fixture_load(&f, i, 0.02);
        }
        fixture_load(&f, 8, 0.80);      /* On core 0; mean is 0.52. */
        fixture_settle(&f);
        for (int tick = 0; tick < 100; tick++) {
            size_t n = decide(p, &f, moves);

            check_legal(&f, moves, n);
            if (strcmp(movers[k], "lpt")) {
                for (size_t i = 0; i < n; i++) {
                    CHECK(moves[i].bucket != 8);
                }
            }
            last = n ? tick : last;
            fixture_move(&f, moves, n);
        }
        CHECK(last >= 0 && last < 60);  /* It acts, and comes to rest. */
        CHECK(f.cores[f.buckets[8].core].load < 0.90);
        fixture_uninit(&f);
        steer_policy_destroy(p);
    }
}

/* Counts vary by chance; that is no reason to move. */
static void
test_rl_noise(void)
{
    struct steer_policy *p = policy_create("rl", NULL);
    struct steer_move moves[MAX_MOVES];
    struct ext_holt holt[256] = { { .primed = false } };
    struct ext_rng rng;
    struct fixture f;
    size_t total = 0;

    ext_rng_init(&rng, 3);
    fixture_init(&f, 8, 256);
    for (int tick = 0; tick < 1000; tick++) {
        for (size_t i = 0; i < 256; i++) {
            /* 400 packets a tick, give or take 20. */
            double n = 400 + 20 * ext_rng_normal(&rng);

            f.buckets[i].pps = n * 100;
            f.buckets[i].pred_pps = ext_holt_update(&holt[i], n * 100, 100);
        }
        fixture_settle(&f);
        size_t n = decide(p, &f, moves);
        total += n;
        fixture_move(&f, moves, n);
    }
    CHECK(total <= 10);                 /* In 10 s of 8 cores. */
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* Two cores, many small buckets, 90 % of the load on one core: two ticks. */
static void
check_rl_skew90(void)
{
    static const size_t sizes[] = { 128, 512 };

    for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
        struct steer_policy *p = policy_create("rl", NULL);
        struct steer_move moves[MAX_MOVES];
        struct fixture f;
        size_t n = 0;

        fixture_init(&f, 2, sizes[k]);
        for (int tick = 0; tick < 70; tick++) {
            for (size_t i = 0; i < sizes[k]; i++) {
                double share = tick < 20 ? 0.5 : i % 2 ? 0.1 : 0.9;

                fixture_load(&f, i, 1.7 * share / (sizes[k] / 2));
            }
            fixture_settle(&f);
            if (tick >= 22) {           /* Two decisions later. */
                CHECK(f.cores[0].load < 1 && f.cores[1].load < 1);
            }
            n = decide(p, &f, moves);
            check_legal(&f, moves, n);
            CHECK(tick < 20 ? !n : true);
            fixture_move(&f, moves, n);
        }
        CHECK(steer_imbalance(&f.st) < 0.07);
        fixture_uninit(&f);
        steer_policy_destroy(p);
    }
}

/* One of eight cores is overloaded: several moves in the first tick, nothing
 * is lost after two. */
static void
test_rl_step(void)
{
    struct steer_policy *p = policy_create("rl", NULL);
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    fixture_init(&f, 8, 256);
    for (size_t i = 0; i < 256; i++) {
        fixture_load(&f, i, 0.02);
    }
    fixture_settle(&f);
    for (int tick = 0; tick < 20; tick++) {
        CHECK_EQ(decide(p, &f, moves), 0);
        fixture_move(&f, NULL, 0);
    }
    for (size_t i = 0; i < 256; i++) {  /* Core 0: 1.5, others 0.6. */
        if (f.buckets[i].core == 0) {
            fixture_load(&f, i, 1.5 / 32);
        }
    }
    fixture_settle(&f);
    CHECK(f.cores[0].drops_pps > 0);
    size_t n = decide(p, &f, moves);
    CHECK(n >= 2);                      /* Several moves in the first tick. */
    check_legal(&f, moves, n);
    fixture_move(&f, moves, n);
    n = decide(p, &f, moves);
    fixture_move(&f, moves, n);
    for (size_t c = 0; c < 8; c++) {
        CHECK(f.cores[c].drops_pps == 0);
        CHECK(f.cores[c].load < 0.95);
    }
    fixture_uninit(&f);
    steer_policy_destroy(p);
    check_rl_skew90();
}

/* The order in which cores and buckets come must not matter. */
static void
test_rl_permutation(void)
{
    struct steer_policy *p = policy_create("rl", NULL);
    struct steer_policy *q = policy_create("rl", NULL);
    struct steer_move a[MAX_MOVES], b[MAX_MOVES];
    struct fixture f, g;
    struct ext_rng rng;
    size_t n_buckets = 96, n_cores = 6;

    ext_rng_init(&rng, 11);
    fixture_init(&f, n_cores, n_buckets);
    fixture_init(&g, n_cores, n_buckets);
    for (size_t i = 0; i < n_buckets; i++) {
        double l = 0.01 + 0.06 * ext_rng_double(&rng);
        size_t j = (i * 35 + 7) % n_buckets;

        fixture_load(&f, i, l);
        fixture_load(&g, j, l);
        g.buckets[j].core = (f.buckets[i].core + 2) % n_cores;
    }
    for (size_t i = 0; i < n_buckets; i++) {
        if (f.buckets[i].core == 3) {
            size_t j = (i * 35 + 7) % n_buckets;

            f.buckets[i].pps = f.buckets[i].pred_pps *= 2;
            g.buckets[j].pps = g.buckets[j].pred_pps *= 2;
        }
    }
    fixture_settle(&f);
    fixture_settle(&g);
    size_t n = decide(p, &f, a);
    size_t m = decide(q, &g, b);
    CHECK(n > 0);
    CHECK_EQ(n, m);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(b[i].bucket, (a[i].bucket * 35 + 7) % n_buckets);
        CHECK_EQ(b[i].from, (a[i].from + 2) % n_cores);
        CHECK_EQ(b[i].to, (a[i].to + 2) % n_cores);
    }
    fixture_uninit(&f);
    fixture_uninit(&g);
    steer_policy_destroy(p);
    steer_policy_destroy(q);
}

/* Predictor: converges, follows a step at once, ignores counting noise. */
static void
test_holt(void)
{
    struct ext_holt h = { .primed = false };
    struct ext_rng rng;
    double worst = 0;

    ext_rng_init(&rng, 5);
    for (int i = 0; i < 500; i++) {
        double n = 100 + 10 * ext_rng_normal(&rng);
        double pred = ext_holt_update(&h, n * 100, 100);

        if (i > 20) {
            worst = MAX(worst, fabs(pred - 10000));
        }
    }
    CHECK(worst < 2500);                /* Samples stray by 4000. */
    double pred = ext_holt_update(&h, 50000, 100);
    CHECK(fabs(pred - 50000) < 5000);   /* A step: at once. */
    for (int i = 0; i < 200; i++) {
        pred = ext_holt_update(&h, 50000 + 100 * i, 0);
    }
    CHECK(fabs(pred - (50000 + 100 * 200)) < 1000);   /* A trend. */
    for (int i = 0; i < 50; i++) {
        pred = ext_holt_update(&h, 0, 100);
        CHECK(pred >= 0);
    }
    CHECK(pred < 100);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "reward", test_reward },
        { "static", test_static },
        { "create-errors", test_create_errors },
        { "balanced", test_balanced },
        { "rsspp-moves", test_rsspp_moves },
        { "rsspp-tolerance", test_rsspp_tolerance },
        { "rsspp-sits-out", test_rsspp_sits_out },
        { "lpt", test_lpt },
        { "legal", test_legal },
        { "elephant", test_elephant },
        { "rl-noise", test_rl_noise },
        { "rl-step", test_rl_step },
        { "rl-permutation", test_rl_permutation },
        { "holt", test_holt },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
