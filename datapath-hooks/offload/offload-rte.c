/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* For indirect actions. */
#define ALLOW_EXPERIMENTAL_API

#include <config.h>

#include "datapath-hooks/offload/offload-rte.h"

#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_flow.h>

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "dpif.h"
#include "netdev-dpdk.h"
#include "netdev.h"
#include "util.h"

/* Rules of Open vSwitch have fewer actions; longer ones are left alone. */
#define MAX_ACTIONS 64

struct offload_counter {
    uint16_t port;
    struct rte_flow_action_handle *handle;
};

static __thread struct offload_rte_put *current;

void
offload_rte_begin(struct offload_rte_put *put, bool count, int target)
{
    memset(put, 0, sizeof *put);
    put->count = count;
    put->wanted = target;
    current = put;
}

void
offload_rte_end(void)
{
    current = NULL;
}

/* Counters. */

static struct offload_counter *
counter_create(struct netdev *netdev, const struct rte_flow_attr *attr,
               const struct rte_flow_action *count)
{
    const struct rte_flow_indir_action_conf conf = {
        .ingress = attr->ingress,
        .transfer = attr->transfer,
    };
    int port = netdev_dpdk_get_port_id(netdev);
    struct rte_flow_action_handle *handle;
    struct offload_counter *counter;
    struct rte_flow_error error;

    handle = (port < 0 ? NULL
              : rte_flow_action_handle_create(port, &conf, count, &error));
    if (!handle) {
        return NULL;
    }
    counter = xmalloc(sizeof *counter);
    counter->port = port;
    counter->handle = handle;
    return counter;
}

int
offload_counter_read(const struct offload_counter *counter,
                     struct dpif_flow_stats *stats)
{
    struct rte_flow_query_count query = { .reset = 0 };
    struct rte_flow_error error;
    int retval;

    retval = rte_flow_action_handle_query(counter->port, counter->handle,
                                          &query, &error);
    if (!retval) {
        stats->n_packets = query.hits_set ? query.hits : 0;
        stats->n_bytes = query.bytes_set ? query.bytes : 0;
    }
    return -retval;
}

void
offload_counter_destroy(struct offload_counter *counter)
{
    struct rte_flow_error error;

    rte_flow_action_handle_destroy(counter->port, counter->handle, &error);
    free(counter);
}

/* Rules. */

/* Copies 'from' to 'to', with 'replacement' for actions of 'type'.  Returns
 * the action replaced, or null if there is none or are too many actions. */
static const struct rte_flow_action *
replace(const struct rte_flow_action *from, enum rte_flow_action_type type,
        const struct rte_flow_action *replacement,
        struct rte_flow_action to[MAX_ACTIONS])
{
    const struct rte_flow_action *found = NULL;

    for (size_t i = 0; i < MAX_ACTIONS; i++) {
        to[i] = from[i];
        if (from[i].type == RTE_FLOW_ACTION_TYPE_END) {
            return found;
        } else if (from[i].type == type) {
            to[i] = *replacement;
            found = &from[i];
        }
    }
    return NULL;
}

static bool
has_action(const struct rte_flow_action *actions,
           enum rte_flow_action_type type)
{
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        if (actions->type == type) {
            return true;
        }
    }
    return false;
}

/* Creates the rule with a counter of our own.  Returns null if that cannot be
 * done, for which the reason is in rte_errno. */
static struct rte_flow *
create_counted(struct netdev *netdev, const struct rte_flow_attr *attr,
               const struct rte_flow_item *items,
               const struct rte_flow_action *actions,
               struct rte_flow_error *error)
{
    struct rte_flow_action indirect = {
        .type = RTE_FLOW_ACTION_TYPE_INDIRECT,
    };
    struct rte_flow_action mine[MAX_ACTIONS];
    const struct rte_flow_action *count;
    struct offload_counter *counter;
    struct rte_flow *flow;

    rte_errno = ENOTSUP;
    count = replace(actions, RTE_FLOW_ACTION_TYPE_COUNT, &indirect, mine);
    counter = count ? counter_create(netdev, attr, count) : NULL;
    if (!counter) {
        rte_errno = ENOTSUP;
        return NULL;
    }
    indirect.conf = counter->handle;
    replace(actions, RTE_FLOW_ACTION_TYPE_COUNT, &indirect, mine);
    flow = ext_real_rte_flow_create(netdev, attr, items, mine, error);
    if (flow) {
        current->counter = counter;
    } else {
        int save_errno = rte_errno;

        offload_counter_destroy(counter);
        rte_errno = save_errno;
    }
    return flow;
}

/* Creates a rule that only marks packets. */
static struct rte_flow *
create_partial(struct netdev *netdev, const struct rte_flow_attr *attr,
               const struct rte_flow_item *items,
               const struct rte_flow_action *actions,
               struct rte_flow_error *error)
{
    int target = current ? current->wanted : OFFLOAD_TO_RSS;
    struct rte_flow_action_queue queue = { .index = MAX(target, 0) };
    struct rte_flow_action instead = {
        .type = (target >= 0 ? RTE_FLOW_ACTION_TYPE_QUEUE
                 : RTE_FLOW_ACTION_TYPE_PASSTHRU),
        .conf = target >= 0 ? &queue : NULL,
    };
    struct rte_flow_action mine[MAX_ACTIONS];

    if (current) {
        current->partial = true;
        current->target = target;
    }
    if (target == OFFLOAD_TO_NOBODY) {
        if (current) {
            current->refused = true;
        }
        rte_errno = EBUSY;
        error->type = RTE_FLOW_ERROR_TYPE_ACTION;
        error->message = "its packets belong to several queues";
        return NULL;
    } else if (target != OFFLOAD_TO_RSS
               && replace(actions, RTE_FLOW_ACTION_TYPE_RSS, &instead,
                          mine)) {
        actions = mine;
    }
    return ext_real_rte_flow_create(netdev, attr, items, actions, error);
}

static struct rte_flow *
create(struct netdev *netdev, const struct rte_flow_attr *attr,
       const struct rte_flow_item *items,
       const struct rte_flow_action *actions, struct rte_flow_error *error)
{
    struct rte_flow *flow;

    if (has_action(actions, RTE_FLOW_ACTION_TYPE_RSS)) {
        return create_partial(netdev, attr, items, actions, error);
    } else if (current && current->count) {
        flow = create_counted(netdev, attr, items, actions, error);
        if (flow || (rte_errno != ENOTSUP && rte_errno != EINVAL)) {
            return flow;        /* A counter is not what was wrong. */
        }
    }
    return ext_real_rte_flow_create(netdev, attr, items, actions, error);
}

/* In front of netdev_dpdk_rte_flow_create(). */
struct rte_flow *
offload_rte_create(struct netdev *netdev, const struct rte_flow_attr *attr,
                   const struct rte_flow_item *items,
                   const struct rte_flow_action *actions,
                   struct rte_flow_error *error)
{
    struct rte_flow *flow;

    rte_errno = 0;
    if (current) {
        current->partial = false;
        current->refused = false;
    }
    flow = create(netdev, attr, items, actions, error);
    if (!flow && current && current->error != ENOSPC) {
        current->error = rte_errno ? rte_errno : EIO;
    }
    if (!flow && current && current->count && error) {
        /* The planner expects tables to be full and tries again what fails:
         * that is not worth the warning that OVS would log. */
        error->type = RTE_FLOW_ERROR_TYPE_ACTION;
    }
    return flow;
}
