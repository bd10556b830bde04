/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_ORDER_H
#define EXTNIC_ORDER_H 1

/* Order check of one flow.
 *
 * Keeps the highest sequence number seen and which of the 64 up to it were
 * seen.  A packet above it is in order; one below that was not seen yet came
 * late (reordered); one seen before is a duplicate.  What is older than the
 * window counts as reordered, as it cannot be told.  Gaps are no error: the
 * descriptor ring may have lost those packets.
 *
 * Sequence numbers are 32 bits and wrap.  'epoch' starts a flow anew.
 *
 * Thread safety: the fields are read and written with relaxed atomics,
 * because a flow may move from core to core.  Two cores that transmit the
 * same flow at the same instant may miscount each other's packets, but then
 * the flow is out of order already. */

#include <stdint.h>

struct extnic_order {
    uint64_t seen;              /* Bit i: packet 'last' - i was seen. */
    uint32_t last;
    uint32_t epoch;
};

enum extnic_order_result {
    EXTNIC_IN_ORDER,
    EXTNIC_REORDERED,
    EXTNIC_DUPLICATED,
};

static inline enum extnic_order_result
extnic_order_check(struct extnic_order *order, uint32_t epoch, uint32_t seq)
{
    uint64_t seen = __atomic_load_n(&order->seen, __ATOMIC_RELAXED);
    uint32_t last = __atomic_load_n(&order->last, __ATOMIC_RELAXED);
    int32_t ahead = seq - last;

    if (__builtin_expect(order->epoch != epoch, 0)) {
        __atomic_store_n(&order->epoch, epoch, __ATOMIC_RELAXED);
        seen = 0;
        ahead = 64;
    }
    if (__builtin_expect(ahead > 0, 1)) {
        seen = (ahead < 64 ? seen << ahead : 0) | 1;
        __atomic_store_n(&order->seen, seen, __ATOMIC_RELAXED);
        __atomic_store_n(&order->last, seq, __ATOMIC_RELAXED);
        return EXTNIC_IN_ORDER;
    }
    if (ahead <= -64) {
        return EXTNIC_REORDERED;
    }
    uint64_t bit = UINT64_C(1) << -ahead;
    if (seen & bit) {
        return EXTNIC_DUPLICATED;
    }
    __atomic_store_n(&order->seen, seen | bit, __ATOMIC_RELAXED);
    return EXTNIC_REORDERED;
}

#endif /* extnic-order.h */
