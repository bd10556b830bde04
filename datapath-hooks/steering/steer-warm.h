/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_WARM_H
#define STEER_WARM_H 1

/* Warm moves: which datapath flows a bucket uses, and how they get to its new
 * core.
 *
 * dpif-netdev keeps a flow table for each PMD thread, so a bucket that moves
 * would miss on its new core once for each flow.  PMD threads report every
 * miss (steer_upcall()); from that a map of flows by port and hash is kept.
 * Before a bucket moves, those of its flows that the new core lacks are put
 * there with dpif_flow_put().  ofproto's revalidators adopt such flows as they
 * adopt any that they find in a datapath.
 *
 * A flow that matches one 5-tuple belongs to one bucket; one with wildcards
 * may serve any bucket of its port and is put with the first.
 *
 * Agent thread, under 'steer_mutex'. */

#include "datapath-hooks/steering/steer-dp.h"

struct dpif;

struct steer_warm_stats {
    uint64_t flows;             /* In the map. */
    uint64_t known;             /* Misses noted. */
    uint64_t lost;              /* Misses not noted: ring or map was full. */
    uint64_t put;               /* Flows put on another core. */
    uint64_t failed;            /* Flows that could not be. */
};

void steer_warm_clear(void);

/* The datapath to put flows into, as ofproto has it open: while ofproto has,
 * that is until steer_warm_forget_dpif().  Any thread, without the mutex. */
void steer_warm_set_dpif(struct dpif *);
void steer_warm_forget_dpif(const struct dpif *);

/* Takes in what PMD threads have reported and ages out some flows that have
 * gone. */
void steer_warm_run(void) OVS_REQUIRES(steer_mutex);

/* Notes the flows that exist already. */
void steer_warm_seed(void) OVS_REQUIRES(steer_mutex);

/* Puts the flows of 'bucket' of 'port' that core 'to' lacks there.  Returns
 * their number, at most 'budget', or -1 if the budget did not suffice. */
int steer_warm_bucket(const struct steer_port *, uint32_t bucket,
                      unsigned int from, unsigned int to, int budget)
    OVS_REQUIRES(steer_mutex);

/* Returns the number of flows known for 'bucket' of 'port'. */
uint32_t steer_warm_count(const struct steer_port *, uint32_t bucket)
    OVS_REQUIRES(steer_mutex);

const struct steer_warm_stats *steer_warm_stats(void);

#endif /* steer-warm.h */
