/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of what is read from ICMP errors. */

#include <config.h>

#include <sys/mman.h>
#include <unistd.h>

#include "ovs-ext/session/sess-icmp.h"
#include "ovs-ext/session/sess-key.h"
#include "tests/test-util.h"

enum { MAX_ERROR = 256 };

/* A buffer that ends where memory does, so that reading on is seen. */
static uint8_t *guard;

static void
guard_init(void)
{
    size_t page = getpagesize();
    uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED && !mprotect(p + page, page, PROT_NONE));
    guard = p + page;
}

static bool
parse(const uint8_t *error, size_t len, bool ip6, struct sess_key *key)
{
    memcpy(guard - len, error, len);
    return sess_icmp_key(key, guard - len, len, ip6);
}

/* Makes the error about a packet from service 10.9.9.9 port 80 to client
 * 192.0.2.1 port 1234, with 'options' bytes of those and 'payload' bytes
 * quoted.  Returns its length. */
static size_t
make4(uint8_t error[MAX_ERROR], size_t options, size_t payload, uint8_t proto)
{
    uint8_t ip[20] = {
        0x45 + options / 4, 0, 0x05, 0xdc, 0, 1, 0x40, 0, 64, proto, 0, 0,
        10, 9, 9, 9, 192, 0, 2, 1
    };
    const uint8_t ports[4] = { 0, 80, 1234 >> 8, 1234 & 0xff };

    memset(error, 1, MAX_ERROR);
    memcpy(error, (uint8_t[]) { 3, 4, 0, 0, 0, 0, 0x05, 0x78 }, 8);
    memcpy(error + 8, ip, sizeof ip);
    memcpy(error + 28 + options, ports, sizeof ports);
    return 28 + options + payload;
}

/* The same from fd00:9::9 to 2001:db8::1. */
static size_t
make6(uint8_t error[MAX_ERROR], size_t payload, uint8_t next)
{
    uint8_t ip6[40] = {
        0x60, 0, 0, 0, 0x05, 0xb4, next, 64, 0xfd, 0, 0, 9, [23] = 9,
        0x20, 0x01, 0x0d, 0xb8, [39] = 1
    };
    const uint8_t ports[4] = { 0, 80, 1234 >> 8, 1234 & 0xff };

    memset(error, 1, MAX_ERROR);
    memcpy(error, (uint8_t[]) { 2, 0, 0, 0, 0, 0, 0x05, 0x78 }, 8);
    memcpy(error + 8, ip6, sizeof ip6);
    memcpy(error + 48, ports, sizeof ports);
    return 48 + payload;
}

static void
expect4(struct sess_key *key, uint8_t proto)
{
    sess_key_init_ip4(key, htonl(0xc0000201), htonl(0x0a090909), htons(1234),
                      htons(80), proto, 0);
}

static void
expect6(struct sess_key *key, uint8_t proto)
{
    struct in6_addr client, service;

    CHECK(inet_pton(AF_INET6, "2001:db8::1", &client)
          && inet_pton(AF_INET6, "fd00:9::9", &service));
    sess_key_init_ip6(key, &client, &service, htons(1234), htons(80), proto,
                      0);
}

/* What is quoted, turned round; with all lengths of options. */
static void
test_key(void)
{
    static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
    struct sess_key key, expected;
    uint8_t error[MAX_ERROR];

    for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
        expect4(&expected, protos[i]);
        for (size_t options = 0; options <= 40; options += 4) {
            size_t len = make4(error, options, 8, protos[i]);

            CHECK(parse(error, len, false, &key));
            CHECK(sess_key_equals(&key, &expected));
            CHECK(parse(error, len + 100, false, &key));
            CHECK(sess_key_equals(&key, &expected));
        }
        expect6(&expected, protos[i]);
        CHECK(parse(error, make6(error, 8, protos[i]), true, &key));
        CHECK(sess_key_equals(&key, &expected));
        CHECK(parse(error, make6(error, 100, protos[i]), true, &key));
        CHECK(sess_key_equals(&key, &expected));
    }
}

/* Cut short anywhere, it is nothing. */
static void
test_truncated(void)
{
    struct sess_key key;
    uint8_t error[MAX_ERROR];

    for (size_t options = 0; options <= 40; options += 4) {
        size_t full = make4(error, options, 8, IPPROTO_TCP);

        for (size_t len = 0; len < full; len++) {
            CHECK(!parse(error, len, false, &key));
            CHECK(!parse(error, len, true, &key));
        }
    }
    for (size_t len = 0; len < make6(error, 8, IPPROTO_UDP); len++) {
        CHECK(!parse(error, len, true, &key));
        CHECK(!parse(error, len, false, &key));
    }
}

/* A quotation that says of itself what cannot be, or what is not looked
 * into. */
static void
test_hostile(void)
{
    struct sess_key key;
    uint8_t error[MAX_ERROR];
    size_t len = make4(error, 0, 8, IPPROTO_TCP);

    /* A header that is longer than what there is, or too short to be. */
    for (int ihl = 0; ihl < 16; ihl++) {
        error[8] = 0x40 + ihl;
        CHECK_EQ(parse(error, len, false, &key), ihl == 5);
    }
    /* Another version; the other's protocol. */
    for (int version = 0; version < 16; version++) {
        error[8] = version << 4 | 5;
        CHECK_EQ(parse(error, len, false, &key), version == 4);
        CHECK(!parse(error, len, true, &key));
    }
    error[8] = 0x45;
    /* More than is quoted is usual, but not less than the ports. */
    for (int total = 0; total < 0x10000; total++) {
        error[10] = total >> 8;
        error[11] = total;
        CHECK_EQ(parse(error, len, false, &key), total >= 28);
    }
    /* A later fragment; the first is fine. */
    for (int offset = 0; offset < 0x10000; offset++) {
        error[14] = offset >> 8;
        error[15] = offset;
        CHECK_EQ(parse(error, len, false, &key), !(offset & 0x1fff));
    }
    error[14] = error[15] = 0;
    for (int proto = 0; proto < 256; proto++) {
        error[17] = proto;
        CHECK_EQ(parse(error, len, false, &key),
                 proto == IPPROTO_TCP || proto == IPPROTO_UDP);
    }

    /* Extension headers, a fragment's among them. */
    for (int next = 0; next < 256; next++) {
        len = make6(error, 100, next);
        CHECK_EQ(parse(error, len, true, &key),
                 next == IPPROTO_TCP || next == IPPROTO_UDP);
    }
    len = make6(error, 8, IPPROTO_TCP);
    for (int plen = 0; plen < 0x10000; plen++) {
        error[12] = plen >> 8;
        error[13] = plen;
        CHECK_EQ(parse(error, len, true, &key), plen >= 8);
    }
    for (int version = 0; version < 16; version++) {
        error[8] = version << 4;
        CHECK_EQ(parse(error, len, true, &key),
                 version == 6 && error[13] >= 8);
    }
}

static void
test_types(void)
{
    for (int type = 0; type < 256; type++) {
        CHECK_EQ(sess_icmp_is_error(false, type),
                 type == 3 || type == 11 || type == 12);
        CHECK_EQ(sess_icmp_is_error(true, type), type >= 1 && type <= 4);
    }
}

static const struct test tests[] = {
    { "key", test_key },
    { "truncated", test_truncated },
    { "hostile", test_hostile },
    { "types", test_types },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    guard_init();
    return run_tests(tests, argc, argv);
}
