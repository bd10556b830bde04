/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of ovs-ext/db/ that need no server, with injected time. */

#include <config.h>

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-delta.h"
#include "ovs-ext/db/db-policy.h"
#include "ovs-ext/db/db-rival.h"
#include "ovs-ext/db/db-session.h"
#include "ovs-ext/session/gossip-wire.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "tests/test-steering-util.h"
#include "util.h"

static void
test_moved(void)
{
    CHECK(!db_share_moved(0, 0));
    CHECK(!db_share_moved(0.50, 0.54));
    CHECK(db_share_moved(0.50, 0.56));
    CHECK(db_share_moved(0.56, 0.50));

    /* Rates are compared with the larger one... */
    CHECK(!db_rate_moved(1000, 1050, 1));
    CHECK(db_rate_moved(1000, 1060, 1));
    CHECK(db_rate_moved(1000, 0, 1));
    /* ...and with the floor. */
    CHECK(!db_rate_moved(0, 4, 100));
    CHECK(db_rate_moved(0, 6, 100));
}

static void
test_sane(void)
{
    CHECK(db_sane(NAN, 1) == 0);
    CHECK(db_sane(-1, 1) == 0);
    CHECK(db_sane(-INFINITY, 1) == 0);
    CHECK(db_sane(INFINITY, 7) == 7);
    CHECK(db_sane(0.5, 1) == 0.5);
    CHECK(db_sane(2, 1) == 1);
}

static void
test_gate(void)
{
    struct db_gate gate;

    /* The first write of a row need not wait. */
    db_gate_init(&gate);
    CHECK(!db_gate_pass(&gate, DB_SAME, 5000));
    CHECK(db_gate_pass(&gate, DB_SMALL_PRINT, 5000));

    CHECK(!db_gate_pass(&gate, DB_MEASURE, 5000));
    CHECK(!db_gate_pass(&gate, DB_MEASURE, 5999));
    CHECK(db_gate_pass(&gate, DB_MEASURE, 6000));
    CHECK(!db_gate_pass(&gate, DB_MEASURE, 6999));

    /* State goes out at once, and counts for what comes after it. */
    CHECK(db_gate_pass(&gate, DB_STATE, 6500));
    CHECK(db_gate_pass(&gate, DB_STATE, 6500));
    CHECK(!db_gate_pass(&gate, DB_MEASURE, 7400));
    CHECK(db_gate_pass(&gate, DB_MEASURE, 7500));

    CHECK(!db_gate_pass(&gate, DB_SMALL_PRINT, 17499));
    CHECK(db_gate_pass(&gate, DB_SMALL_PRINT, 17500));

    /* A clock that jumps back does not shut the gate. */
    CHECK(db_gate_pass(&gate, DB_MEASURE, 100));
    CHECK(!db_gate_pass(&gate, DB_MEASURE, 101));
}

/* However a measure changes, a row is written once in an interval at most. */
static void
test_gate_rate(void)
{
    struct db_gate gate;
    struct ext_rng rng;
    long long int last = LLONG_MIN;
    int n = 0;

    ext_rng_init(&rng, 1);
    db_gate_init(&gate);
    for (long long int now = 0; now < 1000000; now += 100) {
        if (ext_rng_range(&rng, 3)
            && db_gate_pass(&gate, DB_MEASURE, now)) {
            CHECK(last == LLONG_MIN || now - last >= DB_DELTA_INTERVAL);
            last = now;
            n++;
        }
    }
    CHECK(n > 800 && n <= 1000);
}

static void
check_network(const char *name, bool ok)
{
    char *error = db_check_network(name);

    if (ok ? error != NULL : !error || !strstr(error, name)) {
        fprintf(stderr, "network \"%s\": %s\n", name,
                error ? error : "taken");
        exit(1);
    }
    free(error);
}

static void
test_network(void)
{
    check_network("untagged", true);
    check_network("other", true);
    check_network("vni:0", true);
    check_network("vni:16777215", true);
    check_network("vlan:1", true);
    check_network("vlan:4094", true);
    check_network("metadata:0x0", true);
    check_network("metadata:0xffffffffffffffff", true);

    check_network("", false);
    check_network("vni:", false);
    check_network("vni:16777216", false);
    check_network("vni:-1", false);
    check_network("vni: 1", false);
    check_network("vni:1x", false);
    check_network("vni:0x1", false);
    /* As no profile has it. */
    check_network("vni:0100", false);
    check_network("vni:00", false);
    check_network("vlan:007", false);
    check_network("metadata:0xAB", false);
    check_network("metadata:0x05", false);
    check_network("metadata:0x0x5", false);
    check_network("vlan:0", false);
    check_network("vlan:4095", false);
    check_network("vlan:4096", false);
    check_network("vlan:99999999999999999999", false);
    check_network("metadata:5", false);
    check_network("metadata:0x", false);
    check_network("metadata:0x10000000000000000", false);
    check_network("Untagged", false);
}

