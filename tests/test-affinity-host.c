/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the host agent's pure parts. */

#include <config.h>
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "ovs-ext/affinity/aff-host-key.h"
#include "ovs-ext/affinity/aff-host-watch.h"

/* An accelerator and its watch, 10 ms a step. */
struct bench {
    struct aff_host_watch w;
    long long int now;
    uint64_t tx, rx;
    bool link;
    double echo;                /* Share of packets that come back. */
    unsigned int probes;        /* Sent in all. */
};

static void
bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->now = 1000;
    b->link = true;
    b->echo = 1;
    aff_host_watch_init(&b->w, b->now);
}

/* Lets 'ms' pass, with 'pps' packets a second while it is alive.  Returns the
 * ms after which 'alive' became 'until', or -1. */
static long long int
bench_run(struct bench *b, long long int ms, unsigned int pps, bool until)
{
    long long int start = b->now;

    for (; b->now < start + ms; b->now += 10) {
        unsigned int n = b->w.alive ? pps / 100 : 0;
        unsigned int probes;

        b->tx += n;
        b->rx += n * b->echo;
        probes = aff_host_watch_sample(&b->w, b->now, b->link, b->tx, b->rx);
        b->tx += probes;
        b->rx += probes * b->echo;
        b->probes += probes;
        if (b->w.alive == until) {
            return b->now - start;
        }
    }
    return -1;
}

static void
test_alive(void)
{
    struct bench b;

    bench_init(&b);
    assert(bench_run(&b, 10000, 1000, false) == -1);
    assert(bench_run(&b, 10000, 0, false) == -1);
    assert(!b.probes);
    assert(b.w.loss == 0);
}

static void
test_dead(void)
{
    struct bench b;
    long long int ms;

    bench_init(&b);
    bench_run(&b, 1000, 1000, false);
    b.echo = 0;
    ms = bench_run(&b, 1000, 1000, false);
    assert(ms >= AFF_WATCH_SILENCE && ms <= 100);
    assert(strstr(b.w.reason, "give packets back"));
    /* Dead it stays, by a probe now and then. */
    assert(bench_run(&b, 5000, 1000, true) == -1);
    assert(b.probes >= 40 * AFF_WATCH_PROBES
           && b.probes <= 60 * AFF_WATCH_PROBES);
}

static void
test_silence(void)
{
    struct bench b;

    /* Nothing sent, nothing expected; nor of a packet or two. */
    bench_init(&b);
    b.echo = 0;
    assert(bench_run(&b, 5000, 0, false) == -1);
    b.tx += AFF_WATCH_UNANSWERED - 1;
    assert(bench_run(&b, 5000, 0, false) == -1);
}

static void
test_link(void)
{
    struct bench b;

    bench_init(&b);
    b.link = false;
    assert(bench_run(&b, 100, 0, false) == 0);
    assert(!b.probes);
    b.link = true;
    assert(bench_run(&b, 2000, 0, true) > 0);
}

static void
test_recovery(void)
{
    struct bench b;
    long long int first, later = 0;

    bench_init(&b);
    b.echo = 0;
    bench_run(&b, 1000, 1000, false);
    b.echo = 1;
    first = bench_run(&b, 10000, 1000, true);
    assert(first >= AFF_WATCH_ROUNDS * AFF_WATCH_PROBE && first < 1000);
    assert(!b.w.reason);

    /* One that flaps has to wait longer each time, but not for ever. */
    for (int i = 0; i < 8; i++) {
        b.echo = 0;
        assert(bench_run(&b, 1000, 1000, false) >= 0);
        b.echo = 1;
        later = bench_run(&b, 60000, 1000, true);
        assert(later >= first);
    }
    assert(later > 20 * first);
    assert(later <= AFF_WATCH_PROBE * (AFF_WATCH_MAX_ROUNDS + 2));

    /* Calm, it is trusted again. */
    assert(bench_run(&b, AFF_WATCH_CALM + 1000, 1000, false) == -1);
    b.echo = 0;
    bench_run(&b, 1000, 1000, false);
    b.echo = 1;
    assert(bench_run(&b, 60000, 1000, true) < 1000);
}

static void
test_loss(void)
{
    struct bench b;

    bench_init(&b);
    b.echo = 0.8;
    assert(bench_run(&b, 2000, 10000, false) == -1);
    assert(b.w.loss > 0.19 && b.w.loss < 0.21);
    assert(b.w.pps > 9900 && b.w.pps < 10100);
    assert(b.now < b.w.lossy_until);
    b.echo = 1;
    bench_run(&b, AFF_WATCH_GRUDGE + 1000, 10000, false);
    assert(b.w.loss == 0 && b.now > b.w.lossy_until);
}

static void
test_reset(void)
{
    struct bench b;

    /* The port was made anew: counters begin at 0, a jump of the clock. */
    bench_init(&b);
    bench_run(&b, 1000, 1000, false);
    b.tx = b.rx = 0;
    b.now += 100000;
    assert(bench_run(&b, 1000, 1000, false) == -1);
    assert(b.w.loss == 0);
}

