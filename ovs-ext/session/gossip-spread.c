/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* How records spread: the queue, and the rounds that empty it. */

#include <config.h>

#include "ovs-ext/session/gossip-impl.h"

#include <math.h>
#include <string.h>

#include "util.h"

enum {
    SCAN = 512,                 /* Records looked at for one datagram. */
    MAX_PASSES = 4,
    SETTLE_TICKS = 4,           /* Between two passes: for answers to come. */
};

void
gossip_spread_init__(struct gossip *g)
{
    for (int i = 0; i < MAX_LEVELS; i++) {
        ovs_list_init(&g->queue[i]);
    }
    g->hints = xcalloc(MAX_HINTS, sizeof *g->hints);
    g->next_spread = NEVER;
    g->tokens_at = g->now;
    g->tokens = g->cfg.max_rate / 4;
}

void
gossip_spread_destroy__(struct gossip *g)
{
    free(g->hints);
    free(g->ring);
}

/* The queue. */

void
gossip_dequeue__(struct gossip *g, struct item *item)
{
    if (item->queued) {
        item->queued = false;
        ovs_list_remove(&item->queue_node);
        g->n_queued--;
    }
}

/* Drops what has been sent most often, and of that the oldest. */
static void
drop_one(struct gossip *g)
{
    for (int level = MAX_LEVELS - 1; level >= 0; level--) {
        if (!ovs_list_is_empty(&g->queue[level])) {
            gossip_dequeue__(g, CONTAINER_OF(ovs_list_front(&g->queue[level]),
                                             struct item, queue_node));
            g->stats.queue_dropped++;
            return;
        }
    }
}

static void
transmitted(struct gossip *g, struct item *item)
{
    item->transmits++;
    ovs_list_remove(&item->queue_node);
    ovs_list_push_back(&g->queue[MIN(item->transmits, MAX_LEVELS - 1)],
                       &item->queue_node);
}

/* Starts to spread 'item', which has come from 'from' (0: from here). */
void
gossip_enqueue__(struct gossip *g, struct item *item, uint64_t from)
{
    gossip_ring_update__(g);
    gossip_dequeue__(g, item);
    if (g->n_queued >= g->cfg.max_queue) {
        drop_one(g);
    }
    item->queued = true;
    item->transmits = 0;
    item->pass = 0;
    item->due = g->now;
    item->heard = gossip_neighbour_bit__(g, from);
    item->pending = gossip_all_neighbours__(g) & ~item->heard;
    ovs_list_push_back(&g->queue[0], &item->queue_node);
    g->n_queued++;

    /* Soon, but not at once: more may come. */
    if (g->next_spread == NEVER || g->cfg.spread == GOSSIP_SPREAD_RING) {
        long long soon = g->now + (g->cfg.spread == GOSSIP_SPREAD_RING
                                   ? g->cfg.spread_interval / 2
                                   : g->cfg.spread_interval);

        g->next_spread = MIN(g->next_spread, soon);
    }
}

/* 'from' has sent 'item', as it stands here: it need not be told. */
void
gossip_heard__(struct gossip *g, struct item *item, uint64_t from)
{
    if (item->queued) {
        uint64_t bit = gossip_neighbour_bit__(g, from);

        item->heard |= bit;
        item->pending &= ~bit;
    }
}

/* How often a neighbour that stays silent is told: such that, if all the
 * neighbours of a host tell it, the chance that any host misses all is a
 * millionth, at the loss that probes see. */
static int
n_passes(const struct gossip *g)
{
    double miss = g->n_neighbours * -log(MIN(g->loss, 0.9));
    int n = ceil(log(1e6 * (g->n_ring + 1)) / MAX(miss, 0.1));

    return MIN(MAX(n, 1), MAX_PASSES);
}

/* SPREAD_RANDOM: as memberlist. */
static int
retransmit_limit(const struct gossip *g)
{
    double digits = ceil(log10(g->n_ring + 2));

    return g->cfg.retransmit_mult * digits;
}

