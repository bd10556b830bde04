/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of gossip: records, how they spread, are compared and are kept
 * within bounds, and what keys they have. */

#include <config.h>

#include <string.h>

#include "tests/test-gossip-net.h"
#include "tests/test-steering-util.h"

/* Two keys of sessions with one hash, which anybody can make (an integer
 * relation among powers of the prime of FNV).  The one that a host has first
 * stays there, and the other is not taken for it. */
static void
test_collision(void)
{
    static const char first[]
        = "\x0e\x6e\x9e\x2d\x5d\x71\x06\xb1\x7b\x35";
    static const char second[]
        = "\x66\x2f\xbb\x38\xd1\xd5\x0c\x4e\x26\x28";
    struct gossip_record a = { .class = GOSSIP_SESSION, .key_len = 10 }, b = a;
    struct net *net = net_create(2);
    struct gossip_stats stats;

    memcpy(a.key, first, 10);
    memcpy(b.key, second, 10);
    CHECK(gossip_record_hash(&a) == gossip_record_hash(&b));

    /* Its own, before there is anybody else. */
    net_start(net, 0);
    net_own(net, 0, first, 0);
    net_own(net, 0, second, 0);
    CHECK(net_have(net, 0, first) && !net_have(net, 0, second));
    CHECK_EQ(gossip_n_records(net->nodes[0].g), 1);

    /* Another's. */
    net_start(net, 1);
    net_own(net, 1, second, 0);
    CHECK(net_have(net, 1, second) && !net_have(net, 1, first));
    CHECK(net_run_until(net, net_all_alive, 20000));
    net_run(net, 10000);
    CHECK(net_have(net, 0, first) && !net_have(net, 0, second));
    CHECK(net_have(net, 1, second) && !net_have(net, 1, first));
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK(stats.rx_bad_records > 0);
    net_destroy(net);
}

/* A long key, as those of sessions are, with the hash of a short one, as those
 * of backends are: the short one has the place on all hosts. */
static void
test_yield(void)
{
    static const char backend[]
        = "\x5b\x05\xf2\x80\xa6\x8c\xed\x93\xb6";
    static const char session[]
        = "\x02\x01\x1e\x0a\x02\x05\x1d\x0b\x19"
          "\x0a\x0e\x04\x03\x0c\x03\x02\x3c\x07";
    struct gossip_record a = { .class = GOSSIP_SESSION, .key_len = 9 };
    struct gossip_record b = { .class = GOSSIP_SESSION, .key_len = 18 };
    struct net *net = net_create(2);

    memcpy(a.key, backend, 9);
    memcpy(b.key, session, 18);
    CHECK(gossip_record_hash(&a) == gossip_record_hash(&b));

    /* Its own. */
    net_start(net, 0);
    net_own(net, 0, session, 0);
    CHECK(net_have(net, 0, session));
    net_own(net, 0, backend, 0);
    CHECK(net_have(net, 0, backend) && !net_have(net, 0, session));
    net_own(net, 0, session, 0);
    CHECK(net_have(net, 0, backend) && !net_have(net, 0, session));
    CHECK_EQ(gossip_n_records(net->nodes[0].g), 1);

    /* Another's, which was there first. */
    net_start(net, 1);
    net_own(net, 1, session, 0);
    CHECK(net_have(net, 1, session));
    CHECK(net_run_until(net, net_all_alive, 20000));
    net_run(net, 10000);
    CHECK(net_have(net, 1, backend) && !net_have(net, 1, session));
    CHECK(net_have(net, 0, backend) && !net_have(net, 0, session));
    net_destroy(net);
}

