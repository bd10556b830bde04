/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of what reports teach. */

#include <config.h>

#include "tests/test-affinity.h"

#include <math.h>

static void
random_features(struct ext_rng *rng, double x[AFF_N_FEATURES])
{
    x[AFF_F_BIAS] = 1;
    for (int i = 1; i < AFF_N_FEATURES; i++) {
        x[i] = ext_rng_double(rng);
    }
}

/* Rewards that follow other weights than the prior: these are found. */
void
test_learner(void)
{
    struct aff_learner l;
    struct ext_rng rng;
    double truth[AFF_N_FEATURES], x[AFF_N_FEATURES], before, error = 0;

    aff_learner_init(&l);
    for (int i = 0; i < AFF_N_FEATURES; i++) {
        CHECK(fabs(l.weights[i] - aff_prior[i]) < 1e-12);
        truth[i] = aff_prior[i] + (i % 3 - 1) * 0.1;
    }
    ext_rng_init(&rng, 7);
    random_features(&rng, x);
    before = aff_learner_uncertainty(&l, x);
    for (int n = 0; n < 4000; n++) {
        double y[AFF_N_FEATURES], reward = 0;

        random_features(&rng, y);
        for (int i = 0; i < AFF_N_FEATURES; i++) {
            reward += truth[i] * y[i];
        }
        aff_learner_add(&l, y, n % HRM_N_KINDS, n % TP_N_CLASSES,
                        reward + 0.05 * ext_rng_normal(&rng));
        aff_learner_solve(&l);
    }
    for (int i = 0; i < AFF_N_FEATURES; i++) {
        error = MAX(error, fabs(l.weights[i] - truth[i]));
    }
    CHECK(error < 0.03);
    CHECK(aff_learner_uncertainty(&l, x) < before / 5);
    CHECK_EQ(l.n_reports, 4000);
}

/* Few reports weigh little, many are bounded. */
void
test_shrink(void)
{
    struct aff_mean m = { 0, 0 };

    CHECK(aff_mean_get(&m) == 0);
    aff_mean_add(&m, 0.5);
    CHECK(aff_mean_get(&m) > 0.04 && aff_mean_get(&m) < 0.07);
    for (int i = 0; i < 1000; i++) {
        aff_mean_add(&m, 0.5);
    }
    CHECK(aff_mean_get(&m) == AFF_RESIDUAL_MAX);
    for (int i = 0; i < 1000; i++) {
        aff_mean_add(&m, -0.1);
    }
    CHECK(aff_mean_get(&m) < 0);    /* Old ones are forgotten. */
}

static void
teach(struct aff_learner *l, int n)
{
    struct ext_rng rng;

    aff_learner_init(l);
    ext_rng_init(&rng, n);
    for (int i = 0; i < n; i++) {
        double x[AFF_N_FEATURES];

        random_features(&rng, x);
        aff_learner_add(l, x, i % HRM_N_KINDS, i % TP_N_CLASSES,
                        ext_rng_double(&rng));
    }
    aff_learner_solve(l);
}

void
test_text(void)
{
    struct aff_learner a, b;
    char *s, *error;

    teach(&a, 500);
    s = aff_learner_to_string(&a);
    CHECK(strlen(s) < 4000);
    aff_learner_init(&b);
    error = aff_learner_from_string(&b, s);
    CHECK(!error);
    CHECK_EQ(b.n_reports, 500);
    for (int i = 0; i < AFF_N_FEATURES; i++) {
        CHECK(fabs(a.weights[i] - b.weights[i]) < 1e-6);
    }

    /* What is wrong is said, and changes nothing. */
    const char *const bad[] = {
        "", " ", "2", "1 12 12", "1 99 12 6 5", "nan nan", "hello",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        b = a;
        error = aff_learner_from_string(&b, bad[i]);
        CHECK(error && strlen(error) > 10);
        CHECK(!memcmp(&a, &b, sizeof a));
        free(error);
    }

    char *longer = xasprintf("%s 1", s);
    error = aff_learner_from_string(&b, longer);
    CHECK(error);
    free(error);
    free(longer);
    s[strlen(s) - 10] = '\0';
    error = aff_learner_from_string(&b, s);
    CHECK(error);
    free(error);
    free(s);
}

