/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-conn.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dirs.h"
#include "openvswitch/poll-loop.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "stream.h"
#include "util.h"

char *
db_conn_check_remote(const char *remote)
{
    char *copy = xstrdup(remote);
    char *save_ptr = NULL;
    char *error = NULL;
    size_t n = 0;

    for (char *token = strtok_r(copy, ", ", &save_ptr); token && !error;
         token = strtok_r(NULL, ", ", &save_ptr)) {
        n++;
        if (stream_verify_name(token)) {
            error = xasprintf("remote \"%s\" is not unix:FILE, tcp:IP:PORT "
                              "or ssl:IP:PORT", token);
        } else if (!strchr(token, ':')[1]) {
            error = xasprintf("remote \"%s\" names no place", token);
        }
    }
    if (!n) {
        error = xstrdup("remote is empty");
    }
    free(copy);
    return error;
}

char *
db_conn_default_remote(void)
{
    const char *env = getenv("OVS_EXT_DB");
    char *own = xasprintf("%s/ovs-ext-db.sock", ovs_rundir());
    struct stat s;
    char *remote;

    if (env && env[0]) {
        remote = xstrdup(env);
    } else if (!stat(own, &s)) {
        remote = xasprintf("unix:%s", own);
    } else {
        remote = xasprintf("unix:%s/db.sock", ovs_rundir());
    }
    free(own);
    return remote;
}

/* Receives all columns of 'table'.  'alert': whether a change of them, made by
 * others, is news. */
static void
add_table(struct ovsdb_idl *idl, const struct ovsdb_idl_table_class *table,
          bool alert)
{
    ovsdb_idl_add_table(idl, table);
    for (size_t i = 0; i < table->n_columns; i++) {
        ovsdb_idl_add_column(idl, &table->columns[i]);
        if (!alert) {
            ovsdb_idl_omit_alert(idl, &table->columns[i]);
        }
    }
}

/* Limits the rows of each table of a host to those that are about 'host'. */
static void
set_host_conditions(struct ovsdb_idl *idl, const char *host)
{
    struct ovsdb_idl_condition cond;

#define ONLY(TABLE, COLUMN)                                             \
    ovsdb_idl_condition_init(&cond);                                    \
    ovsext_##TABLE##_add_clause_##COLUMN(&cond, OVSDB_F_EQ, host);      \
    ovsext_##TABLE##_set_condition(idl, &cond);                         \
    ovsdb_idl_condition_destroy(&cond)

    ONLY(host, name);
    ONLY(resource, host);
    ONLY(resource_metrics, host);
    ONLY(traffic_profile, host);
    ONLY(affinity, host);
    ONLY(affinity_report, host);
    ONLY(migration_hint, host);
#undef ONLY

    /* No policy, until db_policy_follow(), and no service, until
     * db_fleet_follow(). */
    ovsdb_idl_condition_init(&cond);
    ovsext_steering_policy_set_condition(idl, &cond);
    ovsext_service_set_condition(idl, &cond);
    ovsext_backend_set_condition(idl, &cond);
    ovsdb_idl_condition_destroy(&cond);
}

struct ovsdb_idl *
db_conn_open_host(const char *remote, const char *host)
{
    struct ovsdb_idl *idl = ovsdb_idl_create_unconnected(&ovsext_idl_class,
                                                         false);

    /* The tables that a host writes are no news to it. */
    add_table(idl, &ovsext_table_affinity, true);
    add_table(idl, &ovsext_table_host, true);
    add_table(idl, &ovsext_table_steering_policy, true);
    add_table(idl, &ovsext_table_service, true);
    add_table(idl, &ovsext_table_backend, true);
    add_table(idl, &ovsext_table_migration_hint, false);
    add_table(idl, &ovsext_table_resource, false);
    add_table(idl, &ovsext_table_resource_metrics, false);
    add_table(idl, &ovsext_table_traffic_profile, false);
    add_table(idl, &ovsext_table_affinity_report, false);
    ovsdb_idl_omit_alert(idl, &ovsext_host_col_hostname);
    ovsdb_idl_omit_alert(idl, &ovsext_host_col_version);
    ovsdb_idl_omit_alert(idl, &ovsext_host_col_applied_generation);
    ovsdb_idl_omit_alert(idl, &ovsext_host_col_gossip_state);

    set_host_conditions(idl, host);
    ovsdb_idl_set_write_changed_only_all(idl, true);
    ovsdb_idl_set_leader_only(idl, false);
    ovsdb_idl_set_remote(idl, remote, true);
    return idl;
}

