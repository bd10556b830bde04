/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_SKETCH_H
#define TP_SKETCH_H 1

/* The heavy hitters among the packets of one thread, and samples of all.
 *
 * A table of exact counters for some thousands of flows, keyed by their RSS
 * hash, in sets of 8 that are compared at once.  Every packet is looked up;
 * that of a flow in the table is counted there, to the packet and byte.
 * Which flows the table holds is decided by Randomized Admission (Ben Basat,
 * Chen, Einziger, Friedman, Kassner: "Randomized admission policy for
 * efficient top-k, frequency, and volume estimation", IEEE/ACM ToN 27, 2019;
 * the set-associative form), at one in some of the packets that missed:
 *
 *   - a flow that meets a free place in its set takes it;
 *   - one in TP_TRIAL_MEAN others replaces the smallest flow of its set, of
 *     'min' packets, with probability TP_TRIAL_MEAN / (min + TP_TRIAL_MEAN).
 *     Most are turned down by one look at a lower bound of 'min'.
 *
 * Flows that end grow old: at each epoch, which the reader announces, scores
 * are halved, a set at a time, and flows without packets are let go.
 *
 * Apart from that, one packet in some goes to a ring of samples with its
 * parsed headers.  So does, about once an epoch, a packet of each flow that is
 * not in the table and whose hash lies in a slice of 1 / TP_SLICE of them.
 * From the former the reader tells how traffic is made up, from the latter how
 * many flows it has (distinct sampling).  Headers are parsed for no other
 * packet, except once when a flow is admitted.
 *
 *   cost          some 60 instructions a packet at full bursts, receiving
 *                 included (tests/count-instructions.sh)
 *   memory        76 bytes a flow, 64 a sample: 0.9 MB by default
 *   top 100       in the median 99 or all of them, 97 at the least seen, if
 *                 the 100th has some hundred packets
 *                 (bench "sketch")
 *
 * Thread safety: tp_sketch_add() is for one thread, the writer, which takes
 * no lock and never waits.  One other thread, the reader, may use the
 * functions that say so at the same time: an entry is published like a
 * seqlock, samples go through a single-producer single-consumer ring.  The
 * sketch reads no clock; times are what the writer passes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/profile/tp-flow.h"

enum {
    TP_BURST = 32,              /* Packets a call, at most. */
    TP_WAYS = 8,               /* Flows of a set. */
    TP_TRIAL_MEAN = 8,          /* Misses from trial to trial. */
    TP_SLICE = 32,              /* One flow in this many is counted. */
    TP_DEFAULT_ENTRIES = 8192,
    TP_DEFAULT_SAMPLES = 4096
};

struct tp_sketch;

/* Packets to add.  'data' is looked at for few of them. */
struct tp_burst {
    uint32_t n;
    uint32_t hash[TP_BURST];    /* RSS hash, or one as good. */
    uint32_t len[TP_BURST];     /* Bytes, all of them at 'data'. */
    const void *data[TP_BURST];
};

enum tp_sample_kind {
    TP_SAMPLE,                  /* Drawn from all packets. */
    TP_SAMPLE_FLOW              /* Of a flow in the slice. */
};

struct tp_sample {
    struct tp_flow flow;
    uint64_t time : 48;         /* As passed by the writer. */
    uint64_t len : 14;          /* Bytes, 16383 at most. */
    uint64_t kind : 2;          /* enum tp_sample_kind. */
    uint32_t key;               /* Hash of the flow. */
    uint32_t pad;
};

/* What the reader sees of a flow in the table. */
struct tp_entry {
    uint32_t key;
    uint32_t gen;               /* Differs when another flow has the place. */
    uint32_t credit;            /* Packets before admission, estimated. */
    uint64_t count;             /* See tp_count_packets(). */
    struct tp_flow flow;
};

/* Packets and bytes in one number, so that one addition counts both: packets
 * in the high 24 bits, bytes in the low 40.  Either may wrap; the difference
 * of two counts says how many there were between. */
#define TP_COUNT_SHIFT 40

static inline uint32_t
tp_count_packets(uint64_t count)
{
    return count >> TP_COUNT_SHIFT;
}

static inline uint64_t
tp_count_bytes(uint64_t count)
{
    return count & ((UINT64_C(1) << TP_COUNT_SHIFT) - 1);
}

/* No thread uses the sketch yet, or any more. */
struct tp_sketch *tp_sketch_create(size_t n_entries, size_t n_samples,
                                   uint64_t seed);
void tp_sketch_destroy(struct tp_sketch *);
size_t tp_sketch_bytes(const struct tp_sketch *);

/* Writer. */
void tp_sketch_add(struct tp_sketch *, const struct tp_burst *,
                   uint64_t time);

/* Reader. */
size_t tp_sketch_n_entries(const struct tp_sketch *);
bool tp_sketch_read(const struct tp_sketch *, size_t i, uint32_t known_gen,
                    struct tp_entry *);
size_t tp_sketch_pop(struct tp_sketch *, struct tp_sample *, size_t max);
void tp_sketch_totals(const struct tp_sketch *, uint64_t *packets,
                      uint64_t *bytes, uint64_t *lost);
void tp_sketch_set_sampling(struct tp_sketch *, uint32_t mean);
uint32_t tp_sketch_sampling(const struct tp_sketch *);
bool tp_sketch_age(struct tp_sketch *);

#endif /* tp-sketch.h */
