/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_FLOWS_H
#define EXT_FLOWS_H 1

/* How many flows of the datapath are ours, not ofproto's.
 *
 * Open vSwitch compares the number of all flows with its limit (flow-limit,
 * and the dynamic one), and if there are too many installs none any more, and
 * deletes those of ofproto, which are all that it knows.  Ours do not count:
 * they are put whatever the limit is.
 *
 * The number is that of those which revalidators were kept from seeing in
 * their last dump of all flows, and those that have been added since: so it
 * holds after whatever has removed flows, such as a PMD thread that ended.
 * Until the next dump it may be too high, never to stay too low.
 *
 * Only the handle of the datapath that revalidators dump is told the
 * difference; "ovs-appctl dpctl/show", which opens its own, shows all flows as
 * they are.  There is one userspace datapath, as elsewhere.
 *
 * Thread safety: any thread. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

struct dpif;
struct dpif_dp_stats;
struct dpif_flow;

/* Whether the calling thread is one of those that look after the flows of
 * ofproto, from which ours are hidden. */
static inline bool
ext_in_revalidator(void)
{
    return !strncmp(get_subprogram_name(), "revalidator", 11);
}

/* 'n' flows of ours have been installed, or are about to be. */
void ext_flows_added(uint64_t n);

/* A revalidator has dumped 'n' 'flows', before ours are hidden from it. */
void ext_flows_dumped(const struct dpif_flow *flows, int n);

/* The number of all flows of 'dpif', to be called before and after some are
 * put. */
uint64_t ext_flows_count(const struct dpif *dpif);

/* Revalidators begin to dump the flows of 'dpif', or are through.  Others may
 * call this, to no effect. */
void ext_flows_dump_begin(const struct dpif *dpif);
void ext_flows_dump_end(const struct dpif *dpif);

/* Takes ours from 'stats', which are of 'dpif'. */
void ext_flows_stats(const struct dpif *dpif, struct dpif_dp_stats *stats);

#endif /* ext-flows.h */
