/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What a host writes of its part in services, against a real server with
 * made-up time. */

#include <config.h>
#include "tests/test-db-client.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-delta.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovsdb-idl.h"
#include "smap.h"
#include "tests/test-util.h"
#include "util.h"

struct writer {
    struct ovsdb_idl *idl;
    struct db_host *dh;
    struct db_host_input in;
    struct db_host_session session;
    struct db_hint hints[100];
    struct smap state;
    long long int now;
};

/* A tick of 100 ms.  Returns how many transactions it made. */
static int
tick(struct writer *w)
{
    unsigned long long int before = client_transactions(w->dh);

    client_tick(w->idl, w->dh, &w->in, w->now);
    w->now += 100;
    return client_transactions(w->dh) - before;
}

static int
ticks(struct writer *w, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++) {
        sum += tick(w);
    }
    return sum;
}

static void
set_hint(struct writer *w, size_t i, const char *target, double probability,
         long long int expiry)
{
    struct db_hint *h = &w->hints[i];

    snprintf(h->backend, sizeof h->backend, "b%"PRIuSIZE, i);
    ovs_strlcpy(h->target, target, sizeof h->target);
    h->probability = probability;
    h->expiry = expiry;
}

static size_t
n_hint_rows(struct writer *w)
{
    const struct ovsext_migration_hint *row;
    size_t n = 0;

    OVSEXT_MIGRATION_HINT_FOR_EACH (row, w->idl) {
        n++;
    }
    return n;
}

static void
check_columns(struct writer *w)
{
    const struct ovsext_host *row;

    /* The row is new, and all of it is in the first transaction. */
    CHECK_EQ(tick(w), 1);
    row = db_host_row(w->idl, "h1");
    CHECK(!strcmp(row->encap_ip, "192.0.2.1"));
    CHECK(!strcmp(row->gossip, "192.0.2.1:7777"));
    CHECK(!strcmp(smap_get_def(&row->gossip_state, "alive", ""), "4"));
    CHECK_EQ(ticks(w, 20), 0);

    /* An address at once, the rest once a second. */
    w->session.encap_ip = "192.0.2.9";
    CHECK_EQ(tick(w), 1);
    for (int i = 0; i < 30; i++) {
        smap_replace(&w->state, "alive", i % 2 ? "3" : "2");
        tick(w);
    }
    CHECK(client_transactions(w->dh) <= 2 + 4);
    ticks(w, 10);
    row = db_host_row(w->idl, "h1");
    CHECK(!strcmp(smap_get_def(&row->gossip_state, "alive", ""), "3"));

    /* What is not known stays, what is empty goes. */
    w->session.encap_ip = NULL;
    w->session.gossip_state = NULL;
    w->session.gossip = "";
    CHECK_EQ(tick(w), 1);
    row = db_host_row(w->idl, "h1");
    CHECK(!strcmp(row->encap_ip, "192.0.2.9") && !row->gossip[0]);
    CHECK_EQ(smap_count(&row->gossip_state), 1);
}

static void
check_hints(struct writer *w)
{
    const struct ovsext_migration_hint *row;
    long long int wall = 1000000;
    int n;

    w->session.hints = w->hints;
    set_hint(w, 0, "h2", 0.5, wall + 5000);
    set_hint(w, 1, "h3", NAN, wall + 5000);
    w->session.n_hints = 2;
    ticks(w, 11);
    CHECK_EQ(n_hint_rows(w), 2);

    /* Given again all the time, it is written so that it never expires. */
    n = 0;
    for (int i = 0; i < 600; i++, wall += 100) {
        set_hint(w, 0, "h2", 0.5, wall + 5000);
        set_hint(w, 1, "h3", 2, wall + 5000);
        n += tick(w);
        OVSEXT_MIGRATION_HINT_FOR_EACH (row, w->idl) {
            CHECK(row->expiry >= wall + 4000);
            CHECK(row->probability >= 0 && row->probability <= 1);
        }
    }
    CHECK(n >= 6 && n <= 8);

    /* A storm of them: bounded in number and rate, the first ones. */
    n = 0;
    for (int i = 0; i < 100; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(w->hints); j++) {
            set_hint(w, j, (i + j) % 2 ? "h2" : "h3", 0.9, wall);
        }
        w->session.n_hints = i % 3 ? ARRAY_SIZE(w->hints) : 1;
        n += tick(w);
        CHECK(n_hint_rows(w) <= DB_MAX_HINTS);
    }
    CHECK(n >= 9 && n <= 11);
    w->session.n_hints = ARRAY_SIZE(w->hints);
    ticks(w, 11);
    CHECK_EQ(n_hint_rows(w), DB_MAX_HINTS);
    CHECK_EQ(ticks(w, 30), 0);

    /* The same backend again, and nonsense. */
    set_hint(w, 1, "h2", 0.9, wall);
    strcpy(w->hints[1].backend, "b0");
    set_hint(w, 2, "", 0.9, LLONG_MAX);
    set_hint(w, 3, "h2", 0.9, LLONG_MAX);
    set_hint(w, 4, "h2", 0.9, LLONG_MIN);
    w->session.n_hints = 5;
    ticks(w, 11);
    CHECK_EQ(n_hint_rows(w), 3);

    /* None, which is not the same as not to know. */
    w->session.hints = NULL;
    CHECK_EQ(ticks(w, 20), 0);
    w->session.hints = w->hints;
    w->session.n_hints = 0;
    CHECK_EQ(tick(w), 1);
    CHECK_EQ(n_hint_rows(w), 0);
    w->in.session = NULL;
    CHECK_EQ(ticks(w, 20), 0);
}

