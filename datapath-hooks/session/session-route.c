/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Routes of tunnels and the neighbors they lead by, as Open vSwitch's
 * translation looks them up, which does not say what it misses.  Main
 * thread. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "netdev.h"
#include "ofproto/ofproto-dpif.h"
#include "openvswitch/shash.h"
#include "ovs-router.h"
#include "packets.h"
#include "sset.h"
#include "tnl-neigh-cache.h"
#include "util.h"

static bool
take_port(struct session_route *route, struct ofproto_dpif *bridge,
          const struct dpif_backer *backer)
{
    if (!bridge || bridge->backer != backer) {
        return false;
    }
    route->bridge = bridge;
    route->port = shash_find_data(&bridge->up.port_by_name, route->dev);
    return route->port != NULL;
}

/* Finds the bridge of the device: the one of that name, else any that has such
 * a port. */
static bool
find_port(struct session_route *route, const struct dpif_backer *backer)
{
    bool found = take_port(route, ofproto_dpif_lookup_by_name(route->dev),
                           backer);

    if (!found) {
        struct sset names = SSET_INITIALIZER(&names);
        const char *name;

        ofproto_enumerate_names(backer->type, &names);
        SSET_FOR_EACH (name, &names) {
            found = take_port(route, ofproto_dpif_lookup_by_name(name),
                              backer);
            if (found) {
                break;
            }
        }
        sset_destroy(&names);
    }
    return found;
}

/* Stores in 'route' how packets get from 'tunnel', a port, to 'dst'.  Returns
 * false if there is no route, or none by a bridge of 'backer'. */
bool
session_route_find(const struct dpif_backer *backer,
                   const struct ofport *tunnel, const struct in6_addr *dst,
                   struct session_route *route)
{
    const struct netdev_tunnel_config *config
        = netdev_get_tunnel_config(tunnel->netdev);
    uint32_t mark = (config->set_egress_pkt_mark ? config->egress_pkt_mark
                     : 0);
    struct in6_addr gw = in6addr_any;

    route->src = config->ipv6_src;
    if (!ovs_router_lookup(mark, dst, route->dev, &route->src, &gw)) {
        return false;
    }
    route->hop = (ipv6_addr_is_set(&gw)
                  && (!IN6_IS_ADDR_V4MAPPED(&gw)
                      || in6_addr_get_mapped_ipv4(&gw)) ? gw : *dst);
    return find_port(route, backer);
}

/* Whether the MAC of the next hop is known.  Asked, it is remembered for
 * longer. */
bool
session_route_has_neighbor(const struct session_route *route)
{
    struct eth_addr mac;

    return !tnl_neigh_lookup(route->bridge->up.name, &route->hop, &mac);
}
