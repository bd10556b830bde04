/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of how sketches become profiles; time and traffic are made up. */

#include <config.h>

#include "tests/test-profile.h"

#include <math.h>
#include <netinet/in.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/profile/tp-merge.h"
#include "tests/test-steering-util.h"

enum { TICKS_MS = 1000, INTERVAL = 100 };

/* A host with some threads. */
struct host {
    struct tp_merge *merge;
    struct filler f[3];
    struct tp_reader *readers[3];
    size_t n;
    long long int now;
    struct ext_rng rng;
};

static void
host_init(struct host *h, size_t n_threads)
{
    memset(h, 0, sizeof *h);
    h->merge = tp_merge_create();
    h->n = n_threads;
    h->now = 1000000;
    for (size_t i = 0; i < n_threads; i++) {
        h->f[i].sketch = tp_sketch_create(TP_DEFAULT_ENTRIES,
                                          TP_DEFAULT_SAMPLES, i + 1);
        h->readers[i] = tp_reader_create(h->f[i].sketch);
    }
    ext_rng_init(&h->rng, 9);
}

static void
host_destroy(struct host *h)
{
    for (size_t i = 0; i < h->n; i++) {
        tp_reader_destroy(h->readers[i]);
        tp_sketch_destroy(h->f[i].sketch);
    }
    tp_merge_destroy(h->merge);
}

/* Packets of thread 'i' that follow are 'ms' after the last interval. */
static void
host_at(struct host *h, size_t i, double ms)
{
    filler_flush(&h->f[i]);
    h->f[i].time = (h->now + ms) * TICKS_MS;
}

/* Ends an interval. */
static void
host_tick(struct host *h)
{
    h->now += INTERVAL;
    tp_merge_begin(h->merge, h->now, h->now * TICKS_MS, TICKS_MS);
    for (size_t i = 0; i < h->n; i++) {
        filler_flush(&h->f[i]);
        tp_merge_add(h->merge, h->readers[i]);
    }
    tp_merge_end(h->merge);
}

/* Stores the profile of 'network' and 'class'.  Returns false if there is
 * none. */
static bool
host_profile(const struct host *h, const char *network, enum tp_class class,
             struct tp_profile *profile)
{
    struct tp_profile *profiles;
    bool found = false;
    size_t n;

    tp_merge_profiles(h->merge, &profiles, &n);
    for (size_t i = 0; i < n; i++) {
        CHECK(!i || profiles[i].bps <= profiles[i - 1].bps);
        if (!strcmp(profiles[i].network, network)
            && profiles[i].class == class) {
            CHECK(!found);
            found = true;
            *profile = profiles[i];
        }
    }
    free(profiles);
    return found;
}

static bool
near(double x, double expected, double share)
{
    if (fabs(x - expected) > share * fabs(expected)) {
        fprintf(stderr, "%g instead of %g\n", x, expected);
        return false;
    }
    return true;
}

/* Three seconds of: 9,000 pps TCP in vlan:5 in 90 flows to two destinations,
 * 1,000 pps UDP there in one flow, 500 pps of ICMP in vni:7. */
static void
usual_traffic(struct host *h, size_t n_threads)
{
    for (int tick = 0; tick < 30; tick++) {
        for (int i = 0; i < 1050; i++) {
            size_t t = i % n_threads;
            struct frame_spec s = { .proto = IPPROTO_TCP, .vlan = 5 };
            uint32_t flow = i % 90;

            host_at(h, t, i * 100.0 / 1050);
            if (i < 900) {
                s.src = flow;
                s.dst = flow % 3 ? 1 : 2;
                s.tp_src = 1000;
            } else if (i < 1000) {
                s.proto = IPPROTO_UDP;
                flow = 1000;
            } else {
                s.proto = IPPROTO_ICMP;
                s.vlan = 0;
                s.vni = 7;
                s.tunnel_port = TP_PORT_VXLAN;
                flow = 2000 + i;
            }
            filler_add(&h->f[t], &s, flow);
        }
        host_tick(h);
    }
}

