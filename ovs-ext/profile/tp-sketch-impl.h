/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_SKETCH_IMPL_H
#define TP_SKETCH_IMPL_H 1

/* Layout of the sketch, for tp-sketch*.c only. */

#include "ovs-atomic.h"
#include "ovs-ext/profile/tp-sketch.h"

enum {
    TP_SEEN_BITS = 17           /* Of the hash that tells flows of the slice
                                 * from those already seen. */
};

/* What is read of an entry, apart from its key and count. */
struct tp_cold {
    ATOMIC(uint32_t) gen;       /* Odd while the entry is being replaced. */
    ATOMIC(uint32_t) credit;
    ATOMIC(uint64_t) flow[TP_FLOW_WORDS];
};

/* Unless noted, a member is the writer's; the atomic ones the reader reads. */
struct tp_sketch {
    /* The table: 'n_sets' sets of TP_WAYS.  One count more than entries, for
     * packets of flows that have none. */
    ATOMIC(uint32_t) *keys;     /* 0: free. */
    ATOMIC(uint64_t) *counts;
    uint32_t *least;            /* By set: lower bound of the least score, 0
                                 * if a place may be free. */
    uint32_t *base;             /* Packets when the score was worked out. */
    uint32_t *scores;           /* Packets at that time, halved each epoch. */
    struct tp_cold *cold;
    uint32_t n_sets;            /* A power of two; constant. */
    uint32_t shift;             /* Selects the set; constant. */

    /* Skips. */
    uint64_t random;            /* State of the generator. */
    uint32_t trial_left;        /* Misses to the next trial. */
    uint32_t sample_left;       /* Packets to the next sample. */
    ATOMIC(uint32_t) sample_mean; /* The reader's. */

    /* Growing old. */
    ATOMIC(uint32_t) epoch_wanted; /* The reader's. */
    ATOMIC(uint32_t) epoch;
    uint32_t swept;             /* Sets, on the way to 'epoch_wanted'. */

    ATOMIC(uint64_t) packets, bytes;
    ATOMIC(uint64_t) lost;      /* Samples that the ring had no room for. */

    /* Ring of samples. */
    struct tp_sample *ring;
    uint32_t ring_mask;         /* Constant. */
    ATOMIC(uint32_t) head;      /* Free running. */
    ATOMIC(uint32_t) tail;      /* The reader's. */

    /* Bit map of hashes of the flows that went to the ring as part of the
     * slice in this epoch. */
    uint64_t seen[(1u << TP_SEEN_BITS) / 64];
};

#endif /* tp-sketch-impl.h */
