/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* A network of hosts that gossip, simulated: the code that hosts run, with a
 * clock, a network and random numbers made here.  The same arguments give the
 * same output.
 *
 *     gossip-sim [--KEY=VALUE...]
 *
 * nodes, loss (0...1), protocol (ours, memberlist, swim: the parameters, in
 * the same code), scenario (steady, slow, flap, partition), rate (updates a
 * second in all), duration (s), sync (0, 1: comparisons), seed, view (members
 * that a node knows, 0: all).
 *
 * A datagram takes 0.1 to 0.5 ms.  "Sealed" is only the size: memberlist's
 * overhead is counted for its parameters, ours for ours, and UDP and IPv4
 * headers for both.
 *
 * slow: eight in a hundred nodes stand still, for 1 to 20 s, again and again,
 *     and run for up to a second in between.  False positives are deaths
 *     declared of nodes that never do, counted where they are declared.
 * flap: as many nodes die and start again, 5 to 30 s each.
 * partition: in the middle, for 20 s, the network is in two halves.  "heal_s"
 *     is how long after that it takes until everybody knows everybody alive.
 *
 * An update is a record of session ownership; it is complete when all nodes
 * that run without interruption have it. */

#include <config.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/gossip-seal.h"
#include "ovs-ext/session/gossip.h"
#include "util.h"

enum scenario { STEADY, SLOW, FLAP, PARTITION };

static struct {
    int nodes, view, rate, duration, sync, degree, fanout, interval;
    unsigned long long seed;
    double loss;
    char protocol[16], scenario[16];
} opt = { 100, 0, 10, 30, 0, 0, 0, 0, 1, 0, "ours", "steady" };

enum { WARMUP = 15, BACKLOG = 512, EPOCH = 1000000 };

struct packet {
    int from;                           /* Node. */
    struct gossip_from sealed;
    struct gossip_to to;
    size_t n;
    uint8_t data[];
};

struct event {
    long long t;                        /* us */
    uint64_t order;
    int node;
    struct packet *packet;              /* Null: a timer. */
};

struct node {
    struct gossip *g;
    uint64_t epoch;
    long long wake;                     /* us, of the timer that is set. */
    bool steady, up, still;
    long long change;                   /* us: when up or still changes. */
    struct packet *backlog[BACKLOG];
    int n_backlog;
};

struct update {
    long long t0, done;                 /* us; -1: not complete. */
    int count;
};

static struct node *nodes;
static struct event *events;
static size_t n_events, allocated_events;
static uint64_t n_ordered;
static long long now_us;
static struct ext_rng rng;
static enum scenario scenario;
static bool split;
static int n_steady;
static struct update *updates;
static int n_updates, max_updates;
static uint64_t bytes, datagrams, false_positives;
static int overhead;

static bool
before(const struct event *a, const struct event *b)
{
    return a->t < b->t || (a->t == b->t && a->order < b->order);
}

static void
push(long long t, int node, struct packet *packet)
{
    size_t i = n_events++;
    struct event e = { t, n_ordered++, node, packet };

    if (n_events > allocated_events) {
        events = x2nrealloc(events, &allocated_events, sizeof *events);
    }
    for (; i && before(&e, &events[(i - 1) / 2]); i = (i - 1) / 2) {
        events[i] = events[(i - 1) / 2];
    }
    events[i] = e;
}

static struct event
pop(void)
{
    struct event top = events[0];
    struct event e = events[--n_events];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < n_events && before(&events[child + 1],
                                           &events[child])) {
            child++;
        }
        if (child >= n_events || !before(&events[child], &e)) {
            break;
        }
        events[i] = events[child];
        i = child;
    }
    events[i] = e;
    return top;
}

static struct gossip_addr
addr_of(int i)
{
    struct gossip_addr a = { .port = 6999 };

    gossip_put(a.ip + 12, i, 4);
    return a;
}

static void
tx(void *aux, const struct gossip_to *to, const void *payload, size_t n)
{
    struct node *from = aux;
    int target = gossip_get(to->addr.ip + 12, 4);
    struct packet *p;

    ovs_assert(n <= GOSSIP_PAYLOAD_MAX && target < opt.nodes);
    if (now_us >= WARMUP * 1000000LL) {
        bytes += n + overhead + 28;
        datagrams++;
    }
    if (ext_rng_double(&rng) < opt.loss
        || (split && ((from - nodes) & 1) != (target & 1))) {
        return;
    }
    p = xmalloc(sizeof *p + n);
    p->from = from - nodes;
    p->sealed.host = gossip_self(from->g);
    p->sealed.epoch = from->epoch;
    p->sealed.join = !to->epoch;
    p->to = *to;
    p->n = n;
    memcpy(p->data, payload, n);
    push(now_us + 100 + ext_rng_range(&rng, 400), target, p);
}

