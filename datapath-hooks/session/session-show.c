/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Commands of the session system.  They run in the main thread and read the
 * agent's state under its mutex. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/session-dp.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "packets.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

enum { MAX_SHOWN = 1000 };

static void
put_count(struct json *json, const char *name, uint64_t n)
{
    json_object_put(json, name, json_integer_create(n));
}

static void
reply_json(struct unixctl_conn *conn, struct json *json)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    json_to_ds(json, JSSF_PRETTY | JSSF_SORT, &ds);
    ds_put_char(&ds, '\n');
    json_destroy(json);
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

static void
reply_error(struct unixctl_conn *conn, char *error)
{
    unixctl_command_reply_error(conn, error);
    free(error);
}

/* Takes "--json" off the arguments.  Returns false if there is another
 * option, and has replied. */
static bool
take_option(struct unixctl_conn *conn, int *argc, const char ***argv,
            bool *json)
{
    *json = *argc > 1 && !strcmp((*argv)[1], "--json");
    if (*json) {
        ++*argv;
        --*argc;
    }
    if (*argc > 1 && (*argv)[1][0] == '-') {
        unixctl_command_reply_error(conn, "the only option is --json");
        return false;
    }
    return true;
}

/* ext/sessions-show */

/* Says where packets of backend number 'n' go, and why, in a few words. */
static void
explain_backend(struct ds *ds, uint16_t n)
{
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan, n);
    struct session_place *p = b ? session_place_find(b->id) : NULL;

    if (!p) {
        ds_put_cstr(ds, "a backend that is no more");
        return;
    }
    ds_put_format(ds, "%s ", p->name);
    if (b->local) {
        ds_put_cstr(ds, "here");
    } else if (b->here) {
        ds_put_cstr(ds, "here, but its port is not plugged in");
    } else if (!b->host) {
        ds_put_cstr(ds, "nowhere");
    } else {
        ds_put_format(ds, "at %s%s", session_host_name(b->host),
                      b->alive ? "" : ", which seems dead");
    }
    ds_put_cstr(ds, b->draining ? ", draining" : "");
}

/* Says who had sessions like 'key' before the last changes of owners: packets
 * of one that is not known may be passed on to them. */
static void
explain_former(struct ds *ds, const struct sess_plan_service *s,
               const struct sess_key *key, uint16_t owner)
{
    long long int now = time_msec();

    for (size_t i = 0; i < s->n_previous; i++) {
        const struct sess_ring *ring = s->previous[i].ring;
        uint16_t index = sess_owner_first(ring->owners,
                                          sess_key_hash(key, s->id));
        uint16_t n = (index == SESS_OWNER_NONE ? SESS_NONE
                      : ring->backends[index]);

        if (n != SESS_NONE && n != owner) {
            ds_put_format(ds, "; until %lld s ago it was ",
                          (now - s->previous[i].ended) / 1000);
            explain_backend(ds, n);
        }
    }
}

/* Says why a packet of session 'key' for backend number 'n' goes there; if
 * that is SESS_NONE, the session is not in the table. */
static void
explain_session(struct ds *ds, const struct sess_key *key, uint16_t n)
{
    const struct sess_plan_service *s;
    struct phc_stats stats = { 0, 0, 0, 0 };
    struct phc_ref ref;
    uint32_t cached;
    uint16_t owner;

    s = sess_plan_find(session_ag.plan, &key->dst, key->proto, key->dport,
                       NULL, key->zone);
    if (!s) {
        ds_put_cstr(ds, "no service has that address");
        return;
    }
    owner = sess_plan_owner(s, key);
    if (n != SESS_NONE) {
        explain_backend(ds, n);
        if (n != owner && owner != SESS_NONE) {
            ds_put_cstr(ds, "; owner of record is ");
            explain_backend(ds, owner);
        }
        return;
    }
    phc_lookup(session_ag.phc, key, 1, time_msec(), &ref, &stats);
    if (stats.hits && phc_ref_owner(session_ag.phc, ref, &cached)) {
        ds_put_cstr(ds, "known from gossip: ");
        explain_backend(ds, cached);
    } else if (owner == SESS_NONE) {
        ds_put_cstr(ds, "no backend has a place");
    } else {
        ds_put_cstr(ds, "not known, so its owner of record: ");
        explain_backend(ds, owner);
        explain_former(ds, s, key, owner);
    }
}

static const char *
service_name_of(uint16_t number)
{
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          number);
    const struct sess_plan_service *s
        = b ? sess_plan_service(session_ag.plan, b->service) : NULL;

    return s ? s->name : "?";
}

static bool
matches(const struct phc_filter *f, const struct sess_info *info)
{
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          info->backend);

    return phc_filter_match(f, &info->key, b ? b->service : 0, info->backend);
}

