/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Rows that changed wait here, by host, for their turn.
 *
 * Whatever the IDL received is noted at once, which is quick, and taken in
 * later, in the time that a loop has for it.  Hosts take turns; those with few
 * rows have most of the turns, so that a host is not made to wait by another
 * one's thousands, nor by the first contents of the database.
 *
 * Rows that a planner has no room for are remembered, and wait here once more
 * when other rows of their host have gone. */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <stdlib.h>
#include <string.h>

#include "ovsdb-idl.h"
#include "util.h"
#include "uuid.h"

/* Pending rows of a host that make it a large one. */
#define MANY_ROWS 64

/* One turn in this many is for a large one. */
#define LARGE_TURNS 4

static void
enqueue(struct onc *onc, struct onc_host *h, enum onc_phase phase,
        const struct uuid *row, const char *name, const char *class)
{
    struct onc_queue *q = &h->queues[phase];

    if (q->n >= q->allocated) {
        q->changes = x2nrealloc(q->changes, &q->allocated,
                                sizeof *q->changes);
    }
    q->changes[q->n++] = (struct onc_change) {
        .row = *row,
        .active = onc->active,
        .name = nullable_xstrdup(name),
        .class = nullable_xstrdup(class),
    };
    if (!h->n_pending++) {
        ovs_list_push_back(&onc->fresh_small, &h->fresh_node);
    } else if (h->n_pending > MANY_ROWS && !h->is_large) {
        h->is_large = true;
        ovs_list_remove(&h->fresh_node);
        ovs_list_push_back(&onc->fresh_large, &h->fresh_node);
    }
}

static void
push(struct onc *onc, const char *host, enum onc_phase phase,
     const struct uuid *row, const char *name, const char *class)
{
    onc->stats.updates++;
    if (!host || !host[0]) {
        onc->stats.ignored++;
        return;
    }
    enqueue(onc, onc_host_get(onc, host), phase, row, name, class);
}

/* Rows between two looks at the clock. */
#define ROWS_AT_A_TIME 512

/* Notes each row of a table that came or changed, and each one that went and
 * does not stand again.  'HOST' is the column that names the host; 'NAME' and
 * 'CLASS' say what it was about.  Goes on where it stopped. */
