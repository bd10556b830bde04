/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_TAGS_H
#define SESS_TAGS_H 1

/* Tags of a set: seven of 16 bits in two words, 0 for a free way.
 *
 * Common to the session table and the header cache.  Tags are read with any
 * thread, written under the sequence lock of their set. */

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ovs-ext/core/ext-seqlock.h"
#include "util.h"

enum { SESS_WAYS = 7 };

struct sess_tags {
    uint64_t words[2];          /* The eighth lane is always 0. */
};

static inline uint16_t
sess_tag(uint64_t hash)
{
    uint16_t tag = hash >> 48;

    return tag ? tag : 1;
}

/* The set, of 'n_sets', that 32 bits of hash choose. */
static inline uint32_t
sess_set_index(uint32_t hash, uint32_t n_sets)
{
    return (uint64_t) hash * n_sets >> 32;
}

/* PMD-THREAD CODE */

/* sess_tags_find() returns the ways whose tag may be 'tag', one bit each,
 * without a branch, for which way it is cannot be predicted; sess_way() tells
 * which the lowest bit stands for, x & (x - 1) goes on to the next. */

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
/* Both words at once.  Whether they belong together is for the caller's
 * sequence number, or comparison of keys, to tell. */
static inline uint64_t
sess_tags_find(const struct sess_tags *tags, uint16_t tag)
{
    __m128i lanes = _mm_loadu_si128((const void *) tags->words);
    __m128i equal = _mm_cmpeq_epi16(lanes, _mm_set1_epi16(tag));

    __asm__ __volatile__ ("" : : : "memory");
    return _mm_movemask_epi8(equal) & 0x1555;
}

static inline unsigned int
sess_way(uint64_t ways)
{
    return (unsigned int) raw_ctz(ways) / 2;
}
#else
/* A bit for each lane of 'word' that equals 'tag'; bits above a true one may
 * be wrong, which the comparison of keys settles. */
static inline uint64_t
sess_tags_match__(uint64_t word, uint16_t tag)
{
    const uint64_t ones = UINT64_C(0x0001000100010001);
    uint64_t x = word ^ tag * ones;

    return (x - ones) & ~x & ones << 15;
}

static inline uint64_t
sess_tags_find(const struct sess_tags *tags, uint16_t tag)
{
    uint64_t low = sess_tags_match__(ext_load64(&tags->words[0]), tag);
    uint64_t high = sess_tags_match__(ext_load64(&tags->words[1]), tag);

    return low >> 15 | (high >> 14 & ((UINT64_C(1) << 48) - 1));
}

static inline unsigned int
sess_way(uint64_t ways)
{
    unsigned int bit = raw_ctz(ways);

    return bit / 16 + (bit & 1) * 4;
}
#endif

static inline uint16_t
sess_tags_get(const struct sess_tags *tags, unsigned int way)
{
    return ext_load64(&tags->words[way / 4]) >> way % 4 * 16;
}

static inline void
sess_tags_set(struct sess_tags *tags, unsigned int way, uint16_t tag)
{
    uint64_t word = ext_load64(&tags->words[way / 4]);
    unsigned int shift = way % 4 * 16;

    word = (word & ~(UINT64_C(0xffff) << shift)) | (uint64_t) tag << shift;
    ext_store64(&tags->words[way / 4], word);
}

/* Whether the words of an entry's key are those of 'key'. */
static inline bool
sess_words_equal(const uint64_t *words, const uint64_t *key, size_t n)
{
    uint64_t diff = 0;

#pragma GCC unroll 8
    for (size_t i = 0; i < n; i++) {
        diff |= ext_load64(&words[i]) ^ key[i];
    }
    return !diff;
}

/* END PMD-THREAD CODE */

#endif /* sess-tags.h */
