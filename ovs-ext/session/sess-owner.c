/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-owner.h"

#include <math.h>

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

/* The smaller, the sooner chosen. */
static double
cost(const struct sess_member *m, uint32_t slot)
{
    uint64_t x = m->id ^ (slot + 1) * UINT64_C(0x9e3779b97f4a7c15);

    ext_splitmix64(&x);
    return -log((ext_splitmix64(&x) >> 11 | 1) * 0x1p-53) / m->weight;
}

/* Stores the owners of 'slot'. */
static void
choose(const struct sess_member *members, size_t n, uint32_t slot,
       struct sess_owners *o)
{
    /* The best two that are not draining, and the best of all. */
    double best[3] = { INFINITY, INFINITY, INFINITY };
    uint16_t which[3] = { SESS_OWNER_NONE, SESS_OWNER_NONE, SESS_OWNER_NONE };

    for (size_t i = 0; i < n; i++) {
        double c;

        if (!(members[i].weight > 0)) {
            continue;
        }
        c = cost(&members[i], slot);
        if (c < best[2]) {
            best[2] = c;
            which[2] = i;
        }
        if (members[i].draining) {
            continue;
        }
        if (c < best[0]) {
            best[1] = best[0];
            which[1] = which[0];
            best[0] = c;
            which[0] = i;
        } else if (c < best[1]) {
            best[1] = c;
            which[1] = i;
        }
    }
    if (which[0] == SESS_OWNER_NONE) {
        which[0] = which[2];    /* All drain: better than none. */
    }
    o->slots[slot].first = which[0];
    o->slots[slot].second = which[2] != which[0] ? which[2] : which[1];
}

/* The owners among 'n' members, at most SESS_MAX_MEMBERS.  Members must have
 * distinct ids; their order does not matter but for the indexes. */
struct sess_owners *
sess_owners_create(const struct sess_member *members, size_t n)
{
    struct sess_owners *o = xmalloc(sizeof *o);

    n = MIN(n, SESS_MAX_MEMBERS);
    for (uint32_t slot = 0; slot < SESS_OWNER_SLOTS; slot++) {
        choose(members, n, slot, o);
    }
    return o;
}

void
sess_owners_destroy(struct sess_owners *o)
{
    free(o);
}
