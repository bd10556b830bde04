/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef ONC_H
#define ONC_H 1

/* Overlay Network Controller
 * ==========================
 *
 * Keeps a planner (ovs-ext/affinity/aff.h) for each host of the database
 * OVS_Ext, feeds it with the rows that hosts write, and writes what it decides
 * into the table Affinity, from where the agents of the hosts take it.
 *
 *     onc = onc_create(remote);
 *     for (;;) {
 *         onc_run(onc);
 *         onc_wait(onc);
 *         poll_block();
 *     }
 *
 * One loop each 100 ms at most, and none while nothing happens.  A loop costs
 * in proportion to what changed: rows arrive by change tracking of the IDL,
 * only hosts with a changed row (or with something that falls due) are planned
 * again, and only rows that turn out different are written, in one
 * transaction.  At most one transaction is in flight; if it fails, the hosts
 * concerned are planned again.
 *
 * A loop is bounded: it writes at most ONC_LOOP_ROWS rows and a few, and turns
 * to its end when it has used as much CPU time as said below.  What is left
 * waits for the next one.  Rows that changed are taken in by host, those with
 * few rows first as a rule; a host is planned when all of its rows have been
 * taken in, those that lost a resource first.  What cannot be bounded is how
 * long Open vSwitch's client library takes for one message: the first contents
 * of a database, of 1,000 large hosts say, are one.
 *
 * Of several controllers, the one with the OVSDB lock is active; the others
 * follow the database and take over when it is gone.  All that a successor
 * needs is in the database: the assignments, and what was learned.
 *
 * The database is not trusted: whatever a host wrote about itself is checked
 * and bounded, and rows that make no sense are counted and ignored.
 *
 * Thread safety: for one thread. */

#include <stdbool.h>

struct ds;
struct onc;
struct simap;

#define ONC_LOOP_MS 100
#define ONC_LOOP_ROWS 1000

/* CPU time of a loop, in microseconds since it began, when it stops to
 * receive, to take in and to plan. */
#define ONC_LOOP_RECEIVE_US 30000
#define ONC_LOOP_DIGEST_US 50000
#define ONC_LOOP_PLAN_US 75000

/* 'remote' is as for ovsdb_idl_create().  Registers the unixctl commands
 * "controller/...". */
struct onc *onc_create(const char *remote);
void onc_destroy(struct onc *);

/* Never blocks. */
void onc_run(struct onc *);
void onc_wait(struct onc *);

/* To be called in the place of onc_run() and onc_wait() before an orderly end,
 * until it returns true: writes what was learned since it was written last.
 * Takes ONC_FINISH_MS at most. */
#define ONC_FINISH_MS 2000
bool onc_finish(struct onc *);
void onc_finish_wait(struct onc *);

/* For the command "memory/show". */
void onc_get_memory_usage(const struct onc *, struct simap *);

#endif /* onc.h */
