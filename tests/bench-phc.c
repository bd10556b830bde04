/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the header cache costs and how often it hits.
 *
 * usage: bench-phc l1 ENTRIES OWNERS TRAFFIC [SEED]
 *        bench-phc sess SESSIONS [SEED]
 *        bench-phc l2 ENTRIES DIRECTORY [SEED]
 *
 * "l1" takes ENTRIES sessions with OWNERS templates; TRAFFIC is "uniform", all
 * equally often, or "flow-model", the NIC model's flows.  Timed is from the
 * key to the complete header in front of a packet, in bursts of 32; buffers
 * are those of a small memory pool.  "sess" times the session table, and the
 * hash maps of OVS and DPDK beside it.  "l2" times the store and a restart.
 * Prints lines of JSON. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_hash.h>

#include "cmap.h"
#include "datapath-hooks/session/phc-l2.h"
#include "ovs-ext/core/ext-headers.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/phc.h"
#include "ovs-ext/session/sess-table.h"
#include "tests/bench-sketch.h"
#include "util.h"

enum {
    BURST = 32,
    BUFFERS = 512,
    BUFFER = 256,
    ROUNDS = 9
};

static uint64_t
now_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static int
compare(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static double
median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare);
    return x[n / 2];
}

static void
make_key(struct sess_key *key, uint64_t i)
{
    uint64_t x = i;

    x = ext_splitmix64(&x);
    sess_key_init_ip4(key, htonl(x), htonl(0x0a000001), htons(x >> 32),
                      htons(443), IPPROTO_TCP, i & 7);
}

static size_t
make_header(uint32_t owner, uint8_t header[PHC_MAX_HEADER],
            struct in6_addr *dst)
{
    struct phc_tunnel t = {
        .encap = PHC_VXLAN, .ttl = 64, .df = true, .dport = htons(4789),
        .vni = 100,
    };
    struct phc_shape shape;

    t.eth_dst.ea[5] = owner;
    t.eth_dst.ea[4] = owner >> 8;
    in6_addr_set_mapped_ipv4(&t.src, htonl(0xc0a80001));
    in6_addr_set_mapped_ipv4(&t.dst, htonl(0xac100000 + owner));
    *dst = t.dst;
    return phc_header_build(&t, header, &shape);
}

static struct phc *
make_cache(size_t entries, uint32_t owners, uint64_t seed)
{
    struct phc_config config = {
        .entries = entries, .templates = owners, .seed = seed
    };
    struct phc *phc = phc_create(&config);
    struct phc_member *members = xcalloc(owners, sizeof *members);
    uint8_t header[PHC_MAX_HEADER];

    for (uint32_t i = 0; i < owners; i++) {
        members[i].owner = i;
        make_header(i, header, &members[i].addr);
    }
    phc_service_set(phc, 1, members, owners);
    for (uint32_t i = 0; i < owners; i++) {
        struct in6_addr dst;
        size_t len = make_header(i, header, &dst);

        if (phc_template_set(phc, 1, i, header, len)) {
            ovs_fatal(0, "template %"PRIu32" refused", i);
        }
    }
    free(members);
    return phc;
}

static void
emit(const char *level, const char *op, size_t entries, const char *unit,
     double value, double hit_ratio, const char *more)
{
    printf("{\"bench\": \"header-cache\", \"level\": \"%s\", \"op\": \"%s\", "
           "\"entries\": %"PRIuSIZE", \"%s\": %.2f", level, op, entries, unit,
           value);
    if (hit_ratio >= 0) {
        printf(", \"hit_ratio\": %.5f", hit_ratio);
    }
    printf("%s}\n", more);
    fflush(stdout);
}

/* Level 1. */

/* Nanoseconds of a cycle of the time stamp counter. */
static double
tsc_ns(void)
{
    static double ns;

    if (!ns) {
        uint64_t start = now_ns(CLOCK_MONOTONIC), cycles = rte_rdtsc();

        while (now_ns(CLOCK_MONOTONIC) - start < 20000000) {
            continue;
        }
        ns = ((double) (now_ns(CLOCK_MONOTONIC) - start)
              / (rte_rdtsc() - cycles));
    }
    return ns;
}

/* Looks up and pushes; returns the ns each.  The keys of a burst are in the
 * first level of the processor's cache, as they are when they have just been
 * taken from packets. */
static double
time_push(struct phc *phc, const struct sess_key *keys, size_t n,
          struct phc_stats *stats, uint64_t *pushed)
{
    static uint8_t buffers[BUFFERS][BUFFER] OVS_ALIGNED_VAR(64);
    double cycle = tsc_ns();
    struct phc_ref refs[BURST];
    uint64_t total = 0;

