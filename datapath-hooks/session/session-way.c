/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What Open vSwitch would do with packets for a target.  Main thread. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdarg.h>
#include <stdio.h>
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

/* Says in 'way' why there is none. */
static void OVS_PRINTF_FORMAT(2, 3)
set_why(struct session_way *way, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(way->why, sizeof way->why, format, args);
    va_end(args);
}

/* Says in 'way' what packets may miss by it. */
void
session_way_note(struct session_way *way, const char *format, ...)
{
    size_t len = strlen(way->note);
    va_list args;

    if (len) {
        ovs_strlcpy(way->note + len, "; ", sizeof way->note - len);
        len = strlen(way->note);
    }
    va_start(args, format);
    vsnprintf(way->note + len, sizeof way->note - len, format, args);
    va_end(args);
}

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

/* The port of 'ofproto' that packets for 'target' of 's' leave by; null, and
 * says so, if it is missing. */
static const struct ofport *
find_port(const struct sess_target *target, const struct sess_plan_service *s,
          const struct ofproto_dpif *ofproto, struct session_way *way)
{
    const struct ofport *port;

    if (target->local) {
        port = shash_find_data(&ofproto->up.port_by_name, target->port);
        if (!port) {
            set_why(way, "the port is not plugged in");
        }
    } else {
        port = find_tunnel(ofproto, s->encap);
        if (!port) {
            set_why(way, "no %s port with remote_ip=flow and key=flow",
                    s->encap == PHC_VXLAN ? "vxlan" : "geneve");
        }
    }
    return port;
}

/* Appends the OpenFlow actions for 'target', by 'port', to 'ofpacts'. */
static void
put_ofpacts(const struct sess_target *target, const struct ofport *port,
            struct ofpbuf *ofpacts)
{
    if (target->local) {
        put_set_field(ofpacts, MFF_ETH_DST, &target->mac);
    } else {
        ovs_be64 tun_id = htonll(target->vni);

        put_set_field(ofpacts, MFF_TUN_ID, &tun_id);
        if (IN6_IS_ADDR_V4MAPPED(&target->dst)) {
            ovs_be32 dst = in6_addr_get_mapped_ipv4(&target->dst);

            put_set_field(ofpacts, MFF_TUN_DST, &dst);
        } else {
            put_set_field(ofpacts, MFF_TUN_IPV6_DST, &target->dst);
        }
    }
    ofpact_put_OUTPUT(ofpacts)->port = port->ofp_port;
}

/* Says why there is no header among the actions for a target, or nothing that
 * is done with packets that have it. */
static void
explain_no_header(struct session_way *way)
{
    const char *bridge = way->route.bridge->up.name;

    if (way->no_neighbor) {
        char addr[INET6_ADDRSTRLEN];

        ipv6_string_mapped(addr, &way->route.hop);
        set_why(way, "neighbor %s on %s does not answer", addr, bridge);
    } else {
        set_why(way, "%s has no way out for its packets", bridge);
    }
}

/* Finds the route to 'target', which the translation does not say anything of.
 * Returns false if packets must not, or cannot, go there by 'tunnel' now, and
 * says why. */
static bool
find_route(const struct sess_plan *plan, const struct sess_target *target,
           const struct ofport *tunnel, const struct dpif_backer *backer,
           long long int now, struct session_way *way)
{
    char from[INET6_ADDRSTRLEN], addr[INET6_ADDRSTRLEN];

    if (!session_route_find(backer, tunnel, &target->dst, &way->route)) {
        /* A local_ip that is no address of this host counts, too. */
        bool any = !ipv6_addr_is_set(&way->route.src);

        ipv6_string_mapped(from, &way->route.src);
        ipv6_string_mapped(addr, &target->dst);
        set_why(way, "no route%s%s to %s", any ? "" : " from ",
                any ? "" : from, addr);
        return false;
    } else if (!ipv6_addr_equals(&way->route.src, &plan->self_addr)) {
        /* The others take packets from members only. */
        ipv6_string_mapped(from, &way->route.src);
        ipv6_string_mapped(addr, &plan->self_addr);
        set_why(way, "the tunnel would begin at %s, not at ovs-ext-encap-ip "
                "%s; set options:local_ip", from, addr);
        return false;
    }
    way->no_neighbor = !session_route_has_neighbor(&way->route);
    if (way->no_neighbor
        && !session_route_may_ask(&way->route, now, &way->next)) {
        explain_no_header(way);
        return false;
    }
    return true;
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
 * one that the header cache takes.  Stores it in 'way'.  Returns false if that
 * is not so, and says why. */
static bool
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

            way->no_neighbor = false;
            if (!phc_header_take((const uint8_t *) push->header,
                                 push->header_len, way->header, &shape,
                                 &dst)) {
                set_why(way, "the tunnel has options that are not supported");
                return false;
            } else if (!ipv6_addr_equals(&dst, &target->dst)) {
                set_why(way, "the tunnel leads elsewhere");
                return false;
            }
            memcpy(way->header, push->header, push->header_len);
            way->header_len = push->header_len;
            return true;
        }
    }
    explain_no_header(way);
    return false;
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

/* Whether datapath actions 'acts', of a translation, do nothing with packets.
 * That is said by an action of its own where the datapath knows it. */
bool
session_acts_drop(const struct ofpbuf *acts)
{
    return (!acts->size
            || nl_attr_type(acts->data) == OVS_ACTION_ATTR_DROP);
}

