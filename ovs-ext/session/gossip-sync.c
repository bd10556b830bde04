/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Comparisons with a random member (anti-entropy), of which only differences
 * travel:
 *
 *     A -> B  SYNC      the hash of everything
 *     A <- B  DIGEST    if it differs: a hash of each bucket
 *     A -> B  SUMMARY   of each bucket that differs: what A has, by version
 *     A <- B  RECORD    what A lacks (pull); REQUEST for what B lacks
 *     A -> B  RECORD    (push)
 *
 * Each message answers one before it and is bounded by a few datagrams, so
 * nothing has to be remembered, and what got lost is for the next comparison.
 */

#include <config.h>

#include "ovs-ext/session/gossip-impl.h"

#include <stdlib.h>

#include "util.h"

enum {
    SUMMARY_HEADER = 17,
    SUMMARY_MAX = (GOSSIP_PAYLOAD_MAX - 4 - SUMMARY_HEADER) / 16,
    REQUEST_MAX = (GOSSIP_PAYLOAD_MAX - 4) / 8,
    MAX_SUMMARIES = 24,         /* Datagrams of a comparison. */
    MAX_ANSWERS = 24,           /* Datagrams of records in answer to one. */
};

/* Records for one receiver, in as few datagrams as possible. */
struct batch {
    struct gossip *g;
    const struct gossip_to *to;
    struct gossip_out out;
    int left;                   /* Datagrams. */
};

static void
batch_init(struct batch *b, struct gossip *g, const struct gossip_to *to)
{
    b->g = g;
    b->to = to;
    b->left = MAX_ANSWERS;
    gossip_out_init(&b->out);
}

static void
batch_flush(struct batch *b)
{
    if (!gossip_out_is_empty(&b->out) && b->left > 0) {
        gossip_send__(b->g, b->to, &b->out);
        b->left--;
    }
    gossip_out_init(&b->out);
}

static void
batch_add(struct batch *b, const struct item *item)
{
    uint32_t ttl = gossip_item_ttl__(b->g, item);

    if (!gossip_out_record(&b->out, &item->r, ttl)) {
        batch_flush(b);
        gossip_out_record(&b->out, &item->r, ttl);
    }
    b->g->stats.sync_records++;
}

/* Starts a comparison with 'to'. */
void
gossip_sync_start__(struct gossip *g, const struct gossip_to *to)
{
    struct gossip_out out;

    gossip_out_init(&out);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_SYNC, 8), gossip_root__(g), 8);
    gossip_piggyback__(g, &out, to->host);
    gossip_send__(g, to, &out);
    g->stats.syncs++;
}

static void
receive_sync(struct gossip *g, const struct gossip_to *from,
             const struct gossip_tlv *tlv)
{
    struct gossip_out out;
    uint8_t *p;

    if (tlv->len >= 8 && gossip_get(tlv->body, 8) != gossip_root__(g)) {
        gossip_out_init(&out);
        p = gossip_out_tlv(&out, GOSSIP_T_DIGEST, 8 * GOSSIP_BUCKETS);
        for (int i = 0; i < GOSSIP_BUCKETS; i++) {
            gossip_put(p + 8 * i, g->buckets[i], 8);
        }
        gossip_send__(g, from, &out);
    }
}

static int
compare_items(const void *a_, const void *b_)
{
    const struct item *const *a = a_;
    const struct item *const *b = b_;

    return (*a)->hash < (*b)->hash ? -1 : (*a)->hash > (*b)->hash;
}

static bool
is_compared(const struct item *item)
{
    return item->r.class != GOSSIP_LOAD;
}

/* Sends 'n' sorted items, all that there are in from...to, as a summary. */
static void
send_summary(struct gossip *g, const struct gossip_to *to,
             struct item **items, size_t n, uint64_t first, uint64_t last)
{
    struct gossip_out out;
    uint8_t *p;

