/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_MONITOR_H
#define TEST_MONITOR_H 1

/* What the tests of the resource registry share. */

#include "ovs-ext/monitor/hrm-registry.h"
#include "tests/test-util.h"

#define STEP 100                /* ms */

/* A registry with one resource, of which each test tells one story. */
struct lab {
    struct hrm_registry *r;
    struct hrm_sample s;
    struct hrm_resource res;    /* As of the last round. */
    long long int now;
    size_t n;                   /* Resources. */
};

static inline void
lab_look(struct lab *lab)
{
    struct hrm_resource *all;

    hrm_registry_snapshot(lab->r, &all, &lab->n);
    if (lab->n) {
        lab->res = all[0];
    }
    free(all);
}

/* A round with, or without, a sample, 'dt' ms after the one before. */
static inline void
lab_round(struct lab *lab, bool sample, long long int dt)
{
    lab->now += dt;
    hrm_registry_begin(lab->r, lab->now);
    if (sample) {
        hrm_registry_put(lab->r, &lab->s);
    }
    hrm_registry_end(lab->r);
    lab_look(lab);
}

static inline void
lab_init(struct lab *lab, enum hrm_kind kind)
{
    memset(lab, 0, sizeof *lab);
    lab->r = hrm_registry_create(16);
    lab->now = 1000000;
    hrm_sample_init(&lab->s, kind, "packets/s", "%d", 0);
    lab_round(lab, true, STEP);
    CHECK_EQ(lab->res.state, HRM_AVAILABLE);
}

/* 'n' rounds in which the resource does 'done' units of work, fails at
 * 'failed' and takes 'latency' us for each. */
static inline void
lab_work(struct lab *lab, int n, int done, int failed, double latency)
{
    for (int i = 0; i < n; i++) {
        lab->s.answer = HRM_ANSWER;
        lab->s.done += done;
        lab->s.failed += failed;
        lab->s.latency_us = latency;
        lab_round(lab, true, STEP);
    }
}

static inline void
lab_fail(struct lab *lab, int n)
{
    for (int i = 0; i < n; i++) {
        lab->s.answer = HRM_NO_ANSWER;
        lab->s.why = "test";
        lab_round(lab, true, STEP);
    }
}

static inline void
lab_done(struct lab *lab)
{
    hrm_registry_destroy(lab->r);
}

/* Tests in test-monitor-rates.c. */
void test_rates(void);
void test_waiting(void);
void test_forecast(void);
void test_clock(void);
void test_random(void);
void test_cost(void);

/* Test in test-monitor-pci.c. */
void test_pci(void);

#endif /* test-monitor.h */
