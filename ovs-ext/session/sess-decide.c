/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-decide.h"

#include "packets.h"
#include "util.h"

const char *
sess_count_name(enum sess_count count)
{
    static const char *const names[] = {
        [SESS_N_LOCAL] = "local",
        [SESS_N_KNOWN] = "known",
        [SESS_N_ORIGINAL] = "original",
        [SESS_N_NO_BACKEND] = "no_backend",
        [SESS_N_NO_OWNER] = "no_owner",
        [SESS_N_HOPS] = "hops",
        [SESS_N_HELD] = "held",
        [SESS_N_UNRESOLVED] = "unresolved",
        [SESS_N_BAD] = "bad",
        [SESS_N_SECOND_HOP] = "second_hop",
        [SESS_N_FROM_PEER] = "from_peer",
        [SESS_N_ESTABLISHED] = "established",
        [SESS_N_REPLIES] = "replies",
        [SESS_N_ICMP_ERRORS] = "icmp_errors",
    };
    BUILD_ASSERT_DECL(ARRAY_SIZE(names) == SESS_N_COUNTS);

    return names[count];
}

/* PMD-THREAD CODE */

/* For what sess_decide() and sess_decide_icmp() share: calls would cost each
 * packet of a session up to 30 instructions. */
#define IN_BOTH inline __attribute__((always_inline))

/* A packet that is being decided on. */
struct decision {
    /* The same for a burst. */
    const struct sess_plan *plan;
    const struct sess_plan_service *s;
    long long int now;
    uint64_t *counts;
    unsigned int hop;
    bool tcp;
    bool settling;              /* Owners have changed just now. */
    bool icmp;                  /* An error about a session's packet. */
    /* The packet's. */
    bool syn, ends;             /* 'syn': without ACK. */
    bool asked;                 /* Whose it is, and there is no answer yet. */
    const struct sess_key *key;
    /* Result. */
    uint16_t target;
    uint16_t backend;           /* If it goes to one here... */
    bool establish;             /* ...which may begin a session. */
};

static uint16_t
drop(struct decision *d, enum sess_count why)
{
    d->counts[why]++;
    return d->target = SESS_NONE;
}

/* Of an ICMP error, whose session nobody knows. */
static void
leave(struct decision *d)
{
    if (d->hop) {
        drop(d, SESS_N_HOPS);
    } else {
        d->target = SESS_PASS;
    }
}

/* To backend 'number', 'b', which is on this host. */
static void
give(struct decision *d, uint16_t number, const struct sess_plan_backend *b,
     bool establish)
{
    if (OVS_UNLIKELY(!b->local)) {
        drop(d, SESS_N_NO_BACKEND);
        return;
    }
    d->target = b->target;
    d->backend = number;
    d->establish = establish && !d->ends;
    d->counts[SESS_N_LOCAL]++;
}

/* To 'b', which is not on this host. */
static inline void
send_on(struct decision *d, const struct sess_plan_backend *b,
        enum sess_count count)
{
    if (OVS_UNLIKELY(d->hop > 1)) {
        drop(d, SESS_N_HOPS);
        return;
    }
    d->target = d->hop ? b->target2 : b->target;
    if (OVS_UNLIKELY(d->target == SESS_NONE)) {
        drop(d, SESS_N_UNRESOLVED);
        return;
    }
    d->counts[count]++;
    if (d->hop) {
        d->counts[SESS_N_SECOND_HOP]++;
    }
}

/* Whether a segment of a session whose host is taken for dead is to wait. */
static bool
is_held(const struct decision *d)
{
    return (d->tcp && !d->syn && d->now - d->s->changed < SESS_HOLD_MS);
}

static uint16_t
ring_backend(const struct sess_ring *ring, uint16_t member)
{
    return member == SESS_OWNER_NONE ? SESS_NONE : ring->backends[member];
}

/* Who else may have a session that its owner of record does not know. */
struct former {
    uint16_t number;            /* A backend of a living host, or none. */
    bool owned;                 /* That was an owner. */
    bool held;                  /* Or one whose host may come back. */
};

/* Looks for who was the owner before 'first', or one that drains, not counting
 * changes before 'since'. */