    gossip_out_init(&out);
    p = gossip_out_tlv(&out, GOSSIP_T_SUMMARY, SUMMARY_HEADER + 16 * n);
    p[0] = gossip_bucket__(first);
    gossip_put(p + 1, first, 8);
    gossip_put(p + 9, last, 8);
    p += SUMMARY_HEADER;
    for (size_t i = 0; i < n; i++, p += 16) {
        gossip_put(p, items[i]->hash, 8);
        gossip_put(p + 8, gossip_item_version__(items[i]), 8);
    }
    gossip_send__(g, to, &out);
}

/* Summarises bucket 'bucket', whose items are the 'n' of 'items'.  Returns the
 * number of datagrams. */
static int
summarise(struct gossip *g, const struct gossip_to *to, int bucket,
          struct item **items, size_t n, int max)
{
    uint64_t first = (uint64_t) bucket << 57;
    uint64_t end = first | ((UINT64_C(1) << 57) - 1);
    int sent = 0;

    do {
        size_t part = MIN(n, SUMMARY_MAX);
        uint64_t last = part == n ? end : items[part - 1]->hash;

        if (sent++ == max) {
            break;
        }
        send_summary(g, to, items, part, first, last);
        first = last + 1;
        items += part;
        n -= part;
    } while (n);
    return sent;
}

static void
receive_digest(struct gossip *g, const struct gossip_to *from,
               const struct gossip_tlv *tlv)
{
    size_t n = hmap_count(&g->items), k = 0;
    struct item **items, *item;
    int at = ext_rng_range(&g->rng, GOSSIP_BUCKETS);
    int left = MAX_SUMMARIES;

    if (tlv->len < 8 * GOSSIP_BUCKETS) {
        g->stats.rx_malformed++;
        return;
    }
    items = xmalloc((n + 1) * sizeof *items);
    HMAP_FOR_EACH (item, node, &g->items) {
        int b = gossip_bucket__(item->hash);

        if (g->buckets[b] != gossip_get(tlv->body + 8 * b, 8)
            && is_compared(item)) {
            items[k++] = item;
        }
    }
    qsort(items, k, sizeof *items, compare_items);
    for (int i = 0; i < GOSSIP_BUCKETS && left > 0; i++) {
        int b = (at + i) % GOSSIP_BUCKETS;
        size_t low = 0, high;

        if (g->buckets[b] == gossip_get(tlv->body + 8 * b, 8)) {
            continue;
        }
        while (low < k && gossip_bucket__(items[low]->hash) < b) {
            low++;
        }
        for (high = low; high < k && gossip_bucket__(items[high]->hash) == b;
             high++) {
            continue;
        }
        left -= summarise(g, from, b, items + low, high - low, left);
    }
    free(items);
}

/* Whether 'hash' is among the 'n' ascending ones of 'list'. */
static bool
listed(const uint8_t *list, size_t n, uint64_t hash)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        uint64_t x = gossip_get(list + 16 * mid, 8);

        if (x == hash) {
            return true;
        } else if (x < hash) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

static void
send_request(struct gossip *g, const struct gossip_to *to,
             const uint64_t *hashes, size_t n)
{
    struct gossip_out out;
    uint8_t *p;

    gossip_out_init(&out);
    p = gossip_out_tlv(&out, GOSSIP_T_REQUEST, 8 * n);
    for (size_t i = 0; i < n; i++) {
        gossip_put(p + 8 * i, hashes[i], 8);
    }
    gossip_send__(g, to, &out);
}

