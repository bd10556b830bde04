/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Where backends are: here, where their ports are plugged in, or where other
 * hosts say.
 *
 * Each host tells of its own backends.  What was said last counts, and a port
 * that is plugged in is news; so a backend that moves is where it came to
 * last, even while it is still plugged in where it was.  The word of a host
 * that has died is taken over by a host that has the port.
 *
 * A host's word lasts a day, and is given again while the host lives, so that
 * of a host that is gone for good is forgotten.  A day, because that is how
 * long gossip knows who is dead.  To keep the word of a dead host does no harm:
 * new sessions do not go there.  To forget that of a host which is only cut off
 * would: its backends would be nowhere, and their sessions here with them.  One
 * that is cut off for longer still has its own word, and gives it to others
 * with the first comparison. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <stdlib.h>

#include "datapath-hooks/session/session-dp.h"
#include "hash.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_place);

enum {
    ABSENT_MS = 10000,          /* A port is plugged out and not yet in. */
    CLAIM_MS = 1000,            /* Between two words about a backend. */
    CLAIM_TTL_MS = 24 * 3600 * 1000,
    REFRESH_MS = 3600 * 1000
};

struct session_place *
session_place_find(uint64_t backend)
{
    struct session_place *p;

    HMAP_FOR_EACH_WITH_HASH (p, node, hash_uint64(backend),
                             &session_ag.places) {
        if (p->id == backend) {
            return p;
        }
    }
    return NULL;
}

const char *
session_host_name(uint64_t host)
{
    const struct sess_host *h = sess_fleet_host(&session_ag.fleet, host);

    return h ? h->name : host ? "?" : "-";
}

/* Finds a backend of the fleet, and stores the first service that it is of to
 * '*servicep' unless that is null. */
const struct sess_backend *
session_backend_find(uint64_t backend, const struct sess_service **servicep)
{
    const struct sess_fleet *fleet = &session_ag.fleet;

    for (size_t i = 0; i < fleet->n_services; i++) {
        const struct sess_service *s = &fleet->services[i];

        for (size_t j = 0; j < s->n_backends; j++) {
            if (s->backends[j].id == backend) {
                if (servicep) {
                    *servicep = s;
                }
                return &s->backends[j];
            }
        }
    }
    return NULL;
}

static void
note(const struct session_place *p, bool here)
{
    VLOG_INFO("backend %s is %s", p->name, here ? "here" : "no longer here");
}

static void
claim(struct session_place *p, bool here, long long int now)
{
    struct gossip *g = session_gossip();
    uint8_t key[SESSION_GROUP_KEY];

    if (!g) {
        return;
    }
    session_group_key(p->id, key);
    if (here) {
        gossip_own_session(g, key, sizeof key, session_ag.self,
                           CLAIM_TTL_MS);
    } else {
        gossip_close_session(g, key, sizeof key);
    }
    p->claimed_at = now;
    p->refresh_at = now + REFRESH_MS;
    note(p, here);
}

/* Says again that 'p' is here: at first of what an earlier run of this host
 * said, which nobody knows the age of. */
static void
refresh(struct session_place *p, long long int now)
{
    uint8_t key[SESSION_GROUP_KEY];

    if (now >= p->refresh_at) {
        p->refresh_at = now + REFRESH_MS;
        session_group_key(p->id, key);
        gossip_refresh_session(session_gossip(), key, sizeof key,
                               CLAIM_TTL_MS);
    }
}

static void
place_free(struct session_place *p)
{
    hmap_remove(&session_ag.places, &p->node);
    free(p->name);
    free(p);
}

/* Makes 'places' those of the fleet. */
void
session_places_update(long long int now)
{
    const struct sess_fleet *fleet = &session_ag.fleet;
    struct session_place *p, *next;

    HMAP_FOR_EACH (p, node, &session_ag.places) {
        p->wanted = false;
    }
    for (size_t i = 0; i < fleet->n_services; i++) {
        for (size_t j = 0; j < fleet->services[i].n_backends; j++) {
            const struct sess_backend *b = &fleet->services[i].backends[j];

            p = session_place_find(b->id);
            if (!p) {
                p = xzalloc(sizeof *p);
                p->id = b->id;
                p->name = xstrdup(b->name);
                hmap_insert(&session_ag.places, &p->node, hash_uint64(p->id));
            }
            p->wanted = true;
        }
    }
    HMAP_FOR_EACH_SAFE (p, next, node, &session_ag.places) {
        if (!p->wanted) {
            if (p->host == session_ag.self && !p->by_hand) {
                claim(p, false, now);
            }
            place_free(p);
        }
    }
}

