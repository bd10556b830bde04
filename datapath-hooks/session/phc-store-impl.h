/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_STORE_IMPL_H
#define PHC_STORE_IMPL_H 1

/* What the files of the store share.  Only they include this. */

#include <lmdb.h>
#include <openssl/evp.h>

#include "datapath-hooks/session/phc-store.h"

struct phc_store {
    MDB_env *env;
    MDB_dbi dbi;
    size_t max_bytes;
    EVP_MAC_CTX *mac;           /* Has the key. */
    struct phc_store_counts counts;     /* But for 'n'. */
    unsigned int n_failed;      /* Transactions in a row that failed for
                                 * another reason than want of room. */
    int broken;                 /* LMDB's error, for which it has to be closed,
                                 * or 0. */
};

/* phc-store-file.c */
int phc_store_errno__(int lmdb_error);

#endif /* phc-store-impl.h */
