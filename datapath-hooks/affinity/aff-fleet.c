/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Services, backends and hosts in the database OVS_Ext, for who wants them:
 * the host agent has the connection and knows nothing of what they are for. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include "datapath-hooks/affinity/affinity.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-session.h"
#include "ovs-ext/session/sess-fleet.h"
#include "svec.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_fleet);

/* Bad rows that are named in the log, of those that came at once. */
enum { MAX_COMPLAINTS = 5 };

/* Constant after the start. */
static affinity_fleet_cb *taker;
static affinity_rows_cb *rows_source;

/* As others want it; under 'aff_mutex'. */
static bool wanted OVS_GUARDED_BY(aff_mutex);

/* Agent thread only. */
static bool following;          /* The connection was asked for them. */
static bool complete;           /* And what it had then was read. */
static bool given;              /* 'fleet' was handed over. */
static struct sess_fleet fleet;
static struct svec complaints = SVEC_EMPTY_INITIALIZER; /* Of 'fleet'. */

void
affinity_set_fleet_taker(affinity_fleet_cb *cb)
{
    taker = cb;
}

void
affinity_set_rows_source(affinity_rows_cb *cb)
{
    rows_source = cb;
}

void
affinity_want_fleet(bool wanted_)
{
    ovs_mutex_lock(&aff_mutex);
    wanted = wanted_;
    ovs_mutex_unlock(&aff_mutex);
}

const struct db_host_session *
aff_fleet_rows(void)
{
    return rows_source ? rows_source() : NULL;
}

void
aff_fleet_disconnected(void)
{
    following = false;
    complete = false;
}

/* Logs what was not said of the last fleet: some of it, and how much there
 * is. */
static void
complain(struct svec *errors)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, MAX_COMPLAINTS);
    static struct vlog_rate_limit sum_rl = VLOG_RATE_LIMIT_INIT(1, 1);
    size_t n = 0, i;
    const char *line;

    SVEC_FOR_EACH (i, line, errors) {
        if (!svec_contains(&complaints, line) && n++ < MAX_COMPLAINTS) {
            VLOG_WARN_RL(&rl, "%s", line);
        }
    }
    if (n > MAX_COMPLAINTS) {
        VLOG_WARN_RL(&sum_rl, "%"PRIuSIZE" rows of services and backends make "
                     "no sense and are left out", errors->n);
    }
    svec_swap(&complaints, errors);
}

static void
take(struct sess_fleet *new, const char *host)
{
    if (given && sess_fleet_equals(new, &fleet)) {
        sess_fleet_uninit(new);
        return;
    }
    sess_fleet_uninit(&fleet);
    fleet = *new;
    given = true;
    taker(&fleet, host);
}

static void
give_up(const char *host)
{
    struct sess_fleet none;

    sess_fleet_init(&none);
    svec_clear(&complaints);
    if (given && (fleet.n_services || fleet.n_hosts)) {
        take(&none, host);
    }
    given = false;
}

void
aff_fleet_run(struct ovsdb_idl *idl, const char *host, bool changed)
{
    struct svec errors = SVEC_EMPTY_INITIALIZER;
    struct sess_fleet new;
    bool want;

    ovs_mutex_lock(&aff_mutex);
    want = wanted && taker;
    ovs_mutex_unlock(&aff_mutex);
    if (!want || !idl) {
        if (following && idl) {
            db_fleet_follow(idl, host, false);
        }
        following = complete = false;
        give_up(host);
        return;
    }
    following = true;
    if ((complete && !changed)
        || !(complete = db_fleet_follow(idl, host, true))) {
        return;
    }
    db_fleet_read(idl, &new, &errors);
    complain(&errors);
    take(&new, host);
    svec_destroy(&errors);
}
