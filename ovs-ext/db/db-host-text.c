/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What rows say in the columns that a host writes, as text: 15 digits of a
 * number, as the database keeps of it. */

#include <config.h>
#include "ovs-ext/db/db-host-impl.h"

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-data.h"
#include "ovsdb-idl.h"
#include "util.h"

static void
put(struct ds *ds, const struct ovsdb_idl_row *row,
    const struct ovsdb_idl_column *const columns[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ds_put_format(ds, "%s%s=", ds->length ? " " : "", columns[i]->name);
        ovsdb_datum_to_string(ovsdb_idl_read(row, columns[i]),
                              &columns[i]->type, ds);
    }
}

void
db_text_host(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_host_col_hostname, &ovsext_host_col_version,
        &ovsext_host_col_applied_generation,
    };
    const struct ovsext_host *row = row_;

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
}

void
db_text_addresses(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_host_col_encap_ip, &ovsext_host_col_gossip,
    };
    const struct ovsext_host *row = row_;

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
}

void
db_text_state(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_host_col_gossip_state,
    };
    const struct ovsext_host *row = row_;

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
}

void
db_text_resource(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_resource_col_name, &ovsext_resource_col_kind,
        &ovsext_resource_col_state, &ovsext_resource_col_numa,
        &ovsext_resource_col_unit, &ovsext_resource_col_attributes,
        &ovsext_resource_col_capacity,
    };
    static const struct ovsdb_idl_column *const metrics[] = {
        &ovsext_resource_metrics_col_utilization,
        &ovsext_resource_metrics_col_forecast_utilization,
        &ovsext_resource_metrics_col_error_rate,
        &ovsext_resource_metrics_col_latency_us,
        &ovsext_resource_metrics_col_throughput,
    };
    const struct ovsext_resource *row = row_;
    const struct ovsext_resource_metrics *m = db_resource_metrics(row);

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
    if (m) {
        put(ds, &m->header_, metrics, ARRAY_SIZE(metrics));
    }
}

void
db_text_profile(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_traffic_profile_col_network,
        &ovsext_traffic_profile_col_class_,
        &ovsext_traffic_profile_col_pps, &ovsext_traffic_profile_col_bps,
        &ovsext_traffic_profile_col_packet_size,
        &ovsext_traffic_profile_col_burstiness,
        &ovsext_traffic_profile_col_flows,
        &ovsext_traffic_profile_col_elephant_share,
        &ovsext_traffic_profile_col_destinations,
    };
    const struct ovsext_traffic_profile *row = row_;

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
}

void
db_text_report(struct ds *ds, const void *row_)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsext_affinity_report_col_network,
        &ovsext_affinity_report_col_class_,
        &ovsext_affinity_report_col_resource,
        &ovsext_affinity_report_col_latency_us,
        &ovsext_affinity_report_col_loss,
        &ovsext_affinity_report_col_throughput,
        &ovsext_affinity_report_col_generation,
    };
    const struct ovsext_affinity_report *row = row_;

    put(ds, &row->header_, columns, ARRAY_SIZE(columns));
}
