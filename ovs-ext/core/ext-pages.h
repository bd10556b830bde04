/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_PAGES_H
#define EXT_PAGES_H 1

/* Zeroed memory for large tables that are looked up at random, in huge pages
 * where the system gives them away (transparent_hugepage "always" or
 * "madvise"): a lookup then does not wait for address translation too. */

#include <string.h>
#include <sys/mman.h>

#include "util.h"

enum { EXT_HUGE_PAGE = 2 * 1024 * 1024 };

static inline void *
ext_pages_alloc(size_t size)
{
    void *p;

    if (size < EXT_HUGE_PAGE / 2) {
        p = xmalloc_size_align(size, 4096);
    } else {
        size = ROUND_UP(size, EXT_HUGE_PAGE);
        p = xmalloc_size_align(size, EXT_HUGE_PAGE);
        ignore(madvise(p, size, MADV_HUGEPAGE));
    }
    memset(p, 0, size);
    return p;
}

static inline void
ext_pages_free(void *p)
{
    free_size_align(p);
}

#endif /* ext-pages.h */
