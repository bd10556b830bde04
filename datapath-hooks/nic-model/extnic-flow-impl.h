/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_FLOW_IMPL_H
#define EXTNIC_FLOW_IMPL_H 1

/* What the files of the flow table share; see extnic-flow.h. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-flow.h"
#include "datapath-hooks/nic-model/extnic-match.h"
#include "datapath-hooks/nic-model/extnic-source.h"
#include "datapath-hooks/nic-model/extnic-tuple.h"

struct rte_flow_action;
struct rte_flow_attr;
struct rte_flow_error;
struct rte_flow_item;

/* A rule. */
struct rte_flow {
    struct extnic_match match;
    uint32_t slot;              /* In the table. */
    uint32_t priority;
    uint64_t order;             /* Of creation. */
    bool has_mark, drop, count;
    uint32_t mark;
    uint16_t n_queues;          /* 0: the indirection table. */
    uint16_t queues[EXTNIC_MAX_QUEUES];
    uint64_t base[2];           /* Packets, bytes when last reset. */
    struct rte_flow_action_handle *counter;     /* Or null. */
    uint64_t counter_base[2];   /* Packets, bytes when it was attached. */
    bool exact;                 /* It matches 'tuple' only. */
    struct extnic_tuple tuple;
    struct rte_flow *next_loose;    /* Of those that are not exact. */
};

/* An indirect COUNT. */
struct rte_flow_action_handle {
    uint64_t sum[2];            /* Packets, bytes of rules that are gone. */
    struct rte_flow *rule;      /* That uses it now, or null. */
};

struct extnic_flow_table {
    pthread_mutex_t mutex;
    struct extnic_source *source;
    struct extnic_link *link;
    uint32_t max, insert_us;
    uint32_t n, n_drops;
    uint64_t order;
    struct rte_flow **rules;    /* [max], null where free. */
    uint32_t *free;             /* Stack of free slots. */
    struct rte_flow *loose;     /* Rules that are not exact. */
    struct extnic_index exact;  /* Slots of those that are. */
    struct extnic_index templates;
    bool indexed;               /* 'templates' is filled. */
};

/* Makes '*rule' of what the host asks for.  Returns 0 or a negative errno,
 * also noted in 'error'. */
int extnic_flow_parse(const struct extnic_flow_table *,
                      const struct rte_flow_attr *,
                      const struct rte_flow_item *,
                      const struct rte_flow_action *, struct rte_flow *rule,
                      struct rte_flow_error *error);

/* Puts 'rule' into the table, or takes it out and frees it.  The caller holds
 * the mutex.  Return 0 or a positive errno: nothing has changed then. */
int extnic_rule_insert(struct extnic_flow_table *, struct rte_flow *rule);
int extnic_rule_remove(struct extnic_flow_table *, struct rte_flow *rule);

/* Packets and bytes that 'rule' has hit, less those of 'base'.  The caller
 * holds the mutex. */
void extnic_rule_hits(const struct extnic_flow_table *,
                      const struct rte_flow *rule, const uint64_t base[2],
                      uint64_t sum[2]);

#endif /* extnic-flow-impl.h */