static void
test_key(void)
{
    static const char *const good[] = {
        "untagged", "vlan:0", "vlan:5", "vlan:4094", "vni:0", "vni:16777215",
    };
    static const char *const bad[] = {
        "", "vlan", "vlan:", "vlan:4095", "vlan:-1", "vlan:5x", "vni:16777216",
        "vni:0x", "metadata:0x5", "other", "Untagged", "vni:99999999999999",
    };
    struct aff_host_key a, b;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char name[TP_NETWORK_LEN];

        assert(aff_host_key_make(&a, good[i], TP_UDP));
        aff_host_key_network(&a, name);
        assert(!strcmp(name, good[i]));
        assert(aff_host_key_hash(&a));
        assert(aff_host_key_make(&b, good[i], TP_TCP));
        assert(!aff_host_key_equal(&a, &b));
        assert(aff_host_key_hash(&a) != aff_host_key_hash(&b));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert(!aff_host_key_make(&a, bad[i], TP_UDP));
    }
}

static void
test_absent(void)
{
    struct bench b;

    /* Dead, it stays dead while it is reconfigured; a new one is alive. */
    bench_init(&b);
    bench_run(&b, 1000, 1000, false);
    b.echo = 0;
    bench_run(&b, 1000, 1000, false);
    assert(!b.w.alive);
    for (int i = 0; i < AFF_WATCH_ABSENCE / 10; i++, b.now += 10) {
        aff_host_watch_absent(&b.w, b.now);
        assert(!b.w.alive);
    }
    aff_host_watch_absent(&b.w, b.now);
    assert(b.w.alive);
    b.echo = 1;
    b.tx = b.rx = 0;
    assert(bench_run(&b, 1000, 1000, false) == -1);
}

/* Returns the number of timed probes in a second of 'pps' packets/s. */
static unsigned int
count_clocks(struct bench *b, unsigned int pps)
{
    unsigned int n = 0;

    for (int i = 0; i < 100; i++) {
        bench_run(b, 10, pps, !b->w.alive);
        n += aff_host_watch_clock(&b->w, b->now);
    }
    return n;
}

static void
test_clock(void)
{
    struct bench b;

    bench_init(&b);
    assert(!count_clocks(&b, 0));
    assert(!count_clocks(&b, 400));     /* Too few to hide a probe among. */
    count_clocks(&b, 10000);
    assert(count_clocks(&b, 10000) == 1000 / AFF_WATCH_CLOCK);
    b.echo = 0;
    bench_run(&b, 1000, 10000, false);
    assert(!b.w.alive && !count_clocks(&b, 10000));
}

static void
test_match(void)
{
    struct flow_wildcards wc;
    struct aff_host_key key;
    struct flow flow;

    memset(&flow, 0, sizeof flow);
    memset(&wc, 0, sizeof wc);
    flow.dl_type = htons(ETH_TYPE_IP);
    flow.nw_proto = IPPROTO_UDP;
    flow.vlans[0].tci = htons(VLAN_CFI | 5);
    assert(!aff_host_key_of_match(&key, &flow, &wc));
    wc.masks.dl_type = OVS_BE16_MAX;
    wc.masks.nw_proto = UINT8_MAX;
    assert(!aff_host_key_of_match(&key, &flow, &wc));
    wc.masks.vlans[0].tci = htons(VLAN_CFI | 0xff);
    assert(!aff_host_key_of_match(&key, &flow, &wc));
    wc.masks.vlans[0].tci = htons(VLAN_CFI | VLAN_VID_MASK);
    assert(aff_host_key_of_match(&key, &flow, &wc));
    assert(key.net == AFF_NET_VLAN && key.id == 5 && key.class == TP_UDP);

    /* All protocols: several classes.  But ARP has none. */
    wc.masks.nw_proto = 0;
    assert(!aff_host_key_of_match(&key, &flow, &wc));
    flow.dl_type = htons(ETH_TYPE_ARP);
    flow.vlans[0].tci = 0;
    assert(aff_host_key_of_match(&key, &flow, &wc));
    assert(key.net == AFF_NET_UNTAGGED && key.class == TP_OTHER);

    flow.tunnel.ip_dst = htonl(0x01020304);
    flow.tunnel.tun_id = htonll(100);
    assert(!aff_host_key_of_match(&key, &flow, &wc));
    wc.masks.tunnel.tun_id = OVS_BE64_MAX;
    assert(aff_host_key_of_match(&key, &flow, &wc));
    assert(key.net == AFF_NET_VNI && key.id == 100);
}

int
main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        { "alive", test_alive },
        { "dead", test_dead },
        { "silence", test_silence },
        { "link", test_link },
        { "recovery", test_recovery },
        { "loss", test_loss },
        { "reset", test_reset },
        { "absent", test_absent },
        { "clock", test_clock },
        { "key", test_key },
        { "match", test_match },
    };

    for (size_t i = 0; argc == 2 && i < sizeof tests / sizeof *tests; i++) {
        if (!strcmp(argv[1], tests[i].name)) {
            tests[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: %s TEST\n", argv[0]);
    return 2;
}
