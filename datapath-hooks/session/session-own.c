/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Sessions that are not where other hosts would look for them.
 *
 * Hosts find the owner of most sessions by rendezvous, without a word.  This
 * file goes through the session table, a part each tick, and tells of the
 * others: those whose backend is not the owner of record any more, after a
 * backend came, was drained, or got another weight.  It repeats that while
 * they live, and says when they are closed. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ovs-ext/session/gossip.h"
#include "ovs-ext/session/sess-tags.h"
#include "util.h"

enum {
    MAX_TOLD = 65536,           /* The rest stays home: a second hop each. */
    TTL_MS = 5 * 60 * 1000,
    REFRESH_MS = TTL_MS / 2,
    TICKS = 20,                 /* To go once through the table, normally, */
    TICKS_HURRY = 5,            /* and after a new plan. */
    EXPIRE_TICKS = 20
};

struct told {
    struct hmap_node node;      /* In 'told', by hash of 'key'. */
    struct sess_key key;
    uint64_t backend;
    long long int refresh;      /* ms */
    unsigned int round;         /* In which it was last seen. */
};

/* What the sessions of a backend number did: gone ones, and those seen in this
 * round of the table and in the last. */
struct totals {
    uint64_t gone_packets, gone_bytes;
    struct session_own_totals now, last;
    size_t n_rtt;
};

static struct hmap told = HMAP_INITIALIZER(&told);
static struct totals *totals;           /* [SESS_BACKEND_NUMBERS] or null. */
static size_t scan_pos;
static unsigned int scan_round;
static int hurry;                       /* Rounds: of one plan, and what is
                                         * left of the one that it came in. */
static struct session_own_counts counts;

static struct told *
told_find(const struct sess_key *key)
{
    struct told *t;

    HMAP_FOR_EACH_WITH_HASH (t, node, sess_key_hash(key, 0), &told) {
        if (sess_key_equals(&t->key, key)) {
            return t;
        }
    }
    return NULL;
}

static void
told_remove(struct told *t)
{
    hmap_remove(&told, &t->node);
    free(t);
}

static void
tell(struct told *t, long long int now)
{
    uint8_t key[GOSSIP_KEY_MAX];
    size_t len = gossip_key_encode(&t->key, key);

    gossip_own_session(session_gossip(), key, len, t->backend, TTL_MS);
    t->refresh = now + REFRESH_MS;
    counts.told++;
}

static void
tell_closed(const struct sess_key *session)
{
    uint8_t key[GOSSIP_KEY_MAX];
    size_t len = gossip_key_encode(session, key);

    gossip_close_session(session_gossip(), key, len);
    counts.closed++;
}

/* Whether another host has said that the session is closed. */
static bool
is_closed_elsewhere(const struct sess_key *session)
{
    uint8_t key[GOSSIP_KEY_MAX];
    size_t len = gossip_key_encode(session, key);
    struct gossip_session_value value;
    const struct gossip_record *r;

    r = gossip_lookup(session_gossip(), GOSSIP_SESSION, key, len);
    return r && gossip_session_decode(r, &value) && value.closed;
}

/* How many sessions this host may tell of: the hosts together no more than
 * half of the records that there is room for, so that none push out each
 * other's.  What says where backends are they cannot push out. */
static size_t
max_told(void)
{
    return MIN(MAX_TOLD,
               SESSION_MAX_RECORDS / 2 / gossip_n_alive(session_gossip()));
}

/* Session 'info' has another owner of record than 'b', its backend. */
static void
exception(const struct sess_info *info, const struct sess_plan_backend *b,
          long long int now)
{
    struct told *t = told_find(&info->key);

    if (t && !b->local && now >= t->refresh
        && is_closed_elsewhere(&info->key)) {
        told_remove(t);
        counts.removed += sess_remove(session_ag.table, &info->key);
        return;
    }
    if (!t) {
        if (hmap_count(&told) >= max_told()) {
            counts.kept_home++;
            return;
        }
        t = xzalloc(sizeof *t);
        t->key = info->key;
        hmap_insert(&told, &t->node, sess_key_hash(&t->key, 0));
    }
    t->round = scan_round;
    if (t->backend != b->id || now >= t->refresh) {
        t->backend = b->id;
        tell(t, now);
    }
}

static void
add_totals(const struct sess_info *info)
{
    struct totals *t = &totals[info->backend];

    t->now.n++;
    for (int dir = 0; dir < 2; dir++) {
        t->now.packets += info->packets[dir];
        t->now.bytes += info->bytes[dir];
    }
    if (info->rtt_us[0]) {
        t->now.rtt_us += info->rtt_us[0];
        t->n_rtt++;
    }
}

