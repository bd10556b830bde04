/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of the thread of the header cache's second level. */

#include <config.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "datapath-hooks/session/phc-check.h"
#include "datapath-hooks/session/phc-l2.h"
#include "ovs-atomic.h"
#include "tests/test-phc-store.h"
#include "timeval.h"

static size_t
drain(struct phc_l2 *l2, size_t want)
{
    static struct phc_record records[256];
    size_t n = 0;

    while (n < want) {
        n += phc_l2_answers(l2, records, ARRAY_SIZE(records));
    }
    return n;
}

/* To flush all is to flush headers, too. */
static void
test_flush_all(void)
{
    struct phc_filter all;
    struct phc_record r;
    struct phc_store *s;
    struct phc_l2 *l2;
    struct phc_store_counts counts;

    clean();
    s = must_open();
    phc_store_close(s);
    l2 = phc_l2_start(&config);
    make_template(&r, 1);
    CHECK(phc_l2_put(l2, &r));
    make_session(&r, 1);
    CHECK(phc_l2_put(l2, &r));
    memset(&all, 0, sizeof all);
    CHECK(phc_l2_flush(l2, &all));
    make_template(&r, 2);
    CHECK(phc_l2_put(l2, &r));
    all.have_owner = true;                      /* Not all of it. */
    CHECK(phc_l2_flush(l2, &all));
    phc_l2_stop(l2);
    s = must_open();
    phc_store_get_counts(s, &counts);
    CHECK_EQ(counts.n, 1);
    phc_store_close(s);
}

void
test_thread(void)
{
    struct phc_l2_counts counts;
    struct phc_record r;
    struct phc_l2 *l2;
    size_t n = 0;

    clean();
    l2 = phc_l2_start(&config);
    make_template(&r, 1);
    CHECK(phc_l2_put(l2, &r));
    for (uint64_t i = 0; i < 40000; i++) {
        make_session(&r, i);
        r.expires = UINT64_C(1) << 50;
        while (!phc_l2_put(l2, &r)) {
            n++;
        }
    }
    CHECK(phc_l2_ask(l2, &r.key));
    CHECK_EQ(drain(l2, 1), 1);
    phc_l2_get_counts(l2, &counts);
    CHECK_EQ(counts.refused, n);
    CHECK_EQ(counts.store.n, 40001);
    CHECK(counts.loaded && !counts.failed && !counts.lost);
    /* What a filter matches goes, what comes after it stays. */
    struct phc_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.have_owner = true;
    filter.owner = r.owner;
    size_t same = 0;
    for (uint64_t i = 0; i < 40000; i++) {
        make_session(&r, i);
        same += r.owner == filter.owner;
    }
    CHECK(phc_l2_flush(l2, &filter));
    r.expires = UINT64_C(1) << 50;
    CHECK(phc_l2_put(l2, &r));
    CHECK(phc_l2_ask(l2, &r.key));
    CHECK_EQ(drain(l2, 1), 1);
    phc_l2_get_counts(l2, &counts);
    CHECK_EQ(counts.store.n, 40001 - same + 1);
    CHECK(!counts.failed);
    for (uint64_t i = 0; i < 40000; i++) {
        make_session(&r, i);
        r.expires = UINT64_C(1) << 50;
        while (r.owner == filter.owner && !phc_l2_put(l2, &r)) {
            continue;
        }
    }
    CHECK(phc_l2_delete(l2, &r));
    phc_l2_stop(l2);

    /* More than the queue holds comes back. */
    l2 = phc_l2_start(&config);
    CHECK_EQ(drain(l2, 40000), 40000);
    phc_l2_stop(l2);
    /* Nobody takes answers: stops all the same. */
    l2 = phc_l2_start(&config);
    phc_l2_stop(l2);
    test_flush_all();

    /* No such directory: says so, refuses nothing until the queue is full. */
    struct phc_store_config bad = config;
    bad.path = "no/such/phc.mdb";
    l2 = phc_l2_start(&bad);
    do {
        phc_l2_get_counts(l2, &counts);
    } while (!counts.failed);
    CHECK(strstr(counts.error, "no/such"));
    CHECK(phc_l2_put(l2, &r));
    phc_l2_stop(l2);
    clean();
}

/* Errors of the disk, for LMDB. */
static atomic_bool fail_meta = ATOMIC_VAR_INIT(false);
static atomic_int n_failed = ATOMIC_VAR_INIT(0);

enum { META_END = 2 * 4096 };           /* Of the file's meta pages. */

/* In the place of libc's, under the name by which LMDB calls it: in this file
 * that stands for pwrite64(). */
ssize_t meta_pwrite(int, const void *, size_t, off_t) __asm__("pwrite");

ssize_t
meta_pwrite(int fd, const void *data, size_t n, off_t offset)
{
    bool fail;

    atomic_read(&fail_meta, &fail);
    if (fail && offset < META_END) {
        int orig;

        atomic_add(&n_failed, 1, &orig);
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, n, offset);
}

static int
read_error(void *aux OVS_UNUSED, void *buf OVS_UNUSED, size_t size OVS_UNUSED,
           size_t offset OVS_UNUSED)
{
    return EIO;
}

static void
put_one(struct phc_l2 *l2, uint64_t i)
{
    struct phc_record r;

    make_session(&r, i);
    r.expires = UINT64_C(1) << 50;
    CHECK(phc_l2_put(l2, &r));
}

/* Once LMDB could not write a meta page it needs to be opened again. */
void
test_broken(void)
{
    struct phc_l2_counts counts;
    struct phc_change change = { .delete = false };
    long long int end = time_msec() + 60000;
    struct phc_store *s;
    struct phc_l2 *l2;
    const char *why;
    int n;

    clean();
    s = must_open();
    make_session(&change.record, 1);
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    atomic_store(&fail_meta, true);
    make_session(&change.record, 2);
    CHECK_EQ(phc_store_write(s, &change, 1), EIO);
    atomic_read(&n_failed, &n);
    CHECK(n > 0);
    atomic_store(&fail_meta, false);
    CHECK(phc_store_broken(s));
    CHECK_EQ(phc_store_write(s, &change, 1), EIO);
    phc_store_close(s);
    s = must_open();
    CHECK(!phc_store_broken(s));
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    phc_store_close(s);

    /* The thread does. */
    l2 = phc_l2_start(&config);
    do {
        phc_l2_get_counts(l2, &counts);
    } while (!counts.loaded);
    atomic_store(&fail_meta, true);
    put_one(l2, 3);
    do {
        CHECK(time_msec() < end);
        phc_l2_get_counts(l2, &counts);
    } while (!strstr(counts.error, "MDB_PANIC"));
    CHECK(counts.failed);
    atomic_store(&fail_meta, false);
    put_one(l2, 4);
    do {                        /* PHC_L2_RETRY_MS */
        usleep(1000);
        CHECK(time_msec() < end);
        phc_l2_get_counts(l2, &counts);
    } while (counts.failed);
    while (!counts.store.puts) {
        phc_l2_get_counts(l2, &counts);
    }
    CHECK_EQ(counts.store.errors, 1);
    CHECK_EQ(counts.lost, 1);
    CHECK_EQ(counts.store.replaced, 0);
    phc_l2_stop(l2);

    /* A file that cannot be read is not one that is damaged. */
    CHECK_EQ(phc_check(read_error, NULL, 1 << 20, &why), EIO);
    clean();
}
