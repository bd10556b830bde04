/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* One host that gossips over UDP, for tests and benches.
 *
 *     gossip-node --name=NAME --listen=ADDR:PORT [--seed=ADDR:PORT]...
 *         [--key=HEX]... [--members=N] [--publish=COUNT] [--every=MS]
 *         [--rotate=MS:HEX] [--capture=FILE]
 *
 * Once N members are alive it publishes COUNT updates, one each MS ms (at
 * random around that).  A line "u PUBLISHER NUMBER MICROSECONDS" says how long
 * an update of another took to come here (the clock is that of the machine);
 * "p NUMBER" that one was published; "d NAME" that this host declared another
 * dead; "m" that N members are known.  On SIGUSR1 it prints its counters as
 * JSON, on SIGTERM it does so and ends.  The first key is the one to send
 * with; --rotate adds a key MS ms after the start, uses it MS ms later, and
 * removes the old one after MS ms more.  --capture stores some datagrams as
 * they come, each after its length in two bytes. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/gossip-udp.h"
#include "openvswitch/poll-loop.h"
#include "ovs-ext/core/ext-rng.h"
#include "timeval.h"
#include "util.h"

enum { MAX_CAPTURED = 2000 };

static uint64_t self;
static int members = 2, to_publish, every = 100;
static int published;
static FILE *capture;
static int captured;
static volatile sig_atomic_t stop, asked;
static struct gossip *g;
static bool rotating;
static long long rotate_ms;
static uint8_t rotate_key[GOSSIP_KEY_SIZE], first_key[GOSSIP_KEY_SIZE];

static void
on_signal(int signo)
{
    if (signo == SIGUSR1) {
        asked = 1;
    } else {
        stop = 1;
    }
}

