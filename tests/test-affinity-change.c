/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of the affinity planner: what happens when resources fail, come back
 * and flap, and when a controller takes over. */

#include <config.h>
#include "tests/test-affinity.h"

/* Loss and degradation are answered in the next plan, without waiting. */
void
test_loss(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int a, b;

    set_resource(h, "port/acc0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.5, 10);
    a = set_profile(h, "vni:1", TP_TCP, 0.01);
    b = set_profile(h, "vni:2", TP_UDP, 0.01);
    plan(h, NULL, NULL, 0);
    CHECK_AT(h, a, "port/acc0");
    CHECK_AT(h, b, "port/acc0");

    set_resource(h, "port/acc0", HRM_UNAVAILABLE, 0, 10);
    CHECK_EQ(plan(h, NULL, NULL, 100).n_changed, 2);
    CHECK_AT(h, a, "rxq/a/0");
    CHECK_AT(h, b, "rxq/a/0");
    CHECK(strstr(aff_profile_decision(h, a)->reason, "lost port/acc0"));

    /* Back: not at once. */
    set_resource(h, "port/acc0", HRM_AVAILABLE, 0, 10);
    CHECK_EQ(plan(h, NULL, NULL, 200).n_changed, 0);
    plan(h, NULL, NULL, 300);
    plan(h, NULL, NULL, 400);
    CHECK_AT(h, a, "port/acc0");

    set_resource(h, "port/acc0", HRM_DEGRADED, 0, 10);
    CHECK(plan(h, NULL, NULL, 500).n_changed > 0);
    CHECK_AT(h, a, "rxq/a/0");
    CHECK(strstr(aff_profile_decision(h, a)->reason, "degraded"));

    /* The row itself goes. */
    aff_host_remove_resource(h, "rxq/a/0");
    plan(h, NULL, NULL, 600);
    CHECK_AT(h, a, "port/acc0");
    CHECK(strstr(aff_profile_decision(h, a)->reason, "lost rxq/a/0"));
    aff_host_remove_resource(h, "port/acc0");
    plan(h, NULL, NULL, 700);
    CHECK_AT(h, a, "");
    CHECK_EQ(plan(h, NULL, NULL, 800).n_changed, 0);
    aff_host_destroy(h);
}

/* A resource that comes and goes is not come back to each time. */
void
test_flapping(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int p, moves = 0;

    set_resource(h, "port/acc0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.5, 10);
    p = set_profile(h, "vni:1", TP_TCP, 0.01);
    plan(h, NULL, NULL, 0);
    CHECK_AT(h, p, "port/acc0");
    for (int i = 1; i <= 200; i++) {
        set_resource(h, "port/acc0", i / 5 % 2 ? HRM_UNAVAILABLE
                     : HRM_AVAILABLE, 0, 10);
        moves += plan(h, NULL, NULL, i * 100).n_changed;
    }
    CHECK(moves >= 1 && moves <= 6);
    CHECK_AT(h, p, "rxq/a/0");

    /* It is forgiven in time. */
    set_resource(h, "port/acc0", HRM_AVAILABLE, 0, 10);
    struct aff_result r = { .next_ms = 20100 };
    for (long long int now = 20100; now < 1000000; now += 5000) {
        CHECK(r.again || r.next_ms < LLONG_MAX
              || !strcmp(where(h, p), "port/acc0"));
        r = plan(h, NULL, NULL, now);
    }
    CHECK_AT(h, p, "port/acc0");
    CHECK(!r.again && r.next_ms == LLONG_MAX);
    aff_host_destroy(h);
}

/* Whatever the rhythm in which a resource comes and goes, traffic is sent
 * elsewhere and back a bounded number of times. */
void
test_flapping_rhythm(void)
{
    static const struct {
        int up, down;           /* Loops of 100 ms. */
        int max_moves;          /* Of each profile, in 10 minutes. */
    } rhythms[] = {
        { 1, 1, 2 }, { 2, 1, 2 }, { 5, 5, 4 }, { 10, 1, 4 }, { 30, 30, 5 },
        { 100, 20, 7 }, { 300, 10, 10 },
    };
    enum { LOOPS = 6000, PROFILES = 8 };

    for (size_t i = 0; i < ARRAY_SIZE(rhythms); i++) {
        struct aff_host *h = aff_host_create("h", 1);
        int period = rhythms[i].up + rhythms[i].down;
        int moves = 0, losses = 0;

        set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.5, 10);
        for (int p = 0; p < PROFILES; p++) {
            char name[32];

            snprintf(name, sizeof name, "vni:%d", p);
            set_profile(h, name, TP_TCP, 0.005);
        }
        set_resource(h, "port/acc0", HRM_AVAILABLE, 0, 10);
        plan(h, NULL, NULL, 0);
        for (int loop = 1; loop <= LOOPS; loop++) {
            bool up = loop % period < rhythms[i].up;

            losses += loop % period == rhythms[i].up;
            set_resource(h, "port/acc0", up ? HRM_AVAILABLE : HRM_UNAVAILABLE,
                         0, 10);
            moves += plan(h, NULL, NULL, loop * 100).n_changed;
            AFF_PROFILE_FOR_EACH (p, h) {
                CHECK(up || strcmp(where(h, p), "port/acc0"));
            }
        }
        printf("    %d on, %d off: %d losses, %d moves of %d profiles\n",
               rhythms[i].up, rhythms[i].down, losses, moves, PROFILES);
        CHECK(losses >= LOOPS / period - 1);
        CHECK(moves >= PROFILES);
        CHECK(moves <= PROFILES * rhythms[i].max_moves);
        aff_host_destroy(h);
    }
}

/* As a new controller finds it. */
void
test_present(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int p = set_profile(h, "vni:1", TP_TCP, 0.01);
    int r0 = set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.05, 10);

    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0, 10);
    aff_profile_set_present(h, p, r0);
    CHECK_EQ(plan(h, NULL, NULL, 0).n_changed, 0);
    CHECK_AT(h, p, "rxq/a/0");
    aff_host_destroy(h);
}
