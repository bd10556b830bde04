/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_TUPLE_H
#define EXTNIC_TUPLE_H 1

/* Finds templates and rules by IPv4 5-tuple.
 *
 * A rule that matches addresses, protocol and ports exactly concerns the few
 * templates with that 5-tuple.  With a hundred thousand templates and
 * thousands of rules a change must not look at all of either.
 *
 * An index maps numbers (of templates, of table slots) to where they hash to;
 * several numbers may have one tuple.  Pure; one thread at a time. */

#include <stdbool.h>
#include <stdint.h>

struct extnic_match;
struct extnic_template;

struct extnic_tuple {
    uint32_t src, dst, ports;   /* Bytes as in the frame. */
    uint32_t proto;             /* IPPROTO_*. */
};

/* Each stores the 5-tuple and returns true, or returns false if the frame has
 * none, or the match is not exact. */
bool extnic_tuple_of_template(const struct extnic_template *,
                              struct extnic_tuple *);
bool extnic_tuple_of_match(const struct extnic_match *,
                           struct extnic_tuple *);

/* Chains of numbers below 'max'. */
struct extnic_index {
    uint32_t mask;
    uint32_t *head, *next;      /* Number + 1, 0 ends. */
};

bool extnic_index_init(struct extnic_index *, uint32_t max);
void extnic_index_uninit(struct extnic_index *);
void extnic_index_add(struct extnic_index *, const struct extnic_tuple *,
                      uint32_t number);
void extnic_index_remove(struct extnic_index *, const struct extnic_tuple *,
                         uint32_t number);

/* First number of those with a tuple (and others), + 1; go on with
 * index->next[number]. */
uint32_t extnic_index_first(const struct extnic_index *,
                            const struct extnic_tuple *);

#endif /* extnic-tuple.h */
