/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What changed in the database becomes what planners know.
 *
 * Of a host, rows that came or changed are taken first, rows that went
 * afterwards, and only if nothing stands for them by then: a connection that
 * breaks makes the IDL forget and insert everything, and nobody's hardware is
 * lost by that.  It does not tell of rows that went meanwhile; onc_intake()
 * finds them.
 *
 * Functions that take a row in return false if there is no room for it: such a
 * row is taken again when something else of its host has gone. */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ovsdb-idl.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"
#include "uuid.h"

/* Tells the planner which loads are part of what was measured. */
static void
set_applied(struct onc_host *h, const struct onc_entry *e)
{
    if (e->slot != AFF_NONE) {
        aff_profile_set_applied(h->aff, e->slot,
                                !uuid_is_zero(&e->affinity)
                                && h->applied >= e->generation);
    }
}

/* Networks. */

static void
apply_network(struct onc *onc, struct onc_host *h, int slot)
{
    const struct onc_network *net
        = shash_find_data(&onc->networks, aff_profile_network(h->aff, slot));

    aff_profile_set_network(h->aff, slot, net && net->exclusive,
                            net ? net->weight : 1);
}

/* The wishes for the networks 'names' changed. */
static void
networks_changed(struct onc *onc, const struct sset *names)
{
    struct shash_node *node;

    if (sset_is_empty(names)) {
        return;
    }
    SHASH_FOR_EACH (node, &onc->hosts) {
        struct onc_host *h = node->data;

        AFF_PROFILE_FOR_EACH (slot, h->aff) {
            if (sset_contains(names, aff_profile_network(h->aff, slot))) {
                apply_network(onc, h, slot);
                onc_host_dirty(onc, h, false);
            }
        }
    }
}

/* Few rows, seldom changed: all of them are read anew. */
void
onc_sync_networks(struct onc *onc)
{
    const struct ovsext_network *row;
    struct shash old = onc->networks;
    struct sset changed = SSET_INITIALIZER(&changed);
    struct shash_node *node;

    if (!ovsext_network_track_get_first(onc->idl) && !onc->refilled) {
        return;
    }
    shash_init(&onc->networks);
    OVSEXT_NETWORK_FOR_EACH (row, onc->idl) {
        struct onc_network *net = xmalloc(sizeof *net);

        net->exclusive = row->exclusive;
        net->weight = row->weight > 0 ? row->weight : 1;
        shash_add(&onc->networks, row->name, net);
    }
    shash_moved(&old);
    SHASH_FOR_EACH (node, &onc->networks) {
        const struct onc_network *a = node->data;
        const struct onc_network *b = shash_find_data(&old, node->name);

        if (!b || a->exclusive != b->exclusive || a->weight != b->weight) {
            sset_add(&changed, node->name);
        }
    }
    SHASH_FOR_EACH (node, &old) {
        if (!shash_find(&onc->networks, node->name)) {
            sset_add(&changed, node->name);
        }
    }
    networks_changed(onc, &changed);
    sset_destroy(&changed);
    shash_destroy_free_data(&old);
}

/* Host. */

static bool
take_host(struct onc *onc, const struct ovsext_host *row)
{
    struct onc_host *h = onc_host_get(onc, row->name);

    if (!uuid_equals(&h->row, &row->header_.uuid)) {
        h->row = row->header_.uuid;
        onc_host_dirty(onc, h, false);
    }
    if (h->applied != row->applied_generation) {
        struct shash_node *node;

        h->applied = row->applied_generation;
        SHASH_FOR_EACH (node, &h->entries) {
            set_applied(h, node->data);
        }
    }
    return true;
}

static void
drop_host(struct onc *onc, struct onc_host *h, const struct onc_change *gone)
{
    if (uuid_equals(&h->row, &gone->row)) {
        memset(&h->row, 0, sizeof h->row);
        onc_host_dirty(onc, h, false);
    }
}

