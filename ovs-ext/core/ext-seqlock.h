/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_SEQLOCK_H
#define EXT_SEQLOCK_H 1

/* Sequence locks over arrays of words
 * ===================================
 *
 * For records that many threads read without a lock while others write.  A
 * record is made of words (uint64_t or smaller), each accessed only by the
 * functions below, so that there is no data race in the sense of C11, and has
 * a sequence number that is odd while it is being written:
 *
 *     // Reader.
 *     uint32_t seq = ext_seq_begin(&r->seq);
 *     a = ext_load64(&r->a);
 *     if (!ext_seq_ok(&r->seq, seq)) { ... a may be torn ... }
 *
 *     // The only writer.
 *     ext_seq_write_begin(&r->seq);
 *     ext_store64(&r->a, a);
 *     ext_seq_write_end(&r->seq);
 *
 * Loads acquire and stores release, instead of fences around relaxed ones, for
 * ThreadSanitizer does not see fences: who reads a word of a write has seen
 * that write's odd sequence number before it looks at the number again.  On
 * x86 all of it is plain moves.
 *
 * Where there are several writers, ext_seq_try_lock() instead of
 * ext_seq_write_begin() lets one in. */

#include <stdbool.h>
#include <stdint.h>

#define EXT_WORD_ACCESS(BITS)                                           \
    static inline uint##BITS##_t                                        \
    ext_load##BITS(const uint##BITS##_t *p)                             \
    {                                                                   \
        return __atomic_load_n(p, __ATOMIC_ACQUIRE);                    \
    }                                                                   \
    static inline void                                                  \
    ext_store##BITS(uint##BITS##_t *p, uint##BITS##_t x)                \
    {                                                                   \
        __atomic_store_n(p, x, __ATOMIC_RELEASE);                       \
    }
EXT_WORD_ACCESS(8)
EXT_WORD_ACCESS(16)
EXT_WORD_ACCESS(32)
EXT_WORD_ACCESS(64)

/* Returns the number to give to ext_seq_ok(): one that comes never if the
 * record is being written. */
static inline uint32_t
ext_seq_begin(const uint32_t *seq)
{
    return ext_load32(seq) & ~UINT32_C(1);
}

/* Whether what was read since ext_seq_begin() belongs together. */
static inline bool
ext_seq_ok(const uint32_t *seq, uint32_t begin)
{
    return ext_load32(seq) == begin;
}

/* For the only writer. */
static inline void
ext_seq_write_begin(uint32_t *seq)
{
    ext_store32(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1);
}

static inline void
ext_seq_write_end(uint32_t *seq)
{
    ext_store32(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1);
}

/* Begins to write if nobody else is writing.  Never waits. */
static inline bool
ext_seq_try_lock(uint32_t *seq)
{
    uint32_t old = __atomic_load_n(seq, __ATOMIC_RELAXED);

    return !(old & 1) && __atomic_compare_exchange_n(seq, &old, old + 1,
                                                     false, __ATOMIC_ACQUIRE,
                                                     __ATOMIC_RELAXED);
}

#endif /* ext-seqlock.h */
