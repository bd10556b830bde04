/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_HOST_KEY_H
#define AFF_HOST_KEY_H 1

/* What an instruction is about, as the datapath can tell: a virtual network
 * and a class of traffic.
 *
 * A datapath flow shows the tunnel key, the VLAN and the IP protocol, so that
 * "vni:100", "vlan:5" and "untagged" can be told apart there.  A network known
 * by OpenFlow metadata alone cannot.
 *
 * Pure values; no thread safety is needed. */

#include <stdbool.h>
#include <stdint.h>

#include "ovs-ext/profile/tp.h"

struct flow;
struct flow_wildcards;

enum aff_host_net {
    AFF_NET_UNTAGGED,
    AFF_NET_VLAN,
    AFF_NET_VNI
};

struct aff_host_key {
    enum aff_host_net net;
    enum tp_class class;
    uint32_t id;                /* VLAN or VNI, 0 for AFF_NET_UNTAGGED. */
};

/* Makes a key of the name of a network, as in the Affinity table.  Returns
 * false if the datapath cannot tell that network's packets from others. */
bool aff_host_key_make(struct aff_host_key *, const char *network,
                       enum tp_class);

/* True for IP packets in Ethernet frames. */
bool aff_host_flow_is_ip(const struct flow *);

/* Makes the key of a packet, as extracted. */
void aff_host_key_of_flow(struct aff_host_key *, const struct flow *);

/* The same for all packets that a datapath flow matches.  Returns false if
 * these are of several networks or classes. */
bool aff_host_key_of_match(struct aff_host_key *, const struct flow *,
                           const struct flow_wildcards *);

/* Writes the name of the network into 'name'. */
void aff_host_key_network(const struct aff_host_key *,
                          char name[TP_NETWORK_LEN]);

/* A hash, the same in every run, never 0. */
uint32_t aff_host_key_hash(const struct aff_host_key *);

bool aff_host_key_equal(const struct aff_host_key *,
                        const struct aff_host_key *);

#endif /* aff-host-key.h */
