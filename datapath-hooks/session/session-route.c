/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Routes of tunnels and the neighbors they lead by, as Open vSwitch's
 * translation looks them up, which does not say what it misses.  Main thread.
 *
 * A translation asks for a neighbor that it misses, each time.  Many targets
 * may lead by one that does not answer, so who is to be asked when is
 * remembered here. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "netdev.h"
#include "ofproto/ofproto-dpif.h"
#include "openvswitch/hmap.h"
#include "openvswitch/shash.h"
#include "ovs-router.h"
#include "packets.h"
#include "sset.h"
#include "tnl-neigh-cache.h"
#include "util.h"

enum {
    ASK_MS = 200,               /* Once more after this, twice... */
    MAX_ASK_MS = 2000,          /* ...and at last so long. */
    FORGET_MS = 60000           /* Nobody wants to know any more. */
};

/* A neighbor that has been asked for and is not known. */
struct asked {
    struct hmap_node node;      /* In 'all_asked'. */
    char bridge[IFNAMSIZ];
    struct in6_addr hop;
    long long int next;         /* Not before, ms. */
    int pause;                  /* So long after that. */
};

static struct hmap all_asked = HMAP_INITIALIZER(&all_asked);

static uint32_t
hash_hop(const struct session_route *route)
{
    return hash_bytes(&route->hop, sizeof route->hop, 0);
}

static struct asked *
find_asked(const struct session_route *route)
{
    struct asked *a;

    HMAP_FOR_EACH_WITH_HASH (a, node, hash_hop(route), &all_asked) {
        if (ipv6_addr_equals(&a->hop, &route->hop)
            && !strncmp(a->bridge, route->bridge->up.name,
                        sizeof a->bridge - 1)) {
            return a;
        }
    }
    return NULL;
}

static void
forget(struct asked *a)
{
    hmap_remove(&all_asked, &a->node);
    free(a);
}

static struct asked *
add_asked(const struct session_route *route, long long int now)
{
    struct asked *a;

    HMAP_FOR_EACH_SAFE (a, node, &all_asked) {
        if (now >= a->next + FORGET_MS) {
            forget(a);
        }
    }
    a = xzalloc(sizeof *a);
    ovs_strlcpy(a->bridge, route->bridge->up.name, sizeof a->bridge);
    a->hop = route->hop;
    a->pause = ASK_MS;
    hmap_insert(&all_asked, &a->node, hash_hop(route));
    return a;
}

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
    struct asked *a;

    if (tnl_neigh_lookup(route->bridge->up.name, &route->hop, &mac)) {
        return false;
    }
    a = find_asked(route);
    if (a) {
        forget(a);
    }
    return true;
}

/* Whether the next hop, not known, may be asked for at 'now', ms: if so, the
 * caller asks.  Stores in '*next' when it may be the next time. */
bool
session_route_may_ask(const struct session_route *route, long long int now,
                      long long int *next)
{
    struct asked *a = find_asked(route);
    bool may = !a || now >= a->next;

    if (may) {
        a = a ? a : add_asked(route, now);
        a->next = now + a->pause;
        a->pause = MIN(2 * a->pause, MAX_ASK_MS);
    }
    *next = a->next;
    return may;
}
