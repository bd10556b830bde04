/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Which backends will probably move, and where to: once a second, from how
 * this host, its backends and the other hosts do.  Tells others what comes of
 * it, so that they resolve the way there ahead. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-host.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_hint);

enum {
    PERIOD_MS = 1000,
    HINT_TTL_MS = 30000,
    MAX_GIVEN = 64,
    MAX_HEARD = 4096,
};

/* A hint of this host. */
struct given {
    uint64_t backend, target;
    double probability;
    bool by_hand;
    long long int expires, told_at;     /* ms */
    long long int wall;                 /* Likewise, since 1970. */
};

/* Hosts have small numbers in tpam. */
struct host_number {
    uint64_t id;
    bool known;                 /* To tpam. */
};

static struct tpam *tpam;
static struct host_number *hosts;       /* [TPAM_MAX_HOSTS], index: number. */
static size_t n_hosts;
static struct given given[MAX_GIVEN];
static size_t n_given;
static long long int next_run;
static uint64_t n_told, n_home, n_moved, n_moved_as_said;

/* Returns the number of host 'id', TPAM_MAX_HOSTS if there are too many. */
static uint32_t
host_number(uint64_t id)
{
    for (size_t i = 0; i < n_hosts; i++) {
        if (hosts[i].id == id) {
            return i;
        }
    }
    if (n_hosts < TPAM_MAX_HOSTS) {
        hosts[n_hosts].id = id;
        return n_hosts++;
    }
    return TPAM_MAX_HOSTS;
}

static void
sample_self(const struct session_load *load)
{
    uint32_t self = host_number(session_ag.self);
    const struct sess_host *h = sess_fleet_host(&session_ag.fleet,
                                                session_ag.self);
    struct session_group *g;

    if (self >= TPAM_MAX_HOSTS) {
        return;
    }
    hosts[self].known = true;
    tpam_host(tpam, self, &(struct tpam_host_sample) {
        .cpu = load->cpu,
        .memory = load->memory,
        .bandwidth = load->bandwidth,
        .latency_us = load->rtt_us,
        .draining = h && h->drain,
    });
    HMAP_FOR_EACH (g, node, &session_groups) {
        tpam_group(tpam, g->id, self, &(struct tpam_group_sample) {
            .load = (load->pps > 0 && !isnan(load->cpu)
                     ? load->cpu * g->pps / load->pps : 0),
            .packet_size = g->packet_size,
            .interarrival_us = g->pps > 0 ? 1e6 / g->pps : NAN,
            .latency_us = g->rtt_us,
        });
    }
}

static void
sample_others(void)
{
    struct gossip *gossip = session_gossip();

    for (size_t i = 0; i < session_ag.fleet.n_hosts; i++) {
        const struct sess_host *h = &session_ag.fleet.hosts[i];
        struct gossip_load_value v;
        const struct gossip_record *r;
        uint32_t number;
        uint8_t key[8];

        if (h->id == session_ag.self) {
            continue;
        }
        number = host_number(h->id);
        if (number >= TPAM_MAX_HOSTS) {
            continue;
        }
        gossip_put(key, h->id, 8);
        r = gossip ? gossip_lookup(gossip, GOSSIP_LOAD, key, sizeof key)
                   : NULL;
        if (r && gossip_load_decode(r, &v) && session_gossip_is_alive(h->id)) {
            hosts[number].known = true;
            tpam_host(tpam, number, &(struct tpam_host_sample) {
                .cpu = v.cpu,
                .memory = v.memory,
                .bandwidth = v.bandwidth,
                .latency_us = NAN,
                .draining = h->drain,
            });
        } else if (hosts[number].known) {
            hosts[number].known = false;
            tpam_host_remove(tpam, number);
        }
    }
}

/* A period's samples, for tpam. */
static void
sample(long long int now)
{
    struct session_load load;

    session_load_run(now, &load);
    sample_self(&load);
    sample_others();
}

/* Hints of ours. */

static struct given *
given_find(uint64_t backend)
{
    for (size_t i = 0; i < n_given; i++) {
        if (given[i].backend == backend) {
            return &given[i];
        }
    }
    return NULL;
}