static void
scan_session(const struct sess_info *info, long long int now)
{
    const struct sess_plan *plan = session_ag.plan;
    const struct sess_plan_backend *b = sess_plan_backend(plan,
                                                          info->backend);
    const struct sess_plan_service *s = b ? sess_plan_service(plan, b->service)
                                          : NULL;

    if (!s) {
        counts.removed += sess_remove(session_ag.table, &info->key);
        return;
    }
    add_totals(info);
    if (info->state == SESS_CLOSED) {
        struct told *t = told_find(&info->key);

        if (t) {
            t->round = scan_round;      /* Until it is gone. */
        }
    } else if (session_gossip()
               && sess_plan_owner(s, &info->key) != info->backend) {
        exception(info, b, now);
    }
}

static void
end_round(void)
{
    struct told *t, *next;

    for (size_t i = 0; i < SESS_BACKEND_NUMBERS; i++) {
        struct totals *x = &totals[i];

        x->last = x->now;
        x->last.packets += x->gone_packets;
        x->last.bytes += x->gone_bytes;
        if (x->n_rtt) {
            x->last.rtt_us /= x->n_rtt;
        }
        memset(&x->now, 0, sizeof x->now);
        x->n_rtt = 0;
    }

    /* What is as it should be again; hosts that were told are right still. */
    HMAP_FOR_EACH_SAFE (t, next, node, &told) {
        if (t->round != scan_round) {
            told_remove(t);
        }
    }
    scan_pos = 0;
    scan_round++;
    hurry -= hurry > 0;
}

static void
gone(const struct sess_info *info, void *aux OVS_UNUSED)
{
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          info->backend);
    struct totals *x = &totals[info->backend % SESS_BACKEND_NUMBERS];
    struct told *t = told_find(&info->key);

    for (int dir = 0; dir < 2; dir++) {
        x->gone_packets += info->packets[dir];
        x->gone_bytes += info->bytes[dir];
    }
    if (t) {
        /* Whose backend has moved may live on there. */
        if (b && b->local && session_gossip()) {
            tell_closed(&info->key);
        }
        told_remove(t);
    }
}

/* A part of the table.  Once an interval. */
void
session_own_run(long long int now)
{
    struct sess_table *table = session_ag.table;
    size_t slots = sess_table_slots(table);
    size_t part = DIV_ROUND_UP(slots, hurry ? TICKS_HURRY : TICKS);
    size_t end = scan_pos + part;
    struct sess_info info;

    if (!session_ag.plan || !session_ag.ready) {
        return;
    }
    if (!totals) {
        totals = xcalloc(SESS_BACKEND_NUMBERS, sizeof *totals);
    }
    sess_expire(table, now, DIV_ROUND_UP(slots, SESS_WAYS * EXPIRE_TICKS),
                gone, NULL);
    while (sess_next_until(table, &scan_pos, end, &info)) {
        if (info.backend < SESS_BACKEND_NUMBERS) {
            scan_session(&info, now);
        }
    }
    if (end >= slots) {
        end_round();
    }
}

/* Owners of record may be others now.  The scan goes on where it is and comes
 * to every session in the next round at the latest: if it began again with
 * each plan, many plans would keep it from the end of the table. */
void
session_own_plan_changed(void)
{
    hurry = 2;
}

void
session_own_stop(void)
{
    struct told *t, *next;

    HMAP_FOR_EACH_SAFE (t, next, node, &told) {
        told_remove(t);
    }
    hmap_shrink(&told);
    free(totals);
    totals = NULL;
    scan_pos = 0;
}

void
session_own_get_counts(struct session_own_counts *c)
{
    *c = counts;
    c->n = hmap_count(&told);
}

bool
session_own_totals(uint64_t backend, struct session_own_totals *sum)
{
    const struct sess_plan *plan = session_ag.plan;
    size_t n_rtt = 0;

    memset(sum, 0, sizeof *sum);
    for (size_t i = 0; plan && totals && i < plan->n_backends; i++) {
        const struct session_own_totals *x = &totals[i].last;

        if (plan->backends[i].id == backend) {
            sum->packets += x->packets;
            sum->bytes += x->bytes;
            sum->n += x->n;
            sum->rtt_us += x->rtt_us;
            n_rtt += x->rtt_us > 0;
        }
    }
    sum->rtt_us = n_rtt ? sum->rtt_us / n_rtt : 0;
    return totals != NULL;
}
