/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of what becomes of packets: each rule of sess-decide.h, in the
 * events that bring it about. */

#include <config.h>

#include "tests/test-sess-hosts.h"

/* All hosts agree on owners, and send packets there. */
void
test_agree(void)
{
    int share[N_BACKENDS] = { 0 };

    begin(IPPROTO_TCP);
    for (int i = 0; i < N_KEYS; i++) {
        int backend = open_session(i % N_HOSTS, i);

        share[backend]++;
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(owner_at(at, i), backend);
            CHECK_EQ(path.backend, backend);
            CHECK_EQ(path.hops, at != host_of(backend));
        }
    }
    for (int i = 0; i < N_BACKENDS; i++) {
        CHECK(share[i] > N_KEYS / N_BACKENDS / 2);
    }
    /* Each session was established once, where its backend is. */
    for (int i = 0; i < N_HOSTS; i++) {
        CHECK_EQ(hosts[i].counts[SESS_N_ESTABLISHED], share[i]);
        CHECK_EQ(hosts[i].counts[SESS_N_SECOND_HOP], 0);
    }
    end();
}

/* The order in which a packet's way is looked for: table, cache, owner. */
void
test_order(void)
{
    struct path path;
    int at = 0, owner, other;

    begin(IPPROTO_TCP);
    owner = open_session(at, 1);
    other = (owner + 1) % N_BACKENDS;

    /* At the owner's host the table knows better than the cache. */
    gossip(host_of(owner), 1, other);
    path = send_one(host_of(owner), 1, TCP_ACK);
    CHECK_EQ(path.backend, owner);
    CHECK_EQ(path.why, SESS_N_LOCAL);

    /* Elsewhere the cache knows better than the owner of record. */
    at = host_of((owner + 2) % N_BACKENDS);
    gossip(at, 1, other);
    path = send_one(at, 1, TCP_ACK);
    CHECK_EQ(path.hops, 2);     /* There nobody knows it: on to the owner. */
    CHECK_EQ(path.backend, owner);
    CHECK_EQ(hosts[at].counts[SESS_N_KNOWN], 1);

    /* Of what a session does not know: none. */
    CHECK_EQ(hosts[host_of(other)].counts[SESS_N_ESTABLISHED], 0);

    /* A cache entry towards a backend here establishes. */
    gossip(host_of(other), 1, other);
    path = send_one(at, 1, TCP_ACK);
    CHECK_EQ(path.backend, other);
    CHECK_EQ(path.hops, 1);
    CHECK_EQ(hosts[host_of(other)].counts[SESS_N_ESTABLISHED], 1);

    /* Past its time it says nothing any more. */
    now += 700000;
    path = send_one(at, 1, TCP_ACK);
    CHECK_EQ(path.backend, owner);
    end();
}