static struct writer *
writer_open(const char *remote, const char *host)
{
    struct writer *w = xzalloc(sizeof *w);

    w->idl = client_open_host(remote, host);
    w->dh = db_host_create(host);
    smap_init(&w->state);
    smap_add(&w->state, "alive", "4");
    w->session = (struct db_host_session) {
        .encap_ip = "192.0.2.1", .gossip = "192.0.2.1:7777",
        .gossip_state = &w->state,
    };
    w->in = (struct db_host_input) {
        .hostname = "host.example.com", .version = "0.1.0",
        .session = &w->session,
    };
    return w;
}

static void
writer_close(struct writer *w)
{
    db_host_destroy(w->dh);
    ovsdb_idl_destroy(w->idl);
    smap_destroy(&w->state);
    free(w);
}

void
client_session(const char *remote, char *args[] OVS_UNUSED)
{
    struct writer *w = writer_open(remote, "h1");

    check_columns(w);
    check_hints(w);
    writer_close(w);
}

static bool
has_encap_ip(struct ovsdb_idl *idl, const char *encap_ip)
{
    const struct ovsext_host *row = db_host_row(idl, "h1");

    return row && !strcmp(row->encap_ip, encap_ip);
}

static void
wait_for_encap_ip(struct ovsdb_idl *idl, const char *encap_ip)
{
    while (!has_encap_ip(idl, encap_ip)) {
        client_pump(idl, ovsdb_idl_get_seqno(idl));
    }
}

/* Replaces the address that 'w' has written, which it hears of. */
static void
edit(struct ovsdb_idl *admin, struct writer *w, const char *encap_ip)
{
    wait_for_encap_ip(admin, w->session.encap_ip);

    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);

    ovsext_host_set_encap_ip(db_host_row(admin, "h1"), encap_ip);
    client_commit(txn);
    wait_for_encap_ip(w->idl, encap_ip);
}

/* Edits that come now and then are undone at once; from the fourth one in a
 * minute on, after a pause. */
static void
check_edits(const char *remote, struct ovsdb_idl *admin)
{
    struct writer *w = writer_open(remote, "h1");

    CHECK_EQ(tick(w), 1);
    for (int i = 0; i < 6; i++) {
        edit(admin, w, "203.0.113.1");
        CHECK_EQ(tick(w), 1);
        CHECK_EQ(ticks(w, 210), 0);
    }
    ticks(w, 600);
    for (int i = 0; i < 4; i++) {
        edit(admin, w, "203.0.113.1");
        CHECK_EQ(tick(w), i < 3);
    }
    CHECK_EQ(ticks(w, 299), 0);
    CHECK_EQ(tick(w), 1);
    CHECK(has_encap_ip(w->idl, "192.0.2.1"));
    writer_close(w);

    /* A new start is none the wiser. */
    w = writer_open(remote, "h1");
    edit(admin, w, "203.0.113.1");
    CHECK_EQ(tick(w), 1);
    writer_close(w);
}

struct clones {
    struct writer *w[2];
    struct hrm_resource resources[2];
};

