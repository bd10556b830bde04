/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the session table, the header cache's first level, owners of
 * record and the prediction of migrations: pure code, time and seeds given. */

#include <config.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>

#include "csum.h"
#include "openvswitch/dynamic-string.h"
#include "ovs-ext/core/ext-headers.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/core/ext-seqlock.h"
#include "ovs-ext/session/phc.h"
#include "ovs-ext/session/sess-owner.h"
#include "ovs-ext/session/sess-table.h"
#include "ovs-ext/session/tpam.h"
#include "ovs-thread.h"
#include "packets.h"
#include "tests/test-steering-util.h"

static void
make_key(struct sess_key *key, uint64_t i)
{
    uint64_t x = i;

    x = ext_splitmix64(&x);
    sess_key_init_ip4(key, htonl(x), htonl(0x0a000001), htons(x >> 32),
                      htons(443), IPPROTO_TCP, 1);
}

static struct in6_addr
v4(uint32_t addr)
{
    struct in6_addr a;

    in6_addr_set_mapped_ipv4(&a, htonl(addr));
    return a;
}

static struct phc_tunnel
make_tunnel(uint32_t owner)
{
    return (struct phc_tunnel) {
        .encap = PHC_VXLAN, .eth_src = ETH_ADDR_C(02,00,00,00,00,01),
        .eth_dst = ETH_ADDR_C(02,00,00,00,00,02),
        .src = v4(0xc0a80001), .dst = v4(0xc0a81000 + owner),
        .ttl = 64, .df = true, .dport = htons(4789), .vni = 0x123456,
    };
}

static size_t
make_header(uint32_t owner, uint8_t header[PHC_MAX_HEADER])
{
    struct phc_tunnel t = make_tunnel(owner);
    struct phc_shape shape;

    return phc_header_build(&t, header, &shape);
}

/* A cache in which hosts 1 to 'owners' are members of service 1. */
static struct phc *
make_cache(size_t entries, uint32_t owners)
{
    struct phc_config config = {
        .entries = entries, .templates = owners + 1, .seed = 7
    };
    struct phc *phc = phc_create(&config);
    struct phc_member *members = xcalloc(owners, sizeof *members);
    uint8_t header[PHC_MAX_HEADER];

    for (uint32_t i = 0; i < owners; i++) {
        members[i].owner = i + 1;
        members[i].addr = v4(0xc0a81000 + i + 1);
    }
    CHECK_EQ(phc_service_set(phc, 1, members, owners), 0);
    for (uint32_t i = 1; i <= owners; i++) {
        CHECK_EQ(phc_template_set(phc, 1, i, header, make_header(i, header)),
                 0);
    }
    free(members);
    return phc;
}

static struct phc_ref
lookup(struct phc *phc, const struct sess_key *key, uint32_t now)
{
    struct phc_stats stats = { .hits = 0 };
    struct phc_ref ref;

    phc_lookup(phc, key, 1, now, &ref, &stats);
    CHECK_EQ(stats.hits + stats.misses, 1);
    CHECK_EQ(stats.hits, ref.template != 0);
    return ref;
}

/* Whose template a lookup leads to; 0 for none, or none alive. */
static uint32_t
owner_of(struct phc *phc, const struct sess_key *key, uint32_t now)
{
    struct phc_ref ref = lookup(phc, key, now);
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;
    uint32_t owner;

    return (ref.template && phc_ref_header(phc, ref, header, &shape, &owner)
            ? owner : 0);
}

static void
test_key(void)
{
    static const uint8_t frame[] = {
        2,0,0,0,0,1, 2,0,0,0,0,2, 8,0,
        0x45,0,0,40, 0,0,0x40,0, 64,6,0,0, 10,0,0,1, 10,0,0,2,
        0x30,0x39,0,80, 0,0,0,1, 0,0,0,2, 0x50,0x10,0,0, 0,0,0,0
    };
    struct sess_key a, b, c;
    struct ext_headers h;
    struct ds s = DS_EMPTY_INITIALIZER;

    ext_headers_parse(frame, sizeof frame, &h);
    CHECK(sess_key_from_headers(&a, &h, 3));
    sess_key_init_ip4(&b, htonl(0x0a000001), htonl(0x0a000002), htons(12345),
                      htons(80), IPPROTO_TCP, 3);
    CHECK(sess_key_equals(&a, &b));
    CHECK(sess_key_hash(&a, 5) == sess_key_hash(&b, 5));
    CHECK(sess_key_hash(&a, 5) != sess_key_hash(&b, 6));
    sess_key_reverse(&c, &a);
    CHECK(!sess_key_equals(&a, &c));
    sess_key_reverse(&c, &c);
    CHECK(sess_key_equals(&a, &c));
    sess_key_format(&s, &a);
    CHECK(!strcmp(ds_cstr(&s), "proto=6,src=10.0.0.1,dst=10.0.0.2,"
                  "sport=12345,dport=80,zone=3"));
    ds_destroy(&s);

    /* Every field counts. */
    for (size_t i = 0; i < 39; i++) {
        c = a;
        ((uint8_t *) &c)[i] ^= 1;
        CHECK(!sess_key_equals(&a, &c));
        CHECK(sess_key_hash(&a, 5) != sess_key_hash(&c, 5));
    }
    for (size_t len = 0; len < sizeof frame - 12; len++) {
        ext_headers_parse(frame, len, &h);
        CHECK(!sess_key_from_headers(&a, &h, 3));
    }
}

