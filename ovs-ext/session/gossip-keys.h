/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_KEYS_H
#define GOSSIP_KEYS_H 1

/* The keyring of gossip, as a file has it.
 *
 * A key a line, 64 hexadecimal digits (32 bytes); '#' begins a comment, and
 * blank lines do not count.  The first key is the one to send with, and all of
 * them are accepted.  To change keys without loss: append the new key at all
 * hosts, then move it to the top at all, then take the old one out.
 *
 * Pure; the file is read elsewhere.  No thread safety is needed. */

#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/gossip-seal.h"

enum {
    /* One fewer than a seal holds, which keeps the old one to send with until
     * the new one is in use. */
    GOSSIP_KEYRING_MAX = GOSSIP_MAX_KEYS - 1,
    GOSSIP_KEYRING_MAX_FILE = 64 * 1024
};

struct gossip_keyring {
    uint8_t keys[GOSSIP_KEYRING_MAX][GOSSIP_KEY_SIZE];
    size_t n;
};

char *gossip_keyring_parse(const char *text, size_t n,
                           struct gossip_keyring *);
void gossip_keyring_apply(struct gossip_seal *,
                          const struct gossip_keyring *old,
                          const struct gossip_keyring *new);

#endif /* gossip-keys.h */