static void
name_of(int i, char name[GOSSIP_NAME_MAX + 1])
{
    snprintf(name, GOSSIP_NAME_MAX + 1, "host-%05d", i);
}

static int
node_numbered(uint64_t host)
{
    for (int i = 0; i < opt.nodes; i++) {
        char name[GOSSIP_NAME_MAX + 1];

        name_of(i, name);
        if (gossip_host_id(name) == host) {
            return i;
        }
    }
    return -1;
}

static void
changed(void *aux, const struct gossip_record *r, bool expired)
{
    struct node *node = aux;

    if (r->class == GOSSIP_SESSION && !expired && node->steady) {
        struct update *u = &updates[gossip_get(r->key, 4)];

        if (++u->count == n_steady) {
            u->done = now_us;
        }
    } else if (r->class == GOSSIP_MEMBER && node->g
               && r->origin == gossip_self(node->g)
               && (r->version & 3) == GOSSIP_DEAD && scenario != PARTITION
               && now_us >= WARMUP * 1000000LL) {
        int i = node_numbered(gossip_get(r->key, 8));

        false_positives += i >= 0 && nodes[i].steady;
    }
}

static void
schedule(struct node *node)
{
    long long next = MAX(gossip_next(node->g) * 1000, now_us);

    if (node->up && (node->wake <= now_us || next < node->wake)) {
        node->wake = next;
        push(next, node - nodes, NULL);
    }
}

/* Starts node 'i'.  'all': it knows everybody, else a seed. */
static void
start(int i, bool all)
{
    struct node *node = &nodes[i];
    struct gossip_config cfg;

    if (!strcmp(opt.protocol, "memberlist")) {
        gossip_config_init_memberlist(&cfg);
    } else if (!strcmp(opt.protocol, "swim")) {
        gossip_config_init_swim(&cfg);
    } else {
        gossip_config_init(&cfg);
        cfg.degree = opt.degree;
        cfg.fanout = opt.fanout ? opt.fanout : cfg.fanout;
        cfg.spread_interval = opt.interval ? opt.interval
                              : cfg.spread_interval;
    }
    if (!opt.sync) {
        cfg.sync_interval = 0;
    }
    name_of(i, cfg.name);
    cfg.addr = addr_of(i);
    cfg.epoch = node->epoch = EPOCH + now_us / 1000;
    cfg.seed = opt.seed + now_us;
    cfg.tx = tx;
    cfg.changed = changed;
    cfg.aux = cfg.tx_aux = node;
    if (opt.view) {
        cfg.degree = opt.view;
    }
    node->g = gossip_create(&cfg, now_us / 1000);
    node->up = true;
    if (!all) {
        for (int k = 0; k < 3; k++) {
            struct gossip_addr seed = addr_of(opt.nodes - 1 - k);

            gossip_add_seed(node->g, &seed);
        }
    }
}

static void
introduce(int i, int j)
{
    char name[GOSSIP_NAME_MAX + 1];
    struct gossip_addr addr = addr_of(j);

    name_of(j, name);
    gossip_add_member(nodes[i].g, name, &addr, EPOCH);
}

/* Everybody knows everybody, or, with 'view', who would be its neighbours and
 * as random a view as memberlist's targets are. */
static void
introduce_all(void)
{
    bool ring = !strcmp(opt.protocol, "ours");
    int half = opt.view / 2;

    for (int i = 0; i < opt.nodes; i++) {
        for (int j = 0; j < opt.nodes && !opt.view; j++) {
            introduce(i, j);
        }
        for (int k = 0; k < half; k++) {
            int d = lrint(pow(opt.nodes / 2.0, k / (half - 0.5)));

            d = ring ? MAX(d, k + 1) : 1 + ext_rng_range(&rng, opt.nodes - 1);
            introduce(i, (i + d) % opt.nodes);
            introduce(i, (i + opt.nodes - d) % opt.nodes);
        }
    }
}

