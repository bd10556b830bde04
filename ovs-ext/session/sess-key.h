/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_KEY_H
#define SESS_KEY_H 1

/* The key of a session: 5-tuple and zone
 * ======================================
 *
 * Of a session, not of a packet: 'src' is the client, 'dst' the service,
 * whichever way the packet goes (sess_key_reverse() turns the key of a reply).
 * IPv4 addresses are IPv4-mapped IPv6 addresses, so one key serves both.
 *
 * A key is five words, compared and hashed as such; sess_key_init_*() zero
 * what is not used.  The hash is our own, not the NIC's: keys come from other
 * hosts, too, whose NICs have other RSS keys.  Mix in a secret 'basis', for
 * clients choose their ports.
 *
 * Pure; anything here may be called in any thread. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"

struct ds;
struct ext_headers;

enum { SESS_KEY_WORDS = 5 };

struct sess_key {
    union {
        struct {
            struct in6_addr src, dst;
            ovs_be16 sport, dport;
            uint16_t zone;
            uint8_t proto;
            uint8_t zero;
        };
        uint64_t words[SESS_KEY_WORDS];
    };
};

void sess_key_init_ip4(struct sess_key *, ovs_be32 src, ovs_be32 dst,
                       ovs_be16 sport, ovs_be16 dport, uint8_t proto,
                       uint16_t zone);
void sess_key_init_ip6(struct sess_key *, const struct in6_addr *src,
                       const struct in6_addr *dst, ovs_be16 sport,
                       ovs_be16 dport, uint8_t proto, uint16_t zone);
bool sess_key_from_headers(struct sess_key *, const struct ext_headers *,
                           uint16_t zone);
void sess_key_reverse(struct sess_key *to, const struct sess_key *from);
void sess_key_format(struct ds *, const struct sess_key *);

static inline bool
sess_key_equals(const struct sess_key *a, const struct sess_key *b)
{
    return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1])
             | (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3])
             | (a->words[4] ^ b->words[4]));
}

/* Both halves of a 128-bit product, folded.  Multiplication with a constant
 * that a secret was mixed into; folding keeps the entropy of the high half. */
static inline uint64_t
sess_mix__(uint64_t a, uint64_t b)
{
#ifdef __x86_64__
    uint64_t high;

    /* The compiler would take the product to memory and back. */
    __asm__ ("mulq %2" : "+a"(a), "=d"(high) : "rm"(b) : "cc");
    return a ^ high;
#else
    unsigned __int128 product = (unsigned __int128) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);
#endif
}

/* 64 bits of hash, all usable. */
static inline uint64_t
sess_key_hash(const struct sess_key *key, uint64_t basis)
{
    const uint64_t c = UINT64_C(0xd6e8feb86659fd93);
    const uint64_t d = UINT64_C(0xa0761d6478bd642f);
    const uint64_t *w = key->words;
    uint64_t a = sess_mix__(w[0] ^ basis, w[1] ^ c);
    uint64_t b = sess_mix__(w[2] ^ d, w[3] ^ basis);

    return sess_mix__(a ^ w[4] ^ basis, b ^ c);
}

#endif /* sess-key.h */
