/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_RESTORE_H
#define PHC_RESTORE_H 1

/* Predictive header cache: what of its file belongs to the present plan
 * =====================================================================
 *
 * In the file there are no numbers of services and backends, which are those
 * of one run of the daemon, but marks, parts of their IDs.  This finds numbers
 * by marks, and keeps headers of the file until a plan knows their backend:
 *
 *     phc_restore_set_plan(restore, plan);
 *     number = phc_restore_number(restore, r.service, r.owner);
 *     phc_restore_add(restore, &r);
 *     phc_restore_run(restore, take, aux);     // After either of the two.
 *
 * Both take a hash each, however much of the file is of backends that are gone.
 * Of those no more than SESS_MAX_BACKENDS headers are kept; they never keep out
 * one that the plan knows.
 *
 * Pure.  Thread safety: none; it belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/session/phc-record.h"

struct phc_restore;
struct sess_plan;

/* Takes header 'r' of backend number 'number'.  Returns false to be called
 * again for it later. */
typedef bool phc_restore_func(const struct phc_record *r, uint16_t number,
                              void *aux);

static inline uint16_t
phc_service_mark(uint64_t id)
{
    return id ^ id >> 16 ^ id >> 32 ^ id >> 48;
}

static inline uint32_t
phc_backend_mark(uint64_t id)
{
    return id ^ id >> 32;
}

struct phc_restore *phc_restore_create(void);
void phc_restore_destroy(struct phc_restore *);

void phc_restore_set_plan(struct phc_restore *, const struct sess_plan *);
uint16_t phc_restore_number(struct phc_restore *, uint16_t service,
                            uint32_t owner);

void phc_restore_add(struct phc_restore *, const struct phc_record *);
void phc_restore_run(struct phc_restore *, phc_restore_func *, void *aux);
void phc_restore_clear(struct phc_restore *);
size_t phc_restore_n(const struct phc_restore *);

/* For tests: what was looked at so far. */
uint64_t phc_restore_steps(const struct phc_restore *);

#endif /* phc-restore.h */
