/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Services as a host receives them from a real server. */

#include <config.h>
#include "tests/test-db-client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/poll-loop.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-session.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovsdb-idl.h"
#include "svec.h"
#include "tests/test-util.h"
#include "util.h"

size_t
client_follow(struct ovsdb_idl *idl, const char *host,
              struct sess_fleet *fleet)
{
    struct svec errors = SVEC_EMPTY_INITIALIZER;
    size_t n;

    for (;;) {
        ovsdb_idl_run(idl);
        if (db_fleet_follow(idl, host, true)) {
            break;
        }
        ovsdb_idl_wait(idl);
        poll_block();
    }
    db_fleet_read(idl, fleet, &errors);
    n = errors.n;
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", errors.names[i]);
        CHECK(!errors.names[i][strcspn(errors.names[i], "\n\x01\x7f")]);
    }
    svec_destroy(&errors);
    return n;
}

/* Waits until there are that many services, backends in the first of them,
 * and hosts. */
static void
expect(struct ovsdb_idl *idl, const char *host, size_t n_services,
       size_t n_backends, size_t n_hosts)
{
    for (;;) {
        unsigned int seqno = ovsdb_idl_get_seqno(idl);
        struct sess_fleet fleet;
        bool ok;

        client_follow(idl, host, &fleet);
        ok = (fleet.n_services == n_services && fleet.n_hosts == n_hosts
              && (!n_services
                  || fleet.services[0].n_backends == n_backends));
        sess_fleet_uninit(&fleet);
        if (ok) {
            return;
        }
        client_pump(idl, seqno);
    }
}

static const struct ovsext_service *
insert_service(struct ovsdb_idl_txn *txn, const char *name,
               const char *address, const char *hosts[], size_t n_hosts)
{
    const struct ovsext_service *s = ovsext_service_insert(txn);

    ovsext_service_set_name(s, name);
    ovsext_service_set_protocol(s, "tcp");
    ovsext_service_set_address(s, address);
    ovsext_service_set_port(s, 80);
    ovsext_service_set_bridge(s, "br0");
    ovsext_service_set_encapsulation(s, "geneve");
    ovsext_service_set_vni(s, 5);
    ovsext_service_set_hosts(s, hosts, n_hosts);
    return s;
}

static struct ovsext_backend *
insert_backend(struct ovsdb_idl_txn *txn, const char *name, const char *port,
               const char *mac)
{
    const struct ovsext_backend *b = ovsext_backend_insert(txn);

    ovsext_backend_set_name(b, name);
    ovsext_backend_set_port(b, port);
    ovsext_backend_set_mac(b, mac);
    return CONST_CAST(struct ovsext_backend *, b);
}

static void
insert_host(struct ovsdb_idl_txn *txn, const char *name, const char *encap_ip,
            const char *gossip)
{
    const struct ovsext_host *h = ovsext_host_insert(txn);

    ovsext_host_set_name(h, name);
    ovsext_host_set_encap_ip(h, encap_ip);
    ovsext_host_set_gossip(h, gossip);
}

static void
check_values(const struct sess_fleet *f)
{
    const struct sess_service *s = sess_fleet_service(f, "web");
    const struct sess_host *h = sess_fleet_host(f, gossip_host_id("h2"));
    char ip[INET6_ADDRSTRLEN];

    CHECK(s && s->id == sess_id_of_name("web"));
    CHECK(!strcmp(ipv6_string_mapped(ip, &s->addr), "10.0.0.100"));
    CHECK(s->proto == IPPROTO_TCP && s->port == htons(80) && !s->zone);
    CHECK(!strcmp(s->bridge, "br0") && s->encap == PHC_GENEVE && s->vni == 5);
    CHECK_EQ(s->n_hosts, 2);
    CHECK(!strcmp(s->hosts[0], "h1") && !strcmp(s->hosts[1], "h2"));
    CHECK_EQ(s->n_backends, 2);
    CHECK(!strcmp(s->backends[0].name, "b1"));
    CHECK(!strcmp(s->backends[1].port, "p2") && s->backends[1].drain);
    CHECK(s->backends[0].weight == 1 && s->backends[1].weight == 2.5);
    CHECK(s->backends[1].mac.ea[5] == 2);

    CHECK(h && !strcmp(h->name, "h2") && h->gossip.port == 7777);
    CHECK(!strcmp(ipv6_string_mapped(ip, &h->encap_ip), "192.0.2.2"));
    CHECK(h->gossip.ip[15] == 2 && !h->drain);
}

/* A host receives services when it wants them, and of hosts those that it
 * shares one with. */