/* Text with random damage is refused, or gives weights that can be used. */
void
test_fuzz(void)
{
    static const char bytes[] = "0123456789 .-+eEnaif\n\t\xff";
    struct aff_learner a, b;
    struct ext_rng rng;
    int refused = 0;

    ext_rng_init(&rng, 3);
    teach(&a, 200);
    char *s = aff_learner_to_string(&a);
    size_t n = strlen(s);
    for (int run = 0; run < 20000; run++) {
        char *copy = xmemdup0(s, n);
        char *error;

        for (int k = ext_rng_range(&rng, 4); k >= 0; k--) {
            copy[ext_rng_range(&rng, n)]
                = bytes[ext_rng_range(&rng, sizeof bytes)];
        }
        aff_learner_init(&b);
        error = aff_learner_from_string(&b, copy);
        refused += error != NULL;
        for (int i = 0; i < AFF_N_FEATURES; i++) {
            CHECK(isfinite(b.weights[i]));
        }
        free(error);
        free(copy);
    }
    free(s);
    CHECK(refused > 1000 && refused < 20000);
}

void
test_reward(void)
{
    const struct aff_report good = { "x", 5, 0, 1e9 };
    const struct aff_report slow = { "x", 500, 0, 1e9 };
    const struct aff_report lossy = { "x", 5, 0.02, 1e9 };
    const struct aff_report stuck = { "x", 5, 0, 1e8 };
    const struct aff_report unknown = { "x", 0, 0, 0 };
    double best = aff_reward(&defaults, &good, 1e9);

    CHECK(best > 0.9 && best <= 1);
    CHECK(aff_reward(&defaults, &slow, 1e9) < best - 0.2);
    CHECK(aff_reward(&defaults, &lossy, 1e9) < best - 0.1);
    CHECK(aff_reward(&defaults, &stuck, 1e9) < best - 0.2);
    CHECK(aff_reward(&defaults, &unknown, 0) == 1);
}

/* Only what is about the present resource, and makes sense, is taken. */
void
test_report(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    struct aff_report report = { "rxq/a/0", 10, 0, 1e6 };
    struct aff_learner l;

    aff_learner_init(&l);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.5, 10);
    int p = set_profile(h, "vni:1", TP_TCP, 0.05);
    plan(h, NULL, &l, 0);
    CHECK_AT(h, p, "rxq/a/0");
    CHECK(aff_host_report(h, &defaults, &l, p, &report, 0));
    CHECK_EQ(l.n_reports, 1);

    report.resource = "rxq/a/1";
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    report.resource = "nothing";
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    report.resource = NULL;
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    report.resource = "rxq/a/0";
    report.loss = 1.5;
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    report.loss = 0;
    report.latency_us = NAN;
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    report.latency_us = 0;
    report.throughput = -1;
    CHECK(!aff_host_report(h, &defaults, &l, p, &report, 0));
    CHECK_EQ(l.n_reports, 1);
    aff_host_destroy(h);
}

/* A world: two queues that look alike, of which the first is slow for what
 * the profile does.  Returns the share of the last half of 'loops' that the
 * profile spent at the better one. */
static double
live(const struct aff_config *config, uint64_t seed, int loops, bool pinned,
     int *explored)
{
    struct aff_host *h = aff_host_create("h", seed);
    struct aff_learner l;
    struct ext_rng rng;
    int good = 0;

    aff_learner_init(&l);
    ext_rng_init(&rng, seed);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.1, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.15, 10);
    int p = set_profile(h, "vni:1", TP_TCP, 0.05);
    if (pinned) {
        aff_host_set_pin(h, "vni:1", TP_TCP, "rxq/a/0");
    }
    *explored = 0;
    for (int i = 0; i < loops; i++) {
        struct aff_result r = plan(h, config, &l, i * 1000);
        bool better = !strcmp(where(h, p), "rxq/a/1");
        const struct aff_report report = {
            .resource = where(h, p), .throughput = 0.05 * CAPACITY * 4000,
            .latency_us = (better ? 10 : 150) * (1 + ext_rng_double(&rng)),
            .loss = better ? 0 : 0.01,
        };

        *explored += (r.n_changed && aff_profile_decision(h, p)->cause
                      == AFF_C_EXPLORE);
        good += i >= loops / 2 && better;
        CHECK(aff_host_report(h, config, &l, p, &report, i * 1000));
    }
    aff_host_destroy(h);
    return good / (loops / 2.0);
}

