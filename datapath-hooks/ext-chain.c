/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-chain.h"

#include "ovs-thread.h"
#include "util.h"

static struct ovs_mutex chain_mutex = OVS_MUTEX_INITIALIZER;
static const struct ext_chain_link *outer OVS_GUARDED_BY(chain_mutex);
ATOMIC(const struct ext_chain_link *) ext_chain_inner;

static ATOMIC(ext_received_func *) receivers[EXT_N_RECEIVERS];

void
ext_chain_set(enum ext_chain_place place, const struct ext_chain_link *link)
{
    const struct ext_chain_link *first;

    ovs_mutex_lock(&chain_mutex);
    if (place == EXT_CHAIN_OUTER) {
        outer = link;
    } else {
        atomic_store_explicit(&ext_chain_inner, link, memory_order_release);
    }
    first = outer ? outer : ext_chain_get_inner();
    EXT_HOOK_SET(translate, first->translate);
    EXT_HOOK_SET(pop, first->pop);
    EXT_HOOK_SET(dpif_operate, first->dpif_operate);
    EXT_HOOK_SET(flow_dump, first->flow_dump);
    if (place == EXT_CHAIN_INNER) {
        EXT_HOOK_SET(flow_get, link->flow_get);
    }
    ovs_mutex_unlock(&chain_mutex);
}

/* PMD-THREAD CODE */

static void
received_by_all(const struct netdev_rxq *rx,
                const struct dp_packet_batch *batch)
{
    for (int i = 0; i < EXT_N_RECEIVERS; i++) {
        ext_received_func *received;

        atomic_read_relaxed(&receivers[i], &received);
        if (received) {
            received(rx, batch);
        }
    }
}

/* END PMD-THREAD CODE */

void
ext_chain_set_received(enum ext_receiver who, ext_received_func *received)
{
    ext_received_func *only = NULL;
    int n = 0;

    ovs_mutex_lock(&chain_mutex);
    atomic_store_explicit(&receivers[who], received, memory_order_release);
    for (int i = 0; i < EXT_N_RECEIVERS; i++) {
        ext_received_func *each;

        atomic_read_relaxed(&receivers[i], &each);
        if (each) {
            only = each;
            n++;
        }
    }
    EXT_HOOK_SET(received, n > 1 ? received_by_all : only);
    ovs_mutex_unlock(&chain_mutex);
}
