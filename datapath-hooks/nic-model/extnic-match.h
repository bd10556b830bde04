/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_MATCH_H
#define EXTNIC_MATCH_H 1

/* Patterns of rte_flow rules, compiled to compares of masked bytes.
 *
 * Pure: no state.  Used when rules change, not per packet. */

#include <stdbool.h>
#include <stdint.h>

#define EXTNIC_MAX_COMPARES 6
#define EXTNIC_COMPARE_LEN 40

enum extnic_layer { EXTNIC_L2, EXTNIC_L3, EXTNIC_L4 };

struct extnic_compare {
    enum extnic_layer layer;
    uint16_t offset;            /* From the start of the layer. */
    uint8_t len;
    uint8_t value[EXTNIC_COMPARE_LEN];
    uint8_t mask[EXTNIC_COMPARE_LEN];
};

struct extnic_match {
    bool want_ipv4, want_ipv6;
    int want_proto;             /* IPPROTO_*, 0: any. */
    int want_vlan;              /* 1: tagged, 0: untagged, -1: any. */
    uint32_t n;
    struct extnic_compare compare[EXTNIC_MAX_COMPARES];
};

struct extnic_template;
struct rte_flow_item;
struct rte_flow_error;

/* Compiles 'items'.  Returns 0 or a negative errno, also noted in 'error'. */
int extnic_match_compile(const struct rte_flow_item *items,
                         struct extnic_match *, struct rte_flow_error *error);

bool extnic_match_template(const struct extnic_match *,
                           const struct extnic_template *);

#endif /* extnic-match.h */
