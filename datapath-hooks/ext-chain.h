/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_CHAIN_H
#define EXT_CHAIN_H 1

/* Hooks that more than one system wants.
 *
 * Redirection (*inner*) and sessions (*outer*) both stand in front of the
 * translation of packets, of "tnl_pop", and of what revalidators see and do.
 * The outer one is in the hook table when it is there, and calls the inner
 * one, or the original, for what is not its own.  One that is alone is in the
 * hook table itself, so that there is no cost for the other.
 *
 * Thread safety: any thread sets; what is set is never taken back and must
 * live as long as the process. */

#include "datapath-hooks/ext-hooks.h"
#include "ovs-atomic.h"

struct ext_chain_link {
    ext_translate_func *translate;
    ext_pop_func *pop;
    ext_dpif_operate_func *dpif_operate;
    ext_flow_dump_func *flow_dump;
    ext_flow_get_func *flow_get;        /* Inner only; else null. */
};

enum ext_chain_place {
    EXT_CHAIN_INNER,
    EXT_CHAIN_OUTER
};

/* Puts 'link' into its place in front of Open vSwitch, for good. */
void ext_chain_set(enum ext_chain_place, const struct ext_chain_link *);

/* What stands behind the outer link.  Any thread. */
extern ATOMIC(const struct ext_chain_link *) ext_chain_inner;

static inline const struct ext_chain_link *
ext_chain_get_inner(void)
{
    const struct ext_chain_link *link;

    atomic_read_explicit(&ext_chain_inner, &link, memory_order_acquire);
    return link;
}

/* Who wants to see what was received. */
enum ext_receiver {
    EXT_RECEIVER_PROFILE,
    EXT_RECEIVER_SESSION,
    EXT_N_RECEIVERS
};

/* Has 'received' called for 'who', or nothing if it is null. */
void ext_chain_set_received(enum ext_receiver who,
                            ext_received_func *received);

#endif /* ext-chain.h */
