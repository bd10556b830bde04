/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_H
#define GOSSIP_H 1

/* Gossip: what hosts tell each other without a centre
 * ===================================================
 *
 * Each host runs one 'struct gossip'.  It finds out which hosts there are and
 * which have died (SWIM: Das, Gupta, Motivala 2002, with Lifeguard: Dadgar,
 * Phillips, Currey 2017), and spreads records: who owns a session, that one is
 * closed, how loaded a host is, and migration hints.
 *
 * How a record spreads.  All hosts order the living ones in the same ring, by
 * a hash of their number.  A host's neighbours are those at distances 1, r,
 * r^2... in both directions, so the graph is known to all, is symmetric, and
 * every host has the same number of neighbours.  A new record goes to every
 * neighbour that it has not come from, some each tick, freshest first.
 * Symmetry makes arrivals answers: a neighbour that sends the record has it.
 * Those that stay silent are sent it again, as often as the loss that probes
 * see makes necessary.  Compared with random targets (memberlist, here
 * SPREAD_RANDOM) nobody depends on luck to be chosen, so fewer copies reach
 * all.
 * Nothing is sent while there is nothing to say.
 *
 * What is still missing is repaired by comparison of hashes with a random
 * member (push and pull, only what differs; gossip-sync.c).
 *
 * Hints are selective: only those of a probability of at least 'hint_min' are
 * told, at most 'hint_rate' a second, the likeliest first; others stay home.
 *
 * Bounded: records, queue, waiting hints, relays, members, bytes a second.
 * Nothing is larger than GOSSIP_PAYLOAD_MAX.  What is dropped is counted.  Of
 * records, those of sessions have to go first: they never take the place of
 * others, such as those that say where backends are.
 *
 * Use.  Create it, give it seeds, call gossip_run() whenever gossip_next() is
 * reached and gossip_receive() with each datagram that gossip-seal opened.  It
 * calls 'tx' with what to send (seal it for 'to'), and 'changed' with each
 * record that is new.  Neither may call back into the same gossip, other than
 * to read.
 *
 * Pure: time is an argument, in ms, monotonic; random numbers come from
 * 'seed'.  Thread safety: none; it belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/gossip-wire.h"

struct gossip;
struct gossip_from;

enum gossip_spread { GOSSIP_SPREAD_RING, GOSSIP_SPREAD_RANDOM };

enum gossip_state {
    GOSSIP_ALIVE,
    GOSSIP_SUSPECT,
    GOSSIP_DEAD,
    GOSSIP_LEFT,
};

/* Whom to seal and send to.  'epoch' 0: a host not known yet (JOIN). */
struct gossip_to {
    uint64_t host;
    uint64_t epoch;
    struct gossip_addr addr;
};

struct gossip_config {
    char name[GOSSIP_NAME_MAX + 1];
    struct gossip_addr addr;
    uint64_t epoch;             /* ms since 1970 at start, as for the seal. */
    uint64_t seed;

    /* Failure detection.  Times in ms. */
    bool lifeguard;             /* Else plain SWIM. */
    int probe_interval;
    int probe_timeout;
    int pings;                  /* Direct ones of a probe, if need be. */
    int indirect;               /* Members to ask for an indirect probe. */
    int suspicion_mult;
    int suspicion_max_mult;

    /* Spreading. */
    enum gossip_spread spread;
    int spread_interval;        /* ms between two ticks with work to do. */
    int fanout;                 /* Datagrams a tick. */
    int degree;                 /* Neighbours; 0: follows from the size. */
    int retransmit_mult;        /* GOSSIP_SPREAD_RANDOM. */
    int sync_interval;          /* ms between comparisons, 0: never. */
    int dead_interval;          /* ms between tries to reach a dead one. */
    unsigned int max_rate;      /* Bytes/s, of payload. */

    /* Hints. */
    double hint_min;            /* Probability below which they stay home. */
    unsigned int hint_rate;     /* A second. */