static uint64_t
template_id(const struct sess_service *s, uint64_t host)
{
    uint8_t bytes[16];

    gossip_put(bytes, s ? s->id : 0, 8);
    gossip_put(bytes + 8, host, 8);
    return gossip_hash(bytes, sizeof bytes);
}

/* Tells hint 'h', for 'ttl' ms from 'now'. */
static void
give(struct given *h, unsigned int ttl, long long int now)
{
    const struct sess_service *s = NULL;
    uint8_t key[SESSION_GROUP_KEY];

    session_backend_find(h->backend, &s);
    h->told_at = now;
    h->expires = now + ttl;
    h->wall = time_wall_msec() + ttl;
    session_group_key(h->backend, key);
    if (session_gossip()) {
        bool told = gossip_hint(session_gossip(), key, sizeof key,
                                &(struct gossip_hint_value) {
                                    .target = h->target,
                                    .probability = h->probability,
                                    .template_id = template_id(s, h->target),
                                }, ttl);

        n_told += told;
        n_home += !told;
    }
    session_ag.hints_changed = true;
}

static struct given *
given_add(uint64_t backend)
{
    struct given *h = given_find(backend);

    if (!h && n_given < MAX_GIVEN) {
        h = &given[n_given++];
        memset(h, 0, sizeof *h);
        h->backend = backend;
    }
    return h;
}

/* Whether a backend of 's' may go to 'host'. */
static bool
is_eligible(const struct sess_service *s, uint64_t host)
{
    const struct sess_host *h = sess_fleet_host(&session_ag.fleet, host);

    return (h && host != session_ag.self && !h->drain
            && sess_service_has_host(s, h->name)
            && session_gossip_is_alive(host));
}

/* Whether it is of use to say where 'backend' will go: it has sessions, or its
 * host is drained. */
static bool
is_worth(uint64_t backend)
{
    const struct sess_host *h = sess_fleet_host(&session_ag.fleet,
                                                session_ag.self);
    const struct session_group *g = session_group_find(backend);

    return g && (g->n || (h && h->drain));
}

/* Gives 'hint' if it has a target that can be one. */
static void
take_hint(const struct tpam_hint *hint, long long int now)
{
    const struct sess_service *s;

    if (!is_worth(hint->group) || !session_backend_find(hint->group, &s)) {
        return;
    }
    for (size_t i = 0; i < hint->n_targets; i++) {
        uint64_t target = hosts[hint->targets[i]].id;
        struct given *h;

        if (!is_eligible(s, target)) {
            continue;
        }
        h = given_add(hint->group);
        if (h && !h->by_hand
            && (h->target != target
                || fabs(h->probability - hint->probability) > 0.1
                || now - h->told_at >= HINT_TTL_MS / 2)) {
            if (h->target != target) {
                VLOG_INFO("backend %s will probably move to %s (%.2f)",
                          session_backend_find(hint->group, NULL)->name,
                          session_host_name(target), hint->probability);
            }
            h->target = target;
            h->probability = hint->probability;
            give(h, HINT_TTL_MS, now);
        }
        return;
    }
}

static void
expire_given(long long int now)
{
    for (size_t i = 0; i < n_given; ) {
        if (given[i].expires <= now) {
            given[i] = given[--n_given];
            session_ag.hints_changed = true;
        } else {
            i++;
        }
    }
}

/* Once an interval; does something once a period. */
void
session_hint_run(long long int now)
{
    struct tpam_hint hints[MAX_GIVEN];
    size_t n;

    if (now < next_run || !session_ag.ready) {
        return;
    }
    if (!tpam) {
        struct tpam_config config;

        tpam_config_init(&config);
        tpam = tpam_create(&config);
        hosts = xcalloc(TPAM_MAX_HOSTS, sizeof *hosts);
        session_load_start(now);
        next_run = now + PERIOD_MS;
        return;
    }
    next_run = MAX(next_run + PERIOD_MS, now);
    sample(now);
    tpam_run(tpam);
    expire_given(now);
    n = tpam_hints(tpam, hints, ARRAY_SIZE(hints));
    for (size_t i = 0; i < MIN(n, ARRAY_SIZE(hints)); i++) {
        take_hint(&hints[i], now);
    }
}

