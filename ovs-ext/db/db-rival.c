/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-rival.h"

#include <limits.h>

#include "util.h"

void
db_rival_init(struct db_rival *r)
{
    *r = (struct db_rival) { .until = LLONG_MIN };
    for (int i = 0; i < DB_RIVAL_MAX; i++) {
        r->times[i] = LLONG_MIN;
    }
}

bool
db_rival_replaced(struct db_rival *r, long long int now)
{
    if (r->pause && now - r->last >= DB_RIVAL_FORGET) {
        db_rival_init(r);
    }
    r->last = now;
    if (!r->pause) {
        long long int *oldest = &r->times[r->at++ % DB_RIVAL_MAX];
        bool seldom = *oldest == LLONG_MIN || now - *oldest > DB_RIVAL_WINDOW;

        *oldest = now;
        if (seldom) {
            return false;
        }
    }
    r->pause = (r->pause ? MIN(2 * r->pause, DB_RIVAL_PAUSE_MAX)
                : DB_RIVAL_PAUSE);
    r->until = now + r->pause;
    return true;
}

bool
db_rival_is_pausing(const struct db_rival *r, long long int now)
{
    return now < r->until;
}
