/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_HOST_IMPL_H
#define DB_HOST_IMPL_H 1

/* What the files of the writer (db-host.h) share. */

#include "openvswitch/shash.h"
#include "ovs-ext/db/db-delta.h"
#include "ovs-ext/db/db-host.h"

struct ovsdb_idl_txn;
struct ovsext_host;

struct db_host {
    char *host;
    struct shash gates;         /* struct db_gate by key of row. */
    struct ovsdb_idl_txn *txn;  /* In flight, or null. */
    size_t txn_rows;
    bool txn_session;           /* It writes of services. */
    long long int retry_at;
    long long int session_retry_at;
    struct db_host_stats stats;
};

/* One run. */
struct db_sync {
    struct db_host *dh;
    struct ovsdb_idl *idl;
    const struct db_host_input *in;
    long long int now;
    struct ovsdb_idl_txn *txn;  /* Null as long as there is nothing to do. */
    size_t n_rows;
    bool session;               /* 'txn' writes of services. */
};

/* The transaction to write another row in. */
struct ovsdb_idl_txn *db_sync_txn(struct db_sync *);

/* Whether 'change' of what 'key' stands for is to be written now.  Takes note
 * of it. */
bool db_sync_due(struct db_sync *, const char *key, enum db_change);

/* Says that the row with 'key' is deleted. */
void db_sync_forget(struct db_sync *, const char *key);

/* db-host-session.c: columns of 'row', that of the host, and hints. */
void db_sync_session(struct db_sync *, const struct ovsext_host *row);

#endif /* db-host-impl.h */
