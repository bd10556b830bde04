/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of headers: what is built, pushed and taken. */

#include <config.h>

#include "csum.h"
#include "packets.h"
#include "tests/test-phc.h"

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

void
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
void
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
        phc_header_finish(taken, &shape2);
        CHECK(phc_header_take(taken, len, header, &shape2, &dst));
        CHECK_EQ(shape2.csum, t.csum);
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
void
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

/* A changed route is one template written again. */
void
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