/* A backend that drains keeps its sessions and gets no new ones. */
static void
test_drain(uint8_t proto)
{
    int backends[N_KEYS], n_drained = 0, second_hops = 0;

    begin(proto);
    for (int i = 0; i < N_KEYS; i++) {
        backends[i] = open_session(i % N_HOSTS, i);
    }
    now += 5000;
    fleet.services[0].backends[0].drain = true;
    plan_all();
    for (int i = 0; i < N_KEYS; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(path.backend, backends[i]);
            second_hops += path.hops > 1;
        }
        n_drained += backends[i] == 0;
    }
    CHECK(n_drained > 0);
    CHECK_EQ(second_hops, 0);

    /* New ones, before anybody has heard of anything. */
    for (int i = N_KEYS; i < 2 * N_KEYS; i++) {
        struct path path = send_one(i % N_HOSTS, i, TCP_SYN);

        if (proto == IPPROTO_TCP) {
            CHECK(path.backend != 0);
        }
        CHECK_EQ(send_one((i + 1) % N_HOSTS, i, TCP_ACK).backend,
                 path.backend);
    }

    /* Later, the new owner of record is asked first; it asks the old one. */
    now += SESS_SETTLE_MS;
    for (int i = 0; proto == IPPROTO_TCP && i < N_KEYS; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(path.backend, backends[i]);
            second_hops += path.hops > 1;
        }
    }
    CHECK(proto != IPPROTO_TCP
          || (second_hops > 0 && second_hops <= 2 * n_drained));

    /* All hear of the exceptions: one hop. */
    for (int i = 0; i < N_KEYS; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            if (backends[i] == 0 && at != host_of(0)) {
                gossip(at, i, 0);
            }
        }
    }
    for (int i = 0; i < N_KEYS; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(path.backend, backends[i]);
            CHECK_EQ(path.hops, at != host_of(backends[i]));
        }
    }
    for (int i = 2 * N_KEYS; i < 3 * N_KEYS; i++) {
        CHECK(send_one(i % N_HOSTS, i, TCP_SYN).backend != 0);
    }

    /* It returns: those that others got meanwhile stay there. */
    fleet.services[0].backends[0].drain = false;
    now += 1000;
    plan_all();
    for (int i = 2 * N_KEYS; i < 3 * N_KEYS; i++) {
        int was = send_one(i % N_HOSTS, i, TCP_ACK).backend;

        CHECK(was != 0);
        CHECK_EQ(send_one((i + 1) % N_HOSTS, i, TCP_ACK).backend, was);
    }
    for (int i = 0; i < N_KEYS; i++) {
        CHECK_EQ(send_one(i % N_HOSTS, i, TCP_ACK).backend, backends[i]);
    }
    end();
}

void
test_drain_tcp(void)
{
    test_drain(IPPROTO_TCP);
}

void
test_drain_udp(void)
{
    test_drain(IPPROTO_UDP);
}

/* UDP has no first packet to be seen: after the time to settle an unknown
 * session is a new one. */
void
test_settle(void)
{
    int i, backend;

    begin(IPPROTO_UDP);
    for (i = 0; owner_at(0, i) != 0; i++) {
        continue;
    }
    backend = open_session(1, i);
    CHECK_EQ(backend, 0);
    now += 1000;
    fleet.services[0].backends[0].drain = true;
    plan_all();
    now += SESS_SETTLE_MS - 1;
    CHECK_EQ(send_one(2, i, 0).backend, 0);
    now += 1;
    CHECK(send_one(2, i, 0).backend != 0);
    end();

    begin(IPPROTO_TCP);
    for (i = 0; owner_at(0, i) != 0; i++) {
        continue;
    }
    open_session(1, i);
    fleet.services[0].backends[0].drain = true;
    plan_all();
    now += SESS_SETTLE_MS;
    CHECK_EQ(send_one(2, i, TCP_ACK).backend, 0);
    /* As long as former owners are remembered, and then while it drains. */
    now += SESS_PREVIOUS_MS;
    CHECK_EQ(send_one(2, i, TCP_ACK).backend, 0);
    end();
}

/* A backend moves: one location changes, and its sessions go with it. */
void
test_migrate(void)
{
    int backends[N_KEYS];

    begin(IPPROTO_TCP);
    for (int i = 0; i < N_KEYS; i++) {
        backends[i] = open_session(i % N_HOSTS, i);
        if (backends[i] == 0) {
            /* As though it were an exception. */
            gossip(3, i, 0);
        }
    }
    /* Unplugged: its packets wait for nobody. */
    locations[0].present = false;
    plan_one(0);
    for (int i = 0; i < N_KEYS; i++) {
        struct path path = send_one(2, i, TCP_ACK);

        if (backends[i] == 0) {
            CHECK_EQ(path.backend, -1);
            CHECK_EQ(path.why, SESS_N_NO_BACKEND);
        } else {
            CHECK_EQ(path.backend, backends[i]);
        }
    }
    /* Plugged in at h1, which says so; the others have not heard yet. */
    locations[0].host = hosts[1].id;
    locations[0].present = true;
    plan_one(1);
    plan_one(0);
    for (int i = 0; i < N_KEYS; i++) {
        struct path path = send_one(2, i, TCP_ACK);

        CHECK_EQ(path.backend, backends[i]);
        CHECK(path.hops <= 2);
    }
    plan_all();
    for (int i = 0; i < N_KEYS; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(path.backend, backends[i]);
            CHECK_EQ(path.hops, at != host_of(backends[i]));
        }
    }
    /* And back. */
    locations[0].host = hosts[0].id;
    plan_all();
    for (int i = 0; i < N_KEYS; i++) {
        CHECK_EQ(send_one(i % N_HOSTS, i, TCP_ACK).backend, backends[i]);
    }
    end();
}

