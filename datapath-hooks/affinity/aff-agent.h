/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_AGENT_H
#define AFF_AGENT_H 1

/* What the files of the host agent share.
 *
 * The agent's thread (ext-agent.h) owns the connection to the database and
 * everything that is not said to be under 'aff_mutex'; commands in the main
 * thread read under it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "ovs-ext/affinity/aff-host-key.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/monitor/hrm.h"
#include "ovs-thread.h"

struct ds;
struct json;
struct ovsdb_idl;

enum {
    AFF_REASON_MAX = 160,
    AFF_MAX_INSTRUCTIONS = 1024
};

/* An instruction and what has become of it. */
struct aff_item {
    struct db_instruction instruction;
    bool by_hand;               /* By ext/affinity-debug. */
    bool applied;
    char reason[AFF_REASON_MAX]; /* Why not, or how. */
    long long int since;        /* Of 'applied' and 'reason': wall clock. */
    long long int failed_at;    /* Its resource failed: monotonic, ms; or 0. */
    long long int granted_at;   /* A NIC's table was last seen to hold flows of
                                 * it: the same. */
    uint64_t packets;
};

extern struct ovs_mutex aff_mutex;

/* Sorted by network and class.  Agent thread writes, under the mutex. */
extern struct aff_item *aff_items OVS_GUARDED_BY(aff_mutex);
extern size_t aff_n_items OVS_GUARDED_BY(aff_mutex);

/* aff-apply.c: agent thread. */

/* Makes 'instructions' those in force.  Items that stay keep their history. */
void aff_apply_set(const struct db_instruction *, size_t n, bool by_hand);

/* Carries out what can be, given the state of the resources; reverts what
 * cannot any more.  'now' in ms, monotonic. */
void aff_apply_run(const struct hrm_resource *, size_t n, long long int now);
void aff_apply_stop(void);
void aff_apply_correct(struct hrm_resource *, size_t n);

/* Makes reports of what is applied, '*reports' to be freed. */
size_t aff_apply_reports(const struct hrm_resource *, size_t n,
                         const struct tp_profile *, size_t n_profiles,
                         struct db_report **reports);

/* aff-watch.c: accelerators. */

/* Main thread. */
void aff_watch_port(const char *name, odp_port_t, bool wanted);

/* Agent thread: reads counters, sends probes.  Returns true if an accelerator
 * died or came to life. */
bool aff_watch_run(long long int now);

/* True if counters are to be read every few milliseconds. */
bool aff_watch_is_needed(void);

/* Whether accelerator 'name' is alive; else '*reason' says why not. */
bool aff_watch_is_alive(const char *name, const char **reason);
bool aff_watch_get(const char *name, double *loss, double *pps);

/* Corrects the state of accelerators in 'resources' by what was seen. */
void aff_watch_correct(struct hrm_resource *, size_t n);

/* aff-queue.c: rte_flow QUEUE rules.  Agent thread. */
void aff_queue_begin(void);
bool aff_queue_want(const struct aff_host_key *, const char *netdev,
                    unsigned int queue, char reason[AFF_REASON_MAX]);
void aff_queue_end(void);

/* aff-policy.c: policies in the database. */

/* Main thread: complains if one is wanted and there is no database. */
void aff_policy_check(bool has_database);

/* Agent thread: hands over the policy that is wanted, if it is new.
 * 'changed': what 'idl' holds may have.  / The connection is gone. */
void aff_policy_run(struct ovsdb_idl *idl, bool changed);
void aff_policy_disconnected(void);

/* aff-fleet.c: services in the database.  Agent thread. */

/* Hands the fleet over if it is wanted and differs.  'idl' is null if there is
 * no database; 'changed': what it holds may have.  / It is gone. */
void aff_fleet_run(struct ovsdb_idl *idl, const char *host, bool changed);
void aff_fleet_disconnected(void);

/* What there is to write, or null. */
const struct db_host_session *aff_fleet_rows(void);

/* aff-show.c */
void aff_show_init(void);

/* aff-agent.c */
void aff_agent_init(void);
void aff_agent_set_remote(const char *remote, const char *host);
void aff_agent_set_by_hand(const struct db_instruction *, size_t n);
void aff_agent_format(struct ds *);
struct json *aff_agent_json(void);

#endif /* aff-agent.h */