/* Resource, with its metrics. */

static bool
take_resource(struct onc *onc, const struct ovsext_resource *row)
{
    const struct ovsext_resource_metrics *m = db_resource_metrics(row);
    const char *steerable = smap_get(&row->attributes, "steerable");
    struct aff_resource in = {
        .name = row->name,
        .numa = row->numa,
        .capacity = row->capacity,
        .unit = row->unit,
        .accelerator = smap_get(&row->attributes, "kind"),
        .steerable = !steerable || strcmp(steerable, "false"),
    };

    if (!row->host[0] || !row->name[0]
        || !hrm_kind_from_string(row->kind, &in.kind)
        || !hrm_state_from_string(row->state, &in.state)) {
        onc->stats.ignored++;
        return true;
    }
    if (m) {
        in.m = (struct hrm_metrics) {
            .utilization = m->utilization,
            .forecast_utilization = m->forecast_utilization,
            .latency_us = m->latency_us,
            .throughput = m->throughput,
            .error_rate = m->error_rate,
        };
    }

    struct onc_host *h = onc_host_get(onc, row->host);
    int slot = aff_host_find_resource(h->aff, row->name);
    bool is_new = slot == AFF_NONE;
    enum hrm_state before = is_new ? in.state : aff_resource_state(h->aff,
                                                                   slot);
    slot = aff_host_set_resource(h->aff, &in);
    if (slot == AFF_NONE) {
        return false;
    }
    if (slot >= h->allocated_resources) {
        size_t n = MAX(16, 2 * h->allocated_resources);

        h->resources = xrealloc(h->resources, n * sizeof *h->resources);
        memset(h->resources + h->allocated_resources, 0,
               (n - h->allocated_resources) * sizeof *h->resources);
        h->allocated_resources = n;
    }
    h->resources[slot] = row->header_.uuid;
    onc_host_dirty(onc, h, before != in.state);
    return true;
}

static void
drop_resource(struct onc *onc, struct onc_host *h,
              const struct onc_change *gone)
{
    int slot = (gone->name ? aff_host_find_resource(h->aff, gone->name)
                : AFF_NONE);

    if (slot != AFF_NONE && uuid_equals(&h->resources[slot], &gone->row)) {
        aff_host_remove_resource(h->aff, gone->name);
        memset(&h->resources[slot], 0, sizeof h->resources[slot]);
        onc_host_dirty(onc, h, true);
    }
}

/* Traffic_Profile. */

static bool
take_profile(struct onc *onc, const struct ovsext_traffic_profile *row)
{
    struct onc_host *h;
    struct onc_entry *e = onc_entry_get_for_row(onc, row->host, row->network,
                                                row->class_, &h);

    if (!e) {
        return !h;
    }

    const struct aff_profile in = {
        .network = row->network,
        .class = e->class,
        .pps = row->pps,
        .bps = row->bps,
        .packet_size = row->packet_size,
        .burstiness = row->burstiness,
        .flows = row->flows,
        .elephant_share = row->elephant_share,
    };
    bool is_new = uuid_is_zero(&e->profile);

    e->slot = aff_host_set_profile(h->aff, &in);
    if (e->slot == AFF_NONE) {
        onc_entry_put(h, e);
        return false;
    }
    e->profile = row->header_.uuid;
    if (is_new) {
        apply_network(onc, h, e->slot);
        set_applied(h, e);
    }
    onc_host_dirty(onc, h, false);
    return true;
}

static void
drop_profile(struct onc *onc, struct onc_host *h,
             const struct onc_change *gone)
{
    struct onc_entry *e = onc_entry_find(h, gone->name, gone->class);

    if (e && uuid_equals(&e->profile, &gone->row)) {
        if (e->slot != AFF_NONE) {
            aff_host_remove_profile(h->aff, e->slot);
            e->slot = aff_host_find_profile(h->aff, e->network, e->class);
        }
        memset(&e->profile, 0, sizeof e->profile);
        onc_entry_put(h, e);
        onc_host_dirty(onc, h, false);
    }
}