static void
check_usual(const struct host *h)
{
    struct tp_profile p;

    CHECK(host_profile(h, "vlan:5", TP_TCP, &p));
    CHECK(near(p.pps, 9000, 0.02));
    CHECK(near(p.packet_size, 46, 0.02));
    CHECK(near(p.bps, 9000 * 46 * 8, 0.02));
    CHECK_EQ(p.flows, 90);
    CHECK(near(p.elephant_share, 1, 0.1));      /* Each has 1/90. */
    CHECK(near(p.mix[TP_TCP], 0.9, 0.02));
    CHECK(near(p.mix[TP_UDP], 0.1, 0.1));
    CHECK_EQ(p.mix[TP_ICMP], 0);
    CHECK(near(p.sizes[0], 1, 0.01));
    CHECK_EQ(p.n_destinations, 2);
    CHECK(!strcmp(p.destinations[0].name, "0.0.0.1"));
    CHECK(near(p.destinations[0].share, 2 / 3.0, 0.05));

    CHECK(host_profile(h, "vlan:5", TP_UDP, &p));
    CHECK(near(p.pps, 1000, 0.1));
    CHECK_EQ(p.flows, 1);
    CHECK(host_profile(h, "vni:7", TP_ICMP, &p));
    CHECK(near(p.pps, 500, 0.1));
    CHECK_EQ(p.flows, 50);
    CHECK_EQ(p.mix[TP_ICMP], 1);
    CHECK(!host_profile(h, "untagged", TP_TCP, &p));
}

static void
test_profiles(void)
{
    struct tp_heavy *heavy;
    struct host h;
    size_t n;

    host_init(&h, 1);
    usual_traffic(&h, 1);
    check_usual(&h);
    tp_merge_heavy(h.merge, 3, &heavy, &n);
    CHECK_EQ(n, 3);
    CHECK_EQ(heavy[0].flow.nw_proto, IPPROTO_UDP);
    CHECK(near(heavy[0].pps, 1000, 0.02));
    CHECK(near(heavy[1].pps, 100, 0.02));
    free(heavy);
    host_destroy(&h);
}

/* The same traffic over three threads: flows that several see are one. */
static void
test_threads(void)
{
    struct host h;

    host_init(&h, 3);
    usual_traffic(&h, 3);
    check_usual(&h);
    host_destroy(&h);
}

/* With fewer samples the figures stay right, and so do they when the ring is
 * too small. */
static void
test_sampled(void)
{
    struct tp_merge_stats stats;
    struct tp_profile p;
    struct host h;

    host_init(&h, 1);
    tp_merge_configure(h.merge, 16, 5);
    usual_traffic(&h, 1);
    tp_merge_get_stats(h.merge, &stats);
    CHECK_EQ(stats.packets, 31500);
    CHECK(stats.samples < 8000 && !stats.lost);
    CHECK(host_profile(&h, "vlan:5", TP_TCP, &p));
    CHECK(near(p.pps, 9000, 0.1));
    CHECK_EQ(p.flows, 90);
    CHECK(host_profile(&h, "vni:7", TP_ICMP, &p));
    CHECK(near(p.pps, 500, 0.5));
    host_destroy(&h);

    /* 200,000 packets at once, each of them to be sampled. */
    host_init(&h, 1);
    tp_merge_configure(h.merge, 16, 1);
    for (int tick = 0; tick < 30; tick++) {
        for (int i = 0; i < 20000; i++) {
            struct frame_spec s = { .proto = IPPROTO_TCP, .vlan = 1 + i % 2 };

            filler_add(&h.f[0], &s, i % 64);
        }
        host_tick(&h);
    }
    tp_merge_get_stats(h.merge, &stats);
    CHECK(stats.lost > 100000);
    CHECK(host_profile(&h, "vlan:1", TP_TCP, &p));
    CHECK(near(p.pps, 100000, 0.1));
    host_destroy(&h);
}

/* A profile without packets goes, and so do its flows. */
static void
test_idle(void)
{
    struct tp_merge_stats stats;
    struct tp_profile p;
    struct host h;
    double last = 9000;
    int ticks;

    host_init(&h, 1);
    usual_traffic(&h, 1);
    for (ticks = 0; host_profile(&h, "vlan:5", TP_TCP, &p); ticks++) {
        CHECK(ticks <= TP_IDLE_MS / INTERVAL + 1);
        CHECK(p.pps <= last * 1.01);
        last = p.pps;
        /* Other traffic, so that the sketch gets on. */
        for (int i = 0; i < 64; i++) {
            struct frame_spec s = { .proto = IPPROTO_ESP };

            filler_add(&h.f[0], &s, 5);
            filler_flush(&h.f[0]);
        }
        host_tick(&h);
    }
    CHECK(ticks >= TP_IDLE_MS / INTERVAL);
    CHECK(last < 1);
    CHECK(host_profile(&h, "untagged", TP_ESP, &p));
    for (int i = 0; i < 200; i++) {
        struct frame_spec s = { .proto = IPPROTO_ESP };

        for (int j = 0; j < 64; j++) {
            filler_add(&h.f[0], &s, 5);
            filler_flush(&h.f[0]);
        }
        host_tick(&h);
    }
    tp_merge_get_stats(h.merge, &stats);
    CHECK_EQ(stats.profiles, 1);
    CHECK_EQ(stats.flows, 1);
    host_destroy(&h);
}