/* A backend moves whose sessions, when owners were others, would have been
 * somebody else's: the host it moves to asks nobody. */
void
test_migrate_young(void)
{
    int backends[N_KEYS];
    uint64_t home;

    begin(IPPROTO_TCP);
    /* It was the last to be heard of. */
    home = locations[0].host;
    locations[0].host = 0;
    plan_all();
    now += 1000;
    locations[0].host = home;
    plan_all();
    now += SESS_SETTLE_MS + 1000;
    for (int i = 0; i < N_KEYS; i++) {
        backends[i] = open_session(i % N_HOSTS, i);
    }
    now += 1000;
    locations[0].host = hosts[1].id;
    plan_all();
    for (int i = 0; i < N_KEYS; i++) {
        for (int at = N_HOSTS - 1; at >= 0; at--) {
            struct path path = send_one(at, i, TCP_ACK);

            CHECK_EQ(path.backend, backends[i]);
            CHECK_EQ(path.hops, at != host_of(backends[i]));
        }
    }
    end();
}

/* Host 3 and the others take each other for dead, or not any more. */
static void
part(bool apart)
{
    for (int i = 0; i < N_HOSTS; i++) {
        for (int j = 0; j < N_BACKENDS; j++) {
            locations[j].alive = !apart || (i == 3) == (j == 3);
        }
        plan_one(i);
    }
}

/* A host dies: its sessions wait, and only they; new ones go elsewhere. */
void
test_kill(void)
{
    int backends[N_KEYS];

    begin(IPPROTO_TCP);
    for (int i = 0; i < N_KEYS; i++) {
        backends[i] = open_session(i % N_HOSTS, i);
    }
    now += 1000;
    part(true);
    for (int i = 0; i < N_KEYS; i++) {
        struct path path = send_one(i % 3, i, TCP_ACK);

        if (backends[i] == 3) {
            CHECK_EQ(path.backend, -1);
            CHECK_EQ(path.why, SESS_N_HELD);
        } else {
            CHECK_EQ(path.backend, backends[i]);
        }
    }
    for (int i = N_KEYS; i < 2 * N_KEYS; i++) {
        int backend = open_session(i % 3, i);

        CHECK(backend != 3);
        CHECK_EQ(send_one((i + 1) % 3, i, TCP_ACK).backend, backend);
    }
    /* It was a partition: all is as before, for both kinds. */
    now += 5000;
    part(false);
    for (int i = 0; i < N_KEYS; i++) {
        CHECK_EQ(send_one(i % N_HOSTS, i, TCP_ACK).backend, backends[i]);
    }
    for (int i = N_KEYS; i < 2 * N_KEYS; i++) {
        CHECK(send_one(i % N_HOSTS, i, TCP_ACK).backend != 3);
    }
    /* It is dead, for long: let clients know. */
    now += 1000;
    part(true);
    now += SESS_HOLD_MS;
    for (int i = 0; i < N_KEYS; i++) {
        struct path path = send_one(i % 3, i, TCP_ACK);

        CHECK(path.backend >= 0 && path.backend != 3);
    }
    end();
}