void
client_fleet(const char *remote, char *args[] OVS_UNUSED)
{
    static const char *members[] = { "h1", "h2" };
    static const char *others[] = { "h3" };
    struct ovsdb_idl *admin = client_open_admin(remote);
    struct ovsdb_idl *idl = client_open_host(remote, "h1");
    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);
    const struct ovsext_service *s;
    struct ovsext_backend *b[2];
    struct sess_fleet fleet, same;

    insert_host(txn, "h1", "192.0.2.1", "192.0.2.1:7777");
    insert_host(txn, "h2", "192.0.2.2", "192.0.2.2:7777");
    insert_host(txn, "h3", "2001:db8::3", "[2001:db8::3]:7777");
    b[0] = insert_backend(txn, "b1", "p1", "02:00:00:00:00:01");
    b[1] = insert_backend(txn, "b2", "p2", "02:00:00:00:00:02");
    ovsext_backend_set_weight(b[1], 2.5);
    ovsext_backend_set_drain(b[1], true);
    s = insert_service(txn, "web", "10.0.0.100", members, 2);
    ovsext_service_set_backends(s, b, 2);
    client_commit(txn);

    CHECK(!ovsext_service_first(idl) && !ovsext_backend_first(idl));
    expect(idl, "h1", 1, 2, 2);
    CHECK(!db_host_row(idl, "h3"));
    CHECK_EQ(client_follow(idl, "h1", &fleet), 0);
    check_values(&fleet);
    sess_fleet_clone(&same, &fleet);
    CHECK(sess_fleet_equals(&fleet, &same));
    sess_fleet_uninit(&same);
    sess_fleet_uninit(&fleet);

    /* Another service, which this host has no part in, and one for all. */
    txn = ovsdb_idl_txn_create(admin);
    insert_service(txn, "other", "10.0.0.101", others, 1);
    client_commit(txn);
    expect(idl, "h1", 2, 0, 2);
    txn = ovsdb_idl_txn_create(admin);
    insert_service(txn, "all", "10.0.0.102", NULL, 0);
    client_commit(txn);
    expect(idl, "h1", 3, 0, 3);

    /* The administrator drains a host, which is news. */
    txn = ovsdb_idl_txn_create(admin);
    ovsext_host_set_drain(db_host_row(admin, "h2"), true);
    ovsext_service_delete(db_service_row(admin, "all"));
    ovsext_service_delete(db_service_row(admin, "other"));
    client_commit(txn);
    expect(idl, "h1", 1, 2, 2);
    client_follow(idl, "h1", &fleet);
    CHECK(sess_fleet_host(&fleet, gossip_host_id("h2"))->drain);
    sess_fleet_uninit(&fleet);

    /* Back to its own row. */
    while (!db_fleet_follow(idl, "h1", false) || ovsext_service_first(idl)
           || ovsext_backend_first(idl) || db_host_row(idl, "h2")) {
        ovsdb_idl_wait(idl);
        poll_block();
        ovsdb_idl_run(idl);
    }
    CHECK(db_host_row(idl, "h1"));
    ovsdb_idl_destroy(idl);
    ovsdb_idl_destroy(admin);
}

/* Garbage. */

/* One of 's', or garbage. */
static const char *
perhaps(struct ext_rng *rng, const char *s, int max)
{
    return ext_rng_range(rng, 3) ? s : client_text(rng, 1, max);
}

static void
garbage_service(struct ext_rng *rng, struct ovsdb_idl *admin,
                struct ovsdb_idl_txn *txn, int i)
{
    static const char *const addresses[] = {
        "10.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::",
        "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "10.0.0.01", "10.0.0",
    };
    const char *hosts[2] = { client_text(rng, 1, 200), "h1" };
    struct ovsext_backend *backends[3];
    size_t n = 0;

    /* A name of its own, for the index. */
    char *name = xasprintf("%s%d", perhaps(rng, "s", 50), i);
    const struct ovsext_service *s
        = insert_service(txn, name, "10.0.0.100", hosts, 2);
    ovsext_service_set_address(
        s, perhaps(rng, addresses[ext_rng_range(rng, ARRAY_SIZE(addresses))],
                   45));
    ovsext_service_set_bridge(s, perhaps(rng, "br0", 60));
    ovsext_service_set_port(s, i % 65535 + 1);
    ovsext_service_set_zone(s, ext_rng_range(rng, 2) * 65535);
    free(name);
    for (int j = 0; j < 2; j++) {
        name = xasprintf("%s%d_%d", perhaps(rng, "b", 40), i, j);
        backends[n++] = insert_backend(
            txn, name, perhaps(rng, "p", 60),
            ext_rng_range(rng, 2) ? "01:00:5e:00:00:01"
            : ext_rng_range(rng, 2) ? client_text(rng, 17, 17)
            : "02:00:00:00:00:01");
        ovsext_backend_set_weight(backends[n - 1],
                                  ext_rng_range(rng, 2) ? 0 : 1e-300);
        free(name);
    }
    /* One of another service as well. */
    const struct ovsext_backend *any = ovsext_backend_first(admin);
    if (any) {
        backends[n++] = CONST_CAST(struct ovsext_backend *, any);
    }
    ovsext_service_set_backends(s, backends, n);
}

