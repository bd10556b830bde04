/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the prediction of migrations: time is a sample a second. */

#include <config.h>

#include <math.h>

#include "ovs-ext/session/tpam.h"
#include "tests/test-util.h"

static void
predict(struct tpam *t, int second, double ramp, bool draining)
{
    for (uint32_t h = 0; h < 4; h++) {
        double cpu = h == 1 ? MIN(0.5 + ramp * second, 1) : 0.3 + 0.05 * h;
        struct tpam_host_sample s = {
            .cpu = cpu, .memory = 0.4, .bandwidth = 0.3,
            .latency_us = 400 / (1 - MIN(cpu, 0.98)),
            .draining = draining && h == 2,
        };

        tpam_host(t, h, &s);
        for (uint64_t g = 0; g < 4; g++) {
            struct tpam_group_sample gs = {
                .load = cpu * (g == 0 ? 0.4 : 0.2), .packet_size = 800,
                .interarrival_us = 10, .latency_us = s.latency_us,
            };
            tpam_group(t, h * 4 + g, h, &gs);
        }
    }
    tpam_run(t);
}

static void
test_predict(void)
{
    struct tpam_config config;
    struct tpam_hint hints[16];
    int first = -1;

    /* At rest nothing is hinted. */
    tpam_config_init(&config);
    struct tpam *t = tpam_create(&config);
    for (int i = 0; i < 200; i++) {
        predict(t, 0, 0, false);
        CHECK_EQ(tpam_hints(t, hints, 16), 0);
    }
    /* A host that fills up: its largest group, before the limit is reached at
     * 0.85, to the host with least load. */
    for (int i = 0; i < 100 && first < 0; i++) {
        predict(t, i, 0.005, false);
        if (tpam_hints(t, hints, 16)) {
            first = i;
        }
    }
    CHECK(first > 0 && first < 80);
    CHECK_EQ(hints[0].group, 4);
    CHECK_EQ(hints[0].host, 1);
    CHECK_EQ(hints[0].targets[0], 0);
    CHECK_EQ(hints[0].n_targets, 2);
    CHECK(tpam_probability(t, 4) > tpam_probability(t, 8));
    tpam_migrated(t, 4, 0);
    CHECK_EQ(tpam_hints(t, hints, 16), 0);
    tpam_destroy(t);

    /* All groups of a host that drains, to hosts that do not. */
    t = tpam_create(&config);
    for (int i = 0; i < 100; i++) {
        predict(t, 0, 0, false);
    }
    predict(t, 0, 0, true);
    CHECK_EQ(tpam_hints(t, hints, 16), 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(hints[i].host, 2);
        CHECK(hints[i].targets[0] != 2 && hints[i].targets[1] != 2);
    }
    predict(t, 0, 0, false);
    tpam_group_remove(t, 8);
    CHECK(tpam_probability(t, 8) == 0);
    tpam_destroy(t);
}

/* Missing samples are no reason to fall over. */
static void
test_missing(void)
{
    struct tpam_config config;
    struct tpam_hint hints[8];

    tpam_config_init(&config);
    struct tpam *t = tpam_create(&config);
    for (int i = 0; i < 100; i++) {
        struct tpam_host_sample s = { NAN, NAN, NAN, NAN, false };
        struct tpam_group_sample g = { NAN, NAN, NAN, NAN };

        tpam_host(t, 0, &s);
        tpam_group(t, 0, 0, &g);
        tpam_group(t, 1, 5, &g);
        tpam_run(t);
        CHECK(!isnan(tpam_probability(t, 0)));
        CHECK_EQ(tpam_hints(t, hints, 8), 0);
    }
    tpam_destroy(t);
}

/* Hosts come and go, one at a time, with any IDs: this is no reason not to
 * know the next one, and nobody is sent to one that is gone. */
static void
test_hosts(void)
{
    const uint64_t here = UINT64_MAX, big = UINT64_C(1) << 40;
    struct tpam_config config;
    struct tpam_hint hint;

    tpam_config_init(&config);
    struct tpam *t = tpam_create(&config);
    for (uint64_t i = 0; i < TPAM_MAX_HOSTS + 76; i++) {
        struct tpam_host_sample s = { 0.5, 0.5, 0.5, NAN, false };
        struct tpam_group_sample g = { 0.1, 800, 10, NAN };

        tpam_host(t, big + i, &s);
        s.draining = true;
        tpam_host(t, here, &s);
        tpam_group(t, 1, here, &g);
        tpam_run(t);
        CHECK_EQ(tpam_hints(t, &hint, 1), 1);
        CHECK_EQ(hint.host, here);
        CHECK_EQ(hint.n_targets, 1);
        CHECK_EQ(hint.targets[0], big + i);
    }

    /* The host of the group gets another name. */
    tpam_host(t, here - 1, &(struct tpam_host_sample) { .draining = true });
    tpam_host(t, big, &(struct tpam_host_sample) { .cpu = 0.5 });
    tpam_group(t, 1, here - 1, &(struct tpam_group_sample) { .load = 0.1 });
    tpam_run(t);
    CHECK_EQ(tpam_hints(t, &hint, 1), 1);
    CHECK_EQ(hint.host, here - 1);
    CHECK_EQ(hint.targets[0], big);
    tpam_destroy(t);
}

/* Weights follow what happens. */
static void
test_learn(void)
{
    double w[TPAM_N_FEATURES] = { 0 }, x[TPAM_N_FEATURES] = { 1, 1 };

    CHECK(tpam_score(w, x) == 0.5);
    for (int i = 0; i < 1000; i++) {
        x[1] = i & 1;
        tpam_step(w, x, i & 1, 0.1);
    }
    x[1] = 1;
    CHECK(tpam_score(w, x) > 0.9);
    x[1] = 0;
    CHECK(tpam_score(w, x) < 0.1);
}

