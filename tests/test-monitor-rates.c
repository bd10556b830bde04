/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of what the registry makes of counters and clocks. */

#include <config.h>

#include <math.h>

#include "ovs-ext/core/ext-rng.h"
#include "tests/test-monitor.h"
#include "timeval.h"

/* Rates, utilization, latency and errors of constant work are right. */
void
test_rates(void)
{
    struct lab lab;

    lab_init(&lab, HRM_PMD_CORE);
    lab.s.cycles_us = 1000;
    lab.s.busy = lab.s.total = 1;
    lab_round(&lab, true, STEP);
    for (int i = 0; i < 100; i++) {
        lab.s.done += 10000;
        lab.s.failed += 10;
        lab.s.busy += 30000000;
        lab.s.total += 100000000;
        lab_round(&lab, true, STEP);
    }
    CHECK(fabs(lab.res.m.throughput - 100000) < 1);
    CHECK(fabs(lab.res.m.utilization - 0.3) < 1e-3);
    CHECK(fabs(lab.res.m.forecast_utilization - 0.3) < 0.01);
    CHECK(fabs(lab.res.m.latency_us - 3) < 1e-3);
    CHECK(fabs(lab.res.m.error_rate - 10.0 / 10010) < 1e-5);
    CHECK(fabs(lab.res.capacity - 100000 / 0.3) < 1);

    /* A counter that starts anew is no burst of work. */
    lab.s.done = lab.s.failed = lab.s.busy = lab.s.total = 5;
    lab_round(&lab, true, STEP);
    CHECK(lab.res.m.throughput <= 100000);
    CHECK(lab.res.m.utilization <= 0.3);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);
}

/* By Little's law: what waits over the rate at which it is done. */
void
test_waiting(void)
{
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    lab.s.counts_waiting = true;
    lab.s.waiting = 50;
    lab_work(&lab, 50, 10000, 0, 0);
    CHECK(fabs(lab.res.m.latency_us - 500) < 1);
    lab.s.waiting = 0;
    lab_work(&lab, 50, 10000, 0, 0);
    CHECK(lab.res.m.latency_us < 1);
    lab.s.waiting = 2000;
    lab_work(&lab, 20, 10000, 0, 0);
    CHECK(fabs(lab.res.m.latency_us - 20000) < 500);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_done(&lab);
}

/* A load that grows is expected to grow. */
void
test_forecast(void)
{
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    for (int i = 0; i < 50; i++) {
        lab.s.fill = 0.1 + 0.01 * i;
        lab.s.done++;
        lab_round(&lab, true, STEP);
    }
    CHECK(lab.res.m.forecast_utilization > lab.res.m.utilization + 0.03);
    CHECK(lab.res.m.forecast_utilization <= 1);
    lab_done(&lab);
}

/* Clocks that stand still, go back or jump by years change no state and make
 * no nonsense of rates. */
void
test_clock(void)
{
    static const long long int jumps[] = {
        0, -1, -STEP, -1000000, 1, 86400000, 100000000000, -100000000000,
    };

    for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
        struct lab lab;

        lab_init(&lab, HRM_NIC_QUEUE);
        lab.s.fill = 0.5;
        lab_work(&lab, 100, 1000, 0, 10);
        lab.s.done += 1000;
        lab_round(&lab, true, jumps[i]);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
        CHECK(isfinite(lab.res.m.throughput) && lab.res.m.throughput >= 0);
        lab_work(&lab, 50, 1000, 0, 10);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
        CHECK_EQ(lab.n, 1);
        CHECK(fabs(lab.res.m.throughput - 10000) < 100);
        CHECK(fabs(lab.res.m.utilization - 0.5) < 0.01);
        lab_fail(&lab, HRM_DOWN_SAMPLES);
        CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
        lab_done(&lab);
    }

    /* One that is gone while the clock goes back is forgotten still. */
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    lab_round(&lab, false, STEP);
    lab_round(&lab, false, -5000000);
    for (int i = 0; i < HRM_FORGET_MS / STEP; i++) {
        lab_round(&lab, false, STEP);
    }
    CHECK_EQ(lab.n, 0);
    lab_done(&lab);
}

/* Whatever probes say in whatever order, values stay in their ranges. */
void
test_random(void)
{
    struct ext_rng rng;
    struct lab lab;

    ext_rng_init(&rng, 3);
    lab_init(&lab, HRM_CRYPTO);
    for (int i = 0; i < 100000; i++) {
        struct hrm_sample *s = &lab.s;

        s->answer = ext_rng_range(&rng, 4);
        s->queued = ext_rng_range(&rng, 2);
        s->done = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->failed = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->busy = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->total = (ext_rng_range(&rng, 2)
                    ? ext_rng_next(&rng) >> ext_rng_range(&rng, 64) : 0);
        s->fill = ext_rng_normal(&rng);
        s->cycles_us = ext_rng_range(&rng, 2) * 1000;
        s->latency_us = (ext_rng_range(&rng, 9) ? ext_rng_normal(&rng) * 1000
                         : ext_rng_range(&rng, 2) ? NAN : INFINITY);
        lab_round(&lab, ext_rng_range(&rng, 20),
                  (long long int) ext_rng_range(&rng, 300) - 20);
        if (lab.n) {
            const struct hrm_metrics *m = &lab.res.m;

            CHECK(m->utilization >= 0 && m->utilization <= 1);
            CHECK(m->forecast_utilization >= 0
                  && m->forecast_utilization <= 1);
            CHECK(m->error_rate >= 0 && m->error_rate <= 1);
            CHECK(isfinite(m->latency_us) && m->latency_us >= 0);
            CHECK(isfinite(m->throughput) && m->throughput >= 0);
            CHECK(isfinite(lab.res.capacity) && lab.res.capacity >= 0);
            CHECK(lab.res.state < HRM_N_STATES);
            CHECK(memchr(lab.res.reason, 0, sizeof lab.res.reason));
        }
    }
    lab_done(&lab);
}

/* Prints what a round of 64 resources costs, without reading devices. */
void
test_cost(void)
{
    struct hrm_registry *r = hrm_registry_create(1024);
    struct hrm_sample s[64];
    long long int now = 0, start;
    const int n = 2000;

    for (int i = 0; i < 64; i++) {
        hrm_sample_init(&s[i], HRM_NIC_QUEUE, "packets/s", "eth%d/%d", i / 8,
                        i % 8);
        hrm_sample_attr(&s[i], "descriptors", "%d", 2048);
    }
    start = time_usec();
    for (int i = 0; i < n; i++) {
        hrm_registry_begin(r, now += STEP);
        for (int j = 0; j < 64; j++) {
            s[j].done += 1000 + i % 7 * j;
            s[j].fill = (i + j) % 100 / 100.0;
            hrm_registry_put(r, &s[j]);
        }
        hrm_registry_end(r);
    }
    printf("%d resources: %.1f us a round\n", 64,
           (double) (time_usec() - start) / n);
    CHECK_EQ(hrm_registry_count(r), 64);
    hrm_registry_destroy(r);
}
