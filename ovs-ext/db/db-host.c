/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-host.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-host-impl.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "smap.h"
#include "sset.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(db_host);

/* Below these, rates are as good as zero. */
#define FLOOR_LATENCY_US 10.0
#define FLOOR_PPS 100.0
#define FLOOR_BPS 1e5
#define FLOOR_BYTES 100.0       /* Of packet sizes. */
#define FLOOR_BURSTINESS 1.0
#define FLOOR_FLOWS 20.0
#define FLOOR_CAPACITY 1.0

/* What a real column takes: JSON has no infinity. */
#define MAX_REAL 1e18

static char *
traffic_key(char table, const char *network, const char *class)
{
    return xasprintf("%c%s\n%s", table, network, class);
}

/* Host. */

static const struct ovsext_host *
sync_host(struct db_sync *s)
{
    const struct db_host_input *in = s->in;
    const struct ovsext_host *row = db_host_row(s->idl, s->dh->host);

    int64_t applied = (in->applied_generation >= 0 ? in->applied_generation
                       : row ? row->applied_generation : 0);
    bool same = (row && !strcmp(row->hostname, in->hostname)
                 && !strcmp(row->version, in->version)
                 && row->applied_generation == applied);
    struct db_note *note = db_sync_due(s, "N", same ? DB_SAME : DB_STATE,
                                       db_text_host, row);
    if (note) {
        if (!row) {
            row = ovsext_host_insert(s->txn);
            ovsext_host_set_name(row, s->dh->host);
        }
        ovsext_host_set_hostname(row, in->hostname);
        ovsext_host_set_version(row, in->version);
        ovsext_host_set_applied_generation(row, applied);
        db_note_written(note, db_text_host, row);
    }
    return row;
}

/* Resource, Resource_Metrics. */

static void
attrs_to_smap(const struct hrm_resource *r, struct smap *smap)
{
    smap_init(smap);
    for (size_t i = 0; i < r->n_attrs; i++) {
        smap_replace(smap, r->attrs[i].key, r->attrs[i].value);
    }
    if (r->reason[0]) {
        smap_replace(smap, "reason", r->reason);
    }
}

/* A resource's throughput is compared with what it can do, where known. */
static double
throughput_floor(const struct hrm_resource *r)
{
    return MAX(db_sane(r->capacity, MAX_REAL), FLOOR_PPS);
}

static enum db_change
metrics_change(const struct hrm_resource *r,
               const struct ovsext_resource_metrics *m)
{
    if (!m) {
        return r->state == HRM_UNMANAGED ? DB_SAME : DB_MEASURE;
    }
    return (db_share_moved(m->utilization, db_sane(r->m.utilization, 1))
            || db_share_moved(m->forecast_utilization,
                              db_sane(r->m.forecast_utilization, 1))
            || db_share_moved(m->error_rate, db_sane(r->m.error_rate, 1))
            || db_rate_moved(m->latency_us,
                             db_sane(r->m.latency_us, MAX_REAL),
                             FLOOR_LATENCY_US)
            || db_rate_moved(m->throughput,
                             db_sane(r->m.throughput, MAX_REAL),
                             throughput_floor(r))
            ? DB_MEASURE : DB_SAME);
}

static enum db_change
resource_change(const struct hrm_resource *r,
                const struct ovsext_resource *row, const struct smap *attrs)
{
    if (strcmp(row->state, hrm_state_to_string(r->state))) {
        return DB_STATE;
    }
    if (row->numa != r->numa || strcmp(row->unit, r->unit)
        || !smap_equal(&row->attributes, attrs)
        || db_rate_moved(row->capacity, db_sane(r->capacity, MAX_REAL),
                         FLOOR_CAPACITY)) {
        return DB_MEASURE;
    }
    return metrics_change(r, db_resource_metrics(row));
}

static void
write_metrics(struct db_sync *s, const struct hrm_resource *r,
              const struct ovsext_resource *row)
{
    const struct ovsext_resource_metrics *m = db_resource_metrics(row);

    if (!m) {
        if (r->state == HRM_UNMANAGED) {
            return;
        }
        m = ovsext_resource_metrics_insert(s->txn);
        ovsext_resource_metrics_set_host(m, s->dh->host);
        ovsext_resource_set_metrics(row, m);
    }
    ovsext_resource_metrics_set_utilization(m, db_sane(r->m.utilization, 1));
    ovsext_resource_metrics_set_forecast_utilization(
        m, db_sane(r->m.forecast_utilization, 1));
    ovsext_resource_metrics_set_error_rate(m, db_sane(r->m.error_rate, 1));
    ovsext_resource_metrics_set_latency_us(
        m, db_sane(r->m.latency_us, MAX_REAL));
    ovsext_resource_metrics_set_throughput(
        m, db_sane(r->m.throughput, MAX_REAL));
}

