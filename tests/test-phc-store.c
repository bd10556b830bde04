/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Tests of the header cache's second level: what it keeps, and what it does
 * about crashes, tampering, damage and full disks.  Works on files in the
 * current directory. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datapath-hooks/session/phc-check.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/core/ext-rng.h"
#include "tests/test-phc-store.h"

const struct phc_store_config config = {
    .path = PATH, .key_path = KEY_PATH, .max_bytes = 64 << 20,
};

void
clean(void)
{
    unlink(PATH);
    unlink(PATH "-lock");
    unlink(PATH ".corrupt");
    unlink(KEY_PATH);
}

struct phc_store *
must_open(void)
{
    struct phc_store *s;
    char *error;

    if (phc_store_open(&config, &s, &error)) {
        ovs_fatal(0, "%s", error);
    }
    return s;
}

void
make_session(struct phc_record *r, uint64_t i)
{
    uint64_t x = i;

    memset(r, 0, sizeof *r);
    x = ext_splitmix64(&x);
    r->type = PHC_RECORD_SESSION;
    r->service = 1;
    r->owner = i % 7;
    r->probability = 0.5;
    r->expires = 1000 + i;
    sess_key_init_ip4(&r->key, htonl(x), htonl(0x0a000001), htons(x >> 32),
                      htons(443), IPPROTO_TCP, i);
}

void
make_template(struct phc_record *r, uint32_t owner)
{
    struct phc_tunnel t = { .encap = PHC_GENEVE, .ttl = 64, .vni = owner,
                            .csum = true };
    struct phc_shape shape;

    memset(r, 0, sizeof *r);
    r->type = PHC_RECORD_TEMPLATE;
    r->service = 1;
    r->owner = owner;
    r->expires = UINT64_C(1) << 50;
    in6_addr_set_mapped_ipv4(&t.src, htonl(1));
    in6_addr_set_mapped_ipv4(&t.dst, htonl(2 + owner));
    r->header_len = phc_header_build(&t, r->header, &shape);
    phc_header_finish(r->header, &shape);
}

/* Writes sessions 'first' to 'first + n - 1'. */
static int
put(struct phc_store *s, uint64_t first, size_t n)
{
    struct phc_change *changes = xcalloc(n, sizeof *changes);

    for (size_t i = 0; i < n; i++) {
        make_session(&changes[i].record, first + i);
    }
    int error = phc_store_write(s, changes, n);
    free(changes);
    return error;
}

struct loaded {
    size_t n_sessions, n_templates;
};

static void
count(const struct phc_record *r, void *loaded_)
{
    struct loaded *loaded = loaded_;

    if (r->type == PHC_RECORD_TEMPLATE) {
        struct phc_record want;

        make_template(&want, r->owner);
        CHECK_EQ(r->header_len, want.header_len);
        CHECK(!memcmp(r->header, want.header, r->header_len));
        CHECK_EQ(loaded->n_sessions, 0);
        loaded->n_templates++;
    } else {
        struct phc_record want;

        make_session(&want, r->expires - 1000);
        CHECK(sess_key_equals(&r->key, &want.key));
        CHECK_EQ(r->owner, want.owner);
        loaded->n_sessions++;
    }
}

static struct loaded
load(struct phc_store *s, uint64_t now)
{
    struct loaded loaded = { 0, 0 };

    CHECK_EQ(phc_store_load(s, now, count, &loaded), 0);
    return loaded;
}

static struct phc_store_counts
counts_of(struct phc_store *s)
{
    struct phc_store_counts counts;

    phc_store_get_counts(s, &counts);
    return counts;
}

static void
test_keep(void)
{
    struct phc_change change = { .delete = false };
    struct phc_record r, want;
    struct phc_store *s;
    struct stat st;

    clean();
    s = must_open();
    make_template(&change.record, 3);
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    CHECK_EQ(put(s, 0, 1000), 0);
    make_session(&want, 77);
    CHECK_EQ(phc_store_get(s, &want.key, &r), 0);
    CHECK_EQ(r.expires, 1077);
    CHECK_EQ(r.owner, 0);
    CHECK(r.probability > 0.49 && r.probability < 0.51);
    want.key.zone++;
    CHECK_EQ(phc_store_get(s, &want.key, &r), ENOENT);
    phc_store_close(s);

    /* A restart, after which half has expired and is dropped. */
    s = must_open();
    struct loaded loaded = load(s, 0);
    CHECK_EQ(loaded.n_sessions, 1000);
    CHECK_EQ(loaded.n_templates, 1);
    loaded = load(s, 1499);
    CHECK_EQ(loaded.n_sessions, 500);
    CHECK_EQ(counts_of(s).n, 501);
    change.delete = true;
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    CHECK_EQ(counts_of(s).n, 500);
    phc_store_close(s);
    CHECK(!stat(PATH, &st) && (st.st_mode & 0777) == 0600);
    CHECK(!stat(PATH "-lock", &st) && (st.st_mode & 0777) == 0600);
    CHECK(!stat(KEY_PATH, &st) && (st.st_mode & 0777) == 0600);
    CHECK_EQ(st.st_size, 32);
    clean();
}

