/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "packets.h"
#include "tests/test-sess-hosts.h"

struct sess_fleet fleet;
struct sess_location locations[N_BACKENDS];
long long int now;

struct host hosts[N_HOSTS];

static const char *const host_names[N_HOSTS] = { "h0", "h1", "h2", "h3" };
static const char *const backend_names[N_BACKENDS] = {
    "b0", "b1", "b2", "b3"
};

static void
make_fleet(uint8_t proto)
{
    struct sess_service *s;

    sess_fleet_init(&fleet);
    fleet.n_hosts = N_HOSTS;
    fleet.hosts = xcalloc(N_HOSTS, sizeof *fleet.hosts);
    for (int i = 0; i < N_HOSTS; i++) {
        fleet.hosts[i].name = xstrdup(host_names[i]);
        fleet.hosts[i].id = gossip_host_id(host_names[i]);
        in6_addr_set_mapped_ipv4(&fleet.hosts[i].encap_ip,
                                 htonl(0x0a000001 + i));
    }
    fleet.n_services = 1;
    s = fleet.services = xcalloc(1, sizeof *fleet.services);
    s->name = xstrdup("web");
    s->id = sess_id_of_name("web");
    in6_addr_set_mapped_ipv4(&s->addr, htonl(0x0a090909));
    s->proto = proto;
    s->port = htons(80);
    s->bridge = xstrdup("br0");
    s->vni = 5;
    s->n_backends = N_BACKENDS;
    s->backends = xcalloc(N_BACKENDS, sizeof *s->backends);
    for (int i = 0; i < N_BACKENDS; i++) {
        s->backends[i].name = xstrdup(backend_names[i]);
        s->backends[i].id = sess_id_of_name(backend_names[i]);
        s->backends[i].port = xstrdup(backend_names[i]);
        s->backends[i].weight = 1;
        locations[i] = (struct sess_location) {
            .backend = s->backends[i].id, .host = fleet.hosts[i].id,
            .alive = true, .present = true,
        };
    }
}

/* Gives the header cache of 'h' the members of the service. */
static void
set_members(struct host *h)
{
    struct phc_member members[N_BACKENDS];
    uint16_t service = 0;
    size_t n = 0;

    for (size_t i = 1; i < h->plan->n_backends; i++) {
        const struct sess_plan_backend *b = &h->plan->backends[i];

        if (b->id && b->host) {
            members[n].owner = i;
            members[n++].addr = b->addr;
            service = b->service;
        }
    }
    CHECK(!phc_service_set(h->phc, service, members, n));
}

/* Makes host 'i' follow what is said now. */
void
plan_one(int i)
{
    struct host *h = &hosts[i];
    struct sess_plan_args args = {
        .fleet = &fleet, .self = h->id,
        .locations = locations, .n_locations = N_BACKENDS,
        .numbers = h->numbers, .last = h->plan, .now = now,
    };
    struct sess_plan *plan = sess_plan_create(&args);

    sess_plan_destroy(h->plan);
    h->plan = plan;
    set_members(h);
}

void
plan_all(void)
{
    for (int i = 0; i < N_HOSTS; i++) {
        plan_one(i);
    }
}

void
begin(uint8_t proto)
{
    struct phc_config phc_config = {
        .entries = 4096, .templates = 64, .seed = 5
    };
    struct sess_config config;

    now = 1000000;
    make_fleet(proto);
    sess_config_init(&config);
    config.max = 4096;
    for (int i = 0; i < N_HOSTS; i++) {
        struct host *h = &hosts[i];

        memset(h, 0, sizeof *h);
        h->name = host_names[i];
        h->id = gossip_host_id(h->name);
        h->numbers = sess_numbers_create();
        h->table = sess_table_create(&config);
        h->phc = phc_create(&phc_config);
        /* Numbers need not be the same on all hosts. */
        for (int j = 0; j < i; j++) {
            sess_numbers_get(h->numbers, SESS_NUMBER_BACKEND, 1, j, 0, now);
        }
    }
    plan_all();
}

void
end(void)
{
    for (int i = 0; i < N_HOSTS; i++) {
        struct host *h = &hosts[i];

        sess_plan_destroy(h->plan);
        sess_numbers_destroy(h->numbers);
        sess_table_destroy(h->table);
        phc_destroy(h->phc);
    }
    sess_fleet_uninit(&fleet);
}

const struct sess_plan_service *
service_of(const struct host *h)
{
    return sess_plan_find(h->plan, &fleet.services[0].addr,
                          fleet.services[0].proto, htons(80), NULL, -1);
}

void
client_key(struct sess_key *key, int i)
{
    sess_key_init_ip4(key, htonl(0xc0000200 + i), htonl(0x0a090909),
                      htons(1024 + i), htons(80), fleet.services[0].proto, 0);
}

