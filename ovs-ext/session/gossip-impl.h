/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_IMPL_H
#define GOSSIP_IMPL_H 1

/* What the files of gossip share.  Only they include this. */

#include "heap.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/gossip.h"

enum {
    MAX_NEIGHBOURS = 64,
    MAX_LEVELS = 8,             /* Of the queue, by transmits. */
    MAX_RELAYS = 256,
    MAX_HINTS = 1024,
    MAX_HEALTH = 8,
    MAX_ACCUSERS = 8,
    MAX_SEEDS = 16,
    HELLO_INTERVAL = 1000,
    HELLO_RATE = 50,            /* Answered a second. */
    CLOSED_TTL = 60 * 1000,
    GONE_TTL = 24 * 3600 * 1000, /* Of who is dead or has left. */
    NEVER_SHIFT = 62,
};
#define NEVER (1LL << NEVER_SHIFT)

/* What is more to know of a member than its record. */
struct member {
    struct item *item;
    uint64_t host, epoch;
    struct gossip_addr addr;
    enum gossip_state state;
    struct ovs_list gone_node;          /* In 'gone' while dead or left. */

    /* While suspected. */
    struct ovs_list suspect_node;       /* In 'suspects'. */
    long long suspected;                /* Since. */
    uint64_t accusers[MAX_ACCUSERS];
    int n_accusers;
};

/* A record, and how far it has spread. */
struct item {
    struct hmap_node node;              /* In 'items', by 'hash'. */
    uint64_t hash;
    struct gossip_record r;
    struct heap_node expiry_node;       /* In 'expiry' unless 'expires' is */
    long long expires;                  /* NEVER. */
    struct ovs_list lru_node;           /* In one of 'lru', but members. */
    struct member *member;              /* Of class GOSSIP_MEMBER. */

    bool queued;
    struct ovs_list queue_node;         /* In 'queue[transmits]'. */
    int transmits;
    uint64_t pending, heard;            /* Neighbours: to send, need not. */
    int pass;
    long long due;                      /* Of this pass. */
};

/* An indirect probe that we do for another. */
struct relay {
    uint64_t origin;
    uint32_t origin_seq, seq;           /* 'seq' 0: free. */
    long long nack;                     /* When to send one, or NEVER. */
    long long expires;
};

struct waiting_hint {
    uint8_t key[GOSSIP_KEY_MAX];
    size_t key_len;
    struct gossip_hint_value value;
    long long expires;
};

struct gossip {
    struct gossip_config cfg;
    struct gossip_stats stats;
    struct ext_rng rng;
    uint64_t self;
    uint64_t incarnation;
    bool left;
    long long now, start;
    long long last_run;

    /* Records (gossip-store.c). */
    struct hmap items;
    struct heap expiry;
    struct ovs_list lru[2];             /* Least recently changed first: of
                                         * sessions [true], of all else. */
    size_t n_records;                   /* Length of both. */
    size_t n_members;
    struct ovs_list gone;               /* Members, longest so first. */
    uint64_t buckets[GOSSIP_BUCKETS];   /* XOR of hashes of records. */

    /* Spreading (gossip-spread.c). */
    struct ovs_list queue[MAX_LEVELS];
    size_t n_queued;
    long long next_spread;
    double tokens;                      /* Bytes. */
    long long tokens_at;
    struct member **ring;               /* Alive or suspected, not us, by */
    size_t n_ring, allocated_ring;      /* hash of number. */
    uint64_t neighbours[MAX_NEIGHBOURS];
    int n_neighbours, rotation;
    bool ring_changed;
    struct waiting_hint *hints;         /* MAX_HINTS, n_hints used. */
    size_t n_hints;
    double hint_tokens;

    /* Failure detection (gossip-swim.c). */
    struct ovs_list suspects;
    uint64_t *order;                    /* To probe, shuffled. */
    size_t n_order, at_order;
    int health;
    double loss;
    uint32_t seq;
    struct {
        uint64_t target;                /* 0: none. */
        uint32_t seq;
        bool acked, asked;
        int asked_n, nacks;
        int pings;
        long long indirect_at, repeat_at;
    } probe;
    long long next_probe;
    struct relay relays[MAX_RELAYS];
    unsigned int at_relay;
    long long next_relay;               /* No relay is due before. */