/* Headers expire like sessions, with a purge and a load; those of the format
 * in which they did not are refused. */
static void
test_templates(void)
{
    uint8_t key[PHC_RECORD_MAX_KEY], value[PHC_RECORD_MAX_VALUE];
    struct phc_change change = { .delete = false };
    struct phc_store *s;
    struct phc_record r;
    size_t key_len, len;

    clean();
    s = must_open();
    CHECK_EQ(put(s, 0, 100), 0);
    for (uint32_t owner = 0; owner < 100; owner++) {
        make_template(&change.record, owner);
        change.record.expires = 5000 + owner;
        CHECK_EQ(phc_store_write(s, &change, 1), 0);
    }
    CHECK_EQ(phc_store_purge(s, 5039), 0);
    CHECK_EQ(counts_of(s).n, 60);
    CHECK_EQ(load(s, 5039).n_templates, 60);
    make_template(&change.record, 50);          /* Remembered again. */
    CHECK_EQ(phc_store_write(s, &change, 1), 0);
    CHECK_EQ(load(s, 5089).n_templates, 11);
    CHECK_EQ(phc_store_purge(s, 10000), 0);
    CHECK_EQ(load(s, 0).n_templates, 1);
    phc_store_close(s);
    clean();

    make_template(&r, 7);
    key_len = phc_record_format_key(&r, key);
    len = phc_record_format_value(&r, value);
    CHECK(phc_record_parse(key, key_len, value, len, &r));
    CHECK_EQ(r.expires, UINT64_C(1) << 50);
    value[0] = 1;
    memmove(value + 8, value + 16, len - 16);
    CHECK(!phc_record_parse(key, key_len, value, len - 8, &r));
    CHECK(!phc_record_parse(key, key_len, value, 8, &r));
}

/* Files that others could have read are closed to them, links and odd keys
 * refused. */
static void
test_modes(void)
{
    struct phc_store *s;
    struct stat st;
    char *error;

    clean();
    phc_store_close(must_open());
    CHECK(!chmod(PATH, 0644) && !chmod(KEY_PATH, 0644));
    phc_store_close(must_open());
    CHECK(!stat(PATH, &st) && (st.st_mode & 0777) == 0600);
    CHECK(!stat(KEY_PATH, &st) && (st.st_mode & 0777) == 0600);

    CHECK(!truncate(KEY_PATH, 31));
    CHECK_EQ(phc_store_open(&config, &s, &error), EINVAL);
    CHECK(strstr(error, KEY_PATH));
    free(error);
    CHECK(!unlink(KEY_PATH) && !symlink(PATH, KEY_PATH));
    CHECK(phc_store_open(&config, &s, &error));
    CHECK(strstr(error, KEY_PATH));
    free(error);
    clean();
}

/* Changes bytes of the file that are part of 'pattern'. */
static void
tamper(const void *pattern, size_t size, size_t ofs)
{
    int fd = open(PATH, O_RDWR);
    struct stat st;
    uint8_t *data;
    size_t n = 0;

    CHECK(fd >= 0 && !fstat(fd, &st));
    data = xmalloc(st.st_size);
    CHECK_EQ(read(fd, data, st.st_size), st.st_size);
    for (size_t i = 0; i + size + ofs < st.st_size; i++) {
        if (!memcmp(data + i, pattern, size)) {
            data[i + ofs] ^= 1;
            CHECK_EQ(pwrite(fd, data + i + ofs, 1, i + ofs), 1);
            n++;
        }
    }
    CHECK(n > 0);
    free(data);
    close(fd);
}

