/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of the affinity planner: ovs-ext/affinity/.  Those of
 * changes are in test-affinity-change.c, those of learning in
 * test-affinity-learn.c. */

#include <config.h>

#include "tests/test-affinity.h"

#include <limits.h>
#include <math.h>

#include "ovs-ext/affinity/aff-impl.h"

/* What is better scores better, all else equal. */
static void
test_score(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    double x[AFF_N_FEATURES], y[AFF_N_FEATURES];
    int idle = set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    int busy = set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.7, 10);
    int slow = set_resource(h, "rxq/a/2", HRM_AVAILABLE, 0, 200);
    int ill = set_resource(h, "rxq/a/3", HRM_DEGRADED, 0, 10);
    int table = set_resource(h, "flow-table/a", HRM_AVAILABLE, 0, 10);
    int core = set_resource(h, "pmd/1", HRM_AVAILABLE, 0, 10);
    int crypto = set_resource(h, "crypto/c", HRM_AVAILABLE, 0, 10);
    const struct aff_profile elephants = {
        .network = "vni:1", .class = TP_TCP, .pps = 1000, .flows = 10,
        .elephant_share = 1,
    };
    int p = aff_host_set_profile(h, &elephants);
    int esp = set_profile(h, "vni:1", TP_ESP, 0.01);
#define SCORE(P, R) aff_score(h, &defaults, NULL, P, R, x)

    plan(h, NULL, NULL, 0);
    CHECK(SCORE(p, idle) > SCORE(p, busy));
    CHECK(SCORE(p, idle) > SCORE(p, slow));
    CHECK(SCORE(p, idle) > SCORE(p, ill));
    CHECK(SCORE(p, idle) > SCORE(p, core));
    CHECK(SCORE(p, table) > SCORE(p, idle));
    CHECK(SCORE(esp, crypto) > SCORE(esp, idle));
    CHECK_AT(h, p, "flow-table/a");
    CHECK_AT(h, esp, "crypto/c");
    CHECK(SCORE(p, idle) > 0 && SCORE(p, idle) < 1);

    /* Mice do not belong into a flow table. */
    const struct aff_profile mice = {
        .network = "vni:2", .class = TP_TCP, .pps = 1000, .flows = 100,
    };
    int q = aff_host_set_profile(h, &mice);
    plan(h, NULL, NULL, 100);
    CHECK(SCORE(q, table) < SCORE(q, idle));

    /* Traffic that comes in on node 0 is better served there. */
    struct aff_resource far = {
        .name = "rxq/b/0", .kind = HRM_NIC_QUEUE, .numa = 1,
        .capacity = CAPACITY, .unit = "packets/s", .steerable = true,
        .m = { .latency_us = 10 },
    };
    int remote = aff_host_set_resource(h, &far);
    plan(h, NULL, NULL, 200);
    CHECK(SCORE(p, remote) < SCORE(p, idle));
    aff_score(h, &defaults, NULL, p, remote, x);
    aff_score(h, &defaults, NULL, p, idle, y);
    CHECK(x[AFF_F_NUMA] == 0 && y[AFF_F_NUMA] == 1);
    aff_host_destroy(h);
}

