/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-rbac.h"

#include <string.h>

#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "util.h"

#define MAX_COLUMNS 8

struct permission {
    const char *table;
    const char *authorization;          /* Column with the host's name. */
    const char *update[MAX_COLUMNS];    /* Columns that it may change. */
};

static const struct permission host_permissions[] = {
    { "Host", "name",
      { "hostname", "version", "applied_generation", "external_ids",
        "encap_ip", "gossip", "gossip_state" } },
    { "Resource", "host",
      { "state", "numa", "capacity", "unit", "attributes", "metrics" } },
    { "Resource_Metrics", "host",
      { "utilization", "forecast_utilization", "latency_us", "throughput",
        "error_rate" } },
    { "Traffic_Profile", "host",
      { "pps", "bps", "packet_size", "burstiness", "flows", "elephant_share",
        "destinations" } },
    { "Affinity_Report", "host",
      { "resource", "latency_us", "loss", "throughput", "generation" } },
    { "Migration_Hint", "host", { "target", "probability", "expiry" } },
};
#define N_PERMISSIONS ARRAY_SIZE(host_permissions)

void
db_rbac_monitor(struct ovsdb_idl *idl)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_rbac_role_col_name,
        &ovsext_rbac_role_col_permissions,
        &ovsext_rbac_permission_col_table,
        &ovsext_rbac_permission_col_authorization,
        &ovsext_rbac_permission_col_insert_delete,
        &ovsext_rbac_permission_col_update,
    };

    ovsdb_idl_add_table(idl, &ovsext_table_rbac_role);
    ovsdb_idl_add_table(idl, &ovsext_table_rbac_permission);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        ovsdb_idl_add_column(idl, columns[i]);
    }
}

static bool
contains(char **set, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(set[i], s)) {
            return true;
        }
    }
    return false;
}

static size_t
n_columns(const struct permission *p)
{
    size_t n = 0;

    while (n < MAX_COLUMNS && p->update[n]) {
        n++;
    }
    return n;
}

static bool
is_right(const struct ovsext_rbac_permission *row, const struct permission *p)
{
    size_t n = n_columns(p);

    if (!row->insert_delete || row->n_update != n
        || row->n_authorization != 1
        || strcmp(row->authorization[0], p->authorization)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!contains(row->update, row->n_update, p->update[i])) {
            return false;
        }
    }
    return true;
}

/* The row that 'role' refers to for 'table', or NULL. */
static const struct ovsext_rbac_permission *
find_permission(const struct ovsext_rbac_role *role, const char *table)
{
    for (size_t i = 0; role && i < role->n_permissions; i++) {
        if (!strcmp(role->key_permissions[i], table)) {
            return role->value_permissions[i];
        }
    }
    return NULL;
}

static const struct ovsext_rbac_role *
find_role(struct ovsdb_idl *idl)
{
    const struct ovsext_rbac_role *role;

    OVSEXT_RBAC_ROLE_FOR_EACH (role, idl) {
        if (!strcmp(role->name, DB_ROLE_HOST)) {
            return role;
        }
    }
    return NULL;
}

bool
db_rbac_update(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn)
{
    const struct ovsext_rbac_role *role = find_role(idl);
    const struct ovsext_rbac_permission *rows[N_PERMISSIONS];
    const char *keys[N_PERMISSIONS];
    bool relink = !role || role->n_permissions != N_PERMISSIONS;
    bool changed = false;

    for (size_t i = 0; i < N_PERMISSIONS; i++) {
        const struct permission *p = &host_permissions[i];

        keys[i] = p->table;
        rows[i] = find_permission(role, p->table);
        if (!rows[i]) {
            rows[i] = ovsext_rbac_permission_insert(txn);
            ovsext_rbac_permission_set_table(rows[i], p->table);
            relink = true;
        } else if (is_right(rows[i], p)) {
            continue;
        }
        changed = true;
        const char *authorization = p->authorization;
        ovsext_rbac_permission_set_authorization(rows[i], &authorization, 1);
        ovsext_rbac_permission_set_insert_delete(rows[i], true);
        ovsext_rbac_permission_set_update(
            rows[i], CONST_CAST(const char **, p->update), n_columns(p));
    }
    if (!role) {
        role = ovsext_rbac_role_insert(txn);
        ovsext_rbac_role_set_name(role, DB_ROLE_HOST);
    }
    if (relink) {
        ovsext_rbac_role_set_permissions(
            role, keys, (struct ovsext_rbac_permission **) rows,
            N_PERMISSIONS);
    }
    return relink || changed;
}
