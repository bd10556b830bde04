/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Entries: the flows by which packets for a service leave ofproto's way.
 *
 * Threads that process packets make them, with a miss; the main thread alone
 * ends them.  A thread with a miss waits for 'entries_mutex', so no more is
 * done under it at a time than with SLICE entries, and never a flow deleted or
 * ofproto asked.
 *
 * Places that packets are refused at are kept like entries, but have no
 * flow. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdlib.h>
#include <string.h>

#include "coverage.h"
#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "util.h"

COVERAGE_DEFINE(session_entry_aged);
COVERAGE_DEFINE(session_entry_refreshed);

enum {
    MAX_ENTRIES = 8192,
    MANY_ENTRIES = MAX_ENTRIES / 8 * 7, /* The oldest go... */
    N_OLDEST = MAX_ENTRIES / 4, /* ...so many. */
    MAX_REFUSED = 1024,
    SLICE = 64,
    PURGE_MS = 300              /* A dead one is kept at least so long, until
                                 * threads know that the port has gone. */
};

/* What is guarded, the main thread writes under 'entries_mutex'; the last
 * members are its own. */
struct entry {
    struct hmap_node node;      /* In 'entries', by 'key'. */
    struct ovs_list by_age;     /* In 'live', 'dead' or 'refused'. */
    struct session_entry_key key;
    struct flow flow;           /* Of the packet that missed. */
    ovs_u128 ufid;
    long long int dead_until;   /* Guarded: keep it until then, ms; 0:
                                 * alive. */
    bool barred;                /* Guarded: dead, and no other of that key
                                 * until it is gone: its port goes. */
    long long int refresh_at;   /* Delete its flow then, for the next packet
                                 * to miss, ms; 0: not known yet. */
    uint64_t mark;              /* If dead, keep it until after this, too: a
                                 * thread may still install the flow. */
};

static struct ovs_mutex entries_mutex = OVS_MUTEX_INITIALIZER;
static struct hmap entries OVS_GUARDED_BY(entries_mutex)
    = HMAP_INITIALIZER(&entries);
/* Oldest first. */
static struct ovs_list live OVS_GUARDED_BY(entries_mutex)
    = OVS_LIST_INITIALIZER(&live);
static struct ovs_list refused OVS_GUARDED_BY(entries_mutex)
    = OVS_LIST_INITIALIZER(&refused);
static size_t n_live OVS_GUARDED_BY(entries_mutex);
static size_t n_refused OVS_GUARDED_BY(entries_mutex);
static uint32_t last_unique OVS_GUARDED_BY(entries_mutex);

/* Main thread's own: in the order in which they died. */
static struct ovs_list dead = OVS_LIST_INITIALIZER(&dead);

/* Adds an entry of 'key' to 'list'. */
static struct entry *
entry_create(const struct session_entry_key *key, uint32_t hash,
             const struct flow *flow, struct ovs_list *list)
    OVS_REQUIRES(entries_mutex)
{
    struct entry *e = xzalloc(sizeof *e);

    e->key = *key;
    e->flow = *flow;
    hmap_insert(&entries, &e->node, hash);
    ovs_list_push_back(list, &e->by_age);
    return e;
}

/* Stores the ufid of the entry of 'key', a new one if need be.  Returns false
 * if there is to be none: there are too many, or the port is about to go.  Any
 * thread. */
bool
session_entry_obtain(const struct session_entry_key *key,
                     const struct flow *flow, ovs_u128 *ufid)
{
    uint32_t hash = hash_bytes(key, sizeof *key, 0);
    struct entry *e;
    bool found = false, barred = false;

    ovs_mutex_lock(&entries_mutex);
    HMAP_FOR_EACH_WITH_HASH (e, node, hash, &entries) {
        if ((!e->dead_until || e->barred)
            && !memcmp(&e->key, key, sizeof *key)) {
            found = !e->dead_until;
            barred = !found;
            break;
        }
    }
    if (!found && !barred && hmap_count(&entries) < MAX_ENTRIES) {
        e = entry_create(key, hash, flow, &live);
        session_ufid_make(SESSION_FLOW_ENTRY, ++last_unique, hash, &e->ufid);
        n_live++;
        found = true;
    }
    if (found) {
        *ufid = e->ufid;
    }
    ovs_mutex_unlock(&entries_mutex);
    return found;
}