/* A backend is no longer here. */
void
session_hint_group_gone(uint64_t backend)
{
    if (tpam) {
        tpam_group_remove(tpam, backend);
    }
}

/* A backend is at 'to' now. */
void
session_hint_migrated(uint64_t backend, uint64_t to)
{
    struct given *h = given_find(backend);

    if (tpam && session_group_find(backend)) {
        n_moved++;
        n_moved_as_said += h && h->target == to;
        tpam_migrated(tpam, backend, host_number(to));
    }
    if (h && to != session_ag.self) {
        h->expires = 0;
    }
}

void
session_hint_stop(void)
{
    session_load_stop();
    tpam_destroy(tpam);
    tpam = NULL;
    free(hosts);
    hosts = NULL;
    n_hosts = n_given = 0;
    next_run = 0;
}

/* Hints of all. */

struct heard {
    struct sess_hint *hints;
    size_t n, allocated;
};

static void
add_heard(struct heard *heard, uint64_t backend, uint64_t host)
{
    if (heard->n < MAX_HEARD && session_place_find(backend)
        && sess_fleet_host(&session_ag.fleet, host)) {
        if (heard->n == heard->allocated) {
            heard->hints = x2nrealloc(heard->hints, &heard->allocated,
                                      sizeof *heard->hints);
        }
        heard->hints[heard->n++] = (struct sess_hint) { backend, host };
    }
}

static void
hear(const struct gossip_record *r, long long left OVS_UNUSED, void *heard)
{
    struct gossip_hint_value value;
    uint64_t backend;

    if (session_group_from_key(r->key, r->key_len, &backend)
        && gossip_hint_decode(r, &value)) {
        add_heard(heard, backend, value.target);
    }
}

/* Stores what all hosts say, this one included, to '*hints', to be freed by
 * the caller. */
size_t
session_hints_heard(struct sess_hint **hints, long long int now)
{
    struct heard heard = { .n = 0 };

    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, hear, &heard);
    } else {
        for (size_t i = 0; i < n_given; i++) {
            if (given[i].expires > now) {
                add_heard(&heard, given[i].backend, given[i].target);
            }
        }
    }
    *hints = heard.hints;
    return heard.n;
}

static int
compare_hints(const void *a_, const void *b_)
{
    const struct db_hint *a = a_, *b = b_;

    return (a->probability != b->probability
            ? (a->probability < b->probability ? 1 : -1)
            : strcmp(a->backend, b->backend));
}

/* Stores what this host says to '*hints', to be freed by the caller, the most
 * likely first. */
size_t
session_hints_given(struct db_hint **hints, long long int now)
{
    struct db_hint *h = xcalloc(MAX(n_given, 1), sizeof *h);
    size_t n = 0;

    for (size_t i = 0; i < n_given; i++) {
        const struct session_place *p = session_place_find(given[i].backend);

        if (p && given[i].expires > now) {
            ovs_strlcpy(h[n].backend, p->name, sizeof h[n].backend);
            ovs_strlcpy(h[n].target, session_host_name(given[i].target),
                        sizeof h[n].target);
            h[n].probability = given[i].probability;
            h[n++].expiry = given[i].wall;
        }
    }
    qsort(h, n, sizeof *h, compare_hints);
    *hints = h;
    return n;
}

/* For tests: main thread, with the mutex. */
char *
session_hint_by_hand(const char *backend, const char *host,
                     double probability, unsigned int ttl)
{
    uint64_t id = sess_id_of_name(backend), target = gossip_host_id(host);
    struct given *h;

    if (!session_place_find(id)) {
        return xasprintf("%s: no such backend", backend);
    } else if (!sess_fleet_host(&session_ag.fleet, target)) {
        return xasprintf("%s: no such host", host);
    }
    h = given_add(id);
    if (!h) {
        return xstrdup("too many hints");
    }
    h->by_hand = true;
    h->target = target;
    h->probability = probability;
    give(h, ttl, time_msec());
    return NULL;
}

/* Commands. */