/* Everything that is said reaches all, quickly, and the newest counts. */
static void
test_spread(void)
{
    struct net *net = net_met(20);
    struct gossip_session_value v;
    struct gossip_load_value load = { 0.5, 0.25, 1, 77 };
    const struct gossip_record *r;
    uint8_t key[8];

    net_own(net, 3, "a session", 0);
    net_run(net, 300);
    CHECK_EQ(net_n_having(net, "a session"), 20);
    net_own(net, 8, "a session", 0);                /* It has moved. */
    gossip_load(net->nodes[8].g, &load, 0);
    net_run(net, 300);
    gossip_put(key, gossip_self(net->nodes[8].g), 8);
    for (int i = 0; i < 20; i++) {
        r = gossip_lookup(net->nodes[i].g, GOSSIP_SESSION, "a session", 9);
        CHECK(gossip_session_decode(r, &v));
        CHECK(!v.closed && v.host == gossip_self(net->nodes[8].g));
        r = gossip_lookup(net->nodes[i].g, GOSSIP_LOAD, key, 8);
        CHECK(r && gossip_load_decode(r, &load));
        CHECK(load.cpu > 0.49 && load.cpu < 0.51 && load.sessions == 77);
    }
    gossip_close_session(net->nodes[0].g, "a session", 9);
    net_run(net, 300);
    r = gossip_lookup(net->nodes[19].g, GOSSIP_SESSION, "a session", 9);
    CHECK(gossip_session_decode(r, &v) && v.closed);
    net_run(net, 61000);                        /* Then it is forgotten. */
    CHECK_EQ(net_n_having(net, "a session"), 0);
    CHECK_EQ(net->nodes[19].expired, 1);
    net_destroy(net);
}

/* How many of the others that are up have the load of host 0, and it is that
 * of 'sessions'. */
static int
n_having_load(const struct net *net, uint32_t sessions)
{
    struct gossip_load_value load;
    const struct gossip_record *r;
    uint8_t key[8];
    int n = 0;

    gossip_put(key, gossip_host_id("node-0"), 8);
    for (int i = 1; i < net->n; i++) {
        r = gossip_lookup(net->nodes[i].g, GOSSIP_LOAD, key, 8);
        n += r && gossip_load_decode(r, &load) && load.sessions == sessions;
    }
    return n;
}

/* A host whose clock was set back between two starts: its versions start below
 * those that others have.  What it says counts within the time of a load; and
 * when it is dead, nobody has it. */
static void
test_load(void)
{
    enum { PERIOD = 10000, TTL = 3 * PERIOD };
    struct net *net = net_met(4);
    struct gossip_load_value load = { .sessions = 1 };
    struct net_node *node = &net->nodes[0];

    net_run(net, 3600000);
    gossip_load(node->g, &load, TTL);
    net_run(net, 300);
    CHECK_EQ(n_having_load(net, 1), 3);

    net_stop(net, 0);
    node->ahead = (long long) node->epoch + 1 - (1000000 + net->now);
    net_start(net, 0);
    CHECK(net_run_until(net, net_all_alive, 20000));
    load.sessions = 2;
    for (int ms = 0; ms <= TTL; ms += PERIOD) {
        gossip_load(node->g, &load, TTL);
        net_run(net, ms < TTL ? PERIOD : 300);
    }
    CHECK_EQ(n_having_load(net, 2), 3);

    net_stop(net, 0);
    net_run(net, TTL);
    CHECK_EQ(n_having_load(net, 2), 0);
    net_destroy(net);
}

/* Nothing is sent but probes when there is nothing to say. */
static void
test_silence(void)
{
    struct net *net = net_met(10);
    struct gossip_stats before, after;

    net_run(net, 5000);
    gossip_get_stats(net->nodes[0].g, &before);
    net_run(net, 10000);
    gossip_get_stats(net->nodes[0].g, &after);
    CHECK(after.tx_datagrams - before.tx_datagrams <= 30);
    CHECK_EQ(gossip_n_queued(net->nodes[0].g), 0);
    net_destroy(net);
}

/* With a third of all datagrams lost, updates arrive without comparisons. */
static void
test_loss(void)
{
    struct net *net = net_create(8);
    char key[16];

    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    for (int i = 0; i < 8; i++) {
        net_stop(net, i);
    }
    net->cfg.sync_interval = 0;
    net_start_all(net);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            char name[16];
            struct gossip_addr addr = net_addr(j);

            snprintf(name, sizeof name, "node-%d", j);
            gossip_add_member(net->nodes[i].g, name, &addr,
                              net->nodes[j].epoch);
        }
    }
    net->loss = 0.3;
    net_run(net, 15000);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "s%d", i);
        net_own(net, i % 8, key, 0);
        net_run(net, 20);
    }
    net_run(net, 1500);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "s%d", i);
        CHECK_EQ(net_n_having(net, key), 8);
    }
    net_destroy(net);
}

static bool
drop_sixth(const struct net *net OVS_UNUSED, int from, int to)
{
    return from == 5 || to == 5;
}

