/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The host agent: between the OVS_Ext database and this host. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/monitor/monitor.h"
#include "datapath-hooks/profile/profile.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext-config.h"
#include "ovs-ext/db/db-conn.h"
#include "ovsdb-idl.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_agent);

/* Milliseconds between two looks at the counters of accelerators. */
enum { WATCH_INTERVAL = 10 };

/* As the main thread wants it; under 'aff_mutex'. */
static char *wanted_remote, *wanted_host;
static bool config_changed;
static struct db_instruction *hand_instructions;
static size_t n_hand;
static bool by_hand;

/* For ext/affinity-show; agent thread writes, under 'aff_mutex'. */
static bool connected;
static int64_t applied_generation = -1;
static struct db_host_stats db_stats;

/* Agent thread only. */
static int64_t read_generation = -1;    /* Of the host, with 'instructions'. */
static char *host;
static struct ovsdb_idl *idl;
static struct db_host *writer;
static unsigned int idl_seqno;
static struct db_instruction *instructions;     /* In force. */
static size_t n_instructions;
static long long int next_watch;

static void
disconnect(void)
{
    if (idl) {
        db_host_destroy(writer);
        ovsdb_idl_destroy(idl);
        writer = NULL;
        idl = NULL;
        aff_policy_disconnected();
        aff_fleet_disconnected();
    }
    free(host);
    host = NULL;
    read_generation = -1;
}

/* Takes over what the main thread wants.  Instructions stay. */
static void
reconfigure(void)
{
    char *remote = NULL;

    ovs_mutex_lock(&aff_mutex);
    if (config_changed) {
        config_changed = false;
        disconnect();
        remote = nullable_xstrdup(wanted_remote);
        host = nullable_xstrdup(wanted_host);
    }
    ovs_mutex_unlock(&aff_mutex);
    if (remote && host) {
        VLOG_INFO("host %s, database %s", host, remote);
        idl = db_conn_open_host(remote, host);
        writer = db_host_create(host);
        idl_seqno = ovsdb_idl_get_seqno(idl);
    }
    free(remote);
}

static bool
same_instructions(const struct db_instruction *a,
                  const struct db_instruction *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(a[i].network, b[i].network) || a[i].class != b[i].class
            || strcmp(a[i].resource, b[i].resource)
            || a[i].pinned != b[i].pinned
            || a[i].generation != b[i].generation) {
            return false;
        }
    }
    return true;
}

/* Makes 'in' the instructions in force, if they differ; takes over 'in'. */
static void
take_instructions(struct db_instruction *in, size_t n, bool hand)
{
    if (n == n_instructions && same_instructions(in, instructions, n)) {
        free(in);
        return;
    }
    free(instructions);
    instructions = in;
    n_instructions = n;
    aff_apply_set(in, n, hand);
}

/* Reads instructions from the database if that can be trusted now.  When it
 * or the controller is lost, the last ones stay; those with an expiry do not
 * expire then, for nobody could renew them. */
static void
read_instructions(void)
{
    struct db_instruction *in;
    bool hand;
    size_t n;

    ovs_mutex_lock(&aff_mutex);
    hand = by_hand;
    if (hand) {
        n = n_hand;
        in = xmemdup(hand_instructions, MAX(n, 1) * sizeof *in);
    }
    ovs_mutex_unlock(&aff_mutex);
    if (hand) {
        take_instructions(in, n, true);
    } else if (idl && db_conn_is_ready(idl)) {
        /* Rows may go without a trace: what the host says of all of them is
         * what was followed. */
        read_generation = db_host_generation(idl, host);
        n = db_instructions_read(idl, host, time_wall_msec(), &in);
        take_instructions(in, n, false);
    } else if (!idl) {
        take_instructions(NULL, 0, false);
    }
}

static void
write_rows(struct hrm_resource *resources, size_t n, long long int now)
{
    struct tp_profile *profiles;
    struct db_report *reports;
    struct db_host_input input;
    char hostname[256];
    size_t n_profiles;

    if (gethostname(hostname, sizeof hostname)) {
        ovs_strlcpy(hostname, "unknown", sizeof hostname);
    }
    hostname[sizeof hostname - 1] = '\0';
    memset(&input, 0, sizeof input);
    profile_snapshot(&profiles, &n_profiles);
    input.hostname = hostname;
    input.version = OVS_EXT_VERSION;
    input.applied_generation = read_generation;
    input.resources = resources;
    input.n_resources = n;
    input.profiles = profiles;
    input.n_profiles = n_profiles;
    input.n_reports = aff_apply_reports(resources, n, profiles, n_profiles,
                                        &reports);
    input.reports = reports;
    input.session = aff_fleet_rows();
    db_host_run(writer, idl, &input, now);
    free(reports);
    free(profiles);
}

/* Once an interval, and at once when an accelerator has died. */
static void
decide(long long int now, bool write)
{
    struct hrm_resource *resources;
    uint64_t sample;
    size_t n;

    sample = monitor_snapshot(&resources, &n);
    aff_watch_correct(resources, n);
    aff_apply_correct(resources, n);
    read_instructions();
    aff_apply_run(resources, n, now);
    if (write && idl && sample && db_conn_is_ready(idl)) {
        write_rows(resources, n, now);
    }
    free(resources);

    ovs_mutex_lock(&aff_mutex);
    connected = idl && db_conn_is_ready(idl);
    applied_generation = read_generation;
    if (writer) {
        db_host_get_stats(writer, &db_stats);
    }
    ovs_mutex_unlock(&aff_mutex);
}

