/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef BENCH_SKETCH_H
#define BENCH_SKETCH_H 1

/* Traffic for tests/bench-sketch.c: an endless sequence of packets, each with
 * the number of its flow, which is the truth that sketches are held to. */

#include <stddef.h>
#include <stdint.h>

enum { TRAFFIC_HEAD = 64 };     /* Bytes of a frame that exist. */

struct traffic_packet {
    uint32_t flow;              /* Below traffic_n_flows(). */
    uint32_t hash;              /* RSS hash. */
    uint32_t len;               /* Of the head, at most TRAFFIC_HEAD. */
};

struct traffic;

/* 'name' is "zipf", "flow-model", "captures" or "mixture"; 'args' are devargs
 * of the NIC model for the former, the path of a mixture for the last. */
struct traffic *traffic_create(const char *name, const char *args,
                               uint64_t seed, size_t n_packets);
void traffic_destroy(struct traffic *);

/* Stores the next packet and its head. */
void traffic_next(struct traffic *, struct traffic_packet *,
                  uint8_t head[TRAFFIC_HEAD]);
size_t traffic_n_flows(const struct traffic *);

#endif /* bench-sketch.h */