#define NOTE(INDEX, TABLE, PHASE, HOST, NAME, CLASS)                    \
    if (onc->intake_table == INDEX) {                                   \
        const struct ovsext_##TABLE *row = onc->intake_row;             \
                                                                        \
        if (!row) {                                                     \
            row = ovsext_##TABLE##_track_get_first(onc->idl);           \
        }                                                               \
        for (; row; row = ovsext_##TABLE##_track_get_next(row)) {       \
            const struct uuid *uuid = &row->header_.uuid;               \
                                                                        \
            if (!(++n % ROWS_AT_A_TIME) && onc_cpu_us() > until_us) {   \
                onc->intake_row = row;                                  \
                return false;                                           \
            }                                                           \
            if (!ovsext_##TABLE##_is_deleted(row)) {                    \
                push(onc, row->HOST, ONC_TAKE_##PHASE, uuid, NULL, NULL); \
            } else if (row->HOST                                        \
                       && !ovsext_##TABLE##_get_for_uuid(onc->idl, uuid)) { \
                push(onc, row->HOST, ONC_DROP_##PHASE, uuid, NAME, CLASS); \
            }                                                           \
        }                                                               \
        onc->intake_row = NULL;                                         \
        onc->intake_table++;                                            \
    }

/* Notes each row that 'h' is known by and that the database does not have. */
static void
sweep_host(struct onc *onc, const struct onc_host *h)
{
    struct shash_node *node;

#define NOTE_STALE(TABLE, UUID, PHASE, NAME, CLASS)                     \
    if (!uuid_is_zero(UUID)                                             \
        && !ovsext_##TABLE##_get_for_uuid(onc->idl, UUID)) {            \
        push(onc, h->name, ONC_DROP_##PHASE, UUID, NAME, CLASS);        \
    }

    NOTE_STALE(host, &h->row, HOST, h->name, NULL);
    AFF_RESOURCE_FOR_EACH (slot, h->aff) {
        NOTE_STALE(resource, &h->resources[slot], RESOURCE,
                   aff_resource_name(h->aff, slot), NULL);
    }
    SHASH_FOR_EACH (node, &h->entries) {
        const struct onc_entry *e = node->data;
        const char *class = tp_class_to_string(e->class);

        NOTE_STALE(traffic_profile, &e->profile, PROFILE, e->network, class);
        NOTE_STALE(affinity, &e->affinity, AFFINITY, e->network, class);
        NOTE_STALE(affinity_report, &e->report, REPORT, e->network, class);
    }
#undef NOTE_STALE
}

/* After the IDL has begun with an empty replica, it says what there is, but
 * not what is gone: that is to be found here.  Returns false if CPU time has
 * reached 'until_us' before the end. */
static bool
sweep(struct onc *onc, uint64_t until_us)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &onc->hosts) {
        struct onc_host *h = node->data;

        if (h->swept != onc->sweeps) {
            if (onc_cpu_us() > until_us) {
                return false;
            }
            h->swept = onc->sweeps;
            sweep_host(onc, h);
        }
    }
    return true;
}

/* Notes all that changed since the last call that returned true.  Returns
 * false if CPU time has reached 'until_us' before the end; the IDL must not
 * run then, until later calls have noted the rest. */
bool
onc_intake(struct onc *onc, uint64_t until_us)
{
    unsigned int n = 0;

    NOTE(0, host, HOST, name, row->name, NULL);
    NOTE(1, resource, RESOURCE, host, row->name, NULL);
    NOTE(2, traffic_profile, PROFILE, host, row->network, row->class_);
    NOTE(3, affinity, AFFINITY, host, row->network, row->class_);
    NOTE(4, affinity_report, REPORT, host, row->network, row->class_);
    if (onc->refilled && !sweep(onc, until_us)) {
        return false;
    }
    onc->intake_table = 0;
    ovsdb_idl_track_clear(onc->idl);
    return true;
}

bool
onc_is_intake_begun(const struct onc *onc)
{
    return onc->intake_table || onc->intake_row;
}

bool
onc_has_fresh(const struct onc *onc)
{
    return (!ovs_list_is_empty(&onc->fresh_small)
            || !ovs_list_is_empty(&onc->fresh_large));
}

/* The host whose turn it is, or NULL if there is none with pending rows. */
struct onc_host *
onc_next_fresh(struct onc *onc)
{
    struct ovs_list *list = &onc->fresh_small;

    if (!onc_has_fresh(onc)) {
        return NULL;
    }
    if (ovs_list_is_empty(list)
        || (!ovs_list_is_empty(&onc->fresh_large)
            && !(++onc->turn % LARGE_TURNS))) {
        list = &onc->fresh_large;
    }
    return CONTAINER_OF(ovs_list_front(list), struct onc_host, fresh_node);
}

/* Takes the first of the pending rows of 'h', to be destroyed.  Returns false
 * if there is none. */
bool
onc_next_change(struct onc_host *h, enum onc_phase *phase,
                struct onc_change *change)
{
    for (int i = 0; h->n_pending && i < ONC_N_PHASES; i++) {
        struct onc_queue *q = &h->queues[i];

        if (q->n) {
            *phase = i;
            *change = q->changes[q->next++];
            h->n_pending--;
            if (q->next == q->n) {
                free(q->changes);
                memset(q, 0, sizeof *q);
            }
            return true;
        }
    }
    return false;
}

void
onc_change_destroy(struct onc_change *change)
{
    free(change->name);
    free(change->class);
}

/* Has what was refused of 'h' wait for another turn. */
static void
retry_refused(struct onc *onc, struct onc_host *h)
{
    struct uuidset_node *node;

    h->retry = false;
    for (int i = 0; i < ONC_N_PHASES; i++) {
        UUIDSET_FOR_EACH (node, &h->refused[i]) {
            enqueue(onc, h, i, &node->uuid, NULL, NULL);
        }
    }
}

/* Ends a turn of 'h': it goes to the end of its line, can be planned, or is no
 * more if nothing is left of it. */
void
onc_put_fresh(struct onc *onc, struct onc_host *h)
{
    ovs_list_remove(&h->fresh_node);
    if (h->n_pending) {
        ovs_list_push_back(h->is_large ? &onc->fresh_large
                           : &onc->fresh_small, &h->fresh_node);
        return;
    }
    h->is_large = false;
    if (h->retry) {
        retry_refused(onc, h);
    }
    if (h->n_pending) {
        return;
    } else if (onc_host_is_empty(h)) {
        /* Here, for a controller that stands by plans nothing. */
        onc_host_destroy(onc, h);
    } else if (h->dirty_then) {
        onc_host_dirty(onc, h, h->urgent_then);
        h->dirty_then = h->urgent_then = false;
    }
}

void
onc_queues_destroy(struct onc_host *h)
{
    enum onc_phase phase;
    struct onc_change change;

    if (h->n_pending) {
        ovs_list_remove(&h->fresh_node);
    }
    while (onc_next_change(h, &phase, &change)) {
        onc_change_destroy(&change);
    }
}