    for (size_t i = 0; i + BURST <= n; i += BURST) {
        struct phc_patch patch = { .ip_id = 0 };
        struct sess_key burst[BURST];
        size_t b = i % BUFFERS;

        memcpy(burst, &keys[i], sizeof burst);
        uint64_t start = rte_rdtsc_precise();
        phc_lookup(phc, burst, BURST, 0, refs, stats);
        for (size_t j = 0; j < BURST; j++) {
            patch.flow_hash = i + j;
            if (refs[j].template) {
                *pushed += phc_push(phc, refs[j], &buffers[b + j][128], 64,
                                    128, &patch) != 0;
            }
        }
        total += rte_rdtsc_precise() - start;
    }
    return total * cycle / ROUND_DOWN(n, BURST);
}

static void
bench_uniform(size_t entries, uint32_t owners, uint64_t seed)
{
    size_t n = 1 << 19;
    struct phc *phc = make_cache(entries, owners, seed);
    struct sess_key *keys = xcalloc(n, sizeof *keys);
    struct phc_stats stats = { .hits = 0 };
    uint64_t pushed = 0;
    double ns[ROUNDS], put_ns;
    struct ext_rng rng;
    struct phc_counts counts;

    put_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < entries; i++) {
        struct sess_key key;

        make_key(&key, i);
        phc_put(phc, &key, 1, i % owners, 0.5, 1000000, 0);
    }
    put_ns = (now_ns(CLOCK_THREAD_CPUTIME_ID) - put_ns) / entries;

    ext_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        make_key(&keys[i], ext_rng_range(&rng, entries));
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        ns[round] = time_push(phc, keys, n, &stats, &pushed);
    }

    char *more = xasprintf(", \"owners\": %"PRIu32", \"bytes\": %"PRIuSIZE
                           ", \"traffic\": \"uniform\"", owners,
                           phc_bytes(phc));
    emit("l1", "lookup-push", entries, "ns_per_op", median(ns, ROUNDS),
         (double) pushed / (ROUNDS * ROUND_DOWN(n, BURST)), more);
    phc_get_counts(phc, &counts);
    emit("l1", "put", entries, "ns_per_op", put_ns,
         (double) counts.n / entries, more);
    free(more);
    free(keys);
    phc_destroy(phc);
}

/* Hit ratio with the flows of the NIC model: a session is put in the cache by
 * its first packet, as its establishment would be.  'hit_ratio' counts first
 * packets as misses; "announced" leaves them out. */
static void
bench_flows(size_t entries, uint32_t owners, uint64_t seed)
{
    size_t n = 1 << 22, n_announced = 0, hits_announced = 0;
    struct phc *phc = make_cache(entries, owners, seed);
    struct traffic *traffic = traffic_create("flow-model", "active=8192",
                                             seed, 1 << 22);
    struct sess_key *keys = xcalloc(n, sizeof *keys);
    struct phc_stats stats = { .hits = 0 };
    uint8_t *seen = xzalloc(traffic_n_flows(traffic));
    uint64_t pushed = 0;
    double ns;

    for (size_t i = 0; i < n; i++) {
        uint8_t head[TRAFFIC_HEAD];
        struct traffic_packet p;
        struct ext_headers h;
        struct phc_ref ref;
        bool is_first;

        traffic_next(traffic, &p, head);
        ext_headers_parse(head, p.len, &h);
        if (!sess_key_from_headers(&keys[i], &h, 0)) {
            ovs_fatal(0, "a packet without a key");
        }
        is_first = !seen[p.flow];
        seen[p.flow] = 1;
        phc_lookup(phc, &keys[i], 1, i / 10000, &ref, &stats);
        n_announced += !is_first;
        hits_announced += !is_first && ref.template;
        if (!ref.template) {
            phc_put(phc, &keys[i], 1, p.flow % owners, 0.5,
                    i / 10000 + 60000, i / 10000);
        }
    }
    char *more = xasprintf(", \"owners\": %"PRIu32", \"traffic\": "
                           "\"flow-model\", \"flows\": %"PRIuSIZE", "
                           "\"hit_ratio_with_first_packets\": %.5f", owners,
                           traffic_n_flows(traffic),
                           (double) stats.hits / n);

    ns = time_push(phc, keys + n / 2, n / 2, &stats, &pushed);
    emit("l1", "lookup-push", entries, "ns_per_op", ns,
         (double) hits_announced / n_announced, more);
    free(more);
    free(keys);
    free(seen);
    traffic_destroy(traffic);
    phc_destroy(phc);
}

/* Sessions. */

struct node {
    struct cmap_node node;
    struct sess_key key;
};

