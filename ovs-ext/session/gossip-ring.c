/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The ring of living members, and who in it are our neighbours. */

#include <config.h>

#include "ovs-ext/session/gossip-impl.h"

#include <math.h>
#include <string.h>

#include "util.h"

static uint64_t
ring_hash(uint64_t host)
{
    uint8_t bytes[8];

    gossip_put(bytes, host, 8);
    return gossip_hash(bytes, sizeof bytes);
}

/* The first position in the ring whose hash is not below 'host''s. */
static size_t
ring_position(const struct gossip *g, uint64_t host)
{
    uint64_t hash = ring_hash(host);
    size_t low = 0, high = g->n_ring;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (ring_hash(g->ring[mid]->host) < hash) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void
gossip_ring_add__(struct gossip *g, struct member *m)
{
    size_t at = ring_position(g, m->host);

    if (at < g->n_ring && g->ring[at] == m) {
        return;
    }
    if (g->n_ring >= g->allocated_ring) {
        g->ring = x2nrealloc(g->ring, &g->allocated_ring, sizeof *g->ring);
    }
    memmove(&g->ring[at + 1], &g->ring[at],
            (g->n_ring - at) * sizeof *g->ring);
    g->ring[at] = m;
    g->n_ring++;
    g->ring_changed = true;
}

void
gossip_ring_remove__(struct gossip *g, struct member *m)
{
    size_t at = ring_position(g, m->host);

    if (at < g->n_ring && g->ring[at] == m) {
        g->n_ring--;
        memmove(&g->ring[at], &g->ring[at + 1],
                (g->n_ring - at) * sizeof *g->ring);
        g->ring_changed = true;
    }
}

/* Whether we or a member in the ring, which lives, is at 'addr'. */
bool
gossip_ring_is_at__(const struct gossip *g, const struct gossip_addr *addr)
{
    bool found = gossip_addr_equal(addr, &g->cfg.addr);

    for (size_t i = 0; i < g->n_ring && !found; i++) {
        found = gossip_addr_equal(addr, &g->ring[i]->addr);
    }
    return found;
}

/* The slot of neighbour 'host', as a bit, or 0. */
uint64_t
gossip_neighbour_bit__(const struct gossip *g, uint64_t host)
{
    for (int i = 0; i < g->n_neighbours; i++) {
        if (g->neighbours[i] == host) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

static void
add_neighbour(struct gossip *g, size_t position)
{
    uint64_t host = g->ring[position % g->n_ring]->host;

    if (g->n_neighbours < MAX_NEIGHBOURS
        && !gossip_neighbour_bit__(g, host)) {
        g->neighbours[g->n_neighbours++] = host;
    }
}

/* Chooses neighbours at distances n^(i/k), i < k = ceil(ln n), both ways, or
 * everybody where that is not more.  We are not in 'ring' ourselves: who is at
 * distance 1 after us is at our position, who is before us one below. */
static void
choose_neighbours(struct gossip *g)
{
    size_t n = g->n_ring + 1;
    double k = ceil(log(n));
    size_t half = g->cfg.degree ? DIV_ROUND_UP(g->cfg.degree, 2) : MAX(4, k);
    size_t at = ring_position(g, g->self);

    half = MIN(half, MAX_NEIGHBOURS / 2);
    g->n_neighbours = 0;
    if (n - 1 <= 2 * half) {
        for (size_t i = 0; i < g->n_ring; i++) {
            add_neighbour(g, i);
        }
        return;
    }
    for (size_t i = 0; i < half; i++) {
        size_t distance = lrint(pow(n / 2.0, (double) i / (half - 0.5)));

        distance = MAX(distance, i + 1);
        add_neighbour(g, at + distance - 1);
        add_neighbour(g, at + g->n_ring - distance);
    }
}

static uint64_t
map_slots(const struct gossip *g, uint64_t slots, const uint64_t *old,
          int n_old)
{
    uint64_t mapped = 0;

    for (int i = 0; i < n_old; i++) {
        if (slots >> i & 1) {
            mapped |= gossip_neighbour_bit__(g, old[i]);
        }
    }
    return mapped;
}

/* Brings the neighbours up to date, and what is to be sent to them.  Who has
 * become a neighbour gets what is being spread. */
void
gossip_ring_update__(struct gossip *g)
{
    uint64_t old[MAX_NEIGHBOURS];
    int n_old = g->n_neighbours;
    uint64_t stayed;

    if (!g->ring_changed) {
        return;
    }
    g->ring_changed = false;
    memcpy(old, g->neighbours, sizeof old);
    choose_neighbours(g);
    if (n_old == g->n_neighbours
        && !memcmp(old, g->neighbours, n_old * sizeof *old)) {
        return;
    }
    stayed = map_slots(g, UINT64_MAX, old, n_old);
    for (int level = 0; level < MAX_LEVELS; level++) {
        struct item *item;

        LIST_FOR_EACH (item, queue_node, &g->queue[level]) {
            item->heard = map_slots(g, item->heard, old, n_old);
            item->pending = (map_slots(g, item->pending, old, n_old)
                             | (gossip_all_neighbours__(g) & ~stayed));
        }
    }
}

/* Picks up to 'k' different living members other than 'but', at random. */
size_t
gossip_pick__(struct gossip *g, size_t k, uint64_t but,
              struct member **picked)
{
    size_t n = 0;

    for (int tries = 0; n < k && tries < 3 * (int) k + 8 && g->n_ring;
         tries++) {
        struct member *m = g->ring[ext_rng_range(&g->rng, g->n_ring)];
        bool again = m->host == but;

        for (size_t i = 0; i < n; i++) {
            again |= picked[i] == m;
        }
        if (!again) {
            picked[n++] = m;
        }
    }
    return n;
}
