/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_SESSION_H
#define DB_SESSION_H 1

/* The tables Service, Backend and Host as a fleet of values
 * =========================================================
 *
 * A host that takes part asks the server for them (db_fleet_follow()), since
 * it receives its own rows only otherwise: all services with their backends,
 * and the Host rows of those that are members of a service of its own.  It
 * reads them when they have changed (db_fleet_read()).
 *
 * Anybody with write access, and every host for its own row, may have written
 * nonsense.  What does not make sense is left out, with a sentence that names
 * it, and does not touch what does: of a service its bad backend, of a host
 * its bad address.  Of two services for the same packets, and of two backends
 * with the same port, the one whose name comes first counts.
 *
 * The checks of single values are pure, for any thread, and those that
 * ovs-ext-ctl(8) makes; the others are for the thread that owns the
 * connection. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct eth_addr;
struct ovsdb_idl;
struct ovsext_backend;
struct ovsext_service;
struct sess_fleet;
struct svec;

/* Largest weight of a backend. */
#define DB_MAX_WEIGHT 1000.0

/* These return NULL if the value, which 'what' names, is fine, else a sentence
 * that the caller must free().  A name of a service, backend, host, bridge or
 * port has 1 to 63 printable characters without space; an address is an IPv4
 * or IPv6 unicast one; so is a MAC, and not zero. */
char *db_check_name(const char *what, const char *name);
char *db_parse_address(const char *what, const char *, struct in6_addr *);
char *db_parse_mac(const char *, struct eth_addr *);

/* Asks on 'idl', the connection of host 'host', for the fleet, or not any
 * more.  Returns true once what 'idl' holds is what the server has of it.  To
 * be called until then, and whenever something has changed. */
bool db_fleet_follow(struct ovsdb_idl *, const char *host, bool wanted);

/* Reads the rows into 'fleet', which need not be initialized and is the
 * caller's to sess_fleet_uninit().  Adds a sentence to 'errors', which it
 * leaves sorted, for each thing left out. */
void db_fleet_read(struct ovsdb_idl *, struct sess_fleet *fleet,
                   struct svec *errors);

/* The row 'name', or NULL. */
const struct ovsext_service *db_service_row(struct ovsdb_idl *,
                                            const char *name);
const struct ovsext_backend *db_backend_row(struct ovsdb_idl *,
                                            const char *name);

#endif /* db-session.h */
