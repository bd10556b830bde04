/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_DEV_H
#define EXTNIC_DEV_H 1

/* A port of the NIC model: what hangs off rte_eth_dev_data.dev_private. */

#include <rte_ether.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-echo.h"
#include "datapath-hooks/nic-model/extnic-sink.h"
#include "datapath-hooks/nic-model/extnic-source.h"

struct rte_eth_xstat;
struct rte_eth_xstat_name;
struct rte_eth_dev;
struct rte_eth_stats;

struct extnic_dev {
    struct extnic_args args;
    struct extnic_link *link;
    struct extnic_source *source;       /* Null in a sink and an echo. */
    struct extnic_echo *echo;           /* Null but in an echo. */
    struct extnic_sink sink;
    struct extnic_flow_table *flows;    /* The source's, or a sink's own. */
    struct rte_ether_addr mac;
    uint16_t mtu;
    uint16_t n_txq;
    bool is_up;
};

/* extnic-stats.c */
int extnic_stats_get(struct rte_eth_dev *, struct rte_eth_stats *);
int extnic_stats_reset(struct rte_eth_dev *);
int extnic_xstats_get(struct rte_eth_dev *, struct rte_eth_xstat *,
                      unsigned int n);
int extnic_xstats_get_names(struct rte_eth_dev *, struct rte_eth_xstat_name *,
                            unsigned int n);

#endif /* extnic-dev.h */
