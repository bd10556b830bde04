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
    tpam_host_remove(t, 2);
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

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "predict", test_predict },
        { "missing", test_missing },
        { "learn", test_learn },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
