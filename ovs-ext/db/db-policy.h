/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_POLICY_H
#define DB_POLICY_H 1

/* Files in the database.
 *
 * A steering policy is kept as base64, since OVSDB strings are text, with the
 * SHA-256 of the file, so that who reads it knows that it is whole.
 *
 * Pure: any thread. */

#include <stdbool.h>
#include <stddef.h>

#define DB_SHA256_LEN 65        /* Hexadecimal, with the null. */

/* The largest file, in bytes: base64 of it fits the column. */
#define DB_POLICY_MAX (6 * 1024 * 1024)

/* Encodes 'size' bytes of 'data'.  Returns base64 that the caller must free(),
 * and the SHA-256 in 'sha256'. */
char *db_policy_encode(const void *data, size_t size,
                       char sha256[DB_SHA256_LEN]);

/* Decodes 'base64' and compares with 'sha256'.  'name' names the policy in
 * messages.  On success stores the bytes, which the caller must free(), and
 * returns NULL; else returns a sentence that the caller must free(). */
char *db_policy_decode(const char *name, const char *base64,
                       const char *sha256, void **data, size_t *size);

#endif /* db-policy.h */
