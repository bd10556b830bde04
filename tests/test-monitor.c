/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the resource registry and the PCI scan.  Time is made up. */

#include <config.h>

#include "tests/test-monitor.h"

static void
test_names(void)
{
    struct hrm_resource r;
    enum hrm_state state;
    enum hrm_kind kind;

    for (int i = 0; i < HRM_N_KINDS; i++) {
        CHECK(hrm_kind_from_string(hrm_kind_to_string(i), &kind));
        CHECK_EQ(kind, i);
        CHECK(hrm_kind_prefix(i));
    }
    for (int i = 0; i < HRM_N_STATES; i++) {
        CHECK(hrm_state_from_string(hrm_state_to_string(i), &state));
        CHECK_EQ(state, i);
    }
    CHECK(!hrm_kind_from_string("", &kind));
    CHECK(!hrm_state_from_string("gone", &state));
    CHECK(!hrm_kind_to_string(HRM_N_KINDS));
    CHECK(!hrm_state_to_string(HRM_N_STATES));

    memset(&r, 0, sizeof r);
    for (int i = 0; i < HRM_MAX_ATTRS; i++) {
        char key[8];

        snprintf(key, sizeof key, "k%d", i);
        CHECK(hrm_resource_set_attr(&r, key, "old"));
        CHECK(hrm_resource_set_attr(&r, key, key));
    }
    CHECK(!hrm_resource_set_attr(&r, "more", "1"));
    CHECK(!strcmp(hrm_resource_get_attr(&r, "k3"), "k3"));
    CHECK(!hrm_resource_get_attr(&r, "k"));
}

