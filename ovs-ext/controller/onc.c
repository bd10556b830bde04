/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The loop: receive, plan, write.  See onc.h. */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-rbac.h"
#include "ovsdb-idl.h"
#include "simap.h"
#include "timeval.h"
#include "util.h"
#include "uuid.h"

VLOG_DEFINE_THIS_MODULE(onc);

/* How long a host whose rows the server refuses is left alone. */
#define BAR_MS 10000

/* The IDL takes 50 messages at a time. */
#define MAX_BATCHES 100

/* CPU time of this thread, in microseconds. */
uint64_t
onc_cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * UINT64_C(1000000) + ts.tv_nsec / 1000;
}

/* Follows the changes of all columns of 'table'. */
static void
track_table(struct ovsdb_idl *idl, const struct ovsdb_idl_table_class *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        ovsdb_idl_track_add_column(idl, &table->columns[i]);
    }
}

struct onc *
onc_create(const char *remote)
{
    const struct aff_config config = AFF_CONFIG_DEFAULT;
    struct onc *onc = xzalloc(sizeof *onc);

    onc->idl = db_conn_open_controller(remote);
    db_conn_watch_init(&onc->watch, remote);
    track_table(onc->idl, &ovsext_table_network);
    track_table(onc->idl, &ovsext_table_host);
    track_table(onc->idl, &ovsext_table_resource);
    track_table(onc->idl, &ovsext_table_resource_metrics);
    track_table(onc->idl, &ovsext_table_traffic_profile);
    track_table(onc->idl, &ovsext_table_affinity);
    track_table(onc->idl, &ovsext_table_affinity_report);
    track_table(onc->idl, &ovsext_table_rbac_role);
    track_table(onc->idl, &ovsext_table_rbac_permission);
    ovsdb_idl_track_add_column(onc->idl, &ovsext_ext_global_col_options);
    ovsdb_idl_omit(onc->idl, &ovsext_traffic_profile_col_destinations);

    shash_init(&onc->hosts);
    shash_init(&onc->networks);
    shash_init(&onc->bad_options);
    ovs_list_init(&onc->dirty);
    ovs_list_init(&onc->fresh_small);
    ovs_list_init(&onc->fresh_large);
    onc->config = config;
    onc->expiry_ms = 60000;
    onc->seed = 1;
    onc->due = LLONG_MAX;
    aff_learner_init(&onc->learner);
    onc_show_init(onc);
    return onc;
}

void
onc_destroy(struct onc *onc)
{
    if (onc) {
        if (onc->txn) {
            ovsdb_idl_txn_destroy(onc->txn);
        }
        onc_forget(onc);
        shash_destroy(&onc->hosts);
        shash_destroy_free_data(&onc->networks);
        shash_destroy_free_data(&onc->bad_options);
        db_conn_watch_uninit(&onc->watch);
        ovsdb_idl_destroy(onc->idl);
        free(onc);
    }
}

/* The hosts of a transaction that failed are to be done again.  If the server
 * refused it, for one row, others are not to suffer: one host at a time then,
 * and the one that it is refused for has to wait. */
static void
txn_failed(struct onc *onc, enum ovsdb_idl_txn_status status,
           long long int now)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
    struct shash_node *node;
    struct onc_host *last = NULL;
    int n = 0;

    SHASH_FOR_EACH (node, &onc->hosts) {
        struct onc_host *h = node->data;

        if (h->in_txn) {
            onc_host_dirty(onc, h, true);
            last = h;
            n++;
        }
    }
    if (status != TXN_ERROR) {
        return;
    }
    if (n == 1) {
        VLOG_WARN_RL(&rl, "host %s: the database refuses its rows: %s",
                     last->name, ovsdb_idl_txn_get_error(onc->txn));
        last->barred_until = now + BAR_MS;
    } else {
        VLOG_INFO_RL(&rl, "transaction of %d hosts refused: %s", n,
                     ovsdb_idl_txn_get_error(onc->txn));
        onc->alone = n;
    }
}

/* The RBAC rows are to be written again, after a while if the server refused
 * them. */
static void
rbac_failed(struct onc *onc, enum ovsdb_idl_txn_status status,
            long long int now)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

    onc->rbac_done = false;
    if (status == TXN_ERROR) {
        onc->rbac_at = now + BAR_MS;
        VLOG_WARN_RL(&rl, "the database refuses the roles of hosts: %s",
                     ovsdb_idl_txn_get_error(onc->txn));
    }
}

