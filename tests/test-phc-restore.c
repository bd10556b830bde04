/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of what is made of the headers in the file of the last run. */

#include <config.h>

#include "ovs-ext/session/phc-restore.h"
#include "ovs-ext/session/sess-plan.h"
#include "tests/test-phc-store.h"

enum { DEAD = 10 * SESS_MAX_BACKENDS };

/* A plan of one service, whose backend number 'i' has ID 'i'. */
static struct sess_plan_service service = { .id = 1 };
static struct sess_plan_service *services[] = { NULL, &service };
static struct sess_plan_backend backends[SESS_MAX_BACKENDS];
static struct sess_plan plan = {
    .services = services, .n_services = ARRAY_SIZE(services),
    .backends = backends,
};

static void
make_plan(size_t n)
{
    memset(backends, 0, sizeof backends);
    for (size_t i = 1; i < n; i++) {
        backends[i].id = i;
        backends[i].service = 1;
    }
    plan.n_backends = n;
}

struct taken {
    bool want;
    size_t n;
    uint32_t owner;
    uint16_t number;
};

static bool
take(const struct phc_record *r, uint16_t number, void *taken_)
{
    struct taken *taken = taken_;

    taken->n++;
    taken->owner = r->owner;
    taken->number = number;
    return taken->want;
}

static void
add(struct phc_restore *restore, uint32_t owner)
{
    struct phc_record r;

    make_template(&r, owner);
    phc_restore_add(restore, &r);
}

/* However many headers are of backends that are gone, the one that is not is
 * found, in a few steps each. */
void
test_restore(void)
{
    struct phc_restore *restore = phc_restore_create();
    struct taken taken = { .want = false };
    uint64_t steps;

    make_plan(8);
    phc_restore_set_plan(restore, &plan);
    steps = phc_restore_steps(restore);
    for (uint32_t i = 0; i < DEAD; i++) {
        add(restore, 100000 + i);
    }
    add(restore, 7);
    add(restore, 7);
    CHECK_EQ(phc_restore_n(restore), SESS_MAX_BACKENDS + 1);
    CHECK(phc_restore_steps(restore) - steps <= 3 * DEAD);

    /* Where it is, nobody knows yet. */
    phc_restore_run(restore, take, &taken);
    CHECK_EQ(taken.n, 1);
    make_plan(SESS_MAX_BACKENDS);
    steps = phc_restore_steps(restore);
    phc_restore_set_plan(restore, &plan);
    taken.want = true;
    phc_restore_run(restore, take, &taken);
    CHECK_EQ(taken.n, 2);
    CHECK_EQ(taken.owner, 7);
    CHECK_EQ(taken.number, 7);
    CHECK(phc_restore_steps(restore) - steps <= 8 * SESS_MAX_BACKENDS);
    CHECK_EQ(phc_restore_n(restore), SESS_MAX_BACKENDS);
    phc_restore_run(restore, take, &taken);
    CHECK_EQ(taken.n, 2);

    /* Two backends with the same marks are none. */
    CHECK_EQ(phc_restore_number(restore, 1, 9), 9);
    CHECK_EQ(phc_restore_number(restore, 2, 9), SESS_NONE);
    backends[10].id = UINT64_C(9) << 32;
    phc_restore_set_plan(restore, &plan);
    CHECK_EQ(phc_restore_number(restore, 1, 9), SESS_NONE);
    CHECK_EQ(phc_restore_number(restore, 1, 11), 11);

    /* One that was not known when its header came. */
    phc_restore_clear(restore);
    CHECK_EQ(phc_restore_n(restore), 0);
    make_plan(8);
    phc_restore_set_plan(restore, &plan);
    add(restore, 20);
    phc_restore_run(restore, take, &taken);
    CHECK_EQ(taken.n, 2);
    make_plan(21);
    phc_restore_set_plan(restore, &plan);
    phc_restore_run(restore, take, &taken);
    CHECK_EQ(taken.n, 3);
    CHECK_EQ(phc_restore_n(restore), 0);
    phc_restore_destroy(restore);
}
