/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Whether packets that are put into a tunnel still fit through the ports that
 * they leave by: one that drops what is too long tells nobody.  Main thread.
 *
 * How long packets get is not known.  They come in by ports of the service's
 * bridge, so what counts is the largest MTU there. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dpif.h"
#include "netdev-offload.h"
#include "netdev.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "openvswitch/hmap.h"
#include "util.h"

/* Those of the ports that packets leave by. */
struct exits {
    const char *type;           /* Of the datapath. */
    int mtu;                    /* The smallest so far; INT_MAX: none known. */
    char *name;                 /* Whose that is. */
};

static void
take_netdev(struct exits *exits, const struct netdev *netdev)
{
    int mtu;

    if (!netdev_get_mtu(netdev, &mtu) && mtu < exits->mtu) {
        exits->mtu = mtu;
        free(exits->name);
        exits->name = xstrdup(netdev_get_name(netdev));
    }
}

/* Takes the ports among datapath actions 'acts'. */
static void
take_outputs(struct exits *exits, const struct nlattr *acts, size_t size)
{
    const struct nlattr *a;
    size_t left;

    NL_ATTR_FOR_EACH (a, left, acts, size) {
        if (nl_attr_type(a) == OVS_ACTION_ATTR_OUTPUT) {
            struct netdev *netdev = netdev_ports_get(nl_attr_get_odp_port(a),
                                                     exits->type);

            if (netdev) {
                take_netdev(exits, netdev);
                netdev_close(netdev);
            }
        } else if (nl_attr_type(a) == OVS_ACTION_ATTR_CLONE) {
            take_outputs(exits, nl_attr_get(a), nl_attr_get_size(a));
        }
    }
}

/* The largest MTU of a port of 'bridge', but for the one of 'exits'. */
static int
largest_mtu(const struct ofproto_dpif *bridge, const struct exits *exits)
{
    const struct ofport *port;
    int largest = 0;

    HMAP_FOR_EACH (port, hmap_node, &bridge->up.ports) {
        if (port->mtu > largest
            && strcmp(netdev_get_name(port->netdev), exits->name)) {
            largest = port->mtu;
        }
    }
    return largest;
}

/* Says in 'way', one into a tunnel from 'bridge', if the largest packets would
 * not fit. */
void
session_mtu_check(const struct ofproto_dpif *bridge, struct session_way *way)
{
    const struct session_actions *a = way->actions;
    struct exits exits = {
        .type = dpif_normalize_type(dpif_type(bridge->backer->dpif)),
        .mtu = INT_MAX,
    };
    int need;

    take_outputs(&exits, (const struct nlattr *) a->data, a->size);
    if (!exits.name) {
        /* A bond, say, which is decided on later. */
        take_netdev(&exits, way->route.port->netdev);
    }
    if (exits.name) {
        need = largest_mtu(bridge, &exits) + way->header_len;
        if (need > exits.mtu) {
            session_way_note(way, "%s has MTU %d, full packets need %d",
                             exits.name, exits.mtu, need);
        }
        free(exits.name);
    }
}