/* The score that a plan computes piecewise is the one of aff_score(). */
static void
test_score_parts(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    struct ext_rng rng;
    int n = 0;

    ext_rng_init(&rng, 5);
    for (int i = 0; i < 30; i++) {
        static const char *const names[] = { "pmd", "rxq", "flow-table",
                                             "port", "crypto" };
        char name[32];

        snprintf(name, sizeof name, "%s/%d", names[i % 5], i);
        set_resource(h, name, HRM_AVAILABLE, 0.5 * ext_rng_double(&rng),
                     100 * ext_rng_double(&rng));
    }
    for (int i = 0; i < 20; i++) {
        char name[32];

        snprintf(name, sizeof name, "vni:%d", i);
        set_profile(h, name, i % TP_N_CLASSES, 0.01);
    }
    plan(h, NULL, NULL, 0);
    AFF_PROFILE_FOR_EACH (p, h) {
        AFF_RESOURCE_FOR_EACH (r, h) {
            const struct aff_decision *d = aff_profile_decision(h, p);
            const struct aff_res *res = &h->res[r];
            const struct aff_prof *prof = &h->prof[p];
            double own = d->resource == r ? aff_share(prof, res) : 0;
            double x[AFF_N_FEATURES];

            if (aff_fit(res->fit, prof->class) > 0) {
                CHECK(fabs(aff_score(h, &defaults, NULL, p, r, x)
                           - aff_pair_score(prof, res, aff_prior,
                                            res->now - own,
                                            res->forecast - own)) < 1e-9);
            }
        }
    }
    AFF_PROFILE_FOR_EACH (p, h) {
        const struct aff_decision *d = aff_profile_decision(h, p);
        double x[AFF_N_FEATURES];
        double best = -1;

        /* Where it went is where aff_score() says it is best off, or nearly,
         * as those placed later change the loads. */
        AFF_RESOURCE_FOR_EACH (r, h) {
            double s = aff_score(h, &defaults, NULL, p, r, x);

            if (x[AFF_F_FIT] > 0) {
                best = MAX(best, s);
            }
        }
        CHECK(d->resource != AFF_NONE);
        CHECK(best - aff_score(h, &defaults, NULL, p, d->resource, x) < 0.03);
        n++;
    }
    CHECK_EQ(n, 20);
    aff_host_destroy(h);
}

/* A little better is not enough; clearly better is, after three plans. */
static void
test_hysteresis(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int p = set_profile(h, "vni:1", TP_TCP, 0.01);

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.2, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.3, 10);
    CHECK_EQ(plan(h, NULL, NULL, 0).n_changed, 1);
    CHECK_AT(h, p, "rxq/a/0");

    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.05, 10);
    for (int i = 1; i < 20; i++) {
        struct aff_result r = plan(h, NULL, NULL, i * 100);
        CHECK_EQ(r.n_changed, 0);
        CHECK(!r.again);
    }

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.7, 10);
    for (int i = 0; i < 2; i++) {
        struct aff_result r = plan(h, NULL, NULL, 2000 + i * 100);
        CHECK_EQ(r.n_changed, 0);
        CHECK(r.again);
    }
    CHECK_EQ(plan(h, NULL, NULL, 2200).n_changed, 1);
    CHECK_AT(h, p, "rxq/a/1");
    CHECK(strstr(aff_profile_decision(h, p)->reason, "better than rxq/a/0"));

    /* An interruption starts the count anew. */
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.8, 10);
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.1, 10);
    plan(h, NULL, NULL, 2300);
    plan(h, NULL, NULL, 2400);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.1, 10);
    CHECK(!plan(h, NULL, NULL, 2500).again);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.8, 10);
    CHECK_EQ(plan(h, NULL, NULL, 2600).n_changed, 0);
    CHECK_EQ(plan(h, NULL, NULL, 2700).n_changed, 0);
    CHECK_AT(h, p, "rxq/a/1");
    aff_host_destroy(h);
}

/* The loads of what is assigned stay within capacities, and what does not fit
 * goes the usual way. */