static void
write_resource(struct db_sync *s, const struct hrm_resource *r,
               const struct ovsext_resource *row, const struct smap *attrs)
{
    ovsext_resource_set_state(row, hrm_state_to_string(r->state));
    ovsext_resource_set_numa(row, MAX(-1, MIN(r->numa, 1023)));
    ovsext_resource_set_unit(row, r->unit);
    ovsext_resource_set_attributes(row, attrs);
    ovsext_resource_set_capacity(row, db_sane(r->capacity, MAX_REAL));
    write_metrics(s, r, row);
}

static void
delete_resource(struct db_sync *s, const struct ovsext_resource *row)
{
    char *key = xasprintf("R%s", row->name);

    db_sync_forget(s, key);
    free(key);
    ovsext_resource_delete(row);
}

static void
sync_resource(struct db_sync *s, const struct hrm_resource *r,
              const struct ovsext_resource *row)
{
    const char *kind = hrm_kind_to_string(r->kind);
    struct smap attrs;

    if (row && strcmp(row->kind, kind)) {
        delete_resource(s, row);
        row = NULL;
    }
    attrs_to_smap(r, &attrs);
    char *key = xasprintf("R%s", r->name);
    enum db_change change = (row ? resource_change(r, row, &attrs)
                             : DB_STATE);
    struct db_note *note = db_sync_due(s, key, change, db_text_resource, row);
    if (note) {
        if (!row) {
            row = ovsext_resource_insert(s->txn);
            ovsext_resource_set_host(row, s->dh->host);
            ovsext_resource_set_name(row, r->name);
            ovsext_resource_set_kind(row, kind);
        }
        write_resource(s, r, row, &attrs);
        db_note_written(note, db_text_resource, row);
    }
    free(key);
    smap_destroy(&attrs);
}

static void
sync_resources(struct db_sync *s)
{
    struct sset seen = SSET_INITIALIZER(&seen);
    struct shash rows = SHASH_INITIALIZER(&rows);
    const struct ovsext_resource *row;
    struct shash_node *node;

    OVSEXT_RESOURCE_FOR_EACH (row, s->idl) {
        if (!strcmp(row->host, s->dh->host)) {
            shash_add(&rows, row->name, row);
        }
    }
    for (size_t i = 0; i < s->in->n_resources; i++) {
        const struct hrm_resource *r = &s->in->resources[i];

        if (r->name[0] && hrm_kind_to_string(r->kind)
            && hrm_state_to_string(r->state) && sset_add(&seen, r->name)) {
            sync_resource(s, r, shash_find_and_delete(&rows, r->name));
        }
    }
    SHASH_FOR_EACH (node, &rows) {
        delete_resource(s, node->data);
    }
    shash_destroy(&rows);
    sset_destroy(&seen);
}

/* Traffic_Profile. */