    /* Comparisons (gossip-sync.c), joining. */
    long long next_sync, next_dead, next_hello;
    struct gossip_addr seeds[MAX_SEEDS];
    size_t n_seeds;
    double hello_tokens;
};

/* gossip.c */
void gossip_send__(struct gossip *, const struct gossip_to *,
                   const struct gossip_out *);
void gossip_to_member__(const struct member *, struct gossip_to *);
void gossip_publish__(struct gossip *, struct gossip_record *);

/* gossip-store.c */
void gossip_store_init__(struct gossip *);
void gossip_store_destroy__(struct gossip *);
struct item *gossip_item_find__(const struct gossip *, uint64_t hash);
bool gossip_item_is__(const struct item *, const struct gossip_record *);
bool gossip_item_yields__(struct gossip *, struct item *,
                          const struct gossip_record *);
struct item *gossip_store_put__(struct gossip *, const struct gossip_record *);
void gossip_store_run__(struct gossip *);
uint64_t gossip_root__(const struct gossip *);
uint32_t gossip_item_ttl__(const struct gossip *, const struct item *);
struct member *gossip_member_find__(const struct gossip *, uint64_t host);

static inline int
gossip_bucket__(uint64_t hash)
{
    return hash >> 57;
}

/* The version for comparisons, in which a suspicion counts as life: it
 * passes. */
static inline uint64_t
gossip_item_version__(const struct item *item)
{
    return item->r.version - (item->member
                              && (item->r.version & 3) == GOSSIP_SUSPECT);
}

static inline bool
gossip_state_is_gone__(enum gossip_state state)
{
    return state == GOSSIP_DEAD || state == GOSSIP_LEFT;
}

/* Whether a record with 'version' of 'origin' replaces 'r': > 0 yes, 0 it is
 * the same, < 0 it is older. */
static inline int
gossip_compare__(uint64_t version, uint64_t origin,
                 const struct gossip_record *r)
{
    if (version != r->version) {
        return version > r->version ? 1 : -1;
    }
    return (r->class == GOSSIP_MEMBER || origin == r->origin ? 0
            : origin > r->origin ? 1 : -1);
}

/* gossip-ring.c */
void gossip_ring_add__(struct gossip *, struct member *);
void gossip_ring_remove__(struct gossip *, struct member *);
void gossip_ring_update__(struct gossip *);
bool gossip_ring_is_at__(const struct gossip *, const struct gossip_addr *);
uint64_t gossip_neighbour_bit__(const struct gossip *, uint64_t host);
size_t gossip_pick__(struct gossip *, size_t k, uint64_t but,
                     struct member **);

static inline uint64_t
gossip_all_neighbours__(const struct gossip *g)
{
    return (g->n_neighbours < 64 ? (UINT64_C(1) << g->n_neighbours) - 1
            : UINT64_MAX);
}

/* gossip-spread.c */
void gossip_spread_init__(struct gossip *);
void gossip_spread_destroy__(struct gossip *);
void gossip_enqueue__(struct gossip *, struct item *, uint64_t from);
void gossip_dequeue__(struct gossip *, struct item *);
void gossip_heard__(struct gossip *, struct item *, uint64_t from);
void gossip_piggyback__(struct gossip *, struct gossip_out *, uint64_t to);
void gossip_spread_run__(struct gossip *);
void gossip_hints_run__(struct gossip *, double elapsed_s);
long long gossip_spread_next__(const struct gossip *);

/* gossip-swim.c */
void gossip_swim_run__(struct gossip *);
long long gossip_swim_next__(const struct gossip *);
void gossip_swim_receive__(struct gossip *, const struct gossip_to *,
                           const struct gossip_tlv *);
void gossip_member_changed__(struct gossip *, struct item *,
                             uint64_t from);
bool gossip_member_record__(struct gossip *, const struct gossip_record *,
                            uint64_t from);

/* gossip-sync.c */
void gossip_sync_run__(struct gossip *);
long long gossip_sync_next__(const struct gossip *);
void gossip_sync_receive__(struct gossip *, const struct gossip_to *,
                           const struct gossip_tlv *);
void gossip_sync_start__(struct gossip *, const struct gossip_to *);

#endif /* gossip-impl.h */
