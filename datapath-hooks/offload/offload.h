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
 * other_config:ext-offload off, the default, the copy calls the original, and
 * of a port's rules keeps no more than whether there are some that only mark
 * packets (offload-queue.h); candidates from before are kept until their flows
 * are deleted.  Otherwise every flow that OVS offers becomes a candidate
 * (offload-flow.c), a thread of its own (offload-agent.c) reads what they
 * count, asks the planner (ovs-ext/offload/) and changes the tables.
 *
 * Thread safety: main thread, where not said otherwise. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "ovs-ext/affinity/aff-host-key.h"

struct dpif;
struct monitor_flow_table;
struct netdev;
struct netdev_flow_api;
struct smap;

void offload_init(void);
void offload_run(void);
void offload_wait(void);
void offload_exit(void);

/* Takes in other_config of the Open_vSwitch table: ext-offload... */
void offload_dpif_config(struct dpif *, const struct smap *other_config);

/* Numbers of ports, see offload-port.c.  The first returns the one that a new
 * port of a datapath is to have, or ODPP_NONE. */
odp_port_t offload_port_number(struct dpif *);
void offload_port_del(odp_port_t);

/* 'dpif' is about to be closed.  Any thread. */
void offload_forget_dpif(const struct dpif *);

/* Returns what to register in the place of 'api': a decorated copy that is
 * never freed, or 'api' itself. */
const struct netdev_flow_api *
offload_decorate(const struct netdev_flow_api *api);

/* Tells the monitor of the table of port 'netdev_name'; false if there is
 * none.  Any thread. */
bool offload_flow_table(const char *netdev_name, struct monitor_flow_table *);

/* Wishes
 * ======
 *
 * Traffic that is to be in a NIC's flow table, if anything is: its flows count
 * OFFLOAD_MAX_BOOST times their packets when places are given out.  Only flows
 * that match nothing but that traffic are meant. */
struct offload_wish {
    struct aff_host_key key;
    char netdev[64];            /* The NIC; tunnels may come through any. */
};

/* What has become of one, as of the last interval. */
struct offload_granted {
    uint32_t flows;             /* Candidates... */
    uint32_t rules;             /* ...and those in the table. */
    double share;               /* Of their packets, in the table. */
};

/* Whether wishes are granted: if not, '*reason', if nonnull, is a constant
 * that says why.  Any thread. */
bool offload_is_on(const char **reason);

/* Replaces all wishes by the first OFFLOAD_MAX_WISHES of these.  Any thread
 * but PMD threads. */
enum { OFFLOAD_MAX_WISHES = 256 };
void offload_set_wishes(const struct offload_wish *, size_t n);

/* Stores what has become of 'wish'.  Returns false if it is none of those that
 * were set.  Any thread but PMD threads. */
bool offload_get_granted(const struct offload_wish *,
                         struct offload_granted *);

/* Queues
 * ======
 *
 * Traffic that has a queue of a NIC to itself, by rules of who says so.  Rules
 * of Open vSwitch that only mark packets leave it there. */
struct offload_queue {
    struct aff_host_key key;    /* No tunnel's. */
    char netdev[64];
    uint16_t queue;
};

/* Replaces all by the first OFFLOAD_MAX_QUEUES of these.  Any thread but PMD
 * threads. */
enum { OFFLOAD_MAX_QUEUES = 256 };
void offload_set_queues(const struct offload_queue *, size_t n);

#endif /* offload.h */
