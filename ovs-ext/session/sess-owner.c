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

/* What has become of members, for sess_owners_update(). */
struct change {
    uint16_t *moved;            /* [n_old]: index now, or SESS_OWNER_NONE of
                                 * one that is another or has gone. */
    uint16_t *new;              /* Indexes now of those that are others. */
    size_t n_new;
};

static bool
is_same(const struct sess_member *a, const struct sess_member *b)
{
    return (a->id == b->id && a->weight == b->weight
            && a->draining == b->draining);
}

static void
compare(const struct sess_member *old, size_t n_old,
        const struct sess_member *new, size_t n, struct change *c)
{
    size_t i = 0, j = 0;

    c->n_new = 0;
    while (i < n_old || j < n) {
        if (j == n || (i < n_old && old[i].id < new[j].id)) {
            c->moved[i++] = SESS_OWNER_NONE;
        } else if (i == n_old || new[j].id < old[i].id) {
            c->new[c->n_new++] = j++;
        } else {
            bool same = is_same(&old[i], &new[j]);

            c->moved[i++] = same ? j : SESS_OWNER_NONE;
            if (!same) {
                c->new[c->n_new++] = j;
            }
            j++;
        }
    }
}

/* Stores the owners of 'slot' if they are those of 'old': neither is another
 * now, and nobody new is chosen before one of them. */
static bool
keep(const struct sess_owners *old, const struct change *c,
     const struct sess_member *members, uint32_t slot, struct sess_owners *o)
{
    uint16_t first = old->slots[slot].first, second = old->slots[slot].second;
    double limit;

    if (first == SESS_OWNER_NONE || second == SESS_OWNER_NONE) {
        return false;
    }
    first = c->moved[first];
    second = c->moved[second];
    if (first == SESS_OWNER_NONE || second == SESS_OWNER_NONE) {
        return false;
    }
    limit = MAX(cost(&members[first], slot), cost(&members[second], slot));
    for (size_t i = 0; i < c->n_new; i++) {
        const struct sess_member *m = &members[c->new[i]];

        if (m->weight > 0 && cost(m, slot) <= limit) {
            return false;
        }
    }
    o->slots[slot].first = first;
    o->slots[slot].second = second;
    return true;
}

/* As sess_owners_create(), which takes 150 times as long where one of 1,024
 * members has changed.  'old' are the owners among 'old_members'; members of
 * both kinds are sorted by ID. */
struct sess_owners *
sess_owners_update(const struct sess_owners *old,
                   const struct sess_member *old_members, size_t n_old,
                   const struct sess_member *members, size_t n)
{
    struct sess_owners *o = xmalloc(sizeof *o);
    struct change c;

    n_old = MIN(n_old, SESS_MAX_MEMBERS);
    n = MIN(n, SESS_MAX_MEMBERS);
    c.moved = xmalloc(MAX(n_old, 1) * sizeof *c.moved);
    c.new = xmalloc(MAX(n, 1) * sizeof *c.new);
    compare(old_members, n_old, members, n, &c);
    for (uint32_t slot = 0; slot < SESS_OWNER_SLOTS; slot++) {
        if (!keep(old, &c, members, slot, o)) {
            choose(members, n, slot, o);
        }
    }
    free(c.moved);
    free(c.new);
    return o;
}

void
sess_owners_destroy(struct sess_owners *o)
{
    free(o);
}