static void
test_tamper(void)
{
    uint8_t key[PHC_RECORD_MAX_KEY];
    struct phc_record r, want;
    struct phc_store *s;
    size_t len;

    /* In the key, in the value, in the MAC. */
    for (size_t i = 0; i < 3; i++) {
        clean();
        s = must_open();
        CHECK_EQ(put(s, 0, 100), 0);
        phc_store_close(s);
        make_session(&want, 50);
        len = phc_record_format_key(&want, key);
        tamper(key, len, (const size_t[]) { 39, len + 4, len + 25 }[i]);
        s = must_open();
        CHECK_EQ(load(s, 0).n_sessions, 99);
        CHECK_EQ(counts_of(s).tampered, 1);
        CHECK_EQ(counts_of(s).n, 99);
        CHECK_EQ(load(s, 0).n_sessions, 99);
        CHECK_EQ(counts_of(s).tampered, 1);
        phc_store_close(s);
    }

    /* When asked for. */
    clean();
    s = must_open();
    CHECK_EQ(put(s, 0, 100), 0);
    phc_store_close(s);
    tamper(key, len, len + 4);
    s = must_open();
    CHECK_EQ(phc_store_get(s, &want.key, &r), EBADMSG);
    CHECK_EQ(phc_store_get(s, &want.key, &r), ENOENT);
    phc_store_close(s);

    /* Another key: all of it. */
    unlink(KEY_PATH);
    s = must_open();
    CHECK_EQ(load(s, 0).n_sessions, 0);
    CHECK_EQ(counts_of(s).tampered, 99);
    phc_store_close(s);
    clean();
}

/* Killed in the middle of writing, again and again. */
static void
test_crash(void)
{
    struct phc_store *s;
    size_t last = 0;

    clean();
    for (int i = 0; i < 10; i++) {
        int fds[2], status;
        char c;

        CHECK(!pipe(fds));
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (!pid) {
            s = must_open();
            for (size_t n = 0; ; n++) {
                if (put(s, last + n * 100, 100)) {
                    _exit(1);
                }
                if (write(fds[1], "x", 1) != 1) {
                    _exit(1);
                }
            }
        }
        close(fds[1]);
        for (int j = 0; j <= i; j++) {
            CHECK_EQ(read(fds[0], &c, 1), 1);
        }
        CHECK(!kill(pid, SIGKILL));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        size_t committed = i + 1;
        while (read(fds[0], &c, 1) == 1) {
            committed++;
        }
        close(fds[0]);

        s = must_open();
        CHECK_EQ(counts_of(s).replaced, 0);
        size_t n = load(s, 0).n_sessions;
        CHECK(n >= last + committed * 100 && n % 100 == 0);
        CHECK_EQ(counts_of(s).tampered, 0);
        last = n;
        phc_store_close(s);
    }
    clean();
}

static int
read_buffer(void *data, void *buf, size_t size, size_t offset)
{
    memcpy(buf, (uint8_t *) data + offset, size);
    return 0;
}

/* A file with wrong bytes anywhere is refused or can be used; never is it the
 * end of the process. */
static void
test_damage(void)
{
    struct phc_change change = { .delete = false };
    struct phc_store *s;
    struct ext_rng rng;
    const char *why;
    struct stat st;
    size_t refused = 0;

    clean();
    s = must_open();
    /* With free pages and three levels. */
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(put(s, i * 2500, 5000), 0);
    }
    change.delete = true;
    for (int i = 0; i < 100; i++) {
        make_session(&change.record, i * 3);
        CHECK_EQ(phc_store_write(s, &change, 1), 0);
    }
    phc_store_close(s);
    int fd = open(PATH, O_RDWR);
    CHECK(fd >= 0 && !fstat(fd, &st));
    uint8_t *data = xmalloc(st.st_size);
    CHECK_EQ(read(fd, data, st.st_size), st.st_size);
    CHECK_EQ(phc_check_fd(fd, &why), 0);
    close(fd);

    ext_rng_init(&rng, 1);
    for (int i = 0; i < 150; i++) {
        uint8_t *copy = xmemdup(data, st.st_size);
        size_t size = st.st_size;

        if (i % 5 == 0) {
            size = ext_rng_range(&rng, size);
        } else {
            for (int j = 0; j < 1 << i % 7; j++) {
                size_t page = ext_rng_range(&rng, size / 4096);

                /* Headers and pointers, rather than contents. */
                copy[page * 4096 + ext_rng_range(&rng, i & 1 ? 4096 : 32)]
                    ^= 1 << ext_rng_range(&rng, 8);
            }
        }
        refused += phc_check(read_buffer, copy, size, &why) != 0;
        fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
        CHECK_EQ(write(fd, copy, size), size);
        close(fd);
        unlink(PATH "-lock");
        s = must_open();
        load(s, 0);
        CHECK_EQ(put(s, 100000, 500), 0);
        load(s, 0);
        phc_store_close(s);
        free(copy);
    }
    CHECK(refused > 20);
    free(data);

    /* Not such a file at all. */
    fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(fd, "hello", 5), 5);
    close(fd);
    s = must_open();
    CHECK_EQ(counts_of(s).replaced, 1);
    CHECK(!access(PATH ".corrupt", F_OK));
    phc_store_close(s);
    clean();
}

