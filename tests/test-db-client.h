/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_DB_CLIENT_H
#define TEST_DB_CLIENT_H 1

/* The parts of test-db-client. */

#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"

struct db_host;
struct db_host_input;
struct ext_rng;
struct ovsdb_idl;
struct ovsdb_idl_txn;
struct sess_fleet;

/* 'n_args' counts the remote. */
struct client_command {
    const char *name;
    int n_args;
    void (*run)(const char *remote, char *args[]);
};

/* Waits for the replica to differ from the one at 'seqno'. */
void client_pump(struct ovsdb_idl *, unsigned int seqno);

struct ovsdb_idl *client_open_host(const char *remote, const char *host);

/* The administrator's connection, without the controller's lock. */
struct ovsdb_idl *client_open_admin(const char *remote);
void client_commit(struct ovsdb_idl_txn *);
void client_tick(struct ovsdb_idl *, struct db_host *,
                 const struct db_host_input *, long long int now);
unsigned long long int client_transactions(const struct db_host *);

/* Things to write. */
void client_resource(struct hrm_resource *, enum hrm_kind, int number);
void client_profile(struct tp_profile *, int vni, enum tp_class, double pps);

/* Follows the fleet as 'host' and reads it into 'fleet', for the caller to
 * free, once it is all there.  Prints what is wrong with it; returns how many
 * things are. */
size_t client_follow(struct ovsdb_idl *, const char *host,
                     struct sess_fleet *fleet);

/* A string of 'min' to 'max' characters that is valid UTF-8 and little else;
 * good until the eighth next one. */
const char *client_text(struct ext_rng *, int min, int max);

/* Commands, in test-db-host.c... */
void client_delta(const char *remote, char *args[]);
void client_idle(const char *remote, char *args[]);
void client_affinity(const char *remote, char *args[]);
void client_garbage(const char *remote, char *args[]);

/* ...in test-db-services.c... */
void client_fleet(const char *remote, char *args[]);
void client_fleet_garbage(const char *remote, char *args[]);
void client_fleet_print(const char *remote, char *args[]);

/* ...in test-db-session.c... */
void client_session(const char *remote, char *args[]);
void client_rival(const char *remote, char *args[]);
void client_session_denied(const char *remote, char *args[]);
void client_session_old(const char *remote, char *args[]);

/* ...and in test-db-fleet.c. */
void client_host(const char *remote, char *args[]);
void client_survive(const char *remote, char *args[]);
void client_write(const char *remote, char *args[]);
void client_read(const char *remote, char *args[]);

#endif /* test-db-client.h */
