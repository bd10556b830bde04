/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Sessions in the daemon's main thread: configuration. */

#include <config.h>

#include "datapath-hooks/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/session/session-agent.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/session/gossip-wire.h"
#include "packets.h"
#include "smap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session);

enum { MB = 1024 * 1024 };

static void (*want_fleet)(bool);        /* Constant after the start. */
static struct session_local in_force;   /* Main thread. */
static bool is_wanted;                  /* What 'want_fleet' was told. */

static bool
nullable_equal(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void
local_uninit(struct session_local *local)
{
    free(local->host);
    free(local->gossip);
    free(local->keys);
    free(local->encap);
    free(local->dir);
    memset(local, 0, sizeof *local);
}

static char *
get(const struct smap *ids, const char *key)
{
    const char *value = smap_get(ids, key);

    return value && value[0] ? xstrdup(value) : NULL;
}

static char *
check_gossip(const char *s)
{
    struct gossip_addr addr;
    struct in6_addr ip;

    if (!gossip_addr_parse(s, &addr)) {
        return xasprintf("external_ids:ovs-ext-gossip: \"%s\" is not "
                         "ADDRESS:PORT", s);
    }
    memcpy(&ip, addr.ip, sizeof ip);
    if (!ipv6_addr_is_set(&ip)
        || (IN6_IS_ADDR_V4MAPPED(&ip) && !in6_addr_get_mapped_ipv4(&ip))) {
        return xasprintf("external_ids:ovs-ext-gossip: \"%s\" is no address "
                         "at which others could reach this host", s);
    }
    return NULL;
}

static char *
check_path(const char *key, const char *path)
{
    return (path && path[0] != '/'
            ? xasprintf("external_ids:%s: \"%s\" is not an absolute path",
                        key, path) : NULL);
}

/* Returns null if 'local' can be used, as far as it is set, else what is wrong
 * with it. */
static char *
check(const struct session_local *local)
{
    char *error = local->gossip ? check_gossip(local->gossip) : NULL;
    struct in6_addr ip;
    ovs_be32 ip4;

    if (error) {
        return error;
    } else if (local->encap && !ip_parse(local->encap, &ip4)
               && !ipv6_parse(local->encap, &ip)) {
        return xasprintf("external_ids:ovs-ext-encap-ip: \"%s\" is not an "
                         "address", local->encap);
    } else if (local->host && strlen(local->host) > GOSSIP_NAME_MAX) {
        return xasprintf("external_ids:system-id: \"%s\" has more than %d "
                         "characters", local->host, GOSSIP_NAME_MAX);
    }
    error = check_path("ovs-ext-gossip-keys", local->keys);
    return error ? error : check_path("ovs-ext-session-dir", local->dir);
}

/* Names what is not set of what is needed, if part of it is; else null. */
static const char *
missing(const struct session_local *local)
{
    if (!local->gossip && !local->encap && !local->keys) {
        return NULL;
    }
    return (!local->gossip ? "ovs-ext-gossip"
            : !local->encap ? "ovs-ext-encap-ip"
            : !local->keys ? "ovs-ext-gossip-keys"
            : !local->host ? "system-id" : NULL);
}

static void
take_over(struct session_local *new)
{
    const char *lack = missing(new);
    bool complete = new->gossip && !lack;

    if (lack) {
        VLOG_INFO("sessions wait for external_ids:%s", lack);
    }
    local_uninit(&in_force);
    in_force = *new;
    session_agent_configure(complete ? &in_force : NULL);
    if (complete != is_wanted) {
        is_wanted = complete;
        ext_agent_enable("session", complete);
        if (want_fleet) {
            want_fleet(complete);
        }
    }
}

void
session_set_local(const struct smap *ids)
{
    struct session_local new = {
        .host = get(ids, "system-id"),
        .gossip = get(ids, "ovs-ext-gossip"),
        .keys = get(ids, "ovs-ext-gossip-keys"),
        .encap = get(ids, "ovs-ext-encap-ip"),
        .dir = get(ids, "ovs-ext-session-dir"),
    };
    char *error;

    if (nullable_equal(new.host, in_force.host)
        && nullable_equal(new.gossip, in_force.gossip)
        && nullable_equal(new.keys, in_force.keys)
        && nullable_equal(new.encap, in_force.encap)
        && nullable_equal(new.dir, in_force.dir)) {
        local_uninit(&new);
        return;
    }
    error = check(&new);
    if (error) {
        VLOG_WARN("%s", error);
        free(error);
        local_uninit(&new);
        return;
    }
    take_over(&new);
}

/* Stores the integer value of 'key', in 'min'...'max', to '*value'.  What is
 * something else is said once and leaves '*value' as it is. */
static void
configure_size(const struct smap *cfg, const char *key, char **seen,
               unsigned long long int min, unsigned long long int max,
               unsigned long long int def, size_t *value)
{
    const char *s = smap_get(cfg, key);
    unsigned long long int x;

    if (nullable_equal(s, *seen)) {
        return;
    }
    free(*seen);
    *seen = nullable_xstrdup(s);
    if (!s) {
        *value = def;
    } else if (str_to_ullong(s, 10, &x) && x >= min && x <= max) {
        *value = x;
    } else {
        VLOG_WARN("other_config:%s: \"%s\" is not an integer from %llu to "
                  "%llu", key, s, min, max);
    }
}

void
session_configure(const struct smap *cfg)
{
    static char *seen[3];
    static size_t sessions = 131072, entries = 65536, file_size = 256;
    size_t old[3] = { sessions, entries, file_size };

    configure_size(cfg, "ext-session-max", &seen[0], 1024, 16777216, 131072,
                   &sessions);
    configure_size(cfg, "ext-phc-entries", &seen[1], 1024, 16777216, 65536,
                   &entries);
    configure_size(cfg, "ext-phc-file-size", &seen[2], 1, 65536, 256,
                   &file_size);
    if (sessions != old[0] || entries != old[1] || file_size != old[2]) {
        session_agent_set_sizes(&(struct session_sizes) {
            sessions, entries, file_size * MB });
    }
}

void
session_set_fleet_source(void (*want)(bool))
{
    want_fleet = want;
}

void
session_init(void)
{
    session_agent_init();
    session_show_init();
}

/* After ext_agent_exit(). */
void
session_exit(void)
{
    session_agent_exit();
    local_uninit(&in_force);
}
