/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Clients that work on while servers come and go. */

#include <config.h>
#include "tests/test-db-client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "openvswitch/poll-loop.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "tests/test-steering-util.h"
#include "timeval.h"
#include "util.h"

#define PATIENCE 60000

/* Writes a host's rows once and prints what came of it: a hostile client is
 * refused, an honest one is not. */
void
client_host(const char *remote, char *args[])
{
    struct ovsdb_idl *idl = client_open_host(remote, args[0]);
    struct db_host *dh = db_host_create(args[0]);
    struct hrm_resource r;
    struct tp_profile p;
    struct db_host_stats stats;

    client_resource(&r, HRM_PMD_CORE, 0);
    client_profile(&p, 1, TP_TCP, 1000);
    struct db_host_input in = {
        .hostname = args[0], .version = "0.1.0",
        .resources = &r, .n_resources = 1,
        .profiles = &p, .n_profiles = 1,
    };
    client_tick(idl, dh, &in, 0);
    r.state = HRM_UNAVAILABLE;
    in.applied_generation = 2;
    client_tick(idl, dh, &in, 100);
    db_host_get_stats(dh, &stats);
    printf("%llu committed, %llu refused\n", stats.transactions,
           stats.errors);
    db_host_destroy(dh);
    ovsdb_idl_destroy(idl);
}

static bool
network_exists(struct ovsdb_idl *idl, const char *name)
{
    const struct ovsext_network *n;

    OVSEXT_NETWORK_FOR_EACH (n, idl) {
        if (!strcmp(n->name, name)) {
            return true;
        }
    }
    return false;
}

/* Commits a Network row, tolerant of whatever happens to the servers.  If a
 * reply got lost, the row may or may not be there, so that is looked at. */
static void
write_network(struct ovsdb_idl *idl, struct db_conn_watch *watch,
              const char *name, long long int deadline)
{
    while (!network_exists(idl, name)) {
        enum ovsdb_idl_txn_status status = TXN_NOT_LOCKED;

        if (db_conn_is_ready(idl) && ovsdb_idl_has_lock(idl)) {
            struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(idl);

            ovsext_network_set_name(ovsext_network_insert(txn), name);
            status = ovsdb_idl_txn_commit_block(txn);
            ovsdb_idl_txn_destroy(txn);
        }
        if (status != TXN_SUCCESS) {
            if (time_msec() > deadline) {
                ovs_fatal(0, "cannot write \"%s\"", name);
            }
            ovsdb_idl_run(idl);
            db_conn_watch_run(watch, idl, time_msec());
            ovsdb_idl_wait(idl);
            poll_timer_wait(50);
            poll_block();
        }
    }
}

/* Lets the servers have some time. */
static void
pause_for(struct ovsdb_idl *idl, long long int ms)
{
    long long int until = time_msec() + ms;

    while (time_msec() < until) {
        ovsdb_idl_run(idl);
        ovsdb_idl_wait(idl);
        poll_timer_wait_until(until);
        poll_block();
    }
}

/* write REMOTE FILE STOP: as controller, commits networks one by one and adds
 * a line to FILE for each that the database has confirmed.  "other" is the
 * last, once there is a file STOP. */
void
client_write(const char *remote, char *args[])
{
    struct ovsdb_idl *idl = db_conn_open_controller(remote);
    FILE *file = fopen(args[0], "w");
    struct db_conn_watch watch;
    struct stat s;
    bool last;
    int i = 0;

    CHECK(file);
    db_conn_watch_init(&watch, remote);
    do {
        last = !stat(args[1], &s);
        char *name = last ? xstrdup("other") : xasprintf("vni:%d", i++);

        write_network(idl, &watch, name, time_msec() + PATIENCE);
        fprintf(file, "%s\n", name);
        fflush(file);
        free(name);
        pause_for(idl, 5);
    } while (!last);
    fclose(file);
    db_conn_watch_uninit(&watch);
    ovsdb_idl_destroy(idl);
}

/* read REMOTE: watches the networks until the last one and prints how many
 * there are.  What was seen must not go away again, whatever happens to the
 * servers. */
void
client_read(const char *remote, char *args[] OVS_UNUSED)
{
    struct ovsdb_idl *idl = ovsdb_idl_create_unconnected(&ovsext_idl_class,
                                                         true);
    long long int deadline = time_msec() + 3 * PATIENCE;
    int most = 0;

    ovsdb_idl_set_leader_only(idl, false);
    ovsdb_idl_set_remote(idl, remote, true);
    while (!network_exists(idl, "other")) {
        if (time_msec() > deadline) {
            ovs_fatal(0, "only %d networks", most);
        }
        ovsdb_idl_wait(idl);
        poll_timer_wait_until(deadline);
        poll_block();
        ovsdb_idl_run(idl);

        const struct ovsext_network *row;
        int n = 0;
        OVSEXT_NETWORK_FOR_EACH (row, idl) {
            n++;
        }
        CHECK(n >= most);
        most = n;
    }
    printf("%d\n", most);
    ovsdb_idl_destroy(idl);
}

/* Whether the database has resource 'i' as 'r' is. */
static bool
is_written(struct ovsdb_idl *idl, const char *host,
           const struct hrm_resource *r)
{
    const struct ovsext_resource *row = db_resource_row(idl, host, r->name);

    return row && !strcmp(row->state, hrm_state_to_string(r->state));
}

/* survive REMOTE HOST STOP: a host whose hardware flaps all the time, until
 * there is a file STOP; then what the database has must be what it is. */
void
client_survive(const char *remote, char *args[])
{
    enum { N = 16 };
    struct ovsdb_idl *idl = db_conn_open_host(remote, args[0]);
    struct db_host *dh = db_host_create(args[0]);
    struct hrm_resource resources[N];
    struct db_host_input in = {
        .hostname = args[0], .version = "0.1.0",
        .resources = resources, .n_resources = N,
    };
    long long int deadline = 0;
    int tick = 0, n_written = 0;
    struct db_host_stats stats;
    struct stat s;

    for (int i = 0; i < N; i++) {
        client_resource(&resources[i], HRM_NIC_QUEUE, i);
    }
    while (!deadline || n_written < N) {
        if (!deadline && !stat(args[1], &s)) {
            deadline = time_msec() + PATIENCE;
        } else if (!deadline) {
            resources[tick % N].state = tick / N % HRM_N_STATES;
            tick++;
        }
        ovsdb_idl_run(idl);
        db_host_run(dh, idl, &in, time_msec());
        ovsdb_idl_wait(idl);
        db_host_wait(dh);
        poll_timer_wait(20);
        poll_block();

        n_written = 0;
        for (int i = 0; i < N; i++) {
            n_written += is_written(idl, args[0], &resources[i]);
        }
        if (deadline && time_msec() > deadline) {
            ovs_fatal(0, "%d of %d resources are right", n_written, N);
        }
    }
    db_host_get_stats(dh, &stats);
    CHECK_EQ(stats.errors, 0);
    CHECK(tick && stats.transactions > 10);
    db_host_destroy(dh);
    ovsdb_idl_destroy(idl);
}
