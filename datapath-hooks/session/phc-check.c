/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/session/phc-check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bitmap.h"
#include "util.h"

enum {
    PAGE = 4096,                /* Ours; what LMDB takes on this system. */
    PAGE_HEADER = 16,
    NODE_HEADER = 8,
    MAX_DEPTH = 32,             /* LMDB's own limit. */
    MAX_UNWRITTEN = 65536,      /* Pages past the end of the file. */

    /* Flags of pages. */
    P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4, P_META = 8,
    /* Flags of nodes. */
    F_BIGDATA = 1
};

#define NO_PAGE UINT64_MAX

struct db {
    uint32_t pad;               /* Of the first: page size. */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    uint64_t address;
    uint64_t map_size;
    struct db dbs[2];           /* Free pages, records. */
    uint64_t last_page;
    uint64_t txn;
};
BUILD_ASSERT_DECL(sizeof(struct meta) == 136);

struct page {
    uint64_t number;
    uint16_t pad;
    uint16_t flags;
    union {
        struct {
            uint16_t lower, upper;
        };
        uint32_t n_pages;       /* Of overflow. */
    };
};
BUILD_ASSERT_DECL(sizeof(struct page) == PAGE_HEADER);

struct check {
    phc_check_read_func *read;
    void *aux;
    uint64_t n_pages;
    unsigned long *seen;
    const char *why;
    int error;                  /* Of the last read, or 0. */
    uint64_t entries;
    bool is_free_list;
};

static bool
bad(struct check *c, const char *why)
{
    c->why = why;
    return false;
}

static bool
read_page(struct check *c, uint64_t number, uint8_t *buf)
{
    c->error = c->read(c->aux, buf, PAGE, number * PAGE);
    return !c->error || bad(c, "a page cannot be read");
}

/* Notes that pages 'number'... belong to somebody. */
static bool
take_pages(struct check *c, uint64_t number, uint64_t n)
{
    if (number < 2 || n > c->n_pages || number > c->n_pages - n) {
        return bad(c, "a page number is out of range");
    }
    for (uint64_t i = number; i < number + n; i++) {
        if (bitmap_is_set(c->seen, i)) {
            return bad(c, "a page is in use twice");
        }
        bitmap_set1(c->seen, i);
    }
    return true;
}

static uint16_t
get16(const uint8_t *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t
get64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

/* A record of the list of free pages: how many, then their numbers, which must
 * fall. */
static bool
check_free(struct check *c, const uint8_t *data, size_t size)
{
    uint64_t n, last = NO_PAGE;

    if (size < 8) {
        return bad(c, "a list of free pages is cut short");
    }
    n = get64(data);
    if (n > size / 8 - 1) {
        return bad(c, "a list of free pages is cut short");
    }
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t number = get64(data + i * 8);

        if (number >= last) {
            return bad(c, "a list of free pages is out of order");
        }
        last = number;
        if (!take_pages(c, number, 1)) {
            return false;
        }
    }
    return true;
}

static bool
check_overflow(struct check *c, uint64_t number, size_t size)
{
    uint64_t n = DIV_ROUND_UP(PAGE_HEADER + size, PAGE);
    uint8_t *buf;
    struct page page;
    bool ok;

    if (!take_pages(c, number, n)) {
        return false;
    }
    buf = xmalloc(n * PAGE);
    ok = (!c->read(c->aux, buf, n * PAGE, number * PAGE)
          || bad(c, "a page cannot be read"));
    if (ok) {
        memcpy(&page, buf, sizeof page);
        ok = ((page.number == number && page.flags == P_OVERFLOW
               && page.n_pages == n) || bad(c, "an overflow page is none"));
    }
    if (ok && c->is_free_list) {
        ok = check_free(c, buf + PAGE_HEADER, size);
    }
    free(buf);
    return ok;
}

/* The size of a node with 'room' bytes to the end of its page, as LMDB rounds
 * it; 0 if it does not fit. */
static size_t
node_size(const uint8_t *node, size_t room, bool is_leaf)
{
    size_t size = NODE_HEADER + (size_t) get16(node + 6);

    if (is_leaf) {
        size += (get16(node + 4) & F_BIGDATA ? 8
                 : get16(node) | (size_t) get16(node + 2) << 16);
    }
    size = ROUND_UP(size, 2);
    return size <= room ? size : 0;
}

/* Whether the nodes of a page fill what is said to be filled, none over
 * another, with keys that rise: LMDB moves nodes about on that condition. */
static bool
check_nodes(struct check *c, const uint8_t *buf, const struct page *page,
            size_t n)
{
    bool is_leaf = page->flags == P_LEAF;
    const uint8_t *last = NULL;
    uint8_t taken[PAGE] = { 0 };
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        size_t ofs = get16(buf + PAGE_HEADER + 2 * i), size;
        const uint8_t *node = buf + ofs;

        if (ofs < page->upper || ofs > PAGE - NODE_HEADER || ofs % 2) {
            return bad(c, "a node is out of its page");
        }
        size = node_size(node, PAGE - ofs, is_leaf);
        if (!size || memchr(taken + ofs, 1, size)) {
            return bad(c, "a node does not fit its page");
        }
        memset(taken + ofs, 1, size);
        total += size;

        /* The first key of a branch counts for nothing. */
        if (!c->is_free_list && (is_leaf || i)) {
            if (last) {
                size_t a = get16(last + 6), b = get16(node + 6);
                int cmp = memcmp(last + NODE_HEADER, node + NODE_HEADER,
                                 MIN(a, b));

                if (cmp > 0 || (!cmp && a >= b)) {
                    return bad(c, "keys are out of order");
                }
            }
            last = node;
        }
    }
    return (total == PAGE - page->upper
            || bad(c, "a page is not as full as it says"));
}

