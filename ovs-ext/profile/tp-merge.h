/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_MERGE_H
#define TP_MERGE_H 1

/* From the sketches of all PMD threads to profiles.
 *
 * Once an interval (100 ms), for each sketch, the samples are taken out of its
 * ring and the counters of its table are read:
 *
 *   - Packets and bytes of a sketch are exact.  They are shared out among
 *     profiles as the samples are, so it does not matter how many packets a
 *     sample stands for, or whether some were lost.
 *   - Flows in a table are exact.  A profile has as many flows as it has
 *     active ones in tables, and TP_SLICE times those of the slice that are in
 *     none.
 *   - Burstiness is the index of dispersion of packets in bins of 5 ms, over
 *     a second, corrected for sampling: thinning by p adds (1 - p) / p times
 *     the mean to the variance of what is counted.
 *   - Destinations are a Space-Saving summary (Metwally, Agrawal, El Abbadi,
 *     ICDT 2005) over the samples.
 *
 * A profile without a packet for TP_IDLE_MS goes.  When there are as many as
 * allowed, what belongs to none of them goes to the one of network "other".
 *
 * Pure: 'now' is passed in.  A struct tp_merge belongs to one thread, the
 * reader of the sketches; the values it gives out are copies. */

#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/profile/tp-flow.h"
#include "ovs-ext/profile/tp.h"

enum {
    TP_IDLE_MS = 10000,         /* A profile's life after its last packet. */
    TP_WINDOW_MS = 5000,        /* In which a flow counts as active. */
    TP_BIN_MS = 5,              /* For burstiness. */
    TP_MAX_PROFILES = 4096,     /* Largest bound on their number. */
    TP_DEFAULT_PROFILES = 256
};

struct tp_merge;
struct tp_reader;
struct tp_sketch;

/* A flow with many packets. */
struct tp_heavy {
    struct tp_flow flow;
    double pps;
    double bps;                 /* Bits/s. */
};

/* What has happened since tp_merge_create(). */
struct tp_merge_stats {
    uint64_t packets, bytes;    /* Seen. */
    uint64_t samples;
    uint64_t lost;              /* Samples, for want of room. */
    double overflow;            /* Packets that went to "other". */
    size_t profiles;            /* Now. */
    size_t flows;               /* In tables, now. */
};

struct tp_merge *tp_merge_create(void);
void tp_merge_destroy(struct tp_merge *);
void tp_merge_configure(struct tp_merge *, size_t max_profiles,
                        uint32_t sample);

struct tp_reader *tp_reader_create(struct tp_sketch *);
void tp_reader_destroy(struct tp_reader *);

void tp_merge_begin(struct tp_merge *, long long int now, uint64_t ticks,
                    double ticks_ms);
void tp_merge_add(struct tp_merge *, struct tp_reader *);
void tp_merge_end(struct tp_merge *);

void tp_merge_profiles(const struct tp_merge *, struct tp_profile **,
                       size_t *n);
void tp_merge_heavy(const struct tp_merge *, size_t max, struct tp_heavy **,
                    size_t *n);
void tp_merge_get_stats(const struct tp_merge *, struct tp_merge_stats *);

#endif /* tp-merge.h */
