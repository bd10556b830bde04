/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_DB_CLIENT_H
#define TEST_DB_CLIENT_H 1

/* The parts of test-db-client. */

#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"

struct db_host;
struct db_host_input;
struct ovsdb_idl;
struct ovsdb_idl_txn;

/* 'n_args' counts the remote. */
struct client_command {
    const char *name;
    int n_args;
    void (*run)(const char *remote, char *args[]);
};

/* Waits for the replica to differ from the one at 'seqno'. */
void client_pump(struct ovsdb_idl *, unsigned int seqno);

struct ovsdb_idl *client_open_host(const char *remote, const char *host);
void client_commit(struct ovsdb_idl_txn *);
void client_tick(struct ovsdb_idl *, struct db_host *,
                 const struct db_host_input *, long long int now);
unsigned long long int client_transactions(const struct db_host *);

/* Things to write. */
void client_resource(struct hrm_resource *, enum hrm_kind, int number);
void client_profile(struct tp_profile *, int vni, enum tp_class, double pps);

/* Commands, in test-db-host.c... */
void client_delta(const char *remote, char *args[]);
void client_idle(const char *remote, char *args[]);
void client_affinity(const char *remote, char *args[]);
void client_garbage(const char *remote, char *args[]);

/* ...and in test-db-fleet.c. */
void client_host(const char *remote, char *args[]);
void client_survive(const char *remote, char *args[]);
void client_write(const char *remote, char *args[]);
void client_read(const char *remote, char *args[]);

#endif /* test-db-client.h */