/* Stores the session that 'f' names exactly to '*key'.  Returns false if it
 * may match several. */
static bool
exact_key(const struct phc_filter *f, struct sess_key *key)
{
    if (!ipv6_is_cidr(&f->src_mask) || ipv6_count_cidr_bits(&f->src_mask) < 128
        || !ipv6_is_cidr(&f->dst_mask)
        || ipv6_count_cidr_bits(&f->dst_mask) < 128
        || !f->sport || !f->dport || !f->proto) {
        return false;
    }
    sess_key_init_ip6(key, &f->src, &f->dst, f->sport, f->dport, f->proto,
                      f->have_zone ? f->zone : 0);
    return true;
}

static void
session_text(struct ds *ds, const struct sess_info *info)
{
    sess_key_format(ds, &info->key);
    ds_put_format(ds, " %s %s, %"PRIu64"/%"PRIu64" packets, rtt %"PRIu32
                  "/%"PRIu32" us: ", service_name_of(info->backend),
                  sess_state_name(info->state), info->packets[0],
                  info->packets[1], info->rtt_us[0], info->rtt_us[1]);
    explain_session(ds, &info->key, info->backend);
    ds_put_char(ds, '\n');
}

static void
services_text(struct ds *ds)
{
    const struct sess_plan *plan = session_ag.plan;

    for (size_t i = 0; i < plan->n_services; i++) {
        const struct sess_plan_service *s = plan->services[i];

        if (!s) {
            continue;
        }
        ds_put_format(ds, "service %s: %s ", s->name,
                      s->proto == IPPROTO_TCP ? "tcp" : "udp");
        ipv6_format_mapped(&s->addr, ds);
        ds_put_format(ds, " port %d, zone %d, bridge %s, %s, vni %"PRIu32"\n",
                      ntohs(s->port), s->zone, s->bridge,
                      s->encap == PHC_VXLAN ? "vxlan" : "geneve", s->vni);
        for (size_t j = 0; j < plan->n_backends; j++) {
            struct session_own_totals t;

            if (plan->backends[j].id && plan->backends[j].service == i) {
                ds_put_format(ds, "  %"PRIuSIZE": ", j);
                explain_backend(ds, j);
                if (plan->backends[j].local
                    && session_own_totals(plan->backends[j].id, &t)) {
                    ds_put_format(ds, "; %"PRIuSIZE" sessions", t.n);
                }
                ds_put_char(ds, '\n');
            }
        }
    }
}

/* Calls 'show' for each target with the names of its service and of where it
 * leads, "?" for what the plan does not have any more. */
static void
for_each_target(void (*show)(const struct session_target_info *,
                             const char *service, const char *to, void *aux),
                void *aux)
{
    struct session_target_info *targets;
    size_t n;

    targets = xcalloc(SESS_MAX_TARGETS, sizeof *targets);
    n = session_dp_targets(targets, SESS_MAX_TARGETS);
    for (size_t i = 0; i < n; i++) {
        const struct session_target_info *t = &targets[i];
        const struct sess_plan_service *s
            = sess_plan_service(session_ag.plan, t->service);
        const struct sess_plan_backend *b
            = t->local ? sess_plan_backend(session_ag.plan, t->backend) : NULL;
        const struct session_place *p = b ? session_place_find(b->id) : NULL;

        show(t, s ? s->name : "?",
             !t->local ? session_host_name(t->host) : p ? p->name : "?", aux);
    }
    free(targets);
}

static void
target_text(const struct session_target_info *t, const char *service,
            const char *to, void *ds)
{
    ds_put_format(ds, "target %d: %s %s %s%s%s: %s%s%s%s%s, %"PRIu64
                  " packets\n",
                  t->number, service, t->local ? "to backend" : "to host", to,
                  t->hop2 ? ", second hop" : "", t->hinted ? ", hinted" : "",
                  t->state == SESSION_TARGET_RESOLVED ? "resolved"
                  : t->state == SESSION_TARGET_STALE ? "old header"
                  : "not resolved", t->why[0] ? ": " : "", t->why,
                  t->note[0] ? "; " : "", t->note, t->packets);
}

