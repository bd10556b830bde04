/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-appctl ext/resources-show. */

#include <config.h>

#include "datapath-hooks/monitor/monitor-impl.h"

#include <math.h>

#include "datapath-hooks/monitor/monitor.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* JSON has no word for what is not a finite number: that becomes 0. */
static void
put_real(struct json *object, const char *name, double value)
{
    json_object_put(object, name,
                    json_real_create(isfinite(value) ? value : 0));
}

static struct json *
resource_to_json(const struct hrm_resource *r, long long int now)
{
    struct json *json = json_object_create();
    struct json *attrs = json_object_create();

    json_object_put_string(json, "name", r->name);
    json_object_put_string(json, "kind", hrm_kind_to_string(r->kind));
    json_object_put_string(json, "state", hrm_state_to_string(r->state));
    json_object_put_string(json, "reason", r->reason);
    json_object_put(json, "state_ms", json_integer_create(now - r->since));
    json_object_put(json, "state_sample",
                    json_integer_create(r->since_round));
    json_object_put(json, "numa", json_integer_create(r->numa));
    put_real(json, "capacity", r->capacity);
    json_object_put_string(json, "unit", r->unit);
    put_real(json, "utilization", r->m.utilization);
    put_real(json, "forecast_utilization", r->m.forecast_utilization);
    put_real(json, "latency_us", r->m.latency_us);
    put_real(json, "throughput", r->m.throughput);
    put_real(json, "error_rate", r->m.error_rate);
    for (unsigned int i = 0; i < r->n_attrs; i++) {
        json_object_put_string(attrs, r->attrs[i].key, r->attrs[i].value);
    }
    json_object_put(json, "attributes", attrs);
    return json;
}

static struct json *
cost_to_json(const struct hrm_registry_stats *stats,
             const struct monitor_cost *cost)
{
    struct json *json = json_object_create();
    double n = MAX(cost->rounds, 1);

    json_object_put(json, "samples", json_integer_create(cost->rounds));
    put_real(json, "sample_us", cost->sum_us / n);
    json_object_put(json, "sample_us_max", json_integer_create(cost->max_us));
    put_real(json, "sample_cpu_us", cost->cpu_us / n);
    json_object_put(json, "transitions",
                    json_integer_create(stats->transitions));
    json_object_put(json, "refused", json_integer_create(stats->refused));
    return json;
}

static void
resource_format(const struct hrm_resource *r, struct ds *ds)
{
    ds_put_format(ds, "%-24s %-11s %4d %5.1f%% %5.1f%%", r->name,
                  hrm_state_to_string(r->state), r->numa,
                  r->m.utilization * 100, r->m.forecast_utilization * 100);
    ds_put_format(ds, " %10.2f %12.0f %-9s %5.1f%%", r->m.latency_us,
                  r->m.throughput,
                  !strcmp(r->unit, "entries") ? "entries/s" : r->unit,
                  r->m.error_rate * 100);
    if (r->capacity > 0) {
        ds_put_format(ds, " capacity=%.0f", r->capacity);
    }
    for (unsigned int i = 0; i < r->n_attrs; i++) {
        ds_put_format(ds, " %s=%s", r->attrs[i].key, r->attrs[i].value);
    }
    if (r->reason[0]) {
        ds_put_format(ds, " (%s)", r->reason);
    }
    ds_put_char(ds, '\n');
}

static char *
show_text(const struct hrm_resource *rs, size_t n, const enum hrm_kind *only,
          const struct hrm_registry_stats *stats,
          const struct monitor_cost *cost)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    double rounds = MAX(cost->rounds, 1);

    if (!monitor_is_on()) {
        return xstrdup("monitor: off\n");
    }
    ds_put_format(&ds, "monitor: %"PRIuSIZE" resources, %"PRIu64" samples, "
                  "mean %.0f us (%.0f us of CPU), max %lld us\n", n,
                  cost->rounds, cost->sum_us / rounds, cost->cpu_us / rounds,
                  cost->max_us);
    if (stats->refused) {
        ds_put_format(&ds, "refused: %"PRIu64" samples of more resources than "
                      "can be watched\n", stats->refused);
    }
    ds_put_cstr(&ds, "resource                 state       numa   used   soon "
                "latency-us   throughput unit      failed\n");
    for (size_t i = 0; i < n; i++) {
        if (!only || rs[i].kind == *only) {
            resource_format(&rs[i], &ds);
        }
    }
    return ds_steal_cstr(&ds);
}

static char *
show_json(const struct hrm_resource *rs, size_t n, const enum hrm_kind *only,
          const struct hrm_registry_stats *stats,
          const struct monitor_cost *cost)
{
    struct json *json = json_object_create();
    struct json *array = json_array_create_empty();
    long long int now = time_msec();
    char *s;

    for (size_t i = 0; i < n; i++) {
        if (!only || rs[i].kind == *only) {
            json_array_add(array, resource_to_json(&rs[i], now));
        }
    }
    json_object_put(json, "on", json_boolean_create(monitor_is_on()));
    json_object_put(json, "cost", cost_to_json(stats, cost));
    json_object_put(json, "resources", array);
    s = json_to_string(json, JSSF_SORT);
    json_destroy(json);
    return s;
}

static void
resources_show(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    bool as_json = argc > 1 && !strcmp(argv[1], "--json");
    const char *name = argc > 1 + as_json ? argv[1 + as_json] : NULL;
    struct hrm_registry_stats stats;
    struct hrm_resource *resources;
    struct monitor_cost cost;
    enum hrm_kind kind;
    size_t n;
    char *s;

    if (argc > 2 + as_json || (name && !hrm_kind_from_string(name, &kind))) {
        struct ds ds = DS_EMPTY_INITIALIZER;

        ds_put_format(&ds, "\"%s\" is not one of", argv[argc - 1]);
        for (int i = 0; i < HRM_N_KINDS; i++) {
            ds_put_format(&ds, " %s", hrm_kind_to_string(i));
        }
        unixctl_command_reply_error(conn, ds_cstr(&ds));
        ds_destroy(&ds);
        return;
    }
    monitor_snapshot(&resources, &n);
    monitor_get_stats(&stats, &cost);
    s = (as_json ? show_json : show_text)(resources, n, name ? &kind : NULL,
                                          &stats, &cost);
    unixctl_command_reply(conn, s);
    free(s);
    free(resources);
}

void
monitor_show_init(void)
{
    unixctl_command_register("ext/resources-show", "[--json] [kind]", 0, 2,
                             resources_show, NULL);
}
