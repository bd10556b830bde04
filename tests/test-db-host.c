/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What a host writes and reads, against a real server with made-up time. */

#include <config.h>
#include "tests/test-db-client.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "tests/test-steering-util.h"
#include "util.h"

#define N_RESOURCES 64
#define N_PROFILES 4

struct host {
    struct ovsdb_idl *idl;
    struct db_host *dh;
    struct db_host_input in;
    struct hrm_resource resources[N_RESOURCES];
    struct tp_profile profiles[N_PROFILES];
    struct db_report report;
    long long int now;
};

static void
host_open(struct host *h, const char *remote, const char *name)
{
    memset(h, 0, sizeof *h);
    h->idl = client_open_host(remote, name);
    h->dh = db_host_create(name);
    for (int i = 0; i < N_RESOURCES; i++) {
        client_resource(&h->resources[i], HRM_PMD_CORE, i);
    }
    for (int i = 0; i < N_PROFILES; i++) {
        client_profile(&h->profiles[i], i, TP_TCP, 1000);
    }
    ovs_strlcpy(h->report.network, "vni:0", sizeof h->report.network);
    ovs_strlcpy(h->report.resource, "pmd/0", sizeof h->report.resource);
    h->report.class = TP_TCP;
    h->in = (struct db_host_input) {
        .hostname = "host.example.com", .version = "0.1.0",
        .resources = h->resources, .n_resources = N_RESOURCES,
        .profiles = h->profiles, .n_profiles = N_PROFILES,
        .reports = &h->report, .n_reports = 1,
    };
}

static void
host_close(struct host *h)
{
    db_host_destroy(h->dh);
    ovsdb_idl_destroy(h->idl);
}

/* A tick of 100 ms.  Returns how many transactions it made. */
static int
host_tick(struct host *h)
{
    unsigned long long int before = client_transactions(h->dh);

    client_tick(h->idl, h->dh, &h->in, h->now);
    h->now += 100;
    return client_transactions(h->dh) - before;
}

static const struct ovsext_resource_metrics *
metrics_of(struct host *h, const char *name)
{
    const struct ovsext_resource *row = db_resource_row(h->idl, "h1", name);

    CHECK(row);
    return db_resource_metrics(row);
}

/* Measures: written when they moved, once a second. */
static void
check_measures(struct host *h)
{
    int n = 0;

    /* 5 % is not enough, and stays measured from what was written. */
    h->resources[0].m.utilization = 0.05;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(host_tick(h), 0);
    }
    h->resources[0].m.utilization = 0.06;
    CHECK_EQ(host_tick(h), 1);
    CHECK(metrics_of(h, "pmd/0")->utilization == 0.06);

    /* Again too early, then due: nothing gets lost. */
    h->resources[0].m.utilization = 0.5;
    for (int i = 0; i < 9; i++) {
        CHECK_EQ(host_tick(h), 0);
    }
    CHECK_EQ(host_tick(h), 1);
    CHECK(metrics_of(h, "pmd/0")->utilization == 0.5);

    for (int i = 0; i < 100; i++) {
        h->resources[0].m.utilization = i % 2;
        h->profiles[1].pps = i % 2 ? 1000 : 50000;
        h->report.loss = i % 2;
        n += host_tick(h);
    }
    CHECK(n >= 10 && n <= 3 * 11);

    /* Nonsense is made harmless. */
    h->resources[1].m.latency_us = INFINITY;
    h->resources[1].m.error_rate = NAN;
    h->resources[1].m.utilization = 17;
    h->resources[1].m.throughput = -5;
    h->resources[1].numa = -77;
    CHECK(host_tick(h) <= 1);
    CHECK(metrics_of(h, "pmd/1")->utilization == 1);
    CHECK(metrics_of(h, "pmd/1")->error_rate == 0);
    CHECK(metrics_of(h, "pmd/1")->throughput == 0);
}

