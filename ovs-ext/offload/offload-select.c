/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/offload/offload-select.h"

#include <stdbool.h>
#include <stdlib.h>

#include "util.h"

static bool
above(const struct offload_item *a, const struct offload_item *b)
{
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static int
compare_items(const void *a, const void *b)
{
    return above(a, b) ? -1 : above(b, a);
}

void
offload_select_top(struct offload_item *v, uint32_t n, uint32_t k)
{
    struct offload_item *left = v, *right = v + n - 1;

    while (n > k && left < right) {
        struct offload_item *mid = left + (right - left) / 2;
        struct offload_item pivot, *i = left, *j = right;

        pivot = (above(left, mid) == above(mid, right) ? *mid
                 : above(left, mid) == above(right, left) ? *left : *right);
        do {
            while (above(i, &pivot)) {
                i++;
            }
            while (above(&pivot, j)) {
                j--;
            }
            if (i <= j) {
                struct offload_item tmp = *i;

                *i++ = *j;
                *j-- = tmp;
            }
        } while (i <= j);
        if (v + k <= j) {
            right = j;
        } else if (v + k >= i) {
            left = i;
        } else {
            break;
        }
    }
    qsort(v, MIN(k, n), sizeof *v, compare_items);
}