    /* Bounds. */
    size_t max_records;         /* Other than members. */
    size_t max_members;
    size_t max_queue;           /* Records being spread. */

    void (*tx)(void *tx_aux, const struct gossip_to *, const void *payload,
               size_t);
    void *tx_aux;
    /* A record is new or has changed ('expired' false), or its time is over,
     * or it had to go, unless it is of a session: what it said is still so.
     * Called for our own, too. */
    void (*changed)(void *aux, const struct gossip_record *, bool expired);
    void *aux;
};

/* Counters since creation. */
struct gossip_stats {
    uint64_t tx_datagrams, tx_bytes, rx_datagrams, rx_bytes;
    uint64_t rx_malformed;      /* Opened, but not a message. */
    uint64_t rx_version;        /* A message of another version. */
    uint64_t rx_unknown;        /* TLVs skipped. */
    uint64_t rx_bad_records;
    uint64_t rx_unbound;        /* Sealed with JOIN, but not HELLO. */
    uint64_t records_new, records_known, records_old;
    uint64_t records_refused;   /* No room for another member or session, or
                                 * the hash is that of another record. */
    uint64_t records_evicted;
    uint64_t queue_dropped;     /* Left to the comparisons. */
    uint64_t throttled;         /* Ticks cut short by 'max_rate'. */
    uint64_t hints_home, hints_told;
    uint64_t probes, probes_failed, suspicions, deaths, refutations;
    uint64_t syncs, sync_records;
    uint64_t hellos_ignored;    /* More than are answered a second. */
};

struct gossip_member_info {
    uint64_t host, epoch, incarnation;
    enum gossip_state state;
    struct gossip_addr addr;
    char name[GOSSIP_NAME_MAX + 1];
};

void gossip_config_init(struct gossip_config *);
void gossip_config_init_memberlist(struct gossip_config *);
void gossip_config_init_swim(struct gossip_config *);

struct gossip *gossip_create(const struct gossip_config *, long long now);
void gossip_destroy(struct gossip *);

void gossip_add_seed(struct gossip *, const struct gossip_addr *);
void gossip_add_member(struct gossip *, const char *name,
                       const struct gossip_addr *, uint64_t epoch);
void gossip_say_hello(struct gossip *, const struct gossip_addr *);
void gossip_leave(struct gossip *);

void gossip_run(struct gossip *, long long now);
long long gossip_next(const struct gossip *);
void gossip_receive(struct gossip *, long long now, const struct gossip_from *,
                    const struct gossip_addr *, const void *, size_t);

/* What this host has to say.  'key' is opaque, see gossip_key_encode(). */
void gossip_own_session(struct gossip *, const void *key, size_t,
                        uint64_t host, uint32_t ttl);
bool gossip_refresh_session(struct gossip *, const void *key, size_t,
                            uint32_t ttl);
void gossip_close_session(struct gossip *, const void *key, size_t);
bool gossip_hint(struct gossip *, const void *key, size_t,
                 const struct gossip_hint_value *, uint32_t ttl);
void gossip_load(struct gossip *, const struct gossip_load_value *,
                 uint32_t ttl);

/* What it knows. */
uint64_t gossip_self(const struct gossip *);
const struct gossip_record *gossip_lookup(const struct gossip *,
                                          enum gossip_class, const void *key,
                                          size_t);
void gossip_for_each(const struct gossip *, enum gossip_class,
                     void (*)(const struct gossip_record *, long long left,
                              void *aux), void *aux);
bool gossip_member(const struct gossip *, uint64_t host,
                   struct gossip_member_info *);
size_t gossip_members(const struct gossip *, struct gossip_member_info *,
                      size_t max);
size_t gossip_n_alive(const struct gossip *);
size_t gossip_n_records(const struct gossip *);
size_t gossip_n_queued(const struct gossip *);
int gossip_health(const struct gossip *);       /* 0: well. */
double gossip_loss(const struct gossip *);      /* As probes see it, 0...1 */
void gossip_get_stats(const struct gossip *, struct gossip_stats *);

#endif /* gossip.h */
