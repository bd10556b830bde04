/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the header cache's first level: entries, members, and what is
 * evicted or flushed.  Pure code, time and seeds given. */

#include <config.h>

#include <errno.h>

#include "packets.h"
#include "tests/test-phc.h"

struct in6_addr
v4(uint32_t addr)
{
    struct in6_addr a;

    in6_addr_set_mapped_ipv4(&a, htonl(addr));
    return a;
}

struct phc_tunnel
make_tunnel(uint32_t owner)
{
    return (struct phc_tunnel) {
        .encap = PHC_VXLAN, .eth_src = ETH_ADDR_C(02,00,00,00,00,01),
        .eth_dst = ETH_ADDR_C(02,00,00,00,00,02),
        .src = v4(0xc0a80001), .dst = v4(0xc0a81000 + owner),
        .ttl = 64, .df = true, .dport = htons(4789), .vni = 0x123456,
    };
}

size_t
make_header(uint32_t owner, uint8_t header[PHC_MAX_HEADER])
{
    struct phc_tunnel t = make_tunnel(owner);
    struct phc_shape shape;

    return phc_header_build(&t, header, &shape);
}

struct phc *
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

struct phc_ref
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

/* What there was no room for is asked for, until it has expired; other keys
 * are not. */
static void
test_asked(void)
{
    static struct sess_key asked[PHC_ASKS];
    struct phc *phc = make_cache(1, 2);     /* One set. */
    struct sess_key keys[PHC_WAYS + 1];
    struct phc_counts counts;

    for (int i = 0; i <= PHC_WAYS; i++) {
        sess_key_init_ip4(&keys[i], htonl(i), htonl(1), htons(i), htons(80),
                          IPPROTO_TCP, 0);
    }
    for (int i = 0; i < PHC_WAYS; i++) {
        CHECK(!phc_ref_was_spilled(lookup(phc, &keys[i], 1000)));
        CHECK_EQ(phc_put(phc, &keys[i], 1, 1, 1, 5000, 1000), 0);
    }
    CHECK(!phc_ref_was_spilled(lookup(phc, &keys[PHC_WAYS], 1000)));

    /* Not let in. */
    CHECK_EQ(phc_put(phc, &keys[PHC_WAYS], 1, 1, 0.5, 3000, 1000), ENOSPC);
    CHECK(phc_ref_was_spilled(lookup(phc, &keys[PHC_WAYS], 1000)));
    CHECK(!phc_ref_was_spilled(lookup(phc, &keys[0], 1000)));
    CHECK_EQ(phc_asked(phc, asked, 1000), 0);
    for (int i = 0; i < 3; i++) {
        CHECK(phc_ask(phc, &keys[PHC_WAYS]));
    }
    CHECK(phc_ask(phc, &keys[1]));
    CHECK_EQ(phc_asked(phc, asked, 1000), 2);
    CHECK(sess_key_equals(&asked[0], &keys[PHC_WAYS])
          != sess_key_equals(&asked[1], &keys[PHC_WAYS]));
    /* Once, and again a second later. */
    CHECK_EQ(phc_asked(phc, asked, 1999), 0);
    CHECK(!phc_ask(phc, &keys[1]));
    CHECK_EQ(phc_asked(phc, asked, 2000), 0);
    CHECK(phc_ask(phc, &keys[1]));
    CHECK_EQ(phc_asked(phc, asked, 2000), 1);
    phc_expire(phc, 2999, 1);
    CHECK(phc_ref_was_spilled(lookup(phc, &keys[PHC_WAYS], 2999)));
    phc_expire(phc, 3000, 1);
    CHECK(!phc_ref_was_spilled(lookup(phc, &keys[PHC_WAYS], 3000)));

    /* Put out by another, which lives no longer. */
    CHECK_EQ(phc_put(phc, &keys[PHC_WAYS], 1, 1, 1, 4000, 3000), 0);
    for (int i = 0; i < PHC_WAYS; i++) {
        struct phc_ref ref = lookup(phc, &keys[i], 3000);

        CHECK(ref.template || phc_ref_was_spilled(ref));
    }
    phc_expire(phc, 4000, 1);
    sess_key_init_ip4(&keys[0], htonl(99), htonl(1), 0, htons(80), 6, 0);
    CHECK(phc_ref_was_spilled(lookup(phc, &keys[0], 4000)));
    phc_expire(phc, 5000, 1);
    CHECK(!phc_ref_was_spilled(lookup(phc, &keys[0], 5000)));
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.asked, 3);
    phc_destroy(phc);
}

