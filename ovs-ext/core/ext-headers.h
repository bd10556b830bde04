/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_HEADERS_H
#define EXT_HEADERS_H 1

/* The headers of a packet that OVS has not parsed yet.
 *
 * Finds the outermost Ethernet, VLAN, IP and transport headers of a frame
 * within its bounds, whatever the bytes.  Cheaper than miniflow_extract() and
 * without a dp_packet.  Pointers are into the frame and may be unaligned.
 *
 * Pure; anything here may be called in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"

struct ip_header;
struct ovs_16aligned_ip6_hdr;

struct ext_headers {
    ovs_be16 eth_type;          /* 0 if the frame is shorter than that. */
    uint16_t vlan;              /* VID of the outer tag, 0 if untagged. */
    const struct ip_header *ip4;
    const struct ovs_16aligned_ip6_hdr *ip6;
    uint8_t nw_proto;           /* Of IPv6: after extension headers. */
    uint8_t nw_tos;
    bool fragment;              /* Any, for most have no transport header. */
    const uint8_t *l4;          /* At least 8 bytes, or null. */
    size_t l4_len;              /* To the end of the frame. */
};

void ext_headers_parse(const void *frame, size_t len, struct ext_headers *);
bool ext_headers_have_ports(const struct ext_headers *);
uint32_t ext_headers_hash(const struct ext_headers *, const void *frame,
                          size_t len);

#endif /* ext-headers.h */
