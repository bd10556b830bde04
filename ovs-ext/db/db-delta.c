/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-delta.h"

#include <limits.h>
#include <math.h>

#include "util.h"

double
db_sane(double x, double max)
{
    return isnan(x) || x < 0 ? 0 : MIN(x, max);
}

bool
db_share_moved(double then, double now)
{
    return fabs(now - then) > DB_DELTA_SHARE;
}

bool
db_rate_moved(double then, double now, double floor)
{
    return fabs(now - then) > DB_DELTA_SHARE * MAX(MAX(then, now), floor);
}

void
db_gate_init(struct db_gate *gate)
{
    gate->written = LLONG_MIN;
}

bool
db_gate_pass(struct db_gate *gate, enum db_change change, long long int now)
{
    /* A clock that went back starts the interval anew. */
    bool never = gate->written == LLONG_MIN || now < gate->written;
    long long int age = never ? LLONG_MAX : now - gate->written;
    bool pass = false;

    switch (change) {
    case DB_SAME:
        break;
    case DB_SMALL_PRINT:
        pass = age >= DB_DELTA_SLOW;
        break;
    case DB_MEASURE:
        pass = age >= DB_DELTA_INTERVAL;
        break;
    case DB_STATE:
        pass = true;
        break;
    }
    if (pass) {
        gate->written = now;
    }
    return pass;
}
