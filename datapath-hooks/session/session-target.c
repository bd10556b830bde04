/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Targets: Open vSwitch translates, ahead of use, what is to be done with
 * packets for each of them.  All in the main thread, as other translations
 * outside of packet processing are. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdio.h>
#include <string.h>

#include "netdev-vport.h"
#include "netdev.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_target);

enum {
    RETRY_MS = 200,             /* Unresolved: after 1, 2, 4... and then so
                                 * long, each time asking for the
                                 * neighbor. */
    REFRESH_MS = 1000,          /* Resolved; this keeps its neighbour known. */
    PURGE_MS = 300,             /* A PMD thread may still install a flow that
                                 * it made before a change. */
    MAX_TRIES = 256             /* Translations at a time. */
};

struct target {
    bool wanted;                /* By the present plan. */
    uint64_t service, place;    /* IDs: which it is... */
    struct in6_addr dst;        /* ...and, if remote, how it is got at. */
    uint32_t vni;
    enum phc_encap encap;
    uint64_t base;              /* Packets to the number before. */
    enum session_target_state state;
    char why[64];
    struct xlate_out xout;      /* Of what is in force; keeps recirculation
                                 * IDs alive. */
    bool have_xout;
    long long int next;         /* Translate then, ms. */
    int retry;                  /* In so many ms. */
    long long int again;        /* Put or delete the flow once more, ms; or
                                 * 0. */
    uint8_t header[PHC_MAX_HEADER]; /* Remote: of what is in force. */
    size_t header_len;
};

/* By number.  Main thread; what others read it writes under 'info_mutex'. */
static struct target *targets[SESS_MAX_TARGETS];
static size_t n_targets;        /* Highest number so far, and 1. */
static struct ovs_mutex info_mutex = OVS_MUTEX_INITIALIZER;

/* By number, null if not resolved.  Main thread writes. */
static OVSRCU_TYPE(struct session_actions *) actions[SESS_MAX_TARGETS];

static size_t next_pos;         /* Among the plan's, to go on with. */
static long long int next_run = LLONG_MAX;

/* PMD-THREAD CODE */

/* What is to be done with packets for 'target'; null if it is not resolved. */
const struct session_actions *
session_actions_get(uint16_t target)
{
    return (target < SESS_MAX_TARGETS
            ? ovsrcu_get(struct session_actions *, &actions[target]) : NULL);
}

/* END PMD-THREAD CODE */

static void
set_state(struct target *t, enum session_target_state state, const char *why)
{
    if (t->state != state || strcmp(t->why, why)) {
        ovs_mutex_lock(&info_mutex);
        t->state = state;
        ovs_strlcpy(t->why, why, sizeof t->why);
        ovs_mutex_unlock(&info_mutex);
    }
}