/* The fields of a header that was pushed in front of 'n' bytes. */
static void
check_ip4(const uint8_t *p, size_t len, size_t n, uint16_t id)
{
    const struct ip_header *ip = (const void *) (p + 14);

    CHECK_EQ(csum(ip, IP_HEADER_LEN), 0);
    CHECK_EQ(ntohs(ip->ip_tot_len), len - 14 + n);
    CHECK_EQ(ntohs(ip->ip_id), id);
    CHECK_EQ(p[38] << 8 | p[39], len - 34 + n);
    CHECK((p[34] << 8 | p[35]) >= PHC_PORT_MIN);
    CHECK((p[34] << 8 | p[35]) < PHC_PORT_MAX);
}

static void
test_push(void)
{
    struct phc *phc = make_cache(100, 2);
    uint8_t packet[PHC_MAX_HEADER + 1600], header[PHC_MAX_HEADER];
    uint8_t *payload = packet + PHC_MAX_HEADER;
    struct sess_key key;

    make_key(&key, 1);
    CHECK_EQ(phc_put(phc, &key, 1, 2, 0.5, 1000, 0), 0);
    struct phc_ref ref = lookup(phc, &key, 0);
    make_header(2, header);
    for (size_t n = 0; n < 1500; n += 13) {
        struct phc_patch patch = { .flow_hash = n * 2654435761u,
                                   .ip_id = n * 7 };

        memset(packet, 0xaa, sizeof packet);
        CHECK_EQ(phc_push(phc, ref, payload, n, PHC_MAX_HEADER, &patch), 50);
        check_ip4(payload - 50, 50, n, n * 7);
        CHECK(!memcmp(payload - 50, header, 16));
        CHECK(!memcmp(payload - 28, header + 22, 2));
        CHECK(!memcmp(payload - 24, header + 26, 8));
        CHECK(!memcmp(payload - 14, header + 36, 2));
        CHECK(!memcmp(payload - 10, header + 40, 10));
        CHECK_EQ(payload[-51], 0xaa);
        CHECK_EQ(payload[0], 0xaa);
    }
    CHECK_EQ(phc_push(phc, ref, payload, 60, 49, &(struct phc_patch) { 0 }),
             0);
    phc_destroy(phc);
}

/* All shapes: what is built is taken again, and complete ones are right. */
static void
test_shapes(void)
{
    uint8_t packet[PHC_MAX_HEADER + 101], taken[PHC_MAX_HEADER];

    for (unsigned int i = 0; i < 64; i++) {
        struct phc_tunnel t = make_tunnel(1);
        struct phc_shape shape, shape2;
        struct in6_addr dst;
        uint8_t header[PHC_MAX_HEADER];

        t.vlan = i & 1 ? 77 : 0;
        t.csum = (i & 2) != 0;
        t.encap = i & 4 ? PHC_GENEVE : PHC_VXLAN;
        if (i & 8) {
            ipv6_parse("2001:db8::1", &t.src);
            ipv6_parse("2001:db8::2", &t.dst);
        }
        t.df = (i & 16) != 0;
        if (i & 32 && i & 4) {
            t.n_options = 40;
            memset(t.options, 0x55, 40);
        }
        size_t len = phc_header_build(&t, header, &shape);
        CHECK(len >= 50 && len == shape.len);

        memset(packet, 0x5a, sizeof packet);
        uint8_t *p = packet + PHC_MAX_HEADER - len;
        memcpy(p, header, len);
        struct phc_patch patch = { .flow_hash = 99, .ip_id = 1234 };
        phc_header_patch(p, &shape, 101, &patch);
        uint8_t *l4 = p + shape.l3_ofs + (shape.ip6 ? 40 : 20);
        if (t.csum) {
            /* The checksum over all must come to zero. */
            uint32_t sum = csum_continue(0, p + shape.l3_ofs
                                         + (shape.ip6 ? 8 : 12),
                                         shape.ip6 ? 32 : 8);
            size_t n = 101 + len - (l4 - p);

            sum = csum_add16(sum, htons(n));
            sum = csum_add16(sum, htons(IPPROTO_UDP));
            CHECK_EQ(csum_finish(csum_continue(sum, l4, n)), 0);
        } else {
            CHECK_EQ(l4[6] | l4[7], 0);
        }
        /* A complete one is a template again. */
        CHECK(phc_header_take(p, len, taken, &shape2, &dst));
        CHECK(!memcmp(taken, header, len));
        CHECK(!memcmp(&shape, &shape2, sizeof shape));
        CHECK(ipv6_addr_equals(&dst, &t.dst));
        CHECK(!phc_header_take(p, len - 1, taken, &shape2, &dst));
        p[12] ^= 1;
        CHECK(!phc_header_take(p, len, taken, &shape2, &dst));
    }
    struct phc_tunnel t = make_tunnel(1);
    struct phc_shape shape;
    t.vni = 1 << 24;
    CHECK_EQ(phc_header_build(&t, packet, &shape), 0);
    t = make_tunnel(1);
    ipv6_parse("2001:db8::2", &t.dst);
    CHECK_EQ(phc_header_build(&t, packet, &shape), 0);
}

