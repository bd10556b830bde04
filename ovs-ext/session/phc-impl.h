/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_IMPL_H
#define PHC_IMPL_H 1

/* Layout of the header cache, for phc*.c only.
 *
 * All that readers see is words under sequence numbers (ext-seqlock.h); the
 * writer writes them, but for 'used' and struct phc_ask. */

#include <string.h>

#include "openvswitch/hmap.h"
#include "ovs-ext/core/ext-seqlock.h"
#include "ovs-ext/session/phc.h"
#include "ovs-ext/session/sess-tags.h"
#include "util.h"

enum {
    PHC_TRIES = 3,              /* Looks at what is being written. */
    PHC_HEAD = 50               /* Bytes of header in a slot's first line. */
};

/* An entry, a cache line. */
struct phc_entry {
    uint64_t key[SESS_KEY_WORDS];
    uint64_t ref;               /* Template, epoch, expires. */
    uint64_t rest;              /* Owner, service, probability: the writer's
                                 * own. */
    uint64_t hash;              /* The writer's own. */
};
BUILD_ASSERT_DECL(sizeof(struct phc_entry) == 64);

/* A set.  Tags are never 0 where there is an entry. */
struct phc_set {
    uint32_t seq;               /* Of all but 'used'. */
    uint32_t hand;              /* CLOCK's; the writer's own. */
    struct sess_tags tags;
    uint8_t used[8];            /* Since the hand came by.  Readers set it,
                                 * the writer clears it. */
    uint32_t spilled;           /* 0, or when the last of what there was no
                                 * room for expires. */
    uint32_t pad0;
    uint64_t pad[3];
    struct phc_entry ways[PHC_WAYS];
};
BUILD_ASSERT_DECL(sizeof(struct phc_set) == 512);
BUILD_ASSERT_DECL((int) PHC_WAYS == (int) SESS_WAYS);

/* A key that a reader asks for, in the place that its hash says. */
enum phc_ask_state { PHC_ASK_FREE, PHC_ASK_WAITS, PHC_ASK_TAKEN };
struct phc_ask {
    uint32_t seq;               /* Of 'key'.  Readers write. */
    uint32_t state;             /* Readers make it PHC_ASK_WAITS, the writer
                                 * the others. */
    uint64_t key[SESS_KEY_WORDS];
    uint32_t taken;             /* When, ms.  The writer's own. */
};

/* A template's place.  The first line holds PHC_HEAD bytes of the header and
 * what checks it, the second the rest of longer headers. */
struct phc_slot {
    uint32_t seq;               /* Of all. */
    uint32_t gen;               /* Of the service's members when it was set. */
    uint64_t words[7];          /* PHC_HEAD bytes, then struct phc_slot_tail */
    uint64_t more[8];
};
BUILD_ASSERT_DECL(sizeof(struct phc_slot) == 128);

enum {
    PHC_SLOT_VALID = 1 << 0,
    PHC_SLOT_IP6 = 1 << 1,
    PHC_SLOT_CSUM = 1 << 2,
    PHC_SLOT_VLAN = 1 << 3
};

struct phc_slot_tail {
    uint8_t len;
    uint8_t flags;
    uint16_t service;
    uint16_t epoch;             /* One more each time the place is given. */
};
BUILD_ASSERT_DECL(PHC_HEAD + sizeof(struct phc_slot_tail)
                  == 7 * sizeof(uint64_t));
BUILD_ASSERT_DECL(PHC_HEAD + 8 * sizeof(uint64_t) >= PHC_MAX_HEADER);

/* A template as the writer knows it. */
struct phc_template {
    struct hmap_node node;      /* In 'templates', by service and owner. */
    uint16_t service;
    uint16_t slot;
    uint16_t epoch;
    uint32_t owner;
    struct in6_addr addr;
    struct phc_shape shape;
    uint8_t header[PHC_MAX_HEADER];
};

struct phc_service {
    struct phc_member *members; /* Sorted by owner. */
    size_t n;
};

struct phc {
    /* Constant. */
    struct phc_set *sets;
    uint32_t n_sets;
    uint64_t basis;
    struct phc_slot *slots;     /* Slot 0 is none. */
    size_t n_slots;
    struct phc_ask *asks;       /* [PHC_ASKS] */
    /* Written by the writer, read by all. */
    uint32_t *owners;           /* [n_slots], set before the slot is. */
    uint32_t gens[PHC_MAX_SERVICES];
    /* The writer's own. */
    struct phc_service services[PHC_MAX_SERVICES];
    struct hmap templates;
    uint16_t *epochs;           /* [n_slots] */
    uint16_t *free_slots;       /* Queue, so that a place rests for long. */
    size_t free_head, n_free;
    size_t expire_pos;
    struct phc_counts counts;
};

static inline uint64_t
phc_ref_word(struct phc_ref ref, uint32_t expires)
{
    return (uint64_t) expires << 32 | (uint32_t) ref.epoch << 16
           | ref.template;
}

static inline struct phc_ref
phc_word_ref(uint64_t word)
{
#ifndef WORDS_BIGENDIAN
    uint32_t low = word;
    struct phc_ref ref;

    memcpy(&ref, &low, sizeof ref);
    return ref;
#else
    return (struct phc_ref) { word, word >> 16 };
#endif
}

static inline struct phc_set *
phc_set_of(const struct phc *phc, uint64_t hash)
{
    return &phc->sets[sess_set_index(hash, phc->n_sets)];
}

/* Whether it is past 'expires'. */
static inline bool
phc_is_past(uint32_t expires, uint32_t now)
{
    return (int32_t) (now - expires) >= 0;
}

struct phc_template *phc_template_find(const struct phc *, uint16_t service,
                                       uint32_t owner);
void phc_purge_slot(struct phc *, uint16_t slot);

#endif /* phc-impl.h */
