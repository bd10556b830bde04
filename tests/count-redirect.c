/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions that redirection costs a packet (count-util.h), in the real
 * userspace datapath with the daemon's own hooks: from the receipt at port p1
 * to the end of the transmission at port p2, in a thread that is none of
 * DPDK's.
 *
 *     stock       there is no accelerator
 *     armed       there is one, but it is not for these packets
 *     redirected  they go through it and come back
 *
 * Receipt is a copy of pointers, and transmission is that of a dummy device.
 * What an accelerator was sent is lost, and what it gives back is made up, so
 * that its own work is not counted. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"
#include "dpif.h"
#include "dummy.h"
#include "netdev-provider.h"
#include "netlink.h"
#include "odp-execute.h"
#include "odp-netlink.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "smap.h"
#include "tests/count-util.h"
#include "tests/test-util.h"

enum { N_FLOWS = 64, P1 = 0, P2, ACC, N_PORTS };

static struct dpif *dpif;
static struct netdev *netdevs[N_PORTS];
static odp_port_t ports[N_PORTS];

/* What the next run of the datapath receives. */
static struct dp_packet_batch arriving[N_PORTS];

static int
receive(struct netdev_rxq *rx, struct dp_packet_batch *batch, int *qfill)
{
    for (int i = 0; i < N_PORTS; i++) {
        if (rx->netdev == netdevs[i]
            && !dp_packet_batch_is_empty(&arriving[i])) {
            *batch = arriving[i];
            dp_packet_batch_init(&arriving[i]);
            if (qfill) {
                *qfill = 0;
            }
            return 0;
        }
    }
    return EAGAIN;
}

/* ofproto: a bridge of two ports. */
static int
translate(const struct dp_packet *packet OVS_UNUSED, const struct flow *flow,
          ovs_u128 *ufid OVS_UNUSED, unsigned int pmd_id OVS_UNUSED,
          enum dpif_upcall_type type OVS_UNUSED,
          const struct nlattr *userdata OVS_UNUSED, struct ofpbuf *actions,
          struct flow_wildcards *wc, struct ofpbuf *put_actions OVS_UNUSED,
          void *aux OVS_UNUSED)
{
    CHECK(flow->in_port.odp_port == ports[P1]);
    WC_MASK_FIELD(wc, in_port);
    WC_MASK_FIELD(wc, recirc_id);
    WC_MASK_FIELD(wc, packet_type);
    WC_MASK_FIELD(wc, dl_type);
    WC_MASK_FIELD(wc, dl_dst);
    nl_msg_put_odp_port(actions, OVS_ACTION_ATTR_OUTPUT, ports[P2]);
    return 0;
}

/* A UDP packet of flow 'i', with the tag 'vid' if that is not 0. */
static struct dp_packet *
make_packet(unsigned int i, uint16_t vid)
{
    const struct eth_addr mac = ETH_ADDR_C(02,00,00,00,00,01);
    struct dp_packet *packet = dp_packet_new(128);
    struct flow flow;

    memset(&flow, 0, sizeof flow);
    flow.packet_type = htonl(PT_ETH);
    flow.dl_type = htons(ETH_TYPE_IP);
    flow.dl_src = flow.dl_dst = mac;
    flow.nw_src = htonl(0x0a000001);
    flow.nw_dst = htonl(0x0a000002);
    flow.nw_proto = IPPROTO_UDP;
    flow.nw_ttl = 64;
    flow.tp_src = htons(1000 + i);
    flow.tp_dst = htons(53);
    flow_compose(packet, &flow, NULL, 64);
    if (vid) {
        eth_push_vlan(packet, htons(ETH_TYPE_VLAN_8021AD),
                      htons(vid | VLAN_CFI));
    }
    dp_packet_reset_offsets(packet);
    dp_packet_set_rss_hash(packet, hash_int(i, 0));
    return packet;
}

/* One turn of the thread that polls all ports. */
static void __attribute__((noipa))
count_region(void)
{
    dpif_run(dpif);
}

/* 'burst' packets arrive at p1, and, with a tag, as many at the
 * accelerator. */
static void
turn(unsigned int first, unsigned int burst, uint16_t vid)
{
    for (unsigned int i = 0; i < burst; i++) {
        unsigned int flow = (first + i) % N_FLOWS;

        dp_packet_batch_add(&arriving[P1], make_packet(flow, 0));
        if (vid) {
            dp_packet_batch_add(&arriving[ACC], make_packet(flow, vid));
        }
    }
    count_region();
}

static uint64_t
n_sent(int port)
{
    struct netdev_stats stats;

    CHECK(!netdev_get_stats(netdevs[port], &stats));
    return stats.tx_packets;
}

static void
start(void)
{
    static const char *const names[N_PORTS] = { "p1", "p2", "acc" };
    struct smap config = SMAP_INITIALIZER(&config);

    dummy_enable("");
    odp_execute_init();
    CHECK(!dpif_create_and_open("count", "dummy", &dpif));
    smap_add(&config, "emc-insert-inv-prob", "1");
    CHECK(!dpif_set_config(dpif, &config));
    smap_destroy(&config);
    dpif_register_upcall_cb(dpif, translate, NULL);
    dpif_enable_upcall(dpif);
    for (int i = 0; i < N_PORTS; i++) {
        ports[i] = ODPP_NONE;
        CHECK(!netdev_open(names[i], "dummy", &netdevs[i]));
        CHECK(!dpif_port_add(dpif, netdevs[i], &ports[i]));
        dp_packet_batch_init(&arriving[i]);
    }
    EXT_HOOK_SET(rxq_recv, receive);
    redirect_init();
    redirect_set_dpif(dpif);
}

/* Returns the tag of redirected packets. */
static uint16_t
redirect(enum tp_class class)
{
    struct redirect_rule rule = { .key.class = class, .port = ports[ACC] };
    const struct redirect_ctx *ctx;
    uint16_t id = 0;

    redirect_set_accelerator(ports[ACC], "acc", true);
    redirect_set_rules(&rule, 1);
    turn(0, 1, 0);
    ovs_mutex_lock(&redirect_mutex);
    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        id = ctx->id;
    }
    ovs_mutex_unlock(&redirect_mutex);
    return id;
}

int
main(int argc, char *argv[])
{
    static const char *const modes[] = {
        "stock", "armed", "redirected", NULL
    };
    struct count_args args;
    uint64_t before[N_PORTS];
    uint16_t vid = 0;

    count_parse(argc, argv, modes, &args);
    start();
    if (!strcmp(args.mode, "armed")) {
        CHECK(!redirect(TP_TCP));
    } else if (!strcmp(args.mode, "redirected")) {
        vid = redirect(TP_UDP);
        CHECK(vid);
    }
    /* Until all flows and caches are there.  The count is of so many turns
     * more that this does not matter. */
    for (unsigned int i = 0; i < 2 * N_FLOWS; i++) {
        turn(i, 1, vid);
    }
    before[P2] = n_sent(P2);
    before[ACC] = n_sent(ACC);
    for (unsigned int i = 0; i < args.n; i++) {
        turn(i * args.burst, args.burst, vid);
    }
    CHECK_EQ(n_sent(P2) - before[P2], args.n * args.burst);
    CHECK_EQ(n_sent(ACC) - before[ACC], vid ? args.n * args.burst : 0);
    return 0;
}
