/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of what a host reads: keyrings of gossip, and how busy the kernel
 * says it is. */

#include <config.h>

#include <math.h>
#include <string.h>

#include "datapath-hooks/session/session-proc.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/gossip-keys.h"
#include "ovs-ext/session/gossip-wire.h"
#include "tests/test-util.h"

#define HEX(C) C C C C C C C C C C C C C C C C C C C C C C C C C C C C C C C C
#define K1 HEX("01")
#define K2 HEX("a2")
#define K3 HEX("3C")

static void
check_error(const char *text, const char *part)
{
    struct gossip_keyring ring;
    char *error = gossip_keyring_parse(text, strlen(text), &ring);

    CHECK(error);
    if (!strstr(error, part)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", error, part);
        exit(1);
    }
    free(error);
}

static void
parse(const char *text, struct gossip_keyring *ring)
{
    char *error = gossip_keyring_parse(text, strlen(text), ring);

    if (error) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
}

static void
test_keyring(void)
{
    struct gossip_keyring ring;

    parse("# ours\n\n  " K1 "  # in use\r\n" K3, &ring);
    CHECK_EQ(ring.n, 2);
    CHECK_EQ(ring.keys[0][31], 1);
    CHECK_EQ(ring.keys[1][0], 0x3c);
    check_error("", "no key");
    check_error("# none\n", "no key");
    check_error(K1 "\n" K1 "\n", "line 2: this key is there already");
    check_error(K1 "\n\n" "0" K2 "\n", "line 3: a key has 64");
    check_error(HEX("0g"), "line 1: not a hex");
    check_error(K1 " " K2, "line 1: a key has 64");

    /* As many as fit, and one more. */
    char text[8192] = "";
    for (int i = 0; i < GOSSIP_KEYRING_MAX; i++) {
        snprintf(text + strlen(text), 128, "%064d\n", i + 1);
    }
    parse(text, &ring);
    CHECK_EQ(ring.n, GOSSIP_KEYRING_MAX);
    snprintf(text + strlen(text), 128, "%064d\n", 99);
    check_error(text, "too many");
}

/* Whether 'to', host 2 that started at 2000, opens what 'from' seals now. */
static bool
opens(struct gossip_seal *from, struct gossip_seal *to)
{
    uint8_t datagram[GOSSIP_MTU], payload[GOSSIP_RX_PAYLOAD_MAX];
    struct gossip_from sender;
    size_t n, payload_n;

    n = gossip_seal_close(from, 2, 2000, "hello", 5, datagram);
    CHECK(n);
    return !gossip_seal_open(to, datagram, n, &sender, payload, &payload_n);
}

static bool
has_key(const struct gossip_keyring *ring, const uint8_t key[GOSSIP_KEY_SIZE])
{
    for (size_t i = 0; i < ring->n; i++) {
        if (!memcmp(ring->keys[i], key, GOSSIP_KEY_SIZE)) {
            return true;
        }
    }
    return false;
}

/* From any ring to any other: what is in the new one is accepted, what is not
 * is refused, and the first is used. */
static void
test_rotation(void)
{
    struct gossip_seal *seal = gossip_seal_create(2, 2000, 100000);
    struct gossip_keyring none = { .n = 0 }, ring = none;
    uint64_t sender = 1000;
    struct ext_rng rng;

    ext_rng_init(&rng, 1);
    for (int round = 0; round < 500; round++) {
        uint8_t first = ext_rng_range(&rng, 10);
        struct gossip_keyring new = none;

        new.n = 1 + ext_rng_range(&rng, GOSSIP_KEYRING_MAX);
        for (size_t i = 0; i < new.n; i++) {
            memset(new.keys[i], first + i + 1, GOSSIP_KEY_SIZE);
        }
        gossip_keyring_apply(seal, &ring, &new);
        uint32_t ids[GOSSIP_MAX_KEYS], other_ids[GOSSIP_MAX_KEYS];
        CHECK_EQ(gossip_seal_n_keys(seal), new.n);
        CHECK_EQ(gossip_seal_key_ids(seal, ids), new.n);
        ring = new;
        for (int i = 1; i <= 20; i++) {
            struct gossip_seal *other = gossip_seal_create(sender++, 2000, 1);
            uint8_t key[GOSSIP_KEY_SIZE];

            memset(key, i, sizeof key);
            CHECK_EQ(gossip_seal_add_key(other, key), 0);
            CHECK_EQ(opens(other, seal), has_key(&ring, key));
            gossip_seal_destroy(other);
        }

        struct gossip_seal *third = gossip_seal_create(1, 3000, 1);
        CHECK_EQ(gossip_seal_add_key(third, ring.keys[0]), 0);
        uint8_t datagram[GOSSIP_MTU], payload[GOSSIP_RX_PAYLOAD_MAX];
        struct gossip_from from;
        size_t n = gossip_seal_close(seal, 1, 3000, "x", 1, datagram);
        CHECK_EQ(gossip_seal_open(third, datagram, n, &from, payload, &n), 0);
        CHECK_EQ(gossip_seal_key_ids(third, other_ids), 1);
        CHECK_EQ(ids[0], other_ids[0]);
        gossip_seal_destroy(third);
    }
    gossip_seal_destroy(seal);
}

