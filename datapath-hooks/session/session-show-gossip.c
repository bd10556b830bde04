/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ext/gossip-show. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/gossip-udp.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

static void
put_count(struct json *json, const char *name, uint64_t n)
{
    json_object_put(json, name, json_integer_create(n));
}

static const char *
state_name(enum gossip_state state)
{
    switch (state) {
    case GOSSIP_ALIVE: return "alive";
    case GOSSIP_SUSPECT: return "suspect";
    case GOSSIP_DEAD: return "dead";
    case GOSSIP_LEFT: return "left";
    default: return "?";
    }
}

static int
compare_members(const void *a_, const void *b_)
{
    const struct gossip_member_info *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

/* All members, sorted by name, to be freed by the caller. */
static size_t
get_members(struct gossip *g, struct gossip_member_info **infos)
{
    enum { MAX = 4096 };

    *infos = xcalloc(MAX, sizeof **infos);
    size_t n = gossip_members(g, *infos, MAX);
    qsort(*infos, n, sizeof **infos, compare_members);
    return n;
}

static bool
get_load(const struct gossip *g, uint64_t host, struct gossip_load_value *v)
{
    const struct gossip_record *r;
    uint8_t key[8];

    gossip_put(key, host, 8);
    r = gossip_lookup(g, GOSSIP_LOAD, key, sizeof key);
    return r && gossip_load_decode(r, v);
}

static void
put_keys(struct ds *ds, struct gossip_seal *seal)
{
    uint32_t ids[GOSSIP_MAX_KEYS];
    size_t n = gossip_seal_key_ids(seal, ids);

    ds_put_cstr(ds, "keys:");
    for (size_t i = 0; i < n; i++) {
        ds_put_format(ds, " %08"PRIx32"%s", ids[i],
                      i ? "" : n > 1 ? " (to send with)" : "");
    }
    ds_put_char(ds, '\n');
}

static struct json *
keys_json(struct gossip_seal *seal)
{
    struct json *array = json_array_create_empty();
    uint32_t ids[GOSSIP_MAX_KEYS];
    size_t n = gossip_seal_key_ids(seal, ids);

    for (size_t i = 0; i < n; i++) {
        json_array_add(array, json_string_create_nocopy(
                           xasprintf("%08"PRIx32, ids[i])));
    }
    return array;
}

void
session_gossip_show(struct ds *ds)
{
    const char *listen, *keyring, *error;
    const struct gossip_udp *cudp = session_gossip_udp(&listen, &keyring,
                                                       &error);
    struct gossip_udp *udp = CONST_CAST(struct gossip_udp *, cudp);
    struct gossip *g = session_gossip();
    struct gossip_member_info *infos;
    struct gossip_stats stats;
    size_t n;

    if (error) {
        ds_put_format(ds, "error: %s\n", error);
    }
    if (!g) {
        ds_put_format(ds, "no gossip: %s\n",
                      !session_ag.local.host
                      ? "not configured (external_ids:ovs-ext-gossip)"
                      : !session_ag.active ? "no service names this host"
                      : "see the error");
        return;
    }
    gossip_get_stats(g, &stats);
    ds_put_format(ds, "host: %s at %s, keyring: %s\n", session_ag.host,
                  listen, keyring);
    put_keys(ds, gossip_udp_seal(udp));
    ds_put_format(ds, "alive: %"PRIuSIZE", records: %"PRIuSIZE", to tell: %"
                  PRIuSIZE", loss: %.1f %%, health: %d\n", gossip_n_alive(g),
                  gossip_n_records(g), gossip_n_queued(g),
                  100 * gossip_loss(g), gossip_health(g));
    n = get_members(g, &infos);
    ds_put_format(ds, "%-20s %-8s %-24s %5s %6s %8s %9s\n", "member", "state",
                  "address", "cpu", "memory", "datapath", "sessions");
    for (size_t i = 0; i < n; i++) {
        char *addr = gossip_addr_to_string(&infos[i].addr);
        struct gossip_load_value v;

        ds_put_format(ds, "%-20s %-8s %-24s", infos[i].name,
                      state_name(infos[i].state), addr);
        if (get_load(g, infos[i].host, &v)) {
            ds_put_format(ds, " %5.2f %6.2f %8.2f %9"PRIu32, v.cpu, v.memory,
                          v.bandwidth, v.sessions);
        }
        ds_put_char(ds, '\n');
        free(addr);
    }
    free(infos);
    ds_put_format(ds, "sent: %"PRIu64" datagrams, %"PRIu64" bytes; received: %"
                  PRIu64", %"PRIu64"\n", stats.tx_datagrams, stats.tx_bytes,
                  stats.rx_datagrams, stats.rx_bytes);
    ds_put_format(ds, "suspected: %"PRIu64", declared dead: %"PRIu64
                  ", own suspicion refuted: %"PRIu64"\n", stats.suspicions,
                  stats.deaths, stats.refutations);
    ds_put_cstr(ds, "refused:");
    for (int i = GOSSIP_OPEN_OK + 1; i < GOSSIP_OPEN_N; i++) {
        ds_put_format(ds, " %s %"PRIu64, gossip_open_error_to_string(i),
                      gossip_seal_count(gossip_udp_seal(udp), i));
    }
    ds_put_format(ds, " malformed %"PRIu64" version %"PRIu64" unbound %"PRIu64
                  "\n", stats.rx_malformed, stats.rx_version,
                  stats.rx_unbound);
}

static struct json *
member_json(struct gossip *g, const struct gossip_member_info *info)
{
    struct json *row = json_object_create();
    char *addr = gossip_addr_to_string(&info->addr);
    struct gossip_load_value v;

    json_object_put_string(row, "name", info->name);
    json_object_put_string(row, "state", state_name(info->state));
    json_object_put_string(row, "address", addr);
    put_count(row, "incarnation", info->incarnation);
    if (get_load(g, info->host, &v)) {
        json_object_put(row, "cpu", json_real_create(v.cpu));
        json_object_put(row, "memory", json_real_create(v.memory));
        json_object_put(row, "datapath", json_real_create(v.bandwidth));
        put_count(row, "sessions", v.sessions);
    }
    free(addr);
    return row;
}

struct json *
session_gossip_json(void)
{
    const char *listen, *keyring, *error;
    const struct gossip_udp *cudp = session_gossip_udp(&listen, &keyring,
                                                       &error);
    struct gossip_udp *udp = CONST_CAST(struct gossip_udp *, cudp);
    struct gossip *g = session_gossip();
    struct json *json = json_object_create();
    struct json *members = json_array_create_empty();
    struct json *refused = json_object_create();
    struct gossip_member_info *infos;
    struct gossip_udp_stats sockets;
    struct gossip_stats stats;
    size_t n;

    json_object_put_string(json, "error", error ? error : "");
    if (g) {
        gossip_get_stats(g, &stats);
        gossip_udp_get_stats(udp, &sockets);
        json_object_put_string(json, "host", session_ag.host);
        json_object_put_string(json, "address", listen);
        json_object_put_string(json, "keyring", keyring);
        json_object_put(json, "key_ids", keys_json(gossip_udp_seal(udp)));
        put_count(json, "alive", gossip_n_alive(g));
        put_count(json, "records", gossip_n_records(g));
        put_count(json, "queued", gossip_n_queued(g));
        json_object_put(json, "loss", json_real_create(gossip_loss(g)));
        put_count(json, "health", gossip_health(g));
        put_count(json, "sent", stats.tx_datagrams);
        put_count(json, "sent_bytes", stats.tx_bytes);
        put_count(json, "received", sockets.received);
        put_count(json, "accepted", stats.rx_datagrams);
        put_count(json, "suspicions", stats.suspicions);
        put_count(json, "deaths", stats.deaths);
        put_count(json, "refutations", stats.refutations);
        put_count(json, "records_new", stats.records_new);
        put_count(json, "hints_told", stats.hints_told);
        put_count(json, "hints_home", stats.hints_home);
        put_count(refused, "malformed", stats.rx_malformed);
        put_count(refused, "version", stats.rx_version);
        put_count(refused, "unbound", stats.rx_unbound);
        for (int i = GOSSIP_OPEN_OK + 1; i < GOSSIP_OPEN_N; i++) {
            put_count(refused, gossip_open_error_to_string(i),
                      gossip_seal_count(gossip_udp_seal(udp), i));
        }
        n = get_members(g, &infos);
        for (size_t i = 0; i < n; i++) {
            json_array_add(members, member_json(g, &infos[i]));
        }
        free(infos);
    }
    json_object_put(json, "members", members);
    json_object_put(json, "refused", refused);
    return json;
}