/* States: written at once, all of a tick in one transaction. */
static void
check_states(struct host *h)
{
    for (int i = 0; i < 5; i++) {
        h->resources[2].state = i % 2 ? HRM_AVAILABLE : HRM_UNAVAILABLE;
        CHECK_EQ(host_tick(h), 1);
        CHECK(!strcmp(db_resource_row(h->idl, "h1", "pmd/2")->state,
                      hrm_state_to_string(h->resources[2].state)));
    }
    for (int i = 0; i < N_RESOURCES; i++) {
        h->resources[i].state = HRM_DEGRADED;
    }
    h->report.generation = 8;
    h->in.applied_generation = 8;
    h->profiles[0].class = TP_UDP;
    CHECK_EQ(host_tick(h), 1);
    CHECK_EQ(db_host_row(h->idl, "h1")->applied_generation, 8);

    /* A resource that changed its kind is another one. */
    h->resources[3].kind = HRM_PCI;
    h->resources[3].state = HRM_UNMANAGED;
    CHECK_EQ(host_tick(h), 1);
    CHECK(!strcmp(db_resource_row(h->idl, "h1", "pmd/3")->kind, "pci"));
    CHECK(!metrics_of(h, "pmd/3"));

    /* One that is gone takes its metrics with it. */
    h->in.n_resources = 4;
    h->in.n_profiles = 0;
    h->in.n_reports = 0;
    CHECK_EQ(host_tick(h), 1);

    const struct ovsext_resource_metrics *m;
    int n = 0;
    OVSEXT_RESOURCE_METRICS_FOR_EACH (m, h->idl) {
        n++;
    }
    CHECK_EQ(n, 3);
    CHECK(!ovsext_traffic_profile_first(h->idl));
    CHECK(!ovsext_affinity_report_first(h->idl));

    /* "Not known" deletes nothing. */
    h->in.resources = NULL;
    CHECK_EQ(host_tick(h), 0);
    CHECK(db_resource_row(h->idl, "h1", "pmd/0"));
    h->in.resources = h->resources;
    h->in.n_resources = N_RESOURCES;
    h->in.n_profiles = N_PROFILES;
    h->in.n_reports = 1;
    CHECK_EQ(host_tick(h), 1);
}

/* An hour of small noise.  Real measures are never still. */
static void
check_idle(struct host *h)
{
    struct ext_rng rng;

    ext_rng_init(&rng, 3);
    for (int i = 0; i < N_RESOURCES; i++) {
        client_resource(&h->resources[i], HRM_PMD_CORE, i);
        h->resources[i].m.utilization = 0.1;
    }
    for (int i = 0; i < N_PROFILES; i++) {
        client_profile(&h->profiles[i], i, TP_TCP, 20);
    }
    h->report.loss = 0;
    for (int i = 0; i < 120; i++) {
        host_tick(h);
    }
    for (int i = 0; i < 36000; i++) {
        for (int j = 0; j < N_RESOURCES; j++) {
            struct hrm_metrics *m = &h->resources[j].m;

            m->utilization = 0.08 + 0.04 * ext_rng_double(&rng);
            m->forecast_utilization = 0.04 * ext_rng_double(&rng);
            m->latency_us = 0.4 * ext_rng_double(&rng);
            m->throughput = 40 * ext_rng_double(&rng);
        }
        h->profiles[0].pps = 18 + 4 * ext_rng_double(&rng);
        CHECK_EQ(host_tick(h), 0);
    }
}

void
client_delta(const char *remote, char *args[] OVS_UNUSED)
{
    struct host *h = xmalloc(sizeof *h);

    host_open(h, remote, "h1");
    CHECK_EQ(host_tick(h), 1);
    CHECK_EQ(host_tick(h), 0);
    h->now += 5000;
    check_measures(h);
    check_states(h);
    check_idle(h);
    host_close(h);
    free(h);
}

/* A host that was there before and comes back as it was writes nothing. */
void
client_idle(const char *remote, char *args[] OVS_UNUSED)
{
    struct host *h = xmalloc(sizeof *h);

    host_open(h, remote, "h9");
    host_tick(h);
    host_close(h);

    host_open(h, remote, "h9");
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(host_tick(h), 0);
    }
    host_close(h);
    free(h);
}

static const struct ovsext_affinity *
insert_affinity(struct ovsdb_idl_txn *txn, const char *host,
                const char *network, const char *class)
{
    const struct ovsext_affinity *row = ovsext_affinity_insert(txn);

    ovsext_affinity_set_host(row, host);
    ovsext_affinity_set_network(row, network);
    ovsext_affinity_set_class_(row, class);
    ovsext_affinity_set_origin(row, "learned");
    return row;
}

