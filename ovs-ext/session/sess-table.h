/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_TABLE_H
#define SESS_TABLE_H 1

/* Session table
 * =============
 *
 * The sessions that this host's backends serve: which exist, how they do.  PMD
 * threads look up, establish and count without a lock; the agent takes out
 * what is closed or idle.
 *
 * A session is 'open' from the first packet that a local backend takes, and
 * 'closed' by RST, unless the backend goes on, or by FIN both ways; closed
 * ones linger, so that last acknowledgments still find them.  Direction 0 is
 * from the client, 1 from the backend.
 *
 * Sets of SESS_WAYS; a key has two sets to be in and is put where there is
 * more room (Azar et al., "Balanced allocations", 1999), so that nothing is
 * refused before the table is about full.  Both sets' tags are one cache line
 * each; entries are two, one with the key, one with what packets change.
 *
 * Round trips: the time from a TCP segment to the acknowledgment that covers
 * it, one measured at a time, not across retransmissions (Karn and Partridge
 * 1987), smoothed by 1/8.  rtt[0] is to the backend and back, rtt[1] to the
 * client and back, both seen from here.
 *
 * Properties and limits
 * ---------------------
 *
 * lookup      lock-free, no allocation, no system call
 * establish   locks the key's sets, never waits: 0 if somebody else has
 *             them, and the session's next packet tries again
 * counters    exact while each direction of a session is in one thread at a
 *             time
 * memory      192 bytes a session asked for; fixed
 *
 * Thread safety: sess_find(), sess_establish(), sess_packet(), sess_get() in
 * any number of threads; the others in one at a time, meanwhile.  An id is
 * good until the session is removed, and is then given to another session:
 * find, then count, in one go. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/sess-key.h"

struct sess_table;
typedef uint32_t sess_id;       /* 0: none. */

enum { SESS_BURST = 32 };

struct sess_config {
    size_t max;                 /* Sessions. */
    uint64_t seed;              /* Secret, against chosen collisions. */
    /* Idle timeouts, ms. */
    uint32_t tcp_idle;          /* Open, both sides heard. */
    uint32_t tcp_opening;       /* One side heard. */
    uint32_t other_idle;
    uint32_t linger;            /* Closed. */
};

/* A packet of a session. */
struct sess_packet {
    uint8_t dir;                /* 0 from the client, 1 from the backend. */
    uint8_t tcp_flags;          /* 0 if not TCP. */
    uint32_t bytes;
    uint32_t seq, ack;          /* TCP, host byte order. */
    uint32_t payload;           /* Bytes of TCP payload. */
    uint32_t now_us;            /* May wrap. */
};

enum sess_state {
    SESS_OPENING,
    SESS_OPEN,
    SESS_CLOSED
};

struct sess_info {
    struct sess_key key;
    enum sess_state state;
    uint16_t backend;
    uint32_t created, last;     /* ms. */
    uint64_t packets[2], bytes[2];
    uint32_t rtt_us[2];         /* 0: not known. */
};

struct sess_counts {
    size_t n, max;
    uint64_t established, closed, timed_out, removed;
    uint64_t full;              /* Not taken for lack of room. */
    uint64_t busy;              /* Put off because another thread was there. */
};

typedef void sess_gone_func(const struct sess_info *, void *aux);

void sess_config_init(struct sess_config *);
struct sess_table *sess_table_create(const struct sess_config *);
void sess_table_destroy(struct sess_table *);
size_t sess_table_bytes(const struct sess_table *);
void sess_table_get_counts(const struct sess_table *, struct sess_counts *);

void sess_find(const struct sess_table *, const struct sess_key *, size_t n,
               sess_id *);
sess_id sess_establish(struct sess_table *, const struct sess_key *,
                       uint16_t backend, uint32_t now);
sess_id sess_restart(struct sess_table *, sess_id, const struct sess_key *,
                     uint16_t backend, uint32_t now);
uint16_t sess_backend(const struct sess_table *, sess_id);
bool sess_is_closed(const struct sess_table *, sess_id);
void sess_packet(struct sess_table *, sess_id, const struct sess_packet *,
                 uint32_t now);
bool sess_get(const struct sess_table *, sess_id, struct sess_info *);

size_t sess_expire(struct sess_table *, uint32_t now, size_t budget,
                   sess_gone_func *, void *aux);
bool sess_remove(struct sess_table *, const struct sess_key *);
size_t sess_table_slots(const struct sess_table *);
bool sess_next_until(const struct sess_table *, size_t *pos, size_t end,
                     struct sess_info *);
bool sess_next(const struct sess_table *, size_t *pos, struct sess_info *);
const char *sess_state_name(enum sess_state);

#endif /* sess-table.h */
