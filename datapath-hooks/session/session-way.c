/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What Open vSwitch would do with packets for a target.  Main thread. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "netdev-vport.h"
#include "netdev.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "util.h"

/* The port of 'ofproto' for tunnels of 'encap' to any address with any key;
 * null if there is none. */
static const struct ofport *
find_tunnel(const struct ofproto_dpif *ofproto, enum phc_encap encap)
{
    const char *type = encap == PHC_VXLAN ? "vxlan" : "geneve";
    const struct ofport *best = NULL;
    const struct ofport *port;

    HMAP_FOR_EACH (port, hmap_node, &ofproto->up.ports) {
        const struct netdev_tunnel_config *config;

        if (!strcmp(netdev_get_type(port->netdev), type)
            && (config = netdev_get_tunnel_config(port->netdev))
            && config->ip_dst_flow && config->in_key_flow
            && config->out_key_flow
            && (!best || port->ofp_port < best->ofp_port)) {
            best = port;
        }
    }
    return best;
}

static void
put_set_field(struct ofpbuf *ofpacts, enum mf_field_id id, const void *value)
{
    ofpact_put_set_field(ofpacts, mf_from_id(id), value, NULL);
}

/* Appends the OpenFlow actions for 'target' to 'ofpacts'.  Returns null, or
 * what is missing. */
static const char *
put_ofpacts(const struct sess_target *target,
            const struct sess_plan_service *s,
            const struct ofproto_dpif *ofproto, struct ofpbuf *ofpacts)
{
    const struct ofport *port;

    if (target->local) {
        port = shash_find_data(&ofproto->up.port_by_name, target->port);
        if (!port) {
            return "the port is not plugged in";
        }
        put_set_field(ofpacts, MFF_ETH_DST, &target->mac);
    } else {
        ovs_be64 tun_id = htonll(target->vni);

        port = find_tunnel(ofproto, s->encap);
        if (!port) {
            return (s->encap == PHC_VXLAN
                    ? "no vxlan port with remote_ip=flow and key=flow"
                    : "no geneve port with remote_ip=flow and key=flow");
        }
        put_set_field(ofpacts, MFF_TUN_ID, &tun_id);
        if (IN6_IS_ADDR_V4MAPPED(&target->dst)) {
            ovs_be32 dst = in6_addr_get_mapped_ipv4(&target->dst);

            put_set_field(ofpacts, MFF_TUN_DST, &dst);
        } else {
            put_set_field(ofpacts, MFF_TUN_IPV6_DST, &target->dst);
        }
    }
    ofpact_put_OUTPUT(ofpacts)->port = port->ofp_port;
    return NULL;
}

/* A packet of 's', as the translation is to see it. */
static void
sample_flow(const struct sess_plan_service *s, struct flow *flow)
{
    memset(flow, 0, sizeof *flow);
    flow->in_port.ofp_port = OFPP_LOCAL;
    flow->packet_type = htonl(PT_ETH);
    flow->nw_proto = s->proto;
    flow->nw_ttl = 64;
    flow->tp_dst = s->port;
    if (IN6_IS_ADDR_V4MAPPED(&s->addr)) {
        flow->dl_type = htons(ETH_TYPE_IP);
        flow->nw_dst = in6_addr_get_mapped_ipv4(&s->addr);
    } else {
        flow->dl_type = htons(ETH_TYPE_IPV6);
        flow->ipv6_dst = s->addr;
    }
}

/* Looks at the tunnel header among 'acts': it must lead to 'target', and be
 * one that the header cache takes.  Stores it in 'way'.  Returns null, or what
 * is wrong. */
static const char *
check_header(const struct sess_target *target, const struct ofpbuf *acts,
             struct session_way *way)
{
    const struct nlattr *a;
    struct phc_shape shape;
    struct in6_addr dst;
    unsigned int left;

    NL_ATTR_FOR_EACH_UNSAFE (a, left, acts->data, acts->size) {
        if (nl_attr_type(a) == OVS_ACTION_ATTR_TUNNEL_PUSH) {
            const struct ovs_action_push_tnl *push = nl_attr_get(a);

            if (!phc_header_take((const uint8_t *) push->header,
                                 push->header_len, way->header, &shape,
                                 &dst)) {
                return "the tunnel has options that are not supported";
            } else if (!ipv6_addr_equals(&dst, &target->dst)) {
                return "the tunnel leads elsewhere";
            }
            memcpy(way->header, push->header, push->header_len);
            way->header_len = push->header_len;
            return NULL;
        }
    }
    way->no_header = true;
    return "no route or no neighbor, or the port is down";
}

/* Whether 'acts' begin by making packets others than they were, whose priority
 * is not that of what is in them. */
static bool
begin_with_push(const struct ofpbuf *acts)
{
    return (acts->size
            && nl_attr_type(acts->data) == OVS_ACTION_ATTR_TUNNEL_PUSH);
}

