/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-rss.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_thash.h>

/* The key of Microsoft's "Verifying the RSS Hash Calculation", which most
 * NICs start with. */
const uint8_t extnic_rss_default_key[EXTNIC_RSS_KEY_LEN] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
    0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
    0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint16_t
get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t) get16(p) << 16 | get16(p + 2);
}

void
extnic_headers_parse(const uint8_t *frame, size_t len,
                     struct extnic_headers *h)
{
    size_t l3 = 14;

    memset(h, 0, sizeof *h);
    if (len < l3) {
        return;
    }
    uint16_t type = get16(frame + 12);
    while ((type == 0x8100 || type == 0x88a8) && h->n_vlans < 2
           && len >= l3 + 4) {
        type = get16(frame + l3 + 2);
        l3 += 4;
        h->n_vlans++;
    }
    h->l3 = l3;
    if (type == 0x0800 && len >= l3 + 20 && frame[l3] >> 4 == 4) {
        size_t ihl = (frame[l3] & 15) * 4;

        h->ipv4 = true;
        h->fragment = (get16(frame + l3 + 6) & 0x3fff) != 0;
        if (ihl >= 20 && len >= l3 + ihl + 4 && !h->fragment) {
            h->l4 = l3 + ihl;
            h->proto = frame[l3 + 9];
        }
    } else if (type == 0x86dd && len >= l3 + 40 && frame[l3] >> 4 == 6) {
        h->ipv6 = true;
        if (len >= l3 + 44) {
            h->l4 = l3 + 40;
            h->proto = frame[l3 + 6];
        }
    }
}

uint32_t
extnic_rss_hash(const uint8_t *frame, size_t len, const uint8_t *key,
                bool tcp_ports, bool udp_ports)
{
    struct extnic_headers h;
    uint32_t tuple[9];
    uint32_t n = 0;

    extnic_headers_parse(frame, len, &h);
    if (!h.ipv4 && !h.ipv6) {
        return 0;
    }

    const uint8_t *address = frame + h.l3 + (h.ipv4 ? 12 : 8);
    for (uint32_t i = 0; i < (h.ipv4 ? 2 : 8); i++) {
        tuple[n++] = get32(address + i * 4);
    }
    if (h.l4 && ((h.proto == IPPROTO_TCP && tcp_ports)
                 || (h.proto == IPPROTO_UDP && udp_ports))) {
        tuple[n++] = get32(frame + h.l4);
    }
    return rte_softrss(tuple, n, key);
}

uint32_t
extnic_rss_default_hash(const uint8_t *frame, size_t len)
{
    return extnic_rss_hash(frame, len, extnic_rss_default_key, true, true);
}