/* Long headers, through the cache. */
static void
test_long(void)
{
    struct phc_config config = { .entries = 10, .templates = 2, .seed = 1 };
    struct phc *phc = phc_create(&config);
    struct phc_tunnel t = make_tunnel(1);
    uint8_t packet[200], header[PHC_MAX_HEADER], expect[PHC_MAX_HEADER];
    struct phc_member m = { .owner = 9 };
    struct phc_patch patch = { .flow_hash = 5 };
    struct phc_shape shape;
    struct sess_key key;

    ipv6_parse("2001:db8::1", &t.src);
    ipv6_parse("2001:db8::2", &t.dst);
    t.vlan = 5;
    t.encap = PHC_GENEVE;
    t.n_options = 40;
    t.options[39] = 0x77;
    size_t len = phc_header_build(&t, header, &shape);
    CHECK_EQ(len, PHC_MAX_HEADER);
    m.addr = t.dst;
    CHECK_EQ(phc_service_set(phc, 0, &m, 1), 0);
    CHECK_EQ(phc_template_set(phc, 0, 9, header, len), 0);
    make_key(&key, 3);
    CHECK_EQ(phc_put(phc, &key, 0, 9, 1, 10, 0), 0);
    CHECK_EQ(phc_push(phc, lookup(phc, &key, 0), packet + 150, 50, 150,
                      &patch), len);
    memcpy(expect, header, len);
    phc_header_patch(expect, &shape, 50, &patch);
    CHECK(!memcmp(packet + 150 - len, expect, len));
    CHECK_EQ(phc_push(phc, lookup(phc, &key, 0), packet + 150, 50, len - 1,
                      &patch), 0);
    phc_destroy(phc);
}

static void
test_entries(void)
{
    struct phc *phc = make_cache(1000, 3);
    struct phc_counts counts;
    struct sess_key key;
    size_t held = 0;

    for (size_t i = 0; i < 1000; i++) {
        make_key(&key, i);
        CHECK_EQ(owner_of(phc, &key, 0), 0);
        CHECK_EQ(phc_put(phc, &key, 1, i % 3 + 1, 0.5, 100 + i, 0), 0);
        CHECK_EQ(owner_of(phc, &key, 0), i % 3 + 1);
    }
    for (size_t i = 0; i < 1000; i++) {
        make_key(&key, i);
        held += owner_of(phc, &key, 0) != 0;
    }
    CHECK(held >= 970);         /* About 1 % found their set full. */
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.n, held);

    /* Another owner; gone; expired. */
    CHECK_EQ(phc_put(phc, &key, 1, 3, 0.5, 5000, 0), 0);
    CHECK_EQ(owner_of(phc, &key, 0), 3);
    CHECK(phc_remove(phc, &key));
    CHECK(!phc_remove(phc, &key));
    CHECK_EQ(owner_of(phc, &key, 0), 0);
    CHECK_EQ(phc_put(phc, &key, 1, 3, 0.5, 5000, 0), 0);
    CHECK_EQ(owner_of(phc, &key, 4999), 3);
    CHECK_EQ(owner_of(phc, &key, 5000), 0);
    CHECK(phc_expire(phc, 4999, SIZE_MAX) >= held - 1);
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.n, 1);
    CHECK_EQ(phc_expire(phc, 5000, SIZE_MAX), 1);

    /* Time that wraps. */
    CHECK_EQ(phc_put(phc, &key, 1, 3, 0.5, 50, UINT32_MAX - 10), 0);
    CHECK_EQ(owner_of(phc, &key, UINT32_MAX - 10), 3);
    CHECK_EQ(owner_of(phc, &key, 49), 3);
    CHECK_EQ(owner_of(phc, &key, 50), 0);

    CHECK_EQ(phc_put(phc, &key, 1, 77, 0.5, 50, 0), ENOENT);
    phc_destroy(phc);
}

