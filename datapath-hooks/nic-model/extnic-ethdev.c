/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_cycles.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "datapath-hooks/nic-model/extnic-dev.h"
#include "datapath-hooks/nic-model/extnic-flow.h"

RTE_LOG_REGISTER_DEFAULT(extnic_logtype, NOTICE);
#define EXTNIC_LOG(LEVEL, ...) \
    rte_log(RTE_LOG_##LEVEL, extnic_logtype, "net_extnic: " __VA_ARGS__)

#define EXTNIC_RSS_HF (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)
#define EXTNIC_RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_CHECKSUM         \
                            | RTE_ETH_RX_OFFLOAD_RSS_HASH       \
                            | RTE_ETH_RX_OFFLOAD_TIMESTAMP      \
                            | RTE_ETH_RX_OFFLOAD_SCATTER)

static struct extnic_dev *
extnic_dev(const struct rte_eth_dev *dev)
{
    return dev->data->dev_private;
}

static uint16_t
no_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t n)
{
    struct extnic_link *link = rxq;

    extnic_link_poll(link);
    (void) pkts;
    (void) n;
    return 0;
}

static uint32_t
no_rx_count(void *rxq)
{
    (void) rxq;
    return 0;
}

static int
dev_configure(struct rte_eth_dev *dev)
{
    struct extnic_dev *nic = extnic_dev(dev);
    const struct rte_eth_rss_conf *rss;

    rss = &dev->data->dev_conf.rx_adv_conf.rss_conf;
    nic->n_txq = dev->data->nb_tx_queues;
    if (nic->echo) {
        extnic_echo_configure(nic->echo, dev->data->nb_rx_queues);
        extnic_echo_set_port(nic->echo, dev->data->port_id);
    }
    if (!nic->source) {
        return 0;
    }

    /* As in a real NIC, the indirection table starts anew. */
    extnic_source_configure(nic->source, dev->data->nb_rx_queues);
    bool use_rss = dev->data->dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG;
    const uint8_t *key = (use_rss && rss->rss_key
                          && rss->rss_key_len == EXTNIC_RSS_KEY_LEN
                          ? rss->rss_key : NULL);
    uint64_t hf = use_rss ? rss->rss_hf & EXTNIC_RSS_HF : EXTNIC_RSS_HF;
    if (key || hf != nic->source->rss_hf) {
        return -extnic_source_set_rss(nic->source, key, hf);
    }
    return 0;
}

static int
dev_start(struct rte_eth_dev *dev)
{
    struct extnic_dev *nic = extnic_dev(dev);
    int err = nic->link->shm->inject.start_fail;

    if (err) {
        return -err;
    }
    if (nic->source) {
        extnic_source_start(nic->source);
    }
    nic->is_up = true;
    dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
    for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
        dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
    }
    for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
        dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
    }
    return 0;
}

static int
dev_stop(struct rte_eth_dev *dev)
{
    struct extnic_dev *nic = extnic_dev(dev);

    if (nic->source) {
        extnic_source_stop(nic->source);
    }
    nic->is_up = false;
    dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
    for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
        dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
    }
    for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
        dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
    }
    return 0;
}

static void
destroy(struct extnic_dev *nic)
{
    if (nic->source) {
        extnic_source_uninit(nic->source);
        free(nic->source);
        nic->source = NULL;
    } else {
        extnic_flow_table_destroy(nic->flows);
    }
    extnic_echo_destroy(nic->echo);
    nic->echo = NULL;
    nic->flows = NULL;
    extnic_sink_uninit(&nic->sink);
}

static int
dev_close(struct rte_eth_dev *dev)
{
    if (rte_eal_process_type() == RTE_PROC_PRIMARY) {
        const struct extnic_dev *nic = extnic_dev(dev);

        if (nic->flows && extnic_flow_count(nic->flows)) {
            EXTNIC_LOG(ERR, "%s: %u flow rules are left\n", dev->data->name,
                       extnic_flow_count(nic->flows));
        }
        destroy(extnic_dev(dev));
        dev->data->mac_addrs = NULL;    /* Part of dev_private. */
    }
    return 0;
}