static bool
check_leaf(struct check *c, const uint8_t *node)
{
    size_t size = get16(node) | (uint32_t) get16(node + 2) << 16;
    uint16_t flags = get16(node + 4), key_size = get16(node + 6);
    const uint8_t *data = node + NODE_HEADER + key_size;

    if (flags & ~F_BIGDATA || (c->is_free_list && key_size != 8)) {
        return bad(c, "a node is of an unknown kind");
    }
    c->entries++;
    if (flags & F_BIGDATA) {
        return check_overflow(c, get64(data), size);
    }
    return !c->is_free_list || check_free(c, data, size);
}

static bool
check_tree(struct check *c, uint64_t number, unsigned int levels)
{
    uint8_t buf[PAGE];
    struct page page;
    size_t n;

    if (!take_pages(c, number, 1) || !read_page(c, number, buf)) {
        return false;
    }
    memcpy(&page, buf, sizeof page);
    n = page.lower >= PAGE_HEADER ? (page.lower - PAGE_HEADER) / 2 : 0;
    if (page.number != number || page.flags != (levels ? P_BRANCH : P_LEAF)
        || page.lower < PAGE_HEADER || page.lower > page.upper
        || page.upper > PAGE || !n || (levels && n < 2)) {
        return bad(c, "a page's header makes no sense");
    }
    if (!check_nodes(c, buf, &page, n)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t *node = buf + get16(buf + PAGE_HEADER + 2 * i);

        if (levels) {
            uint64_t child = (get16(node) | (uint64_t) get16(node + 2) << 16
                              | (uint64_t) get16(node + 4) << 32);

            if (!check_tree(c, child, levels - 1)) {
                return false;
            }
        } else if (!check_leaf(c, node)) {
            return false;
        }
    }
    return true;
}

static bool
check_db(struct check *c, const struct db *db, bool is_free_list)
{
    c->entries = 0;
    c->is_free_list = is_free_list;
    /* In the flags of the free list LMDB keeps those of the file. */
    if (db->flags && !is_free_list) {
        return bad(c, "a tree is of an unknown kind");
    }
    if (db->root == NO_PAGE) {
        return ((!db->depth && !db->entries)
                || bad(c, "an empty tree is not empty"));
    }
    if (!db->depth || db->depth > MAX_DEPTH) {
        return bad(c, "a tree's description makes no sense");
    }
    return (check_tree(c, db->root, db->depth - 1)
            && (c->entries == db->entries
                || bad(c, "a tree has lost records")));
}

static bool
read_meta(struct check *c, uint64_t number, struct meta *meta)
{
    uint8_t buf[PAGE];
    struct page page;

    if (!read_page(c, number, buf)) {
        return false;
    }
    memcpy(&page, buf, sizeof page);
    memcpy(meta, buf + PAGE_HEADER, sizeof *meta);
    return ((page.number == number && page.flags == P_META
             && meta->magic == 0xbeefc0de && meta->version == 1
             && meta->dbs[0].pad == PAGE)
            || bad(c, "it has no valid meta page"));
}

static bool
check_all(struct check *c)
{
    struct meta metas[2], *m;

    if (c->n_pages < 2) {
        return bad(c, "it is too short");
    }
    if (!read_meta(c, 0, &metas[0]) || !read_meta(c, 1, &metas[1])) {
        return false;
    }
    /* LMDB finds the newest by its number, and later its place by that. */
    m = &metas[metas[1].txn > metas[0].txn];
    if ((m->txn & 1) != m - metas) {
        return bad(c, "its meta pages make no sense");
    }
    /* Pages given back before they were ever written may lie past the end. */
    if (m->last_page < 1 || m->last_page > c->n_pages + MAX_UNWRITTEN) {
        return bad(c, "it is cut short");
    }
    c->n_pages = m->last_page + 1;
    c->seen = bitmap_allocate(c->n_pages);

    bool ok = check_db(c, &m->dbs[1], false) && check_db(c, &m->dbs[0], true);
    bitmap_free(c->seen);
    return ok;
}

/* Returns 0 if the file of 'file_size' bytes, read with 'read', is sound, else
 * EINVAL, or the error of 'read', and in '*why' what is wrong. */
int
phc_check(phc_check_read_func *read_cb, void *aux, size_t file_size,
          const char **why)
{
    struct check c = {
        .read = read_cb, .aux = aux, .n_pages = file_size / PAGE,
    };
    bool ok = check_all(&c);

    *why = c.why;
    return ok ? 0 : c.error ? c.error : EINVAL;
}

static int
read_fd(void *fd, void *buf, size_t size, size_t offset)
{
    ssize_t n = pread(*(int *) fd, buf, size, offset);

    return n < 0 ? errno : (size_t) n < size ? EINVAL : 0;
}

int
phc_check_fd(int fd, const char **why)
{
    struct stat st;

    if (fstat(fd, &st)) {
        *why = ovs_strerror(errno);
        return errno;
    }
    return phc_check(read_fd, &fd, st.st_size, why);
}
