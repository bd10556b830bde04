/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What the sketch of the traffic profiler costs and finds.
 *
 * usage: bench-sketch SKETCH TRAFFIC TRAFFIC-ARGS PACKETS [SEED]
 *
 * SKETCH is "ext" or, to compare, "rte-member:RATE" (DPDK's sketch at a
 * sampling rate).  Packets are made a thousand at a time, into the same
 * buffers again, as a NIC's memory pool has it; only what the sketch does with
 * them is timed.  As in the daemon, a reader looks at our sketch every 100 ms
 * of 10 Mpps and begins an epoch every second.  Prints one line of JSON. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_member.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/profile/tp-sketch.h"
#include "tests/bench-sketch.h"
#include "timeval.h"
#include "util.h"

enum {
    CHUNK = 1024,               /* Packets between two looks at the clock. */
    TOP = 100,
    READ_PERIOD = 1000000,      /* Packets; 100 ms at 10 Mpps. */
    EPOCH_READS = 10,
    SAMPLES = 2000              /* That the agent asks for between reads. */
};

struct counted {
    uint32_t key;               /* Hash, or number of the flow. */
    uint64_t packets;
};

static int
by_packets(const void *a_, const void *b_)
{
    const struct counted *a = a_, *b = b_;

    return (a->packets > b->packets ? -1 : a->packets < b->packets ? 1
            : a->key < b->key ? -1 : a->key > b->key);
}

/* Time of this thread, so that what others do meanwhile does not count. */
static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* A sketch under test. */
struct sketch {
    /* Ours, and what the reader has of it. */
    struct tp_sketch *tp;
    struct hmap totals;         /* Contains struct total. */
    uint32_t *gens;
    uint64_t *counts;
    size_t reads;

    /* DPDK's. */
    struct rte_member_setsum *member;
    size_t bytes;
};

struct total {
    struct hmap_node node;
    uint32_t key;
    uint64_t packets;
};

static void
sketch_read(struct sketch *s)
{
    static struct tp_sample samples[TP_DEFAULT_SAMPLES];
    struct total *t;

    for (size_t i = 0; i < tp_sketch_n_entries(s->tp); i++) {
        struct tp_entry e;
        uint64_t packets;

        if (!tp_sketch_read(s->tp, i, s->gens[i], &e)) {
            continue;
        }
        if (e.gen != s->gens[i]) {
            packets = tp_count_packets(e.count) + e.credit;
        } else {
            packets = tp_count_packets(e.count - s->counts[i]);
        }
        s->gens[i] = e.gen;
        s->counts[i] = e.count;
        if (!packets) {
            continue;
        }
        HMAP_FOR_EACH_WITH_HASH (t, node, hash_int(e.key, 0), &s->totals) {
            if (t->key == e.key) {
                break;
            }
        }
        if (!t) {
            t = xzalloc(sizeof *t);
            t->key = e.key;
            hmap_insert(&s->totals, &t->node, hash_int(e.key, 0));
        }
        t->packets += packets;
    }
    tp_sketch_pop(s->tp, samples, ARRAY_SIZE(samples));
    if (++s->reads % EPOCH_READS == 0) {
        tp_sketch_age(s->tp);
    }
}

static struct sketch *
sketch_create(const char *name, uint64_t seed)
{
    struct sketch *s = xzalloc(sizeof *s);
    double rate;

    hmap_init(&s->totals);
    if (!strncmp(name, "ext", 3)) {
        unsigned int entries = TP_DEFAULT_ENTRIES;

        ovs_scan(name, "ext:%u", &entries);
        s->tp = tp_sketch_create(entries, TP_DEFAULT_SAMPLES, seed);
        tp_sketch_set_sampling(s->tp, READ_PERIOD / SAMPLES);
        s->bytes = tp_sketch_bytes(s->tp);
        s->gens = xcalloc(tp_sketch_n_entries(s->tp), sizeof *s->gens);
        s->counts = xcalloc(tp_sketch_n_entries(s->tp), sizeof *s->counts);
    } else if (ovs_scan(name, "rte-member:%lf", &rate)) {
        struct rte_malloc_socket_stats before, after;
        struct rte_member_parameters params = {
            .name = "sketch",
            .type = RTE_MEMBER_TYPE_SKETCH,
            .key_len = sizeof(uint32_t),
            .prim_hash_seed = 1 + seed,
            .sec_hash_seed = 11 + seed,
            .socket_id = SOCKET_ID_ANY,
            .sample_rate = rate,
            .error_rate = 0.001,
            .top_k = TOP,
        };
        rte_malloc_get_socket_stats(0, &before);
        s->member = rte_member_create(&params);
        if (!s->member) {
            ovs_fatal(0, "%s: cannot create it", name);
        }
        rte_malloc_get_socket_stats(0, &after);
        s->bytes = after.heap_allocsz_bytes - before.heap_allocsz_bytes;
    } else {
        ovs_fatal(0, "there is no sketch \"%s\"", name);
    }
    return s;
}

/* Adds a chunk; returns how long it took. */
static uint64_t
sketch_add(struct sketch *s, const struct traffic_packet *packets,
           uint8_t (*heads)[TRAFFIC_HEAD], uint64_t time)
{
    uint64_t start = now_ns();

    if (s->member) {
        for (size_t i = 0; i < CHUNK; i++) {
            rte_member_add(s->member, &packets[i].flow, 1);
        }
    } else {
        for (size_t i = 0; i < CHUNK; i += TP_BURST) {
            struct tp_burst burst;

            burst.n = TP_BURST;
            for (size_t j = 0; j < TP_BURST; j++) {
                burst.hash[j] = packets[i + j].hash;
                burst.len[j] = packets[i + j].len;
                burst.data[j] = heads[i + j];
            }
            tp_sketch_add(s->tp, &burst, time);
        }
    }
    return now_ns() - start;
}

