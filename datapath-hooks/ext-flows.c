/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-flows.h"

#include "datapath-hooks/ext-ufid.h"
#include "dpif-provider.h"
#include "ovs-atomic.h"

/* All that have ever been added. */
static atomic_uint64_t n_added = 0;

/* What there were in the last dump, less those added until it began. */
static ATOMIC(int64_t) base = 0;

/* The dump under way.  All revalidators count; one begins and ends it. */
static ATOMIC(const struct dpif *) dumped_dpif = NULL;
static atomic_uint64_t n_dumped = 0;
static uint64_t n_added_before;

void
ext_flows_added(uint64_t n)
{
    uint64_t old;

    atomic_add_relaxed(&n_added, n, &old);
}

void
ext_flows_dumped(const struct dpif_flow *flows, int n)
{
    uint64_t ours = 0, old;

    if (!ext_in_revalidator()) {
        return;
    }
    for (int i = 0; i < n; i++) {
        ours += flows[i].ufid_present && ext_ufid_is_ours(&flows[i].ufid);
    }
    if (ours) {
        atomic_add_relaxed(&n_dumped, ours, &old);
    }
}

uint64_t
ext_flows_count(const struct dpif *dpif)
{
    struct dpif_dp_stats stats;

    return dpif->dpif_class->get_stats(dpif, &stats) ? 0 : stats.n_flows;
}

/* Others than dpif-netdev have no flows of ours. */
void
ext_flows_dump_begin(const struct dpif *dpif)
{
    const char *type = dpif->dpif_class->type;

    if (ext_in_revalidator()
        && (!strcmp(type, "netdev") || !strcmp(type, "dummy"))) {
        atomic_store_relaxed(&dumped_dpif, dpif);
        atomic_store_relaxed(&n_dumped, 0);
        atomic_read_relaxed(&n_added, &n_added_before);
    }
}

void
ext_flows_dump_end(const struct dpif *dpif)
{
    const struct dpif *dumped;
    uint64_t n;

    atomic_read_relaxed(&dumped_dpif, &dumped);
    if (dpif == dumped && ext_in_revalidator()) {
        atomic_read_relaxed(&n_dumped, &n);
        atomic_store_relaxed(&base, (int64_t) (n - n_added_before));
    }
}

void
ext_flows_stats(const struct dpif *dpif, struct dpif_dp_stats *stats)
{
    const struct dpif *dumped;
    uint64_t added;
    int64_t n;

    atomic_read_relaxed(&dumped_dpif, &dumped);
    if (dpif == dumped) {
        atomic_read_relaxed(&base, &n);
        atomic_read_relaxed(&n_added, &added);
        n += added;
        stats->n_flows -= MIN(stats->n_flows, MAX(n, 0));
    }
}
