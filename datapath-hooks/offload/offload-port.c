/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Ports that have a flow API, and the numbers of ports. */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/offload/offload.h"
#include "dpif-provider.h"
#include "hash.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "odp-util.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

/* An update that takes longer means that the device does not answer. */
#define HANG_MSEC 1000

struct cmap offload_ports = CMAP_INITIALIZER;
static struct ovs_mutex ports_mutex = OVS_MUTEX_INITIALIZER;

/* Below this one, numbers may have been those of ports that are no more; main
 * thread. */
static uint32_t next_number = 1;

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

/* Numbers.
 *
 * dpif-netdev gives a new port the lowest number that is free, and keeps the
 * flows of one that was deleted until revalidators find out.  If a port comes
 * before they do, such flows are taken for its own: they go on, but they were
 * offered to the device that is gone, and nobody offers them again.  So no
 * number comes back before all others have been used. */

/* Returns the number that a new port of 'dpif' is to have, or ODPP_NONE if
 * the datapath may choose. */
odp_port_t
offload_port_number(struct dpif *dpif)
{
    if (next_number == 1 || offload_mode() != OFFLOAD_ON
        || strcmp(dpif_type(dpif), "netdev")
        || !netdev_is_flow_api_enabled()) {
        return ODPP_NONE;
    }
    for (uint32_t n = next_number; n <= UINT16_MAX; n++) {
        /* Not by dpif_port_query_by_number(), which warns if it is free. */
        if (dpif->dpif_class->port_query_by_number(dpif, u32_to_odp(n),
                                                   NULL)) {
            return u32_to_odp(n);
        }
    }
    next_number = 1;            /* All have been used. */
    return ODPP_NONE;
}

/* A port with that number is about to be deleted. */
void
offload_port_del(odp_port_t number)
{
    uint32_t n = odp_to_u32(number);

    if (n >= next_number && n <= UINT16_MAX) {
        next_number = n + 1;
    }
}
