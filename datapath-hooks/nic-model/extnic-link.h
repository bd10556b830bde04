/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_LINK_H
#define EXTNIC_LINK_H 1

/* The wire between sources and sinks that share one `stat=FILE`.
 *
 * Holds the mapped page, the measurement's epoch and what sinks know of each
 * flow.  Links live until the process ends, so that a packet in flight never
 * refers to memory that is gone; a port that returns finds its link again.
 *
 * Packets carry 'struct extnic_meta' in a dynamic mbuf field.  Its tag names
 * source, epoch and flow, so that packets of an earlier measurement that are
 * still on their way count for nothing.
 *
 * Thread safety: ports are added and removed by the main thread under
 * 'lock'.  Commands of the tool are carried out by whichever polling thread
 * sees them first; it only tries the lock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-order.h"
#include "datapath-hooks/nic-model/extnic-shm.h"

#define EXTNIC_META_NAME "net_extnic_meta"
#define EXTNIC_META_FLAG_NAME "net_extnic_meta_valid"

/* In the mbuf of every generated packet. */
struct extnic_meta {
    uint32_t tag;               /* EXTNIC_TAG(). */
    uint32_t seq;               /* Of the flow; grows by one, wraps. */
    uint32_t paused;            /* Low bits of the paused time >> 6. */
};

#define EXTNIC_TAG(SLOT, EPOCH, FLOW) \
    ((uint32_t) (SLOT) << 30 | ((EPOCH) & 63) << 24 | (FLOW))
#define EXTNIC_TAG_SLOT(TAG) ((TAG) >> 30)
#define EXTNIC_TAG_EPOCH(TAG) (((TAG) >> 24) & 63)
#define EXTNIC_TAG_FLOW(TAG) ((TAG) & 0xffffff)

struct extnic_source;

struct extnic_link {
    struct extnic_link *next;
    char path[256];
    struct extnic_shm *shm;
    uint32_t cmd_seen;          /* Last command carried out. */
    uint32_t lock;              /* Spin lock. */
    struct extnic_source *sources[EXTNIC_MAX_PORTS];
    bool sinks[EXTNIC_MAX_PORTS];
    struct extnic_order *order[EXTNIC_MAX_PORTS]; /* By flow. */
    uint32_t n_order[EXTNIC_MAX_PORTS];
};

/* Finds or makes the link of 'path'.  Returns 0 or a positive errno with a
 * message in 'error'. */
int extnic_link_get(const char *path, uint32_t window_us,
                    struct extnic_link **, char *error, size_t error_size);

/* Take and give back a slot; -1 if all are taken. */
int extnic_link_add_source(struct extnic_link *, struct extnic_source *,
                           uint32_t n_flows);
void extnic_link_remove_source(struct extnic_link *, int slot);
int extnic_link_add_sink(struct extnic_link *);
void extnic_link_remove_sink(struct extnic_link *, int slot);

/* Gives a queue a row of history: row + 1, or 0 if none is left. */
uint32_t extnic_link_row(uint32_t *next);

void extnic_link_command__(struct extnic_link *);

/* Carries out a new command of the tool, if there is one. */
static inline void
extnic_link_poll(struct extnic_link *link)
{
    if (__builtin_expect(__atomic_load_n(&link->shm->cmd.gen,
                                         __ATOMIC_ACQUIRE)
                         != __atomic_load_n(&link->cmd_seen,
                                            __ATOMIC_RELAXED), 0)) {
        extnic_link_command__(link);
    }
}

#endif /* extnic-link.h */
