/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_FLOW_H
#define TP_FLOW_H 1

/* Which flow, of which virtual network, a packet belongs to.
 *
 * A flow is seen as the virtual network sees it: of a packet in a VXLAN or
 * Geneve tunnel it is the inner one, in network "vni:N"; else the outermost
 * VLAN is the network.  One level of tunnels is looked into.
 *
 * Pure; anything here may be called in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "ovs-ext/profile/tp.h"

enum tp_network_kind {
    TP_NET_UNTAGGED,            /* "untagged", also priority-tagged. */
    TP_NET_VLAN,                /* "vlan:VID" */
    TP_NET_VNI,                 /* "vni:N" */
    TP_NET_OTHER                /* "other": profiles beyond the bound. */
};

struct tp_network {
    enum tp_network_kind kind;
    uint32_t id;                /* 0 where the kind has none. */
};

enum tp_family { TP_ETHERNET, TP_IPV4, TP_IPV6 };

/* 48 bytes without padding, so that flows are compared and published word by
 * word. */
struct tp_flow {
    uint8_t src[16], dst[16];   /* Addresses of 'family', zeros after them. */
    ovs_be16 tp_src, tp_dst;    /* 0 if there are none. */
    uint32_t net_id;
    uint8_t net_kind;           /* enum tp_network_kind. */
    uint8_t family;             /* enum tp_family. */
    uint8_t nw_proto;           /* 0 if not IP. */
    uint8_t pad[5];
};

enum { TP_FLOW_WORDS = 6 };     /* struct tp_flow as uint64_t. */

enum {
    TP_PORT_VXLAN = 4789,
    TP_PORT_GENEVE = 6081
};

void tp_flow_parse(const void *frame, size_t len, struct tp_flow *);

static inline struct tp_network
tp_flow_network(const struct tp_flow *flow)
{
    return (struct tp_network) { flow->net_kind, flow->net_id };
}

/* Returns the class of 'flow'. */
static inline enum tp_class
tp_flow_class(const struct tp_flow *flow)
{
    return (flow->family == TP_ETHERNET ? TP_OTHER
            : tp_class_from_nw_proto(flow->nw_proto));
}

void tp_network_format(const struct tp_network *,
                       char name[TP_NETWORK_LEN]);
void tp_address_format(enum tp_family, const uint8_t address[16],
                       char name[TP_ADDRESS_LEN]);

struct ds;
void tp_flow_format(const struct tp_flow *, struct ds *);

#endif /* tp-flow.h */