/* Makes the flow's actions of those of the translation: with the priority that
 * is ofproto's. */
static struct session_actions *
make_actions(const struct ofpbuf *acts, odp_port_t in_port,
             ovs_be16 dl_type)
{
    struct session_actions *a;
    uint64_t stub[8];
    struct ofpbuf first;
    size_t ofs;

    ofpbuf_use_stub(&first, stub, sizeof stub);
    if (!begin_with_push(acts)) {
        ofs = nl_msg_start_nested(&first, OVS_ACTION_ATTR_SET);
        nl_msg_put_u32(&first, OVS_KEY_ATTR_PRIORITY, 0);
        nl_msg_end_nested(&first, ofs);
    }

    a = xzalloc(sizeof *a + ROUND_UP(first.size + acts->size, 8));
    a->in_port = in_port;
    a->dl_type = dl_type;
    a->size = first.size + acts->size;
    memcpy(a->data, first.data, first.size);
    memcpy((uint8_t *) a->data + first.size, acts->data, acts->size);
    ofpbuf_uninit(&first);
    return a;
}

/* Has 'ofproto' carry out the OpenFlow actions 'ofpacts' for a packet of 's'
 * to 'target' from 'in_port'. */
static void
translate(const struct sess_plan_service *s, const struct sess_target *target,
          struct ofproto_dpif *ofproto, odp_port_t in_port,
          const struct ofpbuf *ofpacts, struct session_way *way)
{
    uint64_t acts_stub[1024 / 8];
    struct flow_wildcards wc;
    enum xlate_error error;
    struct xlate_in xin;
    struct ofpbuf acts;
    struct flow flow;

    ofpbuf_use_stub(&acts, acts_stub, sizeof acts_stub);
    sample_flow(s, &flow);
    xlate_in_init(&xin, ofproto, ofproto_dpif_get_tables_version(ofproto),
                  &flow, OFPP_LOCAL, NULL, 0, NULL, &wc, &acts);
    xin.ofpacts = ofpacts->data;
    xin.ofpacts_len = ofpacts->size;
    error = xlate_actions(&xin, &way->xout);
    way->why = (error ? xlate_strerror(error)
                : way->xout.slow ? "its packets would need the slow path"
                : !target->local ? check_header(target, &acts, way)
                : !acts.size ? "the port is down" : NULL);
    if (way->why) {
        xlate_out_uninit(&way->xout);
    } else {
        way->actions = make_actions(&acts, in_port, flow.dl_type);
    }
    ofpbuf_uninit(&acts);
}

/* Finds the way to 'target'.  Returns true if there is one; then the caller
 * has 'way->actions' to free and 'way->xout' to uninit.  Otherwise
 * 'way->why' says what is missing. */
bool
session_way_find(const struct sess_plan *plan, const struct session_topo *topo,
                 const struct sess_target *target, struct session_way *way)
{
    const struct sess_plan_service *s = plan->services[target->service];
    const struct session_topo_service *ts
        = topo ? session_topo_find(topo, s) : NULL;
    struct ofproto_dpif *ofproto = ofproto_dpif_lookup_by_name(s->bridge);
    uint64_t ofpacts_stub[256 / 8];
    struct ofpbuf ofpacts;

    way->actions = NULL;
    way->no_header = false;
    way->header_len = 0;
    way->in_port = ODPP_NONE;
    if (!ofproto || !ts || ts->local == ODPP_NONE
        || ofproto->backer != topo->backer) {
        way->why = "no such bridge";
        return false;
    }
    ofpbuf_use_stub(&ofpacts, ofpacts_stub, sizeof ofpacts_stub);
    way->why = put_ofpacts(target, s, ofproto, &ofpacts);
    if (!way->why) {
        way->in_port = ts->local;
        translate(s, target, ofproto, ts->local, &ofpacts, way);
    }
    ofpbuf_uninit(&ofpacts);
    return way->actions != NULL;
}

/* Finds the way that led to 'target', a remote one, before: to be asked if
 * session_way_find() says that only the header is missing.  Returns true if
 * there is one and it would lead there now; then the caller has what that
 * function gives. */
bool
session_way_find_former(const struct sess_plan *plan,
                        const struct session_topo *topo,
                        const struct sess_target *target,
                        struct session_way *way)
{
    const struct sess_plan_service *s = plan->services[target->service];
    const struct ofport *tunnel
        = find_tunnel(ofproto_dpif_lookup_by_name(s->bridge), s->encap);
    uint64_t stub[1024 / 8];
    struct ofpbuf acts;
    struct flow flow;

    ofpbuf_use_stub(&acts, stub, sizeof stub);
    if (session_former_actions(plan, target, tunnel, topo->backer, &acts,
                               &way->xout)) {
        sample_flow(s, &flow);
        way->actions = make_actions(&acts, way->in_port, flow.dl_type);
    }
    ofpbuf_uninit(&acts);
    return way->actions != NULL;
}
