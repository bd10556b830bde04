/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* A round of the thread: the datapath's flows are dumped, and the planner
 * learns what they counted and decides anew. */

#include <config.h>

#include "datapath-hooks/offload/offload-agent.h"

#include <stdlib.h>

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-wish.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/steering/steer.h"
#include "dpif.h"
#include "flow.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

/* A rule that marks packets saves their classification; one with actions saves
 * receiving and sending them too. */
#define PARTIAL_SAVING 0.2

/* Flows between two times that the thread lets RCU go on. */
#define QUIESCE_FLOWS 64

/* Dumps after which a flow that nobody will delete is taken as gone. */
#define UNTRACKED_ROUNDS 3

/* ofproto's own handle of the datapath, or null.  The mutex is held while
 * flows are dumped; lock order: this one, that of 'offload_agent'. */
static struct ovs_mutex dpif_mutex = OVS_MUTEX_INITIALIZER;
static struct dpif *the_dpif OVS_GUARDED_BY(dpif_mutex);
static ATOMIC(struct dpif *) known_dpif;    /* The same, to look at. */

/* Candidates that the planner knows; agent, under the mutex to change it. */
static struct offload_flow **flows;
static size_t n_flows, allocated_flows;
static uint64_t a_round;                /* Number of the last dump. */

/* Ports that the planner knows, by its numbers, with a reference; agent. */
static struct offload_port *planned_ports[OFFLOAD_MAX_PORTS];

/* What the planner knows. */

static struct offload_plan *
create_plan(const struct offload_settings *s)
{
    struct offload_config config = OFFLOAD_CONFIG_DEFAULT;

    config.budget = s->budget;
    return offload_plan_create(&config, time_msec());
}

static void
forget_flow(struct offload_agent *a, size_t i)
    OVS_REQUIRES(a->mutex)
{
    struct offload_flow *flow = flows[i];

    offload_plan_remove(a->plan, flow->id);
    flow->planned = false;
    flows[i] = flows[--n_flows];
    offload_flow_unref(flow);
}

/* The planner's port 'i' has no candidates any more. */
static void
forget_port(struct offload_agent *a, size_t i)
    OVS_REQUIRES(a->mutex)
{
    offload_plan_remove_port(a->plan, i);
    planned_ports[i]->plan_port = -1;
    offload_port_unref(planned_ports[i]);
    planned_ports[i] = NULL;
}

/* Forgets ports that were deleted. */
static void
sweep_ports(struct offload_agent *a)
    OVS_REQUIRES(a->mutex)
{
    for (size_t i = 0; i < OFFLOAD_MAX_PORTS; i++) {
        struct offload_port_stats stats;
        bool dead = false;

        if (planned_ports[i]) {
            atomic_read(&planned_ports[i]->dead, &dead);
        }
        if (dead) {
            offload_plan_port_stats(a->plan, i, &stats);
            if (!stats.candidates) {
                forget_port(a, i);
            }
        }
    }
}

void
offload_round_forget(struct offload_agent *a)
{
    while (n_flows) {
        forget_flow(a, n_flows - 1);
    }
    for (size_t i = 0; i < OFFLOAD_MAX_PORTS; i++) {
        if (planned_ports[i]) {
            forget_port(a, i);
        }
    }
    offload_plan_destroy(a->plan);
    a->plan = NULL;
}

/* Takes the flow just dumped into the planner.  Its statistics come with the
 * next tick. */
static void
meet_flow__(struct offload_agent *a, struct offload_flow *flow, long long now)
    OVS_REQUIRES(a->mutex)
{
    struct offload_port *port = flow->port;

    if (!offload_flow_try_ref(flow)) {
        return;                 /* It has just been deleted. */
    }
    if (port->plan_port < 0) {
        port->plan_port = offload_plan_add_port(a->plan);
        if (port->plan_port < 0) {
            offload_flow_unref(flow);
            return;
        }
        ovs_refcount_ref(&port->refs);
        planned_ports[port->plan_port] = port;
    }
    if (n_flows == allocated_flows) {
        flows = x2nrealloc(flows, &allocated_flows, sizeof *flows);
    }
    flows[n_flows++] = flow;

    /* Its first packets count: they came since it was set up, which is at
     * most an interval ago as a rule. */
    flow->id = offload_plan_add(a->plan, port->plan_port, 0, flow,
                                now - a->settings.interval);
    flow->last_all = flow->last_hw = 0;
    flow->wish_edition = 0;
    flow->planned = true;
}

