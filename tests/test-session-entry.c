/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Entries of sessions (session-entry.c) by themselves: how long they are kept,
 * how many there are, and that whoever asks for one need not wait while others
 * are looked at and ended. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include "packets.h"
#include "tests/test-util.h"
#include "util.h"

enum { MANY = 7000, MAX = 8192 };

static uint64_t n_begun, n_passed;
static size_t n_deleted, n_asked, n_made;
static uint32_t last_deleted;
static bool standing, refusing;
static long long int learn_interval;
static bool learns = true;
static uint64_t in_between;     /* Service of entries that are made while
                                 * others are looked at; 0: none are. */

static bool
obtain(uint64_t service, uint32_t port, uint32_t *unique)
{
    struct session_entry_key key;
    struct flow flow;
    ovs_u128 ufid;

    memset(&key, 0, sizeof key);
    memset(&flow, 0, sizeof flow);
    key.service = service;
    key.in_port = flow.in_port.odp_port = u32_to_odp(port);
    key.local = u32_to_odp(1000);
    if (!session_entry_obtain(&key, &flow, &ufid)) {
        return false;
    }
    if (unique) {
        *unique = ufid.u32[1];
    }
    return true;
}

/* What another thread's miss would do.  If 'entries_mutex' is held, to lock it
 * once more ends the program. */
static void
miss(void)
{
    if (in_between) {
        n_made += obtain(in_between, n_made % 16, NULL);
    }
}

/* What entries depend on. */

void
session_ufid_make(enum session_flow_kind kind, uint32_t unique, uint32_t hash,
                  ovs_u128 *ufid)
{
    ufid->u32[0] = hash;
    ufid->u32[1] = unique;
    ufid->u32[2] = kind;
    ufid->u32[3] = 0;
}

void
session_flow_del(const ovs_u128 *ufid)
{
    last_deleted = ufid->u32[1];
    n_deleted++;
    miss();
}

bool
session_entry_learns(const struct session_topo *topo OVS_UNUSED,
                     const struct flow *flow OVS_UNUSED)
{
    return learns;
}

bool
session_entry_stands(const struct sess_plan *plan OVS_UNUSED,
                     const struct session_topo *topo OVS_UNUSED,
                     const struct flow *flow OVS_UNUSED,
                     const struct session_entry_key *key,
                     struct session_admit_memo *memo OVS_UNUSED,
                     long long int *interval)
{
    *interval = learn_interval;
    n_asked++;
    miss();
    return standing || (in_between && key->service == in_between);
}

bool
session_place_stands(const struct sess_plan *plan OVS_UNUSED,
                     const struct session_topo *topo OVS_UNUSED,
                     const struct flow *flow OVS_UNUSED,
                     struct session_admit_memo *memo OVS_UNUSED)
{
    miss();
    return refusing;
}

uint64_t
session_grace_begin(void)
{
    return ++n_begun;
}

bool
session_grace_is_over(uint64_t mark)
{
    return n_passed >= mark;
}

static void
make_many(void)
{
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK(obtain(1 + i / 16, i % 16, NULL));
    }
}

/* An entry is one for its key, and when it has ended its flow goes at once and
 * once more after a grace period. */
static void
test_life(void)
{
    uint32_t first, again;

    standing = true;
    CHECK(obtain(1, 1, &first) && obtain(1, 1, &again));
    CHECK_EQ(first, again);
    session_entries_check(NULL, NULL, 1000);
    CHECK_EQ(n_deleted, 0);
    CHECK_EQ(session_entries_run(1000), LLONG_MAX);

    standing = false;
    session_entries_check(NULL, NULL, 1000);
    CHECK_EQ(n_deleted, 1);
    CHECK_EQ(last_deleted, first);
    CHECK_EQ(session_entries_run(1000), 1300);
    CHECK_EQ(session_entries_run(1300), LLONG_MAX);
    CHECK_EQ(n_deleted, 1);
    n_passed = n_begun;
    session_entries_run(1300);
    CHECK_EQ(n_deleted, 2);
    CHECK_EQ(last_deleted, first);
    CHECK(obtain(1, 1, &again) && again != first);
}

/* While a port goes, there are no entries that name it, but those that died
 * before do not keep others from their place. */
