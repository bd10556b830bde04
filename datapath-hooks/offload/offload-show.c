/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-appctl ext/offload-*, and what the monitor is told. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/monitor/monitor.h"
#include "datapath-hooks/offload/offload-agent.h"
#include "datapath-hooks/offload/offload-wish.h"
#include "datapath-hooks/offload/offload.h"
#include "netdev-offload.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"
#include "uuid.h"

/* What there is to say about a port. */
struct port_view {
    struct offload_port_stats plan;
    uint32_t installed, insert_us;
    uint64_t inserted, removed, failed, hw_packets;
    double share;               /* Of the last interval's packets. */
    bool planned;               /* 'plan' is valid. */
};

/* Fills in what is for any thread to read. */
static void
view_counters(const struct offload_port *port, struct port_view *view)
{
    atomic_read_relaxed(&port->installed, &view->installed);
    atomic_read_relaxed(&port->insert_us, &view->insert_us);
    atomic_read_relaxed(&port->n_inserted, &view->inserted);
    atomic_read_relaxed(&port->n_removed, &view->removed);
    atomic_read_relaxed(&port->n_failed, &view->failed);
    atomic_read_relaxed(&port->hw_packets, &view->hw_packets);
}

static void
view_port(const struct offload_port *port, struct port_view *view)
    OVS_REQUIRES(offload_agent.mutex)
{
    const struct offload_agent *a = &offload_agent;

    memset(view, 0, sizeof *view);
    view->plan.capacity = OFFLOAD_UNKNOWN;
    if (a->plan && port->plan_port >= 0) {
        offload_plan_port_stats(a->plan, port->plan_port, &view->plan);
        view->planned = true;
    }
    view_counters(port, view);
    view->share = (port->round_all
                   ? (double) port->round_hw / port->round_all : 0);
}

bool
offload_flow_table(const char *name, struct monitor_flow_table *table)
{
    struct offload_port *port;

    CMAP_FOR_EACH (port, node, &offload_ports) {
        struct port_view view;
        uint32_t capacity;

        if (strcmp(port->name, name)) {
            continue;
        }
        view_counters(port, &view);
        atomic_read_relaxed(&port->capacity, &capacity);
        *table = (struct monitor_flow_table) {
            .used = view.installed,
            .capacity = capacity == OFFLOAD_UNKNOWN ? 0 : capacity,
            .inserted = view.inserted,
            .removed = view.removed,
            .failed = view.failed,
            .hits = view.hw_packets,
            .insert_us = view.insert_us,
            .stuck = offload_port_hangs(port),
        };
        return true;
    }
    return false;
}

/* JSON. */

static void
put_real(struct json *object, const char *name, double value)
{
    json_object_put(object, name, json_real_create(isfinite(value) ? value
                                                   : 0));
}

static void
put_int(struct json *object, const char *name, long long int value)
{
    json_object_put(object, name, json_integer_create(value));
}

static struct json *
port_to_json(const struct offload_port *port, const struct port_view *view)
{
    struct json *json = json_object_create();

    json_object_put_string(json, "name", port->name);
    put_int(json, "candidates", view->plan.candidates);
    put_int(json, "flows", cmap_count(&port->flows));
    put_int(json, "installed", view->installed);
    put_int(json, "planned", view->plan.used);
    put_int(json, "capacity", (view->plan.capacity == OFFLOAD_UNKNOWN ? -1LL
                               : view->plan.capacity));
    put_int(json, "inserted", view->inserted);
    put_int(json, "removed", view->removed);
    put_int(json, "evicted", view->plan.evicted);
    put_int(json, "failed", view->failed);
    put_int(json, "no_space", view->plan.no_space);
    put_int(json, "retries", view->plan.retries);
    put_int(json, "insert_us", view->insert_us);
    put_real(json, "hit_share", view->share);
    put_real(json, "predicted_pps", view->plan.rate);
    put_real(json, "predicted_share",
             view->plan.rate > 0 ? view->plan.rate_in / view->plan.rate : 0);
    put_real(json, "threshold_pps", view->plan.threshold);
    json_object_put(json, "paused",
                    json_boolean_create(view->plan.paused_until
                                        > time_msec()));
    return json;
}

static struct json *
to_json(const struct offload_agent *a)
    OVS_REQUIRES(a->mutex)
{
    struct json *json = json_object_create();
    struct json *ports = json_array_create_empty();
    struct offload_port *port;

    json_object_put_string(json, "mode",
                           offload_mode_to_string(a->settings.mode));
    put_int(json, "budget", a->settings.budget);
    put_int(json, "interval", a->settings.interval);
    put_int(json, "ticks", a->n_ticks);
    put_int(json, "tick_us", a->tick_us);
    put_int(json, "dump_us", a->dump_us);
    put_int(json, "dumped", a->n_dumped);
    put_int(json, "updates", a->n_updates);
    CMAP_FOR_EACH (port, node, &offload_ports) {
        struct port_view view;

        view_port(port, &view);
        json_array_add(ports, port_to_json(port, &view));
    }
    json_object_put(json, "ports", ports);
    json_object_put(json, "preferred", offload_wish_json());
    return json;
}

/* Text. */

