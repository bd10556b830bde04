/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_AGENT_H
#define OFFLOAD_AGENT_H 1

/* The thread that decides what is in the flow tables.
 *
 * Once an interval it dumps the datapath's flows (tersely: statistics only)
 * and so learns what each candidate counted in software and in hardware, lets
 * the planner reckon, and until the next interval carries out the planner's
 * updates one by one.  It is a thread of its own because a NIC may take
 * milliseconds for an update.  It starts when other_config:ext-offload is
 * first not "off", and then stays until the daemon ends; while that is "off",
 * it waits.
 *
 * Thread safety: main thread, where not said otherwise. */

#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/offload/offload-flow.h"
#include "openvswitch/thread.h"
#include "ovs-ext/offload/offload-plan.h"

struct dpif;
struct smap;

struct offload_settings {
    enum offload_mode mode;     /* ext-offload */
    unsigned int budget;        /* ext-offload-budget, updates/s. */
    unsigned int interval;      /* ext-offload-interval, ms. */
};

const char *offload_mode_to_string(enum offload_mode);

/* Updates '*s' from 'other_config': keys that are missing or wrong get the
 * default or stay, and a wrong one is reported once. */
void offload_settings_parse(struct offload_settings *, const struct smap *);
void offload_settings_init(struct offload_settings *);

struct offload_agent {
    struct ovs_mutex mutex;     /* Protects what follows; never held while a
                                 * device is waited for. */
    struct offload_settings settings;
    struct offload_plan *plan;  /* Null while off; agent creates, destroys. */

    /* Counters. */
    uint64_t n_ticks;
    uint64_t n_updates;
    uint64_t tick_us, dump_us;  /* What the last one took. */
    uint64_t n_dumped;          /* Flows in it. */
};
extern struct offload_agent offload_agent;

void offload_agent_init(void);
void offload_agent_set_dpif(struct dpif *);
void offload_agent_configure(const struct offload_settings *);
void offload_agent_exit(void);

/* Takes all rules out of the tables, as soon as can be.  They may come
 * back. */
void offload_agent_flush(void);

/* Calls 'cb' with each candidate that the agent knows. */
void offload_agent_each(bool (*cb)(struct offload_flow *, void *aux),
                        void *aux) OVS_REQUIRES(offload_agent.mutex);

void offload_show_init(void);

/* offload-round.c, for the thread. */

/* One round.  The next updates are then the planner's to say. */
void offload_round_run(struct offload_agent *);

/* Begins anew: after a change of mode what is in the tables may be another
 * matter. */
void offload_round_forget(struct offload_agent *a) OVS_REQUIRES(a->mutex);

/* Forgets flows that Open vSwitch was refused and so will not delete.  Without
 * the mutex. */
void offload_round_untrack(void);

/* Takes all rules out of the tables.  Without the mutex. */
void offload_round_evict(struct offload_agent *);

#endif /* offload-agent.h */
