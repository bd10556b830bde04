/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_RTE_H
#define OFFLOAD_RTE_H 1

/* What happens between Open vSwitch's DPDK flow API and rte_flow.
 *
 * netdev-offload-dpdk calls netdev_dpdk_rte_flow_create(), in whose front we
 * stand (ext-hooks.c), in order to
 *
 * - learn why a rule was not created: the flow API only says that;
 *
 * - count with a counter of our own (an indirect COUNT action) that can still
 *   be read when the rule is gone, so that packets matched between the last
 *   reading and the removal are not lost.  Devices that have no such counters
 *   get the rule as it was;
 *
 * - keep MARK+RSS rules from defeating the redirection table and rules for
 *   queues.  Such a rule lists the queues 0...n-1 itself and so spreads its
 *   packets as the table did when the port came up.  While steering moves
 *   buckets of a port by its table, the rule is created with PASSTHRU in the
 *   place of RSS: it marks packets and leaves the queue to the table, whatever
 *   that says by then.  A list of queues copied from the table would have to
 *   be written anew, rule by rule, with each move.  Where traffic has a queue
 *   to itself, that is in the place of RSS (offload-queue.h).  If the device
 *   cannot do that, the rule is not created, and the packets go without a
 *   mark.
 *
 * Thread safety: offload threads and who acts as one (offload-flow.h);
 * offload_counter_read() any thread, until destroyed. */

#include <errno.h>
#include <stdbool.h>

struct dpif_flow_stats;
struct netdev;
struct offload_counter;
struct rte_flow;
struct rte_flow_action;
struct rte_flow_attr;
struct rte_flow_error;
struct rte_flow_item;

/* How a flow_put went at the device; rules that fell back count as the last
 * one tried, but for 'error': ENOSPC stays. */
struct offload_rte_put {
    bool count;                 /* Use a counter of our own. */
    int wanted;                 /* Target of a rule that only marks. */
    int error;                  /* 0 or a positive errno. */
    bool refused;               /* By us: the device was not asked. */
    bool partial;               /* It marks packets, no more. */
    int target;                 /* Of such a rule. */
    struct offload_counter *counter;    /* Or null. */
};

/* Between these, rules that the calling thread creates go to '*put'. */
void offload_rte_begin(struct offload_rte_put *put, bool count, int target);
void offload_rte_end(void);

struct rte_flow *offload_rte_create(struct netdev *,
                                    const struct rte_flow_attr *,
                                    const struct rte_flow_item *,
                                    const struct rte_flow_action *,
                                    struct rte_flow_error *);

/* Stores packets and bytes since the counter was created.  Returns 0 or a
 * positive errno. */
int offload_counter_read(const struct offload_counter *,
                         struct dpif_flow_stats *);
void offload_counter_destroy(struct offload_counter *);

#endif /* offload-rte.h */
