/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of gossip: members, spreading, comparisons, bounds.  The seal and
 * the messages are in test-gossip-seal.c. */

#include <config.h>

#include <arpa/inet.h>
#include <string.h>

#include "tests/test-gossip-net.h"
#include "tests/test-steering-util.h"

static struct net *
met(int n)
{
    struct net *net = net_create(n);

    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    return net;
}

static bool
have(const struct net *net, int i, const char *key)
{
    return gossip_lookup(net->nodes[i].g, GOSSIP_SESSION, key, strlen(key));
}

static int
n_having(const struct net *net, const char *key)
{
    int n = 0;

    for (int i = 0; i < net->n; i++) {
        n += net->nodes[i].up && have(net, i, key);
    }
    return n;
}

static void
own(struct net *net, int i, const char *key, uint32_t ttl)
{
    gossip_own_session(net->nodes[i].g, key, strlen(key),
                       gossip_self(net->nodes[i].g), ttl);
}

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
    own(net, 0, first, 0);
    own(net, 0, second, 0);
    CHECK(have(net, 0, first) && !have(net, 0, second));
    CHECK_EQ(gossip_n_records(net->nodes[0].g), 1);

    /* Another's. */
    net_start(net, 1);
    own(net, 1, second, 0);
    CHECK(have(net, 1, second) && !have(net, 1, first));
    CHECK(net_run_until(net, net_all_alive, 20000));
    net_run(net, 10000);
    CHECK(have(net, 0, first) && !have(net, 0, second));
    CHECK(have(net, 1, second) && !have(net, 1, first));
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
    own(net, 0, session, 0);
    CHECK(have(net, 0, session));
    own(net, 0, backend, 0);
    CHECK(have(net, 0, backend) && !have(net, 0, session));
    own(net, 0, session, 0);
    CHECK(have(net, 0, backend) && !have(net, 0, session));
    CHECK_EQ(gossip_n_records(net->nodes[0].g), 1);

    /* Another's, which was there first. */
    net_start(net, 1);
    own(net, 1, session, 0);
    CHECK(have(net, 1, session));
    CHECK(net_run_until(net, net_all_alive, 20000));
    net_run(net, 10000);
    CHECK(have(net, 1, backend) && !have(net, 1, session));
    CHECK(have(net, 0, backend) && !have(net, 0, session));
    net_destroy(net);
}

/* Hosts that know a seed find all others. */
static void
test_join(void)
{
    struct net *net = met(12);

    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 12);
    }
    net_destroy(net);
}

static bool
halves_are_apart(const struct net *net OVS_UNUSED, int from, int to)
{
    return (from < 2) != (to < 2);
}

/* Two parts of a fleet that have found themselves do not look for more; HELLO
 * to one of the other part makes them one. */
static void
test_islands(void)
{
    struct net *net = net_create(4);
    struct gossip_addr addr;

    net->drops = halves_are_apart;
    net_start_all(net);
    net_run(net, 3000);
    addr = net_addr(3);
    gossip_say_hello(net->nodes[2].g, &addr);
    net_run(net, 3000);
    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 2);
    }

    net->drops = NULL;
    net_run(net, 20000);
    CHECK_EQ(gossip_n_alive(net->nodes[3].g), 2);
    addr = net_addr(1);
    gossip_say_hello(net->nodes[3].g, &addr);
    CHECK(net_run_until(net, net_all_alive, 3000));
    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 4);
    }
    net_destroy(net);
}

/* Who dies is suspected first, then dead; all agree. */
static void
test_death(void)
{
    struct net *net = met(6);
    long long suspected = 0, dead = 0;

    net_stop(net, 3);
    for (int ms = 0; ms < 60000 && !dead; ms++) {
        net_run(net, 1);
        if (!suspected && net_state(net, 1, 3) == GOSSIP_SUSPECT) {
            suspected = ms;
        }
        if (net_state(net, 1, 3) == GOSSIP_DEAD) {
            dead = ms;
        }
    }
    CHECK(suspected && dead > suspected + 1000);
    CHECK(net_run_until(net, net_all_alive, 1000));
    net_destroy(net);
}

static int cut_off;

static bool
drop_to_and_from(const struct net *net OVS_UNUSED, int from, int to)
{
    return from == cut_off || to == cut_off;
}

/* A suspicion is refuted with a higher incarnation. */
static void
test_refutation(void)
{
    struct net *net = met(6);
    struct gossip_member_info before, after;
    uint64_t id = gossip_self(net->nodes[4].g);
    struct gossip_stats stats;
    int suspected = 0;

    CHECK(gossip_member(net->nodes[0].g, id, &before));
    cut_off = 4;
    net->drops = drop_to_and_from;
    for (int ms = 0; ms < 20000 && !suspected; ms++) {
        net_run(net, 1);
        for (int i = 0; i < 6; i++) {
            suspected += i != 4 && net_state(net, i, 4) == GOSSIP_SUSPECT;
        }
    }
    CHECK(suspected);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 20000));
    for (int i = 0; i < 6; i++) {
        gossip_get_stats(net->nodes[i].g, &stats);
        CHECK_EQ(stats.deaths, 0);
    }
    CHECK(gossip_member(net->nodes[0].g, id, &after));
    CHECK(after.incarnation > before.incarnation);
    CHECK_EQ(after.epoch, before.epoch);
    gossip_get_stats(net->nodes[4].g, &stats);
    CHECK(stats.refutations >= 1);
    net_destroy(net);
}

