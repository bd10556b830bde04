/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/offload/offload-agent.h"

#include <limits.h>
#include <stdlib.h>

#include "coverage.h"
#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-wish.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/steering/steer.h"
#include "dpif.h"
#include "latch.h"
#include "netdev-provider.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(offload);

COVERAGE_DEFINE(offload_insert);
COVERAGE_DEFINE(offload_evict);
COVERAGE_DEFINE(offload_error);

/* A rule that marks packets saves their classification; one with actions saves
 * receiving and sending them too. */
#define PARTIAL_SAVING 0.2

/* Dumps after which a flow that nobody will delete is taken as gone. */
#define UNTRACKED_ROUNDS 3

/* Updates between two times that the thread lets RCU go on. */
#define QUIESCE_UPDATES 16

struct offload_agent offload_agent = { .mutex = OVS_MUTEX_INITIALIZER };

static ATOMIC(enum offload_mode) mode = OFFLOAD_OFF;

/* ofproto's own handle of the datapath, or null.  The mutex is held while
 * flows are dumped; lock order: this one, that of 'offload_agent'. */
static struct ovs_mutex dpif_mutex = OVS_MUTEX_INITIALIZER;
static struct dpif *the_dpif OVS_GUARDED_BY(dpif_mutex);
static ATOMIC(struct dpif *) known_dpif;    /* The same, to look at. */

/* The thread. */
static pthread_t thread;
static bool thread_running;             /* Main thread. */
static struct latch wake;               /* Something changed. */
static ATOMIC(bool) exiting;
static ATOMIC(bool) flush_wanted;

/* Candidates that the planner knows; agent, under the mutex to change it. */
static struct offload_flow **flows;
static size_t n_flows, allocated_flows;
static uint64_t a_round;                /* Number of the last dump. */

/* Ports that the planner knows, by its numbers, with a reference; agent. */
static struct offload_port *planned_ports[OFFLOAD_MAX_PORTS];

enum offload_mode
offload_mode(void)
{
    enum offload_mode m;

    atomic_read(&mode, &m);
    return m;
}

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

/* Begins anew: after a change of mode what is in the table may be another
 * matter. */
static void
forget_all(struct offload_agent *a)
    OVS_REQUIRES(a->mutex)
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