static void
meet_flow(struct offload_agent *a, struct offload_flow *flow, long long now)
{
    ovs_mutex_lock(&a->mutex);
    meet_flow__(a, flow, now);
    ovs_mutex_unlock(&a->mutex);
}

/* The dump. */

/* By which the datapath knows 'flow'; commands read it. */
static void
note_ufid(struct offload_agent *a, struct offload_flow *flow,
          const ovs_u128 *ufid)
{
    if (!ovs_u128_equals(flow->dp_ufid, *ufid)) {
        ovs_mutex_lock(&a->mutex);
        flow->dp_ufid = *ufid;
        ovs_mutex_unlock(&a->mutex);
    }
}

static void
note_flow(struct offload_agent *a, const struct dpif_flow *f, long long now)
{
    const struct offload_seen *seen = offload_seen();
    struct offload_flow *flow = seen->flow;

    if (!flow) {
        return;                 /* Not a candidate, or not known for now. */
    }
    if (!flow->planned) {
        if (!offload_flow_is_stuck(flow)) {
            meet_flow(a, flow, now);
        }
        if (!flow->planned) {
            return;
        }
    }
    if (flow->round != a_round) {
        flow->round = a_round;
        flow->sw = 0;
        note_ufid(a, flow, &f->ufid);
    }
    /* A megaflow may be on several PMD threads.  Each counts its own packets;
     * dpif-netdev adds all of the hardware's to each. */
    flow->sw += f->stats.n_packets - MIN(seen->hw_packets,
                                         f->stats.n_packets);
    flow->hw = seen->hw_packets;
}

/* Returns the number of flows. */
static uint64_t
dump__(struct offload_agent *a, struct dpif *dpif, long long int now)
{
    struct dpif_flow_dump_types types = { .ovs_flows = true };
    struct dpif_flow_dump_thread *dump_thread;
    struct dpif_flow_dump *dump_state;
    uint64_t n = 0;

    a_round++;
    dump_state = dpif_flow_dump_create(dpif, true, &types);
    dump_thread = dpif_flow_dump_thread_create(dump_state);
    for (;;) {
        struct dpif_flow f;

        offload_seen()->flow = NULL;
        if (!ext_real_flow_dump(dump_thread, &f, 1)) {
            break;
        }
        note_flow(a, &f, now);
        if (++n % QUIESCE_FLOWS == 0) {
            ovsrcu_quiesce();
        }
    }
    offload_seen()->flow = NULL;
    dpif_flow_dump_thread_destroy(dump_thread);
    dpif_flow_dump_destroy(dump_state);
    return n;
}

/* Returns false if there is no datapath to dump. */
static bool
dump(struct offload_agent *a)
{
    long long int start = time_usec();
    uint64_t n = 0;
    bool ok;

    ovs_mutex_lock(&dpif_mutex);
    ok = the_dpif != NULL;
    if (ok) {
        n = dump__(a, the_dpif, start / 1000);
    }
    ovs_mutex_unlock(&dpif_mutex);

    ovs_mutex_lock(&a->mutex);
    a->n_dumped = n;
    a->dump_us = time_usec() - start;
    ovs_mutex_unlock(&a->mutex);
    return ok;
}

/* A tick. */

/* Finds out which queue 'flow' is for. */
static void
check_queue(struct offload_flow *flow)
{
    const struct offload_port *port = flow->port;

    if (!port->queue_edition) {
        flow->queue = OFFLOAD_TO_RSS;
    } else if (flow->queue_edition != port->queue_edition) {
        struct flow_wildcards wc;
        struct flow f;

        offload_flow_match(flow, &f, &wc);
        flow->queue = offload_queue_of(port->name, &f, &wc);
    }
    flow->queue_edition = port->queue_edition;
}