/* Hosts that do not agree never send a packet on a third time. */
void
test_hops(void)
{
    int dropped = 0;

    begin(IPPROTO_TCP);
    /* Each host believes in an owner of its own. */
    for (int i = 0; i < N_HOSTS; i++) {
        for (int j = 0; j < N_BACKENDS; j++) {
            fleet.services[0].backends[j].drain = j != (i + 1) % N_BACKENDS;
        }
        plan_one(i);
    }
    for (int i = 0; i < N_KEYS; i++) {
        struct path path = send_one(i % N_HOSTS, i, TCP_SYN);

        CHECK(path.hops <= 2);
        if (path.backend < 0) {
            CHECK_EQ(path.why, SESS_N_HOPS);
            dropped++;
        }
    }
    /* By the second hop, a draining one takes what is its own. */
    CHECK(dropped < N_KEYS);
    end();
}

/* New sessions of addresses that had one. */
void
test_reuse(void)
{
    struct sess_info info;
    struct sess_key key;
    struct path path;
    sess_id id;
    int i;

    begin(IPPROTO_TCP);
    for (i = 0; owner_at(0, i) != 0; i++) {
        continue;
    }
    open_session(0, i);
    client_key(&key, i);
    send_one(0, i, TCP_RST);
    sess_find(hosts[0].table, &key, 1, &id);
    CHECK(id && sess_is_closed(hosts[0].table, id));
    /* While it lingers, the last packets still find it. */
    CHECK_EQ(send_one(1, i, TCP_ACK).backend, 0);
    CHECK(sess_is_closed(hosts[0].table, id));
    /* A new one, at the same place. */
    CHECK_EQ(send_one(1, i, TCP_SYN).backend, 0);
    CHECK(sess_get(hosts[0].table, id, &info));
    CHECK_EQ(info.state, SESS_OPENING);
    CHECK_EQ(hosts[0].counts[SESS_N_ESTABLISHED], 2);
    /* It ends, the backend drains: the next one is somebody else's. */
    send_one(0, i, TCP_RST);
    fleet.services[0].backends[0].drain = true;
    plan_all();
    path = send_one(0, i, TCP_SYN);
    CHECK(path.backend > 0);
    /* What ends a session begins none. */
    now += SESS_SETTLE_MS;
    CHECK_EQ(send_one(0, i + 1, TCP_RST).backend, owner_at(0, i + 1));
    client_key(&key, i + 1);
    sess_find(hosts[host_of(owner_at(0, i + 1))].table, &key, 1, &id);
    CHECK(!id);
    end();
}

/* A header cache too small for what is said: each session that it misses is
 * asked for once, and found then; nobody is given it meanwhile.  New sessions
 * are not asked for. */
void
test_asked(void)
{
    struct phc_config config = { .entries = 1, .templates = 64, .seed = 5 };
    static struct sess_key asked[PHC_ASKS];
    struct host *h = &hosts[0];
    int n_missed = 0, n_held = 0, n_strange = 0;

    begin(IPPROTO_TCP);
    phc_destroy(h->phc);
    h->phc = phc_create(&config);
    plan_one(0);
    for (int i = 0; i < N_KEYS / 2; i++) {
        gossip(0, i, 1);
    }
    for (int i = 0; i < N_KEYS / 2; i++) {
        uint64_t known = h->counts[SESS_N_KNOWN];
        struct sess_key key;
        struct path path;

        path = send_one(0, i, TCP_ACK);
        if (h->counts[SESS_N_KNOWN] == known) {
            n_missed++;
            if (owner_at(0, i) == 0) {
                CHECK(path.backend < 0 && path.why == SESS_N_HELD);
                n_held++;
            }
            client_key(&key, i);
            CHECK_EQ(phc_asked(h->phc, asked, now), 1);
            CHECK(sess_key_equals(&asked[0], &key));
            gossip(0, i, 1);
            send_one(0, i, TCP_ACK);
            CHECK_EQ(h->counts[SESS_N_KNOWN], known + 1);
        }
        CHECK_EQ(phc_asked(h->phc, asked, now), 0);
    }
    CHECK(n_missed > N_KEYS / 4 && n_held > 10);

    /* Nobody knows. */
    for (int i = N_KEYS / 2; i < N_KEYS; i++) {
        if (owner_at(0, i) == 0) {
            CHECK_EQ(send_one(0, i, TCP_ACK).why, SESS_N_HELD);
            CHECK_EQ(phc_asked(h->phc, asked, now), 1);
            CHECK_EQ(send_one(0, i, TCP_ACK).backend, 0);
            n_strange++;
        } else {
            send_one(0, i, TCP_SYN);
            CHECK_EQ(phc_asked(h->phc, asked, now), 0);
        }
    }
    CHECK(n_strange > 10);
    end();
}