/* Comparisons bring what was missed, and only that. */
static void
test_sync(void)
{
    struct net *net = net_met(6);
    struct gossip_stats stats;
    uint64_t before = 0, after = 0;
    char key[16];

    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "s%d", i);
        net_own(net, i % 5, key, 0);
        if (i % 20 == 0) {
            net_run(net, 10);
        }
    }
    net_run(net, 20000);
    CHECK_EQ(gossip_n_records(net->nodes[5].g), 3000);
    net_run(net, 20000);
    for (int i = 0; i < 6; i++) {
        gossip_get_stats(net->nodes[i].g, &stats);
        before += stats.sync_records;
    }
    net->drops = drop_sixth;
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "t%d", i);
        net_own(net, i % 5, key, 0);
    }
    net_run(net, 1500);
    CHECK_EQ(gossip_n_records(net->nodes[5].g), 3000);
    net->drops = NULL;
    net_run(net, 40000);
    CHECK_EQ(gossip_n_records(net->nodes[5].g), 3030);
    for (int i = 0; i < 6; i++) {
        gossip_get_stats(net->nodes[i].g, &stats);
        after += stats.sync_records;
    }
    CHECK(after - before >= 30 && after - before <= 150);
    net_destroy(net);
}

/* A host that comes late gets everything, in datagrams that fit. */
static void
test_late(void)
{
    struct net *net = net_create(4);
    char key[16];

    for (int i = 0; i < 3; i++) {
        net_start(net, i);
    }
    net_run(net, 5000);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "s%d", i);
        net_own(net, i % 3, key, 0);
        net_run(net, 2);
    }
    net_start(net, 3);
    net_run(net, 90000);
    CHECK_EQ(gossip_n_records(net->nodes[3].g), 5000);
    CHECK(net->largest > 1000 && net->largest <= GOSSIP_MTU);
    net_destroy(net);
}

/* A path that takes IPv6's smallest packets and says nothing of larger ones:
 * all arrives, by spreading and by comparison. */
static void
test_path(void)
{
    struct net *net = net_create(4);
    char key[GOSSIP_KEY_MAX + 1];

    net->mtu = 1280 - 40 - 8;
    for (int i = 0; i < 3; i++) {
        net_start(net, i);
    }
    net_run(net, 5000);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "a session of two IPv6 addresses %07d", i);
        net_own(net, i % 3, key, 0);
    }
    net_run(net, 2000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(gossip_n_records(net->nodes[i].g), 500);
    }
    net_start(net, 3);
    net_run(net, 20000);
    CHECK_EQ(gossip_n_records(net->nodes[3].g), 500);
    CHECK(net->largest > 1000 && net->largest <= net->mtu);
    net_destroy(net);
}

static size_t n_requested;

static void
count_requested(void *aux OVS_UNUSED, const struct gossip_to *to OVS_UNUSED,
                const void *payload, size_t n)
{
    struct gossip_tlv tlv;
    size_t at = 0;

    CHECK(n <= GOSSIP_PAYLOAD_MAX);
    while (gossip_message_next(payload, n, &at, &tlv)) {
        n_requested += tlv.type == GOSSIP_T_REQUEST ? tlv.len / 8 : 0;
    }
}

/* The summary of an older build, which has larger datagrams: what it has is
 * asked for, all of it. */
static void
test_older(void)
{
    enum { N = (GOSSIP_RX_PAYLOAD_MAX - 4 - 17) / 16 };
    uint8_t message[4 + 17 + 16 * N] = { GOSSIP_VERSION, GOSSIP_T_SUMMARY };
    struct gossip_from from = { gossip_host_id("old"), 1, false };
    struct gossip_addr addr = net_addr(1);
    struct gossip_config cfg;
    struct gossip *g;

    gossip_config_init(&cfg);
    ovs_strlcpy(cfg.name, "new", sizeof cfg.name);
    cfg.epoch = 1;
    cfg.tx = count_requested;
    g = gossip_create(&cfg, 1000);
    gossip_add_member(g, "old", &addr, 1);
    gossip_put(message + 2, sizeof message - 4, 2);
    gossip_put(message + 13, N + 1, 8);         /* From 0 to this. */
    for (int i = 0; i < N; i++) {
        gossip_put(message + 21 + 16 * i, i + 1, 8);
        gossip_put(message + 29 + 16 * i, 1, 8);
    }
    gossip_receive(g, 1000, &from, &addr, message, sizeof message);
    CHECK_EQ(n_requested, N);
    gossip_destroy(g);
}

static bool
drop_all(const struct net *net OVS_UNUSED, int from OVS_UNUSED,
         int to OVS_UNUSED)
{
    return true;
}

