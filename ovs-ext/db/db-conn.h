/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_CONN_H
#define DB_CONN_H 1

/* Connections to the OVS_Ext database
 * ===================================
 *
 * Both kinds of client use Open vSwitch's IDL, a replica of rows that the
 * server keeps up to date.  A host receives its own rows only, by conditions
 * that the server applies, so that its memory and its share of the traffic do
 * not grow with the fleet.  A controller receives all.
 *
 * The calls after opening are those of "ovsdb-idl.h" and of the generated
 * "ovs-ext/db/ovs-ext-idl.h": ovsdb_idl_run(), ovsdb_idl_wait(),
 * ovsdb_idl_destroy().  A connection that is lost comes back by itself, to any
 * of the remotes given, and what was received before stays readable meanwhile.
 *
 * TLS takes its key and certificates from the options of the process
 * (stream-ssl.h), in ovs-vswitchd-ext those of its command line or of the
 * table SSL of Open_vSwitch.
 *
 * Thread safety: a connection belongs to the thread that opened it. */

#include <stdbool.h>

struct ovsdb_idl;
struct ovsext_resource;

/* Name of the OVSDB lock that makes one of several controllers active. */
#define DB_CONTROLLER_LOCK "ovs_ext_controller"

/* Checks 'remote', one or more of "unix:FILE", "tcp:IP:PORT" and
 * "ssl:IP:PORT" with commas between.  Returns NULL if it is fine, else a
 * sentence that names what is not; the caller must free it. */
char *db_conn_check_remote(const char *remote);

/* Returns the remote of a program that is told none: $OVS_EXT_DB, else the
 * server of its own that this machine has, see ovs-ext-db(8), else that of
 * Open vSwitch.  The caller must free it. */
char *db_conn_default_remote(void);

/* Opens a connection for host 'host' to 'remote'. */
struct ovsdb_idl *db_conn_open_host(const char *remote, const char *host);

/* Opens a connection for a controller, which asks for DB_CONTROLLER_LOCK: it
 * is active while db_conn_is_current() says so, and a transaction of one that
 * has lost it is refused by the server.  Of a cluster, it talks to the
 * leader. */
struct ovsdb_idl *db_conn_open_controller(const char *remote);

/* Impatience of a controller.
 *
 * While none of the servers will do, as when a cluster elects a leader,
 * OVSDB's clients wait longer and longer between attempts, up to 8 s.  That is
 * right for thousands of hosts.  A controller, for which they all wait, starts
 * over after DB_CONN_PATIENCE, which ends attempts in progress, too: where to
 * connect takes longer than that, over a slow network with TLS, it has to wait
 * longer each time, up to DB_CONN_MAX_PATIENCE, until it is connected.
 * Standing by counts as being connected. */
#define DB_CONN_PATIENCE 500    /* ms */
#define DB_CONN_MAX_PATIENCE 8000

struct db_conn_watch {
    char *remote;
    bool odd;                   /* Remote is set with a space before it. */
    long long int since;        /* Not connected since then, or LLONG_MAX. */
    int patience;               /* For so long, in ms. */
};

void db_conn_watch_init(struct db_conn_watch *, const char *remote);
void db_conn_watch_uninit(struct db_conn_watch *);

/* Call these with ovsdb_idl_run() and ovsdb_idl_wait(); 'now' in ms of the
 * clock of time_msec(). */
void db_conn_watch_run(struct db_conn_watch *, struct ovsdb_idl *,
                       long long int now);
void db_conn_watch_wait(const struct db_conn_watch *);

/* True if 'idl' is connected now and has received the database's contents at
 * least once: time to write. */
bool db_conn_is_ready(const struct ovsdb_idl *idl);

/* True if, moreover, the contents have arrived on the connection that stands
 * now, from a server that will do (the leader of a cluster, where it has to
 * be), and the lock, if one was asked for, was granted there: as of the latest
 * ovsdb_idl_run(), after which it is to be called, with no transaction being
 * composed. */
bool db_conn_is_current(struct ovsdb_idl *idl);

/* The metrics of a resource, or NULL if it has none.  Metrics that claim to be
 * another host's count as none: a host can refer to them, but not write
 * them. */
const struct ovsext_resource_metrics *db_resource_metrics(
    const struct ovsext_resource *);

#endif /* db-conn.h */