static void
clones_open(struct clones *c, const char *remote)
{
    for (int i = 0; i < 2; i++) {
        c->w[i] = writer_open(remote, "h1");
        client_resource(&c->resources[i], HRM_PMD_CORE, 0);
        c->w[i]->in.resources = &c->resources[i];
        c->w[i]->in.n_resources = 1;
        if (!i) {
            tick(c->w[i]);      /* The second one finds its rows. */
        }
    }
}

/* Has both run for 20 minutes.  What each writes is replaced; it writes that
 * three times more at once, then after 30 s, 60 s, 120 s, 240 s, 300 s... */
static void
clones_fight(struct clones *c)
{
    int n[2] = { 0, 0 };

    for (int t = 0; t < 20 * 600; t++) {
        for (int i = 0; i < 2; i++) {
            n[i] += tick(c->w[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK(n[i] >= 5 && n[i] <= 12);
    }
}

/* Two hosts with one name, as copies of one image have: they do not put each
 * other's rows right for ever. */
void
client_rival(const char *remote, char *args[] OVS_UNUSED)
{
    struct ovsdb_idl *admin = client_open_admin(remote);
    struct clones c;

    check_edits(remote, admin);

    /* They differ in their measures only, which are written once a second. */
    clones_open(&c, remote);
    c.resources[1].m.utilization = 0.7;
    clones_fight(&c);
    writer_close(c.w[0]);
    writer_close(c.w[1]);

    /* They differ in all but their name. */
    clones_open(&c, remote);
    client_resource(&c.resources[1], HRM_PMD_CORE, 1);
    c.w[1]->session.encap_ip = "192.0.2.2";
    c.w[1]->session.gossip = "192.0.2.2:7777";
    c.w[1]->in.hostname = "clone.example.com";
    clones_fight(&c);

    /* One of them is gone: the other has its rows, and soon is as ever. */
    writer_close(c.w[1]);
    ticks(c.w[0], 3001);
    CHECK(has_encap_ip(c.w[0]->idl, "192.0.2.1"));
    CHECK(!strcmp(db_host_row(c.w[0]->idl, "h1")->hostname,
                  "host.example.com"));
    CHECK(db_resource_row(c.w[0]->idl, "h1", "pmd/0"));
    CHECK(!db_resource_row(c.w[0]->idl, "h1", "pmd/1"));
    CHECK_EQ(ticks(c.w[0], 9000), 0);
    edit(admin, c.w[0], "203.0.113.1");
    CHECK_EQ(tick(c.w[0]), 1);
    writer_close(c.w[0]);
    ovsdb_idl_destroy(admin);
}

/* A server that has no such tables and columns: the rest is written, there is
 * no service, and nothing is refused. */
void
client_session_old(const char *remote, char *args[] OVS_UNUSED)
{
    struct writer *w = writer_open(remote, "h1");
    struct sess_fleet fleet;

    set_hint(w, 0, "h2", 0.5, 1000);
    w->session.hints = w->hints;
    w->session.n_hints = 1;
    CHECK_EQ(tick(w), 1);
    CHECK_EQ(ticks(w, 20), 0);
    CHECK(!strcmp(db_host_row(w->idl, "h1")->version, "0.1.0"));
    CHECK_EQ(client_follow(w->idl, "h1", &fleet), 0);
    CHECK_EQ(fleet.n_services, 0);
    sess_fleet_uninit(&fleet);
    writer_close(w);
}

/* A server that does not let the host write of services: the rest is written
 * all the same. */
void
client_session_denied(const char *remote, char *args[])
{
    struct writer *w = writer_open(remote, args[0]);
    struct db_host_stats stats;

    for (int i = 0; i < 1200; i++) {
        client_tick(w->idl, w->dh, &w->in, w->now);
        w->now += 100;
        db_host_get_stats(w->dh, &stats);
        if (i == 5) {
            CHECK_EQ(stats.errors, 1);
            CHECK_EQ(stats.transactions, 1);
            w->in.version = "0.2.0";
        }
    }
    CHECK_EQ(stats.errors, 2);
    CHECK_EQ(stats.transactions, 2);
    CHECK(!strcmp(db_host_row(w->idl, args[0])->version, "0.2.0"));
    CHECK(!db_host_row(w->idl, args[0])->encap_ip[0]);
    writer_close(w);
}