/* ICMP errors about the sessions of keys 0 to 'n' - 1, from anywhere, go to
 * their backends; 'backends' are those. */
static void
check_icmp(const int *backends, int n, int max_hops)
{
    for (int i = 0; i < n; i++) {
        for (int at = 0; at < N_HOSTS; at++) {
            struct path path = send_icmp(at, i);

            CHECK(!path.passed);
            CHECK_EQ(path.backend, backends[i]);
            CHECK(path.hops >= (at != host_of(backends[i]))
                  && path.hops <= max_hops);
        }
    }
}

/* An ICMP error goes where the session does that it is about, and leaves no
 * trace there.  What is about none is left alone, or dropped if it has been
 * sent on in vain. */
void
test_icmp(void)
{
    static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
    struct sess_counts before[N_HOSTS], after;
    struct sess_info was, is;
    int backends[N_KEYS];
    struct path path;
    struct sess_key key;
    sess_id id;

    for (size_t p = 0; p < ARRAY_SIZE(protos); p++) {
        begin(protos[p]);
        for (int i = 0; i < N_KEYS; i++) {
            backends[i] = open_session(i % N_HOSTS, i);
        }
        for (int i = 0; i < N_HOSTS; i++) {
            sess_table_get_counts(hosts[i].table, &before[i]);
        }
        client_key(&key, 1);
        sess_find(hosts[host_of(backends[1])].table, &key, 1, &id);
        CHECK(sess_get(hosts[host_of(backends[1])].table, id, &was));
        now += 1000;
        check_icmp(backends, N_KEYS, 1);

        /* Nobody's: not the owner of record's either. */
        for (int i = N_KEYS; i < 2 * N_KEYS; i++) {
            for (int at = 0; at < N_HOSTS; at++) {
                path = send_icmp(at, i);
                CHECK_EQ(path.backend, -1);
                CHECK_EQ(path.passed, at == host_of(owner_at(at, i)));
                CHECK(path.passed || path.why == SESS_N_HOPS);
                CHECK_EQ(path.hops, !path.passed);
            }
        }
        CHECK(sess_get(hosts[host_of(backends[1])].table, id, &is));
        CHECK_EQ(is.last, was.last);
        CHECK_EQ(is.packets[0], was.packets[0]);
        CHECK_EQ(is.bytes[1], was.bytes[1]);
        CHECK_EQ(is.state, was.state);
        for (int i = 0; i < N_HOSTS; i++) {
            sess_table_get_counts(hosts[i].table, &after);
            CHECK(!memcmp(&before[i], &after, sizeof after));
        }

        /* Where only gossip says so. */
        gossip((host_of(backends[0]) + 1) % N_HOSTS, 0, backends[0]);
        check_icmp(backends, 1, 1);

        /* Its owner of record is another one now, which asks the one before:
         * no further than other packets. */
        fleet.services[0].backends[0].drain = true;
        plan_all();
        check_icmp(backends, N_KEYS, 2);
        now += SESS_SETTLE_MS;
        if (protos[p] == IPPROTO_TCP) {
            check_icmp(backends, N_KEYS, 2);
        }
        for (int i = 0; i < N_HOSTS; i++) {
            sess_table_get_counts(hosts[i].table, &after);
            CHECK(!memcmp(&before[i], &after, sizeof after));
        }
        end();
    }

    /* No backend anywhere. */
    begin(IPPROTO_TCP);
    for (int i = 0; i < N_BACKENDS; i++) {
        locations[i].host = 0;
    }
    plan_all();
    CHECK(send_icmp(0, 1).passed);
    end();
}
