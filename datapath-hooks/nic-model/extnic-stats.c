/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <ethdev_driver.h>

#include "datapath-hooks/nic-model/extnic-dev.h"

/* What the host sees of a port's counters.  They only grow: neither a new
 * measurement nor the host's own reset takes them back, as OVS keeps totals
 * of its own. */

static void
add_rxq(struct rte_eth_stats *stats, const struct extnic_rxq *q, int i)
{
    struct extnic_counters c = q->past;

    if (q->epoch == q->shm->epoch) {
        c.packets += q->shm->received;
        c.bytes += q->shm->bytes;
        c.missed += q->shm->missed;
        c.nombuf += q->shm->nombuf;
    }
    stats->ipackets += c.packets;
    stats->ibytes += c.bytes;
    stats->imissed += c.missed;
    stats->rx_nombuf += c.nombuf;
    if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
        stats->q_ipackets[i] = c.packets;
        stats->q_ibytes[i] = c.bytes;
        stats->q_errors[i] = c.missed;
    }
}

int
extnic_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
    const struct extnic_dev *nic = dev->data->dev_private;

    if (nic->echo) {
        extnic_echo_stats(nic->echo, stats);
        return 0;
    }
    for (int i = 0; nic->source && i < EXTNIC_MAX_QUEUES; i++) {
        if (nic->source->rxq[i]) {
            add_rxq(stats, nic->source->rxq[i], i);
        }
    }
    for (int i = 0; i < nic->n_txq; i++) {
        const struct extnic_txq *q = nic->sink.txq[i];
        uint64_t packets = q ? q->packets : 0;
        uint64_t bytes = q ? q->bytes : 0;

        stats->opackets += packets;
        stats->obytes += bytes;
        if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
            stats->q_opackets[i] = packets;
            stats->q_obytes[i] = bytes;
        }
    }
    return 0;
}

int
extnic_stats_reset(struct rte_eth_dev *dev)
{
    (void) dev;
    return 0;
}

static const struct {
    const char *name;
    size_t offset;
    bool wide;                  /* 64 bits rather than 32. */
} xstats[] = {
#define XSTAT(NAME, MEMBER, WIDE) \
    { NAME, offsetof(struct extnic_shm_source, MEMBER), WIDE }
    XSTAT("extnic_reta_updates", reta_updates, true),
    XSTAT("extnic_reta_rejected", reta_rejected, true),
    XSTAT("extnic_flow_rules", flow_rules, false),
    XSTAT("extnic_flow_max", flow_max, false),
    XSTAT("extnic_flow_inserted", flow_inserted, true),
    XSTAT("extnic_flow_removed", flow_removed, true),
    XSTAT("extnic_flow_rejected_errors", flow_rejected, true),
};
#define N_XSTATS (sizeof xstats / sizeof xstats[0])

int
extnic_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *values,
                  unsigned int n)
{
    const struct extnic_dev *nic = dev->data->dev_private;

    if (!nic->source) {
        return 0;
    }
    for (unsigned int i = 0; values && i < N_XSTATS && i < n; i++) {
        const char *p = (const char *) nic->source->shm + xstats[i].offset;
        uint64_t wide;
        uint32_t narrow;

        memcpy(&wide, p, sizeof wide);
        memcpy(&narrow, p, sizeof narrow);
        values[i].id = i;
        values[i].value = xstats[i].wide ? wide : narrow;
    }
    return N_XSTATS;
}

int
extnic_xstats_get_names(struct rte_eth_dev *dev,
                        struct rte_eth_xstat_name *names, unsigned int n)
{
    const struct extnic_dev *nic = dev->data->dev_private;

    if (!nic->source) {
        return 0;
    }
    for (unsigned int i = 0; names && i < N_XSTATS && i < n; i++) {
        snprintf(names[i].name, sizeof names[i].name, "%s", xstats[i].name);
    }
    return N_XSTATS;
}