static void
agent_run(long long int now, bool due)
{
    bool failed = false, changed = false;

    reconfigure();
    if (idl) {
        ovsdb_idl_run(idl);
    }
    if (now >= next_watch && aff_watch_is_needed()) {
        failed = aff_watch_run(now);
        next_watch = now + WATCH_INTERVAL;
    }
    if (idl && ovsdb_idl_get_seqno(idl) != idl_seqno) {
        idl_seqno = ovsdb_idl_get_seqno(idl);
        changed = true;
    }
    if (idl && (due || changed)) {
        aff_policy_run(idl, changed);
    }
    if (due || changed) {
        aff_fleet_run(idl, host, changed);
    }
    if (due || changed || failed) {
        decide(now, true);
    }
    if (due) {
        redirect_tick(now);
    }
}

static void
agent_wait(void)
{
    if (idl) {
        ovsdb_idl_wait(idl);
        db_host_wait(writer);
    }
    if (aff_watch_is_needed()) {
        poll_timer_wait_until(next_watch);
    }
}

static void
agent_stop(void)
{
    disconnect();
    aff_fleet_run(NULL, NULL, true);
    take_instructions(NULL, 0, false);
    aff_apply_stop();
}

/* Main thread: connects to 'remote' as 'host', or not at all if null. */
void
aff_agent_set_remote(const char *remote, const char *host_)
{
    ovs_mutex_lock(&aff_mutex);
    free(wanted_remote);
    free(wanted_host);
    wanted_remote = nullable_xstrdup(remote);
    wanted_host = nullable_xstrdup(host_);
    config_changed = true;
    ovs_mutex_unlock(&aff_mutex);
}

/* Main thread: has these, sorted, in the place of what the database says; a
 * null pointer returns to that. */
void
aff_agent_set_by_hand(const struct db_instruction *in, size_t n)
{
    ovs_mutex_lock(&aff_mutex);
    free(hand_instructions);
    hand_instructions = in ? xmemdup(in, MAX(n, 1) * sizeof *in) : NULL;
    n_hand = in ? n : 0;
    by_hand = in != NULL;
    ovs_mutex_unlock(&aff_mutex);
}

static const char *
origin(const struct aff_item *item)
{
    return (item->by_hand ? "by hand"
            : item->instruction.pinned ? "pinned" : "learned");
}

void
aff_agent_format(struct ds *ds)
{
    ovs_mutex_lock(&aff_mutex);
    if (wanted_remote) {
        ds_put_format(ds, "host: %s\ndatabase: %s, %s\n", wanted_host,
                      wanted_remote,
                      connected ? "connected" : "not connected");
    } else {
        ds_put_cstr(ds, "database: none (external_ids:ovs-ext-remote)\n");
    }
    ds_put_format(ds, "instructions: %"PRIuSIZE", generation %"PRId64"\n",
                  aff_n_items, applied_generation);
    if (aff_n_items) {
        ds_put_format(ds, "%-16s %-6s %-20s %-8s %-8s %12s  %-19s %s\n",
                      "network", "class", "resource", "origin", "applied",
                      "packets", "since", "how, or why not");
    }
    for (size_t i = 0; i < aff_n_items; i++) {
        const struct aff_item *item = &aff_items[i];
        const struct db_instruction *in = &item->instruction;
        char *since = xastrftime_msec("%F %T", item->since, true);

        ds_put_format(ds, "%-16s %-6s %-20s %-8s %-8s %12"PRIu64"  %-19s %s\n",
                      in->network, tp_class_to_string(in->class),
                      in->resource[0] ? in->resource : "-", origin(item),
                      item->applied ? "yes" : "no", item->packets, since,
                      item->reason);
        free(since);
    }
    ovs_mutex_unlock(&aff_mutex);
}

struct json *
aff_agent_json(void)
{
    struct json *json = json_object_create();
    struct json *array = json_array_create_empty();

    ovs_mutex_lock(&aff_mutex);
    json_object_put(json, "host", wanted_host
                    ? json_string_create(wanted_host) : json_null_create());
    json_object_put(json, "connected", json_boolean_create(connected));
    json_object_put(json, "generation",
                    json_integer_create(applied_generation));
    json_object_put(json, "transactions",
                    json_integer_create(db_stats.transactions));
    json_object_put(json, "rows_written", json_integer_create(db_stats.rows));
    for (size_t i = 0; i < aff_n_items; i++) {
        const struct aff_item *item = &aff_items[i];
        const struct db_instruction *in = &item->instruction;
        struct json *row = json_object_create();

        json_object_put_string(row, "network", in->network);
        json_object_put_string(row, "class", tp_class_to_string(in->class));
        json_object_put_string(row, "resource", in->resource);
        json_object_put_string(row, "origin", origin(item));
        json_object_put(row, "applied", json_boolean_create(item->applied));
        json_object_put_string(row, "reason", item->reason);
        json_object_put(row, "since_ms", json_integer_create(item->since));
        json_object_put(row, "packets", json_integer_create(item->packets));
        json_array_add(array, row);
    }
    json_object_put(json, "instructions", array);
    ovs_mutex_unlock(&aff_mutex);
    return json;
}

void
aff_agent_init(void)
{
    static const struct ext_agent_system system = {
        .name = "affinity",
        .run = agent_run,
        .wait = agent_wait,
        .stop = agent_stop,
    };

    ext_agent_register(&system);
}