/* Looks after the transaction in flight. */
static void
run_txn(struct onc *onc, long long int now)
{
    struct shash_node *node;
    enum ovsdb_idl_txn_status status;

    if (!onc->txn) {
        return;
    }
    status = ovsdb_idl_txn_commit(onc->txn);
    if (status == TXN_INCOMPLETE) {
        return;
    }
    if (status == TXN_SUCCESS || status == TXN_UNCHANGED) {
        onc->stats.txns++;
        onc->stats.rows += onc->txn_rows;
    } else {
        onc->stats.txns_failed++;
        if (onc->txn_is_rbac) {
            rbac_failed(onc, status, now);
        } else {
            txn_failed(onc, status, now);
        }
        if (onc->txn_has_weights) {
            onc->saved_reports = UINT64_MAX;
        }
    }
    SHASH_FOR_EACH_SAFE (node, &onc->hosts) {
        struct onc_host *h = node->data;

        if (h->in_txn) {
            h->in_txn = false;
            if (onc_host_is_empty(h)) {
                onc_host_destroy(onc, h);
            }
        }
    }
    ovsdb_idl_txn_destroy(onc->txn);
    onc->txn = NULL;
    onc->busy = true;
}

/* Takes over, or lets go. */
static void
update_role(struct onc *onc, long long int now)
{
    bool ready = db_conn_is_ready(onc->idl);
    bool active = (!onc->paused && ovsdb_idl_has_lock(onc->idl)
                   && db_conn_is_current(onc->idl));

    if (ready != onc->ready) {
        onc->ready = ready;
        VLOG_INFO("%s the database", ready ? "connected to"
                  : "lost the connection to");
    }
    if (active == onc->active) {
        return;
    }
    onc->active = active;
    onc->busy = true;
    VLOG_INFO("now %s", onc_role(onc));
    if (active) {
        struct shash_node *node;

        onc->active_since = now;
        onc->rbac_done = false;
        onc->rbac_at = now;
        onc_load_weights(onc);
        SHASH_FOR_EACH (node, &onc->hosts) {
            onc_host_dirty(onc, node->data, false);
        }
    }
}

/* Sees whether it still is active.  What the connection has to say is heard
 * first, so that nobody is told what was true in the last loop. */
void
onc_check_role(struct onc *onc)
{
    if (onc->active) {
        if (!onc_is_intake_begun(onc)) {
            unsigned int seqno = ovsdb_idl_get_seqno(onc->idl);

            ovsdb_idl_run(onc->idl);
            onc->received |= seqno != ovsdb_idl_get_seqno(onc->idl);
        }
        update_role(onc, time_msec());
    }
}

/* Plans one host and writes what changed.  Returns the number of rows. */
static unsigned int
do_host(struct onc *onc, struct onc_host *h, long long int now,
        long long int wall_now)
{
    unsigned int rows;

    onc_host_set_clean(h);
    if (onc_host_is_empty(h)) {
        onc_host_destroy(onc, h);
        return 0;
    }
    h->next_ms = LLONG_MAX;
    if (now < h->barred_until) {
        h->next_ms = h->barred_until;
        return 0;
    }
    if (!uuid_is_zero(&h->row)) {
        aff_plan(h->aff, &onc->config, &onc->learner, now, &h->result);
        h->next_ms = h->result.again ? now : h->result.next_ms;
        onc->stats.plans++;
        onc->stats.decisions += h->result.n_changed;
    }
    rows = onc_write_host(onc, h, now, wall_now);
    h->in_txn = rows > 0;
    return rows;
}

/* Plans what is to be planned, within the bounds of a loop. */
static unsigned int
do_hosts(struct onc *onc, long long int now, uint64_t until_us)
{
    long long int wall_now = time_wall_msec();
    unsigned int rows = 0;

    while (!ovs_list_is_empty(&onc->dirty)) {
        struct onc_host *h = CONTAINER_OF(ovs_list_front(&onc->dirty),
                                          struct onc_host, dirty_node);

        if (h->n_pending) {
            /* There is more to know.  It comes back when that is known. */
            onc_host_set_clean(h);
            onc_host_dirty(onc, h, false);
            continue;
        }
        if (rows >= (onc->alone ? 1 : ONC_LOOP_ROWS)
            || onc_cpu_us() > until_us) {
            onc->stats.deferred += ovs_list_size(&onc->dirty);
            break;
        }
        rows += do_host(onc, h, now, wall_now);
    }
    if (onc->alone) {
        onc->alone--;
    }
    return rows;
}

