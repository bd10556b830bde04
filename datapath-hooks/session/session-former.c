/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The header that led to a host before, for a target whose neighbor is not
 * known.  It is that of the flow in force, for neighbors are forgotten and
 * learned again; or, after a restart of the daemon, the header cache has it
 * from its file, and packets need not wait for ARP.
 *
 * The cache takes headers only from its file, where each has a MAC, or from
 * this run, and only towards the address of a member of the service
 * (phc_template_set()).  What else must be as it is now is looked at here,
 * each time: route, addresses of this end, tunnel port, VNI, what the
 * underlay's bridge does with such packets.  So all that is taken from before
 * is the MAC of the neighbor. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "dp-packet.h"
#include "netdev-vport.h"
#include "netdev.h"
#include "odp-netlink.h"
#include "odp-util.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "util.h"

enum { SAMPLE_PAYLOAD = 64 };

/* A header, and where its parts are. */
struct former {
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;
    uint8_t *l4, *vni;
};

/* Stores the header that 'old' pushes. */
static bool
take_header(const struct session_actions *old, struct former *f)
{
    const struct nlattr *first = (const struct nlattr *) old->data;
    const struct ovs_action_push_tnl *push = nl_attr_get(first);
    struct in6_addr dst;

    return (nl_attr_type(first) == OVS_ACTION_ATTR_TUNNEL_PUSH
            && phc_header_take((const uint8_t *) push->header,
                               push->header_len, f->header, &f->shape, &dst));
}

/* Stores the header that the cache has for 'target'. */
static bool
find_header(const struct sess_plan *plan, const struct sess_target *target,
            struct former *f)
{
    struct phc *phc = session_dp_phc();
    bool found = false;

    for (size_t i = 1; i < plan->n_backends && !found; i++) {
        const struct sess_plan_backend *b = &plan->backends[i];

        if (b->id && !b->here
            && (target->hop2 ? b->target2 : b->target) == target->number) {
            ovs_mutex_lock(&session_phc_mutex);
            found = phc_template_get(phc, b->service, i, f->header,
                                     &f->shape);
            ovs_mutex_unlock(&session_phc_mutex);
        }
    }
    return found;
}

static void
find_parts(struct former *f)
{
    phc_header_finish(f->header, &f->shape);
    f->l4 = (f->header + f->shape.l3_ofs
             + (f->shape.ip6 ? IPV6_HEADER_LEN : IP_HEADER_LEN));
    f->vni = f->l4 + UDP_HEADER_LEN + 4;
}

/* Stores the address that the header has at 'ofs' of its IP header. */
static void
get_address(const struct former *f, size_t ofs4, size_t ofs6,
            struct in6_addr *addr)
{
    const uint8_t *l3 = f->header + f->shape.l3_ofs;

    if (f->shape.ip6) {
        memcpy(addr, l3 + ofs6, sizeof *addr);
    } else {
        ovs_be32 ip;

        memcpy(&ip, l3 + ofs4, sizeof ip);
        in6_addr_set_mapped_ipv4(addr, ip);
    }
}

/* Whether the header begins at, and leads to, what a translation would have it
 * begin at and lead to now, by 'route'. */
static bool
fits(const struct former *f, const struct sess_target *target,
     const struct netdev_tunnel_config *config,
     const struct session_route *route)
{
    uint32_t vni = f->vni[0] << 16 | f->vni[1] << 8 | f->vni[2];
    struct in6_addr from, to;
    struct eth_addr mac;

    get_address(f, 12, 8, &from);
    get_address(f, 16, 24, &to);
    return (f->shape.l3_ofs == ETH_HEADER_LEN
            && (vni | SESS_HOP2_VNI) == (target->vni | SESS_HOP2_VNI)
            && !memcmp(f->l4 + 2, &config->dst_port, sizeof config->dst_port)
            && f->shape.csum == (config->csum || f->shape.ip6)
            && ipv6_addr_equals(&to, &target->dst)
            && ipv6_addr_equals(&from, &route->src)
            && !netdev_get_etheraddr(route->port->netdev, &mac)
            && !memcmp(f->header + ETH_ADDR_LEN, &mac, ETH_ADDR_LEN));
}

