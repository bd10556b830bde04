/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-policy.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

BUILD_ASSERT_DECL(DB_SHA256_LEN == 2 * SHA256_DIGEST_LENGTH + 1);

static void
hash(const void *data, size_t size, char sha256[DB_SHA256_LEN])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256(data, size, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(&sha256[2 * i], 3, "%02x", digest[i]);
    }
}

char *
db_policy_encode(const void *data, size_t size, char sha256[DB_SHA256_LEN])
{
    char *base64 = xmalloc(4 * DIV_ROUND_UP(size, 3) + 1);

    ovs_assert(size <= DB_POLICY_MAX);
    EVP_EncodeBlock((uint8_t *) base64, data, size);
    hash(data, size, sha256);
    return base64;
}

char *
db_policy_decode(const char *name, const char *base64, const char *sha256,
                 void **datap, size_t *sizep)
{
    size_t len = strlen(base64);
    char actual[DB_SHA256_LEN];

    *datap = NULL;
    *sizep = 0;
    if (!len || len % 4 || len > 4 * (size_t) DIV_ROUND_UP(DB_POLICY_MAX, 3)) {
        return xasprintf("policy \"%s\": %"PRIuSIZE" characters are not "
                         "base64", name, len);
    }

    uint8_t *data = xmalloc(len / 4 * 3);
    int n = EVP_DecodeBlock(data, (const uint8_t *) base64, len);
    if (n < 0) {
        free(data);
        return xasprintf("policy \"%s\" is not base64", name);
    }
    /* OpenSSL counts what is padding. */
    n -= (base64[len - 1] == '=') + (base64[len - 2] == '=');

    hash(data, n, actual);
    if (strcasecmp(actual, sha256)) {
        free(data);
        return xasprintf("policy \"%s\" is damaged: its SHA-256 is %s, not "
                         "%s", name, actual, sha256);
    }
    *datap = data;
    *sizep = n;
    return NULL;
}
