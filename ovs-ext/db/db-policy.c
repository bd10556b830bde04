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

#include "hash.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
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

bool
db_policy_follow(struct ovsdb_idl *idl, const char *name)
{
    struct ovsdb_idl_condition cond;
    unsigned int seqno;

    ovsdb_idl_condition_init(&cond);
    if (name) {
        ovsext_steering_policy_add_clause_name(&cond, OVSDB_F_EQ, name);
    }
    seqno = ovsext_steering_policy_set_condition(idl, &cond);
    ovsdb_idl_condition_destroy(&cond);

    /* A condition that is set anew returns the present number if the server
     * has confirmed it, and that counts once the contents are there. */
    return (seqno == ovsdb_idl_get_condition_seqno(idl)
            && db_conn_is_current(idl));
}

void
db_policy_destroy(struct db_policy *policy)
{
    free(policy->version);
    free(policy->data);
    memset(policy, 0, sizeof *policy);
}

static const struct ovsext_steering_policy *
find_row(struct ovsdb_idl *idl, const char *name)
{
    const struct ovsext_steering_policy *row;

    OVSEXT_STEERING_POLICY_FOR_EACH (row, idl) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

bool
db_policy_read(struct ovsdb_idl *idl, const char *name, char **seen,
               struct db_policy *policy, char **error)
{
    const struct ovsext_steering_policy *row = find_row(idl, name);
    char *now = (row
                 ? xasprintf("%08"PRIx32" %s %s", hash_string(row->blob, 0),
                             row->sha256, row->version)
                 : xstrdup("none"));

    memset(policy, 0, sizeof *policy);
    *error = NULL;
    if (*seen && !strcmp(now, *seen)) {
        free(now);
        return false;
    }
    free(*seen);
    *seen = now;
    if (!row) {
        *error = xasprintf("the database has no policy \"%s\"", name);
        return true;
    }
    *error = db_policy_decode(name, row->blob, row->sha256, &policy->data,
                              &policy->size);
    if (!*error) {
        ovs_strlcpy(policy->sha256, row->sha256, sizeof policy->sha256);
        policy->version = xstrdup(row->version);
        for (char *p = policy->version; *p; p++) {
            *p = *p < ' ' || *p > '~' ? '?' : *p;
        }
    }
    return true;
}
