/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The datapath part of sessions: takes plans, looks at bridges, and keeps
 * flows in step with both. */

#include <config.h>

#include "datapath-hooks/session/session-dp.h"

#include <stdlib.h>
#include <string.h>

#include "connectivity.h"
#include "datapath-hooks/ext-chain.h"
#include "datapath-hooks/session/session-dp-impl.h"
#include "hash.h"
#include "netdev.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-upcall.h"
#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_dp);

enum {
    TOPO_MS = 1000,             /* Look at all bridges at least so often. */
    JUDGE_ROUNDS = 3,           /* Complete dumps that begin after a change;
                                 * the first has begun before. */
    JUDGE_MS = 1000
};

/* Guards what main thread and agent share. */
static struct ovs_mutex session_dp_mutex = OVS_MUTEX_INITIALIZER;

/* Constant once set, with the first service. */
static ATOMIC(struct sess_table *) the_table;
static ATOMIC(struct phc *) the_phc;

/* Agent writes. */
static OVSRCU_TYPE(struct sess_plan *) the_plan;
static struct seq *plan_seq;

/* Main thread writes. */
static OVSRCU_TYPE(struct session_topo *) the_topo;
static OVSRCU_TYPE(struct reply_ports *) reply_ports;
static struct seq *present_seq;
static uint64_t *present OVS_GUARDED_BY(session_dp_mutex); /* Sorted IDs. */
static size_t n_present OVS_GUARDED_BY(session_dp_mutex);

/* Main thread's own. */
static const struct sess_plan *last_plan; /* To compare only. */
static uint64_t seen_plan, seen_connectivity, seen_tunnels, seen_dump;
static uint32_t topo_signature;
static long long int next_topo, next_entries = LLONG_MAX;
static int judge_rounds;
static long long int judge_until;

/* Plans of before.  Agent's own but for 'passed', which is set when no thread
 * can be using it. */
struct old_plan {
    struct ovs_list list;
    struct sess_plan *plan;
    atomic_bool passed;
};
static struct ovs_list old_plans = OVS_LIST_INITIALIZER(&old_plans);

/* A backend's port, and a service in its bridge. */
struct reply_port {
    const struct netdev *netdev;
    uint64_t service;           /* Number. */
};

/* Those there are, by netdev: an open hash, at most half full. */
struct reply_ports {
    size_t mask;
    struct reply_port slots[];
};

/* PMD-THREAD CODE */

const struct sess_plan *
session_plan_get(void)
{
    return ovsrcu_get(struct sess_plan *, &the_plan);
}

const struct session_topo *
session_topo_get(void)
{
    return ovsrcu_get(struct session_topo *, &the_topo);
}

struct sess_table *
session_dp_table(void)
{
    struct sess_table *table;

    atomic_read_explicit(&the_table, &table, memory_order_acquire);
    return table;
}

struct phc *
session_dp_phc(void)
{
    struct phc *phc;

    atomic_read_explicit(&the_phc, &phc, memory_order_acquire);
    return phc;
}

static inline size_t
reply_ports_slot(const struct reply_ports *ports, const struct netdev *netdev)
{
    size_t i = hash_pointer(netdev, 0) & ports->mask;

    while (ports->slots[i].netdev && ports->slots[i].netdev != netdev) {
        i = (i + 1) & ports->mask;
    }
    return i;
}

/* The number of a service in whose bridge 'netdev' is the port of a backend;
 * SESS_NONE if it is none's. */
uint16_t
session_reply_service(const struct netdev *netdev)
{
    const struct reply_ports *ports
        = ovsrcu_get(struct reply_ports *, &reply_ports);

    return (ports ? ports->slots[reply_ports_slot(ports, netdev)].service
            : SESS_NONE);
}

/* END PMD-THREAD CODE */

/* Agent. */

void
session_dp_enable(struct sess_table *table, struct phc *phc)
{
    atomic_store_explicit(&the_table, table, memory_order_release);
    atomic_store_explicit(&the_phc, phc, memory_order_release);
}