/* Any bytes: a keyring or an error, nothing else. */
static void
test_junk(void)
{
    static const char some[] = "0123456789abcdefABCDEF \n\t#\r";
    char text[512];
    struct ext_rng rng;

    ext_rng_init(&rng, 2);
    for (int round = 0; round < 100000; round++) {
        size_t n = ext_rng_range(&rng, sizeof text);
        bool wild = ext_rng_range(&rng, 2);
        struct gossip_keyring ring;

        for (size_t i = 0; i < n; i++) {
            text[i] = (wild ? ext_rng_range(&rng, 256)
                       : some[ext_rng_range(&rng, i % 65 == 64
                                            ? sizeof some - 1 : 22)]);
        }
        char *error = gossip_keyring_parse(text, n, &ring);
        CHECK(error || (ring.n && ring.n <= GOSSIP_KEYRING_MAX));
        free(error);
    }
}

static void
test_cpu(void)
{
    struct session_cpu_times *t = session_cpu_times_create();

    CHECK(session_cpu_times_busy(t, 0) < 0);
    session_cpu_times_parse(t, "cpu  9 9 9 9 9 9 9 9 0 0\n"
                            "cpu0 100 0 0 900 0 0 0 0 0 0\n"
                            "cpu2 10 10 10 10 10 10 10 10 0 0\n"
                            "intr 5 5 5\n");
    CHECK(fabs(session_cpu_times_busy(t, 0) - 0.1) < 1e-9);
    CHECK(session_cpu_times_busy(t, 1) < 0);
    CHECK(fabs(session_cpu_times_busy(t, 2) - 0.75) < 1e-9);
    CHECK(session_cpu_times_busy(t, -1) < 0);
    CHECK(session_cpu_times_busy(t, SESSION_MAX_CPUS) < 0);

    /* Since then; idle time that goes back; no time at all. */
    session_cpu_times_parse(t, "cpu0 175 0 0 925 0 0 0 0 0 0\n"
                            "cpu2 20 10 10 5 10 10 10 10 0 0");
    CHECK(fabs(session_cpu_times_busy(t, 0) - 0.75) < 1e-9);
    CHECK(fabs(session_cpu_times_busy(t, 2) - 1) < 1e-9);
    session_cpu_times_parse(t, "cpu0 175 0 0 925 0 0 0 0 0 0\n"
                            "cpu9999 1 1 1 1 1\ncpu3 junk\ncpu\n");
    CHECK(session_cpu_times_busy(t, 0) == 0);
    CHECK(session_cpu_times_busy(t, 3) < 0);
    session_cpu_times_parse(t, "");

    /* This machine's. */
    session_cpu_times_read(t);
    CHECK(session_cpu_times_busy(t, 0) <= 1);
    session_cpu_times_destroy(t);
}

static void
test_memory(void)
{
    CHECK(fabs(session_memory_parse("MemTotal:    1000 kB\n"
                                    "MemFree:      100 kB\n"
                                    "MemAvailable: 250 kB\n") - 0.75) < 1e-9);
    /* Huge pages do not count. */
    CHECK(fabs(session_memory_parse("MemTotal:        1000 kB\n"
                                    "MemAvailable:     250 kB\n"
                                    "HugePages_Total:    1\n"
                                    "Hugepagesize:     100 kB\n"
                                    "Hugetlb:          500 kB\n")
               - 0.5) < 1e-9);
    CHECK(fabs(session_memory_parse("MemTotal:        1000 kB\n"
                                    "MemAvailable:     250 kB\n"
                                    "HugePages_Total:    5\n"
                                    "Hugepagesize:     100 kB\n")
               - 0.5) < 1e-9);
    CHECK(isnan(session_memory_parse("MemTotal: 1000\nMemAvailable: 250\n"
                                     "Hugetlb: 1000\n")));
    CHECK(isnan(session_memory_parse("MemTotal: 1000 kB\n")));
    CHECK(isnan(session_memory_parse("MemTotal: 0\nMemAvailable: 0\n")));
    CHECK(isnan(session_memory_parse("MemTotal: 1\nMemAvailable: 2\n")));
    CHECK(isnan(session_memory_parse("MemTotal: x\nMemAvailable: 2\n")));
    CHECK(isnan(session_memory_parse("")));
    CHECK(session_memory_used() > 0 && session_memory_used() < 1);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "keyring", test_keyring },
        { "rotation", test_rotation },
        { "junk", test_junk },
        { "cpu", test_cpu },
        { "memory", test_memory },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
