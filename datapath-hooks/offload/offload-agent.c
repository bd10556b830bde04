/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The thread: when it does what, and the updates of the tables. */

#include <config.h>

#include "datapath-hooks/offload/offload-agent.h"

#include <limits.h>

#include "coverage.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload.h"
#include "latch.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(offload);

COVERAGE_DEFINE(offload_insert);
COVERAGE_DEFINE(offload_evict);
COVERAGE_DEFINE(offload_error);

/* Updates between two times that the thread lets RCU go on. */
#define QUIESCE_UPDATES 16

struct offload_agent offload_agent = { .mutex = OVS_MUTEX_INITIALIZER };

static ATOMIC(enum offload_mode) mode = OFFLOAD_OFF;

/* The thread. */
static pthread_t thread;
static bool thread_running;             /* Main thread. */
static struct latch wake;               /* Something changed. */
static ATOMIC(bool) exiting;
static ATOMIC(bool) flush_wanted;

enum offload_mode
offload_mode(void)
{
    enum offload_mode m;

    atomic_read(&mode, &m);
    return m;
}

/* Updates. */

static enum offload_result
change_table(const struct offload_update *update)
{
    struct offload_flow *flow = update->aux;
    enum offload_result result;
    struct offload_turn turn;

    if (!offload_flow_begin(flow, &turn)) {
        return OFFLOAD_GONE;
    }
    if (flow->untracked || offload_flow_is_stuck(flow)
        || offload_flow_installed(flow, NULL) == update->insert) {
        result = OFFLOAD_GONE;
    } else if (update->insert) {
        result = offload_flow_install(flow);
        COVERAGE_INC(offload_insert);
    } else {
        result = offload_flow_uninstall(flow);
        COVERAGE_INC(offload_evict);
    }
    offload_flow_end(&turn);
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

/* The thread. */

/* Does what was asked for since the last time. */
static void
check_requests(struct offload_agent *a, enum offload_mode *last)
{
    bool changed, wanted;

    ovs_mutex_lock(&a->mutex);
    changed = a->settings.mode != *last;
    *last = a->settings.mode;
    if (changed && a->plan) {
        offload_round_forget(a);
    }
    ovs_mutex_unlock(&a->mutex);
    if (changed) {
        offload_round_untrack();
    }

    atomic_read(&flush_wanted, &wanted);
    if (wanted) {
        atomic_store(&flush_wanted, false);
        if (a->plan && *last == OFFLOAD_ON) {
            offload_round_evict(a);
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
        check_requests(a, &last);
        ovs_mutex_lock(&a->mutex);
        interval = a->settings.interval;
        ovs_mutex_unlock(&a->mutex);
        next = MAX(begin + interval, end + interval / 10);
        if (time_msec() >= next && last != OFFLOAD_OFF) {
            begin = time_msec();
            offload_round_run(a);
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
        offload_round_forget(a);
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
        if (old == OFFLOAD_ON) {
            offload_queue_release();
        }
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