static void
test_flush(void)
{
    static const struct {
        const char *filter;
        size_t n;
    } cases[] = {
        { "src=10.0.0.0/24", 64 }, { "dst=2001:db8::/32", 64 },
        { "owner=1", 64 }, { "owner=0", 0 }, { "proto=udp,dport=53", 64 },
        { "proto=tcp,dport=53", 0 }, { "zone=1", 64 }, { "service=1", 128 },
        { "service=2", 0 }, { "", 128 }, { "sport=1003", 2 },
        { "src=10.0.0.7", 1 }, { "src=10.0.0.7/31", 2 },
    };
    static const char *const bad[] = {
        "src=10.0.0.x", "dport=65536", "proto=foo", "speed=5", "owner=",
        "zone=-1",
    };
    struct phc_filter filter;

    for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
        struct phc *phc = make_cache(10000, 2);
        struct in6_addr src6, dst6;
        struct sess_key key;

        for (size_t i = 0; i < 64; i++) {
            sess_key_init_ip4(&key, htonl(0x0a000000 + i), htonl(0x0a010000),
                              htons(1000 + i), htons(80), IPPROTO_TCP, 0);
            CHECK_EQ(phc_put(phc, &key, 1, 1, 0.5, 100, 0), 0);
            ipv6_parse("2001:db8::1", &src6);
            ipv6_parse("2001:db8::2", &dst6);
            src6.s6_addr[14] = i;
            sess_key_init_ip6(&key, &src6, &dst6, htons(1000 + i), htons(53),
                              IPPROTO_UDP, 1);
            CHECK_EQ(phc_put(phc, &key, 1, 2, 0.5, 100, 0), 0);
        }
        char *error = phc_filter_parse(cases[c].filter, &filter);
        CHECK(!error);
        size_t n = phc_flush(phc, &filter);
        if (n != cases[c].n) {
            fprintf(stderr, "\"%s\" flushes %"PRIuSIZE"\n", cases[c].filter,
                    n);
        }
        CHECK_EQ(n, cases[c].n);
        CHECK_EQ(phc_flush(phc, &filter), 0);
        phc_destroy(phc);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *error = phc_filter_parse(bad[i], &filter);

        if (!error) {
            fprintf(stderr, "\"%s\" is a filter\n", bad[i]);
        }
        CHECK(error);
        free(error);
    }
}

/* Probable and used entries stay. */
static void
test_eviction(void)
{
    struct phc_config config = { .entries = 1, .templates = 1, .seed = 1 };
    struct phc *phc = phc_create(&config);
    struct phc_member m = { .owner = 1, .addr = v4(0xc0a81001) };
    uint8_t header[PHC_MAX_HEADER];
    struct phc_counts counts;
    struct sess_key keys[9];

    phc_service_set(phc, 1, &m, 1);
    phc_template_set(phc, 1, 1, header, make_header(1, header));
    CHECK_EQ(phc_capacity(phc), 7);
    for (size_t i = 0; i < 9; i++) {
        make_key(&keys[i], i);
    }
    for (size_t i = 0; i < 7; i++) {
        CHECK_EQ(phc_put(phc, &keys[i], 1, 1, 0.3 + 0.05 * i, 100, 0), 0);
    }
    /* All more probable: stays out.  More probable: takes the place of the
     * least of those that nobody used. */
    CHECK_EQ(phc_put(phc, &keys[7], 1, 1, 0.1, 100, 0), ENOSPC);
    CHECK_EQ(owner_of(phc, &keys[0], 0), 1);
    CHECK_EQ(phc_put(phc, &keys[7], 1, 1, 0.9, 100, 0), 0);
    CHECK_EQ(owner_of(phc, &keys[0], 0), 1);
    CHECK_EQ(owner_of(phc, &keys[1], 0), 0);
    /* What has expired goes first. */
    CHECK_EQ(phc_put(phc, &keys[6], 1, 1, 0.99, 10, 0), 0);
    CHECK_EQ(phc_put(phc, &keys[8], 1, 1, 0.01, 100, 20), 0);
    CHECK_EQ(owner_of(phc, &keys[6], 0), 0);
    CHECK_EQ(owner_of(phc, &keys[8], 20), 1);
    /* In the end the improbable stay out no longer if nobody uses the rest. */
    int tries = 0;
    while (phc_put(phc, &keys[1], 1, 1, 0.2, 100, 20)) {
        CHECK(tries++ < 1000);
    }
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.n, 7);
    CHECK(counts.rejected >= 1);
    phc_destroy(phc);
}

