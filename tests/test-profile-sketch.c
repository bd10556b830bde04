/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of what looks at packets: the parser and the sketch. */

#include <config.h>

#include "tests/test-profile.h"

#include <math.h>
#include <netinet/in.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-atomic.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-thread.h"
#include "packets.h"
#include "tests/test-steering-util.h"

static uint8_t *
put16(uint8_t *p, uint32_t x)
{
    *p++ = x >> 8;
    *p++ = x;
    return p;
}

static uint8_t *
put32(uint8_t *p, uint32_t x)
{
    return put16(put16(p, x >> 16), x);
}

/* Ethernet header, with a tag if 'vlan'. */
static uint8_t *
put_eth(uint8_t *p, uint16_t vlan, uint16_t type)
{
    memcpy(p, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
    p += 12;
    if (vlan) {
        p = put16(put16(p, ETH_TYPE_VLAN), vlan);
    }
    return put16(p, type);
}

/* IP and transport headers. */
static uint8_t *
put_ip(uint8_t *p, const struct frame_spec *s, uint8_t proto, uint16_t tp_src,
       uint16_t tp_dst)
{
    if (s->ip6) {
        memset(p, 0, 40);
        p[0] = 0x60;
        p[6] = proto;
        put32(p + 20, s->src);
        put32(p + 36, s->dst);
        p += 40;
    } else {
        memset(p, 0, 12);
        p[0] = 0x45;
        p[8] = 64;
        p[9] = proto;
        put32(p + 12, s->src);
        put32(p + 16, s->dst);
        p += 20;
    }
    return put32(put16(put16(p, tp_src), tp_dst), 0);
}

size_t
frame_make(const struct frame_spec *s, uint8_t frame[FRAME_MAX])
{
    uint8_t *p = frame;

    if (s->vni) {
        struct frame_spec outer = { .src = 1, .dst = 2 };

        p = put_eth(p, s->vlan, ETH_TYPE_IP);
        p = put_ip(p, &outer, IPPROTO_UDP, 4444, s->tunnel_port);
        if (s->tunnel_port == TP_PORT_GENEVE) {
            p = put16(p, s->options << 8);
            p = put16(p, ETH_TYPE_TEB);
        } else {
            p = put32(p, 0x08000000);
        }
        p = put32(p, s->vni << 8);
        memset(p, 0xff, s->options * 4);
        p += s->options * 4;
    }
    p = put_eth(p, s->vni ? 0 : s->vlan, s->ip6 ? ETH_TYPE_IPV6 : ETH_TYPE_IP);
    return put_ip(p, s, s->proto, s->tp_src, s->tp_dst) - frame;
}

uint32_t
flow_hash(uint32_t flow)
{
    uint64_t x = flow;

    return ext_splitmix64(&x);
}

void
filler_flush(struct filler *f)
{
    if (f->burst.n) {
        tp_sketch_add(f->sketch, &f->burst, f->time);
        f->burst.n = 0;
    }
}

void
filler_add(struct filler *f, const struct frame_spec *spec, uint32_t flow)
{
    uint32_t i = f->burst.n++;

    f->burst.len[i] = frame_make(spec, f->frames[i]);
    f->burst.data[i] = f->frames[i];
    f->burst.hash[i] = flow_hash(flow);
    if (f->burst.n == TP_BURST) {
        filler_flush(f);
    }
}

/* Formats what tp_flow_parse() makes of 's'. */
static const char *
parsed(const struct frame_spec *s)
{
    static struct ds ds = DS_EMPTY_INITIALIZER;
    uint8_t frame[FRAME_MAX];
    char name[TP_NETWORK_LEN];
    struct tp_network network;
    struct tp_flow flow;

    tp_flow_parse(frame, frame_make(s, frame), &flow);
    network = tp_flow_network(&flow);
    tp_network_format(&network, name);
    ds_clear(&ds);
    ds_put_format(&ds, "%s ", name);
    tp_flow_format(&flow, &ds);
    return ds_cstr(&ds);
}

static void
check_parse(const struct frame_spec *s, const char *expected)
{
    if (strcmp(parsed(s), expected)) {
        fprintf(stderr, "parsed: %s\nexpected: %s\n", parsed(s), expected);
        exit(1);
    }
}

/* Networks, classes and addresses. */
void
test_parse(void)
{
    struct frame_spec s = { .proto = IPPROTO_TCP, .src = 0x0a000001,
                            .dst = 0x0a000002, .tp_src = 1000, .tp_dst = 80 };
    enum tp_class class;

    check_parse(&s, "untagged tcp 10.0.0.1:1000 > 10.0.0.2:80");
    s.vlan = 5;
    check_parse(&s, "vlan:5 tcp 10.0.0.1:1000 > 10.0.0.2:80");
    s.vlan = 0xe005;            /* Priority is no part of the network. */
    check_parse(&s, "vlan:5 tcp 10.0.0.1:1000 > 10.0.0.2:80");
    s.vlan = 0xe000;            /* Nor is it one. */
    check_parse(&s, "untagged tcp 10.0.0.1:1000 > 10.0.0.2:80");
    s.proto = IPPROTO_SCTP;
    s.vni = 77;
    s.tunnel_port = TP_PORT_VXLAN;
    check_parse(&s, "vni:77 sctp 10.0.0.1:1000 > 10.0.0.2:80");
    s.tunnel_port = TP_PORT_GENEVE;
    s.vni = 0xfffffe;
    s.proto = IPPROTO_ICMP;
    check_parse(&s, "vni:16777214 icmp 10.0.0.1 > 10.0.0.2");
    s.options = 7;
    s.proto = IPPROTO_ESP;
    check_parse(&s, "vni:16777214 esp 10.0.0.1 > 10.0.0.2");
    s.tunnel_port = 4790;       /* No tunnel that is known. */
    check_parse(&s, "untagged udp 0.0.0.1:4444 > 0.0.0.2:4790");

    s = (struct frame_spec) { .ip6 = true, .proto = IPPROTO_UDP, .src = 1,
                              .dst = 2, .tp_src = 5, .tp_dst = 53 };
    check_parse(&s, "untagged udp [::1]:5 > [::2]:53");
    s.proto = IPPROTO_ICMPV6;
    check_parse(&s, "untagged icmp ::1 > ::2");
    s.proto = 89;
    check_parse(&s, "untagged other ::1 > ::2");

    for (int i = 0; i < TP_N_CLASSES; i++) {
        CHECK(tp_class_from_string(tp_class_to_string(i), &class));
        CHECK_EQ(class, i);
    }
    CHECK(!tp_class_from_string("tcpx", &class));
}

/* Frames that end anywhere. */
void
test_truncated(void)
{
    struct frame_spec specs[] = {
        { .proto = IPPROTO_TCP, .vlan = 3 },
        { .proto = IPPROTO_UDP, .ip6 = true },
        { .proto = IPPROTO_TCP, .vni = 1, .tunnel_port = TP_PORT_VXLAN },
        { .proto = IPPROTO_TCP, .vni = 1, .tunnel_port = TP_PORT_GENEVE,
          .options = 9, .ip6 = true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        uint8_t frame[FRAME_MAX];
        struct tp_flow whole;
        size_t len;

        specs[i].tp_src = specs[i].tp_dst = 7;
        len = frame_make(&specs[i], frame);
        tp_flow_parse(frame, len, &whole);
        CHECK_EQ(whole.nw_proto, specs[i].proto);
        for (size_t n = 0; n < len; n++) {
            /* A copy of its own, so that reading beyond it is found. */
            uint8_t *copy = n ? xmemdup(frame, n) : xmalloc(1);
            struct tp_flow flow;

            tp_flow_parse(copy, n, &flow);
            CHECK(memcmp(&flow, &whole, sizeof flow));
            free(copy);
        }
    }
}

/* Finds the entry of flow 'flow'. */
static bool
find_entry(const struct tp_sketch *s, uint32_t flow, struct tp_entry *e)
{
    for (size_t i = 0; i < tp_sketch_n_entries(s); i++) {
        if (tp_sketch_read(s, i, 1, e) && e->key == flow_hash(flow)) {
            return true;
        }
    }
    return false;
}

/* Few flows are counted to the packet and byte. */
void
test_exact(void)
{
    struct filler f = { .sketch = tp_sketch_create(1024, 4096, 1) };
    struct frame_spec s = { .proto = IPPROTO_UDP, .tp_src = 1 };
    uint64_t packets, bytes, lost;
    struct tp_entry e;
    size_t len = 0;

    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t flow = 0; flow <= round * 4; flow++) {
            s.src = flow;
            s.vlan = flow % 2;
            filler_add(&f, &s, flow);
            len += f.burst.n ? f.burst.len[f.burst.n - 1] : 42 + 4 * s.vlan;
        }
    }
    filler_flush(&f);
    for (uint32_t flow = 0; flow < 200; flow++) {
        uint32_t n = flow <= 196 ? 50 - DIV_ROUND_UP(flow, 4) : 0;

        CHECK_EQ(find_entry(f.sketch, flow, &e), n > 0);
        if (n) {
            CHECK_EQ(tp_count_packets(e.count), n);
            CHECK_EQ(tp_count_bytes(e.count), n * (42 + 4 * (flow % 2)));
            CHECK_EQ(e.flow.net_kind, flow % 2 ? TP_NET_VLAN
                     : TP_NET_UNTAGGED);
            CHECK(!memcmp(e.flow.src + 3, &(uint8_t) { flow }, 1));
            CHECK(!e.credit);
        }
    }
    tp_sketch_totals(f.sketch, &packets, &bytes, &lost);
    CHECK_EQ(packets, 50 + 4 * 49 * 50 / 2);
    CHECK_EQ(bytes, len);
    tp_sketch_destroy(f.sketch);
}