/* A storm of news: queue, records and rate stay within bounds. */
static void
test_bounds(void)
{
    struct net *net = net_create(4);
    struct gossip_stats before, after;
    char key[16];

    net->cfg.max_records = 1000;
    net->cfg.max_queue = 200;
    net->cfg.max_rate = 50000;
    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    gossip_get_stats(net->nodes[0].g, &before);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "s%d", i);
        net_own(net, 0, key, 0);
        CHECK(gossip_n_queued(net->nodes[0].g) <= 200);
        CHECK(gossip_n_records(net->nodes[0].g) <= 1000);
        if (i % 20 == 0) {
            net_run(net, 10);
        }
    }
    gossip_get_stats(net->nodes[0].g, &after);
    CHECK(after.queue_dropped > 1000 && after.records_evicted >= 19000);
    CHECK(after.throttled);
    /* 10 s, a burst of a quarter of a second, and what answers others. */
    CHECK(after.tx_bytes - before.tx_bytes < 10 * 50000 + 50000 + 300000);
    for (int i = 1; i < 4; i++) {
        CHECK(gossip_n_records(net->nodes[i].g) <= 1000);
    }
    CHECK(net->largest <= GOSSIP_MTU);
    CHECK(net_have(net, 0, "s19999"));
    net->drops = drop_all;
    net_destroy(net);
}

/* Has host 'i' say of 'n' sessions that it has them, one after the other. */
static void
own_sessions(struct net *net, int i, int first, int n)
{
    char key[24];

    for (int j = first; j < first + n; j++) {
        snprintf(key, sizeof key, "a session %08d", j);
        net_own(net, i, key, 0);
        net_run(net, 5);
    }
}

/* Sessions, however many, push out nothing else, and if there is nothing but
 * that they are refused.  What goes is said to be gone, unless it is of a
 * session. */
static void
test_eviction(void)
{
    struct net *net = net_create(2);
    struct gossip_stats stats;
    char key[16];

    net->cfg.max_records = 100;
    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    net_own(net, 0, "B1", 0);
    own_sessions(net, 0, 0, 200);
    net_run(net, 2000);
    for (int i = 0; i < 2; i++) {
        CHECK(net_have(net, i, "B1"));
        CHECK(net_have(net, i, "a session 00000199"));
        CHECK(!net_have(net, i, "a session 00000000"));
        CHECK_EQ(gossip_n_records(net->nodes[i].g), 100);
        CHECK_EQ(net->nodes[i].expired, 0);
    }

    net->drops = drop_all;
    for (int i = 2; i <= 100; i++) {
        snprintf(key, sizeof key, "B%d", i);
        net_own(net, 0, key, 0);
    }
    CHECK_EQ(net->nodes[0].expired, 0);
    CHECK(net_have(net, 0, "B1") && net_have(net, 0, "B100"));
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.records_refused, 0);
    own_sessions(net, 0, 200, 1);
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.records_refused, 1);
    CHECK(!net_have(net, 0, "a session 00000200"));
    net_own(net, 0, "B101", 0);
    CHECK(!net_have(net, 0, "B1") && net_have(net, 0, "B101"));
    CHECK_EQ(net->nodes[0].expired, 1);
    net_destroy(net);
}

static bool
refresh(struct net *net, int i, const char *key, uint32_t ttl)
{
    return gossip_refresh_session(net->nodes[i].g, key, strlen(key), ttl);
}

/* Who says so, as host 'at' has heard. */
static uint64_t
said_by(const struct net *net, int at, const char *key)
{
    const struct gossip_record *r
        = gossip_lookup(net->nodes[at].g, GOSSIP_SESSION, key, strlen(key));

    return r ? r->origin : 0;
}

/* The word of a host counts for as long as the host says, which it may do
 * again and again; nobody does for a dead one. */
