/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Rules as rte_flow has them. */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-flow-impl.h"

#include <errno.h>
#include <string.h>

#include <rte_flow.h>
#include <rte_flow_driver.h>

static int
parse_attr(const struct rte_flow_attr *attr, struct rte_flow *rule,
           struct rte_flow_error *error)
{
    if (attr->egress) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ATTR_EGRESS, attr,
                                  "egress rules are not supported");
    }
    if (attr->group) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ATTR_GROUP, attr,
                                  "there is group 0 only");
    }
    rule->priority = attr->priority;
    return 0;
}

static int
parse_queues(const struct extnic_flow_table *table, const uint16_t *queues,
             uint32_t n, struct rte_flow *rule,
             const struct rte_flow_action *action,
             struct rte_flow_error *error)
{
    uint32_t n_rxq = table->source ? table->source->n_rxq : EXTNIC_MAX_QUEUES;

    if (!n || n > EXTNIC_MAX_QUEUES) {
        return rte_flow_error_set(error, EINVAL,
                                  RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "bad number of queues");
    }
    for (uint32_t i = 0; i < n; i++) {
        if (queues[i] >= n_rxq) {
            return rte_flow_error_set(error, EINVAL,
                                      RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                      "no such queue");
        }
        rule->queues[i] = queues[i];
    }
    rule->n_queues = n;
    return 0;
}

static int
parse_rss(const struct extnic_flow_table *table,
          const struct rte_flow_action *action, struct rte_flow *rule,
          struct rte_flow_error *error)
{
    const struct rte_flow_action_rss *rss = action->conf;

    if (rss->key_len || rss->level
        || (rss->func != RTE_ETH_HASH_FUNCTION_DEFAULT
            && rss->func != RTE_ETH_HASH_FUNCTION_TOEPLITZ)) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "RSS with an own key, level or function is "
                                  "not supported");
    }
    return parse_queues(table, rss->queue, rss->queue_num, rule, action,
                        error);
}

/* The only kind of handle there is. */
static int
parse_indirect(const struct rte_flow_action *action, struct rte_flow *rule,
               struct rte_flow_error *error)
{
    struct rte_flow_action_handle *counter
        = (struct rte_flow_action_handle *) (uintptr_t) action->conf;

    if (counter->rule || rule->counter) {
        return rte_flow_error_set(error, EBUSY,
                                  RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "a counter serves one rule at a time");
    }
    rule->counter = counter;
    rule->count = true;
    return 0;
}

static int
parse_action(const struct extnic_flow_table *table,
             const struct rte_flow_action *action, struct rte_flow *rule,
             struct rte_flow_error *error)
{
    switch ((int) action->type) {
    case RTE_FLOW_ACTION_TYPE_VOID:
        return 0;
    case RTE_FLOW_ACTION_TYPE_PASSTHRU:
        rule->n_queues = 0;
        return 0;
    case RTE_FLOW_ACTION_TYPE_INDIRECT:
        return parse_indirect(action, rule, error);
    case RTE_FLOW_ACTION_TYPE_MARK:
        rule->has_mark = true;
        rule->mark = ((const struct rte_flow_action_mark *) action->conf)->id;
        return 0;
    case RTE_FLOW_ACTION_TYPE_RSS:
        return parse_rss(table, action, rule, error);
    case RTE_FLOW_ACTION_TYPE_QUEUE:
        return parse_queues(table,
                            &((const struct rte_flow_action_queue *)
                              action->conf)->index, 1, rule, action, error);
    case RTE_FLOW_ACTION_TYPE_COUNT:
        rule->count = true;
        return 0;
    case RTE_FLOW_ACTION_TYPE_DROP:
    case RTE_FLOW_ACTION_TYPE_PORT_ID:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        rule->drop = true;
        return 0;
    case RTE_FLOW_ACTION_TYPE_JUMP:
        if (!((const struct rte_flow_action_jump *) action->conf)->group) {
            return 0;
        }
        /* Fall through. */
    default:
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ACTION, action,
                                  "action is not one of MARK RSS QUEUE "
                                  "PASSTHRU DROP COUNT PORT_ID "
                                  "REPRESENTED_PORT JUMP(0)");
    }
}

int
extnic_flow_parse(const struct extnic_flow_table *table,
                  const struct rte_flow_attr *attr,
                  const struct rte_flow_item *items,
                  const struct rte_flow_action *actions,
                  struct rte_flow *rule, struct rte_flow_error *error)
{
    int retval;

    memset(rule, 0, sizeof *rule);
    retval = parse_attr(attr, rule, error);
    if (!retval) {
        retval = extnic_match_compile(items, &rule->match, error);
    }
    for (; !retval && actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        retval = parse_action(table, actions, rule, error);
    }
    return retval;
}
