/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Policies in the database OVS_Ext, for who wants one: the host agent has the
 * connection and knows nothing of what they are for. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdlib.h>

#include "datapath-hooks/affinity/affinity.h"
#include "ovs-ext/db/db-policy.h"
#include "util.h"

/* Constant after the start. */
static affinity_policy_cb *taker;

/* As the main thread wants it; under 'aff_mutex'. */
static char *wanted OVS_GUARDED_BY(aff_mutex);
static bool wanted_changed OVS_GUARDED_BY(aff_mutex);

/* Agent thread only. */
static char *name;
static char *seen;              /* Of db_policy_read(). */
static bool following;          /* The connection was asked for 'name'. */

/* Main thread. */
static bool told;               /* That there is no database. */

void
affinity_set_policy_taker(affinity_policy_cb *cb)
{
    taker = cb;
}

void
affinity_want_policy(const char *name_)
{
    ovs_mutex_lock(&aff_mutex);
    free(wanted);
    wanted = nullable_xstrdup(name_);
    wanted_changed = true;
    ovs_mutex_unlock(&aff_mutex);
    told = false;
}

void
aff_policy_check(bool has_database)
{
    char *orphan = NULL;

    if (has_database) {
        told = false;
    } else if (!told) {
        ovs_mutex_lock(&aff_mutex);
        orphan = nullable_xstrdup(wanted);
        ovs_mutex_unlock(&aff_mutex);
        told = true;
    }
    if (orphan && taker) {
        taker(orphan, NULL, NULL, 0,
              "external_ids:ovs-ext-remote names no database");
    }
    free(orphan);
}

void
aff_policy_disconnected(void)
{
    free(seen);
    seen = NULL;
    following = false;
}

static void
take_wanted(void)
{
    ovs_mutex_lock(&aff_mutex);
    if (wanted_changed) {
        wanted_changed = false;
        free(name);
        free(seen);
        name = nullable_xstrdup(wanted);
        seen = NULL;
    }
    ovs_mutex_unlock(&aff_mutex);
}

void
aff_policy_run(struct ovsdb_idl *idl, bool changed)
{
    struct db_policy policy;
    char *error;

    take_wanted();
    if (!name) {
        if (following) {
            db_policy_follow(idl, NULL);
            following = false;
        }
        return;
    }
    following = true;
    if ((seen && !changed) || !db_policy_follow(idl, name)
        || !db_policy_read(idl, name, &seen, &policy, &error)) {
        return;
    }
    if (taker) {
        taker(name, policy.version, policy.data, policy.size, error);
    }
    db_policy_destroy(&policy);
    free(error);
}
