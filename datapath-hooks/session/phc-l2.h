/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_L2_H
#define PHC_L2_H 1

/* Predictive header cache, level 2: its thread
 * ============================================
 *
 * Owns the store (phc-store.h), so that nobody else waits for a disk.  The
 * writer of level 1 hands over changes and questions, and takes answers:
 *
 *     phc_l2_put(l2, &record);         // Never waits; a full queue refuses.
 *     phc_l2_ask(l2, &key);            // After a miss for want of room.
 *     n = phc_l2_answers(l2, records, 64);     // ... and phc_put() them.
 *
 * At the start all that the file holds comes as answers, templates first.
 *
 * A store that fails (disk full, file damaged, no key) is said once in the
 * log, counted, and tried again every PHC_L2_RETRY_MS; level 1 goes on.  One
 * that is broken (phc_store_broken()) is closed and opened again then.  What is
 * to be deleted is, also while the file is full, and what has expired goes once
 * a minute.
 *
 * Thread safety: any thread but PMD threads may call anything here, except
 * that phc_l2_stop() must be the last. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath-hooks/session/phc-store.h"
#include "ovs-ext/session/phc.h"

struct phc_l2;

enum {
    PHC_L2_QUEUE = 16384,       /* Changes and questions that wait. */
    PHC_L2_BATCH = 4096,        /* Changes in a transaction. */
    PHC_L2_RETRY_MS = 5000,
    PHC_L2_PURGE_MS = 60 * 1000,    /* Between looks for what has expired, */
    PHC_L2_PURGE_FULL_MS = 15 * 1000    /* and while there is no room. */
};

struct phc_l2_counts {
    struct phc_store_counts store;
    bool failed;                /* The last thing tried did not succeed. */
    char error[128];            /* What. */
    bool loaded;                /* All of the file has come as answers. */
    uint64_t queued;            /* Waiting. */
    uint64_t refused;           /* For want of room in a queue. */
    uint64_t lost;              /* Changes that the store refused. */
    uint64_t found;             /* Questions with an answer. */
};

struct phc_l2 *phc_l2_start(const struct phc_store_config *);
void phc_l2_stop(struct phc_l2 *);

bool phc_l2_put(struct phc_l2 *, const struct phc_record *);
bool phc_l2_delete(struct phc_l2 *, const struct phc_record *);
bool phc_l2_flush(struct phc_l2 *, const struct phc_filter *);
bool phc_l2_ask(struct phc_l2 *, const struct sess_key *);
size_t phc_l2_answers(struct phc_l2 *, struct phc_record *, size_t max);
void phc_l2_get_counts(struct phc_l2 *, struct phc_l2_counts *);

#endif /* phc-l2.h */