static void
receive_summary(struct gossip *g, const struct gossip_to *from,
                const struct gossip_tlv *tlv)
{
    uint64_t wanted[REQUEST_MAX];
    const uint8_t *list = tlv->body + SUMMARY_HEADER;
    size_t n, n_wanted = 0;
    struct batch batch;
    struct item *item;

    if (tlv->len < SUMMARY_HEADER) {
        g->stats.rx_malformed++;
        return;
    }
    n = (tlv->len - SUMMARY_HEADER) / 16;
    uint64_t first = gossip_get(tlv->body + 1, 8);
    uint64_t last = gossip_get(tlv->body + 9, 8);

    batch_init(&batch, g, from);
    for (size_t i = 0; i < n; i++) {
        uint64_t version = gossip_get(list + 16 * i + 8, 8);

        item = gossip_item_find__(g, gossip_get(list + 16 * i, 8));
        if (!item || gossip_item_version__(item) < version) {
            if (n_wanted < REQUEST_MAX) {
                wanted[n_wanted++] = gossip_get(list + 16 * i, 8);
            }
        } else if (gossip_item_version__(item) > version) {
            batch_add(&batch, item);
        }
    }
    HMAP_FOR_EACH (item, node, &g->items) {
        if (item->hash >= first && item->hash <= last && is_compared(item)
            && batch.left > 0 && !listed(list, n, item->hash)) {
            batch_add(&batch, item);
        }
    }
    batch_flush(&batch);
    if (n_wanted) {
        send_request(g, from, wanted, n_wanted);
    }
}

static void
receive_request(struct gossip *g, const struct gossip_to *from,
                const struct gossip_tlv *tlv)
{
    struct batch batch;

    batch_init(&batch, g, from);
    for (size_t i = 0; i < tlv->len / 8 && batch.left > 0; i++) {
        struct item *item
            = gossip_item_find__(g, gossip_get(tlv->body + 8 * i, 8));

        if (item) {
            batch_add(&batch, item);
        }
    }
    batch_flush(&batch);
}

void
gossip_sync_receive__(struct gossip *g, const struct gossip_to *from,
                      const struct gossip_tlv *tlv)
{
    if (tlv->type == GOSSIP_T_SYNC) {
        receive_sync(g, from, tlv);
    } else if (tlv->type == GOSSIP_T_DIGEST) {
        receive_digest(g, from, tlv);
    } else if (tlv->type == GOSSIP_T_SUMMARY) {
        receive_summary(g, from, tlv);
    } else if (tlv->type == GOSSIP_T_REQUEST) {
        receive_request(g, from, tlv);
    }
}

/* A comparison with a dead member, in case it is only the network that was:
 * it will hear that it is dead, and refute. */
static void
try_dead(struct gossip *g)
{
    struct member *chosen = NULL;
    struct item *item;
    int seen = 0;

    HMAP_FOR_EACH (item, node, &g->items) {
        if (item->member && item->member->state == GOSSIP_DEAD
            && !ext_rng_range(&g->rng, ++seen)) {
            chosen = item->member;
        }
    }
    if (chosen) {
        struct gossip_to to;
        struct gossip_out out;

        gossip_to_member__(chosen, &to);
        gossip_out_init(&out);
        gossip_out_record(&out, &chosen->item->r,
                          gossip_item_ttl__(g, chosen->item));
        gossip_put(gossip_out_tlv(&out, GOSSIP_T_SYNC, 8), gossip_root__(g),
                   8);
        gossip_send__(g, &to, &out);
    }
}

static long long
jittered(struct gossip *g, int interval)
{
    return g->now + interval / 2 + ext_rng_range(&g->rng, interval + 1);
}

void
gossip_sync_run__(struct gossip *g)
{
    if (g->now >= g->next_sync) {
        struct member *m;

        g->next_sync = (g->cfg.sync_interval
                        ? jittered(g, g->cfg.sync_interval) : NEVER);
        if (g->cfg.sync_interval && gossip_pick__(g, 1, 0, &m)) {
            struct gossip_to to;

            gossip_to_member__(m, &to);
            gossip_sync_start__(g, &to);
        }
    }
    if (g->now >= g->next_dead) {
        g->next_dead = (g->cfg.dead_interval
                        ? jittered(g, g->cfg.dead_interval) : NEVER);
        try_dead(g);
    }
}

long long
gossip_sync_next__(const struct gossip *g)
{
    return MIN(g->next_sync, g->next_dead);
}