/* Templates only towards members, checked when set and when used. */
static void
test_members(void)
{
    uint32_t owner;
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
    CHECK(!phc_ref_owner(phc, refs[2], &owner));
    CHECK_EQ(phc_service_set(phc, PHC_MAX_SERVICES, members, 2), EINVAL);
    phc_destroy(phc);
}

/* A member that moves keeps its entries; there need be no header for one. */
static void
test_moves(void)
{
    struct phc *phc = phc_create(&(struct phc_config) {
        .entries = 100, .templates = 2, .seed = 1 });
    struct phc_member members[3] = {
        { .owner = 1, .addr = v4(0xc0a81001) },
        { .owner = 2 },         /* Here. */
        { .owner = 3 },
    };
    struct phc_patch patch = { .flow_hash = 0 };
    uint8_t header[PHC_MAX_HEADER], packet[200];
    struct phc_counts counts;
    struct phc_shape shape;
    struct phc_ref refs[2];
    struct sess_key key;
    uint32_t owner;

    CHECK_EQ(phc_service_set(phc, 1, members, 3), ENOSPC);
    CHECK_EQ(phc_service_set(phc, 1, members, 2), 0);
    for (uint32_t i = 0; i < 2; i++) {
        make_key(&key, i);
        CHECK_EQ(phc_put(phc, &key, 1, i + 1, 0.5, 100, 0), 0);
        refs[i] = lookup(phc, &key, 0);
        CHECK(phc_ref_owner(phc, refs[i], &owner));
        CHECK_EQ(owner, i + 1);
        CHECK(!phc_template_get(phc, 1, i + 1, header, &shape));
        CHECK_EQ(phc_push(phc, refs[i], packet + 100, 60, 100, &patch), 0);
    }
    CHECK_EQ(phc_template_set(phc, 1, 1, header, make_header(1, header)), 0);
    CHECK_EQ(phc_push(phc, refs[0], packet + 100, 60, 100, &patch), 50);

    /* 1 comes here, 2 goes to where 1 was. */
    members[1].addr = members[0].addr;
    memset(&members[0].addr, 0, sizeof members[0].addr);
    CHECK_EQ(phc_service_set(phc, 1, members, 2), 0);
    phc_get_counts(phc, &counts);
    CHECK_EQ(counts.n_templates, 0);
    CHECK_EQ(phc_push(phc, refs[0], packet + 100, 60, 100, &patch), 0);
    CHECK_EQ(phc_template_set(phc, 1, 1, header, make_header(1, header)),
             EPERM);
    CHECK_EQ(phc_template_set(phc, 1, 2, header, make_header(1, header)), 0);
    CHECK_EQ(phc_push(phc, refs[1], packet + 100, 60, 100, &patch), 50);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(phc_ref_owner(phc, refs[i], &owner));
        CHECK_EQ(owner, i + 1);
    }
    phc_destroy(phc);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "push", test_push },
        { "shapes", test_shapes },
        { "long", test_long },
        { "entries", test_entries },
        { "flush", test_flush },
        { "eviction", test_eviction },
        { "asked", test_asked },
        { "members", test_members },
        { "moves", test_moves },
        { "route", test_route },
        { "race", test_race_phc },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