/* Learns which resource is better, whatever the seed; without exploration it
 * never sees the other. */
void
test_bandit(void)
{
    struct aff_config config = defaults;
    int explored;

    config.epsilon = 0.3;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double share = live(&config, seed, 1200, false, &explored);

        if (share < 0.85) {
            fprintf(stderr, "seed %d: at the better one %.2f, explored %d\n",
                    (int) seed, share, explored);
            exit(1);
        }
    }
}

void
test_never_pinned(void)
{
    struct aff_config config = defaults;
    int explored;

    config.epsilon = 1;
    config.explore_ms = 100;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        CHECK(live(&config, seed, 400, true, &explored) == 0);
        CHECK_EQ(explored, 0);
    }
    live(&config, 1, 400, false, &explored);
    CHECK(explored > 0);        /* It would have. */
}

void
test_explore_off(void)
{
    struct aff_config config = defaults;
    int explored;

    config.epsilon = 1;
    config.explore = false;
    live(&config, 1, 400, false, &explored);
    CHECK_EQ(explored, 0);
    config.explore = true;
    config.learn = false;
    live(&config, 1, 400, false, &explored);
    CHECK_EQ(explored, 0);
}

/* One at a time, not for exclusive networks, not to what is far worse, full or
 * unfit, and not on a host that reports nothing. */
void
test_explore_bounds(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    struct aff_config config = defaults;
    struct aff_learner l;
    char name[16];

    config.epsilon = 1;
    config.explore_ms = 1000;
    config.explore_hold_ms = 0;
    aff_learner_init(&l);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.02, 10);
    set_resource(h, "pmd/9", HRM_AVAILABLE, 0.95, 1000);  /* Full, bad. */
    set_resource(h, "rxq/a/2", HRM_UNAVAILABLE, 0, 10);
    set_resource(h, "crypto/c", HRM_AVAILABLE, 0, 1);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "vni:%d", i);
        set_profile(h, name, TP_TCP, 0.01);
    }
    int exclusive = set_profile(h, "vni:77", TP_TCP, 0.01);
    aff_profile_set_network(h, exclusive, true, 1);
    set_resource(h, "rxq/b/0", HRM_AVAILABLE, 0, 10);

    for (int i = 0; i < 300; i++) {
        int n = plan(h, &config, &l, i * 1000).n_changed;

        if (i > 10) {
            CHECK_EQ(n, 0);     /* No reports yet. */
        }
    }

    int moved = 0;
    for (int i = 300; i < 600; i++) {
        AFF_PROFILE_FOR_EACH (p, h) {
            const struct aff_report report = {
                .resource = where(h, p), .latency_us = 10,
            };
            aff_host_report(h, &config, &l, p, &report, i * 1000);
        }
        plan(h, &config, &l, i * 1000);

        int exploring = 0;
        AFF_PROFILE_FOR_EACH (p, h) {
            const struct aff_decision *d = aff_profile_decision(h, p);

            exploring += d->changed && d->cause == AFF_C_EXPLORE;
            CHECK(strcmp(where(h, p), "pmd/9"));
            CHECK(strcmp(where(h, p), "rxq/a/2"));
            CHECK(strcmp(where(h, p), "crypto/c"));
            if (p == exclusive) {
                CHECK(d->cause != AFF_C_EXPLORE);
            }
        }
        CHECK(exploring <= 1);
        moved += exploring;
    }
    CHECK(moved > 50);

    /* No reports any more: it ends. */
    for (int i = 600; i < 900; i++) {
        plan(h, &config, &l, i * 1000);
        AFF_PROFILE_FOR_EACH (p, h) {
            const struct aff_decision *d = aff_profile_decision(h, p);

            CHECK(i < 612 || !d->changed || d->cause != AFF_C_EXPLORE);
        }
    }
    aff_host_destroy(h);
}
