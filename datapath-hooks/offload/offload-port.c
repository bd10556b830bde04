/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Ports that have a flow API. */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

/* An update that takes longer means that the device does not answer. */
#define HANG_MSEC 1000

struct cmap offload_ports = CMAP_INITIALIZER;
static struct ovs_mutex ports_mutex = OVS_MUTEX_INITIALIZER;

struct offload_port *
offload_port_find(const struct netdev *netdev)
{
    struct offload_port *port;

    CMAP_FOR_EACH_WITH_HASH (port, node, hash_pointer(netdev, 0),
                             &offload_ports) {
        if (port->netdev == netdev) {
            return port;
        }
    }
    return NULL;
}

/* 'netdev' got flow API 'api'. */
void
offload_port_create(struct netdev *netdev, const struct netdev_flow_api *api)
{
    struct offload_port *port = xzalloc(sizeof *port);

    port->netdev = netdev;
    port->api = api;
    port->name = xstrdup(netdev_get_name(netdev));
    port->is_dpdk = !strcmp(api->type, "dpdk_flow_api");
    ovs_refcount_init(&port->refs);
    atomic_init(&port->dead, false);
    atomic_init(&port->had_stock, false);
    atomic_init(&port->stock_partial, false);
    cmap_init(&port->flows);
    ovs_mutex_init(&port->mutex);
    atomic_init(&port->full_at, UINT32_MAX);
    atomic_init(&port->capacity, OFFLOAD_UNKNOWN);
    port->plan_port = -1;

    ovs_mutex_lock(&ports_mutex);
    cmap_insert(&offload_ports, &port->node, hash_pointer(netdev, 0));
    ovs_mutex_unlock(&ports_mutex);
}

static void
offload_port_free(struct offload_port *port)
{
    cmap_destroy(&port->flows);
    ovs_mutex_destroy(&port->mutex);
    free(port->name);
    free(port);
}

void
offload_port_unref(struct offload_port *port)
{
    if (ovs_refcount_unref(&port->refs) == 1) {
        ovsrcu_postpone(offload_port_free, port);
    }
}

bool
offload_port_hangs(const struct offload_port *port)
{
    long long int since;

    atomic_read_relaxed(&port->busy_since, &since);
    return since && time_msec() - since > HANG_MSEC;
}

/* 'netdev' is about to lose its flow API and to be freed, under a lock that
 * offload threads take inside theirs.  Who changes rules has a reference to
 * the netdev, so nobody does.  With DPDK each rule has one too, so there is
 * none. */
void
offload_port_destroy(struct netdev *netdev)
{
    struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;

    if (!port) {
        return;
    }
    CMAP_FOR_EACH (flow, node, &port->flows) {
        if (!port->is_dpdk && offload_flow_installed(flow, NULL)) {
            offload_flow_uninstall(flow);
        }
        offload_flow_drop(flow);
    }
    atomic_store(&port->dead, true);

    ovs_mutex_lock(&ports_mutex);
    cmap_remove(&offload_ports, &port->node, hash_pointer(netdev, 0));
    ovs_mutex_unlock(&ports_mutex);
    offload_port_unref(port);
}
