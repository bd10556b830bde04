/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_H
#define OFFLOAD_H 1

/* Offload placement, as the daemon sees it: what NICs hold in their bounded
 * flow tables when other_config:hw-offload is true.
 *
 * The flow API providers of Open vSwitch ("dpdk_flow_api" and "dummy") are
 * registered in a decorated copy (offload-api.c).  With
 * other_config:ext-offload off, the default, the copy calls the original and
 * keeps nothing.  Otherwise every flow that OVS offers becomes a candidate
 * (offload-flow.c), a thread of its own (offload-agent.c) reads what they
 * count, asks the planner (ovs-ext/offload/) and changes the tables.
 *
 * Thread safety: main thread, where not said otherwise. */

#include <stdbool.h>

struct dpif;
struct monitor_flow_table;
struct netdev;
struct netdev_flow_api;
struct smap;

void offload_init(void);
void offload_exit(void);

/* Takes in other_config of the Open_vSwitch table: ext-offload... */
void offload_dpif_config(struct dpif *, const struct smap *other_config);

/* 'dpif' is about to be closed.  Any thread. */
void offload_forget_dpif(const struct dpif *);

/* Returns what to register in the place of 'api': a decorated copy that is
 * never freed, or 'api' itself. */
const struct netdev_flow_api *
offload_decorate(const struct netdev_flow_api *api);

/* Tells the monitor of the table of port 'netdev_name'; false if there is
 * none.  Any thread. */
bool offload_flow_table(const char *netdev_name, struct monitor_flow_table *);

#endif /* offload.h */