/* Beyond the bound, everything is "other"; nothing is lost. */
static void
test_bound(void)
{
    struct tp_merge_stats stats;
    struct tp_profile *profiles;
    double pps = 0;
    struct host h;
    size_t n;

    host_init(&h, 1);
    tp_merge_configure(h.merge, 4, 0);
    for (int tick = 0; tick < 30; tick++) {
        for (int i = 0; i < 1000; i++) {
            struct frame_spec s = { .proto = IPPROTO_UDP, .vlan = 1 + i % 10 };

            filler_add(&h.f[0], &s, i);
        }
        host_tick(&h);
    }
    tp_merge_profiles(h.merge, &profiles, &n);
    CHECK_EQ(n, 5);
    for (size_t i = 0; i < n; i++) {
        pps += profiles[i].pps;
    }
    CHECK(near(pps, 10000, 0.02));
    CHECK(!strcmp(profiles[0].network, TP_NETWORK_OTHER));
    CHECK_EQ(profiles[0].class, TP_OTHER);
    CHECK(near(profiles[0].pps, 6000, 0.1));
    tp_merge_get_stats(h.merge, &stats);
    CHECK(near(stats.overflow, 18000, 0.1));
    free(profiles);
    host_destroy(&h);
}

/* Returns the burstiness of 5 seconds of traffic, 20 packets/ms on average, in
 * bursts of 'burst', at random times where 'random'. */
static double
burstiness(uint32_t sample, int burst, bool random)
{
    struct frame_spec s = { .proto = IPPROTO_UDP };
    struct tp_profile p;
    struct host h;
    double next = 0;

    host_init(&h, 1);
    tp_merge_configure(h.merge, 4, sample);
    for (int tick = 0; tick < 50; tick++) {
        for (; next < 100; next += burst / 20.0 * (random
                                                   ? ext_rng_exp(&h.rng)
                                                   : 1)) {
            host_at(&h, 0, next);
            for (int i = 0; i < burst; i++) {
                filler_add(&h.f[0], &s, 1);
            }
        }
        next -= 100;
        host_tick(&h);
    }
    CHECK(host_profile(&h, "untagged", TP_UDP, &p));
    host_destroy(&h);
    return p.burstiness;
}

static void
test_burstiness(void)
{
    CHECK(burstiness(1, 1, false) < 0.1);
    CHECK(near(burstiness(1, 1, true), 1, 0.3));
    CHECK(near(burstiness(1, 32, true), 32, 0.5));
    CHECK(burstiness(10, 1, false) < 2.5);
    CHECK(burstiness(10, 1, true) < 4);
    CHECK(near(burstiness(10, 32, true), 32, 0.5));
}

/* Far more flows than the table has places. */
static void
test_flows(void)
{
    enum { FLOWS = 60000 };
    struct tp_profile p;
    struct host h;
    uint32_t next = 0;

    host_init(&h, 2);
    for (int tick = 0; tick < 40; tick++) {
        for (int i = 0; i < 20000; i++) {
            struct frame_spec s = { .proto = IPPROTO_UDP };

            /* Half of the packets are of 10 flows. */
            filler_add(&h.f[i % 2], &s, (i / 2 % 2 ? FLOWS + i % 20
                                         : next++ % FLOWS));
        }
        host_tick(&h);
    }
    CHECK(host_profile(&h, "untagged", TP_UDP, &p));
    CHECK(near(p.flows, FLOWS, 0.15));
    CHECK(near(p.elephant_share, 0.5, 0.1));
    host_destroy(&h);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "parse", test_parse },
        { "truncated", test_truncated },
        { "exact", test_exact },
        { "top", test_top },
        { "old", test_old },
        { "samples", test_samples },
        { "slice", test_slice },
        { "race", test_race },
        { "profiles", test_profiles },
        { "threads", test_threads },
        { "sampled", test_sampled },
        { "idle", test_idle },
        { "bound", test_bound },
        { "burstiness", test_burstiness },
        { "flows", test_flows },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
