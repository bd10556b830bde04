/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_UTIL_H
#define TEST_UTIL_H 1

/* What unit test programs share: checks that name what failed, and a table of
 * named tests. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define CHECK(COND)                                                     \
    do {                                                                \
        if (!(COND)) {                                                  \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__,      \
                    __LINE__, #COND);                                   \
            exit(1);                                                    \
        }                                                               \
    } while (0)

#define CHECK_EQ(A, B)                                                  \
    do {                                                                \
        long long int a__ = (A), b__ = (B);                             \
        if (a__ != b__) {                                               \
            fprintf(stderr, "%s:%d: %s is %lld, but %s is %lld\n",      \
                    __FILE__, __LINE__, #A, a__, #B, b__);              \
            exit(1);                                                    \
        }                                                               \
    } while (0)

/* A named test; a table of them is run by run_tests(). */
struct test {
    const char *name;
    void (*run)(void);
};

/* Runs the tests named on the command line, or all.  Returns the exit code. */
static inline int
run_tests(const struct test *tests, int argc, char *argv[])
{
    for (int i = 1; i < MAX(argc, 2); i++) {
        bool found = false;

        for (const struct test *t = tests; t->name; t++) {
            if (argc < 2 || !strcmp(argv[i], t->name)) {
                found = true;
                t->run();
                printf("%s: ok\n", t->name);
            }
        }
        if (!found) {
            fprintf(stderr, "%s: no such test; there are", argv[i]);
            for (const struct test *t = tests; t->name; t++) {
                fprintf(stderr, " %s", t->name);
            }
            fprintf(stderr, "\n");
            return 1;
        }
    }
    return 0;
}

#endif /* test-util.h */
