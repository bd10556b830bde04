/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_AFFINITY_H
#define DB_AFFINITY_H 1

/* The Affinity table: which hardware takes which traffic
 * ======================================================
 *
 * A row says to one host: traffic of this class in this network goes to that
 * resource.  Rows are learned by the controller or pinned by the
 * administrator; those pinned are not the controller's to change.
 *
 * A row refers to a Resource row, so that it says "nowhere" as soon as the
 * resource is gone.  It keeps the resource's name beside the reference: when a
 * resource of that name comes back, the reference is made good again
 * (db_affinity_relink()).  An unlinked pin is how the administrator's wish
 * outlives a host that is being replaced.
 *
 * Thread safety: functions are for the thread that owns the connection; a
 * struct db_instruction is a value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"

struct ovsdb_idl;
struct ovsext_affinity;
struct ovsext_host;
struct ovsext_resource;

/* An Affinity row as a host sees it. */
struct db_instruction {
    char network[TP_NETWORK_LEN];
    enum tp_class class;
    char resource[HRM_NAME_LEN];    /* Empty: the direct way, no resource. */
    bool pinned;
    double score;
    int64_t generation;
    long long int expiry;           /* ms since 1970, LLONG_MAX for never. */
};

/* Reads the instructions of 'host' into '*instructions', which the caller must
 * free(), sorted by network and class; returns how many.  Leaves out rows that
 * expired before 'wall_now' (ms since 1970; LLONG_MIN for all) and rows that
 * do not make sense. */
size_t db_instructions_read(struct ovsdb_idl *, const char *host,
                            long long int wall_now,
                            struct db_instruction **instructions);

/* Whether two sorted arrays ask for the same: scores and generations do not
 * count. */
bool db_instructions_equal(const struct db_instruction *, size_t n,
                           const struct db_instruction *, size_t n2);

/* The Host row of 'host', or NULL. */
const struct ovsext_host *db_host_row(struct ovsdb_idl *, const char *host);

/* The generation of 'host', -1 if it has no row. */
int64_t db_host_generation(struct ovsdb_idl *, const char *host);

/* The Resource row 'name' of 'host', or NULL. */
const struct ovsext_resource *db_resource_row(struct ovsdb_idl *,
                                              const char *host,
                                              const char *name);

/* The Affinity row of that traffic, or NULL. */
const struct ovsext_affinity *db_affinity_row(struct ovsdb_idl *,
                                              const char *host,
                                              const char *network,
                                              enum tp_class);

/* Directs 'row' to 'resource', NULL for the direct way, in the open
 * transaction: sets the reference and the name beside it. */
void db_affinity_set_resource(const struct ovsext_affinity *row,
                              const struct ovsext_resource *resource);

/* Sets the score of 'row', cut to what the server takes; 0 for what is not a
 * number. */
void db_affinity_set_score(const struct ovsext_affinity *row, double score);

/* Makes references good again in the open transaction, as explained above, for
 * pinned rows; learned ones are the controller's to decide anew.  Returns how
 * many. */
size_t db_affinity_relink(struct ovsdb_idl *);

/* Raises the generation of 'host' in the open transaction and returns the new
 * one, to be given to the rows that were changed.  Counts from what the
 * database holds, for there may be several writers; a host can insert its own
 * row with any generation, and the largest is followed by 1. */
int64_t db_host_next_generation(const struct ovsext_host *host);

/* Checks the name of a virtual network: "vni:N", "vlan:N", "untagged",
 * "metadata:0xN" or "other".  Returns NULL if it is fine, else a sentence that
 * the caller must free. */
char *db_check_network(const char *name);

#endif /* db-affinity.h */
