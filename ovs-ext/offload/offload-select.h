/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_SELECT_H
#define OFFLOAD_SELECT_H 1

/* The best few of many.  Pure. */

#include <stdint.h>

/* A candidate and what to order it by. */
struct offload_item {
    float key;
    uint32_t id;
};

/* Moves the 'k' of the 'n' items with the greatest keys to the front (Hoare's
 * quickselect, middle of three) and orders them; among equals the lower id
 * comes first.  O(n + k log k) on average. */
void offload_select_top(struct offload_item *, uint32_t n, uint32_t k);

#endif /* offload-select.h */