struct ovsdb_idl *
db_conn_open_controller(const char *remote)
{
    struct ovsdb_idl *idl = ovsdb_idl_create_unconnected(&ovsext_idl_class,
                                                         false);

    /* What the controller writes itself is wanted as well: the administrator
     * pins rows of the same tables. */
    add_table(idl, &ovsext_table_ext_global, true);
    add_table(idl, &ovsext_table_host, true);
    add_table(idl, &ovsext_table_resource, true);
    add_table(idl, &ovsext_table_resource_metrics, true);
    add_table(idl, &ovsext_table_network, true);
    add_table(idl, &ovsext_table_traffic_profile, true);
    add_table(idl, &ovsext_table_affinity, true);
    add_table(idl, &ovsext_table_affinity_report, true);
    add_table(idl, &ovsext_table_rbac_role, true);
    add_table(idl, &ovsext_table_rbac_permission, true);
    ovsdb_idl_omit(idl, &ovsext_ext_global_col_connections);
    ovsdb_idl_omit(idl, &ovsext_ext_global_col_ssl);
    ovsdb_idl_omit(idl, &ovsext_host_col_encap_ip);
    ovsdb_idl_omit(idl, &ovsext_host_col_gossip);
    ovsdb_idl_omit(idl, &ovsext_host_col_gossip_state);
    ovsdb_idl_omit(idl, &ovsext_host_col_drain);

    ovsdb_idl_set_write_changed_only_all(idl, true);
    ovsdb_idl_set_leader_only(idl, true);
    ovsdb_idl_set_lock(idl, DB_CONTROLLER_LOCK);
    ovsdb_idl_set_remote(idl, remote, true);
    return idl;
}

void
db_conn_watch_init(struct db_conn_watch *watch, const char *remote)
{
    watch->remote = xstrdup(remote);
    watch->odd = false;
    watch->since = LLONG_MAX;
    watch->patience = DB_CONN_PATIENCE;
}

void
db_conn_watch_uninit(struct db_conn_watch *watch)
{
    free(watch->remote);
}

void
db_conn_watch_run(struct db_conn_watch *watch, struct ovsdb_idl *idl,
                  long long int now)
{
    if (ovsdb_idl_is_connected(idl)) {
        watch->since = LLONG_MAX;
        watch->patience = DB_CONN_PATIENCE;
    } else if (watch->since == LLONG_MAX) {
        watch->since = now;
    } else if (now - watch->since >= watch->patience) {
        /* A remote that reads differently starts a new session, with no
         * back-off, and keeps the replica. */
        watch->odd = !watch->odd;
        char *remote = xasprintf("%s%s", watch->odd ? " " : "",
                                 watch->remote);
        ovsdb_idl_set_remote(idl, remote, true);
        free(remote);
        watch->since = now;
        watch->patience = MIN(2 * watch->patience, DB_CONN_MAX_PATIENCE);
    }
}

void
db_conn_watch_wait(const struct db_conn_watch *watch)
{
    if (watch->since != LLONG_MAX) {
        poll_timer_wait_until(watch->since + watch->patience);
    }
}

bool
db_conn_is_ready(const struct ovsdb_idl *idl)
{
    return ovsdb_idl_has_ever_connected(idl) && ovsdb_idl_is_connected(idl);
}

bool
db_conn_is_current(struct ovsdb_idl *idl)
{
    struct ovsdb_idl_txn *txn;
    enum ovsdb_idl_txn_status status;

    if (!db_conn_is_ready(idl)) {
        return false;
    }

    /* The IDL does not tell what stage its connection is at, and its flag of
     * the lock is that of the last connection for a while, or that of a server
     * that it will turn away from.  It does tell by what becomes of a
     * transaction, and one without operations never leaves the process. */
    txn = ovsdb_idl_txn_create(idl);
    status = ovsdb_idl_txn_commit(txn);
    ovsdb_idl_txn_destroy(txn);
    return status == TXN_UNCHANGED;
}

const struct ovsext_resource_metrics *
db_resource_metrics(const struct ovsext_resource *resource)
{
    const struct ovsext_resource_metrics *m = resource->metrics;

    return m && !strcmp(m->host, resource->host) ? m : NULL;
}
