/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What steering asks of a DPDK device. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf_dyn.h>
#include <rte_thash.h>

#include "bitmap.h"
#include "flow.h"
#include "netdev-dpdk.h"
#include "netdev.h"

/* Where devices put the arrival time, and the flag that says they did. */
static int timestamp_offset = -1;
static uint64_t timestamp_flag;

/* Looks up what DPDK's initialisation registered.  Main thread, whenever a
 * port is opened. */
void
steer_dev_init(void)
{
    int offset, bit;

    if (timestamp_offset >= 0) {
        return;
    }
    offset = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
    bit = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);
    if (offset >= 0 && bit >= 0) {
        timestamp_flag = UINT64_C(1) << bit;
        timestamp_offset = offset;
    }
}

static int
steer_dev_info(const struct netdev *netdev, int *port,
               struct rte_eth_dev_info *info)
{
    if (strcmp(netdev_get_type(netdev), "dpdk")) {
        return ENODEV;
    }
    *port = netdev_dpdk_get_port_id(CONST_CAST(struct netdev *, netdev));
    if (*port < 0 || !rte_eth_dev_is_valid_port(*port)) {
        return ENODEV;
    }
    return -rte_eth_dev_info_get(*port, info);
}

/* Does the driver named 'driver' stop and start a running device to change its
 * table?  PMD threads poll meanwhile, and what is in the rings is lost. */
static bool
restarts_for_reta(const char *driver)
{
    return driver && !strncmp(driver, "mlx5", 4);
}

/* Returns true if 'netdev' has a redirection table that can be steered: a
 * power of two of at most STEER_MAX_BUCKETS entries, which can be changed
 * while packets come.  Then stores the DPDK port id and the number of entries
 * where the arguments are not null. */
bool
steer_dev_has_reta(const struct netdev *netdev, uint16_t *dpdk_port,
                   uint32_t *size)
{
    struct rte_eth_rss_reta_entry64 reta[STEER_MAX_BUCKETS
                                         / RTE_ETH_RETA_GROUP_SIZE];
    struct rte_eth_dev_info info;
    int port;

    if (steer_dev_info(netdev, &port, &info)
        || !info.reta_size || info.reta_size > STEER_MAX_BUCKETS
        || info.reta_size < RTE_ETH_RETA_GROUP_SIZE
        || !IS_POW2(info.reta_size) || restarts_for_reta(info.driver_name)) {
        return false;
    }
    memset(reta, 0xff, sizeof reta);
    if (rte_eth_dev_rss_reta_query(port, reta, info.reta_size)) {
        return false;
    }
    steer_dev_init();
    if (dpdk_port) {
        *dpdk_port = port;
    }
    if (size) {
        *size = info.reta_size;
    }
    return true;
}

/* Reads the table's 'n' entries into 'owner'.  Returns 0 or an errno. */
int
steer_dev_get_reta(uint16_t port, uint16_t *owner, uint32_t n)
{
    struct rte_eth_rss_reta_entry64 reta[STEER_MAX_BUCKETS
                                         / RTE_ETH_RETA_GROUP_SIZE];
    int error;

    memset(reta, 0xff, sizeof reta);
    error = rte_eth_dev_rss_reta_query(port, reta, n);
    for (uint32_t b = 0; !error && b < n; b++) {
        owner[b] = reta[b / RTE_ETH_RETA_GROUP_SIZE]
                       .reta[b % RTE_ETH_RETA_GROUP_SIZE];
    }
    return -error;
}

/* Writes the entries in bitmap 'changed' from 'owner'.  Returns 0 or an
 * errno. */
int
steer_dev_set_reta(uint16_t port, const uint16_t *owner, uint32_t n,
                   const unsigned long *changed)
{
    struct rte_eth_rss_reta_entry64 reta[STEER_MAX_BUCKETS
                                         / RTE_ETH_RETA_GROUP_SIZE];

    memset(reta, 0, sizeof reta);
    for (uint32_t b = 0; b < n; b++) {
        struct rte_eth_rss_reta_entry64 *group
            = &reta[b / RTE_ETH_RETA_GROUP_SIZE];

        group->reta[b % RTE_ETH_RETA_GROUP_SIZE] = owner[b];
        if (bitmap_is_set(changed, b)) {
            group->mask |= UINT64_C(1) << (b % RTE_ETH_RETA_GROUP_SIZE);
        }
    }
    return -rte_eth_dev_rss_reta_update(port, reta, n);
}