/* One accuser waits for long, several do not. */
static long long
time_to_die(int accusers)
{
    struct net *net = met(8);
    struct gossip_member_info info;
    uint64_t id = gossip_self(net->nodes[7].g);
    long long ms = 0;

    /* Node 0 is alone with what it is told. */
    CHECK(gossip_member(net->nodes[0].g, id, &info));
    cut_off = 0;
    net->drops = drop_to_and_from;
    net_run(net, 2);
    for (int i = 0; i < accusers; i++) {
        struct gossip_record r = { .version = info.incarnation << 2
                                              | GOSSIP_SUSPECT,
                                   .origin
                                   = gossip_self(net->nodes[i + 1].g) };
        struct gossip_member_value v = { .epoch = info.epoch,
                                         .addr = info.addr };
        struct gossip_from from = { r.origin, net->nodes[i + 1].epoch,
                                    false };
        struct gossip_addr addr = net_addr(i + 1);
        struct gossip_out out;

        ovs_strlcpy(v.name, info.name, sizeof v.name);
        gossip_member_encode(&r, id, &v);
        gossip_out_init(&out);
        gossip_out_record(&out, &r, 0);
        gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf,
                       out.len);
    }
    CHECK_EQ(net_state(net, 0, 7), GOSSIP_SUSPECT);
    for (; net_state(net, 0, 7) != GOSSIP_DEAD && ms < 100000; ms++) {
        net->now++;
        gossip_run(net->nodes[0].g, net->now);
    }
    net_destroy(net);
    return ms;
}

static void
test_suspicion(void)
{
    long long alone = time_to_die(1), confirmed = time_to_die(3);

    CHECK(confirmed >= 3900 && confirmed <= 4100);
    CHECK(alone >= 3 * confirmed && alone <= 24500);
}

/* Who hears nothing from anybody doubts itself. */
static void
test_health(void)
{
    struct net *net = met(6);

    cut_off = 2;
    net->drops = drop_to_and_from;
    net_run(net, 5000);
    CHECK(gossip_health(net->nodes[2].g) >= 3);
    CHECK(gossip_health(net->nodes[0].g) <= 1);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 40000));
    net_run(net, 60000);
    CHECK_EQ(gossip_health(net->nodes[2].g), 0);
    net_destroy(net);
}

static bool
drop_between_halves(const struct net *net, int from, int to)
{
    return (from < net->n / 2) != (to < net->n / 2);
}

/* Halves that thought each other dead find together, and tell each other what
 * was said meanwhile. */
static void
test_partition(void)
{
    struct net *net = met(10);

    net->drops = drop_between_halves;
    net_run(net, 60000);
    CHECK_EQ(gossip_n_alive(net->nodes[0].g), 5);
    CHECK_EQ(gossip_n_alive(net->nodes[9].g), 5);
    own(net, 0, "left", 0);
    own(net, 9, "right", 0);
    net_run(net, 10000);
    CHECK_EQ(n_having(net, "left"), 5);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 40000));
    net_run(net, 20000);
    CHECK_EQ(n_having(net, "left"), 10);
    CHECK_EQ(n_having(net, "right"), 10);
    net_destroy(net);
}

/* A host that starts again is taken for what it is now, whether or not its
 * death was noticed. */
static void
test_restart(void)
{
    struct net *net = met(5);
    struct gossip_member_info info;

    for (int down = 100; down <= 60100; down += 60000) {
        uint64_t id = gossip_self(net->nodes[2].g);

        net_stop(net, 2);
        net_run(net, down);
        net_start(net, 2);
        net_run(net, 3000);
        CHECK(net_run_until(net, net_all_alive, 20000));
        for (int i = 0; i < 5; i++) {
            CHECK(gossip_member(net->nodes[i].g, id, &info));
            CHECK_EQ(info.epoch, net->nodes[2].epoch);
        }
        own(net, 2, down == 100 ? "first" : "second", 0);
        net_run(net, 2000);
    }
    CHECK_EQ(n_having(net, "first"), 5);
    CHECK_EQ(n_having(net, "second"), 5);
    net_destroy(net);
}

static void
test_leave(void)
{
    struct net *net = met(5);
    struct gossip_stats stats;

    gossip_leave(net->nodes[1].g);
    net_run(net, 1000);
    net_stop(net, 1);
    CHECK(net_all_alive(net));
    CHECK_EQ(net_state(net, 0, 1), GOSSIP_LEFT);
    net_run(net, 30000);
    for (int i = 0; i < 5; i++) {
        if (i != 1) {
            gossip_get_stats(net->nodes[i].g, &stats);
            CHECK_EQ(stats.suspicions, 0);
        }
    }
    net_destroy(net);
}