/* Of the 100 largest of 200,000 flows with sizes as 1/rank, 99 at least are
 * the 100 largest in the table, whatever the seed. */
void
test_top(void)
{
    enum { FLOWS = 200000, PACKETS = 3000000, TOP = 100 };
    double *cdf = xmalloc(FLOWS * sizeof *cdf);
    uint32_t *truth = xmalloc(FLOWS * sizeof *truth);
    double sum = 0;

    for (size_t i = 0; i < FLOWS; i++) {
        cdf[i] = sum += 1.0 / (i + 1);
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct filler f = { .sketch = tp_sketch_create(TP_DEFAULT_ENTRIES,
                                                       TP_DEFAULT_SAMPLES,
                                                       seed) };
        struct frame_spec s = { .proto = IPPROTO_UDP };
        uint32_t least, n_above = 0, hits = 0;
        struct ext_rng rng;
        uint32_t counts[TOP + 1] = { 0 };

        CHECK(tp_sketch_bytes(f.sketch) <= 1000000);
        ext_rng_init(&rng, seed);
        memset(truth, 0, FLOWS * sizeof *truth);
        for (size_t i = 0; i < PACKETS; i++) {
            double u = ext_rng_double(&rng) * sum;
            size_t lo = 0, hi = FLOWS - 1;

            while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (cdf[mid] < u) {
                    lo = mid + 1;
                } else {
                    hi = mid;
                }
            }
            truth[lo]++;
            s.src = lo;
            filler_add(&f, &s, lo);
        }
        filler_flush(&f);

        /* The least count that is among the TOP of the table... */
        for (size_t i = 0; i < tp_sketch_n_entries(f.sketch); i++) {
            struct tp_entry e;

            if (tp_sketch_read(f.sketch, i, 1, &e)) {
                uint32_t n = tp_count_packets(e.count) + e.credit;
                size_t j;

                for (j = TOP; j > 0 && counts[j - 1] < n; j--) {
                    counts[j] = counts[j - 1];
                }
                counts[j] = n;
            }
        }
        least = counts[TOP - 1];
        /* ...and how many of those are of the TOP flows. */
        for (size_t flow = 0; flow < 2 * TOP; flow++) {
            struct tp_entry e;

            n_above = 0;
            for (size_t other = 0; other < 4 * TOP; other++) {
                n_above += truth[other] > truth[flow];
            }
            if (n_above < TOP && find_entry(f.sketch, flow, &e)
                && tp_count_packets(e.count) + e.credit >= least) {
                hits++;
            }
        }
        if (hits < 99) {
            fprintf(stderr, "seed %llu: %u of the top 100\n",
                    (unsigned long long int) seed, hits);
        }
        CHECK(hits >= 99);
        tp_sketch_destroy(f.sketch);
    }
    free(cdf);
    free(truth);
}