/* Index of the backend with number 'number' on 'h', or -1. */
static int
backend_index(const struct host *h, uint16_t number)
{
    for (int i = 0; i < N_BACKENDS; i++) {
        if (h->plan->backends[number].id == locations[i].backend) {
            return i;
        }
    }
    return -1;
}

uint16_t
backend_number(const struct host *h, int i)
{
    return sess_plan_backend_number(h->plan, fleet.services[0].id,
                                    locations[i].backend);
}

/* Owner of record of key 'i', as host 'host' sees it. */
int
owner_at(int host, int i)
{
    struct sess_key key;

    client_key(&key, i);
    return backend_index(&hosts[host],
                         sess_plan_owner(service_of(&hosts[host]), &key));
}

static const struct sess_target *
find_target(const struct host *h, uint16_t number)
{
    for (size_t i = 0; i < h->plan->n_targets; i++) {
        if (h->plan->targets[i].number == number) {
            return &h->plan->targets[i];
        }
    }
    return NULL;
}

/* Returns what 'h' decides on a packet of key 'i', or an ICMP error about one
 * if 'icmp', that comes by 'hop'. */
static uint16_t
decide_at(struct host *h, int i, unsigned int hop, bool icmp,
          uint8_t tcp_flags)
{
    struct sess_burst burst = {
        .n = 1, .service = service_of(h), .hop = hop
    };
    uint16_t target;

    client_key(&burst.keys[0], i);
    if (icmp) {
        return sess_decide_icmp(h->plan, h->table, h->phc, burst.service, hop,
                                &burst.keys[0], now, &h->stats, h->counts);
    }
    burst.packets[0] = (struct sess_packet) {
        .tcp_flags = tcp_flags, .bytes = 60, .now_us = now * 1000,
    };
    sess_decide(h->plan, h->table, h->phc, &burst, now, &target, &h->stats,
                h->counts);
    return target;
}

static struct path
send_any(int at, int i, bool icmp, uint8_t tcp_flags)
{
    struct path path = { .backend = -1 };

    for (;;) {
        struct host *h = &hosts[at];
        uint64_t before[SESS_N_COUNTS];
        const struct sess_target *t;
        uint64_t n = 0;
        uint16_t target;

        memcpy(before, h->counts, sizeof before);
        target = decide_at(h, i, path.hops, icmp, tcp_flags);
        if (icmp && target == SESS_PASS) {
            CHECK(!memcmp(before, h->counts, sizeof before));
            path.passed = true;
            return path;
        }
        CHECK_EQ(h->counts[SESS_N_ICMP_ERRORS] - before[SESS_N_ICMP_ERRORS],
                 icmp && target);
        for (int j = 0; j < SESS_N_DROPS; j++) {
            n += h->counts[j] - before[j];
            if (h->counts[j] != before[j]) {
                path.why = j;
            }
        }
        CHECK_EQ(n, 1);
        if (!target) {
            path.dropped_at = at;
            return path;
        }
        t = find_target(h, target);
        CHECK(t);
        if (t->local) {
            path.backend = backend_index(h, t->backend);
            CHECK(locations[path.backend].host == h->id);
            return path;
        }
        CHECK_EQ(t->hop2, path.hops > 0);
        CHECK_EQ(t->vni, path.hops ? 5 | SESS_HOP2_VNI : 5);
        CHECK(path.hops < 2);
        path.hops++;
        for (at = 0; hosts[at].id != t->host; at++) {
            continue;
        }
        CHECK(ipv6_addr_equals(&t->dst, &fleet.hosts[at].encap_ip));
    }
}

/* Sends a packet of key 'i' that comes in at host 'at'. */
struct path
send_one(int at, int i, uint8_t tcp_flags)
{
    return send_any(at, i, false, tcp_flags);
}

/* Sends an ICMP error about a packet of the session of key 'i'. */
struct path
send_icmp(int at, int i)
{
    return send_any(at, i, true, 0);
}

/* Opens the session of key 'i' by way of host 'at', where the owner of record
 * is, and returns its backend. */
int
open_session(int at, int i)
{
    struct path path = send_one(at, i, TCP_SYN);

    CHECK_EQ(path.backend, owner_at(at, i));
    CHECK(path.hops <= 1);
    return path.backend;
}

int
host_of(int backend)
{
    for (int i = 0; i < N_HOSTS; i++) {
        if (hosts[i].id == locations[backend].host) {
            return i;
        }
    }
    return -1;
}

/* Has host 'to' hear that the session of key 'i' is 'backend''s. */
void
gossip(int to, int i, int backend)
{
    struct host *h = &hosts[to];
    struct sess_key key;

    client_key(&key, i);
    CHECK(!phc_put(h->phc, &key, service_of(h)->number,
                   backend_number(h, backend), 1, (uint32_t) now + 600000,
                   now));
}