/* Affinity. */

/* Brings the planner's pin in line with the row.  Returns false if it has no
 * room for it. */
static bool
sync_pin(struct onc *onc, struct onc_host *h, struct onc_entry *e,
         const char *target)
{
    bool is_new = e->slot == AFF_NONE;

    e->slot = aff_host_set_pin(h->aff, e->network, e->class, target);
    if (is_new && e->slot != AFF_NONE) {
        apply_network(onc, h, e->slot);
    }
    return e->slot != AFF_NONE || !target;
}

/* The slot that 'row' directs to, AFF_NONE if to none. */
static int
row_slot(const struct onc_host *h, const struct ovsext_affinity *row)
{
    return (row->resource && !strcmp(row->resource->host, row->host)
            ? aff_host_find_resource(h->aff, row->resource->name)
            : AFF_NONE);
}

static bool
take_affinity(struct onc *onc, const struct ovsext_affinity *row, bool active)
{
    struct onc_host *h;
    struct onc_entry *e = onc_entry_get_for_row(onc, row->host, row->network,
                                                row->class_, &h);

    if (!e) {
        return !h;
    }

    bool is_new = !uuid_equals(&e->affinity, &row->header_.uuid);
    bool pinned = !strcmp(row->origin, "pinned");
    bool fits = true;

    e->affinity = row->header_.uuid;
    e->generation = row->generation;
    e->expires = row->n_expiry > 0;
    e->expiry = row->n_expiry ? row->expiry[0] : 0;
    if (pinned || e->pinned) {
        fits = sync_pin(onc, h, e, !pinned ? NULL : row->resource
                        ? row->resource->name : row->resource_name);
        h->retry |= !pinned;
    }
    e->pinned = pinned;
    set_applied(h, e);

    int resource = row_slot(h, row);
    bool differs = (e->slot == AFF_NONE
                    || (aff_profile_decision(h->aff, e->slot)->resource
                        != resource));
    if (e->slot != AFF_NONE && (is_new || !active)
        && (resource != AFF_NONE || !row->resource_name[0])) {
        /* As a predecessor left it. */
        aff_profile_set_present(h->aff, e->slot, resource);
    }
    if (is_new || differs || e->expires) {
        onc_host_dirty(onc, h, false);
    }
    return fits;
}

static void
drop_affinity(struct onc *onc, struct onc_host *h,
              const struct onc_change *gone)
{
    struct onc_entry *e = onc_entry_find(h, gone->name, gone->class);

    if (e && uuid_equals(&e->affinity, &gone->row)) {
        memset(&e->affinity, 0, sizeof e->affinity);
        if (e->pinned) {
            sync_pin(onc, h, e, NULL);
        }
        e->pinned = e->expires = false;
        set_applied(h, e);
        onc_entry_put(h, e);
        onc_host_dirty(onc, h, false);
    }
}

/* Affinity_Report. */

static bool
take_report(struct onc *onc, const struct ovsext_affinity_report *row,
            bool active)
{
    struct onc_host *h;
    struct onc_entry *e = onc_entry_get_for_row(onc, row->host, row->network,
                                                row->class_, &h);

    if (!e) {
        return !h;
    }

    const struct aff_report in = {
        .resource = row->resource,
        .latency_us = row->latency_us,
        .loss = row->loss,
        .throughput = row->throughput,
    };
    uint32_t hash = hash_string(row->resource, 0);
    hash = hash_add64(hash, hash_double(row->latency_us, 1));
    hash = hash_add64(hash, hash_double(row->loss, 2));
    hash = hash_add64(hash, hash_double(row->throughput, 3));
    hash = hash_finish(hash_add64(hash, row->generation), 4);

    bool heard = !uuid_is_zero(&e->report) && hash == e->report_hash;
    e->report = row->header_.uuid;
    e->report_hash = hash;
    if (heard || !active || !onc->active || row->generation < e->generation) {
        return true;            /* Nothing new, or of an older decision. */
    }

    if (e->slot != AFF_NONE
        && aff_host_report(h->aff, &onc->config, &onc->learner, e->slot, &in,
                           time_msec())) {
        onc->stats.reports++;
        onc_host_dirty(onc, h, false);
    }
    return true;
}