static void
test_refresh(void)
{
    struct net *net = net_met(4);

    net_own(net, 0, "B1", 10000);
    net_own(net, 3, "B2", 10000);
    net_run(net, 300);
    CHECK(!refresh(net, 1, "B1", 10000) && !refresh(net, 1, "B9", 10000));
    net_stop(net, 3);
    for (int i = 0; i < 30; i++) {
        CHECK_EQ(net_n_having(net, "B1"), 3);
        CHECK(refresh(net, 0, "B1", 10000));
        net_run(net, 3000);
    }
    CHECK_EQ(net_n_having(net, "B1"), 3);
    CHECK_EQ(net_n_having(net, "B2"), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(net->nodes[i].expired, 1);
    }

    /* It is no news: whoever says something else before hearing of it is
     * right. */
    net->drops = drop_all;
    net_own(net, 1, "B1", 10000);
    net_run(net, 50);
    CHECK(refresh(net, 0, "B1", 10000));
    net->drops = NULL;
    net_run(net, 7000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(said_by(net, i, "B1"), gossip_self(net->nodes[1].g));
    }
    CHECK(!refresh(net, 0, "B1", 10000));

    /* Cut off for longer than it counts for others. */
    net->drops = drop_all;
    for (int i = 0; i < 10; i++) {
        CHECK(refresh(net, 1, "B1", 10000));
        net_run(net, 3000);
    }
    CHECK(!said_by(net, 0, "B1") && !said_by(net, 2, "B1"));
    net->drops = NULL;
    for (int i = 0; i < 15; i++) {
        CHECK(refresh(net, 1, "B1", 10000));
        net_run(net, 1000);
    }
    CHECK_EQ(net_n_having(net, "B1"), 3);
    net_destroy(net);
}

/* Improbable hints stay home, and of too many the improbable ones. */
static void
test_hints(void)
{
    struct net *net = net_create(5);
    struct gossip_hint_value v = { .target = 5, .template_id = 42 };
    const struct gossip_record *r;
    struct gossip_stats stats;
    int told = 0;
    char key[16];

    net->cfg.hint_rate = 10;
    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    v.probability = 0.4;
    CHECK(!gossip_hint(net->nodes[0].g, "no", 2, &v, 1000));
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "s%03d", i);
        v.probability = 0.5 + i / 1000.0;
        CHECK(gossip_hint(net->nodes[0].g, key, 4, &v, 5000));
    }
    net_run(net, 3000);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "s%03d", i);
        r = gossip_lookup(net->nodes[4].g, GOSSIP_HINT, key, 4);
        if (r) {
            struct gossip_hint_value got;

            told++;
            CHECK(gossip_hint_decode(r, &got) && got.template_id == 42
                  && got.target == 5);
            /* But for the one that was there when there were no others. */
            CHECK(i == 0 || i >= 460);
        }
    }
    CHECK(told >= 25 && told <= 35);
    net_run(net, 8000);
    CHECK(!gossip_lookup(net->nodes[4].g, GOSSIP_HINT, "s499", 4));
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.hints_told + stats.hints_home, 501);
    net_destroy(net);
}

/* Keys change while updates flow: none is lost, nothing is refused. */
static void
test_rotation(void)
{
    struct net *net = net_met(6);
    uint8_t old[GOSSIP_KEY_SIZE], new[GOSSIP_KEY_SIZE];
    char name[16];

    net_key(1, old);
    net_key(2, new);
    for (int phase = 0; phase < 4; phase++) {
        for (int i = 0; i < 6; i++) {           /* One host after another. */
            struct gossip_seal *seal = net->nodes[i].seal;

            if (phase == 1) {
                CHECK_EQ(gossip_seal_add_key(seal, new), 0);
            } else if (phase == 2) {
                CHECK_EQ(gossip_seal_use_key(seal, new), 0);
            } else if (phase == 3) {
                CHECK_EQ(gossip_seal_remove_key(seal, old), 0);
                CHECK_EQ(gossip_seal_n_keys(seal), 1);
            }
            snprintf(name, sizeof name, "r%d-%d", phase, i);
            net_own(net, i, name, 0);
            net_run(net, 400);
            CHECK_EQ(net_n_having(net, name), 6);
        }
    }
    for (int i = 0; i < 6; i++) {
        for (int e = GOSSIP_OPEN_OK + 1; e < GOSSIP_OPEN_N; e++) {
            CHECK(e == GOSSIP_OPEN_SELF
                  || !gossip_seal_count(net->nodes[i].seal, e));
        }
    }
    net_destroy(net);
}

static const struct test tests[] = {
    { "collision", test_collision },
    { "yield", test_yield },
    { "spread", test_spread },
    { "load", test_load },
    { "silence", test_silence },
    { "loss", test_loss },
    { "sync", test_sync },
    { "late", test_late },
    { "path", test_path },
    { "older", test_older },
    { "bounds", test_bounds },
    { "eviction", test_eviction },
    { "refresh", test_refresh },
    { "hints", test_hints },
    { "rotation", test_rotation },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
