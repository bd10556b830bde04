/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Which backends will probably move, and where to: once a second, from how
 * this host, its backends and the other hosts do.  Tells others what comes of
 * it, so that they resolve the way there ahead.
 *
 * A hint names up to SESSION_HINT_TARGETS hosts, the likeliest first.  Each is
 * a record of its own: the key of the first is that of the backend, that of
 * another has its rank behind it, so that a host that knows of one target only
 * takes the first and leaves the rest alone.
 *
 * What became of hints is counted, and the prediction learns from it
 * (ovs-ext/session/tpam.h). */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    KEY_MAX = SESSION_GROUP_KEY + 1
};
#define LEARNING_RATE 0.01

/* A hint of this host. */
struct given {
    uint64_t backend;
    uint64_t targets[SESSION_HINT_TARGETS];     /* The likeliest first. */
    size_t n_targets;
    double probability;
    bool by_hand;
    bool is_over;               /* The backend has moved. */
    long long int expires, told_at;     /* ms */
    long long int wall;                 /* Likewise, since 1970. */
};

static struct tpam *tpam;
static struct given given[MAX_GIVEN];
static size_t n_given;
static long long int next_run;
static struct session_hint_counts counts;

static void
sample_self(const struct session_load *load)
{
    uint64_t self = session_ag.self;
    const struct sess_host *h = sess_fleet_host(&session_ag.fleet, self);
    struct session_group *g;

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

/* Those of the fleet that live and say how they do; tpam forgets others. */
static void
sample_others(void)
{
    struct gossip *gossip = session_gossip();

    for (size_t i = 0; i < session_ag.fleet.n_hosts; i++) {
        const struct sess_host *h = &session_ag.fleet.hosts[i];
        struct gossip_load_value v;
        const struct gossip_record *r;
        uint8_t key[8];

        if (h->id == session_ag.self) {
            continue;
        }
        gossip_put(key, h->id, 8);
        r = gossip ? gossip_lookup(gossip, GOSSIP_LOAD, key, sizeof key)
                   : NULL;
        if (r && gossip_load_decode(r, &v) && session_gossip_is_alive(h->id)) {
            tpam_host(tpam, h->id, &(struct tpam_host_sample) {
                .cpu = v.cpu,
                .memory = v.memory,
                .bandwidth = v.bandwidth,
                .latency_us = NAN,
                .draining = h->drain,
            });
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

/* The key of a hint of 'backend': of its target of 'rank'.  Returns its
 * length. */
static size_t
make_key(uint64_t backend, size_t rank, uint8_t key[KEY_MAX])
{
    session_group_key(backend, key);
    key[SESSION_GROUP_KEY] = rank;
    return SESSION_GROUP_KEY + (rank > 0);
}

/* The opposite of make_key().  Returns false for other keys. */
bool
session_hint_from_key(const struct gossip_record *r, uint64_t *backend,
                      size_t *rank)
{
    *rank = 0;
    if (r->key_len == KEY_MAX) {
        *rank = r->key[SESSION_GROUP_KEY];
        if (!*rank || *rank >= SESSION_HINT_TARGETS) {
            return false;
        }
    }
    return session_group_from_key(r->key, r->key_len - (*rank > 0), backend);
}

/* Tells hint 'h', for 'ttl' ms from 'now'. */
static void
give(struct given *h, unsigned int ttl, long long int now)
{
    const struct sess_service *s = NULL;

    session_backend_find(h->backend, &s);
    h->told_at = now;
    h->expires = now + ttl;
    h->wall = time_wall_msec() + ttl;
    for (size_t i = 0; session_gossip() && i < h->n_targets; i++) {
        uint8_t key[KEY_MAX];
        size_t len = make_key(h->backend, i, key);
        bool told = gossip_hint(session_gossip(), key, len,
                                &(struct gossip_hint_value) {
                                    .target = h->targets[i],
                                    .probability = h->probability,
                                    .template_id = template_id(s,
                                                               h->targets[i]),
                                }, ttl);

        counts.told += told;
        counts.home += !told;
    }
    session_ag.hints_changed = true;
}

static bool
has_target(const struct given *h, uint64_t target)
{
    for (size_t i = 0; i < h->n_targets; i++) {
        if (h->targets[i] == target) {
            return true;
        }
    }
    return false;
}

/* Whether 'h' names these targets already, in whatever order. */
static bool
has_targets(const struct given *h, const uint64_t targets[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!has_target(h, targets[i])) {
            return false;
        }
    }
    return n == h->n_targets;
}

static void
set_targets(struct given *h, const uint64_t targets[], size_t n,
            double probability)
{
    memcpy(h->targets, targets, n * sizeof *targets);
    h->n_targets = n;
    h->probability = probability;
}

static struct given *
given_add(uint64_t backend)
{
    struct given *h = given_find(backend);

    if (!h && n_given < MAX_GIVEN) {
        h = &given[n_given++];
        memset(h, 0, sizeof *h);
        h->backend = backend;
        counts.hints++;
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

/* Gives 'hint' to those of its targets that can be one. */
static void
take_hint(const struct tpam_hint *hint, long long int now)
{
    uint64_t targets[SESSION_HINT_TARGETS];
    const struct sess_service *s;
    struct given *h;
    size_t n = 0;

    if (!is_worth(hint->group) || !session_backend_find(hint->group, &s)) {
        return;
    }
    for (size_t i = 0; i < hint->n_targets && n < ARRAY_SIZE(targets); i++) {
        if (is_eligible(s, hint->targets[i])) {
            targets[n++] = hint->targets[i];
        }
    }
    h = n ? given_add(hint->group) : NULL;
    if (h && !h->by_hand && !h->is_over
        && (!has_targets(h, targets, n)
            || fabs(h->probability - hint->probability) > 0.1
            || now - h->told_at >= HINT_TTL_MS / 2)) {
        if (!has_target(h, targets[0])) {
            VLOG_INFO("backend %s will probably move to %s%s%s (%.2f)",
                      session_backend_find(hint->group, NULL)->name,
                      session_host_name(targets[0]), n > 1 ? " or " : "",
                      n > 1 ? session_host_name(targets[1]) : "",
                      hint->probability);
        }
        set_targets(h, targets, n, hint->probability);
        give(h, HINT_TTL_MS, now);
    }
}

static void
expire_given(long long int now)
{
    for (size_t i = 0; i < n_given; ) {
        if (given[i].expires <= now) {
            counts.nothing += !given[i].is_over;
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
        config.n_targets = SESSION_HINT_TARGETS;
        config.learning_rate = LEARNING_RATE;
        tpam = tpam_create(&config);
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
        counts.moved++;
        tpam_migrated(tpam, backend, to);
    }
    if (h && to != session_ag.self && !h->is_over) {
        if (has_target(h, to)) {
            counts.came++;
        } else {
            counts.elsewhere++;
        }
        h->is_over = true;
        h->expires = 0;
    }
}

void
session_hint_stop(void)
{
    session_load_stop();
    tpam_destroy(tpam);
    tpam = NULL;
    n_given = 0;
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
    size_t rank;

    if (session_hint_from_key(r, &backend, &rank)
        && gossip_hint_decode(r, &value)) {
        add_heard(heard, backend, value.target);
    }
}

static int
compare_heard(const void *a_, const void *b_)
{
    const struct sess_hint *a = a_, *b = b_;

    return (a->backend != b->backend ? (a->backend < b->backend ? -1 : 1)
            : a->host != b->host ? (a->host < b->host ? -1 : 1) : 0);
}

/* Stores what all hosts say, this one included, to '*hints', sorted, to be
 * freed by the caller. */
size_t
session_hints_heard(struct sess_hint **hints, long long int now)
{
    struct heard heard = { .n = 0 };

    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, hear, &heard);
    } else {
        for (size_t i = 0; i < n_given; i++) {
            const struct given *h = &given[i];

            for (size_t j = 0; h->expires > now && j < h->n_targets; j++) {
                add_heard(&heard, h->backend, h->targets[j]);
            }
        }
    }
    if (heard.n) {
        qsort(heard.hints, heard.n, sizeof *heard.hints, compare_heard);
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
 * likely first, each with its first target. */
size_t
session_hints_given(struct db_hint **hints, long long int now)
{
    struct db_hint *h = xcalloc(MAX(n_given, 1), sizeof *h);
    size_t n = 0;

    for (size_t i = 0; i < n_given; i++) {
        const struct session_place *p = session_place_find(given[i].backend);

        if (p && given[i].expires > now) {
            ovs_strlcpy(h[n].backend, p->name, sizeof h[n].backend);
            ovs_strlcpy(h[n].target, session_host_name(given[i].targets[0]),
                        sizeof h[n].target);
            h[n].probability = given[i].probability;
            h[n++].expiry = given[i].wall;
        }
    }
    qsort(h, n, sizeof *h, compare_hints);
    *hints = h;
    return n;
}

/* For tests: main thread, with the mutex.  'host' is one name, or several with
 * commas between them. */
char *
session_hint_by_hand(const char *backend, const char *host,
                     double probability, unsigned int ttl)
{
    uint64_t targets[SESSION_HINT_TARGETS], id = sess_id_of_name(backend);
    char *names = xstrdup(host), *save = NULL, *error = NULL;
    struct given *h;
    size_t n = 0;

    if (!session_place_find(id)) {
        error = xasprintf("%s: no such backend", backend);
    }
    for (char *name = strtok_r(names, ",", &save);
         name && !error && n < ARRAY_SIZE(targets);
         name = strtok_r(NULL, ",", &save)) {
        targets[n++] = gossip_host_id(name);
        if (!sess_fleet_host(&session_ag.fleet, targets[n - 1])) {
            error = xasprintf("%s: no such host", name);
        }
    }
    free(names);
    if (error) {
        return error;
    } else if (!n) {
        return xstrdup("no host");
    }
    h = given_add(id);
    if (!h) {
        return xstrdup("too many hints");
    }
    h->by_hand = true;
    set_targets(h, targets, n, probability);
    give(h, ttl, time_msec());
    return NULL;
}

/* What became of hints so far. */
void
session_hint_get_counts(struct session_hint_counts *c)
{
    *c = counts;
    if (tpam) {
        tpam_get_learned(tpam, &c->learned);
    } else {
        memset(&c->learned, 0, sizeof c->learned);
        c->learned.is_shipped = true;
    }
}

/* The probability that 'backend', which is here, will move. */
double
session_hint_probability(uint64_t backend)
{
    return tpam ? tpam_probability(tpam, backend) : 0;
}