static void
test_capacity(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int n_none = 0;

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.1, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.3, 10);
    for (int i = 0; i < 10; i++) {
        char name[16];

        snprintf(name, sizeof name, "vni:%d", i);
        set_profile(h, name, TP_TCP, 0.25);
    }
    CHECK(plan(h, NULL, NULL, 0).again);    /* In case that room was left. */
    CHECK(!plan(h, NULL, NULL, 50).again);
    AFF_PROFILE_FOR_EACH (p, h) {
        n_none += aff_profile_decision(h, p)->resource == AFF_NONE;
    }
    CHECK_EQ(n_none, 5);        /* 3 x 0.25 + 0.1, 2 x 0.25 + 0.3. */
    AFF_RESOURCE_FOR_EACH (r, h) {
        CHECK(aff_resource_load(h, r) <= defaults.max_load + 1e-9);
        CHECK(aff_resource_load(h, r) > 0.6);
    }

    /* The load that the host measures then is ours: nothing changes. */
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0.85, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0.8, 10);
    for (int i = 1; i < 10; i++) {
        CHECK_EQ(plan(h, NULL, NULL, i * 100).n_changed, 0);
    }

    /* More by others: somebody has to leave at once, and not to where there is
     * no room either. */
    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 1, 10);
    plan(h, NULL, NULL, 2000);
    AFF_PROFILE_FOR_EACH (p, h) {
        if (aff_profile_decision(h, p)->resource == 0) {
            set_profile(h, aff_profile_network(h, p), TP_TCP, 0.5);
            break;
        }
    }
    CHECK_EQ(plan(h, NULL, NULL, 2100).n_changed, 1);
    AFF_RESOURCE_FOR_EACH (r, h) {
        CHECK(aff_resource_load(h, r) <= 1 + 1e-9);
    }
    aff_host_destroy(h);
}

/* Does any resource serve both 'network' and another one? */
static bool
shares(const struct aff_host *h, const char *network)
{
    AFF_PROFILE_FOR_EACH (p, h) {
        AFF_PROFILE_FOR_EACH (q, h) {
            int r = aff_profile_decision(h, p)->resource;

            if (r != AFF_NONE && r == aff_profile_decision(h, q)->resource
                && !strcmp(aff_profile_network(h, p), network)
                && strcmp(aff_profile_network(h, q), network)) {
                return true;
            }
        }
    }
    return false;
}

static void
test_exclusive(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int tcp = set_profile(h, "vni:9", TP_TCP, 0.1);
    int udp = set_profile(h, "vni:9", TP_UDP, 0.1);
    int others[4];

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0, 10);
    for (int i = 0; i < 4; i++) {
        char name[16];

        snprintf(name, sizeof name, "vni:%d", i);
        others[i] = set_profile(h, name, TP_TCP, 0.05);
    }
    plan(h, NULL, NULL, 0);
    CHECK(shares(h, "vni:9"));  /* As things are spread evenly. */

    aff_profile_set_network(h, tcp, true, 1);
    aff_profile_set_network(h, udp, true, 1);
    plan(h, NULL, NULL, 100);
    CHECK(!shares(h, "vni:9"));
    CHECK(*where(h, tcp) && *where(h, udp));
    for (int i = 0; i < 4; i++) {
        CHECK(*where(h, others[i]));
    }

    /* Newcomers respect it, and a second exclusive network finds none free
     * but what it can drive the ordinary ones from. */
    int late = set_profile(h, "vni:5", TP_UDP, 0.05);
    plan(h, NULL, NULL, 200);
    CHECK(!shares(h, "vni:9") && *where(h, late));
    int second = set_profile(h, "vni:8", TP_TCP, 0.05);
    aff_profile_set_network(h, second, true, 1);
    plan(h, NULL, NULL, 300);
    CHECK(!shares(h, "vni:9") && !shares(h, "vni:8"));
    CHECK(*where(h, second));
    CHECK_AT(h, late, "");
    CHECK(strstr(aff_profile_decision(h, late)->reason, "isolation"));

    /* It is over. */
    aff_profile_set_network(h, second, false, 1);
    aff_profile_set_network(h, tcp, false, 1);
    aff_profile_set_network(h, udp, false, 1);
    plan(h, NULL, NULL, 400);
    CHECK(*where(h, late));
    aff_host_destroy(h);
}

/* What an explanation says of the others when the traffic of a network that
 * had a resource to itself is gone. */