/* Templates only towards members, checked when set and when used. */
static void
test_members(void)
{
    struct phc *phc = make_cache(100, 3);
    struct phc_member members[] = {
        { .owner = 3, .addr = v4(0xc0a81003) },
        { .owner = 1, .addr = v4(0xc0a81001) },
    };
    struct phc_patch patch = { .flow_hash = 0 };
    uint8_t header[PHC_MAX_HEADER], packet[200];
    struct phc_counts counts;
    struct sess_key keys[3];
    struct phc_ref refs[3];

    for (uint32_t i = 0; i < 3; i++) {
        make_key(&keys[i], i);
        CHECK_EQ(phc_put(phc, &keys[i], 1, i + 1, 0.5, 100, 0), 0);
        refs[i] = lookup(phc, &keys[i], 0);
        CHECK_EQ(phc_push(phc, refs[i], packet + 100, 60, 100, &patch), 50);
    }
    CHECK_EQ(phc_template_set(phc, 1, 9, header, make_header(9, header)),
             EPERM);
    CHECK_EQ(phc_template_set(phc, 1, 2, header, make_header(3, header)),
             EPERM);
    CHECK_EQ(phc_template_set(phc, 2, 1, header, make_header(1, header)),
             EPERM);
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.templates_refused, 3);

    /* Host 2 leaves: its template is dead even for who has looked it up. */
    CHECK_EQ(phc_service_set(phc, 1, members, 2), 0);
    CHECK_EQ(phc_push(phc, refs[0], packet + 100, 60, 100, &patch), 50);
    CHECK_EQ(phc_push(phc, refs[1], packet + 100, 60, 100, &patch), 0);
    CHECK_EQ(phc_push(phc, refs[2], packet + 100, 60, 100, &patch), 50);
    CHECK_EQ(owner_of(phc, &keys[1], 0), 0);

    /* Its place goes to others; old references do not lead there. */
    members[1] = (struct phc_member) { .owner = 4,
                                       .addr = v4(0xc0a81004) };
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(phc_service_set(phc, 1, members, 2), 0);
        CHECK_EQ(phc_template_set(phc, 1, 4, header, make_header(4, header)),
                 0);
        CHECK_EQ(phc_push(phc, refs[0], packet + 100, 60, 100, &patch), 0);
        CHECK_EQ(phc_push(phc, refs[1], packet + 100, 60, 100, &patch), 0);
        phc_template_remove(phc, 1, 4);
    }
    CHECK_EQ(phc_owner_remove(phc, 3), 1);
    CHECK_EQ(owner_of(phc, &keys[2], 0), 0);
    CHECK_EQ(phc_service_set(phc, PHC_MAX_SERVICES, members, 2), EINVAL);
    phc_destroy(phc);
}

/* A changed route is one template written again. */
static void
test_route(void)
{
    struct phc *phc = make_cache(1000, 1);
    struct phc_tunnel t = make_tunnel(1);
    uint8_t header[PHC_MAX_HEADER], packet[100];
    struct phc_patch patch = { .flow_hash = 0 };
    struct phc_shape shape;

    for (size_t i = 0; i < 100; i++) {
        struct sess_key key;

        make_key(&key, i);
        CHECK_EQ(phc_put(phc, &key, 1, 1, 0.5, 100, 0), 0);
    }
    t.eth_dst.ea[5] = 0x99;
    size_t len = phc_header_build(&t, header, &shape);
    CHECK_EQ(phc_template_set(phc, 1, 1, header, len), 0);
    for (size_t i = 0; i < 100; i++) {
        struct sess_key key;

        make_key(&key, i);
        CHECK_EQ(phc_push(phc, lookup(phc, &key, 0), packet + 50, 50, 50,
                          &patch), 50);
        CHECK_EQ(packet[5], 0x99);
    }
    phc_destroy(phc);
}

/* Readers while the writer writes: what is pushed is always a whole header of
 * the owner that its session has. */

enum { RACE_KEYS = 512, RACE_OWNERS = 4, RACE_READERS = 3 };

struct race {
    struct phc *phc;
    struct sess_table *table;
    uint32_t stop;
    uint64_t found[RACE_READERS];   /* By its reader. */
    uint32_t next;
};

/* Whether each reader has found something; they may be slow to start. */
static bool
all_found(const struct race *race)
{
    for (size_t i = 0; i < RACE_READERS; i++) {
        if (ext_load64(&race->found[i]) < 100) {
            return false;
        }
    }
    return true;
}

static void *
phc_reader(void *race_)
{
    struct race *race = race_;
    uint32_t self = __atomic_fetch_add(&race->next, 1, __ATOMIC_RELAXED);
    struct sess_key keys[PHC_BURST];
    struct phc_ref refs[PHC_BURST];
    struct phc_stats stats = { .hits = 0 };
    struct ext_rng rng;

    ext_rng_init(&rng, self);
    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        uint64_t numbers[PHC_BURST];

        for (size_t i = 0; i < PHC_BURST; i++) {
            numbers[i] = ext_rng_range(&rng, RACE_KEYS);
            make_key(&keys[i], numbers[i]);
        }
        phc_lookup(race->phc, keys, PHC_BURST, 0, refs, &stats);
        for (size_t i = 0; i < PHC_BURST; i++) {
            struct phc_patch patch = { .flow_hash = i };
            uint8_t packet[100];

            if (refs[i].template
                && phc_push(race->phc, refs[i], packet + 50, 50, 50,
                            &patch)) {
                uint32_t owner = numbers[i] % RACE_OWNERS + 1;

                CHECK_EQ(packet[33], owner);
                CHECK_EQ(packet[0], packet[5]);
                CHECK_EQ(packet[0], packet[11]);
                ext_store64(&race->found[self], race->found[self] + 1);
            }
        }
    }
    return NULL;
}

