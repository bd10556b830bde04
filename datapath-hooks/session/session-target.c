/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Targets: the way to each, and its flow, ahead of use.  All in the main
 * thread, as other translations outside of packet processing are.
 *
 * What a plan does not want any more stays until no packet can be on its way
 * by a plan that did (session-grace.c). */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "netlink.h"
#include "odp-netlink.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_target);

enum {
    RETRY_MS = 200,             /* Unresolved: after 1, 2, 4... and then so
                                 * long; for a neighbor as session-route.c
                                 * says. */
    REFRESH_MS = 1000,          /* Resolved; this keeps its neighbour known. */
    STALE_MS = 60000,           /* So long the header of before is good for,
                                 * with nobody answering... */
    FORMER_MS = 10000,          /* ...and one of before a restart. */
    MAX_TRIES = 256             /* Translations at a time. */
};

struct target {
    bool wanted;                /* By the present plan. */
    uint64_t until;             /* If not, withdraw after this mark. */
    uint64_t service, place;    /* IDs: which it is... */
    struct in6_addr dst;        /* ...and, if remote, how it is got at. */
    uint32_t vni;
    enum phc_encap encap;
    uint64_t base;              /* Packets to the number before. */
    enum session_target_state state;
    char why[SESSION_WHY_LEN];
    char note[SESSION_NOTE_LEN];
    struct xlate_out xout;      /* Of what is in force; keeps recirculation
                                 * IDs alive. */
    bool have_xout;
    long long int next;         /* Translate then, ms. */
    int retry;                  /* In so many ms. */
    bool had_flow;              /* In this run, by a translation; or its port
                                 * has gone. */
    long long int stale_since;  /* No neighbor since then, ms, or 0. */
    uint64_t again;             /* After this mark, or 0: put or delete the
                                 * flow once more, as a PMD thread may have
                                 * put the one before. */
};

/* By number.  Main thread; what others read it writes under 'info_mutex'. */
static struct target *targets[SESS_MAX_TARGETS];
static size_t n_targets;        /* Highest number so far, and 1. */
static struct ovs_mutex info_mutex = OVS_MUTEX_INITIALIZER;

session_actions_rcu session_actions[SESS_MAX_TARGETS];

static size_t next_pos;         /* Among the plan's, to go on with. */
static long long int next_run = LLONG_MAX;

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

/* Sets what packets may miss by the flow of 'target', and logs it if it is
 * new. */
static void
set_note(const struct sess_plan *plan, const struct sess_target *target,
         struct target *t, const char *note)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(20, 20);
    char addr[INET6_ADDRSTRLEN];

    if (strcmp(t->note, note)) {
        ovs_mutex_lock(&info_mutex);
        ovs_strlcpy(t->note, note, sizeof t->note);
        ovs_mutex_unlock(&info_mutex);
        if (note[0]) {
            ipv6_string_mapped(addr, &target->dst);
            VLOG_INFO_RL(&rl, "%s, target %d, by tunnel to %s: %s",
                         plan->services[target->service]->name,
                         target->number, addr, note);
        }
    }
}

