/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* PMD threads, by the counters that dpif-netdev keeps of each anyway.
 *
 * They are in a structure of dpif-netdev's own.  We hear of it when its
 * counters are initialized and when the sequence number that it owns is
 * destroyed, which is right before it is freed.  In between the counters may
 * be read by any thread (see dpif-netdev-perf.h), so that measuring costs the
 * PMD threads nothing. */

#include <config.h>

#include "datapath-hooks/monitor/monitor-impl.h"

#include <math.h>

#include "datapath-hooks/ext-hooks.h"
#include "dpdk.h"
#include "dpif-netdev-perf.h"
#include "dpif-netdev-private-thread.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/core/ext-ewma.h"
#include "ovs-thread.h"
#include "util.h"

struct monitor_pmd {
    struct hmap_node node;      /* In 'pmds', by 'seq'. */
    struct dp_netdev_pmd_thread *pmd;
    const struct seq *seq;
    size_t n_rxqs;              /* As last known. */
    uint64_t last_total;        /* Cycles in the last sample. */
    uint64_t last_sleep;        /* And cycles asleep. */
    struct ext_ewma sleep;      /* Share of time asleep. */
    int tenths;                 /* The same, in tenths, without jitter. */
};

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct hmap pmds OVS_GUARDED_BY(mutex) = HMAP_INITIALIZER(&pmds);

static void
pmd_came(struct pmd_perf_stats *stats)
{
    struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(stats, struct dp_netdev_pmd_thread, perf_stats);
    struct monitor_pmd *p;

    if (pmd->core_id == NON_PMD_CORE_ID) {
        return;
    }
    p = xzalloc(sizeof *p);
    p->pmd = pmd;
    p->seq = pmd->reload_seq;
    ovs_mutex_lock(&mutex);
    hmap_insert(&pmds, &p->node, hash_pointer(p->seq, 0));
    ovs_mutex_unlock(&mutex);
}

static void
seq_goes(const struct seq *seq)
{
    struct monitor_pmd *p;

    ovs_mutex_lock(&mutex);
    HMAP_FOR_EACH_WITH_HASH (p, node, hash_pointer(seq, 0), &pmds) {
        if (p->seq == seq) {
            hmap_remove(&pmds, &p->node);
            free(p);
            break;
        }
    }
    ovs_mutex_unlock(&mutex);
}

void
monitor_pmd_init(void)
{
    EXT_HOOK_SET(pmd_init, pmd_came);
    EXT_HOOK_SET(seq_destroy, seq_goes);
}

/* Returns counter 'type' of 'pmd', which pmd-stats-clear does not reset. */
static uint64_t
pmd_counter(struct dp_netdev_pmd_thread *pmd, enum pmd_stat_type type)
{
    uint64_t value;

    atomic_read_relaxed(&pmd->perf_stats.counters.n[type], &value);
    return value;
}

/* Returns the number of queues that 'p' polls.  While the main thread changes
 * that, what it was before. */
static size_t
pmd_n_rxqs(struct monitor_pmd *p)
{
    if (!ovs_mutex_trylock(&p->pmd->port_mutex)) {
        p->n_rxqs = hmap_count(&p->pmd->poll_list);
        ovs_mutex_unlock(&p->pmd->port_mutex);
    }
    return p->n_rxqs;
}

/* Returns how much of its time 'p' sleeps, in percent, in steps of 10 that are
 * left only when the share is well in the next one. */
static int
pmd_sleep_percent(struct monitor_pmd *p, uint64_t sleep, uint64_t total)
{
    uint64_t elapsed = total - p->last_total;

    if (p->last_total && elapsed) {
        double tenths = 10 * ext_ewma_update(&p->sleep,
                                             (double) (sleep - p->last_sleep)
                                             / elapsed, 0.1);

        if (fabs(tenths - p->tenths) > 0.7) {
            p->tenths = lrint(tenths);
        }
    }
    p->last_sleep = sleep;
    return p->tenths * 10;
}

static void
pmd_sample(struct monitor_pmd *p, struct hrm_sample *s, double cycles_us)
{
    struct dp_netdev_pmd_thread *pmd = p->pmd;
    size_t n_rxqs = pmd_n_rxqs(p);
    uint64_t sleep = pmd_counter(pmd, PMD_CYCLES_SLEEP);
    uint64_t busy = pmd_counter(pmd, PMD_CYCLES_ITER_BUSY);

    hrm_sample_init(s, HRM_PMD_CORE, "packets/s", "%u", pmd->core_id);
    s->numa = pmd->numa_id;
    s->done = pmd_counter(pmd, PMD_STAT_RECV);
    s->failed = pmd_counter(pmd, PMD_STAT_LOST);
    s->busy = busy;
    s->total = busy + sleep + pmd_counter(pmd, PMD_CYCLES_ITER_IDLE);
    s->cycles_us = cycles_us;
    hrm_sample_attr(s, "rxqs", "%"PRIuSIZE, n_rxqs);
    hrm_sample_attr(s, "isolated", "%s", pmd->isolated ? "true" : "false");
    hrm_sample_attr(s, "sleep", "%d%%",
                    pmd_sleep_percent(p, sleep, s->total));
}

/* A thread polls all the time, if it has anything to poll: its cycles are the
 * sign of life.  Whether it lives is thus not for the registry, which looks at
 * finished work, to see. */
static bool
pmd_lives(struct monitor_pmd *p, const struct hrm_sample *s)
{
    bool moved = s->total != p->last_total || !p->n_rxqs;

    p->last_total = s->total;
    return moved;
}

/* Appends a sample of each PMD thread.  'cycles_us': TSC cycles in a
 * microsecond. */
void
monitor_pmd_sample(struct monitor_samples *samples, double cycles_us)
{
    struct monitor_pmd *p;

    ovs_mutex_lock(&mutex);
    HMAP_FOR_EACH (p, node, &pmds) {
        struct hrm_sample *s = monitor_samples_add(samples);

        pmd_sample(p, s, cycles_us);
        if (!pmd_lives(p, s)) {
            s->answer = HRM_NO_ANSWER;
            s->why = "it does not poll";
        }
    }
    ovs_mutex_unlock(&mutex);
}
