/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of session keys, the session table and owners of record: pure
 * code, time and seeds given. */

#include <config.h>

#include <math.h>
#include <pthread.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/core/ext-headers.h"
#include "ovs-ext/session/sess-owner.h"
#include "ovs-ext/session/sess-table.h"
#include "ovs-thread.h"
#include "packets.h"
#include "tests/test-sess.h"

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
            CHECK_EQ(info.backend, 5);
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

    /* ...unless the backend goes on. */
    id = sess_establish(t, &key, 1, 10000);
    p = (struct sess_packet) { .tcp_flags = TCP_RST };
    sess_packet(t, id, &p, 10000);
    p.tcp_flags = TCP_ACK;
    sess_packet(t, id, &p, 10000);
    CHECK(sess_is_closed(t, id));
    p.dir = 1;
    p.tcp_flags = TCP_SYN | TCP_ACK;
    sess_packet(t, id, &p, 10000);
    p.tcp_flags = TCP_RST | TCP_ACK;
    sess_packet(t, id, &p, 10000);
    CHECK(sess_is_closed(t, id));
    p.tcp_flags = TCP_ACK;
    sess_packet(t, id, &p, 10000);
    CHECK(sess_get(t, id, &info));
    CHECK_EQ(info.state, SESS_OPEN);
    CHECK_EQ(sess_expire(t, 12000, SIZE_MAX, count_gone, gone), 0);
    p.dir = 0;
    p.tcp_flags = TCP_RST;
    sess_packet(t, id, &p, 12000);
    CHECK_EQ(sess_expire(t, 14000, SIZE_MAX, count_gone, gone), 1);
    CHECK_EQ(gone[SESS_CLOSED], 3);
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
    struct sess_table *table = race->shared;
    uint32_t self = race_join(race);
    struct sess_packet p = { .dir = self & 1, .tcp_flags = TCP_ACK,
                             .payload = 10 };
    struct ext_rng rng;

    ext_rng_init(&rng, self);
    while (!race_stopped(race)) {
        uint64_t number = ext_rng_range(&rng, RACE_KEYS);
        struct sess_info info;
        struct sess_key key;
        sess_id id;

        make_key(&key, number);
        id = find(table, &key);
        CHECK(id || number >= RACE_KEYS / 2);
        if (!id) {
            id = sess_establish(table, &key, 1, 0);
        }
        if (id) {
            p.seq += 10;
            p.ack = p.seq;
            sess_packet(table, id, &p, 0);
            race_found(race, self);
            if (number < RACE_KEYS / 2) {
                CHECK(!sess_get(table, id, &info)
                      || sess_key_equals(&info.key, &key));
            }
        }
    }
    return NULL;
}

static void
test_race_sessions(void)
{
    struct sess_table *table = make_table(RACE_KEYS);
    struct race race = { .shared = table };
    pthread_t threads[RACE_READERS];
    struct sess_counts counts;
    struct sess_info info;
    struct sess_key key;
    struct ext_rng rng;
    size_t pos = 0, n = 0;

    for (size_t i = 0; i < RACE_KEYS / 2; i++) {
        make_key(&key, i);
        CHECK(sess_establish(table, &key, 1, 0));
    }
    for (size_t i = 0; i < RACE_READERS; i++) {
        threads[i] = ovs_thread_create("worker", sess_worker, &race);
    }
    ext_rng_init(&rng, 99);
    for (int i = 0; i < 100000 || !race_all_found(&race); i++) {
        make_key(&key, RACE_KEYS / 2 + ext_rng_range(&rng, RACE_KEYS / 2));
        sess_remove(table, &key);
    }
    race_stop(&race);
    for (size_t i = 0; i < RACE_READERS; i++) {
        xpthread_join(threads[i], NULL);
        CHECK(race.found[i] > 0);
    }
    while (sess_next(table, &pos, &info)) {
        CHECK(find(table, &info.key) == pos);
        n++;
    }
    sess_table_get_counts(table, &counts);
    CHECK_EQ(counts.n, n);
    CHECK_EQ(counts.established, n + counts.removed);
    sess_table_destroy(table);
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

/* Changes some of the '*np' members 'm', which are sorted. */
static void
change_members(struct ext_rng *rng, struct sess_member *m, size_t *np)
{
    size_t n = 0;

    for (size_t i = 0; i < *np; i++) {
        m[n] = m[i];
        switch (ext_rng_range(rng, 20)) {
        case 0: continue;
        case 1: m[n].draining = !m[n].draining; break;
        case 2: m[n].weight = ext_rng_range(rng, 3); break;
        default: break;
        }
        n++;
    }
    while (n < 40 && ext_rng_range(rng, 3)) {
        uint64_t id = ext_rng_next(rng);
        size_t at = n;

        while (at && m[at - 1].id > id) {
            m[at] = m[at - 1];
            at--;
        }
        m[at] = (struct sess_member) { .id = id, .weight = 1 };
        n++;
    }
    *np = n;
}

/* What comes of a change is what comes of making it all anew. */
static void
test_changes(void)
{
    struct sess_member m[40] = { { 0 } }, last[40];
    struct sess_owners *owners = sess_owners_create(m, 0);
    size_t n = 0, n_last = 0;
    struct ext_rng rng;

    ext_rng_init(&rng, 3);
    for (int i = 0; i < 300; i++) {
        struct sess_owners *new, *anew;

        memcpy(last, m, n * sizeof *m);
        n_last = n;
        change_members(&rng, m, &n);
        if (i % 20 == 19) {
            for (size_t j = 0; j < n; j++) {
                m[j].draining = true;
            }
        }
        new = sess_owners_update(owners, last, n_last, m, n);
        anew = sess_owners_create(m, n);
        CHECK(!memcmp(new, anew, sizeof *new));
        sess_owners_destroy(owners);
        sess_owners_destroy(anew);
        owners = new;
    }
    sess_owners_destroy(owners);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "key", test_key },
        { "sessions", test_sessions },
        { "close", test_close },
        { "rtt", test_rtt },
        { "race", test_race_sessions },
        { "owners", test_owners },
    { "changes", test_changes },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