/* Fills 'out' with what 'slot' (a bit; 0: whoever it is) is to be told,
 * freshest first. */
static void
fill(struct gossip *g, struct gossip_out *out, uint64_t slot)
{
    bool ring = g->cfg.spread == GOSSIP_SPREAD_RING;
    int limit = retransmit_limit(g);
    struct item *sent[GOSSIP_PAYLOAD_MAX / GOSSIP_RECORD_HEADER];
    size_t n = 0;
    int scan = SCAN;

    for (int level = 0; level < MAX_LEVELS && scan > 0; level++) {
        struct item *item;

        LIST_FOR_EACH (item, queue_node, &g->queue[level]) {
            if (scan-- <= 0 || n >= ARRAY_SIZE(sent)) {
                break;
            }
            if ((!ring || (item->pending & slot && item->due <= g->now))
                && gossip_out_record(out, &item->r,
                                     gossip_item_ttl__(g, item))) {
                sent[n++] = item;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct item *item = sent[i];

        item->pending &= ~slot;
        transmitted(g, item);
        if (!ring && item->transmits >= limit) {
            gossip_dequeue__(g, item);
        }
    }
}

/* Uses the room left in 'out', which goes to 'to' anyway. */
void
gossip_piggyback__(struct gossip *g, struct gossip_out *out, uint64_t to)
{
    uint64_t slot;

    if (!g->n_queued) {
        return;
    }
    gossip_ring_update__(g);
    slot = gossip_neighbour_bit__(g, to);
    if (slot || g->cfg.spread == GOSSIP_SPREAD_RANDOM) {
        fill(g, out, slot);
    }
}

/* Ends passes that are complete, and starts the next or forgets the item.
 * Returns the slots that are to be told something now. */
static uint64_t
sweep(struct gossip *g)
{
    int passes = n_passes(g);
    uint64_t slots = 0;

    for (int level = 0; level < MAX_LEVELS; level++) {
        struct item *item, *next;

        LIST_FOR_EACH_SAFE (item, next, queue_node, &g->queue[level]) {
            if (!item->pending && item->due <= g->now) {
                item->pass++;
                item->pending = gossip_all_neighbours__(g) & ~item->heard;
                item->due = g->now + SETTLE_TICKS * g->cfg.spread_interval;
                if (item->pass >= passes || !item->pending) {
                    gossip_dequeue__(g, item);
                }
            } else if (item->due <= g->now) {
                slots |= item->pending;
            }
        }
    }
    return slots;
}

static bool
may_send(struct gossip *g)
{
    double burst = g->cfg.max_rate / 4.0;

    g->tokens += (g->now - g->tokens_at) * (g->cfg.max_rate / 1000.0);
    g->tokens = MIN(g->tokens, MAX(burst, 2 * GOSSIP_PAYLOAD_MAX));
    g->tokens_at = g->now;
    if (g->tokens < GOSSIP_PAYLOAD_MAX) {
        g->stats.throttled++;
        return false;
    }
    return true;
}

/* Returns false if there was nothing to tell 'm'. */
static bool
tell(struct gossip *g, const struct member *m, uint64_t slot)
{
    struct gossip_out out;
    struct gossip_to to;

    gossip_out_init(&out);
    fill(g, &out, slot);
    if (gossip_out_is_empty(&out)) {
        return false;
    }
    gossip_to_member__(m, &to);
    gossip_send__(g, &to, &out);
    return true;
}

/* Tells the neighbours in turn, until they know all or there have been
 * 'fanout' datagrams. */
static void
ring_round(struct gossip *g)
{
    uint64_t slots;
    int told = 0;

    gossip_ring_update__(g);
    slots = sweep(g) & gossip_all_neighbours__(g);
    for (int i = 0; slots && told < g->cfg.fanout; i++) {
        int at = (g->rotation + i) % g->n_neighbours;
        uint64_t slot = UINT64_C(1) << at;

        if (!(slots & slot)) {
            continue;
        }
        if (!may_send(g)) {
            break;
        }
        if (!tell(g, gossip_member_find__(g, g->neighbours[at]), slot)) {
            slots &= ~slot;
        } else if (++told == g->cfg.fanout) {
            g->rotation = at + 1;
        }
    }
}

static void
random_round(struct gossip *g)
{
    struct member *picked[16];
    size_t n = gossip_pick__(g, MIN(g->cfg.fanout, ARRAY_SIZE(picked)), 0,
                             picked);

    for (size_t i = 0; i < n && may_send(g); i++) {
        tell(g, picked[i], 0);
    }
}

/* A round, if it is time. */
void
gossip_spread_run__(struct gossip *g)
{
    if (g->now < g->next_spread) {
        return;
    }
    if (!g->n_ring) {
        while (g->n_queued) {           /* Comparisons tell who comes. */
            drop_one(g);
            g->stats.queue_dropped--;
        }
    } else if (g->cfg.spread == GOSSIP_SPREAD_RING) {
        ring_round(g);
    } else {
        random_round(g);
    }
    g->next_spread = g->n_queued ? g->now + g->cfg.spread_interval : NEVER;
}

long long
gossip_spread_next__(const struct gossip *g)
{
    return g->next_spread;
}

/* Hints that wait for their turn, the likeliest first. */

static void
tell_hint(struct gossip *g, const struct waiting_hint *h)
{
    struct gossip_record r = { .key_len = h->key_len,
                               .ttl = h->expires - g->now };

    memcpy(r.key, h->key, h->key_len);
    gossip_hint_encode(&r, &h->value);
    gossip_publish__(g, &r);
    g->stats.hints_told++;
}

/* Lets as many hints go as the budget allows. */
void
gossip_hints_run__(struct gossip *g, double elapsed)
{
    g->hint_tokens = MIN(g->hint_tokens + elapsed * g->cfg.hint_rate,
                         MAX(g->cfg.hint_rate / 10.0, 1));
    while (g->n_hints && g->hint_tokens >= 1) {
        size_t best = 0;

        for (size_t i = 1; i < g->n_hints; i++) {
            if (g->hints[i].value.probability
                > g->hints[best].value.probability) {
                best = i;
            }
        }
        struct waiting_hint h = g->hints[best];
        g->hints[best] = g->hints[--g->n_hints];
        if (h.expires <= g->now) {
            g->stats.hints_home++;
            continue;
        }
        g->hint_tokens--;
        tell_hint(g, &h);
    }
}

/* Tells others that session or group 'key' will probably move as 'v' says,
 * for 'ttl' ms.  Returns false if the hint stays home: not probable enough, or
 * there are too many that are more probable. */
bool
gossip_hint(struct gossip *g, const void *key, size_t len,
            const struct gossip_hint_value *v, uint32_t ttl)
{
    size_t at = g->n_hints;

    ovs_assert(len <= GOSSIP_KEY_MAX);
    if (v->probability < g->cfg.hint_min || !ttl) {
        g->stats.hints_home++;
        return false;
    }
    for (size_t i = 0; i < g->n_hints; i++) {
        if (g->hints[i].key_len == len
            && !memcmp(g->hints[i].key, key, len)) {
            at = i;                     /* The newer one. */
            break;
        }
    }
    if (at == MAX_HINTS) {              /* Instead of the least probable. */
        at = 0;
        for (size_t i = 1; i < g->n_hints; i++) {
            if (g->hints[i].value.probability
                < g->hints[at].value.probability) {
                at = i;
            }
        }
        g->stats.hints_home++;
        if (g->hints[at].value.probability >= v->probability) {
            return false;
        }
    } else if (at == g->n_hints) {
        g->n_hints++;
    }
    memcpy(g->hints[at].key, key, len);
    g->hints[at].key_len = len;
    g->hints[at].value = *v;
    g->hints[at].expires = g->now + ttl;
    gossip_hints_run__(g, 0);
    return true;
}