/* Waits until the host reads 'n' instructions with 'resource' in the first. */
static void
expect_instructions(struct host *h, size_t n, const char *resource)
{
    for (;;) {
        unsigned int seqno = ovsdb_idl_get_seqno(h->idl);
        struct db_instruction *ins;
        size_t n_ins = db_instructions_read(h->idl, "h1", 1000, &ins);
        bool ok = n_ins == n && (!n || !strcmp(ins[0].resource, resource));

        free(ins);
        if (ok) {
            return;
        }
        client_pump(h->idl, seqno);
    }
}

/* From the administrator to the host and back: instructions for this host
 * only, those that expired left out, a pin that outlives its resource. */
void
client_affinity(const char *remote, char *args[] OVS_UNUSED)
{
    struct host *h = xmalloc(sizeof *h);
    struct ovsdb_idl *admin;
    const struct ovsext_affinity *row;
    const int64_t long_ago = 999, soon = 1001;

    host_open(h, remote, "h1");
    host_tick(h);
    admin = client_open_admin(remote);

    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);
    row = insert_affinity(txn, "h1", "vni:1", "tcp");
    db_affinity_set_resource(row, db_resource_row(admin, "h1", "pmd/5"));
    ovsext_affinity_set_origin(row, "pinned");
    db_affinity_set_score(row, INFINITY);
    ovsext_affinity_set_generation(row, db_host_next_generation(
                                       db_host_row(admin, "h1")));
    ovsext_affinity_set_expiry(insert_affinity(txn, "h1", "vni:2", "tcp"),
                               &long_ago, 1);
    ovsext_affinity_set_expiry(insert_affinity(txn, "h1", "vni:2", "udp"),
                               &soon, 1);
    insert_affinity(txn, "h2", "vni:1", "tcp");
    client_commit(txn);
    expect_instructions(h, 2, "pmd/5");
    CHECK_EQ(db_host_row(h->idl, "h1")->generation, 1);

    /* The largest generation that a host can claim is followed by one. */
    txn = ovsdb_idl_txn_create(admin);
    ovsext_host_set_generation(db_host_row(admin, "h1"), INT64_MAX);
    client_commit(txn);
    txn = ovsdb_idl_txn_create(admin);
    CHECK_EQ(db_host_next_generation(db_host_row(admin, "h1")), 1);
    client_commit(txn);

    /* The resource goes: nowhere, rather than somewhere that is not there. */
    h->in.n_resources = 5;
    CHECK_EQ(host_tick(h), 1);
    expect_instructions(h, 2, "");

    while (db_resource_row(admin, "h1", "pmd/5")) {
        client_pump(admin, ovsdb_idl_get_seqno(admin));
    }

    /* It comes back.  The pin is made good, once. */
    h->in.n_resources = 6;
    CHECK_EQ(host_tick(h), 1);
    while (!db_resource_row(admin, "h1", "pmd/5")) {
        client_pump(admin, ovsdb_idl_get_seqno(admin));
    }
    txn = ovsdb_idl_txn_create(admin);
    CHECK_EQ(db_affinity_relink(admin), 1);
    client_commit(txn);
    expect_instructions(h, 2, "pmd/5");
    txn = ovsdb_idl_txn_create(admin);
    CHECK_EQ(db_affinity_relink(admin), 0);
    client_commit(txn);

    ovsdb_idl_destroy(admin);
    host_close(h);
    free(h);
}

static const char *
garbage_host(struct ext_rng *rng)
{
    return (ext_rng_range(rng, 4) ? (ext_rng_range(rng, 2) ? "h1" : "h2")
            : client_text(rng, 1, 60));
}

static double
garbage_real(struct ext_rng *rng, double max)
{
    switch (ext_rng_range(rng, 4)) {
    case 0: return 0;
    case 1: return max;
    case 2: return 1e-300;
    default: return ext_rng_double(rng) * max;
    }
}

/* Inserts a row that the schema allows and nobody would write. */
static void
insert_garbage(struct ext_rng *rng, struct ovsdb_idl *admin,
               struct ovsdb_idl_txn *txn, int i)
{
    const char *class = tp_class_to_string(ext_rng_range(rng, TP_N_CLASSES));
    const char *kind = hrm_kind_to_string(ext_rng_range(rng, HRM_N_KINDS));
    char *network = xasprintf("%s%d", client_text(rng, 1, 30), i);
    const struct ovsext_resource *any = ovsext_resource_first(admin);

