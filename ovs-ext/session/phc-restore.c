/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/phc-restore.h"

#include <stdlib.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/session/sess-plan.h"
#include "util.h"

/* A backend of the plan, in one of its services. */
struct known {
    struct hmap_node node;      /* In 'known', by marks. */
    uint16_t service, number;   /* Number SESS_NONE: several have the marks. */
    uint32_t owner;
};

/* A header that nobody has taken yet. */
struct header {
    struct hmap_node node;      /* In 'headers', by marks. */
    bool known;                 /* When it came. */
    struct phc_record r;
};

struct phc_restore {
    struct hmap known, headers;
    struct known *backends;     /* Those in 'known'. */
    size_t n_unknown;           /* Of 'headers'. */
    uint64_t steps;
};

static uint32_t
hash_marks(uint16_t service, uint32_t owner)
{
    return hash_2words(service, owner);
}

struct phc_restore *
phc_restore_create(void)
{
    struct phc_restore *restore = xzalloc(sizeof *restore);

    hmap_init(&restore->known);
    hmap_init(&restore->headers);
    return restore;
}

void
phc_restore_destroy(struct phc_restore *restore)
{
    if (restore) {
        phc_restore_clear(restore);
        hmap_destroy(&restore->headers);
        hmap_destroy(&restore->known);
        free(restore->backends);
        free(restore);
    }
}

static struct known *
find_known(struct phc_restore *restore, uint16_t service, uint32_t owner)
{
    struct known *k;

    restore->steps++;
    HMAP_FOR_EACH_WITH_HASH (k, node, hash_marks(service, owner),
                             &restore->known) {
        restore->steps++;
        if (k->service == service && k->owner == owner) {
            return k;
        }
    }
    return NULL;
}

/* Finds numbers in 'plan' from now on, which may go when this returns. */
void
phc_restore_set_plan(struct phc_restore *restore,
                     const struct sess_plan *plan)
{
    hmap_clear(&restore->known);
    free(restore->backends);
    restore->backends = xcalloc(MAX(plan->n_backends, 1),
                                sizeof *restore->backends);
    for (size_t i = 1; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = sess_plan_backend(plan, i);
        const struct sess_plan_service *s
            = b ? sess_plan_service(plan, b->service) : NULL;
        struct known *k = &restore->backends[i], *other;

        if (!s) {
            continue;
        }
        k->service = phc_service_mark(s->id);
        k->owner = phc_backend_mark(b->id);
        k->number = i;
        other = find_known(restore, k->service, k->owner);
        if (other) {
            other->number = SESS_NONE;
        } else {
            hmap_insert(&restore->known, &k->node,
                        hash_marks(k->service, k->owner));
        }
    }
}

/* The number of the backend that has these marks, SESS_NONE if there is none,
 * or more than one. */
uint16_t
phc_restore_number(struct phc_restore *restore, uint16_t service,
                   uint32_t owner)
{
    const struct known *k = find_known(restore, service, owner);

    return k ? k->number : SESS_NONE;
}

static void
header_destroy(struct phc_restore *restore, struct header *h)
{
    restore->n_unknown -= !h->known;
    hmap_remove(&restore->headers, &h->node);
    free(h);
}

/* Keeps header 'r' until phc_restore_run() finds somebody to take it, in the
 * place of an earlier one with its marks. */
void
phc_restore_add(struct phc_restore *restore, const struct phc_record *r)
{
    uint32_t hash = hash_marks(r->service, r->owner);
    bool known = phc_restore_number(restore, r->service,
                                    r->owner) != SESS_NONE;
    struct header *h;

    HMAP_FOR_EACH_WITH_HASH (h, node, hash, &restore->headers) {
        if (h->r.service == r->service && h->r.owner == r->owner) {
            h->r = *r;
            return;
        }
    }
    if ((!known && restore->n_unknown >= SESS_MAX_BACKENDS)
        || hmap_count(&restore->headers) >= 2 * SESS_MAX_BACKENDS) {
        return;
    }
    h = xmalloc(sizeof *h);
    h->known = known;
    h->r = *r;
    hmap_insert(&restore->headers, &h->node, hash);
    restore->n_unknown += !known;
}

/* Calls 'cb' with each header whose backend the plan knows, and lets go of
 * those that it takes. */
void
phc_restore_run(struct phc_restore *restore, phc_restore_func *cb, void *aux)
{
    struct header *h, *next;

    HMAP_FOR_EACH_SAFE (h, next, node, &restore->headers) {
        uint16_t number = phc_restore_number(restore, h->r.service,
                                             h->r.owner);

        if (number != SESS_NONE && cb(&h->r, number, aux)) {
            header_destroy(restore, h);
        }
    }
}

/* Lets go of all headers. */
void
phc_restore_clear(struct phc_restore *restore)
{
    struct header *h, *next;

    HMAP_FOR_EACH_SAFE (h, next, node, &restore->headers) {
        header_destroy(restore, h);
    }
    hmap_shrink(&restore->headers);
}

/* How many headers are kept. */
size_t
phc_restore_n(const struct phc_restore *restore)
{
    return hmap_count(&restore->headers);
}

uint64_t
phc_restore_steps(const struct phc_restore *restore)
{
    return restore->steps;
}
