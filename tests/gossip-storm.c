/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Sends to a host that gossips what it must not accept, for tests and benches.
 *
 *     gossip-storm KIND ADDR:PORT CAPTURE RATE SECONDS [OLD-KEY-HEX]
 *
 * CAPTURE is what gossip-node --capture has stored at the target: an attacker
 * that hears everything.  KIND:
 *
 *   forged      header of a datagram that was accepted, with the next sequence
 *               numbers, and bytes at random
 *   replayed    what was accepted, as it was
 *   old-key     sealed properly, with a key that is not in use any more
 *   truncated   what was accepted, cut, with the next sequence numbers
 *   oversized   up to 9000 bytes that begin as something accepted did
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "datapath-hooks/session/gossip-udp.h"
#include "ovs-ext/core/ext-rng.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

enum { BATCH = 50, MAX_SIZE = 9000, MAX_CAPTURED = 2000, SEQUENCE = 22 };

static struct {
    uint8_t data[GOSSIP_RX_MTU];
    size_t n;
} captured[MAX_CAPTURED];
static size_t n_captured;
static struct ext_rng rng;
static uint64_t n_made;

static void
load(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t len[2];

    if (!f) {
        ovs_fatal(errno, "%s", path);
    }
    while (n_captured < MAX_CAPTURED && fread(len, 1, 2, f) == 2) {
        size_t n = gossip_get(len, 2);

        if (n > GOSSIP_RX_MTU
            || fread(captured[n_captured].data, 1, n, f) != n) {
            break;
        }
        captured[n_captured++].n = n;
    }
    fclose(f);
    if (!n_captured) {
        ovs_fatal(0, "%s: holds no datagram", path);
    }
}

/* As if its sender had sent many more meanwhile. */
static void
later(uint8_t *buf)
{
    gossip_put(buf + SEQUENCE, gossip_get(buf + SEQUENCE, 6) + 5000 + n_made,
               6);
}

static void
fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = ext_rng_next(&rng);
    }
}

/* Makes the next datagram of 'kind' in 'buf'.  Returns its length. */
static size_t
make(const char *kind, struct gossip_seal *old, uint8_t *buf)
{
    size_t at = ext_rng_range(&rng, n_captured);
    size_t n = captured[at].n;

    n_made++;
    memcpy(buf, captured[at].data, n);
    if (!strcmp(kind, "forged")) {
        later(buf);
        fill_random(buf + 28, n - 28);
    } else if (!strcmp(kind, "old-key")) {
        uint8_t ping[] = { GOSSIP_VERSION, GOSSIP_T_HELLO, 0, 0 };

        n = gossip_seal_close(old, 0, n_made & 1, ping, sizeof ping, buf);
    } else if (!strcmp(kind, "truncated")) {
        later(buf);
        n = ext_rng_range(&rng, n);
    } else if (!strcmp(kind, "oversized")) {
        later(buf);
        n = GOSSIP_RX_MTU + 1
            + ext_rng_range(&rng, MAX_SIZE - GOSSIP_RX_MTU);
    } else if (strcmp(kind, "replayed")) {
        ovs_fatal(0, "there is no kind \"%s\"", kind);
    }
    return n;
}

static int
dial(const char *target)
{
    struct sockaddr_storage ss;
    int fd;

    if (!inet_parse_active(target, 0, &ss, false, NULL)) {
        ovs_fatal(0, "%s: not an address", target);
    }
    fd = socket(ss.ss_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, ALIGNED_CAST(struct sockaddr *, &ss),
                          ss_length(&ss))) {
        ovs_fatal(errno, "%s", target);
    }
    return fd;
}

static struct gossip_seal *
old_seal(const char *hex)
{
    struct gossip_seal *seal = gossip_seal_create(gossip_host_id("storm"),
                                                  time_wall_msec(), 1);
    uint8_t key[GOSSIP_KEY_SIZE];
    bool ok = true;

    for (int i = 0; i < GOSSIP_KEY_SIZE && ok; i++) {
        key[i] = hexits_value(hex + 2 * i, 2, &ok);
    }
    gossip_seal_add_key(seal, key);
    return seal;
}

int
main(int argc, char *argv[])
{
    static uint8_t bufs[BATCH][MAX_SIZE];
    static struct mmsghdr msgs[BATCH];
    static struct iovec iovs[BATCH];
    long long start, end;
    uint64_t sent = 0;

    set_program_name(argv[0]);
    if (argc < 6) {
        ovs_fatal(0, "usage: gossip-storm KIND ADDR:PORT CAPTURE RATE SECONDS "
                  "[OLD-KEY-HEX]");
    }
    double rate = atof(argv[4]);
    struct gossip_seal *old = argc > 6 ? old_seal(argv[6]) : NULL;
    int fd = dial(argv[2]);

    if (!strcmp(argv[1], "old-key") && !old) {
        ovs_fatal(0, "old-key needs a key");
    }
    load(argv[3]);
    ext_rng_init(&rng, 1);
    start = time_msec();
    end = start + atof(argv[5]) * 1000;
    while (time_msec() < end) {
        if (sent > (time_msec() - start) * rate / 1000) {
            xnanosleep(200 * 1000);
            continue;
        }
        for (int i = 0; i < BATCH; i++) {
            iovs[i].iov_base = bufs[i];
            iovs[i].iov_len = make(argv[1], old, bufs[i]);
            msgs[i].msg_hdr.msg_iov = &iovs[i];
            msgs[i].msg_hdr.msg_iovlen = 1;
        }
        int n = sendmmsg(fd, msgs, BATCH, 0);
        sent += MAX(n, 0);
    }
    printf("{\"sent\": %"PRIu64", \"seconds\": %.3f}\n", sent,
           (time_msec() - start) / 1000.0);
    gossip_seal_destroy(old);
    return 0;
}
