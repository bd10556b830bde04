/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-ctl: what the administrator sees and says of hosts, networks and
 * which hardware takes which traffic. */

#include <config.h>
#include "utilities/ovs-ext-ctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/shash.h"
#include "ovs-ext/affinity/aff-host-key.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "svec.h"
#include "util.h"

#define MAX_SCORE 1e6
#define MAX_WEIGHT 1e3

void
ext_ctl_monitor_table(struct ctl_context *ctx,
                      const struct ovsdb_idl_table_class *table)
{
    ovsdb_idl_add_table(ctx->idl, table);
    for (size_t i = 0; i < table->n_columns; i++) {
        ovsdb_idl_add_column(ctx->idl, &table->columns[i]);
    }
}

bool
ext_ctl_get_number(struct ctl_context *ctx, const char *what, const char *s,
                   double min, double max, double *x)
{
    if (!str_to_double(s, x) || !isfinite(*x) || *x < min || *x > max) {
        ctl_error(ctx, "%s \"%s\" is not a number from %g to %g",
                  what, s, min, max);
        return false;
    }
    return true;
}

/* pin, unpin. */

static void
pre_pin(struct ctl_context *ctx)
{
    ext_ctl_monitor_table(ctx, &ovsext_table_host);
    ext_ctl_monitor_table(ctx, &ovsext_table_resource);
    ovsdb_idl_omit(ctx->idl, &ovsext_resource_col_metrics);
    ext_ctl_monitor_table(ctx, &ovsext_table_affinity);
}

/* Checks NETWORK in the arguments. */
static bool
check_network(struct ctl_context *ctx)
{
    char *error = db_check_network(ctx->argv[2]);

    if (error) {
        ctl_error(ctx, "%s", error);
        free(error);
        return false;
    }
    return true;
}

/* Reads CLASS in the arguments. */
static bool
get_class(struct ctl_context *ctx, enum tp_class *class)
{
    if (!tp_class_from_string(ctx->argv[3], class)) {
        ctl_error(ctx, "class \"%s\" is not tcp, udp, sctp, icmp, esp or "
                  "other", ctx->argv[3]);
        return false;
    }
    return true;
}

/* Checks that hosts can tell the traffic in the arguments from other. */
static bool
check_pinnable(struct ctl_context *ctx, enum tp_class class)
{
    struct aff_host_key key;

    if (!aff_host_key_make(&key, ctx->argv[2], class)) {
        ctl_error(ctx, "network \"%s\" cannot be pinned: hosts cannot tell "
                  "its packets from others", ctx->argv[2]);
        return false;
    }
    return true;
}

/* Directs 'row' to the resource that argument 'name' is. */
static bool
pin_to(struct ctl_context *ctx, const struct ovsext_affinity *row,
       const char *host, const char *name)
{
    const struct ovsext_resource *resource = NULL;

    if (strcmp(name, "none")) {
        resource = db_resource_row(ctx->idl, host, name);
        if (!resource && !shash_find(&ctx->options, "--force")) {
            ctl_error(ctx, "host \"%s\" has no resource \"%s\" (--force pins "
                      "to it in advance)", host, name);
            return false;
        }
    }
    db_affinity_set_resource(row, resource);
    if (!resource && strcmp(name, "none")) {
        ovsext_affinity_set_resource_name(row, name);
    }
    return true;
}

static void
cmd_pin(struct ctl_context *ctx)
{
    const char *host = ctx->argv[1], *network = ctx->argv[2];
    const struct ovsext_host *host_row = db_host_row(ctx->idl, host);
    enum tp_class class;
    double score = 0;

    if (!check_network(ctx) || !get_class(ctx, &class)
        || !check_pinnable(ctx, class)
        || (ctx->argc > 5
            && !ext_ctl_get_number(ctx, "score", ctx->argv[5], -MAX_SCORE,
                                   MAX_SCORE, &score))) {
        return;
    }
    if (!host_row && !shash_find(&ctx->options, "--force")) {
        ctl_error(ctx, "there is no host \"%s\" (--force pins in advance)",
                  host);
        return;
    }

    const struct ovsext_affinity *row = db_affinity_row(ctx->idl, host,
                                                        network, class);
    if (!row) {
        row = ovsext_affinity_insert(ctx->txn);
        ovsext_affinity_set_host(row, host);
        ovsext_affinity_set_network(row, network);
        ovsext_affinity_set_class_(row, tp_class_to_string(class));
    }
    if (!pin_to(ctx, row, host, ctx->argv[4])) {
        return;
    }
    ovsext_affinity_set_origin(row, "pinned");
    ovsext_affinity_set_score(row, score);
    ovsext_affinity_set_expiry(row, NULL, 0);
    ovsext_affinity_set_reason(row, "pinned by the administrator");
    if (host_row) {
        ovsext_affinity_set_generation(row,
                                       db_host_next_generation(host_row));
    }
}