/* Notes that packets of 'flow' are refused at the place 'key', unless too many
 * are noted.  Any thread. */
void
session_entry_refuse(const struct session_entry_key *key,
                     const struct flow *flow)
{
    uint32_t hash = hash_bytes(key, sizeof *key, 0);
    const struct entry *e;
    bool found = false;

    ovs_mutex_lock(&entries_mutex);
    HMAP_FOR_EACH_WITH_HASH (e, node, hash, &entries) {
        if (!memcmp(&e->key, key, sizeof *key)) {
            found = true;
            break;
        }
    }
    if (!found && n_refused < MAX_REFUSED
        && hmap_count(&entries) < MAX_ENTRIES) {
        entry_create(key, hash, flow, &refused);
        n_refused++;
    }
    ovs_mutex_unlock(&entries_mutex);
}

/* Stores in 'slice' up to 'max' entries of 'list', which is guarded, those
 * after 'last' or the first.  Returns how many. */
static size_t
take_slice(const struct ovs_list *list, const struct entry *last,
           struct entry *slice[SLICE], size_t max)
{
    const struct ovs_list *node;
    size_t n = 0;

    ovs_mutex_lock(&entries_mutex);
    node = last ? last->by_age.next : list->next;
    while (node != list && n < MIN(max, SLICE)) {
        slice[n++] = CONTAINER_OF(node, struct entry, by_age);
        node = node->next;
    }
    ovs_mutex_unlock(&entries_mutex);
    return n;
}

/* Ends the 'n' entries of 'slice'. */
static void
end_slice(struct entry *slice[SLICE], size_t n, bool barred,
          long long int now)
{
    uint64_t mark;

    if (!n) {
        return;
    }
    ovs_mutex_lock(&entries_mutex);
    for (size_t i = 0; i < n; i++) {
        slice[i]->dead_until = now + PURGE_MS;
        slice[i]->barred = barred;
        ovs_list_remove(&slice[i]->by_age);
        n_live--;
    }
    ovs_mutex_unlock(&entries_mutex);

    mark = session_grace_begin();
    for (size_t i = 0; i < n; i++) {
        slice[i]->mark = mark;
        ovs_list_push_back(&dead, &slice[i]->by_age);
        session_flow_del(&slice[i]->ufid);
    }
}

/* Has the next packet of 'e' miss if it is time, every 'interval' ms, and if
 * bridges would learn from it.  At first earlier, so that those made together
 * do not stay so. */
static void
refresh(struct entry *e, const struct session_topo *topo,
        long long int interval, long long int now)
{
    if (!interval) {
        e->refresh_at = 0;
    } else if (!e->refresh_at) {
        e->refresh_at = now + interval / 8 * (e->ufid.u32[1] % 8 + 1);
    } else if (now >= e->refresh_at) {
        e->refresh_at = now + interval;
        if (session_entry_learns(topo, &e->flow)) {
            COVERAGE_INC(session_entry_refreshed);
            session_flow_del(&e->ufid);
        }
    } else {
        /* It may have been longer before. */
        e->refresh_at = MIN(e->refresh_at, now + interval);
    }
}

/* Ends the places that do not refuse packets any more.  Returns true if there
 * are any. */
static bool
check_refused(const struct sess_plan *plan, const struct session_topo *topo,
              struct session_admit_memo *memo)
{
    struct entry *slice[SLICE], *last = NULL;
    bool ended = false;
    size_t n;

    do {
        size_t n_ended = 0;

        n = take_slice(&refused, last, slice, SLICE);
        for (size_t i = 0; i < n; i++) {
            if (session_place_stands(plan, topo, &slice[i]->flow, memo)) {
                last = slice[i];
            } else {
                slice[n_ended++] = slice[i];
            }
        }
        ovs_mutex_lock(&entries_mutex);
        for (size_t i = 0; i < n_ended; i++) {
            hmap_remove(&entries, &slice[i]->node);
            ovs_list_remove(&slice[i]->by_age);
        }
        n_refused -= n_ended;
        ovs_mutex_unlock(&entries_mutex);
        for (size_t i = 0; i < n_ended; i++) {
            free(slice[i]);
        }
        ended = ended || n_ended;
    } while (n == SLICE);
    return ended;
}

