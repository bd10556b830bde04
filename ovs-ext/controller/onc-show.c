/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The unixctl commands "controller/...", see ovs-ext-controller(8). */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "ovsdb-idl.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"
#include "uuid.h"

VLOG_DEFINE_THIS_MODULE(onc_show);

/* Candidates that "controller/explain" lists. */
#define N_EXPLAINED 10

const char *
onc_role(const struct onc *onc)
{
    return (onc->paused ? "paused" : !onc->ready ? "not connected"
            : onc->active ? "active" : "standby");
}

/* Figures of "controller/status", in its order. */
struct figure {
    const char *name;
    double value;
};

static int
compare_uint32(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return *a > *b ? 1 : *a < *b ? -1 : 0;
}

/* CPU time of the latest loops: the given quantile, in ms. */
static double
cpu_quantile(const struct onc_stats *s, double q)
{
    size_t n = MIN(s->loops, ONC_N_SAMPLES);
    uint32_t sorted[ONC_N_SAMPLES];

    if (!n) {
        return 0;
    }
    memcpy(sorted, s->cpu_us, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_uint32);
    return sorted[MIN((size_t) (q * n), n - 1)] / 1e3;
}

static size_t
get_figures(const struct onc *onc, struct figure figures[32])
{
    const struct onc_stats *s = &onc->stats;
    size_t n = 0, managed = 0, resources = 0, profiles = 0, pinned = 0;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &onc->hosts) {
        const struct onc_host *h = node->data;

        managed += !uuid_is_zero(&h->row);
        resources += aff_host_n_resources(h->aff);
        profiles += aff_host_n_profiles(h->aff);
        AFF_PROFILE_FOR_EACH (slot, h->aff) {
            pinned += aff_profile_is_pinned(h->aff, slot);
        }
    }
#define FIGURE(NAME, VALUE) figures[n++] = (struct figure) { NAME, VALUE }
    FIGURE("hosts", managed);
    FIGURE("resources", resources);
    FIGURE("profiles", profiles);
    FIGURE("pinned", pinned);
    FIGURE("waiting hosts", ovs_list_size(&onc->dirty)
           + ovs_list_size(&onc->fresh_small)
           + ovs_list_size(&onc->fresh_large));
    FIGURE("loops", s->loops);
    FIGURE("loop cpu mean ms",
           s->loops ? s->cpu_total_us / 1e3 / s->loops : 0);
    FIGURE("loop cpu median ms", cpu_quantile(s, 0.5));
    FIGURE("loop cpu p99 ms", cpu_quantile(s, 0.99));
    FIGURE("loop cpu max ms", s->cpu_max_us / 1e3);
    FIGURE("receive cpu max ms", s->receive_max_us / 1e3);
    FIGURE("own cpu max ms", s->own_max_us / 1e3);
    FIGURE("rows received", s->updates);
    FIGURE("rows ignored", s->ignored);
    FIGURE("plans", s->plans);
    FIGURE("plans put off", s->deferred);
    FIGURE("decisions changed", s->decisions);
    FIGURE("transactions", s->txns);
    FIGURE("transactions failed", s->txns_failed);
    FIGURE("rows written", s->rows);
    FIGURE("reports", s->reports);
    FIGURE("reports learned from", onc->learner.n_reports);
#undef FIGURE
    return n;
}

static void
show_status(struct unixctl_conn *conn, int argc, const char *argv[],
            void *onc_)
{
    struct onc *onc = onc_;
    struct figure figures[32];
    size_t n;

    onc_check_role(onc);
    n = get_figures(onc, figures);
    if (argc > 1 && strcmp(argv[1], "--json")) {
        unixctl_command_reply_error(conn, "the only option is --json");
    } else if (argc > 1) {
        struct json *json = json_object_create();

        json_object_put_string(json, "role", onc_role(onc));
        for (size_t i = 0; i < n; i++) {
            json_object_put(json, figures[i].name,
                            json_real_create(figures[i].value));
        }

        char *s = json_to_string(json, JSSF_SORT);
        unixctl_command_reply(conn, s);
        free(s);
        json_destroy(json);
    } else {
        struct ds s = DS_EMPTY_INITIALIZER;

        ds_put_format(&s, "role: %s\n", onc_role(onc));
        for (size_t i = 0; i < n; i++) {
            ds_put_format(&s, "%s: %.*f\n", figures[i].name,
                          strstr(figures[i].name, " ms") ? 3 : 0,
                          figures[i].value);
        }
        ds_put_cstr(&s, "weights:");
        for (int i = 0; i < AFF_N_FEATURES; i++) {
            ds_put_format(&s, " %s %.3f", aff_feature_to_string(i),
                          onc->config.learn ? onc->learner.weights[i]
                          : aff_prior[i]);
        }
        ds_put_char(&s, '\n');
        unixctl_command_reply(conn, ds_cstr(&s));
        ds_destroy(&s);
    }
}

