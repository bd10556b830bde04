/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-match.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_flow.h>
#include <rte_flow_driver.h>

#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"

/* How an item maps to bytes of a frame. */
struct layout {
    enum rte_flow_item_type type;
    enum extnic_layer layer;
    uint16_t offset;
    uint8_t len;                /* Bytes of the item that are a header. */
    int proto;                  /* IPPROTO_*. */
    const char *name;
};

static const struct layout layouts[] = {
    { RTE_FLOW_ITEM_TYPE_ETH, EXTNIC_L2, 0, 12, 0, "ETH" },
    { RTE_FLOW_ITEM_TYPE_VLAN, EXTNIC_L2, 14, 4, 0, "VLAN" },
    { RTE_FLOW_ITEM_TYPE_IPV4, EXTNIC_L3, 0, 20, 0, "IPV4" },
    { RTE_FLOW_ITEM_TYPE_IPV6, EXTNIC_L3, 0, 40, 0, "IPV6" },
    { RTE_FLOW_ITEM_TYPE_TCP, EXTNIC_L4, 0, 20, IPPROTO_TCP, "TCP" },
    { RTE_FLOW_ITEM_TYPE_UDP, EXTNIC_L4, 0, 8, IPPROTO_UDP, "UDP" },
    { RTE_FLOW_ITEM_TYPE_SCTP, EXTNIC_L4, 0, 12, IPPROTO_SCTP, "SCTP" },
    { RTE_FLOW_ITEM_TYPE_ICMP, EXTNIC_L4, 0, 8, IPPROTO_ICMP, "ICMP" },
    { RTE_FLOW_ITEM_TYPE_VXLAN, EXTNIC_L4, 8, 8, IPPROTO_UDP, "VXLAN" },
};

static const struct layout *
find_layout(enum rte_flow_item_type type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (layouts[i].type == type) {
            return &layouts[i];
        }
    }
    return NULL;
}

static bool
is_zero(const uint8_t *p, size_t n)
{
    while (n--) {
        if (*p++) {
            return false;
        }
    }
    return true;
}

/* The Ethernet type stands behind VLAN tags, so it is a compare of its own,
 * relative to the start of layer 3. */
static void
compile_eth(const struct rte_flow_item_eth *spec,
            const struct rte_flow_item_eth *mask, struct extnic_match *match)
{
    if (mask->has_vlan) {
        match->want_vlan = spec->has_vlan;
    }
    if (mask->type == RTE_BE16(0xffff)) {
        match->want_ipv4 = spec->type == RTE_BE16(0x0800);
        match->want_ipv6 = spec->type == RTE_BE16(0x86dd);
        if (!match->want_ipv4 && !match->want_ipv6) {
            struct extnic_compare *c = &match->compare[match->n++];

            c->layer = EXTNIC_L2;
            c->offset = 12;
            c->len = 2;
            memcpy(c->value, &spec->type, 2);
            memset(c->mask, 0xff, 2);
        }
    }
}

static int
compile_item(const struct rte_flow_item *item, const struct layout *layout,
             struct extnic_match *match, struct rte_flow_error *error)
{
    struct extnic_compare *c = &match->compare[match->n];

    match->want_proto = layout->proto ? layout->proto : match->want_proto;
    match->want_ipv4 |= item->type == RTE_FLOW_ITEM_TYPE_IPV4;
    match->want_ipv6 |= item->type == RTE_FLOW_ITEM_TYPE_IPV6;
    if (item->type == RTE_FLOW_ITEM_TYPE_VLAN) {
        match->want_vlan = 1;
    }
    if (!item->spec) {
        return 0;
    }
    if (!item->mask) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ITEM_MASK, item,
                                  "an item without mask is not supported");
    }
    if (is_zero(item->mask, layout->len)) {
        c = NULL;
    } else if (match->n + 2 > EXTNIC_MAX_COMPARES) {
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM,
                                  item, "too many items");
    } else {
        c->layer = layout->layer;
        c->offset = layout->offset;
        c->len = layout->len;
        memcpy(c->value, item->spec, c->len);
        memcpy(c->mask, item->mask, c->len);
        match->n++;
    }
    if (item->type == RTE_FLOW_ITEM_TYPE_ETH) {
        compile_eth(item->spec, item->mask, match);
    }
    return 0;
}

int
extnic_match_compile(const struct rte_flow_item *items,
                     struct extnic_match *match, struct rte_flow_error *error)
{
    bool tunnel = false;

    memset(match, 0, sizeof *match);
    match->want_vlan = -1;
    for (; items->type != RTE_FLOW_ITEM_TYPE_END; items++) {
        const struct layout *layout = find_layout(items->type);

        if (items->type == RTE_FLOW_ITEM_TYPE_VOID) {
            continue;
        }
        if (!layout) {
            return rte_flow_error_set(error, ENOTSUP,
                                      RTE_FLOW_ERROR_TYPE_ITEM, items,
                                      "item is not one of ETH VLAN IPV4 IPV6 "
                                      "TCP UDP SCTP ICMP VXLAN");
        }
        if (tunnel) {
            return rte_flow_error_set(error, ENOTSUP,
                                      RTE_FLOW_ERROR_TYPE_ITEM, items,
                                      "items behind VXLAN are not supported");
        }
        if (items->last) {
            return rte_flow_error_set(error, ENOTSUP,
                                      RTE_FLOW_ERROR_TYPE_ITEM_LAST, items,
                                      "ranges ('last') are not supported");
        }
        int retval = compile_item(items, layout, match, error);
        if (retval) {
            return retval;
        }
        tunnel = items->type == RTE_FLOW_ITEM_TYPE_VXLAN;
    }
    return 0;
}

static uint8_t
byte_at(const struct extnic_template *t, uint32_t offset)
{
    if (offset >= t->len) {
        return 0;
    }
    return (offset < EXTNIC_HEAD ? t->head[offset]
            : t->tail ? t->tail[offset - EXTNIC_HEAD] : 0);
}

bool
extnic_match_template(const struct extnic_match *match,
                      const struct extnic_template *t)
{
    size_t len = t->len < EXTNIC_HEAD ? t->len : EXTNIC_HEAD;
    struct extnic_headers h;

    extnic_headers_parse(t->head, len, &h);
    if ((match->want_ipv4 && !h.ipv4) || (match->want_ipv6 && !h.ipv6)
        || (match->want_proto && (!h.l4 || h.proto != match->want_proto))
        || (match->want_vlan >= 0 && match->want_vlan != (h.n_vlans > 0))) {
        return false;
    }
    for (uint32_t i = 0; i < match->n; i++) {
        const struct extnic_compare *c = &match->compare[i];
        uint32_t offset = c->offset + (c->layer == EXTNIC_L3 ? h.l3
                                       : c->layer == EXTNIC_L4 ? h.l4 : 0);

        for (uint32_t j = 0; j < c->len; j++) {
            if ((byte_at(t, offset + j) ^ c->value[j]) & c->mask[j]) {
                return false;
            }
        }
    }
    return true;
}