static void
cmd_unpin(struct ctl_context *ctx)
{
    const struct ovsext_host *host_row = db_host_row(ctx->idl, ctx->argv[1]);
    enum tp_class class;

    /* The row may be there by other means, whatever its network. */
    if (!get_class(ctx, &class)) {
        return;
    }

    const struct ovsext_affinity *row
        = db_affinity_row(ctx->idl, ctx->argv[1], ctx->argv[2], class);
    if (row && !strcmp(row->origin, "pinned")) {
        ovsext_affinity_delete(row);
        if (host_row) {
            db_host_next_generation(host_row);
        }
    } else if (!shash_find(&ctx->options, "--if-exists")) {
        ctl_error(ctx, "%s of network \"%s\" is not pinned at host \"%s\"",
                  ctx->argv[3], ctx->argv[2], ctx->argv[1]);
    }
}

/* Networks. */

static void
pre_network(struct ctl_context *ctx)
{
    ext_ctl_monitor_table(ctx, &ovsext_table_network);
}

static const struct ovsext_network *
find_network(struct ctl_context *ctx, const char *name)
{
    const struct ovsext_network *row;

    OVSEXT_NETWORK_FOR_EACH (row, ctx->idl) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

static void
cmd_add_network(struct ctl_context *ctx)
{
    const struct ovsext_network *row = find_network(ctx, ctx->argv[1]);
    const char *weight = shash_find_data(&ctx->options, "--weight");
    char *error = db_check_network(ctx->argv[1]);
    double w = 1;

    if (error) {
        ctl_error(ctx, "%s", error);
        free(error);
        return;
    }
    if (row && !shash_find(&ctx->options, "--may-exist")) {
        ctl_error(ctx, "there is a network \"%s\" already", ctx->argv[1]);
        return;
    }
    if (weight
        && !ext_ctl_get_number(ctx, "weight", weight, 0, MAX_WEIGHT, &w)) {
        return;
    }
    if (!row) {
        row = ovsext_network_insert(ctx->txn);
        ovsext_network_set_name(row, ctx->argv[1]);
    }
    ovsext_network_set_exclusive(row, shash_find(&ctx->options,
                                                 "--exclusive"));
    ovsext_network_set_weight(row, w);
}

static void
cmd_del_network(struct ctl_context *ctx)
{
    const struct ovsext_network *row = find_network(ctx, ctx->argv[1]);

    if (row) {
        ovsext_network_delete(row);
    } else if (!shash_find(&ctx->options, "--if-exists")) {
        ctl_error(ctx, "there is no network \"%s\"", ctx->argv[1]);
    }
}

/* Hosts. */

static void
pre_hosts(struct ctl_context *ctx)
{
    ext_ctl_monitor_table(ctx, &ovsext_table_host);
    ext_ctl_monitor_table(ctx, &ovsext_table_resource);
    ext_ctl_monitor_table(ctx, &ovsext_table_resource_metrics);
    ext_ctl_monitor_table(ctx, &ovsext_table_traffic_profile);
    ext_ctl_monitor_table(ctx, &ovsext_table_affinity);
    ext_ctl_monitor_table(ctx, &ovsext_table_affinity_report);
    ext_ctl_monitor_table(ctx, &ovsext_table_migration_hint);
}

static void
cmd_del_host(struct ctl_context *ctx)
{
    const char *host = ctx->argv[1];
    const struct ovsext_host *row = db_host_row(ctx->idl, host);

    if (!row) {
        if (!shash_find(&ctx->options, "--if-exists")) {
            ctl_error(ctx, "there is no host \"%s\"", host);
        }
        return;
    }
    ovsext_host_delete(row);

#define DELETE_ROWS(TABLE, FOR_EACH)                            \
    do {                                                        \
        const struct ovsext_##TABLE *r;                         \
        FOR_EACH (r, ctx->idl) {                                \
            if (!strcmp(r->host, host)) {                       \
                ovsext_##TABLE##_delete(r);                     \
            }                                                   \
        }                                                       \
    } while (0)
    DELETE_ROWS(resource, OVSEXT_RESOURCE_FOR_EACH_SAFE);
    DELETE_ROWS(traffic_profile, OVSEXT_TRAFFIC_PROFILE_FOR_EACH_SAFE);
    DELETE_ROWS(affinity, OVSEXT_AFFINITY_FOR_EACH_SAFE);
    DELETE_ROWS(affinity_report, OVSEXT_AFFINITY_REPORT_FOR_EACH_SAFE);
    DELETE_ROWS(migration_hint, OVSEXT_MIGRATION_HINT_FOR_EACH_SAFE);
#undef DELETE_ROWS
}

/* show.  Each function adds a line for each row of its table that is about
 * 'host'. */

static void
show_resources(struct ctl_context *ctx, const char *host, struct svec *lines)
{
    const struct ovsext_resource *r;

    OVSEXT_RESOURCE_FOR_EACH (r, ctx->idl) {
        const struct ovsext_resource_metrics *m = db_resource_metrics(r);

        if (strcmp(r->host, host)) {
            continue;
        }
        char *use = m ? xasprintf(", %.0f %% used", 100 * m->utilization)
                      : xstrdup("");
        svec_add_nocopy(lines, xasprintf("    Resource %s: %s, %s%s", r->name,
                                         r->kind, r->state, use));
        free(use);
    }
}

static void
show_profiles(struct ctl_context *ctx, const char *host, struct svec *lines)
{
    const struct ovsext_traffic_profile *p;

    OVSEXT_TRAFFIC_PROFILE_FOR_EACH (p, ctx->idl) {
        if (!strcmp(p->host, host)) {
            svec_add_nocopy(lines,
                            xasprintf("    Profile %s %s: %.0f packets/s, "
                                      "%.0f bytes each, %"PRId64" flows",
                                      p->network, p->class_, p->pps,
                                      p->packet_size, p->flows));
        }
    }
}

/* Where 'a' directs to, or would if its resource were to be had. */
static char *
target_to_string(struct ctl_context *ctx, const struct ovsext_affinity *a)
{
    const struct ovsext_resource *r;

    if (a->resource || !a->resource_name[0]) {
        return xstrdup(a->resource ? a->resource->name : "none");
    }
    r = db_resource_row(ctx->idl, a->host, a->resource_name);
    return xasprintf("%s (%s)", a->resource_name,
                     r ? r->state : "not there");
}

static void
show_affinity(struct ctl_context *ctx, const char *host, struct svec *lines)
{
    const struct ovsext_affinity *a;

    OVSEXT_AFFINITY_FOR_EACH (a, ctx->idl) {
        if (!strcmp(a->host, host)) {
            char *target = target_to_string(ctx, a);

            svec_add_nocopy(lines,
                            xasprintf("    Affinity %s %s: %s, %s, score "
                                      "%.3g", a->network, a->class_, target,
                                      a->origin, a->score));
            free(target);
        }
    }
}

void
ext_ctl_show_sorted(struct ctl_context *ctx, struct svec *lines)
{
    const char *line;
    size_t i;

    svec_sort(lines);
    SVEC_FOR_EACH (i, line, lines) {
        ds_put_format(&ctx->output, "%s\n", line);
    }
    svec_clear(lines);
}

static void
show_host(struct ctl_context *ctx, const struct ovsext_host *h)
{
    struct svec lines = SVEC_EMPTY_INITIALIZER;

    ds_put_format(&ctx->output, "Host %s\n", h->name);
    if (h->hostname[0]) {
        ds_put_format(&ctx->output, "    hostname: %s\n", h->hostname);
    }
    if (h->version[0]) {
        ds_put_format(&ctx->output, "    version: %s\n", h->version);
    }
    ds_put_format(&ctx->output,
                  "    generation: %"PRId64", applied: %"PRId64"\n",
                  h->generation, h->applied_generation);
    ext_ctl_show_host_session(ctx, h);
    show_resources(ctx, h->name, &lines);
    ext_ctl_show_sorted(ctx, &lines);
    show_profiles(ctx, h->name, &lines);
    ext_ctl_show_sorted(ctx, &lines);
    show_affinity(ctx, h->name, &lines);
    ext_ctl_show_sorted(ctx, &lines);
    svec_destroy(&lines);
}

/* Pins in advance, for hosts that are not there yet. */
static void
show_absent_hosts(struct ctl_context *ctx)
{
    struct svec hosts = SVEC_EMPTY_INITIALIZER;
    struct svec lines = SVEC_EMPTY_INITIALIZER;
    const struct ovsext_affinity *a;
    const char *host;
    size_t i;

    OVSEXT_AFFINITY_FOR_EACH (a, ctx->idl) {
        if (!db_host_row(ctx->idl, a->host)) {
            svec_add(&hosts, a->host);
        }
    }
    svec_sort_unique(&hosts);
    SVEC_FOR_EACH (i, host, &hosts) {
        ds_put_format(&ctx->output, "Host %s (not there)\n", host);
        show_affinity(ctx, host, &lines);
        ext_ctl_show_sorted(ctx, &lines);
    }
    svec_destroy(&hosts);
    svec_destroy(&lines);
}

static void
pre_show(struct ctl_context *ctx)
{
    pre_hosts(ctx);
    pre_network(ctx);
    ext_ctl_monitor_table(ctx, &ovsext_table_service);
    ext_ctl_monitor_table(ctx, &ovsext_table_backend);
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_name);
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_version);
}