static void
bench_sess(size_t entries, uint64_t seed)
{
    struct sess_config config;
    struct rte_hash_parameters params = {
        .name = "sessions", .entries = entries + entries / 4,
        .key_len = sizeof(struct sess_key),
        .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
    };
    struct rte_hash *rte = rte_hash_create(&params);
    struct cmap cmap = CMAP_INITIALIZER;
    size_t n = 1 << 19;
    struct sess_key *keys = xcalloc(n, sizeof *keys);
    struct node *nodes = xcalloc(entries, sizeof *nodes);
    double ns[3][ROUNDS];
    struct ext_rng rng;
    uint64_t found = 0;
    char *more;

    sess_config_init(&config);
    config.max = entries;
    config.seed = seed;
    struct sess_table *table = sess_table_create(&config);
    double put_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < entries; i++) {
        make_key(&nodes[i].key, i);
        sess_establish(table, &nodes[i].key, 1, 0);
    }
    put_ns = (now_ns(CLOCK_THREAD_CPUTIME_ID) - put_ns) / entries;
    for (size_t i = 0; i < entries; i++) {
        cmap_insert(&cmap, &nodes[i].node, sess_key_hash(&nodes[i].key, seed));
        if (rte && rte_hash_add_key(rte, &nodes[i].key) < 0) {
            ovs_fatal(0, "rte_hash is full");
        }
    }
    ext_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        make_key(&keys[i], ext_rng_range(&rng, entries));
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);

        for (size_t i = 0; i + BURST <= n; i += BURST) {
            sess_id ids[BURST];

            sess_find(table, &keys[i], BURST, ids);
            for (size_t j = 0; j < BURST; j++) {
                found += ids[j] != 0;
            }
        }
        ns[0][round] = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
        start = now_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < n; i++) {
            struct node *node;

            CMAP_FOR_EACH_WITH_HASH (node, node,
                                     sess_key_hash(&keys[i], seed), &cmap) {
                if (sess_key_equals(&node->key, &keys[i])) {
                    found++;
                    break;
                }
            }
        }
        ns[1][round] = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
        start = now_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; rte && i + BURST <= n; i += BURST) {
            const void *p[BURST];
            int32_t positions[BURST];

            for (size_t j = 0; j < BURST; j++) {
                p[j] = &keys[i + j];
            }
            rte_hash_lookup_bulk(rte, p, BURST, positions);
            for (size_t j = 0; j < BURST; j++) {
                found += positions[j] >= 0;
            }
        }
        ns[2][round] = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    more = xasprintf(", \"table\": \"ours\", \"bytes\": %"PRIuSIZE,
                     sess_table_bytes(table));
    emit("session", "get", entries, "ns_per_op", median(ns[0], ROUNDS) / n,
         (double) found / ((rte ? 3.0 : 2.0) * ROUNDS * n), more);
    emit("session", "put", entries, "ns_per_op", put_ns, -1, more);
    free(more);
    emit("session", "get", entries, "ns_per_op", median(ns[1], ROUNDS) / n,
         -1, ", \"table\": \"cmap\"");
    if (rte) {
        emit("session", "get", entries, "ns_per_op",
             median(ns[2], ROUNDS) / n, -1, ", \"table\": \"rte_hash\"");
    }
    free(keys);
}

/* Level 2. */

static void
take(const struct phc_record *r, struct phc *phc)
{
    if (r->type == PHC_RECORD_TEMPLATE) {
        phc_template_set(phc, r->service, r->owner, r->header,
                         r->header_len);
    } else {
        phc_put(phc, &r->key, r->service, r->owner, r->probability, 1000000,
                0);
    }
}

static double
bench_restart(const struct phc_store_config *config, size_t entries,
              uint32_t owners, uint64_t seed, double *hit_ratio)
{
    uint64_t start = now_ns(CLOCK_MONOTONIC), end;
    struct phc *phc = make_cache(entries, owners, seed);
    struct phc_l2 *l2 = phc_l2_start(config);
    struct phc_l2_counts counts;
    static struct phc_record records[1024];
    size_t n;

    do {
        phc_l2_get_counts(l2, &counts);
        n = phc_l2_answers(l2, records, ARRAY_SIZE(records));
        for (size_t i = 0; i < n; i++) {
            take(&records[i], phc);
        }
        if (counts.failed) {
            ovs_fatal(0, "%s", counts.error);
        }
    } while (n || !counts.loaded);
    end = now_ns(CLOCK_MONOTONIC);
    struct phc_counts held;
    phc_get_counts(phc, &held);
    *hit_ratio = (double) held.n / entries;
    phc_l2_stop(l2);
    phc_destroy(phc);
    return (end - start) / 1e6;
}