static void
count_flow(struct offload_agent *a, struct offload_flow *flow, long long now)
    OVS_REQUIRES(a->mutex)
{
    struct offload_port *port = flow->port;
    uint64_t all = flow->sw + flow->hw;

    offload_plan_count(a->plan, flow->id, all, now);
    port->round_all += all > flow->last_all ? all - flow->last_all : 0;
    port->round_hw += flow->hw > flow->last_hw ? flow->hw - flow->last_hw : 0;
    flow->last_all = all;
    flow->last_hw = flow->hw;
}

/* Tells the planner what became of 'flows[i]' since the last tick.  Returns
 * false if that is no longer the same flow. */
static bool
tell_flow(struct offload_agent *a, size_t i, long long int now)
    OVS_REQUIRES(a->mutex)
{
    struct offload_flow *flow = flows[i];
    bool dead, partial, in;

    atomic_read(&flow->dead, &dead);
    if (dead || offload_flow_is_stuck(flow)) {
        forget_flow(a, i);
        return false;
    }
    if (flow->round == a_round) {
        count_flow(a, flow, now);
    }
    if (a->settings.mode == OFFLOAD_ON) {
        in = offload_flow_installed(flow, &partial);
        offload_plan_set_in(a->plan, flow->id, in);
        if (in) {
            offload_plan_set_saving(a->plan, flow->id,
                                    partial ? PARTIAL_SAVING : 1);
        }
    }
    offload_wish_flow(a->plan, flow);
    return true;
}

static void
begin_ports(struct offload_agent *a, long long int now)
    OVS_REQUIRES(a->mutex)
{
    struct offload_port *port;

    CMAP_FOR_EACH (port, node, &offload_ports) {
        uint32_t full;

        port->round_hw = port->round_all = 0;
        port->steered = port->is_dpdk && steer_moves_reta(port->netdev);
        port->queue_edition = (port->is_dpdk
                               ? offload_queue_edition(port->name) : 0);
        atomic_read_relaxed(&port->full_at, &full);
        if (port->plan_port >= 0 && full != UINT32_MAX
            && a->settings.mode == OFFLOAD_SHADOW) {
            offload_plan_set_full(a->plan, port->plan_port, full, now);
        }
    }
}

/* Makes what the planner knows of tables' sizes known to all. */
static void
end_ports(struct offload_agent *a)
    OVS_REQUIRES(a->mutex)
{
    struct offload_port *port;

    CMAP_FOR_EACH (port, node, &offload_ports) {
        struct offload_port_stats stats = { .capacity = OFFLOAD_UNKNOWN };

        if (port->plan_port >= 0) {
            offload_plan_port_stats(a->plan, port->plan_port, &stats);
        }
        atomic_store_relaxed(&port->capacity, stats.capacity);
    }
}

static bool
take(struct offload_agent *a)
{
    bool taken;

    ovs_mutex_lock(&a->mutex);
    taken = offload_plan_take(a->plan, time_msec());
    ovs_mutex_unlock(&a->mutex);
    return taken;
}

/* Rules that only mark packets depend on who decides on queues. */
static void
check_target(struct offload_agent *a, struct offload_flow *flow)
{
    bool partial, in = offload_flow_installed(flow, &partial);
    struct offload_turn turn;

    check_queue(flow);
    if (in && partial && flow->port->is_dpdk
        && flow->target != offload_queue_target(flow->queue,
                                                flow->port->steered)
        && take(a) && offload_flow_begin(flow, &turn)) {
        if (offload_flow_installed(flow, NULL)
            && offload_flow_uninstall(flow) == OFFLOAD_DONE) {
            offload_flow_install(flow);
        }
        offload_flow_end(&turn);
    }
}

static void
untrack(struct offload_flow *flow)
{
    unsigned int tid = offload_enter(&flow->ufid);
    bool dead;

    atomic_read(&flow->dead, &dead);
    if (!dead && flow->untracked) {
        offload_flow_remove(flow);
    }
    offload_leave(tid);
}

