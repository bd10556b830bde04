/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what is read from ICMP errors.  The first byte says whether it is
 * one of ICMPv6; see fuzz-util.h. */

#include <config.h>

#include <string.h>

#include "ovs-ext/session/sess-icmp.h"
#include "ovs-ext/session/sess-key.h"
#include "tests/fuzz-util.h"
#include "util.h"

/* What is found must be in what is quoted, reversed. */
static void
check_key(const struct sess_key *key, const uint8_t *quote, bool ip6)
{
    const uint8_t *ports = quote + (ip6 ? 40 : (quote[0] & 15) * 4);

    ovs_assert(key->proto == quote[ip6 ? 6 : 9]
               && (key->proto == IPPROTO_TCP || key->proto == IPPROTO_UDP)
               && !key->zone && !key->zero);
    ovs_assert(!memcmp(&key->dport, ports, 2)
               && !memcmp(&key->sport, ports + 2, 2));
    if (ip6) {
        ovs_assert(!memcmp(&key->dst, quote + 8, 16)
                   && !memcmp(&key->src, quote + 24, 16));
    } else {
        ovs_assert(IN6_IS_ADDR_V4MAPPED(&key->src)
                   && IN6_IS_ADDR_V4MAPPED(&key->dst)
                   && !memcmp(&key->dst.s6_addr[12], quote + 12, 4)
                   && !memcmp(&key->src.s6_addr[12], quote + 16, 4));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sess_key key;

    if (size && sess_icmp_key(&key, data + 1, size - 1, data[0] & 1)) {
        ovs_assert(size - 1 >= 8 + (data[0] & 1 ? 40 : 20) + 8);
        check_key(&key, data + 9, data[0] & 1);
    }
    return 0;
}

#ifndef FUZZ_LIBFUZZER
int
main(int argc, char *argv[])
{
    static const uint8_t ip4[] = {
        0, 3, 4, 0, 0, 0, 0, 5, 0x78,
        0x45, 0, 5, 0xdc, 0, 1, 0x40, 0, 64, 6, 0, 0,
        10, 9, 9, 9, 192, 0, 2, 1, 0, 80, 4, 210, 0, 0, 0, 1
    };
    static const uint8_t options[] = {
        0, 11, 0, 0, 0, 0, 0, 0, 0,
        0x47, 0, 5, 0xdc, 0, 1, 0x20, 0, 1, 17, 0, 0,
        10, 9, 9, 9, 192, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0,
        0, 53, 4, 210, 1, 0, 0, 0
    };
    static const uint8_t ip6[] = {
        1, 2, 0, 0, 0, 0, 0, 5, 0x78,
        0x60, 0, 0, 0, 5, 0xb4, 6, 64,
        0xfd, [31] = 9, [32] = 0xfd, [48] = 1, 0, 80, 4, 210, 0, 0, 0, 1
    };
    struct fuzz_input valid[] = {
        { xmemdup(ip4, sizeof ip4), sizeof ip4 },
        { xmemdup(options, sizeof options), sizeof options },
        { xmemdup(ip6, sizeof ip6), sizeof ip6 },
    };

    return fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));
}
#endif
