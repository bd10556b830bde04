/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-appctl ext/profiles-show. */

#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "datapath-hooks/profile/profile-impl.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "ovs-ext/profile/tp-flow.h"
#include "ovs-thread.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

enum { PROFILE_N_HEAVY = 20 };  /* Flows that are shown. */

/* What is shown, copied under the mutex. */
struct view {
    struct tp_profile *profiles;
    size_t n_profiles;
    struct tp_heavy *heavy;
    size_t n_heavy;
    struct tp_merge_stats stats;
    struct profile_thread threads[PROFILE_MAX_THREADS];
    size_t n_threads;
};

static void
view_init(struct view *v)
{
    memset(v, 0, sizeof *v);
    ovs_mutex_lock(&profile_mutex);
    if (profile_merge()) {
        tp_merge_profiles(profile_merge(), &v->profiles, &v->n_profiles);
        tp_merge_heavy(profile_merge(), PROFILE_N_HEAVY, &v->heavy,
                       &v->n_heavy);
        tp_merge_get_stats(profile_merge(), &v->stats);
        v->n_threads = profile_pmd_threads(v->threads);
    }
    ovs_mutex_unlock(&profile_mutex);
}

static void
view_destroy(struct view *v)
{
    free(v->profiles);
    free(v->heavy);
}

/* JSON. */

/* Four significant digits are what these figures are good for. */
static void
put_real(struct json *object, const char *name, double value)
{
    double unit = (value > 0 && isfinite(value)
                   ? pow(10, floor(log10(value)) - 3) : 0);

    json_object_put(object, name,
                    json_real_create(unit > 0 ? rint(value / unit) * unit
                                     : 0));
}

static void
put_int(struct json *object, const char *name, long long int value)
{
    json_object_put(object, name, json_integer_create(value));
}

static struct json *
profile_to_json(const struct tp_profile *p)
{
    struct json *json = json_object_create();
    struct json *mix = json_object_create();
    struct json *sizes = json_object_create();
    struct json *destinations = json_array_create_empty();

    json_object_put_string(json, "network", p->network);
    json_object_put_string(json, "class", tp_class_to_string(p->class));
    put_real(json, "pps", p->pps);
    put_real(json, "bps", p->bps);
    put_real(json, "packet_size", p->packet_size);
    put_real(json, "burstiness", p->burstiness);
    put_real(json, "flows", p->flows);
    put_real(json, "elephant_share", p->elephant_share);
    for (size_t i = 0; i < TP_N_CLASSES; i++) {
        put_real(mix, tp_class_to_string(i), p->mix[i]);
    }
    json_object_put(json, "mix", mix);
    for (size_t i = 0; i < TP_N_SIZES; i++) {
        char *name = (tp_size_limits[i] == UINT32_MAX ? xstrdup("more")
                      : xasprintf("%"PRIu32, tp_size_limits[i]));

        put_real(sizes, name, p->sizes[i]);
        free(name);
    }
    json_object_put(json, "sizes", sizes);
    for (size_t i = 0; i < p->n_destinations; i++) {
        struct json *d = json_object_create();

        json_object_put_string(d, "address", p->destinations[i].name);
        put_real(d, "share", p->destinations[i].share);
        json_array_add(destinations, d);
    }
    json_object_put(json, "destinations", destinations);
    put_int(json, "age_ms", MAX(time_msec() - p->first_seen, 0));
    put_int(json, "idle_ms", MAX(time_msec() - p->last_seen, 0));
    return json;
}

static struct json *
heavy_to_json(const struct tp_heavy *h)
{
    struct tp_network network = tp_flow_network(&h->flow);
    struct json *json = json_object_create();
    char name[TP_NETWORK_LEN], address[TP_ADDRESS_LEN];

    tp_network_format(&network, name);
    json_object_put_string(json, "network", name);
    json_object_put_string(json, "class",
                           tp_class_to_string(tp_flow_class(&h->flow)));
    tp_address_format(h->flow.family, h->flow.src, address);
    json_object_put_string(json, "src", address);
    tp_address_format(h->flow.family, h->flow.dst, address);
    json_object_put_string(json, "dst", address);
    put_int(json, "nw_proto", h->flow.nw_proto);
    put_int(json, "tp_src", ntohs(h->flow.tp_src));
    put_int(json, "tp_dst", ntohs(h->flow.tp_dst));
    put_real(json, "pps", h->pps);
    put_real(json, "bps", h->bps);
    return json;
}