/* The members of service 'number' in 'plan', which may be null. */
static struct phc_member *
get_members(const struct sess_plan *plan, uint16_t number, size_t *np)
{
    struct phc_member *members = NULL;
    size_t n = 0, allocated = 0;

    for (size_t i = 1; plan && i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = &plan->backends[i];

        if (b->id && b->service == number) {
            if (n == allocated) {
                members = x2nrealloc(members, &allocated, sizeof *members);
            }
            memset(&members[n], 0, sizeof *members);
            members[n].owner = i;
            members[n++].addr = b->addr;
        }
    }
    *np = n;
    return members;
}

/* Tells the header cache who the members of services are. */
static void
tell_members(const struct sess_plan *old, const struct sess_plan *new)
{
    size_t n_services = MAX(old ? old->n_services : 0,
                            new ? new->n_services : 0);

    ovs_mutex_lock(&session_phc_mutex);
    for (size_t i = 1; i < n_services; i++) {
        struct phc_member *was, *is;
        size_t n_was, n_is;

        was = get_members(old, i, &n_was);
        is = get_members(new, i, &n_is);
        if (n_was != n_is || (n_is && memcmp(was, is, n_is * sizeof *is))) {
            int error = phc_service_set(session_dp_phc(), i, is, n_is);

            if (error) {
                VLOG_WARN("the header cache has no room for all backends "
                          "(%s)", ovs_strerror(error));
            }
        }
        free(was);
        free(is);
    }
    ovs_mutex_unlock(&session_phc_mutex);
}

static void
old_plan_passed(struct old_plan *old)
{
    atomic_store_explicit(&old->passed, true, memory_order_release);
}

/* Destroys the plans that nobody uses any more: here, since plans share
 * things. */
static void
collect(void)
{
    struct old_plan *old, *next;

    LIST_FOR_EACH_SAFE (old, next, list, &old_plans) {
        bool passed;

        atomic_read_explicit(&old->passed, &passed, memory_order_acquire);
        if (passed) {
            ovs_list_remove(&old->list);
            sess_plan_destroy(old->plan);
            free(old);
        }
    }
}

static const struct ext_chain_link session_link = {
    .translate = session_translate,
    .pop = session_pop,
    .dpif_operate = session_operate,
    .flow_dump = session_flow_dump,
};

void
session_dp_set_plan(struct sess_plan *plan)
{
    static bool have_hooks;
    struct sess_plan *last
        = ovsrcu_get_protected(struct sess_plan *, &the_plan);

    collect();
    tell_members(last, plan);
    ovsrcu_set(&the_plan, plan);
    if (last) {
        struct old_plan *old = xmalloc(sizeof *old);

        old->plan = last;
        atomic_init(&old->passed, false);
        ovs_list_push_back(&old_plans, &old->list);
        ovsrcu_postpone(old_plan_passed, old);
    }
    if (plan && !have_hooks) {
        /* For good: packets and flows of ours may be anywhere from now on. */
        have_hooks = true;
        ext_chain_set(EXT_CHAIN_OUTER, &session_link);
        EXT_HOOK_SET(push, session_push);
    }
    seq_change(plan_seq);
}

const struct sess_plan *
session_dp_plan(void)
{
    return ovsrcu_get_protected(struct sess_plan *, &the_plan);
}

size_t
session_dp_present(uint64_t *backends, size_t max)
{
    size_t n;

    ovs_mutex_lock(&session_dp_mutex);
    n = n_present;
    if (n) {
        memcpy(backends, present, MIN(n, max) * sizeof *backends);
    }
    ovs_mutex_unlock(&session_dp_mutex);
    return n;
}

struct seq *
session_dp_seq(void)
{
    return present_seq;
}

static void
topo_set(struct session_topo *topo)
{
    struct session_topo *old
        = ovsrcu_get_protected(struct session_topo *, &the_topo);

    ovsrcu_set(&the_topo, topo);
    if (old) {
        ovsrcu_postpone(session_topo_destroy, old);
    }
}

