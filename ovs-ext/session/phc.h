/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_H
#define PHC_H 1

/* Predictive header cache, level 1
 * ================================
 *
 * Answers, in PMD threads, "where does this session go, and with which outer
 * header?" for sessions that are likely to move, or have moved, to another
 * host.  It has three parts:
 *
 * services   a set of members each: who may be a target of its sessions
 * templates  one outer header for each (service, owner host); many sessions
 *            share it, so a changed route is one template written again
 * entries    session key -> template, with a probability and an expiry
 *
 * Entries are in sets of PHC_WAYS: a set is a cache line of tags followed by a
 * cache line each entry, so a lookup touches two lines, and the template one
 * more (two if its header is longer than 50 bytes).  When a set is full, CLOCK
 * chooses whom to evict among those not used lately the least probable; a
 * newcomer less probable than that stays out.
 *
 * What had to go for want of room, or was not let in, somebody else may know
 * (the owner of the cache has a second level for it).  Each set remembers
 * until when that is so; a reader that misses there may leave the key with
 * phc_ask(), and the writer finds it with phc_asked().
 *
 * An entry says who owns a session even while there is no header towards the
 * owner: before it is resolved, or since the owner has another address.
 *
 * Security: phc_template_set() takes a template only for a member of the
 * service and only if the header leads to that member's address.  A template
 * carries the generation of the member set; phc_service_set() begins a new
 * one, and each use compares, so what leads to a host that has left is dead
 * at once, even before its entries are gone.
 *
 * Use in a PMD thread:
 *
 *     struct phc_ref refs[PHC_BURST];
 *     phc_lookup(phc, keys, n, now, refs, &stats);
 *     for (i = 0; i < n; i++) {
 *         len = phc_push(phc, refs[i], data, data_len, headroom, &patch);
 *         if (len) ... 'len' bytes of header were put before 'data' ...
 *     }
 *
 * Properties and limits
 * ---------------------
 *
 * lookup      lock-free, no allocation, no system call; a set that is being
 *             written counts as a miss after a few tries
 * push        likewise; copies and patches, 0 if the template is dead
 * ask         likewise; of two keys that meet one has to wait
 * memory      146 bytes an entry asked for, 128 bytes a template
 * templates   up to 65,535, services up to PHC_MAX_SERVICES
 * expiry      'now' is in ms and may wrap; up to 24 days ahead
 *
 * Thread safety: phc_lookup(), phc_push(), phc_ref_header(), phc_ref_owner()
 * and phc_ask() in any number of threads; everything else in one thread at a
 * time, the writer, meanwhile. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/phc-header.h"
#include "ovs-ext/session/sess-key.h"

struct phc;

enum {
    PHC_WAYS = 7,
    PHC_BURST = 32,
    PHC_ASKS = 1024,            /* Keys that wait for the writer. */
    PHC_MAX_SERVICES = 1024,
    PHC_MAX_TEMPLATES = 65535
};

struct phc_config {
    size_t entries;             /* To hold; about 1 % of as many find their
                                 * set full. */
    size_t templates;           /* 1...PHC_MAX_TEMPLATES. */
    uint64_t seed;              /* Secret, against chosen collisions. */
};

/* Whom a service's sessions may go to. */
struct phc_member {
    uint32_t owner;             /* A number, unique in the service. */
    struct in6_addr addr;       /* Of the tunnel's other end; zero if there is
                                 * no way there now. */
};

/* What a lookup found; 'template' 0: nothing. */
struct phc_ref {
    uint16_t template;
    uint16_t epoch;             /* Of the template's place; if nothing was
                                 * found, whether it is worth phc_ask(). */
};

/* Counted by and for one reader. */
struct phc_stats {
    uint64_t hits, misses;
    uint64_t expired;           /* Among the misses. */
    uint64_t busy;              /* Likewise: set was being written. */
};

/* Counted by the writer. */
struct phc_counts {
    size_t n;                   /* Entries, expired ones included. */
    size_t n_templates;         /* With a header. */
    uint64_t puts, updates, evictions, rejected;
    uint64_t expired, removed, flushed;
    uint64_t templates_refused; /* Not towards a member. */
    uint64_t asked;             /* Keys taken by phc_asked(). */
};

/* Which entries phc_flush() drops; what is 0 or empty matches all. */
struct phc_filter {
    struct in6_addr src, src_mask, dst, dst_mask;
    ovs_be16 sport, dport;
    uint8_t proto;
    bool have_zone, have_owner, have_service;
    uint16_t zone;
    uint16_t service;
    uint32_t owner;
};

struct phc *phc_create(const struct phc_config *);
void phc_destroy(struct phc *);
size_t phc_capacity(const struct phc *);
size_t phc_bytes(const struct phc *);

/* Services and templates. */
int phc_service_set(struct phc *, uint16_t service,
                    const struct phc_member *, size_t n);
int phc_template_set(struct phc *, uint16_t service, uint32_t owner,
                     const uint8_t *header, size_t len);
void phc_template_remove(struct phc *, uint16_t service, uint32_t owner);
size_t phc_owner_remove(struct phc *, uint32_t owner);
bool phc_template_get(const struct phc *, uint16_t service, uint32_t owner,
                      uint8_t header[PHC_MAX_HEADER], struct phc_shape *);

/* Entries. */
int phc_put(struct phc *, const struct sess_key *, uint16_t service,
            uint32_t owner, double probability, uint32_t expires,
            uint32_t now);
bool phc_remove(struct phc *, const struct sess_key *);
size_t phc_expire(struct phc *, uint32_t now, size_t budget);
size_t phc_flush(struct phc *, const struct phc_filter *);
char *phc_filter_parse(const char *, struct phc_filter *);
bool phc_filter_is_all(const struct phc_filter *);
bool phc_filter_match(const struct phc_filter *, const struct sess_key *,
                      uint16_t service, uint32_t owner);
size_t phc_asked(struct phc *, struct sess_key[PHC_ASKS], uint32_t now);
void phc_get_counts(const struct phc *, struct phc_counts *);

/* Walking, by the writer. */
struct phc_entry_info {
    struct sess_key key;
    uint16_t service;
    uint32_t owner;
    double probability;
    uint32_t expires;
};
bool phc_next(const struct phc *, size_t *pos, struct phc_entry_info *);

/* Readers. */
void phc_lookup(struct phc *, const struct sess_key *keys, size_t n,
                uint32_t now, struct phc_ref *, struct phc_stats *);
size_t phc_push(const struct phc *, struct phc_ref, uint8_t *payload,
                size_t payload_len, size_t headroom,
                const struct phc_patch *);
bool phc_ref_header(const struct phc *, struct phc_ref,
                    uint8_t header[PHC_MAX_HEADER], struct phc_shape *,
                    uint32_t *owner);
bool phc_ref_owner(const struct phc *, struct phc_ref, uint32_t *owner);
bool phc_ask(struct phc *, const struct sess_key *);

/* PMD-THREAD CODE */

/* Whether what was looked up in vain may have been there, and be known
 * elsewhere. */
static inline bool
phc_ref_was_spilled(struct phc_ref ref)
{
    return !ref.template && ref.epoch;
}

/* END PMD-THREAD CODE */

#endif /* phc.h */
