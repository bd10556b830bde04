/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what ovs-ext/db/ parses itself: policies as they stand in the
 * database, names of networks, remotes, services.  See fuzz-util.h. */

#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-policy.h"
#include "ovs-ext/db/db-session.h"
#include "ovs-ext/session/gossip-wire.h"
#include "packets.h"
#include "tests/fuzz-util.h"
#include "util.h"

/* What a service is made of: accepted only if it can be used. */
static void
check_service_text(const char *s)
{
    struct gossip_addr addr;
    struct in6_addr ip;
    struct eth_addr mac;
    char *error;

    error = db_check_name("name", s);
    ovs_assert(error || (strlen(s) <= GOSSIP_NAME_MAX && !strchr(s, ' ')));
    free(error);
    error = db_parse_address("address", s, &ip);
    ovs_assert(error || ipv6_addr_is_set(&ip));
    free(error);
    error = db_parse_mac(s, &mac);
    ovs_assert(error || !eth_addr_is_multicast(mac));
    free(error);
    if (gossip_addr_parse(s, &addr)) {
        struct gossip_addr again;
        char *text = gossip_addr_to_string(&addr);

        ovs_assert(gossip_addr_parse(text, &again)
                   && !memcmp(&addr.ip, &again.ip, sizeof addr.ip)
                   && addr.port == again.port && addr.port);
        free(text);
    }
}

static void
check_text(const char *s)
{
    char sha256[DB_SHA256_LEN] = "";
    void *data;
    size_t size;
    char *error;

    error = db_policy_decode("fuzz", s, "x", &data, &size);
    ovs_assert(error && !data && !size);
    free(error);

    /* With the right checksum, if it is base64 at all. */
    char *base64 = db_policy_encode(s, strlen(s), sha256);
    error = db_policy_decode("fuzz", base64, sha256, &data, &size);
    ovs_assert(s[0] ? !error && size == strlen(s) && !memcmp(data, s, size)
               : error != NULL);
    free(error);
    free(data);
    free(base64);

    free(db_check_network(s));
    free(db_conn_check_remote(s));
    check_service_text(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = xmemdup0((const char *) data, size);

    check_text(s);
    free(s);
    return 0;
}

#ifndef FUZZ_LIBFUZZER
int
main(int argc, char *argv[])
{
    static const char *const texts[] = {
        "vni:16777215", "metadata:0x12",
        "ssl:[::1]:6640,unix:/a,tcp:1.2.3.4:5",
        "QUJDREVGR0g=",
        "192.0.2.1:7946", "[2001:db8::1]:7946", "02:00:00:00:00:01",
        "2001:db8::1",
    };
    struct fuzz_input valid[ARRAY_SIZE(texts)];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        valid[i] = (struct fuzz_input) { xmemdup(texts[i], strlen(texts[i])),
                                         strlen(texts[i]) };
    }
    return fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));
}
#endif
