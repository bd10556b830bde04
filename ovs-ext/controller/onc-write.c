/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What planners decided becomes rows.  Compares with what the database has, so
 * that a transaction that failed, or a controller that began just now, writes
 * what is missing and nothing else. */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <string.h>

#include "ovs-ext/db/db-affinity.h"
#include "ovsdb-idl.h"
#include "util.h"
#include "uuid.h"

struct writer {
    struct onc *onc;
    struct onc_host *h;
    const struct ovsext_host *row; /* NULL if the host is not registered. */
    int64_t generation;            /* New one, 0 while there is no need. */
    unsigned int rows;             /* Written. */
    long long int now, wall_now;
};

/* The generation of what is written: one more than the host had. */
static int64_t
next_generation(struct writer *w)
{
    if (!w->generation) {
        w->generation = db_host_next_generation(w->row);
        w->rows++;
    }
    return w->generation;
}

/* The row of the resource that was decided on, NULL for none. */
static const struct ovsext_resource *
decided_row(const struct writer *w, const struct aff_decision *d)
{
    return (d->resource == AFF_NONE ? NULL
            : ovsext_resource_get_for_uuid(
                w->onc->idl, &w->h->resources[d->resource]));
}

static void
write_content(struct writer *w, const struct ovsext_affinity *a,
              const struct aff_decision *d)
{
    db_affinity_set_score(a, d->score);
    ovsext_affinity_set_reason(a, d->reason);
    ovsext_affinity_set_generation(a, next_generation(w));
    w->rows++;
}

static void
insert_row(struct writer *w, const struct onc_entry *e,
           const struct aff_decision *d)
{
    const struct ovsext_affinity *a;

    a = ovsext_affinity_insert(ovsdb_idl_txn_get(&w->row->header_));
    ovsext_affinity_set_host(a, w->h->name);
    ovsext_affinity_set_network(a, e->network);
    ovsext_affinity_set_class_(a, tp_class_to_string(e->class));
    ovsext_affinity_set_origin(a, "learned");
    db_affinity_set_resource(a, decided_row(w, d));
    write_content(w, a, d);
}

/* A pinned row keeps the name of its resource, whatever becomes of that; what
 * it refers to is the resource only while that is to be had. */
static void
write_pinned(struct writer *w, const struct ovsext_affinity *a,
             const struct aff_decision *d)
{
    const struct ovsext_resource *resource = decided_row(w, d);
    const char *name = a->resource ? a->resource->name : a->resource_name;

    if (strcmp(a->resource_name, name)) {
        ovsext_affinity_set_resource_name(a, name);
        w->rows++;
    }
    if (a->resource != resource) {
        ovsext_affinity_set_resource(a, resource);
        write_content(w, a, d);
    } else if (strcmp(a->reason, d->reason)) {
        ovsext_affinity_set_reason(a, d->reason);
        db_affinity_set_score(a, d->score);
        w->rows++;
    }
}

static void
write_learned(struct writer *w, const struct ovsext_affinity *a,
              const struct aff_decision *d)
{
    const struct ovsext_resource *resource = decided_row(w, d);

    if (a->resource != resource || a->n_expiry
        || strcmp(a->resource_name, resource ? resource->name : "")) {
        db_affinity_set_resource(a, resource);
        if (a->n_expiry) {
            ovsext_affinity_set_expiry(a, NULL, 0);
        }
        write_content(w, a, d);
    } else if (d->changed && strcmp(a->reason, d->reason)) {
        ovsext_affinity_set_reason(a, d->reason);
        w->rows++;
    }
}

/* A learned row of traffic that is gone, or of a host that is: it stays for a
 * while, as traffic comes back, and says until when.  A pin set at the same
 * moment is not to end by that. */
static void
expire(struct writer *w, const struct ovsext_affinity *a)
{
    long long int left = a->n_expiry ? a->expiry[0] - w->wall_now : 0;

    if (!a->n_expiry || left > w->onc->expiry_ms) {
        int64_t expiry = w->wall_now + w->onc->expiry_ms;

        ovsext_affinity_verify_origin(a);
        left = w->onc->expiry_ms;
        ovsext_affinity_set_expiry(a, &expiry, 1);
        w->rows++;
    } else if (left <= 0) {
        ovsext_affinity_verify_origin(a);
        ovsext_affinity_delete(a);
        w->rows++;
        if (w->row) {
            next_generation(w);
        }
        return;
    }
    w->h->next_ms = MIN(w->h->next_ms, w->now + left);
}

/* Writes, in the open transaction, what of 'h' differs.  Returns the number of
 * rows. */
unsigned int
onc_write_host(struct onc *onc, struct onc_host *h, long long int now,
               long long int wall_now)
{
    struct writer w = {
        .onc = onc, .h = h, .now = now, .wall_now = wall_now,
        .row = ovsext_host_get_for_uuid(onc->idl, &h->row),
    };
    struct shash_node *node;

    SHASH_FOR_EACH (node, &h->entries) {
        const struct onc_entry *e = node->data;
        const struct ovsext_affinity *a
            = (uuid_is_zero(&e->affinity) ? NULL
               : ovsext_affinity_get_for_uuid(onc->idl, &e->affinity));
        const struct aff_decision *d
            = (w.row && e->slot != AFF_NONE
               ? aff_profile_decision(h->aff, e->slot) : NULL);

        if (!d) {
            if (a && !e->pinned) {
                expire(&w, a);
            }
        } else if (a && e->pinned) {
            write_pinned(&w, a, d);
        } else if (a) {
            write_learned(&w, a, d);
        } else if (!e->pinned) {
            insert_row(&w, e, d);
        }
    }
    return w.rows;
}
