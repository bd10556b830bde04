/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_PHC_H
#define TEST_PHC_H 1

/* What the tests of the header cache's first level share. */

#include "ovs-ext/session/phc.h"
#include "tests/test-sess.h"

/* The IPv4-mapped address 'addr', in host byte order. */
struct in6_addr v4(uint32_t addr);

/* A VXLAN tunnel to host 'owner', and its header without what a packet brings;
 * returns the header's length. */
struct phc_tunnel make_tunnel(uint32_t owner);
size_t make_header(uint32_t owner, uint8_t header[PHC_MAX_HEADER]);

/* A cache in which hosts 1 to 'owners' are members of service 1. */
struct phc *make_cache(size_t entries, uint32_t owners);

/* Looks one key up, and checks the counters. */
struct phc_ref lookup(struct phc *, const struct sess_key *, uint32_t now);

/* Tests in test-phc-header.c and test-phc-race.c. */
void test_push(void);
void test_shapes(void);
void test_long(void);
void test_route(void);
void test_race_phc(void);

#endif /* test-phc.h */