static bool
same_destinations(const struct tp_profile *p,
                  const struct ovsext_traffic_profile *row)
{
    if (p->n_destinations != row->n_destinations) {
        return false;
    }
    for (size_t i = 0; i < p->n_destinations; i++) {
        bool found = false;

        for (size_t j = 0; j < row->n_destinations && !found; j++) {
            found = !strcmp(p->destinations[i].name, row->destinations[j]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static enum db_change
profile_change(const struct tp_profile *p,
               const struct ovsext_traffic_profile *row)
{
    if (db_rate_moved(row->pps, db_sane(p->pps, MAX_REAL), FLOOR_PPS)
        || db_rate_moved(row->bps, db_sane(p->bps, MAX_REAL), FLOOR_BPS)
        || db_rate_moved(row->packet_size, db_sane(p->packet_size, 65535),
                         FLOOR_BYTES)
        || db_rate_moved(row->burstiness, db_sane(p->burstiness, MAX_REAL),
                         FLOOR_BURSTINESS)
        || db_rate_moved(row->flows, db_sane(p->flows, MAX_REAL), FLOOR_FLOWS)
        || db_share_moved(row->elephant_share,
                          db_sane(p->elephant_share, 1))) {
        return DB_MEASURE;
    }
    return same_destinations(p, row) ? DB_SAME : DB_SMALL_PRINT;
}

static void
write_profile(const struct tp_profile *p,
              const struct ovsext_traffic_profile *row)
{
    const char *destinations[TP_MAX_DESTINATIONS];
    size_t n = 0;

    for (size_t i = 0; i < p->n_destinations; i++) {
        if (p->destinations[i].name[0]) {
            destinations[n++] = p->destinations[i].name;
        }
    }
    ovsext_traffic_profile_set_pps(row, db_sane(p->pps, MAX_REAL));
    ovsext_traffic_profile_set_bps(row, db_sane(p->bps, MAX_REAL));
    ovsext_traffic_profile_set_packet_size(row,
                                           db_sane(p->packet_size, 65535));
    ovsext_traffic_profile_set_burstiness(row,
                                          db_sane(p->burstiness, MAX_REAL));
    ovsext_traffic_profile_set_flows(row, llrint(db_sane(p->flows,
                                                         MAX_REAL)));
    ovsext_traffic_profile_set_elephant_share(row,
                                              db_sane(p->elephant_share, 1));
    ovsext_traffic_profile_set_destinations(row, destinations, n);
}

static void
sync_profile(struct db_sync *s, const struct tp_profile *p, const char *key,
             const struct ovsext_traffic_profile *row)
{
    enum db_change change = row ? profile_change(p, row) : DB_STATE;
    struct db_note *note = db_sync_due(s, key, change, db_text_profile, row);

    if (note) {
        if (!row) {
            row = ovsext_traffic_profile_insert(s->txn);
            ovsext_traffic_profile_set_host(row, s->dh->host);
            ovsext_traffic_profile_set_network(row, p->network);
            ovsext_traffic_profile_set_class_(row,
                                              tp_class_to_string(p->class));
        }
        write_profile(p, row);
        db_note_written(note, db_text_profile, row);
    }
}

static void
sync_profiles(struct db_sync *s)
{
    struct sset seen = SSET_INITIALIZER(&seen);
    struct shash rows = SHASH_INITIALIZER(&rows);
    const struct ovsext_traffic_profile *row;
    struct shash_node *node;

    OVSEXT_TRAFFIC_PROFILE_FOR_EACH (row, s->idl) {
        if (!strcmp(row->host, s->dh->host)) {
            shash_add_nocopy(&rows,
                             traffic_key('P', row->network, row->class_), row);
        }
    }
    for (size_t i = 0; i < s->in->n_profiles; i++) {
        const struct tp_profile *p = &s->in->profiles[i];

        if (!p->network[0] || p->class >= TP_N_CLASSES) {
            continue;
        }
        char *key = traffic_key('P', p->network,
                                tp_class_to_string(p->class));
        if (sset_add(&seen, key)) {
            sync_profile(s, p, key, shash_find_and_delete(&rows, key));
        }
        free(key);
    }
    SHASH_FOR_EACH (node, &rows) {
        db_sync_forget(s, node->name);
        ovsext_traffic_profile_delete(node->data);
    }
    shash_destroy(&rows);
    sset_destroy(&seen);
}

/* Affinity_Report. */

static enum db_change
report_change(const struct db_report *r,
              const struct ovsext_affinity_report *row)
{
    if (strcmp(r->resource, row->resource)
        || r->generation != row->generation) {
        return DB_STATE;
    }
    return (db_rate_moved(row->latency_us, db_sane(r->latency_us, MAX_REAL),
                          FLOOR_LATENCY_US)
            || db_share_moved(row->loss, db_sane(r->loss, 1))
            || db_rate_moved(row->throughput,
                             db_sane(r->throughput, MAX_REAL), FLOOR_BPS)
            ? DB_MEASURE : DB_SAME);
}

static void
sync_report(struct db_sync *s, const struct db_report *r, const char *key,
            const struct ovsext_affinity_report *row)
{
    enum db_change change = row ? report_change(r, row) : DB_STATE;
    struct db_note *note = db_sync_due(s, key, change, db_text_report, row);

    if (note) {
        if (!row) {
            row = ovsext_affinity_report_insert(s->txn);
            ovsext_affinity_report_set_host(row, s->dh->host);
            ovsext_affinity_report_set_network(row, r->network);
            ovsext_affinity_report_set_class_(row,
                                              tp_class_to_string(r->class));
        }
        ovsext_affinity_report_set_resource(row, r->resource);
        ovsext_affinity_report_set_generation(row, MAX(r->generation, 0));
        ovsext_affinity_report_set_latency_us(row, db_sane(r->latency_us,
                                                           MAX_REAL));
        ovsext_affinity_report_set_loss(row, db_sane(r->loss, 1));
        ovsext_affinity_report_set_throughput(row, db_sane(r->throughput,
                                                           MAX_REAL));
        db_note_written(note, db_text_report, row);
    }
}

static void
sync_reports(struct db_sync *s)
{
    struct sset seen = SSET_INITIALIZER(&seen);
    struct shash rows = SHASH_INITIALIZER(&rows);
    const struct ovsext_affinity_report *row;
    struct shash_node *node;

    OVSEXT_AFFINITY_REPORT_FOR_EACH (row, s->idl) {
        if (!strcmp(row->host, s->dh->host)) {
            shash_add_nocopy(&rows,
                             traffic_key('A', row->network, row->class_), row);
        }
    }
    for (size_t i = 0; i < s->in->n_reports; i++) {
        const struct db_report *r = &s->in->reports[i];

        if (!r->network[0] || !r->resource[0] || r->class >= TP_N_CLASSES) {
            continue;
        }
        char *key = traffic_key('A', r->network,
                                tp_class_to_string(r->class));
        if (sset_add(&seen, key)) {
            sync_report(s, r, key, shash_find_and_delete(&rows, key));
        }
        free(key);
    }
    SHASH_FOR_EACH (node, &rows) {
        db_sync_forget(s, node->name);
        ovsext_affinity_report_delete(node->data);
    }
    shash_destroy(&rows);
    sset_destroy(&seen);
}

/* The writer. */

struct db_host *
db_host_create(const char *host)
{
    struct db_host *dh = xzalloc(sizeof *dh);

    dh->host = xstrdup(host);
    shash_init(&dh->notes);
    db_rival_init(&dh->rival);
    dh->retry_at = LLONG_MIN;
    dh->session_retry_at = LLONG_MIN;
    return dh;
}

void
db_host_destroy(struct db_host *dh)
{
    if (dh) {
        if (dh->txn) {
            ovsdb_idl_txn_destroy(dh->txn);
        }
        shash_destroy_free_data(&dh->notes);
        free(dh->host);
        free(dh);
    }
}

/* Looks after the transaction in flight.  Returns true if there is none any
 * more. */
static bool
finish_txn(struct db_host *dh, long long int now)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
    enum ovsdb_idl_txn_status status;

    status = dh->txn ? ovsdb_idl_txn_commit(dh->txn) : TXN_UNCHANGED;
    switch (status) {
    case TXN_INCOMPLETE:
        return false;

    case TXN_UNCHANGED:
        break;

    case TXN_SUCCESS:
        dh->stats.transactions++;
        dh->stats.rows += dh->txn_rows;
        break;

    case TXN_UNCOMMITTED:
    case TXN_ABORTED:
    case TXN_TRY_AGAIN:
    case TXN_NOT_LOCKED:
        dh->stats.retries++;
        break;

    case TXN_ERROR:
        VLOG_WARN_RL(&rl, "database refuses what host \"%s\" writes: %s",
                     dh->host, ovsdb_idl_txn_get_error(dh->txn));
        dh->stats.errors++;
        if (dh->txn_session) {
            dh->session_retry_at = now + DB_HOST_SESSION_RETRY;
        } else {
            dh->retry_at = now + DB_HOST_RETRY;
        }
        break;
    }
    if (dh->txn) {
        db_notes_finish(dh, status == TXN_SUCCESS || status == TXN_UNCHANGED);
        ovsdb_idl_txn_destroy(dh->txn);
        dh->txn = NULL;
    }
    return true;
}

void
db_host_run(struct db_host *dh, struct ovsdb_idl *idl,
            const struct db_host_input *in, long long int now)
{
    struct db_sync s = { .dh = dh, .idl = idl, .in = in, .now = now };
    const struct ovsext_host *row;

    if (!finish_txn(dh, now) || !db_conn_is_ready(idl)
        || now < dh->retry_at || db_rival_is_pausing(&dh->rival, now)) {
        return;
    }
    row = sync_host(&s);
    if (in->session) {
        db_sync_session(&s, row);
    }
    if (in->resources) {
        sync_resources(&s);
    }
    if (in->profiles) {
        sync_profiles(&s);
    }
    if (in->reports) {
        sync_reports(&s);
    }
    if (db_sync_yields(&s)) {
        ovsdb_idl_txn_destroy(s.txn);
    } else if (s.txn) {
        dh->txn = s.txn;
        dh->txn_rows = s.n_rows;
        dh->txn_session = s.session;
        finish_txn(dh, now);
    }
    free(s.rival);
}

bool
db_host_is_busy(const struct db_host *dh)
{
    return dh->txn != NULL;
}

void
db_host_wait(const struct db_host *dh)
{
    if (dh->txn) {
        ovsdb_idl_txn_wait(dh->txn);
    }
}

void
db_host_get_stats(const struct db_host *dh, struct db_host_stats *stats)
{
    *stats = dh->stats;
}