static const struct dpif_backer *
find_backer(void)
{
    const struct dpif *dpif = session_flow_dpif();
    struct shash_node *node;

    SHASH_FOR_EACH (node, &all_dpif_backers) {
        const struct dpif_backer *backer = node->data;

        if (dpif && backer->dpif == dpif) {
            return backer;
        }
    }
    return NULL;
}

/* Presence of ports. */

static int
compare_ids(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
set_reply_ports(const struct reply_port *found, size_t n)
{
    struct reply_ports *old
        = ovsrcu_get_protected(struct reply_ports *, &reply_ports);
    struct reply_ports *new = NULL;

    if (n) {
        size_t size = 8;

        while (size < 2 * n) {
            size *= 2;
        }
        new = xzalloc(sizeof *new + size * sizeof *new->slots);
        new->mask = size - 1;
        for (size_t i = 0; i < n; i++) {
            new->slots[reply_ports_slot(new, found[i].netdev)] = found[i];
        }
        if (old && old->mask == new->mask
            && !memcmp(old->slots, new->slots, size * sizeof *new->slots)) {
            free(new);
            return;
        }
    } else if (!old) {
        return;
    }
    ovsrcu_set(&reply_ports, new);
    if (old) {
        ovsrcu_postpone(free, old);
    }
    ext_chain_set_received(EXT_RECEIVER_SESSION,
                           new ? session_received : NULL);
}

/* Looks which ports of backends are plugged in.  Returns true if that has
 * changed. */
static bool
look_for_ports(const struct sess_plan *plan, const struct dpif_backer *backer)
{
    size_t n = 0, n_found = 0, max = plan ? plan->n_targets : 0;
    struct reply_port *found = xmalloc(MAX(max, 1) * sizeof *found);
    uint64_t *ids = xmalloc(MAX(max, 1) * sizeof *ids);
    bool changed;

    for (size_t i = 0; i < max && backer; i++) {
        const struct sess_target *target = &plan->targets[i];
        const struct ofproto_dpif *ofproto;
        const struct ofport *port;

        if (!target->local) {
            continue;
        }
        ofproto = ofproto_dpif_lookup_by_name(
            plan->services[target->service]->bridge);
        port = (ofproto && ofproto->backer == backer
                ? shash_find_data(&ofproto->up.port_by_name, target->port)
                : NULL);
        if (port) {
            ids[n++] = plan->backends[target->backend].id;
            found[n_found++] = (struct reply_port) {
                port->netdev, target->service,
            };
        }
    }
    if (n) {
        size_t kept = 1;

        /* A backend of several services counts once. */
        qsort(ids, n, sizeof *ids, compare_ids);
        for (size_t i = 1; i < n; i++) {
            if (ids[i] != ids[kept - 1]) {
                ids[kept++] = ids[i];
            }
        }
        n = kept;
    }
    set_reply_ports(found, n_found);
    free(found);

    ovs_mutex_lock(&session_dp_mutex);
    changed = n != n_present || (n && memcmp(ids, present, n * sizeof *ids));
    free(changed ? present : ids);
    if (changed) {
        present = ids;
        n_present = n;
    }
    ovs_mutex_unlock(&session_dp_mutex);
    if (changed) {
        seq_change(present_seq);
    }
    return changed;
}

/* Main thread. */

void
session_dp_init(void)
{
    plan_seq = seq_create();
    present_seq = seq_create();
    session_grace_init();
    seen_plan = seq_read(plan_seq);
    ovsrcu_init(&the_plan, NULL);
    ovsrcu_init(&the_topo, NULL);
    ovsrcu_init(&reply_ports, NULL);
}

void
session_dp_set_dpif(struct dpif *dpif)
{
    session_flow_set_dpif(dpif);
}

void
session_dp_forget_dpif(const struct dpif *dpif)
{
    if (session_flow_forget_dpif(dpif)) {
        topo_set(NULL);
        next_topo = 0;
    }
}

/* 'port' of 'dpif' is about to go. */
void
session_dp_port_del(struct dpif *dpif, odp_port_t port)
{
    const char *type = dpif_type(dpif);

    if (!strcmp(type, "netdev") || !strcmp(type, "dummy")) {
        session_entries_kill_port(port, time_msec());
        session_targets_kill_port(port, time_msec());
    }
}

/* Has flows that cover packets for services go, until all have been seen. */
static void
judge_run(const struct dpif_backer *backer, bool begin, long long int now)
{
    uint64_t seq = backer ? seq_read(udpif_dump_seq(backer->udpif)) : 0;

    if (begin) {
        judge_rounds = JUDGE_ROUNDS;
        judge_until = now + JUDGE_MS;
        session_flow_judge(true);
        if (backer) {
            udpif_revalidate(backer->udpif);
        }
    } else if (judge_rounds && seq != seen_dump) {
        judge_rounds--;
    }
    seen_dump = seq;
    if (judge_rounds && !backer) {
        judge_rounds = 0;
        judge_until = 0;
    }
    if (!judge_rounds && judge_until && now >= judge_until) {
        judge_until = 0;
        session_flow_judge(false);
    } else if (judge_rounds && !begin && backer && seq != 0) {
        /* The next dump may be half a second away. */
        udpif_revalidate(backer->udpif);
    }
}

void
session_dp_run(void)
{
    const struct dpif_backer *backer;
    const struct session_topo *topo;
    const struct sess_plan *plan;
    long long int now = time_msec();
    uint64_t plan_now = seq_read(plan_seq);
    uint64_t connectivity, tunnels;
    bool new_plan, changed;

    if (!session_dp_table()) {
        return;
    }
    session_grace_run();
    connectivity = seq_read(connectivity_seq_get());
    /* Null until there is a datapath. */
    tunnels = tnl_conf_seq ? seq_read(tnl_conf_seq) : 0;
    plan = session_plan_get();
    /* The plan may be newer than its announcement; and another one may have
     * the place in memory of one before. */
    new_plan = plan_now != seen_plan || plan != last_plan;
    seen_plan = plan_now;
    last_plan = plan;
    backer = find_backer();
    changed = (new_plan || connectivity != seen_connectivity
               || tunnels != seen_tunnels);
    seen_connectivity = connectivity;
    seen_tunnels = tunnels;
    if (look_for_ports(plan, backer)) {
        changed = true;
    }
    topo = session_topo_get();
    if (changed || now >= next_topo) {
        struct session_topo *new = (plan && backer
                                    ? session_topo_create(plan, backer)
                                    : NULL);
        uint32_t signature = session_topo_signature(plan, new);

        topo_set(new);
        topo = new;
        next_topo = plan ? now + TOPO_MS : LLONG_MAX;
        /* Whatever has changed: a PMD thread may have made an entry for a
         * port that was about to go. */
        if (session_entries_check(plan, topo, now)) {
            judge_run(backer, true, now);
        }
        if (signature != topo_signature) {
            topo_signature = signature;
            changed = true;
            judge_run(backer, true, now);
        }
    }
    judge_run(backer, false, now);
    if (new_plan) {
        session_targets_set(plan);
    }
    session_targets_run(plan, topo, changed, now);
    next_entries = session_entries_run(now);
}

void
session_dp_wait(void)
{
    const struct dpif_backer *backer;
    long long int next;

    seq_wait(plan_seq, seen_plan);
    if (!session_dp_table()) {
        return;
    }
    session_grace_wait();
    if (session_plan_get()) {
        seq_wait(connectivity_seq_get(), seen_connectivity);
        if (tnl_conf_seq) {
            seq_wait(tnl_conf_seq, seen_tunnels);
        }
        poll_timer_wait_until(next_topo);
    }
    if (judge_until) {
        backer = find_backer();
        poll_timer_wait_until(judge_until);
        if (judge_rounds && backer) {
            seq_wait(udpif_dump_seq(backer->udpif), seen_dump);
        }
    }
    next = MIN(session_targets_next(), next_entries);
    if (next != LLONG_MAX) {
        poll_timer_wait_until(next);
    }
}