static void
show_fleet(struct ctl_context *ctx)
{
    struct svec lines = SVEC_EMPTY_INITIALIZER;
    const struct ovsext_network *n;
    const struct ovsext_steering_policy *p;

    OVSEXT_NETWORK_FOR_EACH (n, ctx->idl) {
        svec_add_nocopy(&lines,
                        xasprintf("Network %s:%s weight %g", n->name,
                                  n->exclusive ? " exclusive," : "",
                                  n->weight ? n->weight : 1));
    }
    ext_ctl_show_sorted(ctx, &lines);
    OVSEXT_STEERING_POLICY_FOR_EACH (p, ctx->idl) {
        svec_add_nocopy(&lines, xasprintf("Steering policy %s: version %s",
                                          p->name, p->version));
    }
    ext_ctl_show_sorted(ctx, &lines);
    svec_destroy(&lines);
}

static int
compare_hosts(const void *a_, const void *b_)
{
    const struct ovsext_host *const *a = a_;
    const struct ovsext_host *const *b = b_;

    return strcmp((*a)->name, (*b)->name);
}

static void
cmd_show(struct ctl_context *ctx)
{
    const struct ovsext_host **hosts = NULL;
    const struct ovsext_host *h;
    size_t n = 0, allocated = 0;

    OVSEXT_HOST_FOR_EACH (h, ctx->idl) {
        if (ctx->argc < 2 || !strcmp(h->name, ctx->argv[1])) {
            if (n >= allocated) {
                hosts = x2nrealloc(hosts, &allocated, sizeof *hosts);
            }
            hosts[n++] = h;
        }
    }
    if (ctx->argc < 2) {
        show_fleet(ctx);
        ext_ctl_show_services(ctx);
    } else if (!n) {
        ctl_error(ctx, "there is no host \"%s\"", ctx->argv[1]);
    }
    if (n) {
        qsort(hosts, n, sizeof *hosts, compare_hosts);
    }
    for (size_t i = 0; i < n; i++) {
        show_host(ctx, hosts[i]);
    }
    if (ctx->argc < 2) {
        show_absent_hosts(ctx);
    }
    free(hosts);
}

const struct ctl_command_syntax ext_ctl_affinity_commands[] = {
    {"show", 0, 1, "[HOST]", pre_show, cmd_show, NULL, "", RO},
    {"pin", 4, 5, "HOST NETWORK CLASS RESOURCE [SCORE]", pre_pin, cmd_pin,
     NULL, "--force", RW},
    {"unpin", 3, 3, "HOST NETWORK CLASS", pre_pin, cmd_unpin, NULL,
     "--if-exists", RW},
    {"add-network", 1, 1, "NETWORK", pre_network, cmd_add_network, NULL,
     "--may-exist,--exclusive,--weight=", RW},
    {"del-network", 1, 1, "NETWORK", pre_network, cmd_del_network, NULL,
     "--if-exists", RW},
    {"del-host", 1, 1, "HOST", pre_hosts, cmd_del_host, NULL, "--if-exists",
     RW},
    {NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, RO},
};
