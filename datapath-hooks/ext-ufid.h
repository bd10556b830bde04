/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_UFID_H
#define EXT_UFID_H 1

/* Identifiers of datapath flows that are ours, not ofproto's.
 *
 * Those of Open vSwitch are hashes, so that one looks like ours once in 2**48
 * flows.  The first word is one, too: dpif-netdev takes it for the flow's
 * hash. */

#include <stdbool.h>
#include <stdint.h>

#include "openvswitch/types.h"

#define EXT_UFID_OURS UINT32_C(0xaff1a001)

/* Whose flow it is. */
enum ext_ufid_user {
    EXT_UFID_REDIRECT = 0x0a55,
    EXT_UFID_SESSION = 0x5e55
};

/* Makes an identifier.  'unique' and 'low' together are different for all
 * flows of 'user'. */
static inline void
ext_ufid_make(ovs_u128 *ufid, enum ext_ufid_user user, uint32_t hash,
              uint32_t unique, uint16_t low)
{
    ufid->u32[0] = hash;
    ufid->u32[1] = unique;
    ufid->u32[2] = (uint32_t) user << 16 | low;
    ufid->u32[3] = EXT_UFID_OURS;
}

static inline bool
ext_ufid_is_ours(const ovs_u128 *ufid)
{
    return ufid->u32[3] == EXT_UFID_OURS;
}

static inline bool
ext_ufid_is(const ovs_u128 *ufid, enum ext_ufid_user user)
{
    return ext_ufid_is_ours(ufid) && ufid->u32[2] >> 16 == user;
}

#endif /* ext-ufid.h */