/* Whether a translation that came to 'acts' is good for 'target'.  If not,
 * says why. */
static bool
check_translation(const struct sess_target *target, enum xlate_error error,
                  const struct ofpbuf *acts, struct session_way *way)
{
    if (error) {
        way->no_neighbor = false;
        set_why(way, "%s", xlate_strerror(error));
    } else if (way->xout.slow) {
        way->no_neighbor = false;
        set_why(way, "its packets would need the slow path");
    } else if (!target->local) {
        return check_header(target, acts, way);
    } else if (session_acts_drop(acts)) {
        set_why(way, "the port does not forward");
    } else {
        return true;
    }
    return false;
}

/* Has 'ofproto' send a packet of 's' to 'target', by 'port', from
 * 'way->in_port'. */
static void
translate(const struct sess_plan_service *s, const struct sess_target *target,
          struct ofproto_dpif *ofproto, const struct ofport *port,
          struct session_way *way)
{
    uint64_t acts_stub[1024 / 8], ofpacts_stub[256 / 8];
    struct flow_wildcards wc;
    struct ofpbuf ofpacts;
    enum xlate_error error;
    struct xlate_in xin;
    struct ofpbuf acts;
    struct flow flow;

    ofpbuf_use_stub(&ofpacts, ofpacts_stub, sizeof ofpacts_stub);
    put_ofpacts(target, port, &ofpacts);
    ofpbuf_use_stub(&acts, acts_stub, sizeof acts_stub);
    sample_flow(s, &flow);
    xlate_in_init(&xin, ofproto, ofproto_dpif_get_tables_version(ofproto),
                  &flow, OFPP_LOCAL, NULL, 0, NULL, &wc, &acts);
    xin.ofpacts = ofpacts.data;
    xin.ofpacts_len = ofpacts.size;
    error = xlate_actions(&xin, &way->xout);
    if (check_translation(target, error, &acts, way)) {
        way->actions = make_actions(&acts, way->in_port, flow.dl_type);
    } else {
        xlate_out_uninit(&way->xout);
    }
    ofpbuf_uninit(&acts);
    ofpbuf_uninit(&ofpacts);
}

/* Says in 'way' what 'tunnel' is to take over from packets and does not: one
 * header, that of sample_flow(), is for all of a target. */
static void
note_inherit(const struct ofport *tunnel, struct session_way *way)
{
    const struct netdev_tunnel_config *config
        = netdev_get_tunnel_config(tunnel->netdev);

    if (config->tos_inherit) {
        session_way_note(way, "tos=inherit of %s has no effect",
                         netdev_get_name(tunnel->netdev));
    }
    if (config->ttl_inherit) {
        session_way_note(way, "ttl=inherit of %s has no effect",
                         netdev_get_name(tunnel->netdev));
    }
}

/* Finds the way to 'target', at 'now', ms.  Returns true if there is one; then
 * the caller has 'way->actions' to free and 'way->xout' to uninit.  Otherwise
 * 'way->why' says what is missing. */
bool
session_way_find(const struct sess_plan *plan, const struct session_topo *topo,
                 const struct sess_target *target, long long int now,
                 struct session_way *way)
{
    const struct sess_plan_service *s = plan->services[target->service];
    const struct session_topo_service *ts
        = topo ? session_topo_find(topo, s) : NULL;
    struct ofproto_dpif *ofproto = ofproto_dpif_lookup_by_name(s->bridge);
    const struct ofport *port;

    way->actions = NULL;
    way->no_neighbor = false;
    way->note[0] = '\0';
    way->header_len = 0;
    way->in_port = ODPP_NONE;
    if (!ofproto || !ts || ts->local == ODPP_NONE
        || ofproto->backer != topo->backer) {
        set_why(way, "no such bridge");
        return false;
    }
    way->in_port = ts->local;
    port = find_port(target, s, ofproto, way);
    if (port && (target->local
                 || find_route(plan, target, port, topo->backer, now,
                               way))) {
        translate(s, target, ofproto, port, way);
    }
    if (way->actions && !target->local) {
        session_mtu_check(ofproto, way);
        note_inherit(port, way);
    }
    return way->actions != NULL;
}

/* Finds the way to 'target', a remote one, with the MAC that led there before:
 * in 'old', or if that is null as the header cache has it.  To be asked if
 * session_way_find() has said that only the neighbor is missing.  Returns true
 * if there is such a way now; then the caller has what that function gives. */
bool
session_way_find_former(const struct sess_plan *plan,
                        const struct session_topo *topo,
                        const struct sess_target *target,
                        const struct session_actions *old,
                        struct session_way *way)
{
    const struct sess_plan_service *s = plan->services[target->service];
    const struct ofport *tunnel
        = find_tunnel(ofproto_dpif_lookup_by_name(s->bridge), s->encap);
    uint64_t stub[1024 / 8];
    struct ofpbuf acts;
    struct flow flow;

    ofpbuf_use_stub(&acts, stub, sizeof stub);
    if (session_former_actions(plan, target, old, tunnel, topo->backer,
                               &acts, &way->xout)) {
        sample_flow(s, &flow);
        way->actions = make_actions(&acts, way->in_port, flow.dl_type);
    }
    ofpbuf_uninit(&acts);
    return way->actions != NULL;
}
