/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_STORE_H
#define PHC_STORE_H 1

/* Predictive header cache, level 2: a file
 * ========================================
 *
 * What level 1 (ovs-ext/session/phc.h) cannot hold or is not probable enough
 * for it, and what it had before a restart.  An LMDB file of records
 * (phc-record.h), each with a MAC.
 *
 * Here and not in ovs-ext/session/ because it opens files.  Slow for a packet
 * (a microsecond a get), so never in a PMD thread: its caller is a thread that
 * may wait for a disk, see phc-l2.h.
 *
 * Crashes: LMDB does not overwrite what is committed, so a process that is
 * killed loses only the batch at hand.  A power cut may lose the last batches
 * (the file is synced, its meta page with the next commit).
 *
 * Authenticity: each record has a MAC, HMAC-SHA-256 over key and value, with
 * a key of 32 bytes from a file of its own.  Both files are mode 0600.  A
 * record whose MAC is wrong is refused, counted and deleted.  An old record
 * put back over a newer one is not noticed, but no template is used for a host
 * that is not a member now (phc.h).
 *
 * Corruption: LMDB follows page numbers and offsets in the file on trust.  So
 * the file is checked first, page by page, without mapping it (phc-check.h);
 * one that is not sound, or that is no such file, is moved aside to
 * PATH.corrupt and replaced by an empty one.
 *
 * Full disk or file: the batch is refused (ENOSPC), the store goes on; what is
 * there can be read and deleted (phc_store_delete(), a few records at a time).
 * phc_store_purge() makes room: it deletes what has expired.
 *
 * Errors of the disk: when LMDB could not write its meta page nothing works
 * any more, and when other transactions fail one after the other it is unlikely
 * to.  phc_store_broken() says so; the store can be closed, and opened again
 * (which checks the file first; one that cannot be read is left where it is).
 *
 * Thread safety: a store belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/phc-record.h"

struct phc_store;

struct phc_store_config {
    const char *path;           /* Of the file; PATH-lock is LMDB's. */
    const char *key_path;       /* Made if it does not exist. */
    size_t max_bytes;           /* Of the file; an eighth more, to be able to
                                 * delete from one that is full. */
};

struct phc_store_counts {
    uint64_t n;                 /* Records. */
    uint64_t puts, deletes, gets, hits;
    uint64_t tampered;          /* MAC wrong. */
    uint64_t malformed;         /* MAC right, but not a record of ours. */
    uint64_t errors;            /* Batches refused. */
    uint64_t replaced;          /* Files moved aside. */
};

/* One change.  Deleting needs the record's key only. */
struct phc_change {
    bool delete;
    struct phc_record record;
};

typedef void phc_store_func(const struct phc_record *, void *aux);

int phc_store_open(const struct phc_store_config *, struct phc_store **,
                   char **errorp);
void phc_store_close(struct phc_store *);
const char *phc_store_broken(const struct phc_store *);

int phc_store_write(struct phc_store *, const struct phc_change *, size_t n);
size_t phc_store_delete(struct phc_store *, const struct phc_change *,
                        size_t n);
int phc_store_purge(struct phc_store *, uint64_t now);
int phc_store_get(struct phc_store *, const struct sess_key *,
                  struct phc_record *);
int phc_store_load(struct phc_store *, uint64_t now, phc_store_func *,
                   void *aux);
void phc_store_get_counts(const struct phc_store *,
                          struct phc_store_counts *);

#endif /* phc-store.h */
