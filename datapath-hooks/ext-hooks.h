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
#include "dpif.h"
#include "openvswitch/types.h"
#include "ovs-atomic.h"

struct dp_packet;
struct dp_packet_batch;
struct dpif;
struct flow;
struct flow_wildcards;
struct netdev;
struct netdev_flow_api;
struct netdev_rxq;
struct ovsdb_idl;
struct ovsdb_idl_column;
struct pmd_perf_stats;
struct rte_flow;
struct rte_flow_action;
struct rte_flow_attr;
struct rte_flow_error;
struct rte_flow_item;
struct seq;
struct smap;

/* Replaces netdev_rxq_recv().  PMD threads (and the main thread for ports
 * that no PMD polls). */
typedef int ext_rxq_recv_func(struct netdev_rxq *, struct dp_packet_batch *,
                              int *qfill);

/* Called after a receive that succeeded, replaced or not, with what it gave.
 * The same threads. */
typedef void ext_received_func(const struct netdev_rxq *,
                               const struct dp_packet_batch *);

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

/* Stands in front of the translation of a packet that no datapath flow
 * matches, or that one sends to userspace: calls 'next' with 'next_aux', or
 * answers in its place, and may change what goes in and what comes out.
 * Clears '*noted' to keep the answer from the hook 'upcall'.  PMD threads. */
typedef int ext_translate_func(const struct dp_packet *, const struct flow *,
                               ovs_u128 *ufid, unsigned int pmd_id,
                               enum dpif_upcall_type,
                               const struct nlattr *userdata,
                               struct ofpbuf *actions,
                               struct flow_wildcards *,
                               struct ofpbuf *put_actions,
                               upcall_callback *next, void *next_aux,
                               bool *noted);

/* Replaces netdev_pop_header() for packets of a "tnl_pop" action to any
 * netdev.  PMD threads. */
typedef void ext_pop_func(struct netdev *, struct dp_packet_batch *);

/* Called for packets of a "tnl_push" action to a netdev that is no tunnel's:
 * does with them what it likes, but keeps those that go on in the batch, and
 * returns 0; or returns an errno to have them dropped.  PMD threads. */
typedef int ext_push_func(struct dp_packet_batch *);

/* Replace the dpif functions of their names where ofproto calls them.  Any
 * thread. */
typedef void ext_dpif_operate_func(struct dpif *, struct dpif_op **,
                                   size_t n, enum dpif_offload_type);
typedef int ext_flow_dump_func(struct dpif_flow_dump_thread *,
                               struct dpif_flow *, int max);

/* Called after a dpif_flow_get() that succeeded.  Any thread. */
typedef void ext_flow_get_func(struct dpif_flow *);

/* Returns the number that a port which is about to be added to a datapath is
 * to have, or ODPP_NONE to let that choose.  Main thread. */
typedef odp_port_t ext_port_number_func(struct dpif *);

/* A port is about to be deleted from a datapath.  Main thread. */
typedef void ext_port_del_func(struct dpif *, odp_port_t);

/* Replaces xnanosleep_no_quiesce(), by which a PMD thread sleeps that receives
 * little (pmd-maxsleep).  PMD threads. */
typedef void ext_sleep_func(uint64_t nanoseconds);

/* Returns how many packets the calling thread has taken, in the iteration of
 * its loop that ends, without dpif-netdev having seen them.  PMD threads. */
typedef int ext_taken_func(void);

/* Rx queues come and go.  Main thread, while no PMD thread polls 'rx'. */
typedef int ext_rxq_open_func(struct netdev *, struct netdev_rxq **, int id);
typedef bool ext_rxq_close_func(struct netdev_rxq *);   /* True: was ours. */
typedef bool ext_rxq_owned_func(const struct netdev_rxq *);

/* Replaces netdev_n_rxq().  dpif-netdev asks in the main thread, before it
 * opens queues; offload threads and netdev-afxdp ask too, for what the device
 * has. */
typedef int ext_n_rxq_func(const struct netdev *);

/* Configuration of a datapath, of one of its ports.  Main thread. */
typedef void ext_dpif_config_func(struct dpif *, const struct smap *);