/* Puts the hosts whose time has come to the others that are to be planned. */
static void
find_due(struct onc *onc, long long int now)
{
    struct shash_node *node;

    onc->due = LLONG_MAX;
    SHASH_FOR_EACH (node, &onc->hosts) {
        struct onc_host *h = node->data;

        if (h->next_ms <= now) {
            h->next_ms = LLONG_MAX;
            onc_host_dirty(onc, h, false);
        } else {
            onc->due = MIN(onc->due, h->next_ms);
        }
    }
}

static void
begin_txn(struct onc *onc, const char *comment)
{
    onc->txn = ovsdb_idl_txn_create(onc->idl);
    onc->txn_has_weights = false;
    onc->txn_is_rbac = false;
    ovsdb_idl_txn_add_comment(onc->txn, "%s", comment);
}

/* Ends the transaction that was begun, of 'rows' rows. */
static void
end_txn(struct onc *onc, unsigned int rows, long long int now)
{
    onc->txn_rows = rows;
    onc->txn_began = now;
    if (rows) {
        run_txn(onc, now);
    } else {
        ovsdb_idl_txn_abort(onc->txn);
        ovsdb_idl_txn_destroy(onc->txn);
        onc->txn = NULL;
    }
}

/* Writes what hosts may do.  In a transaction of its own: what is wrong with
 * the rows of hosts is no matter here. */
static void
write_rbac(struct onc *onc, long long int now)
{
    begin_txn(onc, "ovs-ext-controller roles");
    onc->txn_is_rbac = true;
    onc->rbac_done = true;
    end_txn(onc, db_rbac_update(onc->idl, onc->txn), now);
}

static void
plan_and_write(struct onc *onc, long long int now, uint64_t until_us)
{
    unsigned int rows;

    if (!onc->rbac_done && now >= onc->rbac_at) {
        write_rbac(onc, now);
        if (onc->txn) {
            return;
        }
    }
    find_due(onc, now);
    if (ovs_list_is_empty(&onc->dirty)
        && onc->learner.n_reports == onc->saved_reports) {
        return;
    }
    onc->busy |= !ovs_list_is_empty(&onc->dirty);
    begin_txn(onc, "ovs-ext-controller");
    aff_learner_solve(&onc->learner);
    rows = do_hosts(onc, now, until_us);
    rows += onc_save_weights(onc, now);
    find_due(onc, LLONG_MIN);
    end_txn(onc, rows, now);
}

static void
count_loop(struct onc *onc, uint64_t receive_us, uint64_t own_us)
{
    struct onc_stats *s = &onc->stats;
    uint64_t us = receive_us + own_us;

    s->cpu_us[s->loops++ % ONC_N_SAMPLES] = MIN(us, UINT32_MAX);
    s->cpu_max_us = MAX(s->cpu_max_us, us);
    s->receive_max_us = MAX(s->receive_max_us, receive_us);
    s->own_max_us = MAX(s->own_max_us, own_us);
    s->cpu_total_us += us;
}

/* Receives what there is, within the bounds of a loop.  Returns true if there
 * may be more. */
static bool
receive(struct onc *onc, uint64_t until_us)
{
    for (int i = 0; i < MAX_BATCHES; i++) {
        unsigned int seqno = ovsdb_idl_get_seqno(onc->idl);

        ovsdb_idl_run(onc->idl);
        if (seqno == ovsdb_idl_get_seqno(onc->idl)) {
            return false;
        }
        onc->received = true;
        if (onc_cpu_us() > until_us) {
            break;
        }
    }
    return true;
}

/* Has the RBAC rows compared with what they should be, if somebody has changed
 * one. */
static void
check_rbac(struct onc *onc)
{
    if (onc->refilled || ovsext_rbac_role_track_get_first(onc->idl)
        || ovsext_rbac_permission_track_get_first(onc->idl)) {
        onc->rbac_done = false;
    }
}

/* Takes in what was received and acts on it, within the bounds of a loop. */
static void
work(struct onc *onc, long long int now, uint64_t start_us)
{
    if (onc->received) {
        onc->busy = true;
        if (!onc_is_intake_begun(onc)) {
            onc_config_sync(onc);
            onc_sync_networks(onc);
            check_rbac(onc);
        }
        onc->received = !onc_intake(onc, start_us + ONC_LOOP_DIGEST_US);
        if (onc->received) {
            update_role(onc, now);
            return;
        }
    }
    if (onc_has_fresh(onc)) {
        onc->busy = true;
        onc_digest(onc, start_us + ONC_LOOP_DIGEST_US);
    }
    update_role(onc, now);
    if (onc->active && !onc->txn) {
        plan_and_write(onc, now, start_us + ONC_LOOP_PLAN_US);
    }
}