static void
garbage_host_row(struct ext_rng *rng, struct ovsdb_idl_txn *txn, int i)
{
    char *name = xasprintf("%s%d", perhaps(rng, "h", 120), i);

    insert_host(txn, name, perhaps(rng, "192.0.2.9", 45),
                perhaps(rng, "192.0.2.9:1", 60));
    free(name);
}

static void
garbage_hint(struct ext_rng *rng, struct ovsdb_idl_txn *txn, int i)
{
    const struct ovsext_migration_hint *h = ovsext_migration_hint_insert(txn);
    char *backend = xasprintf("%s%d", client_text(rng, 1, 50), i);

    ovsext_migration_hint_set_host(h, perhaps(rng, "h1", 100));
    ovsext_migration_hint_set_backend(h, backend);
    ovsext_migration_hint_set_target(h, client_text(rng, 1, 200));
    ovsext_migration_hint_set_expiry(h, ext_rng_range(rng, 2) * INT64_MAX);
    free(backend);
}

/* What holds for each fleet that is read. */
static void
check_sane(const struct sess_fleet *f)
{
    CHECK(f->n_services <= SESS_MAX_SERVICES);
    for (size_t i = 0; i < f->n_services; i++) {
        const struct sess_service *s = &f->services[i];

        CHECK(s->name[0] && s->bridge[0] && s->port && s->vni);
        CHECK(strlen(s->bridge) < 64 && s->vni <= SESS_MAX_VNI);
        CHECK(ipv6_addr_is_set(&s->addr)
              && !IN6_IS_ADDR_MULTICAST(&s->addr));
        CHECK(!i || strcmp(s[-1].name, s->name) < 0);
        for (size_t j = 0; j < s->n_backends; j++) {
            const struct sess_backend *b = &s->backends[j];

            CHECK(b->weight > 0 && b->weight <= 1000 && strlen(b->port) < 64);
            CHECK(!eth_addr_is_multicast(b->mac));
            for (size_t k = 0; k < j; k++) {
                CHECK(strcmp(b->port, s->backends[k].port));
            }
        }
    }
    for (size_t i = 0; i < f->n_hosts; i++) {
        CHECK(strlen(f->hosts[i].name) <= GOSSIP_NAME_MAX);
    }
}

/* A database full of garbage, and a good service, host and hint in it. */
void
client_fleet_garbage(const char *remote, char *args[])
{
    static const char *members[] = { "h1" };
    struct ovsdb_idl *admin = client_open_admin(remote);
    struct ovsdb_idl *idl = client_open_host(remote, "h1");
    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);
    int n_rows = atoi(args[1]);
    struct sess_fleet fleet;
    struct ext_rng rng;
    size_t n_errors;

    ext_rng_init(&rng, atoi(args[0]));
    struct ovsext_backend *b = insert_backend(txn, "b", "good",
                                              "02:00:00:00:00:01");
    ovsext_service_set_backends(insert_service(txn, "-good", "10.9.9.9",
                                               members, 1), &b, 1);
    insert_host(txn, "h1", "192.0.2.1", "192.0.2.1:7777");
    client_commit(txn);
    for (int i = 0; i < n_rows; ) {
        txn = ovsdb_idl_txn_create(admin);
        for (int j = 0; j < 50; j++, i++) {
            switch (ext_rng_range(&rng, 3)) {
            case 0: garbage_service(&rng, admin, txn, i); break;
            case 1: garbage_host_row(&rng, txn, i); break;
            default: garbage_hint(&rng, txn, i); break;
            }
        }
        client_commit(txn);
        client_follow(idl, "h1", &fleet);
        check_sane(&fleet);
        sess_fleet_uninit(&fleet);
    }

    n_errors = client_follow(idl, "h1", &fleet);
    check_sane(&fleet);
    CHECK(n_errors > 10);
    CHECK(sess_fleet_service(&fleet, "-good"));
    CHECK_EQ(sess_fleet_service(&fleet, "-good")->n_backends, 1);
    CHECK_EQ(sess_fleet_host(&fleet, gossip_host_id("h1"))->gossip.port, 7777);
    sess_fleet_uninit(&fleet);
    ovsdb_idl_destroy(idl);
    ovsdb_idl_destroy(admin);
}

/* Prints what is wrong with the fleet, and what is left of it. */
void
client_fleet_print(const char *remote, char *args[])
{
    struct ovsdb_idl *idl = client_open_host(remote, args[0]);
    struct sess_fleet fleet;

    client_follow(idl, args[0], &fleet);
    for (size_t i = 0; i < fleet.n_hosts; i++) {
        printf("host %s\n", fleet.hosts[i].name);
    }
    for (size_t i = 0; i < fleet.n_services; i++) {
        const struct sess_service *s = &fleet.services[i];

        printf("service %s:", s->name);
        for (size_t j = 0; j < s->n_backends; j++) {
            printf(" %s", s->backends[j].name);
        }
        printf("\n");
    }
    sess_fleet_uninit(&fleet);
    ovsdb_idl_destroy(idl);
}