static void
show_port(const struct offload_port *port, const struct port_view *view,
          struct ds *ds)
{
    ds_put_format(ds, "%-15s %8"PRIu32" %8"PRIu32" ", port->name,
                  view->plan.candidates, view->installed);
    if (view->plan.capacity == OFFLOAD_UNKNOWN) {
        ds_put_format(ds, "%8s", "?");
    } else {
        ds_put_format(ds, "%8"PRIu32, view->plan.capacity);
    }
    ds_put_format(ds, " %9"PRIu64" %9"PRIu64" %8"PRIu64" %8"PRIu64
                  " %8"PRIu32" %5.1f %%%s\n", view->inserted, view->removed,
                  view->failed, view->plan.retries, view->insert_us,
                  view->share * 100,
                  view->plan.paused_until > time_msec() ? "  paused" : "");
}

static void
show(struct unixctl_conn *conn, int argc, const char *argv[],
     void *aux OVS_UNUSED)
{
    struct offload_agent *a = &offload_agent;
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct offload_port *port;

    if (argc > 1 && strcmp(argv[1], "--json")) {
        unixctl_command_reply_error(conn, "the only option is --json");
        return;
    }
    ovs_mutex_lock(&a->mutex);
    if (argc > 1) {
        struct json *json = to_json(a);

        json_to_ds(json, JSSF_SORT, &ds);
        json_destroy(json);
    } else {
        ds_put_format(&ds, "mode: %s\n"
                      "budget: %u updates/s, interval: %u ms\n"
                      "ticks: %"PRIu64", the last took %.1f ms, of which "
                      "%.1f ms for dumping %"PRIu64" flows\n",
                      offload_mode_to_string(a->settings.mode),
                      a->settings.budget, a->settings.interval, a->n_ticks,
                      a->tick_us / 1e3, a->dump_us / 1e3, a->n_dumped);
        if (!netdev_is_flow_api_enabled()) {
            ds_put_cstr(&ds, "other_config:hw-offload is not true\n");
        }
        ds_put_cstr(&ds, "port            candid's    rules capacity  "
                    "inserted   removed   failed  retries ins. us  hits\n");
        CMAP_FOR_EACH (port, node, &offload_ports) {
            struct port_view view;

            view_port(port, &view);
            show_port(port, &view, &ds);
        }
        offload_wish_format(&ds);
    }
    ovs_mutex_unlock(&a->mutex);
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

/* Explanations. */

struct wanted {
    ovs_u128 ufid;
    struct offload_flow *flow;
};

static bool
is_wanted(struct offload_flow *flow, void *wanted_)
{
    struct wanted *wanted = wanted_;

    if (ovs_u128_equals(flow->dp_ufid, wanted->ufid)
        || ovs_u128_equals(flow->ufid, wanted->ufid)) {
        wanted->flow = flow;
        return false;
    }
    return true;
}

/* Why 'flow' is in the table or not. */
static const char *
reason(struct offload_flow *flow, const struct offload_explanation *e)
{
    return (offload_flow_is_stuck(flow)
            ? "the device does not let go of its rule"
            : e->failures ? "its last inserts failed"
            : e->in ? "it is worth its place"
            : e->room ? "too few packets to be worth an update, or waiting "
                        "for the budget"
            : e->value <= e->threshold
            ? "the table is full of flows that carry more"
            : "it would take a place, but not by enough, or waits for the "
              "budget");
}

static void
explain(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[],
        void *aux OVS_UNUSED)
{
    struct offload_agent *a = &offload_agent;
    const char *name = argv[1];
    struct offload_explanation e;
    struct wanted wanted;

    name += !strncmp(name, "ufid:", 5) ? 5 : 0;
    memset(&wanted, 0, sizeof wanted);
    if (!uuid_from_string((struct uuid *) &wanted.ufid, name)) {
        unixctl_command_reply_error(conn, "not a ufid");
        return;
    }
    ovs_mutex_lock(&a->mutex);
    offload_agent_each(is_wanted, &wanted);
    if (!wanted.flow) {
        unixctl_command_reply_error(conn, "no such candidate");
    } else {
        struct ds ds = DS_EMPTY_INITIALIZER;

        offload_plan_explain(a->plan, wanted.flow->id, &e);
        ds_put_format(&ds, "port: %s\nin hardware: %s, since %s\n"
                      "predicted: %.1f packets/s (+- %.1f)\n"
                      "least in the table: %.1f packets/s\n"
                      "preferred: %s\n"
                      "failures in a row: %u\n",
                      wanted.flow->port->name, e.in ? "yes" : "no",
                      reason(wanted.flow, &e), e.rate, e.error, e.threshold,
                      e.boost > 1 ? "yes" : "no", e.failures);
        unixctl_command_reply(conn, ds_cstr(&ds));
        ds_destroy(&ds);
    }
    ovs_mutex_unlock(&a->mutex);
}

static void
flush(struct unixctl_conn *conn, int argc OVS_UNUSED,
      const char *argv[] OVS_UNUSED, void *aux OVS_UNUSED)
{
    offload_agent_flush();
    unixctl_command_reply(conn, NULL);
}

void
offload_show_init(void)
{
    unixctl_command_register("ext/offload-show", "[--json]", 0, 1, show,
                             NULL);
    unixctl_command_register("ext/offload-explain", "UFID", 1, 1, explain,
                             NULL);
    unixctl_command_register("ext/offload-flush", "", 0, 0, flush, NULL);
}
