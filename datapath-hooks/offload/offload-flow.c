/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Who may change rules when, and candidates as such.  Their rules are in
 * offload-rule.c, the ports that they belong to in offload-port.c. */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <stdlib.h>

#include "flow.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "openvswitch/match.h"
#include "ovs-rcu.h"
#include "util.h"

/* As many offload threads as Open vSwitch allows. */
#define MAX_THREADS 10

/* Of each offload thread. */
static struct ovs_mutex thread_mutex[MAX_THREADS] = {
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER,
};

/* Threads. */

unsigned int
offload_enter(const ovs_u128 *ufid)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    unsigned int tid = netdev_offload_ufid_to_thread_id(*ufid);

    ovs_mutex_lock(&thread_mutex[tid]);
    *netdev_offload_thread_id_get() = tid;
    return tid;
}

void
offload_leave(unsigned int tid)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    ovs_mutex_unlock(&thread_mutex[tid]);
}

void
offload_enter_all(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    for (int i = 0; i < MAX_THREADS; i++) {
        ovs_mutex_lock(&thread_mutex[i]);
    }
}

void
offload_leave_all(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    for (int i = 0; i < MAX_THREADS; i++) {
        ovs_mutex_unlock(&thread_mutex[i]);
    }
}

bool
offload_flow_begin(const struct offload_flow *flow, struct offload_turn *turn)
{
    struct netdev *netdev = netdev_from_name(flow->port->name);
    bool dead;

    /* Not under the lock: Open vSwitch frees a netdev with a lock held that
     * offload threads take inside theirs. */
    if (netdev != flow->port->netdev) {
        netdev_close(netdev);
        return false;
    }
    turn->netdev = netdev;
    turn->tid = offload_enter(&flow->ufid);
    atomic_read(&flow->dead, &dead);
    if (dead) {
        offload_flow_end(turn);
    }
    return !dead;
}

void
offload_flow_end(struct offload_turn *turn)
{
    offload_leave(turn->tid);
    netdev_close(turn->netdev);
}

/* Flows. */

static uint32_t
ufid_hash(const ovs_u128 *ufid)
{
    return ufid->u32[0];
}

struct offload_flow *
offload_flow_find(const struct offload_port *port, const ovs_u128 *ufid)
{
    struct offload_flow *flow;

    CMAP_FOR_EACH_WITH_HASH (flow, node, ufid_hash(ufid), &port->flows) {
        if (ovs_u128_equals(flow->ufid, *ufid)) {
            return flow;
        }
    }
    return NULL;
}

/* Adds a candidate with 'ufid', which is not among those of 'port'.  It has
 * to be given what to insert by offload_flow_set(), in the same go. */
struct offload_flow *
offload_flow_add(struct offload_port *port, const ovs_u128 *ufid)
{
    struct offload_flow *flow = xzalloc(sizeof *flow);

    flow->ufid = *ufid;
    flow->port = port;
    ovs_refcount_ref(&port->refs);
    ovs_refcount_init(&flow->refs);
    atomic_init(&flow->dead, false);
    ovs_mutex_init(&flow->device);
    ovs_mutex_init(&flow->mutex);
    ovs_mutex_lock(&port->mutex);
    cmap_insert(&port->flows, &flow->node, ufid_hash(ufid));
    ovs_mutex_unlock(&port->mutex);
    return flow;
}

static void
flow_clear(struct offload_flow *flow)
{
    free(flow->flow);
    free(flow->mask);
    free(flow->actions);
}

static void
flow_free(struct offload_flow *flow)
{
    flow_clear(flow);
    ovs_mutex_destroy(&flow->device);
    ovs_mutex_destroy(&flow->mutex);
    offload_port_unref(flow->port);
    free(flow);
}

/* Takes a reference to a flow that was found without one, in the present RCU
 * period.  Returns false if it is about to be freed. */
bool
offload_flow_try_ref(struct offload_flow *flow)
{
    return ovs_refcount_try_ref_rcu(&flow->refs);
}

void
offload_flow_unref(struct offload_flow *flow)
{
    if (ovs_refcount_unref(&flow->refs) == 1) {
        ovsrcu_postpone(flow_free, flow);
    }
}

/* Takes a copy of what OVS wants offloaded; not of the OpenFlow layout of
 * tunnel metadata, which dpif-netdev leaves uninitialized and no provider
 * reads. */
void
offload_flow_set(struct offload_flow *flow, const struct match *match,
                 const struct nlattr *actions, size_t actions_len,
                 const struct offload_info *info)
{
    ovs_mutex_lock(&flow->mutex);
    flow_clear(flow);
    flow->flow = miniflow_create(&match->flow);
    flow->mask = minimask_create(&match->wc);
    flow->actions = actions_len ? xmemdup(actions, actions_len) : NULL;
    flow->actions_len = actions_len;
    flow->mark = info->flow_mark;
    flow->orig_in_port = info->orig_in_port;
    ovs_mutex_unlock(&flow->mutex);
}

/* Stores what 'flow' matches. */
void
offload_flow_match(struct offload_flow *flow, struct flow *f,
                   struct flow_wildcards *wc)
{
    ovs_mutex_lock(&flow->mutex);
    miniflow_expand(flow->flow, f);
    minimask_expand(flow->mask, wc);
    ovs_mutex_unlock(&flow->mutex);
}

/* Takes 'flow' from the table, whatever its rule. */
void
offload_flow_drop(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;

    ovs_mutex_lock(&port->mutex);
    cmap_remove(&port->flows, &flow->node, ufid_hash(&flow->ufid));
    ovs_mutex_unlock(&port->mutex);
    atomic_store(&flow->dead, true);
    offload_flow_unref(flow);
}

/* Takes 'flow' from the table; its rule has to be out or stuck. */
void
offload_flow_remove(struct offload_flow *flow)
{
    if (offload_flow_is_stuck(flow)) {
        offload_flow_give_up(flow);
        atomic_store(&flow->dead, true);
    } else {
        offload_flow_drop(flow);
    }
}