static void
sessions_text(struct ds *ds, const struct phc_filter *filter, bool filtered)
{
    uint64_t dp[SESS_N_COUNTS];
    struct session_own_counts own;
    struct sess_counts counts;
    struct phc_stats stats;
    struct sess_info info;
    struct sess_key key;
    size_t pos = 0, n = 0;

    if (!session_ag.plan) {
        ds_put_format(ds, "no sessions: %s\n", session_ag.local.host
                      ? "no service names this host"
                      : "not configured (external_ids:ovs-ext-gossip)");
        return;
    }
    if (!filtered) {
        sess_table_get_counts(session_ag.table, &counts);
        session_own_get_counts(&own);
        session_dp_counts(dp, &stats);
        ds_put_format(ds, "host: %s, %s\n", session_ag.host,
                      session_ag.ready ? "ready"
                      : "waiting to hear where backends are");
        if (session_ag.plan->n_left_out) {
            ds_put_format(ds, "left out for want of numbers: %"PRIuSIZE
                          " services, backends and targets\n",
                          session_ag.plan->n_left_out);
        }
        services_text(ds);
        for_each_target(target_text, ds);
        ds_put_cstr(ds, "packets:");
        for (int i = 0; i < SESS_N_COUNTS; i++) {
            ds_put_format(ds, " %s %"PRIu64, sess_count_name(i), dp[i]);
        }
        ds_put_format(ds, "\nsessions: %"PRIuSIZE" of %"PRIuSIZE
                      ", established %"PRIu64", closed %"PRIu64
                      ", timed out %"PRIu64", no room %"PRIu64"\n", counts.n,
                      counts.max, counts.established, counts.closed,
                      counts.timed_out, counts.full);
        ds_put_format(ds, "told others: %"PRIuSIZE" sessions now, %"PRIu64
                      " times, %"PRIu64" closes, %"PRIu64" kept home\n",
                      own.n, own.told, own.closed, own.kept_home);
    }
    while (sess_next(session_ag.table, &pos, &info)) {
        if (matches(filter, &info) && n++ < MAX_SHOWN) {
            session_text(ds, &info);
        }
    }
    if (n > MAX_SHOWN) {
        ds_put_format(ds, "... and %"PRIuSIZE" more\n", n - MAX_SHOWN);
    } else if (!n && exact_key(filter, &key)) {
        sess_key_format(ds, &key);
        ds_put_cstr(ds, " is not in the table: ");
        explain_session(ds, &key, SESS_NONE);
        ds_put_char(ds, '\n');
    }
}

static struct json *
backends_json(void)
{
    const struct sess_plan *plan = session_ag.plan;
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = &plan->backends[i];
        struct session_place *p = b->id ? session_place_find(b->id) : NULL;
        struct session_own_totals t;
        struct json *row;

        if (!p) {
            continue;
        }
        row = json_object_create();
        json_object_put_string(row, "name", p->name);
        json_object_put_string(row, "service", service_name_of(i));
        json_object_put_string(row, "host",
                               b->host ? session_host_name(b->host) : "");
        json_object_put(row, "alive", json_boolean_create(b->alive));
        json_object_put(row, "local", json_boolean_create(b->local));
        json_object_put(row, "draining", json_boolean_create(b->draining));
        put_count(row, "number", i);
        if (session_own_totals(b->id, &t)) {
            put_count(row, "sessions", t.n);
            put_count(row, "packets", t.packets);
            put_count(row, "bytes", t.bytes);
        }
        json_array_add(array, row);
    }
    return array;
}

static void
target_json(const struct session_target_info *t, const char *service,
            const char *to, void *array)
{
    static const char *const states[] = { "unresolved", "resolved", "stale" };
    struct json *row = json_object_create();

    put_count(row, "number", t->number);
    json_object_put_string(row, "service", service);
    json_object_put_string(row, t->local ? "backend" : "host", to);
    json_object_put(row, "local", json_boolean_create(t->local));
    json_object_put(row, "second_hop", json_boolean_create(t->hop2));
    json_object_put(row, "hinted", json_boolean_create(t->hinted));
    json_object_put_string(row, "state", states[t->state]);
    json_object_put_string(row, "why", t->why);
    json_object_put_string(row, "note", t->note);
    put_count(row, "packets", t->packets);
    json_array_add(array, row);
}

static struct json *
session_json(const struct sess_info *info)
{
    struct json *row = json_object_create();
    struct ds ds = DS_EMPTY_INITIALIZER;

    sess_key_format(&ds, &info->key);
    json_object_put_string(row, "session", ds_cstr(&ds));
    ds_clear(&ds);
    explain_session(&ds, &info->key, info->backend);
    json_object_put_string(row, "why", ds_cstr(&ds));
    ds_destroy(&ds);
    json_object_put_string(row, "service", service_name_of(info->backend));
    put_count(row, "backend", info->backend);
    json_object_put_string(row, "state", sess_state_name(info->state));
    put_count(row, "packets", info->packets[0]);
    put_count(row, "packets_back", info->packets[1]);
    put_count(row, "bytes", info->bytes[0]);
    put_count(row, "bytes_back", info->bytes[1]);
    put_count(row, "rtt_us", info->rtt_us[0]);
    return row;
}