/* The host that says that the backend is there, 0 if none. */
static uint64_t
claimed_by(const struct session_place *p)
{
    struct gossip *g = session_gossip();
    const struct gossip_record *r;
    struct gossip_session_value value;
    uint8_t key[SESSION_GROUP_KEY];

    if (!g) {
        return 0;
    }
    session_group_key(p->id, key);
    r = gossip_lookup(g, GOSSIP_SESSION, key, sizeof key);
    return (r && gossip_session_decode(r, &value) && !value.closed
            ? value.host : 0);
}

/* Whether 'p' is to be claimed for this host.  'came' says that its port has
 * just been plugged in; otherwise what another host that lives has said since
 * then counts. */
static bool
should_claim(const struct session_place *p, uint64_t by, bool came,
             long long int now)
{
    return (p->present && by != session_ag.self
            && (came || !by || !session_gossip_is_alive(by))
            && (came || now - p->claimed_at >= CLAIM_MS));
}

/* Whether 'p' is to be given up: its port is not here, and has not been for a
 * while.  Until then packets for it are still sent here, which is better than
 * to others that do not know its sessions. */
static bool
should_give_up(struct session_place *p, uint64_t by, long long int now)
{
    if (p->present || by != session_ag.self) {
        p->absent_since = 0;
        return false;
    }
    if (!p->absent_since) {
        p->absent_since = now;
    }
    return now - p->absent_since >= ABSENT_MS;
}

/* Says once that others claim what is plugged in here. */
static void
check_double(struct session_place *p)
{
    bool elsewhere = (p->present && p->host != session_ag.self
                      && p->host && p->alive);

    if (elsewhere && !p->said_elsewhere) {
        VLOG_INFO("backend %s is plugged in here and, since later, at %s",
                  p->name, session_host_name(p->host));
    }
    p->said_elsewhere = elsewhere;
}

/* Brings 'p' up to date; 'present' is whether its port is here now.  Returns
 * true if anything changed that plans depend on. */
static bool
place_run(struct session_place *p, bool present, long long int now)
{
    uint64_t host = p->host, by;
    bool came = present && !p->present;
    bool was_alive = p->alive, was_present = p->present;

    p->present = present;
    if (p->by_hand) {
        p->alive = (p->host && (!session_gossip()
                                || session_gossip_is_alive(p->host)));
    } else if (!session_gossip()) {
        if (!session_waits_for_gossip(now)) {
            if (present != (p->host != 0)) {
                note(p, present);
            }
            p->host = present ? session_ag.self : 0;
            p->alive = present;
        }
    } else if (session_ag.ready) {
        by = claimed_by(p);
        if (should_claim(p, by, came, now)) {
            claim(p, true, now);
            by = session_ag.self;
        } else if (should_give_up(p, by, now)) {
            claim(p, false, now);
            by = 0;
        } else if (p->present && by == session_ag.self) {
            refresh(p, now);
        }
        p->host = by;
        p->alive = by && session_gossip_is_alive(by);
        check_double(p);
    }
    if (host && p->host && host != p->host) {
        session_hint_migrated(p->id, p->host);
    }
    return (host != p->host || was_alive != p->alive
            || was_present != p->present);
}

/* Brings all up to date.  Returns true if anything changed that plans depend
 * on. */
bool
session_places_run(long long int now)
{
    uint64_t ids[SESS_MAX_BACKENDS];
    struct session_place *p;
    bool changed = false;
    size_t n;

    session_ag.present_seq = seq_read(session_dp_seq());
    n = session_dp_present(ids, ARRAY_SIZE(ids));
    session_ag.places_changed = false;
    HMAP_FOR_EACH (p, node, &session_ag.places) {
        p->seen = false;
    }
    for (size_t i = 0; i < MIN(n, ARRAY_SIZE(ids)); i++) {
        p = session_place_find(ids[i]);
        if (p) {
            p->seen = true;
        }
    }
    HMAP_FOR_EACH (p, node, &session_ag.places) {
        changed |= place_run(p, p->seen, now);
    }
    return changed;
}

/* Forgets all, without a word. */
void
session_places_clear(void)
{
    struct session_place *p, *next;

    HMAP_FOR_EACH_SAFE (p, next, node, &session_ag.places) {
        place_free(p);
    }
}
