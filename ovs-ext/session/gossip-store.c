/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The records that a host knows, and their hashes by bucket. */

#include <config.h>

#include "ovs-ext/session/gossip-impl.h"

#include <string.h>

#include "util.h"

void
gossip_store_init__(struct gossip *g)
{
    hmap_init(&g->items);
    heap_init(&g->expiry);
    ovs_list_init(&g->lru[false]);
    ovs_list_init(&g->lru[true]);
    ovs_list_init(&g->gone);
}

/* What 'item' contributes to the hash of its bucket.  Load repeats itself and
 * need not be compared. */
static uint64_t
item_digest(const struct item *item)
{
    bool member = item->r.class == GOSSIP_MEMBER;
    uint8_t bytes[24];

    if (item->r.class == GOSSIP_LOAD) {
        return 0;
    }
    gossip_put(bytes, item->hash, 8);
    gossip_put(bytes + 8, gossip_item_version__(item), 8);
    gossip_put(bytes + 16, member ? 0 : item->r.origin, 8);
    return gossip_hash(bytes, sizeof bytes);
}

static void
account(struct gossip *g, const struct item *item)
{
    g->buckets[gossip_bucket__(item->hash)] ^= item_digest(item);
}

uint64_t
gossip_root__(const struct gossip *g)
{
    return gossip_hash(g->buckets, sizeof g->buckets);
}

/* The item whose record has this hash, of whatever class and key. */
struct item *
gossip_item_find__(const struct gossip *g, uint64_t hash)
{
    struct item *item;

    HMAP_FOR_EACH_WITH_HASH (item, node, hash, &g->items) {
        if (item->hash == hash) {
            return item;
        }
    }
    return NULL;
}

/* Whether 'item' is about what 'r' is about: hashes may be the same by a
 * client's art. */
bool
gossip_item_is__(const struct item *item, const struct gossip_record *r)
{
    return (item->r.class == r->class && item->r.key_len == r->key_len
            && !memcmp(item->r.key, r->key, r->key_len));
}

struct member *
gossip_member_find__(const struct gossip *g, uint64_t host)
{
    uint8_t key[9] = { GOSSIP_MEMBER };
    struct item *item;

    gossip_put(key + 1, host, 8);
    item = gossip_item_find__(g, gossip_hash(key, sizeof key));
    return (item && item->member && item->member->host == host
            ? item->member : NULL);
}

/* Milliseconds for which 'item' still counts, 0 if for ever. */
uint32_t
gossip_item_ttl__(const struct gossip *g, const struct item *item)
{
    return item->expires == NEVER ? 0 : MAX(item->expires - g->now, 1);
}

static void
set_expiry(struct gossip *g, struct item *item, uint32_t ttl)
{
    if (item->expires != NEVER) {
        heap_remove(&g->expiry, &item->expiry_node);
    }
    item->expires = ttl ? g->now + ttl : NEVER;
    if (ttl) {
        heap_insert(&g->expiry, &item->expiry_node, NEVER - item->expires);
    }
}

static void
item_destroy(struct gossip *g, struct item *item)
{
    gossip_dequeue__(g, item);
    account(g, item);
    set_expiry(g, item, 0);
    hmap_remove(&g->items, &item->node);
    if (item->member) {
        gossip_ring_remove__(g, item->member);
        ovs_list_remove(&item->member->suspect_node);
        ovs_list_remove(&item->member->gone_node);
        free(item->member);
        g->n_members--;
    } else {
        ovs_list_remove(&item->lru_node);
        g->n_records--;
    }
    free(item);
}

/* Whether 'r' is about a session.  Clients choose those keys, and how many
 * there are. */
static bool
is_of_session(const struct gossip_record *r)
{
    return r->key_len >= GOSSIP_KEY_SESSION;
}

static struct ovs_list *
lru_of(struct gossip *g, const struct gossip_record *r)
{
    return &g->lru[is_of_session(r)];
}

static struct item *
item_create(struct gossip *g, uint64_t hash, const struct gossip_record *r)
{
    struct item *item = xzalloc(sizeof *item);

    item->hash = hash;
    item->expires = NEVER;
    hmap_insert(&g->items, &item->node, hash);
    if (r->class == GOSSIP_MEMBER) {
        item->member = xzalloc(sizeof *item->member);
        item->member->item = item;
        item->member->host = gossip_get(r->key, 8);
        item->member->state = GOSSIP_LEFT;      /* Not in the ring yet. */
        ovs_list_init(&item->member->suspect_node);
        ovs_list_init(&item->member->gone_node);
        g->n_members++;
    } else {
        ovs_list_push_back(lru_of(g, r), &item->lru_node);
        g->n_records++;
    }
    return item;
}

