/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_RIVAL_H
#define DB_RIVAL_H 1

/* Whether another host writes this host's rows
 * ============================================
 *
 * Two hosts with one system-id, as copies of one disk image have, would put
 * each other's rows right without end.  What a host wrote and somebody else
 * replaced is written again at once if that happens now and then: a restored
 * database, an administrator's edit.  From the time on that it happens more
 * than DB_RIVAL_MAX times in DB_RIVAL_WINDOW, the host pauses before it writes
 * again, twice as long each time, until it has had peace for DB_RIVAL_FORGET,
 * which is longer than the other may pause.
 *
 * Pure: time is an argument, in milliseconds of a clock that does not jump. */

#include <stdbool.h>

enum { DB_RIVAL_MAX = 3 };
#define DB_RIVAL_WINDOW 60000
#define DB_RIVAL_PAUSE 30000            /* The first one. */
#define DB_RIVAL_PAUSE_MAX 300000
#define DB_RIVAL_FORGET (3 * DB_RIVAL_PAUSE_MAX)

struct db_rival {
    long long int times[DB_RIVAL_MAX];  /* The last ones, LLONG_MIN: none. */
    unsigned int at;
    int pause;                          /* The last one, 0 for none. */
    long long int until;                /* Its end. */
    long long int last;                 /* When something was replaced. */
};

void db_rival_init(struct db_rival *);

/* Says that at 'now' something turns out to be replaced.  Returns true if a
 * pause begins, whose length is 'pause'. */
bool db_rival_replaced(struct db_rival *, long long int now);

/* Whether nothing is to be written 'now'. */
bool db_rival_is_pausing(const struct db_rival *, long long int now);

#endif /* db-rival.h */