static void
test_port(void)
{
    uint32_t first, again;

    standing = true;
    CHECK(obtain(1, 1, NULL) && obtain(1, 2, &first));
    session_entries_kill_port(u32_to_odp(1), 1000);
    CHECK_EQ(n_deleted, 1);
    CHECK(!obtain(1, 1, NULL));
    CHECK(obtain(1, 2, &again));
    CHECK_EQ(first, again);
    n_passed = n_begun;
    session_entries_run(1300);
    CHECK(obtain(1, 1, NULL));

    standing = false;
    session_entries_check(NULL, NULL, 2000);
    CHECK(obtain(1, 1, NULL) && obtain(1, 2, NULL));
    session_entries_kill_port(u32_to_odp(1000), 2000);
    CHECK(!obtain(1, 1, NULL) && !obtain(1, 2, NULL));
}

/* The oldest quarter goes in time; beyond there is no room. */
static void
test_room(void)
{
    size_t n;

    standing = true;
    for (n = 0; obtain(n, 1, NULL); n++) {
        continue;
    }
    CHECK_EQ(n, MAX);
    session_entries_run(1000);
    CHECK_EQ(n_deleted, MAX / 4);
    CHECK(!obtain(n, 1, NULL));
    n_passed = n_begun;
    session_entries_run(1300);
    CHECK_EQ(n_deleted, MAX / 2);
    CHECK(obtain(n, 1, NULL));
    session_entries_check(NULL, NULL, 1300);
    CHECK_EQ(n_asked, MAX / 4 * 3 + 1);
}

/* Misses go on while all entries are looked at, end, and are forgotten. */
static void
test_wait(void)
{
    standing = true;
    make_many();
    in_between = UINT64_MAX;
    session_entries_check(NULL, NULL, 1000);
    CHECK(n_asked >= MANY && n_made >= MANY);

    standing = false;
    n_asked = n_made = 0;
    session_entries_check(NULL, NULL, 1000);
    CHECK_EQ(n_deleted, MANY);
    CHECK(n_made >= 2 * MANY);

    n_passed = n_begun;
    n_made = 0;
    session_entries_run(1300);
    CHECK_EQ(n_deleted, 2 * MANY);
    CHECK_EQ(n_made, MANY);

    n_made = n_deleted = 0;
    session_entries_kill_port(u32_to_odp(1000), 1300);
    CHECK_EQ(n_deleted, 16);
}

/* Flows go from time to time, not all at once, and entries stay. */
static void
test_refresh(void)
{
    uint32_t first, again;

    standing = true;
    learn_interval = 8000;
    CHECK(obtain(1, 0, &first));
    for (uint32_t i = 1; i < 8; i++) {
        CHECK(obtain(1, i, NULL));
    }
    session_entries_check(NULL, NULL, 10000);
    for (size_t i = 1; i <= 16; i++) {
        CHECK_EQ(n_deleted, i - 1);
        session_entries_check(NULL, NULL, 10000 + i * 1000);
        CHECK_EQ(n_deleted, i);
    }
    CHECK(obtain(1, 0, &again));
    CHECK_EQ(first, again);
    /* Often, of late. */
    learn_interval = 1000;
    session_entries_check(NULL, NULL, 26500);
    CHECK_EQ(n_deleted, 16);
    session_entries_check(NULL, NULL, 27500);
    CHECK_EQ(n_deleted, 24);
    /* There is nothing to learn. */
    learns = false;
    session_entries_check(NULL, NULL, 28500);
    CHECK_EQ(n_deleted, 24);
    learns = true;
    learn_interval = 0;
    session_entries_check(NULL, NULL, 99000);
    CHECK_EQ(n_deleted, 24);
}

/* Places that refuse packets are no entries, and are told when they do not. */
static void
test_refused(void)
{
    struct session_entry_key key;
    struct flow flow;
    size_t n;

    memset(&key, 0, sizeof key);
    memset(&flow, 0, sizeof flow);
    standing = refusing = true;
    for (int i = 0; i < 3000; i++) {
        key.in_port = u32_to_odp(i / 2);
        session_entry_refuse(&key, &flow);
    }
    /* There is as much room for others as ever, or nearly so. */
    for (n = 0; obtain(1 + n, 1, NULL); n++) {
        continue;
    }
    CHECK_EQ(n, MAX - 1024);
    in_between = UINT64_MAX;
    CHECK(!session_entries_check(NULL, NULL, 1000));
    CHECK_EQ(n_deleted, 0);
    refusing = false;
    CHECK(session_entries_check(NULL, NULL, 1000));
    CHECK(!session_entries_check(NULL, NULL, 1000));
    CHECK_EQ(n_deleted, 0);
    CHECK(n_made >= 16);
}

static const struct test tests[] = {
    { "life", test_life },
    { "port", test_port },
    { "room", test_room },
    { "refresh", test_refresh },
    { "refused", test_refused },
    { "wait", test_wait },
    { NULL, NULL }
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
