/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-agent.h"

#include <string.h>

#include "latch.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"
#include "openvswitch/vlog.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(ext_agent);

#define MAX_SYSTEMS 8

struct agent_slot {
    struct ext_agent_system system;     /* Constant after registration. */
    ATOMIC(bool) wanted;                /* Main thread writes. */
    bool running;                       /* Agent thread only. */

    /* Agent thread writes, others read: runs that were due, the time the
     * last and the longest of them took, in microseconds. */
    ATOMIC(unsigned long long int) n_runs;
    ATOMIC(long long int) last_us;
    ATOMIC(long long int) max_us;
};

static struct agent_slot slots[MAX_SYSTEMS];
static size_t n_slots;                  /* Main thread, before the start. */

static pthread_t thread;
static bool thread_started;             /* Main thread. */
static struct latch wake;               /* Main thread sets. */
static ATOMIC(bool) exiting;            /* Main thread writes. */

static void
slot_run(struct agent_slot *slot, long long int now, bool due)
{
    long long int start = time_usec();
    long long int took, max;

    slot->running = true;
    slot->system.run(now, due);
    if (due) {
        unsigned long long int n;

        took = time_usec() - start;
        atomic_read_relaxed(&slot->n_runs, &n);
        atomic_store_relaxed(&slot->n_runs, n + 1);
        atomic_store_relaxed(&slot->last_us, took);
        atomic_read_relaxed(&slot->max_us, &max);
        atomic_store_relaxed(&slot->max_us, MAX(max, took));
    }
}

static void
slot_stop(struct agent_slot *slot)
{
    if (slot->running) {
        slot->running = false;
        if (slot->system.stop) {
            slot->system.stop();
        }
    }
}

/* Runs what is wanted and stops what no longer is.  Returns true if anything
 * is wanted. */
static bool
agent_run_systems(long long int now, bool due, bool exit)
{
    bool any = false;

    for (size_t i = 0; i < n_slots; i++) {
        bool wanted;

        atomic_read(&slots[i].wanted, &wanted);
        if (wanted && !exit) {
            slot_run(&slots[i], now, due);
            any = true;
        } else {
            slot_stop(&slots[i]);
        }
    }
    return any;
}

/* When to run after 'now', when a run was due at 'next'.  After a pause that
 * is a full interval away. */
static long long int
run_after(long long int next, long long int now)
{
    next += EXT_AGENT_INTERVAL;
    return next > now ? next : now + EXT_AGENT_INTERVAL;
}

static void *
agent_main(void *aux OVS_UNUSED)
{
    long long int next = time_msec();
    bool exit;

    do {
        long long int now = time_msec();
        bool due = now >= next;

        latch_poll(&wake);
        atomic_read(&exiting, &exit);
        if (agent_run_systems(now, due, exit)) {
            next = due ? run_after(next, now) : next;
            poll_timer_wait_until(next);
        }
        if (!exit) {
            for (size_t i = 0; i < n_slots; i++) {
                if (slots[i].running && slots[i].system.wait) {
                    slots[i].system.wait();
                }
            }
            latch_wait(&wake);
            poll_block();
        }
    } while (!exit);
    return NULL;
}

static struct agent_slot *
slot_by_name(const char *name)
{
    for (size_t i = 0; i < n_slots; i++) {
        if (!strcmp(slots[i].system.name, name)) {
            return &slots[i];
        }
    }
    OVS_NOT_REACHED();
}

/* Adds '*system', whose name must be new, before the first enable.  Main
 * thread. */
void
ext_agent_register(const struct ext_agent_system *system)
{
    ovs_assert(n_slots < MAX_SYSTEMS && !thread_started);
    slots[n_slots].system = *system;
    atomic_init(&slots[n_slots].wanted, false);
    n_slots++;
}

/* Says whether the registered system 'name' is to run.  Main thread. */
void
ext_agent_enable(const char *name, bool wanted)
{
    struct agent_slot *slot = slot_by_name(name);
    bool old;

    atomic_read(&slot->wanted, &old);
    if (old == wanted) {
        return;
    }
    VLOG_INFO("%s %s", name, wanted ? "starts" : "stops");
    atomic_store(&slot->wanted, wanted);
    if (!thread_started) {
        thread_started = true;
        thread = ovs_thread_create("ext-agent", agent_main, NULL);
    }
    latch_set(&wake);
}

/* Has the systems run now, out of turn.  Main thread. */
void
ext_agent_wake(void)
{
    latch_set(&wake);
}

static void
agent_show(struct unixctl_conn *conn, int argc OVS_UNUSED,
           const char *argv[] OVS_UNUSED, void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&ds, "system      wanted        runs  last (us)   max (us)\n");
    for (size_t i = 0; i < n_slots; i++) {
        unsigned long long int n;
        long long int last, max;
        bool wanted;

        atomic_read(&slots[i].wanted, &wanted);
        atomic_read(&slots[i].n_runs, &n);
        atomic_read(&slots[i].last_us, &last);
        atomic_read(&slots[i].max_us, &max);
        ds_put_format(&ds, "%-11s %-6s %11llu %10lld %10lld\n",
                      slots[i].system.name, wanted ? "yes" : "no",
                      n, last, max);
    }
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

void
ext_agent_init(void)
{
    latch_init(&wake);
    unixctl_command_register("ext/agent-show", "", 0, 0, agent_show, NULL);
}

void
ext_agent_exit(void)
{
    if (thread_started) {
        atomic_store(&exiting, true);
        latch_set(&wake);
        xpthread_join(thread, NULL);
        thread_started = false;
    }
}
