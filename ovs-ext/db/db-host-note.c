/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the writer remembers of rows: when it wrote them last, and what, so
 * that it sees whether somebody else has replaced that since. */

#include <config.h>
#include "ovs-ext/db/db-host-impl.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "ovsdb-idl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(db_host_note);

struct ovsdb_idl_txn *
db_sync_txn(struct db_sync *s)
{
    if (!s->txn) {
        s->txn = ovsdb_idl_txn_create(s->idl);
    }
    s->n_rows++;
    return s->txn;
}

static uint32_t
hash_text(const struct ds *ds)
{
    return hash_bytes(ds->string, ds->length, 0);
}

/* Notes in 's' if what 'key' stands for is not any more as it was written. */
static void
compare(struct db_sync *s, const char *key, const struct db_note *note,
        db_text_cb *text, const void *row)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    if (!note->known || s->rival) {
        return;
    }
    if (row) {
        text(&ds, row);
        if (hash_text(&ds) != note->said) {
            s->rival = ds_steal_cstr(&ds);
        }
    } else {
        s->rival = xasprintf("deletion of %s", key[1] ? key + 1 : s->dh->host);
        for (char *p = s->rival; *p; p++) {
            *p = *p == '\n' ? ' ' : *p;
        }
    }
    ds_destroy(&ds);
}

struct db_note *
db_sync_due(struct db_sync *s, const char *key, enum db_change change,
            db_text_cb *text, const void *row)
{
    struct db_note *note = shash_find_data(&s->dh->notes, key);

    if (change == DB_SAME) {
        return NULL;
    }
    if (!note) {
        note = xzalloc(sizeof *note);
        db_gate_init(&note->gate);
        shash_add(&s->dh->notes, key, note);
    }
    if (!db_gate_pass(&note->gate, change, s->now)) {
        return NULL;
    }
    compare(s, key, note, text, row);
    db_sync_txn(s);
    return note;
}

void
db_note_written(struct db_note *note, db_text_cb *text, const void *row)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    text(&ds, row);
    note->saying = hash_text(&ds);
    note->pending = true;
    ds_destroy(&ds);
}

void
db_sync_forget(struct db_sync *s, const char *key)
{
    free(shash_find_and_delete(&s->dh->notes, key));
    db_sync_txn(s);
}

void
db_notes_finish(struct db_host *dh, bool committed)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &dh->notes) {
        struct db_note *note = node->data;

        if (!committed) {
            db_gate_init(&note->gate);
        } else if (note->pending) {
            note->said = note->saying;
            note->known = true;
        }
        note->pending = false;
    }
}

bool
db_sync_yields(struct db_sync *s)
{
    struct db_host *dh = s->dh;

    if (!s->rival || !db_rival_replaced(&dh->rival, s->now)) {
        return false;
    }
    if (dh->rival.pause == DB_RIVAL_PAUSE) {
        VLOG_WARN("another host uses this system-id: what \"%s\" wrote of "
                  "itself was replaced %d times within %d s, the last time by "
                  "%.300s; it writes nothing for %d s, and longer if this "
                  "goes on", dh->host, DB_RIVAL_MAX + 1,
                  DB_RIVAL_WINDOW / 1000, s->rival, DB_RIVAL_PAUSE / 1000);
    }

    /* After the pause all is written anew, and what was replaced before that
     * does not count again. */
    shash_clear_free_data(&dh->notes);
    return true;
}