static void
deliver(struct node *node, struct packet *p)
{
    struct gossip_addr addr = addr_of(p->from);

    if (p->sealed.join || (p->to.host == gossip_self(node->g)
                           && p->to.epoch == node->epoch)) {
        gossip_receive(node->g, now_us / 1000, &p->sealed, &addr, p->data,
                       p->n);
    }
    free(p);
}

static void
handle(const struct event *e)
{
    struct node *node = &nodes[e->node];

    if (!node->up) {
        free(e->packet);
        return;
    }
    if (node->still) {
        if (e->packet && node->n_backlog < BACKLOG) {
            node->backlog[node->n_backlog++] = e->packet;
        } else {
            free(e->packet);
        }
        return;
    }
    if (e->packet) {
        deliver(node, e->packet);
    } else if (e->t != node->wake) {
        return;                         /* A timer that was brought forward. */
    }
    if (gossip_next(node->g) <= now_us / 1000) {
        gossip_run(node->g, now_us / 1000);
    }
    schedule(node);
}

static void
resume(struct node *node)
{
    node->still = false;
    for (int i = 0; i < node->n_backlog; i++) {
        deliver(node, node->backlog[i]);
    }
    node->n_backlog = 0;
    gossip_run(node->g, now_us / 1000);
    node->wake = 0;
    schedule(node);
}

/* Nodes that stand still or die, and those that go on. */
static void
disturb(void)
{
    for (int i = 0; i < opt.nodes; i++) {
        struct node *node = &nodes[i];

        if (node->steady || now_us < node->change) {
            continue;
        }
        if (scenario == SLOW) {
            if (node->still) {
                resume(node);
                node->change = now_us + ext_rng_range(&rng, 1000000);
            } else {
                node->still = true;
                node->change = now_us + 1000000
                               + ext_rng_range(&rng, 19000000);
            }
        } else {
            if (node->up) {
                node->up = false;
                gossip_destroy(node->g);
                node->g = NULL;
            } else {
                start(i, false);
                node->wake = 0;
                schedule(node);
            }
            node->change = now_us + 5000000 + ext_rng_range(&rng, 25000000);
        }
    }
}

static void
publish(void)
{
    struct node *node;
    uint8_t key[15] = { 0 };

    do {
        node = &nodes[ext_rng_range(&rng, opt.nodes)];
    } while (!node->steady);
    updates[n_updates] = (struct update) { now_us, -1, 0 };
    gossip_put(key, n_updates++, 4);
    gossip_run(node->g, now_us / 1000);
    gossip_own_session(node->g, key, sizeof key, gossip_self(node->g), 60000);
    schedule(node);
}

static bool
everybody_known(void)
{
    for (int i = 0; i < opt.nodes; i++) {
        if (nodes[i].up && gossip_n_alive(nodes[i].g) != opt.nodes) {
            return false;
        }
    }
    return true;
}

