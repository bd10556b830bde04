/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_DELTA_H
#define DB_DELTA_H 1

/* When a measured value is worth a write
 * ======================================
 *
 * Hosts measure all the time and the database is shared by all of them, so
 * what is written is what changed:
 *
 *     - A change of state goes out at once.
 *
 *     - A measure goes out when it has moved by more than DB_DELTA_SHARE of
 *       its range from what the database holds, at most once in
 *       DB_DELTA_INTERVAL for a row.
 *
 *     - Small print, which changes all the time and matters little, goes out
 *       with the next write of its row, or after DB_DELTA_SLOW.
 *
 * The range of a share is 1.  That of a rate, which has no bound, is the
 * larger of the two values, and not less than a floor below which nobody
 * cares.
 * The comparison is always with what the database holds, so that slow drift
 * does not get lost.
 *
 * Pure: time is an argument, in milliseconds of a clock that does not jump. */

#include <stdbool.h>

#define DB_DELTA_SHARE 0.05
#define DB_DELTA_INTERVAL 1000
#define DB_DELTA_SLOW 10000

/* 'x' as the schema takes it: at least 0 and at most 'max'; 0 for what is not
 * a number. */
double db_sane(double x, double max);

/* Whether a value that was 'then' and is 'now' has moved. */
bool db_share_moved(double then, double now);
bool db_rate_moved(double then, double now, double floor);

/* What has changed in a row. */
enum db_change {
    DB_SAME,                    /* Nothing that counts. */
    DB_SMALL_PRINT,
    DB_MEASURE,
    DB_STATE
};

/* The write limit of one row. */
struct db_gate {
    long long int written;      /* When, or LLONG_MIN for never. */
};

void db_gate_init(struct db_gate *);

/* Returns true if 'change' is to be written 'now', and takes note of it. */
bool db_gate_pass(struct db_gate *, enum db_change, long long int now);

#endif /* db-delta.h */