static struct json *
view_to_json(const struct view *v)
{
    struct json *json = json_object_create();
    struct json *profiles = json_array_create_empty();
    struct json *heavy = json_array_create_empty();
    struct json *threads = json_array_create_empty();

    for (size_t i = 0; i < v->n_profiles; i++) {
        json_array_add(profiles, profile_to_json(&v->profiles[i]));
    }
    for (size_t i = 0; i < v->n_heavy; i++) {
        json_array_add(heavy, heavy_to_json(&v->heavy[i]));
    }
    for (size_t i = 0; i < v->n_threads; i++) {
        struct json *t = json_object_create();

        json_object_put_string(t, "name", v->threads[i].name);
        put_int(t, "bytes", v->threads[i].bytes);
        put_int(t, "packets", v->threads[i].packets);
        put_int(t, "sample", v->threads[i].sampling);
        json_array_add(threads, t);
    }
    json_object_put(json, "on", json_boolean_create(profile_is_on()));
    json_object_put(json, "profiles", profiles);
    json_object_put(json, "top_flows", heavy);
    json_object_put(json, "threads", threads);
    put_int(json, "packets", v->stats.packets);
    put_int(json, "bytes", v->stats.bytes);
    put_int(json, "samples", v->stats.samples);
    put_int(json, "samples_lost", v->stats.lost);
    put_int(json, "tracked_flows", v->stats.flows);
    put_int(json, "overflow_packets", v->stats.overflow);
    return json;
}

/* Text. */

/* Appends a rate or count in five columns or so. */
static void
put_short(struct ds *ds, double x)
{
    static const char units[] = " kMGTP";
    size_t i = 0;

    while (x >= 999.5 && i < sizeof units - 2) {
        x /= 1000;
        i++;
    }
    ds_put_format(ds, " %7.*f%c", x < 9.95 && x > 0 ? 2 : x < 99.5 ? 1 : 0, x,
                  units[i]);
}

static void
profile_format(const struct tp_profile *p, struct ds *ds)
{
    ds_put_format(ds, "%-15s %-5s", p->network, tp_class_to_string(p->class));
    put_short(ds, p->pps);
    put_short(ds, p->bps);
    ds_put_format(ds, " %5.0f", p->packet_size);
    put_short(ds, p->flows);
    put_short(ds, p->burstiness);
    ds_put_format(ds, " %4.0f%%  ", 100 * p->elephant_share);
    for (size_t i = 0; i < MIN(p->n_destinations, 2); i++) {
        ds_put_format(ds, "%s%s %.0f%%", i ? ", " : "",
                      p->destinations[i].name,
                      100 * p->destinations[i].share);
    }
    ds_put_char(ds, '\n');
}

static void
view_format(const struct view *v, struct ds *ds)
{
    ds_put_format(ds, "profiler: %s\n", profile_is_on() ? "on" : "off");
    if (!profile_is_on()) {
        return;
    }
    ds_put_format(ds, "packets: %"PRIu64", samples: %"PRIu64" (%"PRIu64
                  " lost), beyond the bound: %.0f\n", v->stats.packets,
                  v->stats.samples, v->stats.lost, v->stats.overflow);
    for (size_t i = 0; i < v->n_threads; i++) {
        ds_put_format(ds, "thread %s: %"PRIu64" packets, one sample in "
                      "%"PRIu32", %"PRIuSIZE" kB\n", v->threads[i].name,
                      v->threads[i].packets, v->threads[i].sampling,
                      v->threads[i].bytes / 1000);
    }
    ds_put_cstr(ds, "\nnetwork         class     pps     bits/s   size    "
                "flows    bursts  eleph  destinations\n");
    for (size_t i = 0; i < v->n_profiles; i++) {
        profile_format(&v->profiles[i], ds);
    }
    ds_put_format(ds, "\ntop flows, of %"PRIuSIZE":\n", v->stats.flows);
    for (size_t i = 0; i < v->n_heavy; i++) {
        const struct tp_heavy *h = &v->heavy[i];
        struct tp_network network = tp_flow_network(&h->flow);
        char name[TP_NETWORK_LEN];

        put_short(ds, h->pps);
        put_short(ds, h->bps);
        tp_network_format(&network, name);
        ds_put_format(ds, "  %s ", name);
        tp_flow_format(&h->flow, ds);
        ds_put_char(ds, '\n');
    }
}

static void
profiles_show(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct view *v;

    if (argc > 1 && strcmp(argv[1], "--json")) {
        unixctl_command_reply_error(conn, "the only argument is --json");
        return;
    }
    v = xmalloc(sizeof *v);
    view_init(v);
    if (argc > 1) {
        struct json *json = view_to_json(v);

        json_to_ds(json, JSSF_SORT, &ds);
        json_destroy(json);
    } else {
        view_format(v, &ds);
    }
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
    view_destroy(v);
    free(v);
}

void
profile_show_init(void)
{
    unixctl_command_register("ext/profiles-show", "[--json]", 0, 1,
                             profiles_show, NULL);
}