/* Returns the number of descriptors in an rx queue of 'port'. */
uint16_t
steer_dev_ring_size(const struct netdev *netdev OVS_UNUSED, uint16_t port)
{
    struct rte_eth_rxq_info info;

    return (!rte_eth_rx_queue_info_get(port, 0, &info) && info.nb_desc
            ? info.nb_desc : 2048);
}

/* Stores into '*missed' the packets that 'port' missed for want of
 * descriptors.  Returns false if the device does not say. */
bool
steer_dev_missed(uint16_t port, uint64_t *missed)
{
    struct rte_eth_stats stats;

    if (rte_eth_stats_get(port, &stats)) {
        return false;
    }
    *missed = stats.imissed;
    return true;
}

/* Computes the RSS hash of an IPv4 or IPv6 TCP or UDP packet of 'flow' with
 * the key of 'port'.  Returns false if the device hashes otherwise. */
bool
steer_dev_rss_hash(uint16_t port, const struct flow *flow, uint32_t *hash)
{
    uint8_t key[64];
    struct rte_eth_rss_conf conf = { .rss_key = key,
                                     .rss_key_len = sizeof key };
    uint32_t tuple[9];
    unsigned int n = 0;

    if ((flow->nw_proto != IPPROTO_TCP && flow->nw_proto != IPPROTO_UDP)
        || rte_eth_dev_rss_hash_conf_get(port, &conf)
        || !(conf.rss_hf & (flow->nw_proto == IPPROTO_TCP
                            ? RTE_ETH_RSS_TCP : RTE_ETH_RSS_UDP))) {
        return false;
    }
    if (flow->dl_type == htons(ETH_TYPE_IP)) {
        tuple[n++] = ntohl(flow->nw_src);
        tuple[n++] = ntohl(flow->nw_dst);
    } else {
        for (int i = 0; i < 4; i++) {
            ovs_be32 src, dst;

            memcpy(&src, &flow->ipv6_src.s6_addr[4 * i], sizeof src);
            memcpy(&dst, &flow->ipv6_dst.s6_addr[4 * i], sizeof dst);
            tuple[i] = ntohl(src);
            tuple[4 + i] = ntohl(dst);
        }
        n = 8;
    }
    tuple[n++] = (uint32_t) ntohs(flow->tp_src) << 16 | ntohs(flow->tp_dst);
    *hash = rte_softrss(tuple, n, key);
    return true;
}

/* PMD-THREAD CODE */

/* Returns the number of packets waiting in 'q''s descriptor ring, or the
 * ring's size (the most it can be) if the device cannot say. */
int
steer_dev_rxq_depth(const struct steer_rxq *q)
{
    int n = rte_eth_rx_queue_count(q->port->dpdk_port, q->queue_id);

    return n >= 0 ? n : q->port->ring_size;
}

/* Returns true if the device says that 'q''s descriptor ring holds packets. */
bool
steer_dev_rxq_has_packets(const struct steer_rxq *q)
{
    return rte_eth_rx_queue_count(q->port->dpdk_port, q->queue_id) > 0;
}

/* If the device stamped 'packet' with the time of its arrival, stores that
 * into '*tsc' and returns true.  Devices whose clock is not the TSC give
 * nonsense, which the caller has to discard. */
bool
steer_dev_arrival(const struct dp_packet *packet, uint64_t *tsc)
{
    if (timestamp_offset < 0 || !(packet->mbuf.ol_flags & timestamp_flag)) {
        return false;
    }
    *tsc = *RTE_MBUF_DYNFIELD(&packet->mbuf, timestamp_offset,
                              const uint64_t *);
    return true;
}

/* END PMD-THREAD CODE */
