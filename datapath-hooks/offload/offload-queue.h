/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_QUEUE_H
#define OFFLOAD_QUEUE_H 1

/* Where packets go that a rule only marks.
 *
 * Such a rule of Open vSwitch (MARK and RSS) decides on the queue as well, and
 * it may come before rules that were made for traffic to have a queue
 * (offload_set_queues()), or defeat the redirection table that steering writes.
 * So it gets another target than RSS where one of these is in force.
 *
 * Thread safety: any thread but PMD threads. */

#include <stdint.h>

#include "openvswitch/types.h"

struct flow;
struct flow_wildcards;

/* A target: the number of a queue, or one of these. */
enum {
    OFFLOAD_TO_RSS = -1,        /* As Open vSwitch has it. */
    OFFLOAD_TO_TABLE = -2,      /* What the redirection table says. */
    OFFLOAD_TO_NOBODY = -3      /* To several queues: no such rule. */
};

/* Returns the target of flows of the netdev of that name that match 'flow' and
 * 'wc', but for steering: never OFFLOAD_TO_TABLE. */
int offload_queue_of(const char *netdev_name, const struct flow *,
                     const struct flow_wildcards *);

/* Returns a number that is another when what offload_queue_of() returns for
 * the netdev may be, 0 as long as it is OFFLOAD_TO_RSS for all flows. */
uint32_t offload_queue_edition(const char *netdev_name);

/* The target in the end, given what offload_queue_of() returned and whether
 * steering moves traffic by the table. */
static inline int
offload_queue_target(int queue, bool steered)
{
    return queue == OFFLOAD_TO_RSS && steered ? OFFLOAD_TO_TABLE : queue;
}

/* Main thread: mode "on" is no more, and its rules are now as good as those of
 * modes off and shadow. */
void offload_queue_release(void);

/* For the main thread's loop. */
void offload_queue_run(void);
void offload_queue_wait(void);
void offload_queue_init(void);

#endif /* offload-queue.h */