static int
rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t n_desc,
               unsigned int socket, const struct rte_eth_rxconf *conf,
               struct rte_mempool *mp)
{
    struct extnic_dev *nic = extnic_dev(dev);

    (void) socket;
    (void) conf;
    if (nic->echo) {
        dev->data->rx_queues[id] = extnic_echo_rxq(nic->echo, id);
        return dev->data->rx_queues[id] ? 0 : -ENOMEM;
    }
    if (!nic->source) {
        dev->data->rx_queues[id] = nic->link;
        return 0;
    }
    if (rte_pktmbuf_data_room_size(mp)
        < RTE_PKTMBUF_HEADROOM + RTE_ETHER_MAX_LEN) {
        EXTNIC_LOG(ERR, "%s: mbufs of %u bytes are too small\n",
                   dev->data->name, rte_pktmbuf_data_room_size(mp));
        return -EINVAL;
    }
    int err = extnic_source_rxq_setup(nic->source, id, n_desc, mp,
                                      dev->data->port_id);
    dev->data->rx_queues[id] = nic->source->rxq[id];
    return -err;
}

static int
tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t n_desc,
               unsigned int socket, const struct rte_eth_txconf *conf)
{
    struct extnic_dev *nic = extnic_dev(dev);
    int err;

    (void) n_desc;
    (void) socket;
    (void) conf;
    if (nic->echo) {
        dev->data->tx_queues[id] = extnic_echo_txq(nic->echo, id);
        return dev->data->tx_queues[id] ? 0 : -ENOMEM;
    }
    err = extnic_sink_txq_setup(&nic->sink, id);
    dev->data->tx_queues[id] = nic->sink.txq[id];
    return -err;
}

static int
dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
    struct extnic_dev *nic = extnic_dev(dev);

    info->max_mac_addrs = 1;
    info->min_rx_bufsize = RTE_ETHER_MIN_LEN;
    info->max_rx_pktlen = 9728;
    info->max_mtu = 9702;
    info->min_mtu = RTE_ETHER_MIN_MTU;
    info->max_rx_queues = EXTNIC_MAX_QUEUES;
    info->max_tx_queues = EXTNIC_MAX_QUEUES;
    info->rx_offload_capa = EXTNIC_RX_OFFLOADS;
    info->rx_queue_offload_capa = 0;
    info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS
                            | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
                            | RTE_ETH_TX_OFFLOAD_UDP_CKSUM
                            | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    info->reta_size = nic->args.reta;
    info->hash_key_size = EXTNIC_RSS_KEY_LEN;
    info->flow_type_rss_offloads = EXTNIC_RSS_HF;
    info->speed_capa = RTE_ETH_LINK_SPEED_100G;
    info->rx_desc_lim = (struct rte_eth_desc_lim) {
        .nb_max = 8192, .nb_min = 32, .nb_align = 8,
    };
    info->tx_desc_lim = info->rx_desc_lim;
    info->default_rxportconf.ring_size = 2048;
    info->default_txportconf.ring_size = 2048;
    return 0;
}

static int
link_update(struct rte_eth_dev *dev, int wait)
{
    struct extnic_dev *nic = extnic_dev(dev);
    struct rte_eth_link link = {
        .link_speed = RTE_ETH_SPEED_NUM_100G,
        .link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
        .link_autoneg = RTE_ETH_LINK_FIXED,
        .link_status = (nic->is_up && !nic->link->shm->inject.link_down
                        ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN),
    };

    (void) wait;
    return rte_eth_linkstatus_set(dev, &link);
}

static int
set_link_up(struct rte_eth_dev *dev)
{
    extnic_dev(dev)->is_up = true;
    link_update(dev, 0);
    return 0;
}

static int
set_link_down(struct rte_eth_dev *dev)
{
    extnic_dev(dev)->is_up = false;
    link_update(dev, 0);
    return 0;
}