struct show {
    struct ds *ds;              /* Or null. */
    struct json *json;
};

static void
show_heard(const struct gossip_record *r, long long left, void *show_)
{
    struct show *show = show_;
    struct gossip_hint_value value;
    const struct session_place *p;
    const char *name, *from, *to;
    uint64_t backend;

    if (!session_group_from_key(r->key, r->key_len, &backend)
        || !gossip_hint_decode(r, &value)) {
        return;
    }
    p = session_place_find(backend);
    name = p ? p->name : "?";
    from = session_host_name(r->origin);
    to = session_host_name(value.target);
    if (show->ds) {
        ds_put_format(show->ds, "%-20s %-16s %-16s %6.2f %8.1f  %016"PRIx64
                      "\n", name, from, to, value.probability, left / 1000.0,
                      value.template_id);
    } else {
        struct json *row = json_object_create();

        json_object_put_string(row, "backend", name);
        json_object_put_string(row, "by", from);
        json_object_put_string(row, "target", to);
        json_object_put(row, "probability",
                        json_real_create(value.probability));
        json_object_put(row, "left_ms", json_integer_create(left));
        json_object_put_format(row, "template", "%016"PRIx64,
                               value.template_id);
        json_array_add(show->json, row);
    }
}

void
session_hint_show(struct ds *ds)
{
    struct show show = { .ds = ds };
    const struct gossip_load_value *load = session_load_said();
    struct session_group *g;

    ds_put_format(ds, "load: cpu %.2f, memory %.2f, datapath %.2f\n",
                  load->cpu, load->memory, load->bandwidth);
    ds_put_format(ds, "hints told: %"PRIu64", kept home: %"PRIu64"; moved: %"
                  PRIu64", as hinted: %"PRIu64"\n", n_told, n_home, n_moved,
                  n_moved_as_said);
    ds_put_format(ds, "%-20s %-16s %-16s %6s %8s  %s\n", "backend", "said by",
                  "target", "prob.", "left (s)", "template");
    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, show_heard, &show);
    }
    ds_put_format(ds, "%-20s %8s %12s %10s %6s\n", "backend here", "sessions",
                  "packets/s", "rtt (us)", "prob.");
    HMAP_FOR_EACH (g, node, &session_groups) {
        const struct session_place *p = session_place_find(g->id);

        ds_put_format(ds, "%-20s %8"PRIuSIZE" %12.0f %10.0f %6.2f\n",
                      p ? p->name : "?", g->n, g->pps,
                      isnan(g->rtt_us) ? 0 : g->rtt_us,
                      tpam_probability(tpam, g->id));
    }
}

struct json *
session_hint_json(void)
{
    struct json *json = json_object_create();
    struct json *array = json_array_create_empty();
    struct show show = { .json = json_array_create_empty() };
    const struct gossip_load_value *load = session_load_said();
    struct session_group *g;

    json_object_put(json, "cpu", json_real_create(load->cpu));
    json_object_put(json, "memory", json_real_create(load->memory));
    json_object_put(json, "datapath", json_real_create(load->bandwidth));
    json_object_put(json, "told", json_integer_create(n_told));
    json_object_put(json, "kept_home", json_integer_create(n_home));
    json_object_put(json, "moved", json_integer_create(n_moved));
    json_object_put(json, "moved_as_hinted",
                    json_integer_create(n_moved_as_said));
    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, show_heard, &show);
    }
    json_object_put(json, "hints", show.json);
    HMAP_FOR_EACH (g, node, &session_groups) {
        const struct session_place *p = session_place_find(g->id);
        struct json *row = json_object_create();

        json_object_put_string(row, "backend", p ? p->name : "?");
        json_object_put(row, "sessions", json_integer_create(g->n));
        json_object_put(row, "pps", json_real_create(g->pps));
        json_object_put(row, "rtt_us",
                        json_real_create(isnan(g->rtt_us) ? 0 : g->rtt_us));
        json_object_put(row, "probability",
                        json_real_create(tpam_probability(tpam, g->id)));
        json_array_add(array, row);
    }
    json_object_put(json, "backends", array);
    return json;
}
