/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_HOOKS_H
#define EXT_HOOKS_H 1

/* The hook table: the one place where ovs-ext meets Open vSwitch.
 *
 * ovs-vswitchd-ext is linked from OVS's own objects with the linker's --wrap
 * option.  Each wrapped function lives in ext-hooks.c, looks at one member of
 * 'ext_hooks' and, if it is null, calls the original.  A table of nulls is
 * therefore stock Open vSwitch plus one predictable branch per call.
 *
 * Thread safety: members are atomic pointers.  Any thread may set one at any
 * time; a thread that read the old value may still be inside the old function
 * afterwards, so what a hook uses must outlive it (ours are never freed). */

#include <stdbool.h>
#include "openvswitch/types.h"
#include "ovs-atomic.h"

struct dp_packet;
struct dp_packet_batch;
struct dpif;
struct flow;
struct flow_wildcards;
struct netdev;
struct netdev_rxq;
struct smap;

/* Replaces netdev_rxq_recv().  PMD threads (and the main thread for ports
 * that no PMD polls). */
typedef int ext_rxq_recv_func(struct netdev_rxq *, struct dp_packet_batch *,
                              int *qfill);

/* Called before netdev_send() with the packets about to leave.  PMD
 * threads. */
typedef void ext_send_func(const struct netdev *,
                           const struct dp_packet_batch *);

/* Called after a successful upcall of a PMD thread: 'ufid' is about to be
 * installed on 'pmd_id', with the wildcards, which the hook may change to
 * others that mean the same.  PMD threads. */
typedef void ext_upcall_func(const struct dp_packet *, const struct flow *,
                             struct flow_wildcards *,
                             const ovs_u128 *ufid, unsigned int pmd_id);

/* Rx queues come and go.  Main thread, while no PMD thread polls 'rx'. */
typedef int ext_rxq_open_func(struct netdev *, struct netdev_rxq **, int id);
typedef bool ext_rxq_close_func(struct netdev_rxq *);   /* True: was ours. */
typedef int ext_n_rxq_func(const struct netdev *);
typedef bool ext_rxq_owned_func(const struct netdev_rxq *);

/* Configuration of a datapath, of one of its ports.  Main thread. */
typedef void ext_dpif_config_func(struct dpif *, const struct smap *);

/* A datapath handle is about to be closed.  Any thread. */
typedef void ext_dpif_close_func(const struct dpif *);
typedef void ext_port_config_func(struct dpif *, odp_port_t,
                                  const struct smap *);

/* Daemon life cycle.  Main thread. */
typedef void ext_cycle_func(void);

struct ext_hooks {
    /* Packet path. */
    ATOMIC(ext_rxq_recv_func *) rxq_recv;
    ATOMIC(ext_send_func *) send;
    ATOMIC(ext_upcall_func *) upcall;

    /* Control path. */
    ATOMIC(ext_rxq_open_func *) rxq_open;
    ATOMIC(ext_rxq_close_func *) rxq_close;
    ATOMIC(ext_n_rxq_func *) n_rxq;
    ATOMIC(ext_rxq_owned_func *) rxq_owned;
    ATOMIC(ext_dpif_config_func *) dpif_config;
    ATOMIC(ext_dpif_close_func *) dpif_close;
    ATOMIC(ext_port_config_func *) port_config;
    ATOMIC(ext_cycle_func *) run;
    ATOMIC(ext_cycle_func *) wait;
    ATOMIC(ext_cycle_func *) exit;
};

extern struct ext_hooks ext_hooks;

/* Sets member HOOK of the table to FUNCTION, or to null for stock. */
#define EXT_HOOK_SET(HOOK, FUNCTION) \
    atomic_store_explicit(&ext_hooks.HOOK, FUNCTION, memory_order_release)

/* The originals, for hooks that delegate. */
int ext_real_rxq_recv(struct netdev_rxq *, struct dp_packet_batch *,
                      int *qfill);
int ext_real_rxq_open(struct netdev *, struct netdev_rxq **, int id);
int ext_real_n_rxq(const struct netdev *);

/* Wires every system into the table.  Called once, before bridge_init(). */
void ext_vswitchd_init(void);

#endif /* ext-hooks.h */