/* Has node 0 hear that 'name' is in 'state'.  Returns its number. */
static uint64_t
hear_of(struct net *net, const char *name, enum gossip_state state)
{
    struct gossip_from from = { .host = gossip_self(net->nodes[1].g),
                                .epoch = net->nodes[1].epoch };
    struct gossip_addr addr = net_addr(1);
    struct gossip_member_value v = { .epoch = 77, .addr = addr };
    struct gossip_record r = { .version = 77 << 2 | state };
    struct gossip_out out;

    ovs_strlcpy(v.name, name, sizeof v.name);
    r.origin = gossip_host_id(name);
    gossip_member_encode(&r, r.origin, &v);
    gossip_out_init(&out);
    gossip_out_record(&out, &r, 0);
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    return r.origin;
}

/* Names come and go: those that are gone make room for those that come, and
 * for nobody else. */
static void
test_names(void)
{
    struct net *net = net_create(2);
    struct gossip_member_info info, infos[30];
    struct gossip_stats stats;
    struct gossip *g;
    char name[16];
    uint64_t id;

    net->cfg.max_members = 20;
    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    g = net->nodes[0].g;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        id = hear_of(net, name, GOSSIP_ALIVE);
        CHECK(gossip_member(g, id, &info) && info.state == GOSSIP_ALIVE);
        hear_of(net, name, i % 2 ? GOSSIP_DEAD : GOSSIP_LEFT);
        CHECK(gossip_member(g, id, &info) && info.state != GOSSIP_ALIVE);
    }
    CHECK_EQ(gossip_members(g, infos, ARRAY_SIZE(infos)), 20);
    id = hear_of(net, "n0", GOSSIP_LEFT);
    CHECK(!gossip_member(g, id, &info));
    for (int i = 2000; i < 2018; i++) {
        snprintf(name, sizeof name, "n%d", i);
        hear_of(net, name, GOSSIP_ALIVE);
    }
    CHECK_EQ(gossip_n_alive(g), 20);
    id = hear_of(net, "one too many", GOSSIP_ALIVE);
    CHECK(!gossip_member(g, id, &info));
    gossip_get_stats(g, &stats);
    CHECK_EQ(stats.records_refused, 2);
    CHECK(gossip_member(g, gossip_self(net->nodes[1].g), &info)
          && info.state == GOSSIP_ALIVE);
    net_destroy(net);
}

/* Everything that is said reaches all, quickly, and the newest counts. */
static void
test_spread(void)
{
    struct net *net = met(20);
    struct gossip_session_value v;
    struct gossip_load_value load = { 0.5, 0.25, 1, 77 };
    const struct gossip_record *r;
    uint8_t key[8];

    own(net, 3, "a session", 0);
    net_run(net, 300);
    CHECK_EQ(n_having(net, "a session"), 20);
    own(net, 8, "a session", 0);                /* It has moved. */
    gossip_load(net->nodes[8].g, &load);
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
    CHECK_EQ(n_having(net, "a session"), 0);
    CHECK_EQ(net->nodes[19].expired, 1);
    net_destroy(net);
}

/* Nothing is sent but probes when there is nothing to say. */
static void
test_silence(void)
{
    struct net *net = met(10);
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
        own(net, i % 8, key, 0);
        net_run(net, 20);
    }
    net_run(net, 1500);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "s%d", i);
        CHECK_EQ(n_having(net, key), 8);
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
    struct net *net = met(6);
    struct gossip_stats stats;
    uint64_t before = 0, after = 0;
    char key[16];

    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "s%d", i);
        own(net, i % 5, key, 0);
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
        own(net, i % 5, key, 0);
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
        own(net, i % 3, key, 0);
        net_run(net, 2);
    }
    net_start(net, 3);
    net_run(net, 90000);
    CHECK_EQ(gossip_n_records(net->nodes[3].g), 5000);
    CHECK(net->largest > 1000 && net->largest <= GOSSIP_MTU);
    net_destroy(net);
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
        own(net, 0, key, 0);
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
    CHECK(have(net, 0, "s19999"));
    net->drops = drop_all;
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
    struct net *net = met(6);
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
            own(net, i, name, 0);
            net_run(net, 400);
            CHECK_EQ(n_having(net, name), 6);
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
    { "join", test_join },
    { "collision", test_collision },
    { "yield", test_yield },
    { "islands", test_islands },
    { "death", test_death },
    { "refutation", test_refutation },
    { "suspicion", test_suspicion },
    { "health", test_health },
    { "partition", test_partition },
    { "restart", test_restart },
    { "leave", test_leave },
    { "names", test_names },
    { "spread", test_spread },
    { "silence", test_silence },
    { "loss", test_loss },
    { "sync", test_sync },
    { "late", test_late },
    { "bounds", test_bounds },
    { "hints", test_hints },
    { "rotation", test_rotation },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
