/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What a host writes of its part in services: where it is reached, what gossip
 * tells it of the others, the migrations it foresees. */

#include <config.h>
#include "ovs-ext/db/db-host-impl.h"

#include <stdlib.h>
#include <string.h>

#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "smap.h"
#include "sset.h"
#include "util.h"

/* Columns of Host. */

static bool
same_string(const char *wanted, const char *present)
{
    return !wanted || !strcmp(wanted, present);
}

static void
sync_addresses(struct db_sync *s, const struct ovsext_host *row)
{
    const struct db_host_session *in = s->in->session;
    bool same = (same_string(in->encap_ip, row->encap_ip)
                 && same_string(in->gossip, row->gossip));
    struct db_note *note = db_sync_due(s, "E", same ? DB_SAME : DB_STATE,
                                       db_text_addresses, row);

    if (!note) {
        return;
    }
    s->session = true;
    if (in->encap_ip) {
        ovsext_host_set_encap_ip(row, in->encap_ip);
    }
    if (in->gossip) {
        ovsext_host_set_gossip(row, in->gossip);
    }
    db_note_written(note, db_text_addresses, row);
}

static void
sync_state(struct db_sync *s, const struct ovsext_host *row)
{
    const struct smap *state = s->in->session->gossip_state;
    bool same = !state || smap_equal(state, &row->gossip_state);
    struct db_note *note = db_sync_due(s, "G", same ? DB_SAME : DB_MEASURE,
                                       db_text_state, row);

    if (note) {
        s->session = true;
        ovsext_host_set_gossip_state(row, state);
        db_note_written(note, db_text_state, row);
    }
}

/* Migration_Hint. */

/* The rows of this host by backend. */
static void
collect_hints(struct db_sync *s, struct shash *rows)
{
    const struct ovsext_migration_hint *row;

    OVSEXT_MIGRATION_HINT_FOR_EACH (row, s->idl) {
        if (!strcmp(row->host, s->dh->host)) {
            shash_add(rows, row->backend, row);
        }
    }
}

static bool
is_hint(const struct db_hint *h)
{
    return h->backend[0] && h->target[0];
}

static int64_t
later(long long int expiry)
{
    return MAX(0, MIN(expiry, INT64_MAX - DB_DELTA_SLOW)) + DB_DELTA_SLOW;
}

static bool
hint_changed(const struct db_hint *h, const struct ovsext_migration_hint *row)
{
    return (!row || strcmp(row->target, h->target)
            || db_share_moved(row->probability, db_sane(h->probability, 1))
            || h->expiry > row->expiry);
}

static void
write_hint(struct db_sync *s, const struct db_hint *h,
           const struct ovsext_migration_hint *row)
{
    if (!row) {
        row = ovsext_migration_hint_insert(s->txn);
        ovsext_migration_hint_set_host(row, s->dh->host);
        ovsext_migration_hint_set_backend(row, h->backend);
    }
    ovsext_migration_hint_set_target(row, h->target);
    ovsext_migration_hint_set_probability(row, db_sane(h->probability, 1));
    ovsext_migration_hint_set_expiry(row, later(h->expiry));
}

/* Goes through the hints that count: those that there is room for, the first
 * one for each backend.  Without 'write', returns true if something differs
 * from 'rows'.  With it, writes what differs and deletes what is left over. */
static bool
walk_hints(struct db_sync *s, const struct shash *rows, bool write)
{
    const struct db_host_session *in = s->in->session;
    struct sset seen = SSET_INITIALIZER(&seen);
    const struct shash_node *node;
    bool changed = false;

    for (size_t i = 0; i < in->n_hints; i++) {
        const struct db_hint *h = &in->hints[i];
        const struct ovsext_migration_hint *row;

        if (sset_count(&seen) >= DB_MAX_HINTS || !is_hint(h)
            || !sset_add(&seen, h->backend)) {
            continue;
        }
        row = shash_find_data(rows, h->backend);
        if (hint_changed(h, row)) {
            changed = true;
            if (write) {
                write_hint(s, h, row);
            }
        }
    }
    SHASH_FOR_EACH (node, rows) {
        if (!sset_contains(&seen, node->name)) {
            changed = true;
            if (write) {
                ovsext_migration_hint_delete(node->data);
            }
        }
    }
    sset_destroy(&seen);
    return changed;
}

static void
sync_hints(struct db_sync *s)
{
    struct shash rows = SHASH_INITIALIZER(&rows);

    collect_hints(s, &rows);
    if (walk_hints(s, &rows, false)
        && db_sync_due(s, "H", DB_MEASURE, NULL, NULL)) {
        s->session = true;
        walk_hints(s, &rows, true);
    }
    shash_destroy(&rows);
}

void
db_sync_session(struct db_sync *s, const struct ovsext_host *row)
{
    /* A server that has not been upgraded would refuse all of it, and with it
     * what else there is to write. */
    if (!ovsext_server_has_migration_hint_table(s->idl)
        || s->now < s->dh->session_retry_at) {
        return;
    }
    sync_addresses(s, row);
    sync_state(s, row);
    if (s->in->session->hints) {
        sync_hints(s);
    }
}
