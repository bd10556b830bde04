/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_HOST_IMPL_H
#define DB_HOST_IMPL_H 1

/* What the files of the writer (db-host.h) share. */

#include "openvswitch/shash.h"
#include "ovs-ext/db/db-delta.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/db/db-rival.h"

struct ds;
struct ovsdb_idl_txn;
struct ovsext_host;

struct db_host {
    char *host;
    struct shash notes;         /* struct db_note by key of row. */
    struct db_rival rival;
    struct ovsdb_idl_txn *txn;  /* In flight, or null. */
    size_t txn_rows;
    bool txn_session;           /* It writes of services. */
    long long int retry_at;
    long long int session_retry_at;
    struct db_host_stats stats;
};

/* What is remembered of a row, or of some columns of one. */
struct db_note {
    struct db_gate gate;
    uint32_t said;              /* Hash of its text as committed, if */
    bool known;                 /* this. */
    uint32_t saying;            /* The same in the transaction in flight, if */
    bool pending;               /* this. */
};

/* Appends what a row says in the columns that the writer writes. */
typedef void db_text_cb(struct ds *, const void *row);

/* One run. */
struct db_sync {
    struct db_host *dh;
    struct ovsdb_idl *idl;
    const struct db_host_input *in;
    long long int now;
    struct ovsdb_idl_txn *txn;  /* Null as long as there is nothing to do. */
    size_t n_rows;
    bool session;               /* 'txn' writes of services. */
    char *rival;                /* What has replaced something that was
                                 * written, or null.  Owned. */
};

/* db-host-note.c */

/* The transaction to write another row in. */
struct ovsdb_idl_txn *db_sync_txn(struct db_sync *);

/* Whether 'change' of what 'key' stands for is to be written now, in 'row', or
 * in a new one if that is null.  Returns null if not.  Else takes note of it,
 * also of what others have done to the row, by its 'text'; say
 * db_note_written() then, unless 'text' is null: nobody looks after that. */
struct db_note *db_sync_due(struct db_sync *, const char *key, enum db_change,
                            db_text_cb *text, const void *row);

/* Takes note of what has been written into 'row'. */
void db_note_written(struct db_note *, db_text_cb *text, const void *row);

/* Says that the row with 'key' is deleted. */
void db_sync_forget(struct db_sync *, const char *key);

/* Whether the transaction must not go out, for another host writes these rows
 * as well.  Says so in the log, once. */
bool db_sync_yields(struct db_sync *);

/* Says what has become of the transaction in flight. */
void db_notes_finish(struct db_host *, bool committed);

/* db-host-text.c: of Host, the rest of it by itself since it is not written
 * together, Resource with its metrics, Traffic_Profile, Affinity_Report. */
db_text_cb db_text_host, db_text_addresses, db_text_state;
db_text_cb db_text_resource, db_text_profile, db_text_report;

/* db-host-session.c: columns of 'row', that of the host, and hints. */
void db_sync_session(struct db_sync *, const struct ovsext_host *row);

#endif /* db-host-impl.h */