static long long
micros(void)
{
    struct timespec ts;

    xclock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void
changed(void *aux OVS_UNUSED, const struct gossip_record *r, bool expired)
{
    if (r->class == GOSSIP_SESSION && r->key_len == 20 && !expired
        && r->origin != self) {
        printf("u %"PRIx64" %"PRIu64" %lld\n", r->origin,
               gossip_get(r->key + 8, 4),
               micros() - (long long) gossip_get(r->key + 12, 8));
    } else if (r->class == GOSSIP_MEMBER && r->origin == self
               && (r->version & 3) == GOSSIP_DEAD) {
        struct gossip_member_value v;

        gossip_member_decode(r, &v);
        printf("d %s\n", v.name);
    }
}

static void
publish(void)
{
    uint8_t key[20];

    gossip_put(key, self, 8);
    gossip_put(key + 8, published, 4);
    gossip_put(key + 12, micros(), 8);
    gossip_run(g, time_msec());
    gossip_own_session(g, key, sizeof key, self, 60000);
    printf("p %d\n", published++);
}

static void
store(const void *datagram, size_t n, void *aux OVS_UNUSED)
{
    uint8_t len[2];

    if (captured < MAX_CAPTURED && n <= GOSSIP_RX_MTU) {
        gossip_put(len, n, 2);
        fwrite(len, 1, 2, capture);
        fwrite(datagram, 1, n, capture);
        fflush(capture);
        captured++;
    }
}

static void
parse_key(const char *s, uint8_t key[GOSSIP_KEY_SIZE])
{
    bool ok = strlen(s) == 2 * GOSSIP_KEY_SIZE;

    for (int i = 0; i < GOSSIP_KEY_SIZE && ok; i++) {
        key[i] = hexits_value(s + 2 * i, 2, &ok);
    }
    if (!ok) {
        ovs_fatal(0, "a key has %d hexadecimal digits", 2 * GOSSIP_KEY_SIZE);
    }
}

static void
report(struct gossip_udp *u)
{
    struct gossip_udp_stats udp;
    struct gossip_stats stats;

    gossip_udp_get_stats(u, &udp);
    gossip_get_stats(g, &stats);
    printf("{\"alive\": %"PRIuSIZE", \"published\": %d, \"received\": %"PRIu64
           ", \"sent\": %"PRIu64", \"tx_bytes\": %"PRIu64", \"deaths\": %"
           PRIu64", \"suspicions\": %"PRIu64", \"rx_datagrams\": %"PRIu64
           ", \"malformed\": %"PRIu64", \"unbound\": %"PRIu64
           ", \"loss\": %.3f, \"unknown\": %"PRIu64", \"strangers\": %"PRIu64,
           gossip_n_alive(g), published, udp.received,
           udp.sent, stats.tx_bytes, stats.deaths, stats.suspicions,
           stats.rx_datagrams, stats.rx_malformed, stats.rx_unbound,
           gossip_loss(g), udp.unknown, udp.strangers);
    for (int i = 0; i < GOSSIP_OPEN_N; i++) {
        printf(", \"%s\": %"PRIu64, gossip_open_error_to_string(i),
               gossip_seal_count(gossip_udp_seal(u), i));
    }
    printf("}\n");
    fflush(stdout);
}

static void
rotate(struct gossip_seal *seal, long long since)
{
    if (since >= rotate_ms) {
        gossip_seal_add_key(seal, rotate_key);
    }
    if (since >= 2 * rotate_ms) {
        gossip_seal_use_key(seal, rotate_key);
    }
    if (since >= 3 * rotate_ms) {
        gossip_seal_remove_key(seal, first_key);
        rotating = false;
    }
}

static void
loop(struct gossip_udp *u)
{
    long long start = time_msec(), next = LLONG_MAX;
    struct ext_rng rng;
    bool met = false;

    ext_rng_init(&rng, self);
    while (!stop) {
        gossip_udp_run(u);
        if (asked) {
            asked = 0;
            report(u);
        }
        if (!met && gossip_n_alive(g) >= members) {
            met = true;
            puts("m");
            next = time_msec() + ext_rng_range(&rng, 2 * every);
        }
        if (rotating) {
            rotate(gossip_udp_seal(u), time_msec() - start);
            poll_timer_wait(50);
        }
        if (time_msec() >= next && published < to_publish) {
            publish();
            next = time_msec() + ext_rng_range(&rng, 2 * every + 1);
        }
        fflush(stdout);
        if (published < to_publish) {
            poll_timer_wait_until(next);
        }
        gossip_udp_wait(u);
        poll_block();
    }
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "name", required_argument, NULL, 'n' },
        { "listen", required_argument, NULL, 'l' },
        { "seed", required_argument, NULL, 's' },
        { "key", required_argument, NULL, 'k' },
        { "members", required_argument, NULL, 'm' },
        { "publish", required_argument, NULL, 'p' },
        { "every", required_argument, NULL, 'e' },
        { "rotate", required_argument, NULL, 'r' },
        { "capture", required_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 },
    };
    struct gossip_addr seeds[16];
    uint8_t keys[GOSSIP_MAX_KEYS][GOSSIP_KEY_SIZE];
    int n_seeds = 0, n_keys = 0, c;
    const char *listen = NULL;
    struct gossip_config cfg;
    struct gossip_udp *u;
    char *error;

    set_program_name(argv[0]);
    gossip_config_init(&cfg);
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 'n': ovs_strlcpy(cfg.name, optarg, sizeof cfg.name); break;
        case 'l': listen = optarg; break;
        case 's':
            if (n_seeds >= 16
                || !gossip_addr_parse(optarg, &seeds[n_seeds++])) {
                ovs_fatal(0, "--seed=%s", optarg);
            }
            break;
        case 'k':
            if (n_keys >= GOSSIP_MAX_KEYS) {
                ovs_fatal(0, "too many keys");
            }
            parse_key(optarg, keys[n_keys++]);
            break;
        case 'm': members = atoi(optarg); break;
        case 'p': to_publish = atoi(optarg); break;
        case 'e': every = MAX(1, atoi(optarg)); break;
        case 'r':
            rotate_ms = atoll(optarg);
            rotating = true;
            parse_key(strchr(optarg, ':') ? strchr(optarg, ':') + 1 : "",
                      rotate_key);
            break;
        case 'c':
            capture = fopen(optarg, "wb");
            if (!capture) {
                ovs_fatal(errno, "%s", optarg);
            }
            break;
        default: return 1;
        }
    }
    if (!listen || !cfg.name[0] || !n_keys) {
        ovs_fatal(0, "--name, --listen and --key are needed");
    }
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    self = gossip_host_id(cfg.name);
    cfg.changed = changed;
    cfg.seed = time_wall_msec();
    if (gossip_udp_open(listen, &u, &error)) {
        ovs_fatal(0, "%s", error);
    }
    gossip_udp_start(u, &cfg);
    g = gossip_udp_gossip(u);
    memcpy(first_key, keys[0], sizeof first_key);
    for (int i = 0; i < n_keys; i++) {
        gossip_seal_add_key(gossip_udp_seal(u), keys[i]);
    }
    for (int i = 0; i < n_seeds; i++) {
        gossip_add_seed(g, &seeds[i]);
    }
    if (capture) {
        gossip_udp_capture(u, store, NULL);
    }
    loop(u);
    report(u);
    gossip_udp_destroy(u);
    if (capture) {
        fclose(capture);
    }
    return 0;
}
