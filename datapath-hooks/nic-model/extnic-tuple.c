/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-tuple.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-match.h"
#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"

#define IPV4_ADDRESSES 12       /* Offset of both in the header. */

bool
extnic_tuple_of_template(const struct extnic_template *t,
                         struct extnic_tuple *tuple)
{
    size_t len = t->len < EXTNIC_HEAD ? t->len : EXTNIC_HEAD;
    struct extnic_headers h;

    extnic_headers_parse(t->head, len, &h);
    if (!h.ipv4 || !h.l4 || h.l4 + 4u > len) {
        return false;
    }
    memcpy(&tuple->src, t->head + h.l3 + IPV4_ADDRESSES, 4);
    memcpy(&tuple->dst, t->head + h.l3 + IPV4_ADDRESSES + 4, 4);
    memcpy(&tuple->ports, t->head + h.l4, 4);
    tuple->proto = h.proto;
    return true;
}

static bool
is_exact(const struct extnic_compare *c, uint32_t offset, uint32_t n)
{
    for (uint32_t i = offset; i < offset + n; i++) {
        if (i >= c->len || c->mask[i] != 0xff) {
            return false;
        }
    }
    return true;
}

bool
extnic_tuple_of_match(const struct extnic_match *match,
                      struct extnic_tuple *tuple)
{
    bool addresses = false, ports = false;

    if (!match->want_ipv4 || !match->want_proto) {
        return false;
    }
    for (uint32_t i = 0; i < match->n; i++) {
        const struct extnic_compare *c = &match->compare[i];

        if (c->layer == EXTNIC_L3 && c->offset == 0
            && is_exact(c, IPV4_ADDRESSES, 8)) {
            memcpy(&tuple->src, c->value + IPV4_ADDRESSES, 4);
            memcpy(&tuple->dst, c->value + IPV4_ADDRESSES + 4, 4);
            addresses = true;
        } else if (c->layer == EXTNIC_L4 && c->offset == 0
                   && is_exact(c, 0, 4)) {
            memcpy(&tuple->ports, c->value, 4);
            ports = true;
        }
    }
    tuple->proto = match->want_proto;
    return addresses && ports;
}

bool
extnic_index_init(struct extnic_index *index, uint32_t max)
{
    uint32_t size = 64;

    while (size < 2 * (uint64_t) max && size < UINT32_C(1) << 31) {
        size *= 2;
    }
    index->mask = size - 1;
    index->head = calloc(size, sizeof *index->head);
    index->next = calloc(max + 1, sizeof *index->next);
    return index->head && index->next;
}

void
extnic_index_uninit(struct extnic_index *index)
{
    free(index->head);
    free(index->next);
}

/* Murmur3's finaliser over a mix of the words. */
static uint32_t *
place(const struct extnic_index *index, const struct extnic_tuple *tuple)
{
    uint64_t h = ((uint64_t) tuple->src << 32 | tuple->dst)
                 ^ ((uint64_t) tuple->ports << 8 | tuple->proto)
                   * UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return &index->head[(h ^ h >> 33) & index->mask];
}

void
extnic_index_add(struct extnic_index *index, const struct extnic_tuple *tuple,
                 uint32_t number)
{
    uint32_t *head = place(index, tuple);

    index->next[number] = *head;
    *head = number + 1;
}

void
extnic_index_remove(struct extnic_index *index,
                    const struct extnic_tuple *tuple, uint32_t number)
{
    uint32_t *p = place(index, tuple);

    while (*p && *p != number + 1) {
        p = &index->next[*p - 1];
    }
    if (*p) {
        *p = index->next[number];
    }
}

uint32_t
extnic_index_first(const struct extnic_index *index,
                   const struct extnic_tuple *tuple)
{
    return *place(index, tuple);
}