static int
reta_update(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *conf,
            uint16_t size)
{
    struct extnic_dev *nic = extnic_dev(dev);
    uint8_t reta[EXTNIC_MAX_RETA];
    int err = nic->link->shm->inject.reta_fail;

    if (!nic->source) {
        return -ENOTSUP;
    }
    if (!err && size != nic->args.reta) {
        err = EINVAL;
    }
    memcpy(reta, nic->source->reta, sizeof reta);
    for (uint16_t i = 0; !err && i < size; i++) {
        if (conf[i / 64].mask & RTE_BIT64(i % 64)) {
            reta[i] = conf[i / 64].reta[i % 64];
            err = reta[i] < nic->source->n_rxq ? 0 : EINVAL;
        }
    }
    if (!err) {
        err = extnic_source_set_reta(nic->source, reta);
    }
    if (err) {
        nic->source->shm->reta_rejected++;
    } else {
        nic->source->shm->reta_updates++;
    }
    return -err;
}

static int
reta_query(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *conf,
           uint16_t size)
{
    struct extnic_dev *nic = extnic_dev(dev);

    if (!nic->source || size != nic->args.reta) {
        return nic->source ? -EINVAL : -ENOTSUP;
    }
    for (uint16_t i = 0; i < size; i++) {
        if (conf[i / 64].mask & RTE_BIT64(i % 64)) {
            conf[i / 64].reta[i % 64] = nic->source->reta[i];
        }
    }
    return 0;
}

static int
rss_hash_update(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
    struct extnic_dev *nic = extnic_dev(dev);

    if (!nic->source) {
        return -ENOTSUP;
    }
    if (conf->rss_key && conf->rss_key_len != EXTNIC_RSS_KEY_LEN) {
        return -EINVAL;
    }
    return -extnic_source_set_rss(nic->source, conf->rss_key,
                                  conf->rss_hf & EXTNIC_RSS_HF);
}

static int
rss_hash_conf_get(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
    struct extnic_dev *nic = extnic_dev(dev);

    if (!nic->source) {
        return -ENOTSUP;
    }
    if (conf->rss_key && conf->rss_key_len >= EXTNIC_RSS_KEY_LEN) {
        memcpy(conf->rss_key, nic->source->key, EXTNIC_RSS_KEY_LEN);
    }
    conf->rss_key_len = EXTNIC_RSS_KEY_LEN;
    conf->rss_hf = nic->source->rss_hf;
    return 0;
}

static int
mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
    extnic_dev(dev)->mtu = mtu;
    return 0;
}

static int
mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
    rte_ether_addr_copy(mac, &extnic_dev(dev)->mac);
    return 0;
}

static int
accept_mode(struct rte_eth_dev *dev)
{
    (void) dev;
    return 0;
}

static int
flow_ops_get(struct rte_eth_dev *dev, const struct rte_flow_ops **ops)
{
    (void) dev;
    *ops = &extnic_flow_ops;
    return 0;
}

static int
read_clock(struct rte_eth_dev *dev, uint64_t *clock)
{
    (void) dev;
    *clock = rte_rdtsc();
    return 0;
}

static const struct eth_dev_ops ops = {
    .dev_configure = dev_configure,
    .dev_start = dev_start,
    .dev_stop = dev_stop,
    .dev_close = dev_close,
    .dev_infos_get = dev_infos_get,
    .dev_set_link_up = set_link_up,
    .dev_set_link_down = set_link_down,
    .link_update = link_update,
    .rx_queue_setup = rx_queue_setup,
    .tx_queue_setup = tx_queue_setup,
    .promiscuous_enable = accept_mode,
    .promiscuous_disable = accept_mode,
    .allmulticast_enable = accept_mode,
    .allmulticast_disable = accept_mode,
    .mac_addr_set = mac_addr_set,
    .mtu_set = mtu_set,
    .stats_get = extnic_stats_get,
    .stats_reset = extnic_stats_reset,
    .xstats_get = extnic_xstats_get,
    .xstats_get_names = extnic_xstats_get_names,
    .xstats_reset = extnic_stats_reset,
    .reta_update = reta_update,
    .reta_query = reta_query,
    .rss_hash_update = rss_hash_update,
    .rss_hash_conf_get = rss_hash_conf_get,
    .flow_ops_get = flow_ops_get,
    .read_clock = read_clock,
};