static void
find_former(const struct decision *d, uint64_t hash, uint16_t first,
            long long int since, struct former *former)
{
    const struct sess_plan_service *s = d->s;
    const struct sess_plan_backend *b;
    long long int limit;
    uint16_t number;

    former->number = SESS_NONE;
    former->owned = former->held = false;
    if (d->syn) {
        return;
    }
    limit = d->tcp ? SESS_PREVIOUS_MS : SESS_SETTLE_MS;
    for (size_t i = 0; i < s->n_previous; i++) {
        long long int age = d->now - s->previous[i].ended;

        if (age >= limit || s->previous[i].ended < since) {
            break;
        }
        number = ring_backend(s->previous[i].ring,
                              sess_owner_first(s->previous[i].ring->owners,
                                               hash));
        b = sess_plan_backend(d->plan, number);
        if (!b || number == first || !b->host) {
            continue;
        } else if (!b->alive) {
            former->held |= d->tcp && age < SESS_HOLD_MS;
        } else if (!former->number) {
            former->number = number;
            former->owned = true;
        }
    }
    if (!former->number && !former->held && s->changed >= since
        && (d->tcp || d->now - s->changed < limit)) {
        number = ring_backend(s->ring,
                              sess_owner_second(s->ring->owners, hash));
        b = sess_plan_backend(d->plan, number);
        if (b && number != first
            && (b->draining || (d->tcp && d->settling))) {
            /* While others may see other owners, the next best, too. */
            former->number = number;
        }
    }
}

/* A packet that came by its second hop, and whose owner of record is not here:
 * who may take it.  What is no new session is not given to somebody who does
 * not know it, but for one that drains, whose sessions may have been forgotten
 * here. */
static void
decide_last(struct decision *d, uint64_t hash, uint16_t first)
{
    for (size_t i = 0; i <= d->s->n_previous; i++) {
        const struct sess_ring *ring = (i < d->s->n_previous
                                        ? d->s->previous[i].ring
                                        : d->s->ring);

        for (int j = 0; j < 2; j++) {
            uint16_t number = ring_backend(
                ring, (j ? sess_owner_second(ring->owners, hash)
                       : sess_owner_first(ring->owners, hash)));
            const struct sess_plan_backend *b
                = sess_plan_backend(d->plan, number);

            if (b && b->local && number != first
                && (d->syn || !d->tcp || b->draining)) {
                give(d, number, b, true);
                return;
            }
        }
    }
    drop(d, SESS_N_HOPS);
}

/* The owner of record is here, 'first', 'b', and does not know the session. */
static void
decide_owner(struct decision *d, uint64_t hash, uint16_t first,
             const struct sess_plan_backend *b)
{
    const struct sess_plan_backend *other;
    struct former former;

    /* What a backend brings with it when it moves here is not in the table.
     * Sessions of owners before that have been told of since. */
    find_former(d, hash, first, b->arrived, &former);
    other = sess_plan_backend(d->plan, former.number);
    /* One that is here would have been in the table. */
    if (OVS_UNLIKELY(other && !other->here && d->hop < 2)) {
        send_on(d, other, SESS_N_ORIGINAL);
    } else if (OVS_UNLIKELY(d->icmp)) {
        leave(d);
    } else if (OVS_UNLIKELY(former.held || (d->asked && d->tcp)
                            || (d->tcp && !d->syn && d->settling))) {
        drop(d, SESS_N_HELD);
    } else {
        give(d, first, b, true);
    }
}

/* Nobody has said who has the session. */
static IN_BOTH void
decide_unknown(struct decision *d)
{
    uint64_t hash = sess_key_hash(d->key, d->s->id);
    const struct sess_ring *ring = d->s->ring;
    uint16_t first = ring_backend(ring, sess_owner_first(ring->owners, hash));
    const struct sess_plan_backend *b = sess_plan_backend(d->plan, first);
    const struct sess_plan_backend *other;

    if (OVS_UNLIKELY(!b)) {
        if (d->icmp) {
            leave(d);
        } else {
            drop(d, SESS_N_NO_OWNER);
        }
    } else if (b->here) {
        decide_owner(d, hash, first, b);
    } else if (OVS_UNLIKELY(d->hop > 1)) {
        if (d->icmp) {
            leave(d);
        } else {
            decide_last(d, hash, first);
        }
    } else if (OVS_UNLIKELY(d->settling && !d->hop && !d->syn)) {
        /* Most sessions are older than the change, and nobody has had the time
         * to say so: begin with the former owner. */
        struct former former;

        find_former(d, hash, first, 0, &former);
        other = former.owned ? sess_plan_backend(d->plan, former.number)
                             : NULL;
        send_on(d, other && !other->here ? other : b, SESS_N_ORIGINAL);
    } else {
        send_on(d, b, SESS_N_ORIGINAL);
    }
}

/* The session's backend is 'number', says table or header cache ('cached').
 * Returns false if that is of no use. */
