/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Affinity in the daemon's main thread: where its configuration comes from.
 *
 * external_ids of the Open_vSwitch table has the remote and the host's name.
 * ovs-vswitchd asks its database client to leave that column out; the hook on
 * ovsdb_idl_omit() has it received all the same, without being woken up for
 * it, and tells which client it is. */

#include <config.h>

#include "datapath-hooks/affinity/affinity.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/affinity/aff-agent.h"
#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/monitor/monitor.h"
#include "datapath-hooks/profile/profile.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-conn.h"
#include "smap.h"
#include "sset.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(affinity);

static const struct ovsdb_idl *conf;    /* The daemon's own client. */

/* As last seen, null if not set. */
static char *remote, *host;

/* Constant after the start. */
static affinity_ids_cb *ids_taker;

/* Accelerator ports need the agent even without a database. */
static unsigned int n_accelerators;

static bool
omit_column(struct ovsdb_idl *idl, const struct ovsdb_idl_column *column)
{
    if (column == &ovsrec_open_vswitch_col_external_ids) {
        conf = idl;
        return true;
    }
    return false;
}

void
affinity_set_ids_taker(affinity_ids_cb *cb)
{
    ids_taker = cb;
}

static void
enable(void)
{
    bool wanted = remote || n_accelerators;

    ext_agent_enable("affinity", wanted);
    monitor_require("affinity", remote != NULL);
    profile_require("affinity", remote != NULL);
}

static bool
nullable_equal(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* Returns null if 'new_remote' and 'new_host' can be used, else what is wrong
 * with them. */
static char *
check(const char *new_remote, const char *new_host)
{
    char *error = db_conn_check_remote(new_remote);

    if (error) {
        char *s = xasprintf("external_ids:ovs-ext-remote: %s", error);

        free(error);
        return s;
    } else if (!new_host || !new_host[0]) {
        return xstrdup("external_ids:ovs-ext-remote is set, but "
                       "external_ids:system-id is not, which names this host "
                       "there");
    }
    return NULL;
}

/* Hands external_ids on if one that is for others differs. */
static void
hand_on(const struct smap *ids)
{
    static const char *const keys[] = {
        "ovs-ext-gossip", "ovs-ext-encap-ip", "ovs-ext-gossip-keys",
        "ovs-ext-session-dir", "ovs-ext-remote", "system-id",
    };
    static char *seen[ARRAY_SIZE(keys)];
    bool changed = false;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *value = smap_get(ids, keys[i]);

        if (!nullable_equal(value, seen[i])) {
            free(seen[i]);
            seen[i] = nullable_xstrdup(value);
            changed = true;
        }
    }
    if (changed && ids_taker) {
        ids_taker(ids);
    }
}

/* Takes in external_ids. */
static void
configure(const struct smap *ids)
{
    static char *seen_remote, *seen_host;
    const char *new_remote = smap_get(ids, "ovs-ext-remote");
    const char *new_host = smap_get(ids, "system-id");
    char *error = NULL;

    if (nullable_equal(new_remote, seen_remote)
        && nullable_equal(new_host, seen_host)) {
        return;
    }
    free(seen_remote);
    free(seen_host);
    seen_remote = nullable_xstrdup(new_remote);
    seen_host = nullable_xstrdup(new_host);
    if (new_remote && new_remote[0]) {
        error = check(new_remote, new_host);
        if (error) {
            VLOG_WARN("%s", error);
            free(error);
            return;
        }
    } else {
        new_remote = NULL;
    }
    if (!nullable_equal(new_remote, remote)
        || (new_remote && !nullable_equal(new_host, host))) {
        free(remote);
        free(host);
        remote = nullable_xstrdup(new_remote);
        host = nullable_xstrdup(new_host);
        aff_agent_set_remote(remote, host);
        enable();
    }
}

void
affinity_run(void)
{
    const struct ovsrec_open_vswitch *row;

    row = conf ? ovsrec_open_vswitch_first(conf) : NULL;
    if (row) {
        configure(&row->external_ids);
        hand_on(&row->external_ids);
        aff_policy_check(remote != NULL);
    }
    redirect_run();
}

void
affinity_wait(void)
{
    redirect_wait();
}

void
affinity_port_configure(const char *name, odp_port_t port)
{
    static struct sset names = SSET_INITIALIZER(&names);
    bool wanted = monitor_is_accelerator(name);

    if (wanted || sset_contains(&names, name)) {
        if (wanted) {
            sset_add(&names, name);
        } else {
            sset_find_and_delete(&names, name);
        }
        redirect_set_accelerator(port, name, wanted);
        aff_watch_port(name, port, wanted);
        n_accelerators = sset_count(&names);
        enable();
    }
}

void
affinity_init(void)
{
    redirect_init();
    aff_agent_init();
    aff_show_init();
    EXT_HOOK_SET(omit_column, omit_column);
}