/* Large flows that have ended make room, in time. */
void
test_old(void)
{
    struct filler f = { .sketch = tp_sketch_create(64, 64, 1) };
    struct frame_spec s = { .proto = IPPROTO_TCP };
    struct tp_entry e;
    size_t held = 0;

    for (size_t i = 0; i < 6400; i++) {
        filler_add(&f, &s, i % 64);
    }
    filler_flush(&f);
    for (uint32_t flow = 0; flow < 64; flow++) {
        held += find_entry(f.sketch, flow, &e);
    }
    CHECK(held >= 40);
    for (int epoch = 0; epoch < 10; epoch++) {
        CHECK(tp_sketch_age(f.sketch));
        CHECK(!tp_sketch_age(f.sketch));    /* Not yet gone through. */
        for (int i = 0; i < 4; i++) {
            filler_add(&f, &s, 1000);
            filler_flush(&f);
        }
    }
    CHECK(find_entry(f.sketch, 1000, &e));
    for (uint32_t flow = 0; flow < 64; flow++) {
        CHECK(!find_entry(f.sketch, flow, &e));
    }
    tp_sketch_destroy(f.sketch);
}

/* Samples are as frequent as asked for, whole, and counted when lost. */
void
test_samples(void)
{
    struct filler f = { .sketch = tp_sketch_create(64, 1024, 3) };
    struct frame_spec s = { .proto = IPPROTO_TCP, .vlan = 9, .dst = 7 };
    static struct tp_sample samples[1024];
    uint64_t packets, bytes, lost;
    size_t n = 0;

    tp_sketch_set_sampling(f.sketch, 10);
    for (int i = 0; i < 8000; i++) {
        f.time = i;
        filler_add(&f, &s, 1);
    }
    filler_flush(&f);
    for (size_t got = tp_sketch_pop(f.sketch, samples, 1024); got; got--) {
        const struct tp_sample *x = &samples[got - 1];

        if (x->kind == TP_SAMPLE) {
            CHECK_EQ(x->key, flow_hash(1));
            CHECK_EQ(x->flow.net_id, 9);
            CHECK_EQ(x->flow.dst[3], 7);
            CHECK_EQ(x->len, 46);
            CHECK(x->time < 8000);
            n++;
        }
    }
    CHECK(n > 650 && n < 950);
    CHECK_EQ(tp_sketch_pop(f.sketch, samples, 1024), 0);

    tp_sketch_set_sampling(f.sketch, 1);
    for (int i = 0; i < 8000; i++) {
        filler_add(&f, &s, 1);
    }
    filler_flush(&f);
    tp_sketch_totals(f.sketch, &packets, &bytes, &lost);
    CHECK_EQ(packets, 16000);
    CHECK(lost > 6800);
    CHECK_EQ(tp_sketch_pop(f.sketch, samples, 1024), 1024);
    tp_sketch_destroy(f.sketch);
}