static void
test_network_gone(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    struct ds s = DS_EMPTY_INITIALIZER;
    int gone = set_profile(h, "vni:9", TP_TCP, 0.1);
    int pinned = aff_host_set_pin(h, "vni:8", TP_UDP, "rxq/a/1");
    int stays = set_profile(h, "vni:1", TP_TCP, 0.1);

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "rxq/a/1", HRM_AVAILABLE, 0, 10);
    aff_profile_set_network(h, gone, true, 1);
    aff_profile_set_network(h, stays, true, 1);
    plan(h, NULL, NULL, 0);
    CHECK(pinned != AFF_NONE);
    aff_host_remove_profile(h, gone);
    CHECK_EQ(aff_host_set_pin(h, "vni:8", TP_UDP, NULL), AFF_NONE);
    aff_explain(h, &defaults, NULL, stays, 5, &s);
    CHECK(strstr(ds_cstr(&s), "rxq/a/0: ") && strstr(ds_cstr(&s), "rxq/a/1: ")
          && !strstr(ds_cstr(&s), "an exclusive network"));
    ds_destroy(&s);
    plan(h, NULL, NULL, 100);
    CHECK(*where(h, stays));
    aff_host_destroy(h);
}

static void
test_pin(void)
{
    struct aff_host *h = aff_host_create("h", 1);
    int p = set_profile(h, "vni:1", TP_TCP, 0.01);

    set_resource(h, "rxq/a/0", HRM_AVAILABLE, 0, 10);
    set_resource(h, "pmd/1", HRM_AVAILABLE, 0.95, 900);
    plan(h, NULL, NULL, 0);
    CHECK_AT(h, p, "rxq/a/0");

    /* However bad. */
    CHECK_EQ(aff_host_set_pin(h, "vni:1", TP_TCP, "pmd/1"), p);
    CHECK_EQ(plan(h, NULL, NULL, 100).n_changed, 1);
    CHECK_AT(h, p, "pmd/1");
    CHECK_EQ(aff_profile_decision(h, p)->cause, AFF_C_PINNED);
    for (int i = 2; i < 30; i++) {
        CHECK_EQ(plan(h, NULL, NULL, i * 100).n_changed, 0);
    }
    set_resource(h, "pmd/1", HRM_DEGRADED, 1, 900);
    CHECK_EQ(plan(h, NULL, NULL, 3000).n_changed, 0);

    /* Not to be had: the usual way, not another resource. */
    set_resource(h, "pmd/1", HRM_UNAVAILABLE, 1, 900);
    CHECK_EQ(plan(h, NULL, NULL, 3100).n_changed, 1);
    CHECK_AT(h, p, "");
    CHECK(strstr(aff_profile_decision(h, p)->reason, "unavailable"));
    CHECK_EQ(plan(h, NULL, NULL, 3200).n_changed, 0);
    set_resource(h, "pmd/1", HRM_AVAILABLE, 0, 900);
    CHECK_EQ(plan(h, NULL, NULL, 3300).n_changed, 1);
    CHECK_AT(h, p, "pmd/1");

    aff_host_remove_resource(h, "pmd/1");
    CHECK_EQ(plan(h, NULL, NULL, 3400).n_changed, 1);
    CHECK_AT(h, p, "");
    CHECK(strstr(aff_profile_decision(h, p)->reason, "not there"));
    set_resource(h, "pmd/1", HRM_AVAILABLE, 0, 900);
    plan(h, NULL, NULL, 3500);
    CHECK_AT(h, p, "pmd/1");

    /* A pin outlives the traffic, and is there before it. */
    aff_host_remove_profile(h, p);
    CHECK_EQ(aff_host_find_profile(h, "vni:1", TP_TCP), p);
    CHECK(!aff_profile_has_traffic(h, p));
    plan(h, NULL, NULL, 3600);
    CHECK_AT(h, p, "pmd/1");
    CHECK_EQ(aff_host_set_pin(h, "vni:1", TP_TCP, NULL), AFF_NONE);
    CHECK_EQ(aff_host_n_profiles(h), 0);
    int q = aff_host_set_pin(h, "vni:2", TP_UDP, "nowhere");
    plan(h, NULL, NULL, 3700);
    CHECK_AT(h, q, "");
    aff_host_destroy(h);
}

