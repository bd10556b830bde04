/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_PROFILE_H
#define TEST_PROFILE_H 1

/* Helpers of test-profile: frames, and packets of numbered flows. */

#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/profile/tp-sketch.h"

enum { FRAME_MAX = 160 };

/* What a frame is to be. */
struct frame_spec {
    uint16_t vlan;              /* 0: no tag. */
    uint32_t vni;               /* 0: no tunnel... */
    uint16_t tunnel_port;       /* ...else its UDP port. */
    uint8_t options;            /* Of Geneve, words. */
    bool ip6;
    uint8_t proto;
    uint32_t src, dst;          /* Last four bytes of the addresses. */
    uint16_t tp_src, tp_dst;
};

/* Writes the frame and returns its length, which is at most FRAME_MAX. */
size_t frame_make(const struct frame_spec *, uint8_t frame[FRAME_MAX]);

/* A burst that is being filled, and then added to a sketch. */
struct filler {
    struct tp_sketch *sketch;
    uint64_t time;
    struct tp_burst burst;
    uint8_t frames[TP_BURST][FRAME_MAX];
};

/* Adds a packet of flow number 'flow', 'len' bytes long (the bytes after the
 * frame are not there: len may exceed it). */
void filler_add(struct filler *, const struct frame_spec *, uint32_t flow);
void filler_flush(struct filler *);

uint32_t flow_hash(uint32_t flow);

/* In test-profile-sketch.c. */
void test_parse(void);
void test_truncated(void);
void test_exact(void);
void test_top(void);
void test_old(void);
void test_samples(void);
void test_slice(void);
void test_race(void);

#endif /* test-profile.h */
