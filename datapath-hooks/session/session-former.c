/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The header that led to a host before, for a target that has no flow because
 * its neighbor is not known: after a restart of the daemon, the header cache
 * has it from its file, and packets need not wait for ARP.
 *
 * The cache takes headers only from its file, where each has a MAC, or from
 * this run, and only towards the address of a member of the service
 * (phc_template_set()).  What else must be as it is now is looked at here,
 * each time: route, addresses of this end, tunnel port, VNI, what the
 * underlay's bridge does with such packets.  So all that is taken from before
 * is the MAC of the neighbor. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <net/if.h>
#include <string.h>

#include "dp-packet.h"
#include "netdev-vport.h"
#include "netdev.h"
#include "odp-netlink.h"
#include "odp-util.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "openvswitch/ofpbuf.h"
#include "ovs-router.h"
#include "packets.h"
#include "util.h"

enum { SAMPLE_PAYLOAD = 64 };

/* A header, and where its parts are. */
struct former {
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;
    uint8_t *l4, *vni;
};

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
    if (found) {
        phc_header_finish(f->header, &f->shape);
        f->l4 = (f->header + f->shape.l3_ofs
                 + (f->shape.ip6 ? IPV6_HEADER_LEN : IP_HEADER_LEN));
        f->vni = f->l4 + UDP_HEADER_LEN + 4;
    }
    return found;
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
 * begin at and lead to now.  Stores the device that the route names. */
static bool
fits(const struct former *f, const struct sess_target *target,
     const struct netdev_tunnel_config *config, char out_dev[IFNAMSIZ])
{
    struct in6_addr src = config->ipv6_src, gw, from, to;
    uint32_t vni = f->vni[0] << 16 | f->vni[1] << 8 | f->vni[2];
    uint32_t mark = (config->set_egress_pkt_mark ? config->egress_pkt_mark
                     : 0);

    get_address(f, 12, 8, &from);
    get_address(f, 16, 24, &to);
    return (f->shape.l3_ofs == ETH_HEADER_LEN
            && (vni | SESS_HOP2_VNI) == (target->vni | SESS_HOP2_VNI)
            && !memcmp(f->l4 + 2, &config->dst_port, sizeof config->dst_port)
            && f->shape.csum == (config->csum || f->shape.ip6)
            && ipv6_addr_equals(&to, &target->dst)
            && ovs_router_lookup(mark, &target->dst, out_dev, &src, &gw)
            && ipv6_addr_equals(&from, &src));
}

/* Whether the Ethernet address of 'bridge' is the source of the header. */
static bool
is_from(const struct former *f, const struct ofproto_dpif *bridge,
        const char *out_dev)
{
    const struct ofport *port = shash_find_data(&bridge->up.port_by_name,
                                                out_dev);
    struct eth_addr mac;

    return (port && !netdev_get_etheraddr(port->netdev, &mac)
            && !memcmp(f->header + ETH_ADDR_LEN, &mac, ETH_ADDR_LEN));
}

/* Appends to 'acts' what 'bridge' does with packets that have the header, from
 * its local port.  Returns false if that is nothing, or needs the slow
 * path. */
static bool
put_underlay(const struct former *f, struct ofproto_dpif *bridge,
             struct ofpbuf *acts, struct xlate_out *xout)
{
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
    flow.in_port.ofp_port = OFPP_LOCAL;
    flow.tp_src = 0;
    dp_packet_uninit(&packet);

    ofpbuf_use_stub(&inner, stub, sizeof stub);
    xlate_in_init(&xin, bridge, ofproto_dpif_get_tables_version(bridge),
                  &flow, OFPP_LOCAL, NULL, 0, NULL, &wc, &inner);
    ok = !xlate_actions(&xin, xout) && !xout->slow && inner.size;
    if (ok) {
        ofpbuf_put(acts, inner.data, inner.size);
    } else {
        xlate_out_uninit(xout);
    }
    ofpbuf_uninit(&inner);
    return ok;
}

/* Stores in 'acts' datapath actions for 'target', a remote one, by tunnel port
 * 'tunnel', with the header that led there before, and what they keep alive in
 * '*xout'.  Returns false if there is none, or if it would not lead there
 * now.  Main thread. */
bool
session_former_actions(const struct sess_plan *plan,
                       const struct sess_target *target,
                       const struct ofport *tunnel,
                       const struct dpif_backer *backer, struct ofpbuf *acts,
                       struct xlate_out *xout)
{
    const struct netdev_tunnel_config *config
        = netdev_get_tunnel_config(tunnel->netdev);
    char name[NETDEV_VPORT_NAME_BUFSIZE], out_dev[IFNAMSIZ];
    struct ovs_action_push_tnl push;
    struct ofproto_dpif *bridge;
    struct former f;

    if (!find_header(plan, target, &f) || !fits(&f, target, config, out_dev)) {
        return false;
    }
    bridge = ofproto_dpif_lookup_by_name(out_dev);
    if (!bridge || bridge->backer != backer || !is_from(&f, bridge, out_dev)) {
        return false;
    }
    f.vni[0] = target->vni >> 16;
    f.vni[1] = target->vni >> 8;
    f.vni[2] = target->vni;

    memset(&push, 0, sizeof push);
    push.tnl_port = session_topo_port(
        backer, netdev_vport_get_dpif_port(tunnel->netdev, name,
                                           sizeof name));
    push.out_port = session_topo_port(backer, out_dev);
    push.tnl_type = (!strcmp(netdev_get_type(tunnel->netdev), "vxlan")
                     ? OVS_VPORT_TYPE_VXLAN : OVS_VPORT_TYPE_GENEVE);
    push.header_len = f.shape.len;
    memcpy(push.header, f.header, f.shape.len);
    if (push.tnl_port == ODPP_NONE || push.out_port == ODPP_NONE) {
        return false;
    }
    ofpbuf_clear(acts);
    odp_put_tnl_push_action(acts, &push);
    return put_underlay(&f, bridge, acts, xout);
}
