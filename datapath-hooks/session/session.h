/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_H
#define SESSION_H 1

/* Sessions in the daemon: packets for a service that several hosts serve go to
 * the host that has their session, even while backends move.
 *
 *     session-agent.h  the agent: what there is, where it is, who is told
 *     session-dp.h     the datapath: packets
 *     gossip-udp.h     what hosts tell each other
 *     phc-l2.h         what is kept on disk
 *
 * Services come from a source of fleets (the OVS_Ext database); where this
 * host is and with which keys it gossips, from external_ids.  Until all of
 * that is set and a service names this host there is no socket, no table and
 * no work.
 *
 * Thread safety: each function says. */

#include <stdbool.h>

struct db_host_session;
struct sess_fleet;
struct smap;

/* Main thread; the latter after ext_agent_exit(). */
void session_init(void);
void session_exit(void);

/* Takes in external_ids of the Open_vSwitch table: ovs-ext-gossip,
 * ovs-ext-encap-ip, ovs-ext-gossip-keys, ovs-ext-session-dir, system-id. */
void session_set_local(const struct smap *external_ids);

/* Takes in other_config of the Open_vSwitch table: ext-session-max,
 * ext-phc-entries, ext-phc-file-size. */
void session_configure(const struct smap *other_config);

/* Sets who is asked for fleets, once, at the start.  'want' is called when
 * they begin or cease to be of interest. */
void session_set_fleet_source(void (*want)(bool));

/* Agent thread. */

/* Takes over a copy of what services there are; this host's name there is
 * 'host'. */
void session_take_fleet(const struct sess_fleet *, const char *host);

/* What this host says in the database; null for nothing.  Good until the next
 * call. */
const struct db_host_session *session_rows(void);

#endif /* session.h */