static struct json *
sessions_json(const struct phc_filter *filter)
{
    struct json *json = json_object_create();
    struct json *rows = json_array_create_empty();
    struct json *packets = json_object_create();
    struct json *targets;
    uint64_t dp[SESS_N_COUNTS];
    struct session_own_counts own;
    struct sess_counts counts;
    struct phc_stats stats;
    struct sess_info info;
    size_t pos = 0, n = 0;

    json_object_put(json, "ready",
                    json_boolean_create(session_ag.plan && session_ag.ready));
    if (session_ag.plan) {
        sess_table_get_counts(session_ag.table, &counts);
        session_own_get_counts(&own);
        session_dp_counts(dp, &stats);
        json_object_put_string(json, "host", session_ag.host);
        json_object_put(json, "backends", backends_json());
        targets = json_array_create_empty();
        for_each_target(target_json, targets);
        json_object_put(json, "targets", targets);
        for (int i = 0; i < SESS_N_COUNTS; i++) {
            put_count(packets, sess_count_name(i), dp[i]);
        }
        put_count(json, "n", counts.n);
        put_count(json, "max", counts.max);
        put_count(json, "established", counts.established);
        put_count(json, "closed", counts.closed);
        put_count(json, "timed_out", counts.timed_out);
        put_count(json, "full", counts.full);
        put_count(json, "told", own.n);
        put_count(json, "told_home", own.kept_home);
        put_count(json, "plans", session_ag.n_plans);
        put_count(json, "left_out", session_ag.plan->n_left_out);
        while (sess_next(session_ag.table, &pos, &info)) {
            if (matches(filter, &info) && n++ < MAX_SHOWN) {
                json_array_add(rows, session_json(&info));
            }
        }
        put_count(json, "matched", n);
    }
    json_object_put(json, "packets", packets);
    json_object_put(json, "sessions", rows);
    return json;
}

/* Commands. */

static void
sessions_show(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct phc_filter filter;
    char *error;
    bool json;

    if (!take_option(conn, &argc, &argv, &json)) {
        return;
    }
    error = phc_filter_parse(argc > 1 ? argv[1] : "", &filter);
    if (error) {
        reply_error(conn, error);
        return;
    }
    ovs_mutex_lock(&session_mutex);
    if (json) {
        reply_json(conn, sessions_json(&filter));
    } else {
        sessions_text(&ds, &filter, argc > 1);
        unixctl_command_reply(conn, ds_cstr(&ds));
    }
    ovs_mutex_unlock(&session_mutex);
    ds_destroy(&ds);
}

/* ext/gossip-show, ext/hints-show and ext/phc-show: 'aux' is one of these. */
struct show {
    void (*text)(struct ds *);
    struct json *(*json)(void);
};

static void
show(struct unixctl_conn *conn, int argc, const char *argv[], void *show_)
{
    const struct show *s = show_;
    struct ds ds = DS_EMPTY_INITIALIZER;
    bool json;

    if (!take_option(conn, &argc, &argv, &json)) {
        return;
    }
    ovs_mutex_lock(&session_mutex);
    if (json) {
        reply_json(conn, s->json());
    } else {
        s->text(&ds);
        unixctl_command_reply(conn, ds_cstr(&ds));
    }
    ovs_mutex_unlock(&session_mutex);
    ds_destroy(&ds);
}

static void
phc_flush_cmd(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    size_t n, kept;
    char *error;

    ovs_mutex_lock(&session_mutex);
    error = session_cache_flush(argc > 1 ? argv[1] : "", &n, &kept);
    ovs_mutex_unlock(&session_mutex);
    if (error) {
        reply_error(conn, error);
    } else {
        char *s = xasprintf("%"PRIuSIZE" entries dropped, %"PRIuSIZE" of what "
                            "hosts say now put again\n", n, kept);

        unixctl_command_reply(conn, s);
        free(s);
    }
}

void
session_show_init(void)
{
    static const struct show gossip = { session_gossip_show,
                                        session_gossip_json };
    static const struct show hints = { session_hint_show, session_hint_json };
    static const struct show cache = { session_cache_show,
                                       session_cache_json };

    unixctl_command_register("ext/gossip-show", "[--json]", 0, 1, show,
                             CONST_CAST(struct show *, &gossip));
    unixctl_command_register("ext/sessions-show", "[--json] [FILTER]", 0, 2,
                             sessions_show, NULL);
    unixctl_command_register("ext/hints-show", "[--json]", 0, 1, show,
                             CONST_CAST(struct show *, &hints));
    unixctl_command_register("ext/phc-show", "[--json]", 0, 1, show,
                             CONST_CAST(struct show *, &cache));
    unixctl_command_register("ext/phc-flush", "[FILTER]", 0, 1, phc_flush_cmd,
                             NULL);
    session_debug_init();
}
