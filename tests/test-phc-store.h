/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_PHC_STORE_H
#define TEST_PHC_STORE_H 1

/* What the tests of the header cache's second level share. */

#include "datapath-hooks/session/phc-store.h"
#include "tests/test-steering-util.h"

#define PATH "phc.mdb"
#define KEY_PATH "phc.key"

extern const struct phc_store_config config;

/* Removes the files. */
void clean(void);
struct phc_store *must_open(void);

/* Makes session number 'i', which expires at 1000 + 'i'. */
void make_session(struct phc_record *, uint64_t i);
/* Makes the header of service 1 towards 'owner'. */
void make_template(struct phc_record *, uint32_t owner);

/* Tests in test-phc-restore.c and test-phc-l2.c. */
void test_restore(void);
void test_thread(void);
void test_broken(void);

#endif /* test-phc-store.h */