static void
race_template(struct phc *phc, uint32_t owner, uint8_t mark)
{
    struct phc_tunnel t = make_tunnel(owner);
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;

    t.dst = v4(0xc0a81000 + owner);
    memset(&t.eth_src, mark, 6);
    memset(&t.eth_dst, mark, 6);
    ignore(phc_template_set(phc, 1, owner, header,
                            phc_header_build(&t, header, &shape)));
}

static void
test_race_phc(void)
{
    struct race race = { .phc = make_cache(RACE_KEYS / 2, RACE_OWNERS) };
    struct phc_member members[RACE_OWNERS];
    pthread_t threads[RACE_READERS];
    struct ext_rng rng;
    uint64_t found = 0;

    for (uint32_t i = 0; i < RACE_OWNERS; i++) {
        members[i].owner = i + 1;
        members[i].addr = v4(0xc0a81000 + i + 1);
        race_template(race.phc, i + 1, 2);
    }
    for (size_t i = 0; i < RACE_READERS; i++) {
        threads[i] = ovs_thread_create("reader", phc_reader, &race);
    }
    ext_rng_init(&rng, 99);
    for (int i = 0; i < 200000 || !all_found(&race); i++) {
        uint64_t number = ext_rng_range(&rng, RACE_KEYS);
        struct sess_key key;

        make_key(&key, number);
        switch (ext_rng_range(&rng, 16)) {
        case 0:
            race_template(race.phc, number % RACE_OWNERS + 1,
                          2 * ext_rng_range(&rng, 100));
            break;
        case 1:
            phc_remove(race.phc, &key);
            break;
        case 2:
            if (number % 32) {
                break;
            }
            phc_service_set(race.phc, 1, members,
                            ext_rng_range(&rng, RACE_OWNERS + 1));
            phc_service_set(race.phc, 1, members, RACE_OWNERS);
            for (uint32_t j = 0; j < RACE_OWNERS; j++) {
                race_template(race.phc, j + 1, 4);
            }
            break;
        default:
            phc_put(race.phc, &key, 1, number % RACE_OWNERS + 1,
                    ext_rng_double(&rng), 1000, 0);
        }
    }
    __atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < RACE_READERS; i++) {
        xpthread_join(threads[i], NULL);
        found += race.found[i];
    }
    CHECK(found > 0);
    phc_destroy(race.phc);
}

/* Session table. */

static struct sess_table *
make_table(size_t max)
{
    struct sess_config config;

    sess_config_init(&config);
    config.max = max;
    config.seed = 3;
    return sess_table_create(&config);
}

static sess_id
find(const struct sess_table *t, const struct sess_key *key)
{
    sess_id id;

    sess_find(t, key, 1, &id);
    return id;
}

static void
test_sessions(void)
{
    enum { MAX_SESSIONS = 20000 };
    struct sess_table *t = make_table(MAX_SESSIONS);
    struct sess_counts counts;
    struct sess_info info;
    struct sess_key key;
    size_t n = 0, pos = 0;

    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        make_key(&key, i);
        CHECK_EQ(find(t, &key), 0);
        sess_id id = sess_establish(t, &key, 5, 10);
        n += id != 0;
        CHECK_EQ(find(t, &key), id);
        if (id) {
            CHECK_EQ(sess_establish(t, &key, 5, 11), id);
            CHECK(sess_get(t, id, &info));
            CHECK(sess_key_equals(&info.key, &key));
            CHECK_EQ(info.service, 5);
            CHECK_EQ(info.created, 10);
        }
    }
    CHECK(n >= MAX_SESSIONS - MAX_SESSIONS / 1000);
    sess_table_get_counts(t, &counts);
    CHECK_EQ(counts.n, n);
    CHECK_EQ(counts.full, MAX_SESSIONS - n);
    /* Bounded. */
    for (size_t i = MAX_SESSIONS; i < MAX_SESSIONS + 2000; i++) {
        make_key(&key, i);
        sess_establish(t, &key, 5, 10);
    }
    sess_table_get_counts(t, &counts);
    CHECK(counts.n <= MAX_SESSIONS);
    n = 0;
    while (sess_next(t, &pos, &info)) {
        n++;
    }
    CHECK_EQ(n, counts.n);
    make_key(&key, 0);
    CHECK(sess_remove(t, &key));
    CHECK(!sess_remove(t, &key));
    CHECK_EQ(find(t, &key), 0);
    sess_table_destroy(t);
}

static void
count_gone(const struct sess_info *info, void *n_)
{
    unsigned int *n = n_;

    n[info->state]++;
}

