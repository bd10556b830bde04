/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_RBAC_H
#define DB_RBAC_H 1

/* What a host may write.
 *
 * ovsdb-server enforces this for clients of a connection with the role
 * DB_ROLE_HOST (see ovs-ext-ctl(8), "add-connection --role"), which it knows
 * by the common name of their certificate.  A host may insert and delete rows
 * that bear its own name, and change in them what it measures.  The columns
 * that say whose a row is cannot be changed by anybody, and a host may not
 * change what the controller tells it.
 *
 * The limits of OVSDB's access control: it does not restrict reading, and a
 * host that inserts its own row may fill in any of that row's columns. */

#include <stdbool.h>

struct ovsdb_idl;
struct ovsdb_idl_txn;

#define DB_ROLE_HOST "ovs-ext-host"

/* Receives the tables that db_rbac_update() needs, on an IDL that does not
 * receive them anyway. */
void db_rbac_monitor(struct ovsdb_idl *);

/* Creates the role and its permissions, or sets them right, as part of 'txn'.
 * Returns true if there was anything to do. */
bool db_rbac_update(struct ovsdb_idl *, struct ovsdb_idl_txn *txn);

#endif /* db-rbac.h */