/* Fills the store to its last page.  Returns how many sessions there are. */
static size_t
fill(struct phc_store *s)
{
    size_t n = 0;

    for (size_t batch = 512; batch; batch /= 2) {
        while (!put(s, n, batch)) {
            n += batch;
            CHECK(n < 100000);
        }
    }
    return n;
}

/* A file that is full has room again once something in it has expired, or is
 * deleted. */
static void
test_full_recovers(const struct phc_store_config *small)
{
    struct phc_change changes[3000];
    struct phc_store *s;
    struct stat st;
    char *error;
    size_t n;

    clean();
    CHECK_EQ(phc_store_open(small, &s, &error), 0);
    n = fill(s);
    CHECK(n > 3000);
    CHECK_EQ(phc_store_purge(s, 1000), 0);
    CHECK_EQ(counts_of(s).n, n - 1);
    CHECK_EQ(phc_store_purge(s, 1000 + n - 10), 0);
    CHECK_EQ(counts_of(s).n, 9);
    for (int i = 0; i < 20; i++) {
        n = fill(s);
        CHECK(n > 3000);
        CHECK_EQ(phc_store_purge(s, 1000 + n * 2), 0);
        CHECK_EQ(counts_of(s).n, 0);
    }
    phc_store_close(s);
    CHECK(!stat(PATH, &st) && st.st_size <= small->max_bytes * 9 / 8);

    /* Of a batch, those that delete. */
    clean();
    CHECK_EQ(phc_store_open(small, &s, &error), 0);
    n = fill(s);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        make_session(&changes[i].record, i);
        changes[i].delete = i % 10 != 0;
    }
    CHECK_EQ(phc_store_delete(s, changes, ARRAY_SIZE(changes)), 2700);
    CHECK_EQ(counts_of(s).n, n - 2700);
    phc_store_close(s);

    /* All that has expired goes with one load. */
    CHECK_EQ(phc_store_open(small, &s, &error), 0);
    CHECK_EQ(load(s, UINT64_C(1) << 40).n_sessions, 0);
    CHECK_EQ(counts_of(s).n, 0);
    CHECK_EQ(put(s, 0, 500), 0);
    phc_store_close(s);
    clean();
}

/* A file, then a disk, that is full. */
static void
test_full(void)
{
    struct phc_store_config small = config;
    struct phc_store *s;
    char *error;
    size_t n = 0;

    clean();
    small.max_bytes = 1 << 20;
    CHECK_EQ(phc_store_open(&small, &s, &error), 0);
    while (!put(s, n, 500)) {
        n += 500;
        CHECK(n < 100000);
    }
    CHECK(n >= 1000);
    CHECK_EQ(put(s, n, 500), ENOSPC);
    CHECK_EQ(load(s, 0).n_sessions, n);
    CHECK_EQ(load(s, 1000 + n / 2).n_sessions, n - n / 2 - 1);
    CHECK(counts_of(s).errors >= 2);
    phc_store_close(s);
    test_full_recovers(&small);

    clean();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        struct rlimit limit = { 300000, 300000 };

        signal(SIGXFSZ, SIG_IGN);
        s = must_open();
        CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
        for (n = 0; !put(s, n, 500); n += 500) {
            CHECK(n < 100000);
        }
        CHECK(n > 0);
        CHECK_EQ(load(s, 0).n_sessions, n);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
    s = must_open();
    CHECK_EQ(counts_of(s).replaced, 0);
    CHECK(load(s, 0).n_sessions >= 500);
    phc_store_close(s);
    clean();
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "keep", test_keep },
        { "templates", test_templates },
        { "restore", test_restore },
        { "modes", test_modes },
        { "tamper", test_tamper },
        { "crash", test_crash },
        { "damage", test_damage },
        { "full", test_full },
        { "thread", test_thread },
        { "broken", test_broken },
        { NULL, NULL },
    };

    /* What it says of damage is wanted, but not here. */
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    return run_tests(tests, argc, argv);
}
