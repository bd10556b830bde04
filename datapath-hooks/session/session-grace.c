/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* When every thread has let go of what it saw.
 *
 * A thread that processes packets takes the plan, decides where a burst goes,
 * and finds the flows of targets without being quiescent in between, and so
 * does one that answers a miss and puts the flow.  So once a grace period has
 * passed since a plan was replaced, no packet is on its way by it, and once
 * one has passed since a flow was changed, nobody puts it as it was. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdlib.h>

#include "seq.h"
#include "util.h"

static uint64_t n_begun;        /* Main thread's own. */
static atomic_uint64_t n_passed = 0;
static struct seq *passed_seq;
static uint64_t seen;

void
session_grace_init(void)
{
    passed_seq = seq_create();
    seen = seq_read(passed_seq);
}

static void
passed(uint64_t *mark)
{
    atomic_store_explicit(&n_passed, *mark, memory_order_release);
    free(mark);
    seq_change(passed_seq);
}

/* Begins a grace period.  Returns a mark for session_grace_is_over(), never
 * 0. */
uint64_t
session_grace_begin(void)
{
    uint64_t *mark = xmalloc(sizeof *mark);

    /* All from one thread, so they pass in this order. */
    *mark = ++n_begun;
    ovsrcu_postpone(passed, mark);
    return n_begun;
}

bool
session_grace_is_over(uint64_t mark)
{
    uint64_t n;

    atomic_read_explicit(&n_passed, &n, memory_order_acquire);
    return n >= mark;
}

/* To be called before marks are looked at. */
void
session_grace_run(void)
{
    seen = seq_read(passed_seq);
}

/* Wakes the main thread up when a grace period is over. */
void
session_grace_wait(void)
{
    seq_wait(passed_seq, seen);
}