/* Whether there is room for another member, whose record is 'r'.  One that is
 * alive takes the place of who is gone for the longest time. */
static bool
make_room_for_member(struct gossip *g, const struct gossip_record *r)
{
    if (g->n_members >= g->cfg.max_members) {
        if (gossip_state_is_gone__(r->version & 3)
            || ovs_list_is_empty(&g->gone)) {
            return false;
        }
        g->stats.records_evicted++;
        item_destroy(g, CONTAINER_OF(ovs_list_front(&g->gone), struct member,
                                     gone_node)->item);
    }
    return true;
}

/* Whether there is room for another record, 'r'.  Those of sessions go first,
 * however new: each is of one session, which takes a second hop then, while
 * without the word of where a backend is all of its sessions are lost.  That
 * they go is not said to 'changed', for they are not over. */
static bool
make_room_for_record(struct gossip *g, const struct gossip_record *r)
{
    struct ovs_list *lru = &g->lru[true];
    struct item *item;

    if (g->n_records < g->cfg.max_records) {
        return true;
    }
    if (ovs_list_is_empty(lru)) {
        if (is_of_session(r)) {
            return false;
        }
        lru = &g->lru[false];
    }
    item = CONTAINER_OF(ovs_list_front(lru), struct item, lru_node);
    if (!is_of_session(&item->r) && g->cfg.changed) {
        g->cfg.changed(g->cfg.aux, &item->r, true);
    }
    g->stats.records_evicted++;
    item_destroy(g, item);
    return true;
}

static bool
make_room(struct gossip *g, const struct gossip_record *r)
{
    return (r->class == GOSSIP_MEMBER ? make_room_for_member(g, r)
            : make_room_for_record(g, r));
}

/* Has 'item', which is about something else than 'r' and has its hash, make
 * room for it if it should.  Returns whether it has.  Clients choose the keys
 * of sessions, which are longer than any other: so the shorter key has the
 * place, and nobody is kept from hearing of members and backends.  Of keys
 * equally long the first stays. */
bool
gossip_item_yields__(struct gossip *g, struct item *item,
                     const struct gossip_record *r)
{
    if (item->member || r->key_len >= item->r.key_len) {
        return false;
    }
    if (g->cfg.changed) {
        g->cfg.changed(g->cfg.aux, &item->r, true);
    }
    g->stats.records_evicted++;
    item_destroy(g, item);
    return true;
}

/* Stores 'r', which is known to be newer than what is there.  Returns its
 * item, or null if there is no room for it, or if another record has its
 * place. */
struct item *
gossip_store_put__(struct gossip *g, const struct gossip_record *r)
{
    uint64_t hash = gossip_record_hash(r);
    struct item *item = gossip_item_find__(g, hash);

    if (item && !gossip_item_is__(item, r)) {
        if (!gossip_item_yields__(g, item, r)) {
            g->stats.records_refused++;
            return NULL;
        }
        item = NULL;
    }
    if (item) {
        account(g, item);
        if (!item->member) {
            ovs_list_remove(&item->lru_node);
            ovs_list_push_back(lru_of(g, r), &item->lru_node);
        }
    } else if (!make_room(g, r)) {
        g->stats.records_refused++;
        return NULL;
    } else {
        item = item_create(g, hash, r);
    }
    item->r = *r;
    account(g, item);
    set_expiry(g, item, r->ttl);
    return item;
}

/* Forgets what has expired. */
void
gossip_store_run__(struct gossip *g)
{
    while (!heap_is_empty(&g->expiry)) {
        struct item *item = CONTAINER_OF(heap_max(&g->expiry), struct item,
                                         expiry_node);

        if (item->expires > g->now) {
            break;
        }
        if (g->cfg.changed) {
            g->cfg.changed(g->cfg.aux, &item->r, true);
        }
        item_destroy(g, item);
    }
}

void
gossip_store_destroy__(struct gossip *g)
{
    struct item *item, *next;

    HMAP_FOR_EACH_SAFE (item, next, node, &g->items) {
        item_destroy(g, item);
    }
    hmap_destroy(&g->items);
    heap_destroy(&g->expiry);
}