/* Two samples without answer, by each way not to answer. */
static void
test_two_samples(void)
{
    struct lab lab;

    lab_init(&lab, HRM_CRYPTO);
    lab_fail(&lab, 1);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_fail(&lab, 1);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(!strcmp(lab.res.reason, "2 samples without answer: test"));
    CHECK_EQ(lab.res.since, lab.now);
    lab_done(&lab);

    /* One alone is nothing. */
    lab_init(&lab, HRM_CRYPTO);
    for (int i = 0; i < 10; i++) {
        lab_fail(&lab, 1);
        lab_work(&lab, 1, 1, 0, 0);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    }
    lab_done(&lab);

    /* Work waits and none is done, though some fails. */
    lab_init(&lab, HRM_NIC_QUEUE);
    lab_work(&lab, 5, 10, 0, 0);
    lab.s.queued = true;
    lab_work(&lab, 5, 10, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_work(&lab, 1, 0, 5, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_work(&lab, 1, 0, 5, 0);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(lab.res.m.throughput == 0);

    /* Without work it is idle. */
    lab.s.queued = false;
    lab_work(&lab, HRM_UP_SAMPLES, 0, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* Gone. */
    lab_init(&lab, HRM_PORT);
    lab_round(&lab, false, STEP);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_round(&lab, false, STEP);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(strstr(lab.res.reason, "gone"));
    lab_done(&lab);

    /* What says that it is down is so at once. */
    lab_init(&lab, HRM_PORT);
    lab.s.answer = HRM_DOWN;
    lab.s.why = "link is down";
    lab_round(&lab, true, STEP);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(!strcmp(lab.res.reason, "link is down"));
    lab_done(&lab);
}

/* Each outage soon after another takes twice as long to get over. */
static void
test_flap(void)
{
    int last = 0, rounds[8];
    struct lab lab;

    lab_init(&lab, HRM_PORT);
    for (int i = 0; i < 8; i++) {
        lab_fail(&lab, HRM_DOWN_SAMPLES);
        CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
        rounds[i] = 0;
        while (lab.res.state == HRM_UNAVAILABLE) {
            lab_work(&lab, 1, 1, 0, 0);
            rounds[i]++;
            CHECK(rounds[i] <= HRM_UP_SAMPLES_MAX);
        }
        CHECK(rounds[i] >= last);
        last = rounds[i];
    }
    CHECK_EQ(rounds[0], HRM_UP_SAMPLES);
    CHECK(rounds[3] >= 3 * HRM_UP_SAMPLES);
    CHECK(last >= 4 * HRM_UP_SAMPLES);

    /* Forgiven after a minute of good behaviour. */
    lab_work(&lab, 600, 1, 0, 0);
    lab_fail(&lab, HRM_DOWN_SAMPLES);
    lab_work(&lab, HRM_UP_SAMPLES, 1, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* A resource that answers every other sample group changes its state far
     * less often than it flaps. */
    lab_init(&lab, HRM_PORT);
    for (int i = 0; i < 300; i++) {
        lab_fail(&lab, 3);
        lab_work(&lab, 3, 1, 0, 0);
    }
    CHECK(hrm_registry_stats(lab.r)->transitions <= 10);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    lab_done(&lab);
}

/* Degraded by errors and by latency, with hysteresis. */
static void
test_degraded(void)
{
    struct lab lab;

    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 0, 0);
    lab_work(&lab, HRM_BAD_SAMPLES + 2, 1000, 100, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    CHECK(strstr(lab.res.reason, "of its work fails"));
    lab_work(&lab, 100, 1000, 5, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 40, 1000, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    CHECK(!lab.res.reason[0]);
    lab_work(&lab, 100, 1000, 5, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 0, 40);
    lab_work(&lab, 20, 1000, 0, 90);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);     /* Twice is usual. */
    lab_work(&lab, 10, 1000, 0, 1000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    CHECK(strstr(lab.res.reason, "latency"));
    /* It does not get used to being slow. */
    lab_work(&lab, 3000, 1000, 0, 1000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 50, 1000, 0, 40);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* From degraded to unavailable takes no longer. */
    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 500, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_fail(&lab, HRM_DOWN_SAMPLES);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    lab_done(&lab);
}

/* What latency is usual does not hang on one sample; what lasts is usual in
 * the end. */
static void
test_usual(void)
{
    struct lab lab;

    /* First timed while idle. */
    lab_init(&lab, HRM_PORT);
    lab_work(&lab, 1, 1000, 0, 60);
    for (int i = 0; i < 3600 * 1000 / STEP; i++) {
        lab_work(&lab, 1, 1000, 0, 260);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    }
    lab_done(&lab);

    /* At light load for long. */
    lab_init(&lab, HRM_PORT);
    lab_work(&lab, 600 * 1000 / STEP, 1000, 0, 60);
    lab_work(&lab, 20, 1000, 0, 260);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 600 * 1000 / STEP, 1000, 0, 260);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* What is really slow is noticed at once (latency is smoothed: a sample
     * more), and for minutes... */
    lab_init(&lab, HRM_PORT);
    lab_work(&lab, HRM_USUAL_SAMPLES, 1000, 0, 200);
    lab_work(&lab, HRM_BAD_SAMPLES + 1, 1000, 0, 2000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    for (int i = 0; i < 240 * 1000 / STEP; i++) {
        lab_work(&lab, 1, 1000, 0, 2000);
        CHECK_EQ(lab.res.state, HRM_DEGRADED);
    }
    lab_work(&lab, 300 * 1000 / STEP, 1000, 0, 2000);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    /* ...and again, once it has been well for a while. */
    lab_work(&lab, 300 * 1000 / STEP, 1000, 0, 200);
    lab_work(&lab, HRM_BAD_SAMPLES + 1, 1000, 0, 2000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_done(&lab);

    /* Latency of work half of which fails teaches nothing. */
    lab_init(&lab, HRM_PORT);
    lab_work(&lab, HRM_USUAL_SAMPLES, 1000, 0, 210);
    lab_work(&lab, 3600 * 1000 / STEP, 1000, 1000, 2000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 100 * 1000 / STEP, 1000, 0, 2000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    CHECK(strstr(lab.res.reason, "latency"));
    lab_done(&lab);
}

/* What is gone is forgotten, what is too much refused. */
static void
test_bounded(void)
{
    struct hrm_registry *r = hrm_registry_create(16);
    long long int now = 5;

    for (int i = 0; i < 2000; i++) {
        hrm_registry_begin(r, now += STEP);
        for (int j = 0; j < 8; j++) {
            struct hrm_sample s;

            hrm_sample_init(&s, HRM_DMA, "copies/s", "%d", i * 8 + j);
            hrm_registry_put(r, &s);
        }
        hrm_registry_end(r);
        CHECK(hrm_registry_count(r) <= 16);
    }
    CHECK(hrm_registry_stats(r)->refused > 1000);
    for (int i = 0; i <= HRM_FORGET_MS / STEP; i++) {
        hrm_registry_begin(r, now += STEP);
        hrm_registry_end(r);
    }
    CHECK_EQ(hrm_registry_count(r), 0);
    hrm_registry_destroy(r);

    /* Names that are too long are cut and stay apart from none. */
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    hrm_sample_init(&lab.s, HRM_NIC_QUEUE, "packets/s", "%0100d", 1);
    CHECK_EQ(strlen(lab.s.name), HRM_NAME_LEN - 1);
    lab_round(&lab, true, STEP);
    CHECK_EQ(lab.n, 2);
    lab_done(&lab);
}

/* The order of resources does not depend on that of samples. */
static void
test_order(void)
{
    static const char *const expected[] = {
        "pmd/0", "pmd/2", "pmd/10", "rxq/a/0", "rxq/a/1", "rxq/b/0",
        "crypto/x", "pci/0000:00:01.0",
    };
    struct hrm_registry *r = hrm_registry_create(16);
    struct hrm_resource *all;
    struct hrm_sample s[8];
    size_t n;

    hrm_sample_init(&s[0], HRM_PCI, "functions", "0000:00:01.0");
    s[0].answer = HRM_NOT_OURS;
    hrm_sample_init(&s[1], HRM_NIC_QUEUE, "packets/s", "b/0");
    hrm_sample_init(&s[2], HRM_NIC_QUEUE, "packets/s", "a/1");
    hrm_sample_init(&s[3], HRM_PMD_CORE, "packets/s", "10");
    hrm_sample_init(&s[4], HRM_CRYPTO, "ops/s", "x");
    hrm_sample_init(&s[5], HRM_PMD_CORE, "packets/s", "2");
    hrm_sample_init(&s[6], HRM_NIC_QUEUE, "packets/s", "a/0");
    hrm_sample_init(&s[7], HRM_PMD_CORE, "packets/s", "0");
    hrm_sample_attr(&s[7], "rxqs", "%d", 3);
    hrm_registry_begin(r, 1);
    for (int i = 0; i < 8; i++) {
        hrm_registry_put(r, &s[i]);
        hrm_registry_put(r, &s[i]);     /* Twice is once. */
    }
    hrm_registry_end(r);
    hrm_registry_snapshot(r, &all, &n);
    CHECK_EQ(n, 8);
    for (int i = 0; i < 8; i++) {
        CHECK(!strcmp(all[i].name, expected[i]));
    }
    CHECK(!strcmp(hrm_resource_get_attr(&all[0], "rxqs"), "3"));
    CHECK_EQ(all[7].state, HRM_UNMANAGED);
    free(all);
    hrm_registry_destroy(r);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "names", test_names },
        { "rates", test_rates },
        { "waiting", test_waiting },
        { "forecast", test_forecast },
        { "two-samples", test_two_samples },
        { "flap", test_flap },
        { "degraded", test_degraded },
        { "usual", test_usual },
        { "clock", test_clock },
        { "bounded", test_bounded },
        { "order", test_order },
        { "random", test_random },
        { "pci", test_pci },
        { "cost", test_cost },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
