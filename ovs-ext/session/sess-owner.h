/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_OWNER_H
#define SESS_OWNER_H 1

/* Owners of record
 * ================
 *
 * Which host is to have a session that nobody has said anything about: all
 * hosts agree without asking each other.
 *
 * Sessions fall into SESS_OWNER_SLOTS slots by their hash, which must be equal
 * on all hosts: sess_key_hash() with the basis of the service.  Each slot's
 * owner is found by weighted rendezvous hashing: the member with the least
 * -ln(h) / weight, h uniform in (0, 1) by member and slot (Thaler and
 * Ravishankar 1998; the weights of Schindelhauer and Schomaker 2005).  A
 * member that comes takes its share from all others, one that goes leaves
 * its share to all others, and nothing else moves.
 *
 * A member that drains is no longer given sessions, but the slots that were
 * its own name it as their second owner: a host without the session sends it
 * there, one hop on, and no further.  For the other slots the second owner is
 * who would be first without the first.  If all drain, drain is ignored.
 *
 * A table does not change once it is made; readers in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SESS_OWNER_SLOTS = 16384,
    SESS_OWNER_NONE = UINT16_MAX,
    SESS_MAX_MEMBERS = 1024
};

struct sess_member {
    uint64_t id;                /* The same on all hosts. */
    double weight;              /* > 0; 0 takes no sessions. */
    bool draining;
};

struct sess_owners {
    /* Indexes of members, or SESS_OWNER_NONE. */
    struct {
        uint16_t first, second;
    } slots[SESS_OWNER_SLOTS];
};

struct sess_owners *sess_owners_create(const struct sess_member *, size_t n);
struct sess_owners *sess_owners_update(const struct sess_owners *old,
                                       const struct sess_member *old_members,
                                       size_t n_old,
                                       const struct sess_member *, size_t n);
void sess_owners_destroy(struct sess_owners *);

static inline uint32_t
sess_owner_slot(uint64_t hash)
{
    return hash >> 32 & (SESS_OWNER_SLOTS - 1);
}

/* PMD-THREAD CODE */

static inline uint16_t
sess_owner_first(const struct sess_owners *o, uint64_t hash)
{
    return o->slots[sess_owner_slot(hash)].first;
}

static inline uint16_t
sess_owner_second(const struct sess_owners *o, uint64_t hash)
{
    return o->slots[sess_owner_slot(hash)].second;
}

/* END PMD-THREAD CODE */

#endif /* sess-owner.h */
