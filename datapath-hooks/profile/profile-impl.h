/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PROFILE_IMPL_H
#define PROFILE_IMPL_H 1

/* Private parts of the profiler. */

#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/profile/profile.h"
#include "openvswitch/thread.h"
#include "ovs-ext/profile/tp-merge.h"

struct dp_packet_batch;
struct netdev_rxq;

#define PROFILE_KEY "ext-profile"

enum {
    PROFILE_MAX_THREADS = 65,   /* That receive packets: PMD and main. */
    PROFILE_TICK_SHIFT = 8      /* TSC cycles to ticks of the sketches. */
};

extern struct ovs_mutex profile_mutex;

/* Threads, see profile-pmd.c. */
struct profile_thread {
    char name[16];
    size_t bytes;               /* Memory of its sketch. */
    uint64_t packets;
    uint32_t sampling;          /* One packet in this many is a sample. */
};

void profile_pmd_init(void);
void profile_pmd_skip(const char *name, bool skip); /* Main thread. */
void profile_received(const struct netdev_rxq *,
                      const struct dp_packet_batch *);
void profile_pmd_merge(struct tp_merge *) OVS_REQUIRES(profile_mutex);
void profile_pmd_stop(void) OVS_REQUIRES(profile_mutex);
size_t profile_pmd_threads(struct profile_thread *)
    OVS_REQUIRES(profile_mutex);

/* What profile.c knows. */
bool profile_is_on(void);
const struct tp_merge *profile_merge(void) OVS_REQUIRES(profile_mutex);

void profile_show_init(void);

#endif /* profile-impl.h */