/* Writes what was decided into 's', by name. */
static void
describe(const struct aff_host *h, struct ds *s)
{
    for (int i = 0; i < 40; i++) {
        for (int c = 0; c < TP_N_CLASSES; c++) {
            char name[16];
            int p;

            snprintf(name, sizeof name, "vni:%d", i);
            p = aff_host_find_profile(h, name, c);
            if (p != AFF_NONE) {
                ds_put_format(s, "%s %d %s %s\n", name, c, where(h, p),
                              aff_profile_decision(h, p)->reason);
            }
        }
    }
}

/* A life of a host, adding in one order or the other. */
static void
random_life(struct ds *s, uint64_t seed, bool backwards)
{
    struct aff_host *h = aff_host_create("h", 42);
    struct aff_config config = defaults;
    struct aff_learner l;
    struct ext_rng rng;

    config.epsilon = 0.5;
    config.explore_ms = 500;
    aff_learner_init(&l);
    for (int i = 0; i < 60; i++) {
        double util[16], load[40];
        int state[16];

        ext_rng_init_stream(&rng, seed, i);
        for (int r = 0; r < 16; r++) {
            util[r] = 0.1 * ext_rng_range(&rng, 7);
            state[r] = ext_rng_range(&rng, 10) ? HRM_AVAILABLE
                       : HRM_UNAVAILABLE;
        }
        for (int p = 0; p < 40; p++) {
            load[p] = 0.1 * ext_rng_double(&rng);
        }
        for (int k = 0; k < 16; k++) {
            int r = backwards ? 15 - k : k;
            char name[16];

            snprintf(name, sizeof name, r % 2 ? "rxq/a/%d" : "pmd/%d", r);
            set_resource(h, name, state[r], util[r], 10);
        }
        for (int k = 0; k < 40; k++) {
            int p = backwards ? 39 - k : k;
            char name[16];

            snprintf(name, sizeof name, "vni:%d", p);
            set_profile(h, name, p % 2 ? TP_TCP : TP_UDP, load[p]);
        }
        plan(h, &config, &l, i * 100);
        for (int p = 0; p < 40; p++) {
            char name[16];

            snprintf(name, sizeof name, "vni:%d", p);
            int slot = aff_host_find_profile(h, name,
                                             p % 2 ? TP_TCP : TP_UDP);
            const struct aff_report report = {
                .resource = where(h, slot), .latency_us = 1 + p,
            };
            aff_host_report(h, &config, &l, slot, &report, i * 100);
        }
        describe(h, s);
    }
    aff_host_destroy(h);
}

static void
test_deterministic(void)
{
    struct ds a = DS_EMPTY_INITIALIZER, b = DS_EMPTY_INITIALIZER;
    struct ds c = DS_EMPTY_INITIALIZER, d = DS_EMPTY_INITIALIZER;

    random_life(&a, 1, false);
    random_life(&b, 1, false);
    random_life(&c, 1, true);
    random_life(&d, 2, false);
    CHECK(!strcmp(ds_cstr(&a), ds_cstr(&b)));
    CHECK(!strcmp(ds_cstr(&a), ds_cstr(&c)));
    CHECK(strcmp(ds_cstr(&a), ds_cstr(&d)));
    ds_destroy(&a);
    ds_destroy(&b);
    ds_destroy(&c);
    ds_destroy(&d);
}

/* Numbers that are none, kinds that are not known, too much of everything. */
static void
test_garbage(void)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY, -1, 1e308, 0 };
    struct aff_host *h = aff_host_create("h", 1);
    struct aff_learner l;
    struct ext_rng rng;

    aff_learner_init(&l);
    ext_rng_init(&rng, 9);