static void
test_close(void)
{
    struct sess_table *t = make_table(100);
    unsigned int gone[3] = { 0, 0, 0 };
    struct sess_packet p = { .bytes = 100, .tcp_flags = TCP_ACK };
    struct sess_info info;
    struct sess_key key;

    make_key(&key, 1);
    sess_id id = sess_establish(t, &key, 1, 0);
    sess_packet(t, id, &p, 5);
    CHECK(sess_get(t, id, &info));
    CHECK_EQ(info.state, SESS_OPENING);
    p.dir = 1;
    sess_packet(t, id, &p, 10);
    sess_packet(t, id, &p, 12);
    CHECK(sess_get(t, id, &info));
    CHECK_EQ(info.state, SESS_OPEN);
    CHECK_EQ(info.packets[0], 1);
    CHECK_EQ(info.packets[1], 2);
    CHECK_EQ(info.bytes[1], 200);
    CHECK_EQ(info.last, 12);

    /* One FIN does not close. */
    p.tcp_flags = TCP_FIN | TCP_ACK;
    sess_packet(t, id, &p, 20);
    CHECK(sess_get(t, id, &info));
    CHECK_EQ(info.state, SESS_OPEN);
    p.dir = 0;
    sess_packet(t, id, &p, 30);
    CHECK(sess_get(t, id, &info));
    CHECK_EQ(info.state, SESS_CLOSED);
    CHECK_EQ(sess_expire(t, 2029, SIZE_MAX, count_gone, gone), 0);
    CHECK_EQ(find(t, &key), id);
    CHECK_EQ(sess_expire(t, 2030, SIZE_MAX, count_gone, gone), 1);
    CHECK_EQ(find(t, &key), 0);
    CHECK_EQ(gone[SESS_CLOSED], 1);

    /* RST closes at once; idle ones time out. */
    id = sess_establish(t, &key, 1, 10000);
    p.tcp_flags = TCP_RST;
    sess_packet(t, id, &p, 10000);
    CHECK_EQ(sess_expire(t, 12000, SIZE_MAX, count_gone, gone), 1);
    CHECK_EQ(gone[SESS_CLOSED], 2);
    id = sess_establish(t, &key, 1, 10000);
    CHECK_EQ(sess_expire(t, 39999, SIZE_MAX, count_gone, gone), 0);
    CHECK_EQ(sess_expire(t, 40000, SIZE_MAX, count_gone, gone), 1);
    CHECK_EQ(gone[SESS_OPENING], 1);
    key.proto = IPPROTO_UDP;
    id = sess_establish(t, &key, 1, 10000);
    CHECK_EQ(sess_expire(t, 69999, SIZE_MAX, count_gone, gone), 0);
    CHECK_EQ(sess_expire(t, 70000, SIZE_MAX, count_gone, gone), 1);
    sess_table_destroy(t);
}

static void
test_rtt(void)
{
    struct sess_table *t = make_table(100);
    struct sess_info info;
    struct sess_key key;
    uint32_t seq = UINT32_MAX - 500, now = UINT32_MAX - 3000;

    make_key(&key, 1);
    sess_id id = sess_establish(t, &key, 1, 0);
    for (int i = 0; i < 100; i++) {
        /* The backend sends; the client's acknowledgment comes 2 ms later. */
        struct sess_packet p = {
            .dir = 1, .tcp_flags = TCP_ACK, .seq = seq, .payload = 100,
            .now_us = now,
        };

        sess_packet(t, id, &p, 0);
        p = (struct sess_packet) {
            .dir = 0, .tcp_flags = TCP_ACK, .ack = seq + 99,
            .now_us = now + 1000,
        };
        sess_packet(t, id, &p, 0);      /* Of less: no sample. */
        p.ack = seq + 100;
        p.now_us = now + 2000;
        sess_packet(t, id, &p, 0);
        seq += 100;
        now += 10000;
    }
    CHECK(sess_get(t, id, &info));
    CHECK(info.rtt_us[1] >= 1990 && info.rtt_us[1] <= 2010);
    CHECK_EQ(info.rtt_us[0], 0);

    /* What was sent twice says nothing. */
    struct sess_packet p = {
        .dir = 1, .tcp_flags = TCP_ACK, .seq = seq, .payload = 100,
        .now_us = now,
    };
    sess_packet(t, id, &p, 0);
    p.now_us = now + 500000;
    sess_packet(t, id, &p, 0);
    p = (struct sess_packet) {
        .dir = 0, .tcp_flags = TCP_ACK, .ack = seq + 100,
        .now_us = now + 501000,
    };
    sess_packet(t, id, &p, 0);
    CHECK(sess_get(t, id, &info));
    CHECK(info.rtt_us[1] >= 1990 && info.rtt_us[1] <= 2010);
    sess_table_destroy(t);
}

/* Keys below RACE_KEYS / 2 always exist, and are always found; the others come
 * and go. */
