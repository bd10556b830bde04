/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/phc-record.h"

#include <string.h>

#include "util.h"

enum {
    SESSION_KEY_LEN = 40,
    TEMPLATE_KEY_LEN = 7,
    PREFIX_LEN = 8,             /* Of a value. */
    SESSION_LEN = PREFIX_LEN + 10,
    HEADER_OFS = PREFIX_LEN + 8 /* Of a template. */
};

static void
put(uint8_t *p, uint64_t x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = x >> 8 * i;
    }
}

static uint64_t
get(const uint8_t *p, size_t n)
{
    uint64_t x = 0;

    for (size_t i = 0; i < n; i++) {
        x |= (uint64_t) p[i] << 8 * i;
    }
    return x;
}

static uint8_t
version_of(enum phc_record_type type)
{
    return (type == PHC_RECORD_TEMPLATE ? PHC_RECORD_TEMPLATE_VERSION
            : PHC_RECORD_SESSION_VERSION);
}

/* Stores the key of 'r' and returns its length. */
size_t
phc_record_format_key(const struct phc_record *r,
                      uint8_t key[PHC_RECORD_MAX_KEY])
{
    key[0] = r->type;
    if (r->type == PHC_RECORD_TEMPLATE) {
        put(key + 1, r->service, 2);
        put(key + 3, r->owner, 4);
        return TEMPLATE_KEY_LEN;
    }
    memcpy(key + 1, &r->key.src, 16);
    memcpy(key + 17, &r->key.dst, 16);
    memcpy(key + 33, &r->key.sport, 2);
    memcpy(key + 35, &r->key.dport, 2);
    put(key + 37, r->key.zone, 2);
    key[39] = r->key.proto;
    return SESSION_KEY_LEN;
}

/* Stores the value of 'r' and returns its length. */
size_t
phc_record_format_value(const struct phc_record *r,
                        uint8_t value[PHC_RECORD_MAX_VALUE])
{
    value[0] = version_of(r->type);
    value[1] = 0;
    put(value + 2, r->service, 2);
    put(value + 4, r->owner, 4);
    if (r->type == PHC_RECORD_TEMPLATE) {
        put(value + PREFIX_LEN, r->expires, 8);
        memcpy(value + HEADER_OFS, r->header, r->header_len);
        return HEADER_OFS + r->header_len;
    }
    put(value + PREFIX_LEN,
        (uint16_t) (MIN(MAX(r->probability, 0), 1) * UINT16_MAX), 2);
    put(value + PREFIX_LEN + 2, r->expires, 8);
    return SESSION_LEN;
}

static bool
parse_session(const uint8_t *key, size_t key_len, const uint8_t *value,
              size_t value_len, struct phc_record *r)
{
    if (key_len != SESSION_KEY_LEN || value_len != SESSION_LEN) {
        return false;
    }
    memcpy(&r->key.src, key + 1, 16);
    memcpy(&r->key.dst, key + 17, 16);
    memcpy(&r->key.sport, key + 33, 2);
    memcpy(&r->key.dport, key + 35, 2);
    r->key.zone = get(key + 37, 2);
    r->key.proto = key[39];
    r->probability = get(value + PREFIX_LEN, 2) / (double) UINT16_MAX;
    r->expires = get(value + PREFIX_LEN + 2, 8);
    return true;
}

static bool
parse_template(const uint8_t *key, size_t key_len, const uint8_t *value,
               size_t value_len, struct phc_record *r)
{
    struct phc_shape shape;
    struct in6_addr dst;

    if (key_len != TEMPLATE_KEY_LEN || get(key + 1, 2) != r->service
        || get(key + 3, 4) != r->owner || value_len < HEADER_OFS
        || !phc_header_take(value + HEADER_OFS, value_len - HEADER_OFS,
                            r->header, &shape, &dst)) {
        return false;
    }
    r->expires = get(value + PREFIX_LEN, 8);
    phc_header_finish(r->header, &shape);
    r->header_len = shape.len;
    return true;
}

/* Takes a key and a value apart.  Returns false if they are no record of this
 * version. */
bool
phc_record_parse(const uint8_t *key, size_t key_len, const uint8_t *value,
                 size_t value_len, struct phc_record *r)
{
    memset(r, 0, sizeof *r);
    if (!key_len || value_len < PREFIX_LEN
        || value[0] != version_of(key[0]) || value[1]) {
        return false;
    }
    r->service = get(value + 2, 2);
    r->owner = get(value + 4, 4);
    r->type = key[0];
    return (key[0] == PHC_RECORD_SESSION
            ? parse_session(key, key_len, value, value_len, r)
            : key[0] == PHC_RECORD_TEMPLATE
            ? parse_template(key, key_len, value, value_len, r) : false);
}
