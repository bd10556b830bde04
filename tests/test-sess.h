/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_SESS_H
#define TEST_SESS_H 1

/* What the tests of sessions and of the header cache share: keys by number,
 * and readers that race with a writer. */

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/core/ext-seqlock.h"
#include "ovs-ext/session/sess-key.h"
#include "tests/test-util.h"

static inline void
make_key(struct sess_key *key, uint64_t i)
{
    uint64_t x = i;

    x = ext_splitmix64(&x);
    sess_key_init_ip4(key, htonl(x), htonl(0x0a000001), htons(x >> 32),
                      htons(443), IPPROTO_TCP, 1);
}

enum { RACE_KEYS = 512, RACE_READERS = 3 };

/* Readers of a race. */
struct race {
    void *shared;                   /* What they read. */
    uint32_t stop;                  /* By the main thread. */
    uint32_t next;                  /* Index of the next reader. */
    uint64_t found[RACE_READERS];   /* By its reader. */
};

/* Index of the calling reader. */
static inline uint32_t
race_join(struct race *race)
{
    return __atomic_fetch_add(&race->next, 1, __ATOMIC_RELAXED);
}

static inline bool
race_stopped(const struct race *race)
{
    return __atomic_load_n(&race->stop, __ATOMIC_RELAXED);
}

static inline void
race_stop(struct race *race)
{
    __atomic_store_n(&race->stop, 1, __ATOMIC_RELAXED);
}

static inline void
race_found(struct race *race, uint32_t self)
{
    ext_store64(&race->found[self], race->found[self] + 1);
}

/* Whether each reader has found something; they may be slow to start. */
static inline bool
race_all_found(const struct race *race)
{
    for (size_t i = 0; i < RACE_READERS; i++) {
        if (ext_load64(&race->found[i]) < 100) {
            return false;
        }
    }
    return true;
}

#endif /* test-sess.h */