/* Appends to 'acts' what the bridge of 'route' does with packets that have the
 * header, from its port.  Returns false if that is nothing, or needs the slow
 * path. */
static bool
put_underlay(const struct former *f, const struct session_route *route,
             struct ofpbuf *acts, struct xlate_out *xout)
{
    struct ofproto_dpif *bridge = route->bridge;
    struct phc_patch patch = { .flow_hash = 0 };
    uint64_t stub[1024 / 8];
    struct flow_wildcards wc;
    struct dp_packet packet;
    struct ofpbuf inner;
    struct xlate_in xin;
    struct flow flow;
    uint8_t *data;
    bool ok;

    dp_packet_init(&packet, PHC_MAX_HEADER + SAMPLE_PAYLOAD);
    data = dp_packet_put_zeros(&packet, f->shape.len + SAMPLE_PAYLOAD);
    memcpy(data, f->header, f->shape.len);
    phc_header_patch(data, &f->shape, SAMPLE_PAYLOAD, &patch);
    pkt_metadata_init(&packet.md, ODPP_NONE);
    flow_extract(&packet, &flow);
    flow.in_port.ofp_port = route->port->ofp_port;
    flow.tp_src = 0;
    dp_packet_uninit(&packet);

    ofpbuf_use_stub(&inner, stub, sizeof stub);
    xlate_in_init(&xin, bridge, ofproto_dpif_get_tables_version(bridge),
                  &flow, flow.in_port.ofp_port, NULL, 0, NULL, &wc, &inner);
    ok = (!xlate_actions(&xin, xout) && !xout->slow
          && !session_acts_drop(&inner));
    if (ok) {
        ofpbuf_put(acts, inner.data, inner.size);
    } else {
        xlate_out_uninit(xout);
    }
    ofpbuf_uninit(&inner);
    return ok;
}

/* Stores in 'acts' datapath actions for 'target', a remote one, by tunnel port
 * 'tunnel', with the header of 'old', or if that is null the one that the
 * cache has, and what they keep alive in '*xout'.  Returns false if there is
 * none, or if it would not lead there now.  Main thread. */
bool
session_former_actions(const struct sess_plan *plan,
                       const struct sess_target *target,
                       const struct session_actions *old,
                       const struct ofport *tunnel,
                       const struct dpif_backer *backer, struct ofpbuf *acts,
                       struct xlate_out *xout)
{
    const struct netdev_tunnel_config *config
        = netdev_get_tunnel_config(tunnel->netdev);
    char name[NETDEV_VPORT_NAME_BUFSIZE];
    struct ovs_action_push_tnl push;
    struct session_route route;
    struct former f;

    if (!(old ? take_header(old, &f) : find_header(plan, target, &f))) {
        return false;
    }
    find_parts(&f);
    if (!session_route_find(backer, tunnel, &target->dst, &route)
        || !fits(&f, target, config, &route)) {
        return false;
    }
    f.vni[0] = target->vni >> 16;
    f.vni[1] = target->vni >> 8;
    f.vni[2] = target->vni;

    memset(&push, 0, sizeof push);
    push.tnl_port = session_topo_port(
        backer, netdev_vport_get_dpif_port(tunnel->netdev, name,
                                           sizeof name));
    push.out_port = session_topo_port(backer, route.dev);
    push.tnl_type = (!strcmp(netdev_get_type(tunnel->netdev), "vxlan")
                     ? OVS_VPORT_TYPE_VXLAN : OVS_VPORT_TYPE_GENEVE);
    push.header_len = f.shape.len;
    memcpy(push.header, f.header, f.shape.len);
    if (push.tnl_port == ODPP_NONE || push.out_port == ODPP_NONE) {
        return false;
    }
    ofpbuf_clear(acts);
    odp_put_tnl_push_action(acts, &push);
    return put_underlay(&f, &route, acts, xout);
}