static void
check_remote(const char *remote, const char *blamed)
{
    char *error = db_conn_check_remote(remote);

    if (blamed ? !error || !strstr(error, blamed) : error != NULL) {
        fprintf(stderr, "remote \"%s\": %s\n", remote,
                error ? error : "taken");
        exit(1);
    }
    free(error);
}

static void
test_remote(void)
{
    check_remote("unix:/run/db.sock", NULL);
    check_remote("tcp:127.0.0.1:6640", NULL);
    check_remote("ssl:[::1]:6640,ssl:10.0.0.2:6640", NULL);
    check_remote("unix:a, unix:b", NULL);

    check_remote("", "empty");
    check_remote(",", "empty");
    check_remote("unix:", "unix:");
    check_remote("/run/db.sock", "/run/db.sock");
    check_remote("unix:a,upn:b", "upn:b");
    check_remote("punix:a", "punix:a");
}

/* A controller starts over soon, then less and less often. */
static void
test_patience(void)
{
    static const long long int expected[] = {
        500, 1500, 3500, 7500, 15500, 23500, 31500,
    };
    struct ovsdb_idl *idl = db_conn_open_controller("unix:nowhere");
    struct db_conn_watch watch;
    bool odd = false;
    size_t n = 0;

    db_conn_watch_init(&watch, "unix:nowhere");
    for (long long int ms = 0; ms < 35000; ms += 10) {
        db_conn_watch_run(&watch, idl, 1000 + ms);
        if (watch.odd != odd) {
            odd = watch.odd;
            CHECK(n < ARRAY_SIZE(expected) && ms == expected[n]);
            n++;
        }
    }
    CHECK_EQ(n, ARRAY_SIZE(expected));
    db_conn_watch_uninit(&watch);
    ovsdb_idl_destroy(idl);
}

static void
test_policy(void)
{
    struct ext_rng rng;

    ext_rng_init(&rng, 2);
    for (size_t size = 1; size < 100; size++) {
        char sha256[DB_SHA256_LEN], *base64, *error;
        uint8_t data[100];
        void *copy;
        size_t n;

        for (size_t i = 0; i < size; i++) {
            data[i] = ext_rng_range(&rng, 256);
        }
        base64 = db_policy_encode(data, size, sha256);
        CHECK_EQ(strlen(sha256), 64);
        error = db_policy_decode("p", base64, sha256, &copy, &n);
        CHECK(!error);
        CHECK_EQ(n, size);
        CHECK(!memcmp(copy, data, size));
        free(copy);

        /* A bit that changed, in either. */
        sha256[size % 64] ^= 1;
        error = db_policy_decode("p", base64, sha256, &copy, &n);
        CHECK(error && strstr(error, "\"p\"") && !copy);
        free(error);
        sha256[size % 64] ^= 1;
        base64[0] = base64[0] == 'A' ? 'B' : 'A';
        error = db_policy_decode("p", base64, sha256, &copy, &n);
        CHECK(error && strstr(error, "SHA-256"));
        free(error);
        free(base64);
    }
}

static void
test_policy_garbage(void)
{
    static const char *const garbage[] = {
        "", "A", "AAA", "====", "A===", "AA==AAAA", "\xff\xff\xff\xff",
        "!!!!", "A A=", "AAAA\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        void *data;
        size_t size;
        char *error = db_policy_decode("bad", garbage[i], "0", &data, &size);

        CHECK(error && strstr(error, "\"bad\"") && !data && !size);
        free(error);
    }
}

static struct db_instruction
instruction(const char *network, enum tp_class class, const char *resource)
{
    struct db_instruction in = { .class = class, .expiry = LLONG_MAX };

    ovs_strlcpy(in.network, network, sizeof in.network);
    ovs_strlcpy(in.resource, resource, sizeof in.resource);
    return in;
}

static void
test_instructions_equal(void)
{
    struct db_instruction a[] = { instruction("vni:1", TP_TCP, "pmd/0"),
                                  instruction("vni:1", TP_UDP, "pmd/1") };
    struct db_instruction b[2];

    memcpy(b, a, sizeof a);
    b[0].score = 5;
    b[1].generation = 6;
    CHECK(db_instructions_equal(a, 2, b, 2));
    CHECK(db_instructions_equal(NULL, 0, NULL, 0));
    CHECK(!db_instructions_equal(a, 2, b, 1));
    b[1].pinned = true;
    CHECK(!db_instructions_equal(a, 2, b, 2));
    b[1] = a[1];
    b[1].resource[0] = '\0';
    CHECK(!db_instructions_equal(a, 2, b, 2));
}

/* Checks that 'error', which is freed, is one if 'bad'. */
static void
check_error(char *error, bool bad)
{
    CHECK((error != NULL) == bad);
    free(error);
}

