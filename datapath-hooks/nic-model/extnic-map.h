/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_MAP_H
#define EXTNIC_MAP_H 1

/* Which queue takes which position: see "Maps" in extnic-source.h. */

#include "datapath-hooks/nic-model/extnic-source.h"

/* Map for the queue's position; it holds up to, not including, '*end'.  The
 * caller must have stored what it is about to scan in 'claim'. */
const struct extnic_map *extnic_map_next__(struct extnic_rxq *,
                                           uint64_t *end);

static inline const struct extnic_map *
extnic_map_at(struct extnic_rxq *q, uint64_t *end)
{
    const struct extnic_source *source = q->source;

    if (__builtin_expect(__atomic_load_n(&source->head, __ATOMIC_SEQ_CST)
                         == q->map, 1)) {
        *end = UINT64_MAX;
        return &source->maps[q->map % EXTNIC_N_MAPS];
    }
    return extnic_map_next__(q, end);
}

/* Position up to which packets have arrived in the queue whatever the clock
 * says: where the newest map begins, which another queue has got to.  The
 * thread of this one was off its CPU, which nobody knew before it came back,
 * so the clock was set back by that. */
uint64_t extnic_map_due__(const struct extnic_rxq *);

static inline uint64_t
extnic_map_due(const struct extnic_rxq *q)
{
    if (__builtin_expect(__atomic_load_n(&q->source->head, __ATOMIC_ACQUIRE)
                         == q->map, 1)) {
        return 0;
    }
    return extnic_map_due__(q);
}

/* The queue has nothing to scan: it skips to the newest map. */
static inline void
extnic_map_idle(struct extnic_rxq *q)
{
    uint32_t head = __atomic_load_n(&q->source->head, __ATOMIC_ACQUIRE);

    if (q->map != head) {
        __atomic_store_n(&q->map, head, __ATOMIC_RELEASE);
    }
}

/* Counts the entries, with these 'codes', that a flow rule drops. */
void extnic_map_count_drops(struct extnic_rxq *, const uint32_t *codes,
                            const struct extnic_entry *, uint32_t n);

bool extnic_map_init(struct extnic_source *);
void extnic_map_uninit(struct extnic_source *);

/* Publishes the source's 'reta' and code array 'codes'. */
int extnic_map_publish(struct extnic_source *, uint32_t codes);

#endif /* extnic-map.h */