static int
compare_double(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

static void
print_time(const char *name, const double *sorted, int n, double share)
{
    double x = n ? sorted[MIN((int) (share * n), n - 1)] : INFINITY;

    if (isfinite(x)) {
        printf(", \"%s\": %.4f", name, x);
    } else {
        printf(", \"%s\": null", name);
    }
}

static void
report(double heal)
{
    double *times = xcalloc(n_updates + 1, sizeof *times);
    int complete = 0;

    for (int i = 0; i < n_updates; i++) {
        bool done = updates[i].done >= 0;

        times[i] = done ? (updates[i].done - updates[i].t0) / 1e6 : INFINITY;
        complete += done;
    }
    qsort(times, n_updates, sizeof *times, compare_double);
    printf("{\"bench\": \"gossip\", \"scenario\": \"%s\", \"nodes\": %d, "
           "\"loss\": %g, \"protocol\": \"%s\", \"anti_entropy\": %s, "
           "\"updates\": %d, \"updates_per_s\": %d", opt.scenario, opt.nodes,
           opt.loss, opt.protocol, opt.sync ? "true" : "false", n_updates,
           opt.rate);
    print_time("p50_s", times, n_updates, 0.5);
    print_time("p99_s", times, n_updates, 0.99);
    printf(", \"complete_share\": %.6f, \"bytes_per_s_node\": %.0f, "
           "\"datagrams_per_s_node\": %.2f, \"false_positives\": %llu",
           n_updates ? (double) complete / n_updates : 0,
           (double) bytes / opt.duration / opt.nodes,
           (double) datagrams / opt.duration / opt.nodes,
           (unsigned long long) false_positives);
    if (scenario == PARTITION) {
        printf(isfinite(heal) ? ", \"heal_s\": %.3f" : ", \"heal_s\": null",
               heal);
    }
    if (opt.view) {
        printf(", \"view\": %d", opt.view);
    }
    printf("}\n");
    free(times);
}

static void
run(void)
{
    /* Updates of the last seconds get time to arrive. */
    long long begin = WARMUP * 1000000LL;
    long long end = begin + opt.duration * 1000000LL;
    long long last = end - 3000000, next_update = begin;
    long long cut = begin + opt.duration * 1000000LL / 3;
    long long next_look = 0;
    double heal = INFINITY;

    while (n_events) {
        struct event e = pop();

        now_us = e.t;
        if (now_us >= end) {
            free(e.packet);
            break;
        }
        if (now_us >= next_look && now_us >= 5000000) {
            next_look = now_us + 10000;
            disturb();
            if (scenario == PARTITION) {
                split = now_us >= cut && now_us < cut + 20000000;
                if (now_us > cut + 20000000 && !isfinite(heal)
                    && everybody_known()) {
                    heal = (now_us - cut - 20000000) / 1e6;
                }
            }
        }
        while (opt.rate && now_us >= next_update && now_us < last
               && n_updates < max_updates) {
            publish();
            next_update += 1000000 / opt.rate;
        }
        handle(&e);
    }
    report(heal);
}

static void
parse(int argc, char *argv[])
{
    static const char *const names[] = { "steady", "slow", "flap",
                                         "partition" };

    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--nodes=%d", &opt.nodes) != 1
            && sscanf(argv[i], "--loss=%lf", &opt.loss) != 1
            && sscanf(argv[i], "--protocol=%15s", opt.protocol) != 1
            && sscanf(argv[i], "--scenario=%15s", opt.scenario) != 1
            && sscanf(argv[i], "--rate=%d", &opt.rate) != 1
            && sscanf(argv[i], "--duration=%d", &opt.duration) != 1
            && sscanf(argv[i], "--sync=%d", &opt.sync) != 1
            && sscanf(argv[i], "--seed=%llu", &opt.seed) != 1
            && sscanf(argv[i], "--degree=%d", &opt.degree) != 1
            && sscanf(argv[i], "--fanout=%d", &opt.fanout) != 1
            && sscanf(argv[i], "--interval=%d", &opt.interval) != 1
            && sscanf(argv[i], "--view=%d", &opt.view) != 1) {
            ovs_fatal(0, "%s: not understood", argv[i]);
        }
    }
    if (opt.nodes < 2 || opt.nodes > 20000 || !(opt.loss >= 0 && opt.loss < 1)
        || opt.rate < 0 || opt.rate > 100000 || opt.duration < 4
        || opt.duration > 100000 || opt.view < 0 || opt.view > 60) {
        ovs_fatal(0, "an option is out of range");
    }
    for (scenario = 0; strcmp(names[scenario], opt.scenario); ) {
        if (++scenario == ARRAY_SIZE(names)) {
            ovs_fatal(0, "there is no scenario \"%s\"", opt.scenario);
        }
    }
    if (strcmp(opt.protocol, "ours") && strcmp(opt.protocol, "memberlist")
        && strcmp(opt.protocol, "swim")) {
        ovs_fatal(0, "there is no protocol \"%s\"", opt.protocol);
    }
}

int
main(int argc, char *argv[])
{
    parse(argc, argv);
    ext_rng_init(&rng, opt.seed);
    /* memberlist's encryption: version, nonce, tag. */
    overhead = strcmp(opt.protocol, "ours") ? 29 : GOSSIP_SEAL_OVERHEAD;
    nodes = xcalloc(opt.nodes, sizeof *nodes);
    max_updates = opt.rate * opt.duration + 1;
    updates = xcalloc(max_updates, sizeof *updates);
    for (int i = 0; i < opt.nodes; i++) {
        bool disturbed = ((scenario == SLOW || scenario == FLAP)
                          && i % 12 == 5);

        nodes[i].steady = !disturbed;
        n_steady += !disturbed;
        nodes[i].change = 5000000 + ext_rng_range(&rng, 10000000);
        start(i, true);
    }
    introduce_all();
    for (int i = 0; i < opt.nodes; i++) {
        schedule(&nodes[i]);
    }
    run();
    return 0;
}