#define BAD bad[ext_rng_range(&rng, ARRAY_SIZE(bad))]
    for (int i = 0; i < 2000; i++) {
        char name[24];
        struct aff_resource r = {
            .name = name, .kind = ext_rng_range(&rng, HRM_N_KINDS + 3),
            .state = ext_rng_range(&rng, HRM_N_STATES + 2), .numa = -7 + i,
            .capacity = BAD, .unit = i % 3 ? "furlongs" : NULL,
            .accelerator = "what", .steerable = true,
            .m = { BAD, BAD, BAD, BAD, BAD },
        };
        struct aff_profile p = {
            name, ext_rng_range(&rng, TP_N_CLASSES + 2), BAD, BAD, BAD, BAD,
            BAD, BAD,
        };

        snprintf(name, sizeof name, "n%d", i);
        CHECK((aff_host_set_resource(h, &r) == AFF_NONE)
              == (i >= AFF_MAX_RESOURCES));
        CHECK((aff_host_set_profile(h, &p) == AFF_NONE)
              == (i >= AFF_MAX_PROFILES));
    }
    AFF_PROFILE_FOR_EACH (p, h) {
        aff_profile_set_network(h, p, p % 5 == 0, BAD);
    }
    for (int i = 0; i < 3; i++) {
        plan(h, NULL, &l, i * 100);
        AFF_PROFILE_FOR_EACH (p, h) {
            const struct aff_report report = { where(h, p), BAD, BAD, BAD };
            const struct aff_decision *d = aff_profile_decision(h, p);

            CHECK(isfinite(d->score));
            AFF_RESOURCE_FOR_EACH (r, h) {
                double x[AFF_N_FEATURES];

                CHECK(isfinite(aff_resource_load(h, r)));
                CHECK(isfinite(aff_score(h, &defaults, &l, p, r, x)));
                r += 100;       /* There are many. */
            }
            CHECK(d->reason[0] && strlen(d->reason) < AFF_REASON_LEN);
            aff_host_report(h, &defaults, &l, p, &report, i * 100);
        }
    }
    aff_learner_solve(&l);
    for (int i = 0; i < AFF_N_FEATURES; i++) {
        CHECK(isfinite(l.weights[i]));
    }

    struct ds s = DS_EMPTY_INITIALIZER;
    aff_explain(h, &defaults, &l, 0, 5, &s);
    CHECK(s.length > 20);
    ds_destroy(&s);
    for (int i = 0; i < 2000; i++) {
        char name[24];

        snprintf(name, sizeof name, "n%d", i);
        aff_host_remove_resource(h, name);
    }
    plan(h, NULL, &l, 1000);
    CHECK_EQ(aff_host_n_resources(h), 0);
    AFF_PROFILE_FOR_EACH (p, h) {
        aff_host_remove_profile(h, p);
    }
    CHECK_EQ(aff_host_n_profiles(h), 0);
    plan(h, NULL, &l, 1100);
    aff_host_destroy(h);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "score", test_score },
        { "score-parts", test_score_parts },
        { "hysteresis", test_hysteresis },
        { "capacity", test_capacity },
        { "exclusive", test_exclusive },
        { "network-gone", test_network_gone },
        { "pin", test_pin },
        { "loss", test_loss },
        { "flapping", test_flapping },
        { "flapping-rhythm", test_flapping_rhythm },
        { "present", test_present },
        { "deterministic", test_deterministic },
        { "garbage", test_garbage },
        { "learner", test_learner },
        { "shrink", test_shrink },
        { "text", test_text },
        { "fuzz", test_fuzz },
        { "reward", test_reward },
        { "report", test_report },
        { "bandit", test_bandit },
        { "never-pinned", test_never_pinned },
        { "explore-off", test_explore_off },
        { "explore-bounds", test_explore_bounds },
        { NULL, NULL },
    };

    set_program_name(argv[0]);
    return run_tests(tests, argc, argv);
}