/* Puts the flow of 'a' in force, null for none. */
static void
set_actions(uint16_t number, struct session_actions *a)
{
    session_actions_rcu *place = &session_actions[number];
    struct session_actions *old
        = ovsrcu_get_protected(struct session_actions *, place);
    ovs_u128 ufid;

    /* No packet is sent to a target that has no flow yet. */
    if (a) {
        session_flow_put_target(number, a);
    }
    ovsrcu_set(place, a);
    if (old && (!a || a->in_port != old->in_port
                || a->dl_type != old->dl_type)) {
        session_target_ufid(number, old->dl_type, &ufid);
        session_flow_del(&ufid);
    }
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

static void
withdraw(uint16_t number, struct target *t, const char *why)
{
    if (session_actions_get(number)) {
        set_actions(number, NULL);
        t->again = session_grace_begin();
    }
    if (t->have_xout) {
        xlate_out_uninit(&t->xout);
        t->have_xout = false;
    }
    set_state(t, SESSION_TARGET_UNRESOLVED, why);
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

/* Puts 'way' in force, if it is a new one.  Takes over what it has. */
static void
adopt(uint16_t number, struct target *t, struct session_way *way)
{
    const struct session_actions *old = session_actions_get(number);
    struct session_actions *a = way->actions;

    if (old && old->in_port == a->in_port && old->dl_type == a->dl_type
        && old->size == a->size && !memcmp(old->data, a->data, a->size)) {
        free(a);
        xlate_out_uninit(&way->xout);
    } else {
        set_actions(number, a);
        if (t->have_xout) {
            xlate_out_uninit(&t->xout);
        }
        t->xout = way->xout;
        t->have_xout = true;
        t->again = session_grace_begin();
    }
}

/* Has 'target', whose neighbor is not known, go on with the MAC that led there
 * before, for a while.  Returns false if there is none, or if nothing but the
 * MAC must be missing and more is. */
static bool
take_former(const struct sess_plan *plan, const struct session_topo *topo,
            const struct sess_target *target, struct target *t,
            struct session_way *way, long long int now)
{
    const struct session_actions *old = session_actions_get(target->number);

    t->stale_since = t->stale_since ? t->stale_since : now;
    if ((t->had_flow && !old)
        || now - t->stale_since >= (t->had_flow ? STALE_MS : FORMER_MS)
        || !session_way_find_former(plan, topo, target, old, way)) {
        return false;
    }
    adopt(target->number, t, way);
    set_state(t, SESSION_TARGET_STALE, way->why);
    return true;
}

/* Finds the way to 'target' anew. */
static void
resolve(const struct sess_plan *plan, const struct session_topo *topo,
        const struct sess_target *target, struct target *t,
        long long int now)
{
    struct session_way way;

    if (session_way_find(plan, topo, target, now, &way)) {
        adopt(target->number, t, &way);
        set_state(t, SESSION_TARGET_RESOLVED, "");
        set_note(plan, target, t, way.note);
        t->next = now + REFRESH_MS;
        t->retry = 0;
        t->stale_since = 0;
        t->had_flow = true;
        if (!target->local && !target->hop2) {
            tell_cache(plan, target, way.header, way.header_len);
        }
        return;
    }
    t->retry = MIN(MAX(2 * t->retry, 1), RETRY_MS);
    t->next = way.no_neighbor ? way.next : now + t->retry;
    if (!way.no_neighbor || !take_former(plan, topo, target, t, &way, now)) {
        withdraw(target->number, t, way.why);
    }
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

/* Takes the targets of 'plan', which may be null and is in force, for those
 * that are wanted. */
void
session_targets_set(const struct sess_plan *plan)
{
    uint64_t mark = 0;

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
            withdraw(target->number, t, "");
            t->had_flow = false;
            t->stale_since = 0;
            t->base = session_target_packets(target->number);
        }
        n_targets = MAX(n_targets, target->number + 1u);
        t->wanted = true;
        t->until = 0;
        t->service = s->id;
        t->place = place_of(plan, target);
        t->dst = target->dst;
        t->vni = target->vni;
        t->encap = s->encap;
    }
    for (size_t i = 0; i < n_targets; i++) {
        struct target *t = targets[i];

        if (t && !t->wanted && !t->until) {
            mark = mark ? mark : session_grace_begin();
            t->until = mark;
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
            withdraw(i, t, "its port has gone");
            t->had_flow = true;
            t->next = now;
            t->retry = 0;
            next_run = now;
        }
    }
}

/* Finishes what was changed before a grace period that is over.  Returns false
 * if 'number' is of no use any more. */
static bool
settle(uint16_t number, struct target *t)
{
    const struct session_actions *a = session_actions_get(number);
    ovs_u128 ufid;

    if (t->again && session_grace_is_over(t->again)) {
        t->again = 0;
        if (a) {
            session_flow_put_target(number, a);
        } else {
            session_target_ufid(number, htons(ETH_TYPE_IP), &ufid);
            session_flow_del(&ufid);
            session_target_ufid(number, htons(ETH_TYPE_IPV6), &ufid);
            session_flow_del(&ufid);
        }
    }
    if (!t->wanted && session_grace_is_over(t->until)) {
        withdraw(number, t, "not wanted any more");
        return t->again != 0;
    }
    return true;
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
        if (all) {
            t->next = now;
            t->retry = 0;
        }
        if (!settle(i, t)) {
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
            ovs_strlcpy(info->note,
                        t->state != SESSION_TARGET_UNRESOLVED ? t->note : "",
                        sizeof info->note);
            info->packets = session_target_packets(info->number) - t->base;
        }
        ovs_mutex_unlock(&info_mutex);
    }
    return n;
}