/* Sees to the flows that the planner knows, without the mutex, since a device
 * may be asked. */
static void
check_flows(struct offload_agent *a, enum offload_mode mode)
{
    for (size_t i = 0; i < n_flows; i++) {
        struct offload_flow *flow = flows[i];

        if (flow->untracked && flow->round + UNTRACKED_ROUNDS < a_round) {
            untrack(flow);
        } else if (mode == OFFLOAD_ON) {
            check_target(a, flow);
        }
        if (i % QUIESCE_FLOWS == 0) {
            ovsrcu_quiesce();
        }
    }
}

/* Forgets flows that nobody will delete and that no dump has met. */
static void
sweep_untracked(bool all)
{
    struct offload_port *port;

    CMAP_FOR_EACH (port, node, &offload_ports) {
        struct offload_flow *flow;

        CMAP_FOR_EACH (flow, node, &port->flows) {
            if (!flow->untracked || flow->planned) {
                continue;
            } else if (!flow->round) {
                flow->round = a_round;  /* It is not older than that. */
            }
            if (all || flow->round + UNTRACKED_ROUNDS < a_round) {
                untrack(flow);
            }
        }
    }
}

void
offload_round_untrack(void)
{
    sweep_untracked(true);
}

static void
tell_flows(struct offload_agent *a, long long int now)
    OVS_REQUIRES(a->mutex)
{
    unsigned int n = 0;

    begin_ports(a, now);
    offload_wish_begin();
    for (size_t i = 0; i < n_flows; ) {
        i += tell_flow(a, i, now);
        if (++n % QUIESCE_FLOWS == 0) {
            ovsrcu_quiesce();
        }
    }
    offload_wish_end();
    sweep_ports(a);
    offload_plan_tick(a->plan, now);
    end_ports(a);
    a->n_ticks++;
}

void
offload_round_run(struct offload_agent *a)
{
    long long int start = time_usec();
    enum offload_mode mode;

    if (cmap_is_empty(&offload_ports) && !n_flows) {
        return;
    }
    ovs_mutex_lock(&a->mutex);
    if (!a->plan) {
        a->plan = create_plan(&a->settings);
    }
    ovs_mutex_unlock(&a->mutex);

    if (dump(a)) {
        ovs_mutex_lock(&a->mutex);
        tell_flows(a, start / 1000);
        a->tick_us = time_usec() - start;
        mode = a->settings.mode;
        ovs_mutex_unlock(&a->mutex);

        check_flows(a, mode);
        if (mode == OFFLOAD_SHADOW) {
            sweep_untracked(false);
        }
    }
}

void
offload_round_evict(struct offload_agent *a)
{
    for (size_t i = 0; i < n_flows; i++) {
        struct offload_turn turn;

        if (offload_flow_begin(flows[i], &turn)) {
            if (offload_flow_installed(flows[i], NULL)) {
                offload_flow_uninstall(flows[i]);
            }
            offload_flow_end(&turn);
        }
        ovs_mutex_lock(&a->mutex);
        offload_plan_set_in(a->plan, flows[i]->id, false);
        ovs_mutex_unlock(&a->mutex);
        if (i % QUIESCE_FLOWS == 0) {
            ovsrcu_quiesce();
        }
    }
}

static void
set_dpif(struct dpif *dpif)
{
    ovs_mutex_lock(&dpif_mutex);
    the_dpif = dpif;
    atomic_store(&known_dpif, dpif);
    ovs_mutex_unlock(&dpif_mutex);
}

void
offload_agent_set_dpif(struct dpif *dpif)
{
    struct dpif *known;

    atomic_read(&known_dpif, &known);
    if (known != dpif) {
        set_dpif(dpif);
    }
}

void
offload_forget_dpif(const struct dpif *dpif)
{
    struct dpif *known;

    atomic_read(&known_dpif, &known);
    if (known == dpif) {
        set_dpif(NULL);
    }
}

void
offload_agent_each(bool (*cb)(struct offload_flow *, void *aux), void *aux)
{
    for (size_t i = 0; i < n_flows && cb(flows[i], aux); i++) {
        continue;
    }
}
