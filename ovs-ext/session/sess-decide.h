/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_DECIDE_H
#define SESS_DECIDE_H 1

/* What becomes of packets for a service
 * =====================================
 *
 * A packet came from a client (hop 0), from another host that took us for the
 * owner (hop 1), or from one that passed it on (hop 2).  In this order:
 *
 * 1. The session is in our table: its backend, or where that has moved to.
 * 2. The header cache knows the owner, from gossip: it, or where it is.  If it
 *    may have had no room for that, it is asked for it (phc_ask()), but not
 *    for a TCP SYN's: a later packet will find it.  Until there is an answer,
 *    the owner of record, if that is here, is not given a TCP segment: it would
 *    end what may live.
 * 3. The owner of record, by rendezvous.  If that is here, and does not know
 *    the session, somebody else may: the former owner, or one that drains.
 *    A TCP SYN always is a new session.  Of other packets the owner of record
 *    asks them, by passing the packet on; of UDP, which has no first packet to
 *    be seen, only for SESS_SETTLE_MS after a change.
 *
 * A packet is passed on at most twice.  After that a backend here takes it, or
 * it is dropped.  A TCP segment of an unknown session is dropped, too, for
 * SESS_HOLD_MS if the host of a former owner seems dead, and for
 * SESS_SETTLE_MS after any other change: an answer (RST) would end what may
 * live, while a segment is sent again.
 *
 * An ICMP error goes where the session that it quotes would, but begins none,
 * counts in none and is given to no backend that does not know the session:
 * where the owner of record is here and does not, or where there is none, it
 * is not ours (SESS_PASS).  If another host has sent it here, it is dropped
 * then; ofproto might send it back to where it came from.
 *
 * Sessions in the table bear the *number of their backend* as 'service'.
 * Entries of the header cache have it as 'owner'.
 *
 * Pure.  Any thread; 'counts' belongs to the caller's. */

#include "ovs-ext/session/sess-plan.h"
#include "ovs-ext/session/sess-table.h"

/* Each packet counts as one of those up to SESS_N_DROPS. */
enum sess_count {
    SESS_N_LOCAL,               /* Given to a backend here. */
    SESS_N_KNOWN,               /* Sent where table or header cache say. */
    SESS_N_ORIGINAL,            /* Sent to the owner of record, or former. */
    SESS_N_NO_BACKEND,          /* Dropped: its port is not plugged in yet. */
    SESS_N_NO_OWNER,            /* Dropped: no backend has a location. */
    SESS_N_HOPS,                /* Dropped: would be passed on once more. An
                                 * ICMP error: nor is its session known. */
    SESS_N_HELD,                /* Dropped: its host may come back, or say
                                 * so. */
    SESS_N_UNRESOLVED,          /* Dropped: no header known yet. */
    SESS_N_BAD,                 /* Dropped: not of any service now. */
    SESS_N_DROPS,               /* That many kinds. */

    SESS_N_SECOND_HOP = SESS_N_DROPS, /* Among those sent. */
    SESS_N_FROM_PEER,           /* Among all: hop 1 or 2. */
    SESS_N_ESTABLISHED,         /* Sessions begun. */
    SESS_N_REPLIES,             /* Packets of backends to clients. */
    SESS_N_ICMP_ERRORS,         /* ICMP errors, among those sent.  The last. */
    SESS_N_COUNTS
};
const char *sess_count_name(enum sess_count);

struct sess_burst {
    const struct sess_plan_service *service;
    unsigned int hop;           /* 0, 1, 2 */
    size_t n;                   /* At most SESS_BURST. */
    struct sess_key keys[SESS_BURST];
    struct sess_packet packets[SESS_BURST];
};

/* Stores the target of each packet, or SESS_NONE to drop it.  'now' in ms,
 * monotonic, the clock of table and cache. */
void sess_decide(const struct sess_plan *, struct sess_table *, struct phc *,
                 const struct sess_burst *, long long int now,
                 uint16_t *targets, struct phc_stats *,
                 uint64_t counts[SESS_N_COUNTS]);

/* What is none of ours: goes ofproto's way. */
enum { SESS_PASS = UINT16_MAX };
BUILD_ASSERT_DECL((int) SESS_MAX_TARGETS <= (int) SESS_PASS);

/* Returns the target of an ICMP error about the session 'key' of 'service',
 * SESS_NONE to drop it, or SESS_PASS, which is not counted.  It changes
 * nothing in the table, and of the cache it asks at most. */
uint16_t sess_decide_icmp(const struct sess_plan *,
                          const struct sess_table *, struct phc *,
                          const struct sess_plan_service *service,
                          unsigned int hop, const struct sess_key *key,
                          long long int now, struct phc_stats *,
                          uint64_t counts[SESS_N_COUNTS]);

#endif /* sess-decide.h */