static void
drop_report(struct onc *onc, struct onc_host *h,
            const struct onc_change *gone)
{
    struct onc_entry *e = onc_entry_find(h, gone->name, gone->class);

    if (e && uuid_equals(&e->report, &gone->row)) {
        memset(&e->report, 0, sizeof e->report);
        onc_entry_put(h, e);
        onc_host_dirty(onc, h, false);
    }
}

/* Turns. */

/* Pending rows of a host that are taken in a turn. */
#define TURN_ROWS 256

/* Remembers whether 'row' is one that there was no room for. */
static void
set_refused(struct onc *onc, struct uuidset *refused, const struct uuid *row,
            bool is_refused)
{
    struct uuidset_node *node = uuidset_find(refused, row);

    if (is_refused && !node) {
        uuidset_insert(refused, row);
        onc->stats.ignored++;
    } else if (!is_refused && node) {
        uuidset_delete(refused, node);
    }
}

/* Calls take_X() for the row, if it still is there, ... */
#define TAKE(TABLE, WHAT, ...)                                          \
    do {                                                                \
        const struct ovsext_##TABLE *row                                \
            = ovsext_##TABLE##_get_for_uuid(onc->idl, &c->row);         \
                                                                        \
        set_refused(onc, &h->refused[phase], &c->row,                   \
                    row && !take_##WHAT(onc, row __VA_ARGS__));         \
    } while (0)

/* ...or drop_X() for what it was, if it did not come back. */
#define DROP(TABLE, WHAT)                                               \
    do {                                                                \
        if (!ovsext_##TABLE##_get_for_uuid(onc->idl, &c->row)) {        \
            drop_##WHAT(onc, h, c);                                     \
            h->retry = true;                                            \
        }                                                               \
    } while (0)

static void
apply_change(struct onc *onc, struct onc_host *h, enum onc_phase phase,
             const struct onc_change *c)
{
    switch (phase) {
    case ONC_TAKE_HOST: TAKE(host, host); break;
    case ONC_TAKE_RESOURCE: TAKE(resource, resource); break;
    case ONC_TAKE_PROFILE: TAKE(traffic_profile, profile); break;
    case ONC_TAKE_AFFINITY: TAKE(affinity, affinity, , c->active); break;
    case ONC_TAKE_REPORT: TAKE(affinity_report, report, , c->active); break;
    case ONC_DROP_AFFINITY: DROP(affinity, affinity); break;
    case ONC_DROP_PROFILE: DROP(traffic_profile, profile); break;
    case ONC_DROP_RESOURCE: DROP(resource, resource); break;
    case ONC_DROP_HOST: DROP(host, host); break;
    case ONC_DROP_REPORT: DROP(affinity_report, report); break;
    case ONC_N_PHASES: default: OVS_NOT_REACHED();
    }
}

/* Takes pending rows in, host by host, until there is none or CPU time is
 * 'until_us'; one turn in any case. */
void
onc_digest(struct onc *onc, uint64_t until_us)
{
    struct onc_host *h;

    while ((h = onc_next_fresh(onc)) != NULL) {
        struct onc_change change;
        enum onc_phase phase;

        for (int i = 0; i < TURN_ROWS
             && onc_next_change(h, &phase, &change); i++) {
            apply_change(onc, h, phase, &change);
            onc_change_destroy(&change);
        }
        onc_put_fresh(onc, h);
        if (onc_cpu_us() > until_us) {
            break;
        }
    }
}