/* Builds the parts of the port.  Returns 0 or a positive errno with a
 * message in 'error'. */
static int
construct(struct extnic_dev *nic, char *error, size_t size)
{
    int err = extnic_link_get(nic->args.stat, nic->args.window_ms * 1000,
                              &nic->link, error, size);

    nic->sink.slot = -1;
    if (!err && nic->args.role == EXTNIC_ECHO) {
        nic->echo = extnic_echo_create(nic->link, &nic->args);
        err = nic->echo ? 0 : ENOMEM;
    }
    if (!err && nic->args.role != EXTNIC_SINK
        && nic->args.role != EXTNIC_ECHO) {
        nic->source = calloc(1, sizeof *nic->source);
        err = nic->source ? extnic_source_init(nic->source, &nic->args,
                                               nic->link, error, size)
                          : ENOMEM;
        nic->flows = nic->source ? nic->source->flows : NULL;
    } else if (!err) {
        nic->flows = extnic_flow_table_create(NULL, nic->link, &nic->args);
        err = nic->flows ? 0 : ENOMEM;
    }
    if (!err) {
        err = extnic_sink_init(&nic->sink, nic->link,
                               nic->args.role != EXTNIC_SOURCE
                               && nic->args.role != EXTNIC_ECHO,
                               nic->args.watch, error, size);
    }
    return err;
}

static int
probe(struct rte_vdev_device *vdev)
{
    const char *name = rte_vdev_device_name(vdev);
    struct extnic_args args;
    char error[1400] = "";

    if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
        EXTNIC_LOG(ERR, "%s: primary processes only\n", name);
        return -ENOTSUP;
    }
    if (!extnic_args_parse(rte_vdev_device_args(vdev), &args, error,
                           sizeof error)) {
        EXTNIC_LOG(ERR, "%s: %s\n", name, error);
        return -EINVAL;
    }

    vdev->device.numa_node = args.numa;
    struct rte_eth_dev *dev = rte_eth_vdev_allocate(vdev,
                                                    sizeof(struct extnic_dev));
    if (!dev) {
        EXTNIC_LOG(ERR, "%s: out of memory\n", name);
        return -ENOMEM;
    }

    struct extnic_dev *nic = extnic_dev(dev);
    nic->args = args;
    int err = construct(nic, error, sizeof error);
    if (err) {
        EXTNIC_LOG(ERR, "%s: %s\n", name, error);
        destroy(nic);
        rte_eth_dev_release_port(dev);
        return -err;
    }

    rte_eth_random_addr(nic->mac.addr_bytes);
    dev->data->mac_addrs = &nic->mac;
    dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
    dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
    dev->dev_ops = &ops;
    dev->rx_pkt_burst = nic->source ? extnic_source_rx_burst : no_rx_burst;
    dev->rx_queue_count = nic->source ? extnic_source_rx_count : no_rx_count;
    dev->tx_pkt_burst = (args.role == EXTNIC_SOURCE ? extnic_sink_free_burst
                         : extnic_sink_tx_burst);
    if (nic->echo) {
        dev->rx_pkt_burst = extnic_echo_rx_burst;
        dev->rx_queue_count = extnic_echo_rx_count;
        dev->tx_pkt_burst = extnic_echo_tx_burst;
    }
    rte_eth_dev_probing_finish(dev);
    return 0;
}

static int
remove_vdev(struct rte_vdev_device *vdev)
{
    const char *name = rte_vdev_device_name(vdev);
    struct rte_eth_dev *dev = rte_eth_dev_allocated(name);

    if (dev) {
        dev_close(dev);
        rte_eth_dev_release_port(dev);
    }
    return 0;
}

static struct rte_vdev_driver driver = {
    .probe = probe,
    .remove = remove_vdev,
};

RTE_PMD_REGISTER_VDEV(net_extnic, driver);