static void
bench_l2(size_t entries, const char *dir, uint64_t seed)
{
    enum { BATCH = 4096, GETS = 200000, OWNERS = 64 };
    char *path = xasprintf("%s/phc.mdb", dir);
    char *key_path = xasprintf("%s/phc.key", dir);
    struct phc_store_config config = {
        .path = path, .key_path = key_path,
        .max_bytes = (size_t) 4 << 30,
    };
    static struct phc_change changes[BATCH];
    struct phc_store *store;
    struct ext_rng rng;
    struct in6_addr dst;
    uint64_t start, hits = 0;
    double ms[3], ratio;
    char *error;

    if (phc_store_open(&config, &store, &error)) {
        ovs_fatal(0, "%s", error);
    }
    memset(changes, 0, sizeof changes);
    for (uint32_t i = 0; i < OWNERS; i++) {
        struct phc_record *r = &changes[i].record;

        r->type = PHC_RECORD_TEMPLATE;
        r->service = 1;
        r->owner = i;
        r->header_len = make_header(i, r->header, &dst);
    }
    if (phc_store_write(store, changes, OWNERS)) {
        ovs_fatal(0, "%s: cannot write", path);
    }
    start = now_ns(CLOCK_MONOTONIC);
    for (size_t done = 0; done < entries; done += BATCH) {
        size_t n = MIN(BATCH, entries - done);

        for (size_t i = 0; i < n; i++) {
            struct phc_record *r = &changes[i].record;

            r->type = PHC_RECORD_SESSION;
            r->service = 1;
            r->owner = (done + i) % OWNERS;
            r->probability = 0.5;
            r->expires = UINT64_C(1) << 50;
            make_key(&r->key, done + i);
        }
        if (phc_store_write(store, changes, n)) {
            ovs_fatal(0, "%s: cannot write", path);
        }
    }
    emit("l2", "put", entries, "ns_per_op",
         (double) (now_ns(CLOCK_MONOTONIC) - start) / entries, -1, "");

    ext_rng_init(&rng, seed);
    start = now_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < GETS; i++) {
        struct phc_record r;
        struct sess_key key;

        make_key(&key, ext_rng_range(&rng, entries));
        hits += !phc_store_get(store, &key, &r);
    }
    emit("l2", "get", entries, "ns_per_op",
         (double) (now_ns(CLOCK_MONOTONIC) - start) / GETS,
         (double) hits / GETS, "");
    phc_store_close(store);

    for (size_t i = 0; i < ARRAY_SIZE(ms); i++) {
        ms[i] = bench_restart(&config, entries, OWNERS, seed, &ratio);
    }
    emit("l2", "restart", entries, "ms", median(ms, ARRAY_SIZE(ms)), ratio,
         "");
    free(path);
    free(key_path);
}

int
main(int argc, char *argv[])
{
    char *eal[] = { argv[0], CONST_CAST(char *, "--no-huge"),
                    CONST_CAST(char *, "--no-pci"),
                    CONST_CAST(char *, "--no-telemetry"),
                    CONST_CAST(char *, "--no-shconf"),
                    CONST_CAST(char *, "--log-level=error"),
                    CONST_CAST(char *, "-m"), CONST_CAST(char *, "1024"),
                    CONST_CAST(char *, "--lcores=0") };
    unsigned long long int entries, owners = 0, seed = 1;
    int n = argc > 1 ? (!strcmp(argv[1], "l1") ? 5
                        : !strcmp(argv[1], "l2") ? 4
                        : !strcmp(argv[1], "sess") ? 3 : 99) : 99;

    if (argc < n || !str_to_ullong(argv[2], 10, &entries) || !entries
        || (n == 5 && (!str_to_ullong(argv[3], 10, &owners) || !owners
                       || owners > PHC_MAX_TEMPLATES))
        || (argc > n && !str_to_ullong(argv[n], 10, &seed))) {
        ovs_fatal(0, "usage: bench-phc l1 ENTRIES OWNERS TRAFFIC [SEED] | "
                  "sess SESSIONS [SEED] | l2 ENTRIES DIRECTORY [SEED]");
    }
    if (n == 3) {
        if (rte_eal_init(ARRAY_SIZE(eal), eal) < 0) {
            ovs_fatal(0, "cannot start EAL");
        }
        bench_sess(entries, seed);
    } else if (n == 4) {
        bench_l2(entries, argv[3], seed);
    } else if (!strcmp(argv[4], "flow-model")) {
        bench_flows(entries, owners, seed);
    } else {
        bench_uniform(entries, owners, seed);
    }
    return 0;
}