/* A datapath handle is about to be closed.  Any thread. */
typedef void ext_dpif_close_func(const struct dpif *);
typedef void ext_port_config_func(struct dpif *, odp_port_t,
                                  const struct smap *);

/* dpif-netdev has made a PMD thread's structure, which holds these counters
 * and whose core and NUMA node are set.  Main thread, before it starts. */
typedef void ext_pmd_init_func(struct pmd_perf_stats *);

/* 'seq' is about to go, and, if it is the 'reload_seq' of a PMD thread's
 * structure, so is that.  Any thread. */
typedef void ext_seq_destroy_func(const struct seq *);

/* Replaces netdev_dpdk_rte_flow_create() for rules of Open vSwitch.  Offload
 * threads. */
typedef struct rte_flow *ext_rte_flow_create_func(
    struct netdev *, const struct rte_flow_attr *,
    const struct rte_flow_item *, const struct rte_flow_action *,
    struct rte_flow_error *);

/* netdev_reconfigure() is about to be called, has been called.  Main
 * thread. */
typedef void ext_reconfigure_func(struct netdev *, bool begins);

/* Called when the daemon's database client is told to leave out a column;
 * returns true to have it received all the same.  Main thread. */
typedef bool ext_omit_func(struct ovsdb_idl *,
                           const struct ovsdb_idl_column *);

/* Daemon life cycle.  Main thread. */
typedef void ext_cycle_func(void);

struct ext_hooks {
    /* Packet path. */
    ATOMIC(ext_rxq_recv_func *) rxq_recv;
    ATOMIC(ext_received_func *) received;
    ATOMIC(ext_send_func *) send;
    ATOMIC(ext_upcall_func *) upcall;
    ATOMIC(ext_translate_func *) translate;
    ATOMIC(ext_pop_func *) pop;
    ATOMIC(ext_sleep_func *) sleep;
    ATOMIC(ext_taken_func *) taken;
    ATOMIC(ext_push_func *) push;

    /* Control path. */
    ATOMIC(ext_rxq_open_func *) rxq_open;
    ATOMIC(ext_rxq_close_func *) rxq_close;
    ATOMIC(ext_n_rxq_func *) n_rxq;
    ATOMIC(ext_rxq_owned_func *) rxq_owned;
    ATOMIC(ext_dpif_config_func *) dpif_config;
    ATOMIC(ext_dpif_close_func *) dpif_close;
    ATOMIC(ext_port_config_func *) port_config;
    ATOMIC(ext_dpif_operate_func *) dpif_operate;
    ATOMIC(ext_flow_dump_func *) flow_dump;
    ATOMIC(ext_flow_get_func *) flow_get;
    ATOMIC(ext_port_number_func *) port_number;
    ATOMIC(ext_port_del_func *) port_del;
    ATOMIC(ext_pmd_init_func *) pmd_init;
    ATOMIC(ext_seq_destroy_func *) seq_destroy;
    ATOMIC(ext_rte_flow_create_func *) rte_flow_create;
    ATOMIC(ext_reconfigure_func *) reconfigure;
    ATOMIC(ext_omit_func *) omit_column;
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
void ext_real_sleep(uint64_t nanoseconds);
void ext_real_pop_header(struct netdev *, struct dp_packet_batch *);
void ext_real_dpif_operate(struct dpif *, struct dpif_op **, size_t n,
                           enum dpif_offload_type);
int ext_real_flow_dump(struct dpif_flow_dump_thread *, struct dpif_flow *,
                       int max);

struct rte_flow *ext_real_rte_flow_create(struct netdev *,
                                          const struct rte_flow_attr *,
                                          const struct rte_flow_item *,
                                          const struct rte_flow_action *,
                                          struct rte_flow_error *);

/* Returns the flow API provider to register in the place of 'api'.  Not in the
 * table, since some are registered before that is filled. */
const struct netdev_flow_api *
ext_flow_api(const struct netdev_flow_api *api);

/* Wires every system into the table.  Called once, before bridge_init(). */
void ext_vswitchd_init(void);

#endif /* ext-hooks.h */