/* Stores what the sketch takes for the TOP flows.  Returns how many. */
static size_t
sketch_top(struct sketch *s, struct counted top[TOP])
{
    if (s->member) {
        void *keys[TOP];
        uint64_t counts[TOP];
        int n = rte_member_report_heavyhitter(s->member, keys, counts);

        for (int i = 0; i < n; i++) {
            top[i].key = *(uint32_t *) keys[i];
            top[i].packets = counts[i];
        }
        return MAX(n, 0);
    } else {
        struct counted *all;
        struct total *t;
        size_t n = 0, n_top;

        sketch_read(s);
        all = xcalloc(hmap_count(&s->totals) + 1, sizeof *all);
        HMAP_FOR_EACH (t, node, &s->totals) {
            all[n].key = t->key;
            all[n++].packets = t->packets;
        }
        qsort(all, n, sizeof *all, by_packets);
        n_top = MIN(n, TOP);
        memcpy(top, all, n_top * sizeof *top);
        free(all);
        return n_top;
    }
}

/* Returns how many of 'top' are among the TOP flows by 'truth'; flows with as
 * many packets as the last of those count. */
static size_t
score(const struct counted *top, size_t n, bool by_hash,
      const uint64_t *truth, const uint32_t *hashes, size_t n_flows,
      uint64_t *least)
{
    struct counted *all = xcalloc(n_flows, sizeof *all);
    size_t n_true = 0, hits = 0;

    for (size_t f = 0; f < n_flows; f++) {
        all[f].key = by_hash ? hashes[f] : f;
        all[f].packets = truth[f];
    }
    qsort(all, n_flows, sizeof *all, by_packets);
    *least = all[MIN(TOP, n_flows) - 1].packets;
    while (n_true < n_flows && all[n_true].packets >= MAX(*least, 1)) {
        n_true++;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_true; j++) {
            if (all[j].key == top[i].key) {
                hits++;
                break;
            }
        }
    }
    free(all);
    return hits;
}

static void
run(const char *name, const char *traffic_name, const char *traffic_args,
    size_t n_packets, uint64_t seed)
{
    struct traffic *traffic = traffic_create(traffic_name, traffic_args,
                                             seed, n_packets);
    struct sketch *s = sketch_create(name, seed);
    struct traffic_packet packets[CHUNK];
    static uint8_t heads[CHUNK][TRAFFIC_HEAD];
    uint64_t *truth = NULL;
    uint32_t *hashes = NULL;
    size_t allocated = 0, n_top;
    struct counted top[TOP];
    uint64_t ns = 0, least;
    size_t since = 0, done;

    for (done = 0; done < n_packets; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++) {
            struct traffic_packet *p = &packets[i];

            traffic_next(traffic, p, heads[i]);
            if (p->flow >= allocated) {
                size_t n = MAX(p->flow + 1, 2 * allocated);

                truth = xrealloc(truth, n * sizeof *truth);
                hashes = xrealloc(hashes, n * sizeof *hashes);
                memset(truth + allocated, 0, (n - allocated) * sizeof *truth);
                memset(hashes + allocated, 0,
                       (n - allocated) * sizeof *hashes);
                allocated = n;
            }
            truth[p->flow]++;
            hashes[p->flow] = p->hash;
        }
        ns += sketch_add(s, packets, heads, done);
        since += CHUNK;
        if (s->tp && since >= READ_PERIOD) {
            since = 0;
            sketch_read(s);
        }
    }

    n_top = sketch_top(s, top);
    size_t flows = 0;
    for (size_t f = 0; f < allocated; f++) {
        flows += truth[f] > 0;
    }
    size_t hits = score(top, n_top, s->tp != NULL, truth, hashes, allocated,
                        &least);
    printf("{\"bench\": \"sketch\", \"sketch\": \"%s\", \"traffic\": \"%s\", "
           "\"packets\": %"PRIuSIZE", \"flows\": %"PRIuSIZE", "
           "\"ns_per_packet\": %.2f, \"top100\": %"PRIuSIZE", "
           "\"of\": %d, \"packets_of_100th\": %"PRIu64", "
           "\"bytes\": %"PRIuSIZE"}\n", name, traffic_name, done, flows,
           (double) ns / done, hits, (int) MIN(flows, TOP), least, s->bytes);
}

int
main(int argc, char *argv[])
{
    char *eal[] = { argv[0], CONST_CAST(char *, "--no-huge"),
                    CONST_CAST(char *, "--no-pci"),
                    CONST_CAST(char *, "--no-telemetry"),
                    CONST_CAST(char *, "--no-shconf"),
                    CONST_CAST(char *, "--file-prefix=bench-sketch"),
                    CONST_CAST(char *, "--log-level=error"),
                    CONST_CAST(char *, "-m"), CONST_CAST(char *, "256"),
                    CONST_CAST(char *, "--lcores=0") };
    unsigned long long int packets, seed = 1;

    if (argc < 5 || !str_to_ullong(argv[4], 10, &packets)
        || (argc > 5 && !str_to_ullong(argv[5], 10, &seed))) {
        ovs_fatal(0, "usage: bench-sketch SKETCH TRAFFIC TRAFFIC-ARGS PACKETS "
                  "[SEED]");
    }
    if (!strncmp(argv[1], "rte-", 4)
        && rte_eal_init(ARRAY_SIZE(eal), eal) < 0) {
        ovs_fatal(0, "cannot start EAL");
    }
    run(argv[1], argv[2], argv[3], packets, seed);
    return 0;
}