    switch (ext_rng_range(rng, 4)) {
    case 0: {
        const struct ovsext_affinity *a
            = insert_affinity(txn, garbage_host(rng), network, class);
        const int64_t expiry = ext_rng_range(rng, 2) ? INT64_MAX : 0;

        ovsext_affinity_set_resource(a, ext_rng_range(rng, 2) ? any : NULL);
        ovsext_affinity_set_resource_name(a, client_text(rng, 0, 60));
        ovsext_affinity_set_generation(a, INT64_MAX);
        ovsext_affinity_set_expiry(a, &expiry, ext_rng_range(rng, 2));
        ovsext_affinity_set_score(a, garbage_real(rng, 1e6));
        break;
    }
    case 1: {
        const struct ovsext_resource *r = ovsext_resource_insert(txn);

        ovsext_resource_set_host(r, garbage_host(rng));
        ovsext_resource_set_name(r, network);
        ovsext_resource_set_kind(r, kind);
        ovsext_resource_set_state(r, "available");
        ovsext_resource_set_unit(r, client_text(rng, 0, 32));
        ovsext_resource_set_capacity(r, garbage_real(rng, 1e300));
        ovsext_resource_set_metrics(r, any ? any->metrics : NULL);
        break;
    }
    case 2: {
        const struct ovsext_traffic_profile *p
            = ovsext_traffic_profile_insert(txn);

        ovsext_traffic_profile_set_host(p, garbage_host(rng));
        ovsext_traffic_profile_set_network(p, network);
        ovsext_traffic_profile_set_class_(p, class);
        ovsext_traffic_profile_set_pps(p, garbage_real(rng, 1e300));
        ovsext_traffic_profile_set_flows(p, INT64_MAX);
        break;
    }
    default: {
        const struct ovsext_affinity_report *r
            = ovsext_affinity_report_insert(txn);

        ovsext_affinity_report_set_host(r, garbage_host(rng));
        ovsext_affinity_report_set_network(r, network);
        ovsext_affinity_report_set_class_(r, class);
        ovsext_affinity_report_set_resource(r, client_text(rng, 1, 60));
        ovsext_affinity_report_set_latency_us(r, garbage_real(rng, 1e300));
        break;
    }
    }
    free(network);
}

/* Instructions that are read from garbage: in order, of this host, and of
 * resources that are its own. */
static void
check_instructions(struct host *h)
{
    struct db_instruction *ins;
    size_t n = db_instructions_read(h->idl, "h1", 1, &ins);

    for (size_t i = 0; i < n; i++) {
        CHECK(ins[i].network[0] && ins[i].class < TP_N_CLASSES);
        CHECK(!i || strcmp(ins[i - 1].network, ins[i].network) < 0
              || (!strcmp(ins[i - 1].network, ins[i].network)
                  && ins[i - 1].class < ins[i].class));
        CHECK(!ins[i].resource[0]
              || db_resource_row(h->idl, "h1", ins[i].resource));
    }
    CHECK(db_instructions_equal(ins, n, ins, n));
    free(ins);
}

/* A database full of garbage: the host reads what makes sense of it, puts its
 * own rows right, and is at rest again. */
void
client_garbage(const char *remote, char *args[])
{
    struct host *h = xmalloc(sizeof *h);
    struct ovsdb_idl *admin = client_open_admin(remote);
    struct ext_rng rng;
    int n_rows = atoi(args[1]);

    ext_rng_init(&rng, atoi(args[0]));
    host_open(h, remote, "h1");
    for (int i = 0; i < n_rows; ) {
        struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);

        for (int j = 0; j < 50; j++) {
            insert_garbage(&rng, admin, txn, i++);
        }
        client_commit(txn);
        ovsdb_idl_run(h->idl);
        check_instructions(h);
        host_tick(h);
    }
    CHECK(ovsext_affinity_first(h->idl));

    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(admin);
    db_affinity_relink(admin);
    client_commit(txn);

    for (int i = 0; i < 20; i++) {
        host_tick(h);
    }
    CHECK_EQ(host_tick(h), 0);

    const struct ovsext_resource *r;
    int n = 0;
    OVSEXT_RESOURCE_FOR_EACH (r, h->idl) {
        CHECK(!strcmp(r->host, "h1") && !strcmp(r->kind, "pmd-core"));
        n++;
    }
    CHECK_EQ(n, N_RESOURCES);

    host_close(h);
    ovsdb_idl_destroy(admin);
    free(h);
}