/* "controller/status-reset": the CPU figures start anew. */
static void
reset_status(struct unixctl_conn *conn, int argc OVS_UNUSED,
             const char *argv[] OVS_UNUSED, void *onc_)
{
    struct onc *onc = onc_;

    onc->stats.loops = onc->stats.cpu_total_us = onc->stats.cpu_max_us = 0;
    onc->stats.receive_max_us = onc->stats.own_max_us = 0;
    unixctl_command_reply(conn, NULL);
}

static void
put_host(const struct onc_host *h, struct ds *s)
{
    const struct shash_node **nodes = shash_sort(&h->entries);
    size_t n = shash_count(&h->entries);

    ds_put_format(s, "host %s: %"PRIuSIZE" resources, %"PRIuSIZE" profiles, "
                  "applied generation %"PRId64"%s\n", h->name,
                  aff_host_n_resources(h->aff), aff_host_n_profiles(h->aff),
                  h->applied, uuid_is_zero(&h->row) ? ", not registered"
                  : h->dirty ? ", to be planned" : "");
    for (size_t i = 0; i < n; i++) {
        const struct onc_entry *e = nodes[i]->data;

        ds_put_format(s, "  %s %s: ", e->network,
                      tp_class_to_string(e->class));
        if (e->slot == AFF_NONE) {
            ds_put_format(s, "no traffic%s\n", e->expires
                          ? ", its row expires" : "");
        } else {
            const struct aff_decision *d = aff_profile_decision(h->aff,
                                                                e->slot);

            ds_put_format(s, "%s%s (%.3f, %s)\n", d->resource == AFF_NONE
                          ? "the usual way"
                          : aff_resource_name(h->aff, d->resource),
                          e->pinned ? ", pinned" : "", d->score, d->reason);
        }
    }
    free(nodes);
}

static void
show_hosts(struct unixctl_conn *conn, int argc, const char *argv[],
           void *onc_)
{
    const struct onc *onc = onc_;
    struct ds s = DS_EMPTY_INITIALIZER;

    if (argc > 1) {
        const struct onc_host *h = onc_host_find(onc, argv[1]);

        if (!h) {
            unixctl_command_reply_error(conn, "no such host");
            return;
        }
        put_host(h, &s);
    } else {
        const struct shash_node **nodes = shash_sort(&onc->hosts);

        for (size_t i = 0; i < shash_count(&onc->hosts); i++) {
            put_host(nodes[i]->data, &s);
        }
        free(nodes);
    }
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}

static void
explain(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[],
        void *onc_)
{
    const struct onc *onc = onc_;
    const struct onc_host *h = onc_host_find(onc, argv[1]);
    struct ds s = DS_EMPTY_INITIALIZER;
    enum tp_class class;
    int slot;

    if (!h) {
        unixctl_command_reply_error(conn, "no such host");
        return;
    }
    if (!tp_class_from_string(argv[3], &class)) {
        unixctl_command_reply_error(conn, "class is not one of tcp, udp, "
                                    "sctp, icmp, esp and other");
        return;
    }
    slot = aff_host_find_profile(h->aff, argv[2], class);
    if (slot == AFF_NONE) {
        unixctl_command_reply_error(conn, "the host has no such traffic");
        return;
    }
    aff_explain(h->aff, &onc->config, &onc->learner, slot, N_EXPLAINED, &s);
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}

/* A paused controller lets another one take over. */
static void
set_paused(struct unixctl_conn *conn, struct onc *onc, bool paused)
{
    if (paused != onc->paused) {
        onc->paused = paused;
        VLOG_INFO("%s by command", paused ? "paused" : "resumed");
        ovsdb_idl_set_lock(onc->idl, paused ? NULL : DB_CONTROLLER_LOCK);
    }
    unixctl_command_reply(conn, NULL);
}

static void
do_pause(struct unixctl_conn *conn, int argc OVS_UNUSED,
      const char *argv[] OVS_UNUSED, void *onc)
{
    set_paused(conn, onc, true);
}

static void
do_resume(struct unixctl_conn *conn, int argc OVS_UNUSED,
       const char *argv[] OVS_UNUSED, void *onc)
{
    set_paused(conn, onc, false);
}

void
onc_show_init(struct onc *onc)
{
    unixctl_command_register("controller/status", "[--json]", 0, 1,
                             show_status, onc);
    unixctl_command_register("controller/status-reset", "", 0, 0,
                             reset_status, onc);
    unixctl_command_register("controller/show", "[HOST]", 0, 1, show_hosts,
                             onc);
    unixctl_command_register("controller/explain", "HOST NETWORK CLASS", 3, 3,
                             explain, onc);
    unixctl_command_register("controller/pause", "", 0, 0, do_pause, onc);
    unixctl_command_register("controller/resume", "", 0, 0, do_resume, onc);
}
