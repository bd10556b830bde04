/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_RECORD_H
#define PHC_RECORD_H 1

/* Records of the header cache's second level
 * ==========================================
 *
 * As bytes, a key and a value each.  Integers are little-endian; addresses and
 * ports as in a packet.
 *
 *   key of a session     's', source, destination (16 each), source port,
 *                        destination port (2 each), zone (2), protocol (1)
 *   key of a template    't', service (2), owner (4)
 *   value                version (1), 0 (1), service (2), owner (4), then
 *     of a session       probability, of 65535 (2), expires (8)
 *     of a template      expires (8), outer header
 *
 * 'expires' is wall time in ms, for it must survive a restart.  Each type has a
 * version of its own.  Templates of version 1 did not expire: there may be any
 * number of them, so they are refused, and those in use are soon written again.
 *
 * The parser takes nothing on trust: a header must be one (phc_header_take()),
 * lengths must be exact.  Authentication is the store's business.
 *
 * Pure; anything here may be called in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/phc-header.h"
#include "ovs-ext/session/sess-key.h"

enum {
    PHC_RECORD_SESSION_VERSION = 1,
    PHC_RECORD_TEMPLATE_VERSION = 2,
    PHC_RECORD_MAX_KEY = 40,
    PHC_RECORD_MAX_VALUE = 16 + PHC_MAX_HEADER
};

enum phc_record_type {
    PHC_RECORD_SESSION = 's',
    PHC_RECORD_TEMPLATE = 't'
};

struct phc_record {
    enum phc_record_type type;
    uint16_t service;
    uint32_t owner;
    uint64_t expires;

    /* Session. */
    struct sess_key key;
    double probability;

    /* Template. */
    uint8_t header[PHC_MAX_HEADER];
    size_t header_len;
};

size_t phc_record_format_key(const struct phc_record *,
                             uint8_t key[PHC_RECORD_MAX_KEY]);
size_t phc_record_format_value(const struct phc_record *,
                               uint8_t value[PHC_RECORD_MAX_VALUE]);
bool phc_record_parse(const uint8_t *key, size_t key_len,
                      const uint8_t *value, size_t value_len,
                      struct phc_record *);

#endif /* phc-record.h */