static void *
sess_worker(void *race_)
{
    struct race *race = race_;
    uint32_t self = __atomic_fetch_add(&race->next, 1, __ATOMIC_RELAXED);
    struct sess_packet p = { .dir = self & 1, .tcp_flags = TCP_ACK,
                             .payload = 10 };
    struct ext_rng rng;

    ext_rng_init(&rng, self);
    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        uint64_t number = ext_rng_range(&rng, RACE_KEYS);
        struct sess_info info;
        struct sess_key key;
        sess_id id;

        make_key(&key, number);
        id = find(race->table, &key);
        CHECK(id || number >= RACE_KEYS / 2);
        if (!id) {
            id = sess_establish(race->table, &key, 1, 0);
        }
        if (id) {
            p.seq += 10;
            p.ack = p.seq;
            sess_packet(race->table, id, &p, 0);
            ext_store64(&race->found[self], race->found[self] + 1);
            if (number < RACE_KEYS / 2) {
                CHECK(!sess_get(race->table, id, &info)
                      || sess_key_equals(&info.key, &key));
            }
        }
    }
    return NULL;
}

static void
test_race_sessions(void)
{
    struct race race = { .table = make_table(RACE_KEYS) };
    pthread_t threads[RACE_READERS];
    struct sess_counts counts;
    struct sess_info info;
    struct sess_key key;
    struct ext_rng rng;
    size_t pos = 0, n = 0;

    for (size_t i = 0; i < RACE_KEYS / 2; i++) {
        make_key(&key, i);
        CHECK(sess_establish(race.table, &key, 1, 0));
    }
    for (size_t i = 0; i < RACE_READERS; i++) {
        threads[i] = ovs_thread_create("worker", sess_worker, &race);
    }
    ext_rng_init(&rng, 99);
    for (int i = 0; i < 100000 || !all_found(&race); i++) {
        make_key(&key, RACE_KEYS / 2 + ext_rng_range(&rng, RACE_KEYS / 2));
        sess_remove(race.table, &key);
    }
    __atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < RACE_READERS; i++) {
        xpthread_join(threads[i], NULL);
        CHECK(race.found[i] > 0);
    }
    while (sess_next(race.table, &pos, &info)) {
        CHECK(find(race.table, &info.key) == pos);
        n++;
    }
    sess_table_get_counts(race.table, &counts);
    CHECK_EQ(counts.n, n);
    CHECK_EQ(counts.established, n + counts.removed);
    sess_table_destroy(race.table);
}

/* Owners of record. */

static void
test_owners(void)
{
    struct sess_member m[9];
    struct sess_owners *before, *after;
    size_t share[9] = { 0 }, moved = 0;

    for (size_t i = 0; i < 9; i++) {
        m[i] = (struct sess_member) { .id = 1000 + i,
                                      .weight = i == 3 ? 2 : 1 };
    }
    before = sess_owners_create(m, 8);
    for (size_t i = 0; i < SESS_OWNER_SLOTS; i++) {
        share[before->slots[i].first]++;
        CHECK(before->slots[i].first != before->slots[i].second);
    }
    for (size_t i = 0; i < 8; i++) {
        double fair = SESS_OWNER_SLOTS * m[i].weight / 9;

        CHECK(fabs(share[i] - fair) < 0.1 * fair);
    }
    /* One more: it takes its share, and nothing else moves. */
    after = sess_owners_create(m, 9);
    for (size_t i = 0; i < SESS_OWNER_SLOTS; i++) {
        if (after->slots[i].first != before->slots[i].first) {
            CHECK_EQ(after->slots[i].first, 8);
            moved++;
        }
    }
    CHECK(moved > SESS_OWNER_SLOTS / 12 && moved < SESS_OWNER_SLOTS / 8);
    sess_owners_destroy(after);

    /* One drains: what it had goes to others, who name it as second. */
    m[5].draining = true;
    after = sess_owners_create(m, 8);
    for (size_t i = 0; i < SESS_OWNER_SLOTS; i++) {
        CHECK(after->slots[i].first != 5);
        if (before->slots[i].first == 5) {
            CHECK_EQ(after->slots[i].second, 5);
        } else {
            CHECK_EQ(after->slots[i].first, before->slots[i].first);
        }
    }
    sess_owners_destroy(after);

    /* One dies: its second owner takes over. */
    m[5].draining = false;
    m[5].weight = 0;
    after = sess_owners_create(m, 8);
    for (size_t i = 0; i < SESS_OWNER_SLOTS; i++) {
        CHECK_EQ(after->slots[i].first,
                 before->slots[i].first == 5 ? before->slots[i].second
                 : before->slots[i].first);
    }
    sess_owners_destroy(after);
    sess_owners_destroy(before);

    after = sess_owners_create(m, 0);
    CHECK_EQ(after->slots[7].first, SESS_OWNER_NONE);
    sess_owners_destroy(after);
}

/* Prediction. */

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
        { "key", test_key },
        { "push", test_push },
        { "shapes", test_shapes },
        { "long", test_long },
        { "entries", test_entries },
        { "flush", test_flush },
        { "eviction", test_eviction },
        { "members", test_members },
        { "route", test_route },
        { "race-phc", test_race_phc },
        { "sessions", test_sessions },
        { "close", test_close },
        { "rtt", test_rtt },
        { "race-sessions", test_race_sessions },
        { "owners", test_owners },
        { "predict", test_predict },
        { "missing", test_missing },
        { "learn", test_learn },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
