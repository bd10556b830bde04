/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_H
#define STEER_H 1

/* Steering, as the daemon sees it.
 *
 * Everything here is called from the main thread, in the daemon's usual
 * init/run/wait/exit rhythm.  Without configuration steer_run() does nothing
 * and no packet-path hook is set. */

#include <stdbool.h>
#include <stddef.h>

#include "openvswitch/types.h"

struct dpif;
struct netdev;
struct smap;

void steer_init(void);
void steer_run(void);
void steer_wait(void);
void steer_exit(void);

/* Take in other_config of the Open_vSwitch table, for a userspace datapath,
 * and of one of its ports. */
void steer_dpif_config(struct dpif *, const struct smap *);
void steer_port_config(const char *name, odp_port_t, const struct smap *);

/* Returns true if steering moves traffic of 'netdev' by its redirection table,
 * or may: what else sends packets to queues must not go against that.  Any
 * thread. */
bool steer_moves_reta(const struct netdev *);

/* Finds the 'n'th NIC of which PMD core 'core' polls a queue, from 0, as far as
 * steering knows: it does while it is in any mode but off.  Stores the name of
 * the netdev and the first such queue of it.  Any thread. */
bool steer_queue_of_core(unsigned int core, unsigned int n, char *netdev,
                         size_t size, unsigned int *queue);

/* Policies from the database OVS_Ext, which steering knows nothing of.
 *
 * steer_set_policy_source() sets, before the first configuration, whom to tell
 * in the main thread which policy is wanted, null for none.  From then on it
 * calls steer_take_policy(), in any thread, when it has that policy, when the
 * policy has changed, or with the 'error', a sentence, for which it has not:
 * then what was in force stays.  'version' is for people. */
typedef void steer_policy_source_cb(const char *name);
void steer_set_policy_source(steer_policy_source_cb *);
void steer_take_policy(const char *name, const char *version,
                       const void *data, size_t size, const char *error);

/* Changes a setting by hand until the database says otherwise.  Returns null
 * or an error that the caller must free(). */
char *steer_set(const char *key, const char *value);

#endif /* steer.h */