/* Ends the entries that 'plan' and 'topo' would not make as they are.  Returns
 * true if there may be flows of ofproto that entries are to take the place of,
 * because their packets were refused and are so no more. */
bool
session_entries_check(const struct sess_plan *plan,
                      const struct session_topo *topo, long long int now)
{
    struct session_admit_memo memo = { .slots = { { .ofproto = NULL } } };
    struct entry *slice[SLICE], *last = NULL;
    size_t n;

    do {
        size_t n_ended = 0;

        n = take_slice(&live, last, slice, SLICE);
        for (size_t i = 0; i < n; i++) {
            struct entry *e = slice[i];
            long long int interval = 0;

            if (session_entry_stands(plan, topo, &e->flow, &e->key, &memo,
                                     &interval)) {
                last = e;
                refresh(e, topo, interval, now);
            } else {
                slice[n_ended++] = e;
            }
        }
        end_slice(slice, n_ended, false, now);
    } while (n == SLICE);
    return check_refused(plan, topo, &memo);
}

static bool
names_port(const struct entry *e, odp_port_t port)
{
    return e->key.in_port == port || e->key.local == port;
}

/* Ends the entries that name 'port', which is about to go. */
void
session_entries_kill_port(odp_port_t port, long long int now)
{
    struct entry *slice[SLICE], *last = NULL, *e;
    size_t n;

    LIST_FOR_EACH (e, by_age, &dead) {
        if (names_port(e, port)) {
            ovs_mutex_lock(&entries_mutex);
            e->barred = true;
            ovs_mutex_unlock(&entries_mutex);
        }
    }
    do {
        size_t n_ended = 0;

        n = take_slice(&live, last, slice, SLICE);
        for (size_t i = 0; i < n; i++) {
            if (!names_port(slice[i], port)) {
                last = slice[i];
            } else {
                slice[n_ended++] = slice[i];
            }
        }
        end_slice(slice, n_ended, true, now);
    } while (n == SLICE);
}

/* Makes room if there are many.  Those that are in use come back with their
 * next packet. */
static void
end_oldest(long long int now)
{
    struct entry *slice[SLICE];
    bool many;

    ovs_mutex_lock(&entries_mutex);
    many = n_live >= MANY_ENTRIES;
    ovs_mutex_unlock(&entries_mutex);
    if (many) {
        COVERAGE_INC(session_entry_aged);
        for (size_t left = N_OLDEST; left; ) {
            size_t n = take_slice(&live, NULL, slice, left);

            end_slice(slice, n, false, now);
            left -= n;
        }
    }
}

/* Forgets the dead that no thread can have to do with any more. */
static void
purge(long long int now)
{
    struct entry *slice[SLICE], *e;
    size_t n;

    do {
        n = 0;
        LIST_FOR_EACH (e, by_age, &dead) {
            if (n == SLICE || now < e->dead_until
                || !session_grace_is_over(e->mark)) {
                break;
            }
            slice[n++] = e;
        }
        ovs_mutex_lock(&entries_mutex);
        for (size_t i = 0; i < n; i++) {
            hmap_remove(&entries, &slice[i]->node);
        }
        ovs_mutex_unlock(&entries_mutex);
        for (size_t i = 0; i < n; i++) {
            session_flow_del(&slice[i]->ufid);
            ovs_list_remove(&slice[i]->by_age);
            free(slice[i]);
        }
    } while (n == SLICE);
}

/* Upkeep.  Returns when to come back, ms, if not with a grace period. */
long long int
session_entries_run(long long int now)
{
    const struct entry *first;

    end_oldest(now);
    purge(now);
    if (ovs_list_is_empty(&dead)) {
        return LLONG_MAX;
    }
    first = CONTAINER_OF(ovs_list_front(&dead), struct entry, by_age);
    return now < first->dead_until ? first->dead_until : LLONG_MAX;
}