/* Four hosts at rest with four groups each, but host 1 is as busy as 'cpu'
 * says. */
static void
second(struct tpam *t, double cpu)
{
    for (uint32_t h = 0; h < 4; h++) {
        double load = h == 1 ? cpu : 0.3 + 0.05 * h;
        struct tpam_host_sample s = {
            .cpu = load, .memory = 0.4, .bandwidth = 0.3,
            .latency_us = 400 / (1 - load),
        };

        tpam_host(t, h, &s);
        for (uint64_t g = 0; g < 4; g++) {
            struct tpam_group_sample gs = {
                .load = load * (g == 0 ? 0.4 : 0.2), .packet_size = 800,
                .interarrival_us = 10, .latency_us = s.latency_us,
            };
            tpam_group(t, h * 4 + g, h, &gs);
        }
    }
    tpam_run(t);
}

/* Host 1 is too busy for half a minute, then idle until all is over.  Its
 * largest group, 4, is moved away after 'move' seconds, if ever; and back.
 * Returns whether it was hinted before. */
static bool
overload(struct tpam *t, int move)
{
    struct tpam_hint hints[16];
    bool hinted = false;

    for (int i = 0; i < 30; i++) {
        second(t, 0.9);
        if (move < 0 || i < move) {
            for (size_t j = tpam_hints(t, hints, 16); j > 0; j--) {
                hinted |= hints[j - 1].group == 4;
            }
        }
        if (i == move) {
            tpam_migrated(t, 4, 0);
            break;
        }
    }
    for (int i = 0; i < 120; i++) {
        second(t, 0.5);
    }
    return hinted;
}

static struct tpam *
create_learner(double rate)
{
    struct tpam_config config;

    tpam_config_init(&config);
    config.learning_rate = rate;
    struct tpam *t = tpam_create(&config);
    for (int i = 0; i < 100; i++) {
        second(t, 0.5);
    }
    return t;
}

/* Where nobody ever moves what is hinted, hints cease; where they come true
 * again, the shipped weights are back: those would have known. */
static void
test_online(void)
{
    struct tpam_learned l;
    int i;

    struct tpam *t = create_learner(0.01);
    CHECK(overload(t, 16));
    tpam_get_learned(t, &l);
    CHECK_EQ(l.came, 1);
    CHECK(!l.is_shipped);
    for (i = 0; i < 200 && overload(t, -1); i++) {
        continue;
    }
    CHECK(i > 2 && i < 100);
    tpam_get_learned(t, &l);
    CHECK(l.nothing >= i);
    CHECK(l.error < l.shipped_error);
    CHECK_EQ(l.n_fallbacks, 0);
    for (i = 0; i < 200 && !overload(t, 16); i++) {
        continue;
    }
    tpam_get_learned(t, &l);
    CHECK(i > 0 && i < 100);
    tpam_get_learned(t, &l);
    CHECK_EQ(l.missed, i);
    tpam_destroy(t);

    /* Without learning nothing changes. */
    t = create_learner(0);
    for (i = 0; i < 20; i++) {
        CHECK(overload(t, -1));
    }
    tpam_get_learned(t, &l);
    CHECK(l.is_shipped && l.nothing >= 20 && l.n_cases >= 20);
    CHECK(l.error == l.shipped_error);
    tpam_destroy(t);
}

/* A rate at which learning overshoots is found out. */
static void
test_fallback(void)
{
    struct tpam *t = create_learner(20);
    struct tpam_learned l;

    for (int i = 0; i < 60; i++) {
        overload(t, i % 4 == 3 ? -1 : 16);
        tpam_get_learned(t, &l);
        CHECK(l.n_cases < 24 || l.error <= l.shipped_error + 0.02);
    }
    CHECK(l.n_fallbacks > 0);
    tpam_destroy(t);
}

/* A second target is named where it is about as likely as the first. */
static void
test_targets(void)
{
    struct tpam_config config;
    struct tpam_hint hint;

    tpam_config_init(&config);
    for (int alike = 0; alike < 2; alike++) {
        struct tpam *t = tpam_create(&config);

        for (int i = 0; i < 60; i++) {
            for (uint32_t h = 0; h < 3; h++) {
                double cpu = h == 0 ? 0.6 : h == 1 || alike ? 0.2 : 0.4;

                tpam_host(t, h, &(struct tpam_host_sample) {
                    .cpu = cpu, .memory = 0.1, .bandwidth = 0.1,
                    .latency_us = NAN, .draining = h == 0 && i > 50,
                });
            }
            tpam_group(t, 7, 0, &(struct tpam_group_sample) {
                .load = 0.1, .packet_size = 800, .interarrival_us = 10,
                .latency_us = NAN,
            });
            tpam_run(t);
        }
        CHECK_EQ(tpam_hints(t, &hint, 1), 1);
        CHECK_EQ(hint.targets[0], 1);
        CHECK_EQ(hint.n_targets, alike ? 2 : 1);
        CHECK(!alike || hint.targets[1] == 2);
        CHECK(hint.shares[0] >= 0.5 && hint.shares[0] <= 1);
        tpam_destroy(t);
    }
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "predict", test_predict },
        { "missing", test_missing },
        { "hosts", test_hosts },
        { "learn", test_learn },
        { "online", test_online },
        { "fallback", test_fallback },
        { "targets", test_targets },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
