/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_AGENT_H
#define EXT_AGENT_H 1

/* The host agent: one thread of ovs-vswitchd-ext in which the systems that
 * sample, merge and talk to the OVS_Ext database do so, every 100 ms, apart
 * from the main thread (which must not wait for a slow device) and from the
 * PMD threads.
 *
 * A system registers its functions once, then says whether it is wanted.
 * With none wanted the thread waits and wakes up for nothing.  It starts with
 * the first one wanted, so a daemon with nothing configured has no such
 * thread.
 *
 * Steering has a thread of its own: its tick is shorter and must not wait for
 * a database.
 *
 * Thread safety: registration and ext_agent_enable() belong to the main
 * thread.  'run' and 'wait' are called in the agent's thread only, in the order
 * of registration; 'stop' too, once after the last 'run' when the system is no
 * longer wanted. */

#include <stdbool.h>

/* Milliseconds between two calls of 'run'. */
#define EXT_AGENT_INTERVAL 100

struct ext_agent_system {
    const char *name;

    /* 'now' in ms, monotonic.  'due' is true once an interval; false where
     * the thread woke up for another reason, such as a socket. */
    void (*run)(long long int now, bool due);
    void (*wait)(void);         /* May be null.  Registers poll-loop events. */
    void (*stop)(void);         /* May be null. */
};

void ext_agent_register(const struct ext_agent_system *);
void ext_agent_enable(const char *name, bool wanted);
void ext_agent_wake(void);
void ext_agent_init(void);      /* Registers appctl "ext/agent-show". */
void ext_agent_exit(void);      /* Stops and joins the thread. */

#endif /* ext-agent.h */