static void
note_flow(struct offload_agent *a, const struct dpif_flow *f, long long now)
{
    const struct offload_seen *seen = offload_seen();
    struct offload_flow *flow = seen->flow;

    if (!flow) {
        return;                 /* Not a candidate, or not known for now. */
    }
    if (!flow->planned) {
        meet_flow(a, flow, now);
        if (!flow->planned) {
            return;
        }
    }
    if (flow->round != a_round) {
        flow->round = a_round;
        flow->sw = 0;
        flow->dp_ufid = f->ufid;
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
        n++;
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

/* Rules that only mark packets depend on who decides on queues. */
static void
check_steering(struct offload_agent *a, struct offload_flow *flow)
    OVS_REQUIRES(a->mutex)
{
    bool partial, in = offload_flow_installed(flow, &partial);

    if (in && partial && flow->port->is_dpdk
        && flow->passthru != flow->port->steered
        && offload_plan_take(a->plan, time_msec())) {
        unsigned int tid = offload_enter(&flow->ufid);

        if (offload_flow_installed(flow, NULL)
            && offload_flow_uninstall(flow) == OFFLOAD_DONE) {
            offload_flow_install(flow);
        }
        offload_leave(tid);
    }
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

/* Tells the planner what became of 'flows[i]' since the last tick.  Returns
 * false if that is no longer the same flow. */
static bool
tell_flow(struct offload_agent *a, size_t i, long long int now)
    OVS_REQUIRES(a->mutex)
{
    struct offload_flow *flow = flows[i];
    bool dead, partial, in;

    if (flow->untracked && flow->round + UNTRACKED_ROUNDS < a_round) {
        untrack(flow);
    }
    atomic_read(&flow->dead, &dead);
    if (dead) {
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
        check_steering(a, flow);
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
        atomic_read_relaxed(&port->full_at, &full);
        if (port->plan_port >= 0 && full != UINT32_MAX
            && a->settings.mode == OFFLOAD_SHADOW) {
            offload_plan_set_full(a->plan, port->plan_port, full, now);
        }
    }
}

static void
tick(struct offload_agent *a)
{
    long long int start = time_usec();
    long long int now = start / 1000;

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
        begin_ports(a, now);
        offload_wish_begin();
        for (size_t i = 0; i < n_flows; ) {
            i += tell_flow(a, i, now);
        }
        offload_wish_end();
        sweep_ports(a);
        offload_plan_tick(a->plan, now);
        a->n_ticks++;
        a->tick_us = time_usec() - start;
        ovs_mutex_unlock(&a->mutex);
    }
}

/* Updates. */

static enum offload_result
change_table(const struct offload_update *update)
{
    struct offload_flow *flow = update->aux;
    enum offload_result result;
    unsigned int tid;
    bool dead;

    tid = offload_enter(&flow->ufid);
    atomic_read(&flow->dead, &dead);
    if (dead || offload_flow_installed(flow, NULL) == update->insert) {
        result = OFFLOAD_GONE;
    } else if (update->insert) {
        result = offload_flow_install(flow);
        COVERAGE_INC(offload_insert);
    } else {
        result = offload_flow_uninstall(flow);
        COVERAGE_INC(offload_evict);
    }
    offload_leave(tid);
    if (result == OFFLOAD_FAILED) {
        COVERAGE_INC(offload_error);
    }
    return result;
}

/* Carries out the planner's next update.  Returns false if there is none
 * (yet). */
static bool
update_one(struct offload_agent *a)
{
    struct offload_update update;
    enum offload_result result;
    bool on, any = false;

    ovs_mutex_lock(&a->mutex);
    on = a->settings.mode == OFFLOAD_ON;
    if (a->plan) {
        any = offload_plan_next(a->plan, time_msec(), &update);
    }
    ovs_mutex_unlock(&a->mutex);
    if (!any) {
        return false;
    }

    /* Only this thread gives up references to planned flows. */
    result = on ? change_table(&update) : OFFLOAD_DONE;

    ovs_mutex_lock(&a->mutex);
    offload_plan_result(a->plan, update.id, result, time_msec());
    a->n_updates++;
    ovs_mutex_unlock(&a->mutex);
    return true;
}

/* Until 'deadline', in ms.  Returns when to go on, or LLONG_MAX. */
static long long int
update_tables(struct offload_agent *a, long long int deadline)
{
    long long int when;
    unsigned int n = 0;

    while (time_msec() < deadline && update_one(a)) {
        if (++n % QUIESCE_UPDATES == 0) {
            ovsrcu_quiesce();
        }
    }
    ovs_mutex_lock(&a->mutex);
    when = a->plan ? offload_plan_wake(a->plan) : LLONG_MAX;
    ovs_mutex_unlock(&a->mutex);
    return when;
}

static void
flush(struct offload_agent *a)
    OVS_REQUIRES(a->mutex)
{
    for (size_t i = 0; i < n_flows; i++) {
        unsigned int tid = offload_enter(&flows[i]->ufid);
        bool dead;

        atomic_read(&flows[i]->dead, &dead);
        if (!dead && offload_flow_installed(flows[i], NULL)) {
            offload_flow_uninstall(flows[i]);
        }
        offload_leave(tid);
        offload_plan_set_in(a->plan, flows[i]->id, false);
    }
}

/* The thread. */

/* Does what was asked for since the last time. */
static void
check_requests(struct offload_agent *a, enum offload_mode *last)
    OVS_REQUIRES(a->mutex)
{
    bool wanted;

    if (a->settings.mode != *last) {
        if (a->plan) {
            forget_all(a);
        }
        *last = a->settings.mode;
    }
    atomic_read(&flush_wanted, &wanted);
    if (wanted) {
        atomic_store(&flush_wanted, false);
        if (a->plan && a->settings.mode == OFFLOAD_ON) {
            flush(a);
        }
    }
}

static void *
agent_main(void *aux OVS_UNUSED)
{
    struct offload_agent *a = &offload_agent;
    enum offload_mode last = OFFLOAD_OFF;
    long long int begin = LLONG_MIN / 2, end = begin;   /* Of the last tick. */
    bool exit = false;

    while (!exit) {
        long long int when, next, interval;

        latch_poll(&wake);
        ovs_mutex_lock(&a->mutex);
        check_requests(a, &last);
        interval = a->settings.interval;
        ovs_mutex_unlock(&a->mutex);
        next = MAX(begin + interval, end + interval / 10);
        if (time_msec() >= next && last != OFFLOAD_OFF) {
            begin = time_msec();
            tick(a);
            end = time_msec();
            next = MAX(begin + interval, end + interval / 10);
        }

        when = update_tables(a, next);
        if (last != OFFLOAD_OFF) {
            poll_timer_wait_until(MIN(next, when));
        }
        latch_wait(&wake);
        poll_block();
        atomic_read(&exiting, &exit);
    }
    ovs_mutex_lock(&a->mutex);
    if (a->plan) {
        forget_all(a);
    }
    ovs_mutex_unlock(&a->mutex);
    return NULL;
}

void
offload_agent_init(void)
{
    latch_init(&wake);
    offload_settings_init(&offload_agent.settings);
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
offload_agent_configure(const struct offload_settings *s)
{
    struct offload_agent *a = &offload_agent;
    enum offload_mode old;

    ovs_mutex_lock(&a->mutex);
    old = a->settings.mode;
    a->settings = *s;
    atomic_store(&mode, s->mode);
    if (a->plan) {
        struct offload_config config = OFFLOAD_CONFIG_DEFAULT;

        config.budget = s->budget;
        offload_plan_configure(a->plan, &config);
    }
    ovs_mutex_unlock(&a->mutex);

    if (s->mode != old) {
        VLOG_INFO("offload: %s", offload_mode_to_string(s->mode));
    }
    if (s->mode != OFFLOAD_OFF && !thread_running) {
        atomic_store(&exiting, false);
        thread = ovs_thread_create("ext_offload", agent_main, NULL);
        thread_running = true;
    }
    latch_set(&wake);
}

void
offload_agent_exit(void)
{
    if (thread_running) {
        atomic_store(&exiting, true);
        latch_set(&wake);
        xpthread_join(thread, NULL);
        thread_running = false;
    }
}

void
offload_agent_flush(void)
{
    atomic_store(&flush_wanted, true);
    latch_set(&wake);
}

void
offload_agent_each(bool (*cb)(struct offload_flow *, void *aux), void *aux)
{
    for (size_t i = 0; i < n_flows && cb(flows[i], aux); i++) {
        continue;
    }
}
