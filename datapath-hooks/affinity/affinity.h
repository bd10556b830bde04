/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFFINITY_H
#define AFFINITY_H 1

/* Affinity in the daemon: instructions, which traffic goes to which hardware,
 * come from the OVS_Ext database and become real.
 *
 *     redirect.h      packets through an accelerator port
 *     aff-agent.h     the database, and what becomes of an instruction
 *
 * The host's agent also fetches policies and services from there, for whoever
 * wants them, and writes what they have to say.
 *
 * Thread safety: main thread, unless said otherwise. */

#include <stdbool.h>
#include <stddef.h>

#include "openvswitch/types.h"

struct db_host_session;
struct sess_fleet;
struct smap;

void affinity_init(void);
void affinity_run(void);
void affinity_wait(void);

/* A receive queue of the port has been opened, is about to be closed: in
 * which case the port is to be reconfigured or deleted. */
void affinity_port_opened(const char *name);
void affinity_port_closing(const char *name);

/* The port may have become an accelerator, or none, for the monitor. */
void affinity_port_configure(const char *name, odp_port_t);

/* Takes a policy from the table Steering_Policy: its name there, its version,
 * for people, and 'size' bytes of 'data'.  Or, with all of these null, hears
 * why the policy cannot be had: 'error', a sentence.  Once for each change of
 * the row.  In the agent's thread, or in the main thread if there is no
 * database. */
typedef void affinity_policy_cb(const char *name, const char *version,
                                const void *data, size_t size,
                                const char *error);

/* Sets who takes policies: once, before the agent runs. */
void affinity_set_policy_taker(affinity_policy_cb *);

/* Says which policy is wanted, null for none.  It is fetched, even if it was
 * before, and again whenever it changes. */
void affinity_want_policy(const char *name);

/* Takes the services of the database, with their backends and the hosts that
 * take part, sorted; 'host' is the name of this one, null without a database.
 * Both are borrowed.  Called in the agent's thread when they are complete for
 * the first time and whenever they differ.  While the database cannot be
 * reached the last ones stay; without one, or when they are not wanted any
 * more, there are none. */
typedef void affinity_fleet_cb(const struct sess_fleet *, const char *host);

/* Sets who takes them: once, before the agent runs. */
void affinity_set_fleet_taker(affinity_fleet_cb *);

/* Says whether they are wanted.  Any thread. */
void affinity_want_fleet(bool wanted);

/* Returns what there is to write of this host's part in services, or null for
 * nothing.  Called in the agent's thread; what it returns is borrowed until
 * the thread goes on to something else. */
typedef const struct db_host_session *affinity_rows_cb(void);

/* Sets who has that: once, before the agent runs. */
void affinity_set_rows_source(affinity_rows_cb *);

/* Takes external_ids of the Open_vSwitch table, when those that are about this
 * host's part in services, or who it is there, have changed. */
typedef void affinity_ids_cb(const struct smap *external_ids);

/* Sets who takes them: once, before affinity_run(). */
void affinity_set_ids_taker(affinity_ids_cb *);

#endif /* affinity.h */