void
onc_run(struct onc *onc)
{
    long long int now = time_msec();
    uint64_t start, received;
    bool more = true;

    if (now < onc->next_loop) {
        return;
    }
    start = onc_cpu_us();
    onc->busy = false;
    if (!onc->received) {
        more = receive(onc, start + ONC_LOOP_RECEIVE_US);
    }
    received = onc_cpu_us();
    db_conn_watch_run(&onc->watch, onc->idl, now);
    run_txn(onc, now);
    if (received - start < ONC_LOOP_DIGEST_US) {
        work(onc, now, start);
    } else {
        /* One message took long.  The rest of the loop is for the next. */
        onc->busy = true;
        update_role(onc, now);
    }
    if (onc->busy) {
        /* What comes meanwhile waits: it is cheaper by the dozen. */
        more |= onc->received || onc_has_fresh(onc);
        onc->next_loop = more ? now : now + ONC_LOOP_MS;
        count_loop(onc, received - start, onc_cpu_us() - received);
    }
}

void
onc_wait(struct onc *onc)
{
    if (onc->busy || onc->received) {
        poll_timer_wait_until(onc->next_loop);
        return;
    }
    ovsdb_idl_wait(onc->idl);
    db_conn_watch_wait(&onc->watch);
    if (onc->txn) {
        ovsdb_idl_txn_wait(onc->txn);
    } else if (onc->active) {
        if (onc->due != LLONG_MAX) {
            poll_timer_wait_until(MAX(onc->due, onc->next_loop));
        }
        if (onc->learner.n_reports != onc->saved_reports) {
            poll_timer_wait_until(onc->save_at);
        }
        if (!onc->rbac_done) {
            poll_timer_wait_until(MAX(onc->rbac_at, onc->next_loop));
        }
    }
}

/* Has what was learned put into a transaction of its own, if it is new. */
static void
save_now(struct onc *onc, long long int now)
{
    unsigned int rows;

    begin_txn(onc, "ovs-ext-controller ends");
    onc->save_at = now;
    rows = onc_save_weights(onc, now);
    if (rows) {
        onc->txn_rows = rows;
        run_txn(onc, now);
    } else {
        /* There is no row for it. */
        ovsdb_idl_txn_abort(onc->txn);
        ovsdb_idl_txn_destroy(onc->txn);
        onc->txn = NULL;
        onc->saved_reports = onc->learner.n_reports;
    }
}

bool
onc_finish(struct onc *onc)
{
    long long int now = time_msec();

    if (!onc->finish_by) {
        onc->finish_by = now + ONC_FINISH_MS;
    }
    ovsdb_idl_run(onc->idl);
    run_txn(onc, now);
    update_role(onc, now);
    if (!onc->txn && onc->active
        && onc->learner.n_reports != onc->saved_reports) {
        save_now(onc, now);
    }
    if (!onc->txn && (!onc->active
                      || onc->learner.n_reports == onc->saved_reports)) {
        return true;
    }
    if (now < onc->finish_by) {
        return false;
    }
    if (onc->learner.n_reports != onc->saved_reports
        || (onc->txn && onc->txn_has_weights)) {
        VLOG_WARN("ends without having saved what it learned: the database "
                  "has not answered for %d ms", ONC_FINISH_MS);
    }
    return true;
}

void
onc_finish_wait(struct onc *onc)
{
    ovsdb_idl_wait(onc->idl);
    if (onc->txn) {
        ovsdb_idl_txn_wait(onc->txn);
    }
    poll_timer_wait_until(MIN(onc->finish_by, time_msec() + 10));
}

void
onc_get_memory_usage(const struct onc *onc, struct simap *usage)
{
    struct shash_node *node;
    size_t resources = 0, profiles = 0, pending = 0;

    SHASH_FOR_EACH (node, &onc->hosts) {
        const struct onc_host *h = node->data;

        pending += h->n_pending;

        resources += aff_host_n_resources(h->aff);
        profiles += aff_host_n_profiles(h->aff);
    }
    simap_increase(usage, "hosts", shash_count(&onc->hosts));
    simap_increase(usage, "resources", resources);
    simap_increase(usage, "profiles", profiles);
    simap_increase(usage, "pending-rows", pending);
    ovsdb_idl_get_memory_usage(onc->idl, usage);
}