static bool
decide_known(struct decision *d, uint16_t number, bool cached)
{
    const struct sess_plan_backend *b = sess_plan_backend(d->plan, number);

    if (OVS_UNLIKELY(!b || b->service != d->s->number || !b->host)) {
        return false;
    } else if (b->here) {
        give(d, number, b, cached);
    } else if (OVS_UNLIKELY(!b->alive)) {
        if (!is_held(d)) {
            return false;
        }
        drop(d, SESS_N_HELD);
    } else if (OVS_UNLIKELY(d->hop > 1)) {
        return false;
    } else {
        send_on(d, b, SESS_N_KNOWN);
    }
    return true;
}

/* Counts a packet that goes to a backend here in its session, which may begin
 * with it.  'id' is what the table said of it. */
static void
account(struct decision *d, struct sess_table *table, sess_id id,
        const struct sess_packet *packet)
{
    if (d->establish && (!id || sess_backend(table, id) != d->backend
                         || (d->syn && sess_is_closed(table, id)))) {
        id = (id
              ? sess_restart(table, id, d->key, d->backend, d->now)
              : sess_establish(table, d->key, d->backend, d->now));
        d->counts[SESS_N_ESTABLISHED] += id != 0;
    }
    if (id) {
        sess_packet(table, id, packet, d->now);
    }
}

/* Decides on a packet whose session is 'id' in the table, or 0, and 'ref' in
 * the header cache. */
static IN_BOTH void
decide(struct decision *d, const struct sess_table *table, sess_id id,
       struct phc *phc, struct phc_ref ref)
{
    uint32_t owner;

    if (id) {
        if (!(d->syn && sess_is_closed(table, id))
            && decide_known(d, sess_backend(table, id), false)) {
            return;
        }
    } else if (ref.template && phc_ref_owner(phc, ref, &owner)
               && decide_known(d, owner, true)) {
        return;
    } else if (OVS_UNLIKELY(phc_ref_was_spilled(ref)) && !d->syn) {
        d->asked = phc_ask(phc, d->key);
    }
    decide_unknown(d);
}

void
sess_decide(const struct sess_plan *plan, struct sess_table *table,
            struct phc *phc, const struct sess_burst *burst,
            long long int now, uint16_t *targets,
            struct phc_stats *stats, uint64_t counts[SESS_N_COUNTS])
{
    struct decision d = {
        .plan = plan, .s = burst->service, .now = now, .counts = counts,
        .hop = burst->hop, .tcp = burst->service->proto == IPPROTO_TCP,
        .settling = (burst->service->n_previous
                     && now - burst->service->changed < SESS_SETTLE_MS),
    };
    size_t n = MIN(burst->n, SESS_BURST);
    bool all_known = true;
    struct phc_ref refs[SESS_BURST];
    sess_id ids[SESS_BURST];

    sess_find(table, burst->keys, n, ids);
    for (size_t i = 0; i < n; i++) {
        all_known &= ids[i] != 0;
    }
    if (!all_known) {
        phc_lookup(phc, burst->keys, n, now, refs, stats);
    }
    if (burst->hop) {
        counts[SESS_N_FROM_PEER] += n;
    }
    for (size_t i = 0; i < n; i++) {
        const struct sess_packet *packet = &burst->packets[i];
        uint8_t flags = packet->tcp_flags;

        d.key = &burst->keys[i];
        d.syn = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
        d.ends = (flags & (TCP_FIN | TCP_RST)) != 0;
        d.asked = false;
        d.backend = SESS_NONE;
        decide(&d, table, ids[i], phc, refs[i]);
        if (d.backend) {
            account(&d, table, ids[i], packet);
        }
        targets[i] = d.target;
    }
}

uint16_t
sess_decide_icmp(const struct sess_plan *plan, const struct sess_table *table,
                 struct phc *phc, const struct sess_plan_service *service,
                 unsigned int hop, const struct sess_key *key,
                 long long int now, struct phc_stats *stats,
                 uint64_t counts[SESS_N_COUNTS])
{
    struct decision d = {
        .plan = plan, .s = service, .now = now, .counts = counts,
        .hop = hop, .tcp = service->proto == IPPROTO_TCP, .icmp = true,
        .settling = (service->n_previous
                     && now - service->changed < SESS_SETTLE_MS),
        .key = key,
    };
    struct phc_ref ref = { .template = 0 };
    sess_id id;

    sess_find(table, key, 1, &id);
    if (!id) {
        phc_lookup(phc, key, 1, now, &ref, stats);
    }
    decide(&d, table, id, phc, ref);
    if (d.target != SESS_PASS) {
        counts[SESS_N_FROM_PEER] += hop != 0;
        counts[SESS_N_ICMP_ERRORS] += d.target != SESS_NONE;
    }
    return d.target;
}

/* END PMD-THREAD CODE */