/* Puts the flow of 'a' in force, null for none. */
static void
set_actions(uint16_t number, struct session_actions *a)
{
    struct session_actions *old
        = ovsrcu_get_protected(struct session_actions *, &actions[number]);
    ovs_u128 ufid;

    ovsrcu_set(&actions[number], a);
    if (old && (!a || a->in_port != old->in_port
                || a->dl_type != old->dl_type)) {
        session_target_ufid(number, old->dl_type, &ufid);
        session_flow_del(&ufid);
    }
    if (a) {
        session_flow_put_target(number, a);
    }
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

static void
withdraw(uint16_t number, struct target *t, const char *why,
         long long int now)
{
    if (session_actions_get(number)) {
        set_actions(number, NULL);
        t->again = now + PURGE_MS;
    }
    if (t->have_xout) {
        xlate_out_uninit(&t->xout);
        t->have_xout = false;
    }
    t->header_len = 0;
    set_state(t, SESSION_TARGET_UNRESOLVED, why);
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
 * one that the header cache takes.  Stores it in 't'.  Returns null, or what
 * is wrong. */
static const char *
check_header(const struct sess_target *target, const struct ofpbuf *acts,
             uint8_t header[PHC_MAX_HEADER], size_t *header_len)
{
    const struct nlattr *a;
    struct phc_shape shape;
    struct in6_addr dst;
    unsigned int left;

    NL_ATTR_FOR_EACH_UNSAFE (a, left, acts->data, acts->size) {
        if (nl_attr_type(a) == OVS_ACTION_ATTR_TUNNEL_PUSH) {
            const struct ovs_action_push_tnl *push = nl_attr_get(a);

            if (!phc_header_take((const uint8_t *) push->header,
                                 push->header_len, header, &shape, &dst)) {
                return "the tunnel has options that are not supported";
            } else if (!ipv6_addr_equals(&dst, &target->dst)) {
                return "the tunnel leads elsewhere";
            }
            memcpy(header, push->header, push->header_len);
            *header_len = push->header_len;
            return NULL;
        }
    }
    return "no route or no neighbor, or the port is down";
}

/* Tells the header cache the header towards backends at 'target'. */
static void
tell_cache(const struct sess_plan *plan, const struct sess_target *target,
           const uint8_t *header, size_t len)
{
    struct phc *phc = session_dp_phc();

    for (size_t i = 1; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = &plan->backends[i];
        uint8_t old[PHC_MAX_HEADER], new[PHC_MAX_HEADER];
        struct phc_shape old_shape, shape;
        struct in6_addr dst;

        if (!b->id || b->here || b->target != target->number) {
            continue;
        }
        ovs_mutex_lock(&session_phc_mutex);
        if (!phc_template_get(phc, b->service, i, old, &old_shape)
            || !phc_header_take(header, len, new, &shape, &dst)
            || old_shape.len != shape.len || old_shape.csum != shape.csum
            || memcmp(old, new, shape.len)) {
            phc_template_set(phc, b->service, i, header, len);
        }
        ovs_mutex_unlock(&session_phc_mutex);
    }
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

/* Puts a new translation in force, if it is one.  Takes over 'xout'. */
static void
adopt(uint16_t number, struct target *t, struct session_actions *a,
      struct xlate_out *xout, long long int now)
{
    const struct session_actions *old = session_actions_get(number);

    if (old && old->in_port == a->in_port && old->dl_type == a->dl_type
        && old->size == a->size && !memcmp(old->data, a->data, a->size)) {
        free(a);
        xlate_out_uninit(xout);
    } else {
        set_actions(number, a);
        if (t->have_xout) {
            xlate_out_uninit(&t->xout);
        }
        t->xout = *xout;
        t->have_xout = true;
        t->again = now + PURGE_MS;
    }
    set_state(t, SESSION_TARGET_RESOLVED, "");
}

/* Translates 'target' anew. */
static void
resolve(const struct sess_plan *plan, const struct session_topo *topo,
        const struct sess_target *target, struct target *t,
        long long int now)
{
    const struct sess_plan_service *s = plan->services[target->service];
    const struct session_topo_service *ts;
    uint64_t ofpacts_stub[256 / 8], acts_stub[1024 / 8];
    struct ofproto_dpif *ofproto;
    struct ofpbuf ofpacts, acts;
    struct flow_wildcards wc;
    const char *why;
    struct flow flow;

    ofproto = ofproto_dpif_lookup_by_name(s->bridge);
    ts = topo ? session_topo_find(topo, s) : NULL;
    t->retry = MIN(MAX(2 * t->retry, 1), RETRY_MS);
    t->next = now + t->retry;
    if (!ofproto || !ts || ts->local == ODPP_NONE
        || ofproto->backer != topo->backer) {
        withdraw(target->number, t, "no such bridge", now);
        return;
    }
    ofpbuf_use_stub(&ofpacts, ofpacts_stub, sizeof ofpacts_stub);
    ofpbuf_use_stub(&acts, acts_stub, sizeof acts_stub);
    why = put_ofpacts(target, s, ofproto, &ofpacts);
    if (why) {
        withdraw(target->number, t, why, now);
    } else {
        uint8_t header[PHC_MAX_HEADER];
        size_t header_len = 0;
        struct xlate_out xout;
        struct xlate_in xin;
        enum xlate_error error;

        sample_flow(s, &flow);
        xlate_in_init(&xin, ofproto, ofproto_dpif_get_tables_version(ofproto),
                      &flow, OFPP_LOCAL, NULL, 0, NULL, &wc, &acts);
        xin.ofpacts = ofpacts.data;
        xin.ofpacts_len = ofpacts.size;
        error = xlate_actions(&xin, &xout);
        why = (error ? xlate_strerror(error)
               : xout.slow ? "its packets would need the slow path"
               : !target->local ? check_header(target, &acts, header,
                                               &header_len)
               : !acts.size ? "the port is down" : NULL);
        if (!why) {
            adopt(target->number, t,
                  make_actions(&acts, ts->local, flow.dl_type), &xout, now);
            memcpy(t->header, header, header_len);
            t->header_len = header_len;
            t->next = now + REFRESH_MS;
            t->retry = 0;
            if (!target->local && !target->hop2) {
                tell_cache(plan, target, header, header_len);
            }
        } else {
            xlate_out_uninit(&xout);
            const struct session_actions *old
                = session_actions_get(target->number);

            if (target->local || !old || old->in_port != ts->local) {
                withdraw(target->number, t, why, now);
            } else {
                set_state(t, SESSION_TARGET_STALE, why);
            }
        }
    }
    ofpbuf_uninit(&ofpacts);
    ofpbuf_uninit(&acts);
}

static uint64_t
place_of(const struct sess_plan *plan, const struct sess_target *target)
{
    return target->local ? plan->backends[target->backend].id : target->host;
}

/* Whether packets to 't' may go on as they do for 'target' of 's'. */
static bool
is_same(const struct target *t, const struct sess_plan *plan,
        const struct sess_target *target, const struct sess_plan_service *s)
{
    return (t->service == s->id && t->place == place_of(plan, target)
            && t->vni == target->vni && t->encap == s->encap
            && ipv6_addr_equals(&t->dst, &target->dst));
}

/* Takes the targets of 'plan', which may be null, for those that are
 * wanted. */
void
session_targets_set(const struct sess_plan *plan, long long int now)
{
    for (size_t i = 0; i < n_targets; i++) {
        if (targets[i]) {
            targets[i]->wanted = false;
        }
    }
    for (size_t i = 0; plan && i < plan->n_targets; i++) {
        const struct sess_target *target = &plan->targets[i];
        const struct sess_plan_service *s = plan->services[target->service];
        struct target *t = targets[target->number];

        if (!t) {
            ovs_mutex_lock(&info_mutex);
            t = targets[target->number] = xzalloc(sizeof *t);
            t->base = session_target_packets(target->number);
            ovs_mutex_unlock(&info_mutex);
        } else if (!is_same(t, plan, target, s)) {
            withdraw(target->number, t, "", now);
            t->base = session_target_packets(target->number);
        }
        n_targets = MAX(n_targets, target->number + 1u);
        t->wanted = true;
        t->service = s->id;
        t->place = place_of(plan, target);
        t->dst = target->dst;
        t->vni = target->vni;
        t->encap = s->encap;
    }
    for (size_t i = 0; i < n_targets; i++) {
        if (targets[i] && !targets[i]->wanted) {
            withdraw(i, targets[i], "not wanted any more", now);
        }
    }
}

/* Whether the datapath actions 'acts' may have to do with 'port'. */
static bool
names_port(const struct nlattr *acts, size_t size, odp_port_t port)
{
    const struct ovs_action_push_tnl *push;
    const struct nlattr *a;
    size_t left;

    NL_ATTR_FOR_EACH (a, left, acts, size) {
        switch (nl_attr_type(a)) {
        case OVS_ACTION_ATTR_OUTPUT:
            if (nl_attr_get_odp_port(a) == port) {
                return true;
            }
            break;
        case OVS_ACTION_ATTR_TUNNEL_PUSH:
            push = nl_attr_get(a);
            if (push->tnl_port == port || push->out_port == port) {
                return true;
            }
            break;
        case OVS_ACTION_ATTR_CLONE:
            if (names_port(nl_attr_get(a), nl_attr_get_size(a), port)) {
                return true;
            }
            break;
        case OVS_ACTION_ATTR_SAMPLE:
        case OVS_ACTION_ATTR_CHECK_PKT_LEN:
            return true;        /* It may: they have actions inside. */
        default:
            break;
        }
    }
    return false;
}

/* Withdraws the targets that lead through 'port', which is about to go: its
 * number may be another port's soon. */
void
session_targets_kill_port(odp_port_t port, long long int now)
{
    for (size_t i = 0; i < n_targets; i++) {
        struct target *t = targets[i];
        const struct session_actions *a = t ? session_actions_get(i) : NULL;

        if (a && (a->in_port == port
                  || names_port((const struct nlattr *) a->data, a->size,
                                port))) {
            withdraw(i, t, "its port has gone", now);
            t->next = now;
            t->retry = 0;
            next_run = now;
        }
    }
}

/* Finishes what was changed a moment ago.  Returns when to come back. */
static long long int
settle(uint16_t number, struct target *t, long long int now)
{
    const struct session_actions *a = session_actions_get(number);
    ovs_u128 ufid;

    if (!t->again) {
        return LLONG_MAX;
    } else if (now < t->again) {
        return t->again;
    }
    t->again = 0;
    if (a) {
        session_flow_put_target(number, a);
    } else {
        session_target_ufid(number, htons(ETH_TYPE_IP), &ufid);
        session_flow_del(&ufid);
        session_target_ufid(number, htons(ETH_TYPE_IPV6), &ufid);
        session_flow_del(&ufid);
    }
    return LLONG_MAX;
}

/* Translates what is due, or everything if 'all'. */
void
session_targets_run(const struct sess_plan *plan,
                    const struct session_topo *topo, bool all,
                    long long int now)
{
    size_t n = plan ? plan->n_targets : 0, tries = 0;

    next_run = LLONG_MAX;
    for (size_t i = 0; i < n_targets; i++) {
        struct target *t = targets[i];

        if (!t) {
            continue;
        }
        next_run = MIN(next_run, settle(i, t, now));
        if (all) {
            t->next = now;
            t->retry = 0;
        }
        if (!t->wanted && !t->again) {
            ovs_mutex_lock(&info_mutex);
            targets[i] = NULL;
            ovs_mutex_unlock(&info_mutex);
            free(t);
        }
    }
    for (size_t i = 0; i < n && tries < MAX_TRIES; i++) {
        const struct sess_target *target;
        struct target *t;

        next_pos = next_pos + 1 < n ? next_pos + 1 : 0;
        target = &plan->targets[next_pos];
        t = targets[target->number];
        if (now >= t->next) {
            resolve(plan, topo, target, t, now);
            tries++;
        }
        next_run = MIN(next_run, t->next);
    }
    if (tries == MAX_TRIES) {
        next_run = now;
    }
}

/* When session_targets_run() has something to do again, ms. */
long long int
session_targets_next(void)
{
    return next_run;
}

/* Stores what is known of up to 'max' targets.  Returns how many. */
size_t
session_dp_targets(struct session_target_info *infos, size_t max)
{
    const struct sess_plan *plan = session_plan_get();
    size_t n = 0;

    for (size_t i = 0; plan && i < plan->n_targets && n < max; i++) {
        const struct sess_target *target = &plan->targets[i];
        struct session_target_info *info = &infos[n++];
        const struct target *t;

        memset(info, 0, sizeof *info);
        info->number = target->number;
        info->service = target->service;
        info->local = target->local;
        info->hop2 = target->hop2;
        info->hinted = target->hinted;
        info->backend = target->backend;
        info->host = target->host;
        ovs_mutex_lock(&info_mutex);
        t = targets[target->number];
        if (t) {
            info->state = t->state;
            ovs_strlcpy(info->why, t->why, sizeof info->why);
            info->packets = session_target_packets(info->number) - t->base;
        }
        ovs_mutex_unlock(&info_mutex);
    }
    return n;
}
