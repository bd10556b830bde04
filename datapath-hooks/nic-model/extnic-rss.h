/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_RSS_H
#define EXTNIC_RSS_H 1

/* Receive side scaling of the NIC model: the Toeplitz hash over addresses
 * and, for TCP and UDP, ports, as real NICs compute it.  Frames that are not
 * IP, and IP fragments' ports, do not enter the hash.
 *
 * Also classifies frames, as the same walk over the headers yields what
 * rte_flow matching needs.  Pure apart from DPDK's inline Toeplitz. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTNIC_RSS_KEY_LEN 40

extern const uint8_t extnic_rss_default_key[EXTNIC_RSS_KEY_LEN];

/* Where the headers of a frame are; offsets are 0 where there is none. */
struct extnic_headers {
    uint16_t l3, l4;            /* Offsets. */
    uint8_t n_vlans;
    bool ipv4, ipv6, fragment;
    uint8_t proto;              /* IPPROTO_* if 'l4'. */
};

/* Finds the headers of the 'len' bytes at 'frame'; never reads beyond. */
void extnic_headers_parse(const uint8_t *frame, size_t len,
                          struct extnic_headers *);

/* Hash under 'key'; the flags tell whether ports count. */
uint32_t extnic_rss_hash(const uint8_t *frame, size_t len, const uint8_t *key,
                         bool tcp_ports, bool udp_ports);

/* With the default key and ports; an extnic_hash_func. */
uint32_t extnic_rss_default_hash(const uint8_t *frame, size_t len);

#endif /* extnic-rss.h */
