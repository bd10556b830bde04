/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_POLICY_H
#define DB_POLICY_H 1

/* Files in the database.
 *
 * A steering policy is kept as base64, since OVSDB strings are text, with the
 * SHA-256 of the file, so that who reads it knows that it is whole.
 *
 * A host follows one policy by name: it asks the server for that row only, and
 * reads it when it has changed.
 *
 * db_policy_encode() and db_policy_decode() are pure, for any thread; the
 * others are for the thread that owns the connection. */

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

struct ovsdb_idl;

/* Asks on 'idl', the connection of a host, for the policy 'name', NULL for
 * none.  Returns true once what 'idl' holds is what the server has of it. */
bool db_policy_follow(struct ovsdb_idl *idl, const char *name);

/* The policy that is followed, as read from its row. */
struct db_policy {
    char *version;              /* For people; of printable characters. */
    char sha256[DB_SHA256_LEN];
    void *data;
    size_t size;
};
void db_policy_destroy(struct db_policy *);

/* Reads the policy 'name', to be called after db_policy_follow() has returned
 * true.  '*seen' is NULL, or what an earlier call left there, and is replaced;
 * the caller must free it.  Returns false if nothing has changed since then.
 * Else stores the policy, and NULL in '*error'; or only a sentence in
 * '*error', which the caller must free. */
bool db_policy_read(struct ovsdb_idl *idl, const char *name, char **seen,
                    struct db_policy *, char **error);

#endif /* db-policy.h */
