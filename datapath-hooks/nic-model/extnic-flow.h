/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_FLOW_H
#define EXTNIC_FLOW_H 1

/* Flow table of the NIC model: rte_flow, as a SmartNIC with one bounded table
 * has it.
 *
 * Items: ETH, VLAN, IPV4, IPV6, TCP, UDP, SCTP, ICMP and VXLAN (outer headers
 * and VNI).  Actions: MARK, RSS, QUEUE, PASSTHRU (the queue is the indirection
 * table's), DROP, COUNT, JUMP to group 0, PORT_ID and REPRESENTED_PORT.  COUNT
 * may be indirect: such a counter outlives the rules that use it, one at a
 * time.  The latter two take the packet past the host; as
 * nothing is behind the model, that is the same as DROP.  Anything else is
 * refused with ENOTSUP and a message that names it, a full table with ENOSPC.
 *
 * Matching happens when a rule comes or goes, once per template of the
 * traffic; a packet pays only for its hit counter.  RSS of a rule spreads
 * over the rule's own queues and ignores the indirection table, as real NICs
 * do.  The rule with the lowest priority number wins, among equals the
 * oldest.
 *
 * Thread safety: one mutex per table, as rules may come from several
 * threads.  Lock order: this mutex, then the source's 'ctl_lock'. */

#include <stdbool.h>
#include <stdint.h>

struct extnic_args;
struct extnic_flow_table;
struct extnic_link;
struct extnic_source;
struct rte_flow_ops;

extern const struct rte_flow_ops extnic_flow_ops;

/* 'source' may be null: a sink, whose rules never match. */
struct extnic_flow_table *extnic_flow_table_create(struct extnic_source *,
                                                   struct extnic_link *,
                                                   const struct extnic_args *);
void extnic_flow_table_destroy(struct extnic_flow_table *);

/* Number of rules. */
uint32_t extnic_flow_count(const struct extnic_flow_table *);

/* Number of rules in force whose packets do not reach the host. */
uint32_t extnic_flow_drops(const struct extnic_flow_table *);

/* Overwrites the codes of the templates that rules direct.  The caller holds
 * the table's mutex through extnic_flow_lock(). */
void extnic_flow_apply(struct extnic_source *, uint32_t *codes);

void extnic_flow_lock(struct extnic_flow_table *);
void extnic_flow_unlock(struct extnic_flow_table *);

#endif /* extnic-flow.h */