/* A packet of each flow in the slice, once an epoch. */
void
test_slice(void)
{
    enum { FLOWS = 20000 };
    struct filler f = { .sketch = tp_sketch_create(256, 4096, 3) };
    struct frame_spec s = { .proto = IPPROTO_TCP };
    static struct tp_sample samples[4096];
    size_t n = 0;

    tp_sketch_set_sampling(f.sketch, 1000000);
    for (int i = 0; i < 3 * FLOWS; i++) {
        filler_add(&f, &s, i % FLOWS);
    }
    filler_flush(&f);
    for (size_t got = tp_sketch_pop(f.sketch, samples, 4096); got; got--) {
        n += samples[got - 1].kind == TP_SAMPLE_FLOW;
    }
    CHECK(n * TP_SLICE > FLOWS * 0.85 && n * TP_SLICE < FLOWS * 1.15);
    tp_sketch_destroy(f.sketch);
}

/* A reader beside the writer never sees half of an entry or sample. */

struct race {
    struct tp_sketch *sketch;
    ATOMIC(bool) done;
};

enum { RACE_FLOWS = 3000, RACE_PACKETS = 2000000 };

static void *
race_write(void *race_)
{
    struct race *race = race_;
    struct filler *f = xzalloc(sizeof *f);
    struct frame_spec s = { .proto = IPPROTO_UDP };
    struct ext_rng rng;

    f->sketch = race->sketch;
    ext_rng_init(&rng, 1);
    for (int i = 0; i < RACE_PACKETS; i++) {
        uint32_t flow = 1 + ext_rng_range(&rng, RACE_FLOWS);

        s.src = flow_hash(flow);
        s.dst = ~s.src;
        filler_add(f, &s, flow);
    }
    filler_flush(f);
    free(f);
    atomic_store(&race->done, true);
    return NULL;
}

static void
check_raced(uint32_t key, const struct tp_flow *flow)
{
    uint32_t src, dst;

    memcpy(&src, flow->src, 4);
    memcpy(&dst, flow->dst, 4);
    CHECK_EQ(ntohl((OVS_FORCE ovs_be32) src), key);
    CHECK_EQ(ntohl((OVS_FORCE ovs_be32) dst), ~key);
}

void
test_race(void)
{
    struct race race = { .sketch = tp_sketch_create(256, 256, 1) };
    static struct tp_sample samples[256];
    size_t n_entries = tp_sketch_n_entries(race.sketch);
    uint64_t total, bytes, lost;
    pthread_t writer;
    bool done = false;
    size_t reads = 0;

    atomic_init(&race.done, false);
    writer = ovs_thread_create("writer", race_write, &race);
    while (!done) {
        atomic_read(&race.done, &done);
        for (size_t i = 0; i < n_entries; i++) {
            struct tp_entry e;

            if (tp_sketch_read(race.sketch, i, 1, &e)) {
                check_raced(e.key, &e.flow);
                CHECK_EQ(tp_count_bytes(e.count),
                         42 * tp_count_packets(e.count));
                reads++;
            }
        }
        for (size_t got = tp_sketch_pop(race.sketch, samples, 256); got;
             got--) {
            check_raced(samples[got - 1].key, &samples[got - 1].flow);
        }
        tp_sketch_set_sampling(race.sketch, 50 + reads % 50);
        tp_sketch_age(race.sketch);
    }
    xpthread_join(writer, NULL);
    tp_sketch_totals(race.sketch, &total, &bytes, &lost);
    CHECK_EQ(total, RACE_PACKETS);
    CHECK_EQ(bytes, 42ull * RACE_PACKETS);
    CHECK(reads > 1000);
    tp_sketch_destroy(race.sketch);
}