static void
test_service_values(void)
{
    static const char *const good_ips[] = { "10.0.0.1", "2001:db8::1", "::1",
                                            "::ffff:10.0.0.1" };
    static const char *const bad_ips[] = {
        "", " ", "10.0.0", "10.0.0.1 ", "10.0.0.1/24", "0.0.0.0",
        "255.255.255.255", "224.0.0.5", "::", "ff02::1", "::ffff:224.0.0.1",
        "[::1]", "fe80::1%eth0", "localhost",
    };
    static const char *const bad_macs[] = {
        "", "02:00:00:00:00", "02:00:00:00:00:01:", "02-00-00-00-00-01",
        "00:00:00:00:00:00", "01:00:00:00:00:01", "ff:ff:ff:ff:ff:ff",
        "02:00:00:00:00:0g", " 2:00:00:00:00:01",
    };
    struct in6_addr ip;
    struct eth_addr mac;
    char name[66];

    for (size_t i = 0; i < ARRAY_SIZE(good_ips); i++) {
        check_error(db_parse_address("x", good_ips[i], &ip), false);
    }
    CHECK(in6_addr_get_mapped_ipv4(&ip) == htonl(0x0a000001));
    for (size_t i = 0; i < ARRAY_SIZE(bad_ips); i++) {
        check_error(db_parse_address("x", bad_ips[i], &ip), true);
    }
    check_error(db_parse_mac("02:00:00:00:00:fE", &mac), false);
    CHECK(mac.ea[0] == 2 && mac.ea[5] == 0xfe);
    for (size_t i = 0; i < ARRAY_SIZE(bad_macs); i++) {
        check_error(db_parse_mac(bad_macs[i], &mac), true);
    }

    memset(name, 'n', sizeof name);
    name[63] = '\0';
    check_error(db_check_name("x", name), false);
    name[63] = 'n';
    name[64] = '\0';
    check_error(db_check_name("x", name), true);
    check_error(db_check_name("x", ""), true);
    check_error(db_check_name("x", "a b"), true);
    check_error(db_check_name("x", "a\n"), true);
    check_error(db_check_name("x", "\xc3\xa9"), true);
    check_error(db_check_name("x", "vm-1.example_2/eth0:3"), false);

    char *error = db_parse_address("address", "10.0.0", &ip);
    CHECK(strstr(error, "address \"10.0.0\""));
    free(error);
}

static void
test_gossip_address(void)
{
    static const char *const good[] = { "192.0.2.1:7946", "0.0.0.0:1",
                                        "[2001:db8::1]:65535", "[::]:7946" };
    static const char *const bad[] = {
        "", ":", ":7946", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0",
        "192.0.2.1:65536", "192.0.2.1:7946 ", " 192.0.2.1:7946", "192.0.2:1",
        "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1:0x10", "2001:db8::1:7946",
        "[]:1", "[2001:db8::1]", "[2001:db8::1:7946", "[192.0.2.1]:7946",
        "[::ffff:192.0.2.1]:7946", "192.0.2.1:99999999999999999999",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:1", "host:1",
    };
    struct gossip_addr addr;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CHECK(gossip_addr_parse(good[i], &addr));

        char *s = gossip_addr_to_string(&addr);
        CHECK(!strcmp(s, good[i]));
        free(s);
    }
    CHECK(gossip_addr_parse("192.0.2.1:7946", &addr));
    CHECK(addr.port == 7946 && addr.ip[10] == 0xff && addr.ip[15] == 1);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(!gossip_addr_parse(bad[i], &addr));
    }
}

/* What is replaced now and then is corrected at once; a rival makes for pauses
 * that grow, until there has been peace. */
static void
test_rival(void)
{
    static const int pauses[] = { 30, 60, 120, 240, 300, 300 };
    long long int now = 1000;
    struct db_rival r;

    db_rival_init(&r);
    for (int i = 0; i < 100; i++, now += 20001) {
        CHECK(!db_rival_replaced(&r, now));
        CHECK(!db_rival_is_pausing(&r, now));
    }
    for (int fight = 0; fight < 2; fight++) {
        now += DB_RIVAL_FORGET;
        for (int i = 0; i < DB_RIVAL_MAX; i++) {
            CHECK(!db_rival_replaced(&r, now++));
        }
        for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
            CHECK(db_rival_replaced(&r, now));
            CHECK_EQ(r.pause, pauses[i] * 1000);
            CHECK(db_rival_is_pausing(&r, now + pauses[i] * 1000 - 1));
            now += pauses[i] * 1000;
            CHECK(!db_rival_is_pausing(&r, now));

            /* The other pauses as well, before it replaces it. */
            now += DB_RIVAL_PAUSE_MAX;
        }
    }
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "moved", test_moved },
        { "sane", test_sane },
        { "gate", test_gate },
        { "gate-rate", test_gate_rate },
        { "rival", test_rival },
        { "network", test_network },
        { "remote", test_remote },
        { "patience", test_patience },
        { "policy", test_policy },
        { "policy-garbage", test_policy_garbage },
        { "instructions-equal", test_instructions_equal },
        { "service-values", test_service_values },
        { "gossip-address", test_gossip_address },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
