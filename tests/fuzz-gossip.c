/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of gossip: messages that opened but say anything, and datagrams that
 * anybody may send.  See fuzz-util.h. */

#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/session/gossip-seal.h"
#include "ovs-ext/session/gossip.h"
#include "ovs-ext/session/sess-key.h"
#include "tests/fuzz-util.h"
#include "util.h"

static struct gossip *g;
static struct gossip_seal *seal;
static long long now = 1000;
static int calls;

static void
tx(void *aux OVS_UNUSED, const struct gossip_to *to OVS_UNUSED,
   const void *payload, size_t n)
{
    ovs_assert(n <= GOSSIP_PAYLOAD_MAX);
    ovs_assert(!gossip_message_check(payload, n));
}

static void
changed(void *aux OVS_UNUSED, const struct gossip_record *r,
        bool expired OVS_UNUSED)
{
    struct gossip_session_value session;
    struct gossip_member_value member;
    struct gossip_hint_value hint;
    struct gossip_load_value load;
    struct sess_key key;

    gossip_key_decode(r->key, r->key_len, &key);
    ovs_assert(r->class == GOSSIP_MEMBER ? gossip_member_decode(r, &member)
               : r->class == GOSSIP_SESSION
                 ? gossip_session_decode(r, &session)
               : r->class == GOSSIP_HINT ? gossip_hint_decode(r, &hint)
               : gossip_load_decode(r, &load));
}

static void
start(void)
{
    struct gossip_config cfg;
    uint8_t key[GOSSIP_KEY_SIZE] = { 1 };
    struct gossip_addr addr = { .port = 1 };

    gossip_destroy(g);
    gossip_seal_destroy(seal);
    gossip_config_init(&cfg);
    ovs_strlcpy(cfg.name, "us", sizeof cfg.name);
    cfg.epoch = 5;
    cfg.tx = tx;
    cfg.changed = changed;
    cfg.max_members = 20;
    cfg.max_records = 50;
    cfg.max_queue = 20;
    g = gossip_create(&cfg, now);
    gossip_add_member(g, "other", &addr, 5);
    gossip_add_member(g, "third", &addr, 5);
    gossip_add_seed(g, &addr);
    seal = gossip_seal_create(gossip_host_id("us"), 5, 10);
    gossip_seal_add_key(seal, key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gossip_from from = { gossip_host_id("other"), 5, size % 16 == 3 };
    struct gossip_addr addr = { .port = 1 };
    uint8_t payload[GOSSIP_RX_PAYLOAD_MAX];
    size_t n;

    if (calls++ % 2000 == 0) {
        start();
    }
    ovs_assert(gossip_seal_open(seal, data, size, &from, payload, &n));
    from = (struct gossip_from) { gossip_host_id("other"), 5, size % 16 == 3 };
    gossip_receive(g, now, &from, &addr, data, size);
    now += size % 50;
    if (gossip_next(g) <= now) {
        gossip_run(g, now);
    }
    ovs_assert(gossip_n_records(g) <= 50 && gossip_n_queued(g) <= 20);
    return 0;
}

#ifndef FUZZ_LIBFUZZER
static struct fuzz_input
input_of(const struct gossip_out *out)
{
    return (struct fuzz_input) { xmemdup(out->buf, out->len), out->len };
}

static struct fuzz_input
valid_records(void)
{
    struct gossip_record r = { .version = 7 << 2 | 1, .ttl = 100 };
    struct gossip_member_value member = { .epoch = 5, .name = "third" };
    struct gossip_hint_value hint = { 3, 0.75, 9 };
    struct gossip_load_value load = { 0.1, 0.2, 0.3, 4 };
    struct gossip_out out;

    gossip_out_init(&out);
    r.origin = gossip_host_id("other");
    gossip_member_encode(&r, gossip_host_id("third"), &member);
    gossip_out_record(&out, &r, 0);
    ovs_strlcpy(member.name, "us", sizeof member.name);
    gossip_member_encode(&r, gossip_host_id("us"), &member);
    gossip_out_record(&out, &r, 0);
    gossip_load_encode(&r, r.origin, &load);
    gossip_out_record(&out, &r, 0);
    r.key_len = 15;
    gossip_hint_encode(&r, &hint);
    gossip_out_record(&out, &r, 1000);
    gossip_session_encode(&r, &(struct gossip_session_value) { false, 3 });
    gossip_out_record(&out, &r, 0);
    return input_of(&out);
}

static struct fuzz_input
valid_controls(void)
{
    struct gossip_out out;

    gossip_out_init(&out);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_PING, 12) + 4,
               gossip_host_id("us"), 8);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_PING_REQ, 12) + 4,
               gossip_host_id("third"), 8);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_ACK, 4), 1, 4);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_NACK, 4), 1, 4);
    gossip_out_tlv(&out, GOSSIP_T_HELLO, 0);
    gossip_out_tlv(&out, GOSSIP_T_WELCOME, 0);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_SYNC, 8), 1, 8);
    gossip_put(gossip_out_tlv(&out, GOSSIP_T_REQUEST, 16), 1, 8);
    memset(gossip_out_tlv(&out, 99, 5), 0, 5);
    return input_of(&out);
}

static struct fuzz_input
valid_comparison(bool digest)
{
    struct gossip_out out;
    size_t n = digest ? 8 * GOSSIP_BUCKETS : 17 + 16 * 20;
    uint8_t *p;

    gossip_out_init(&out);
    p = gossip_out_tlv(&out, digest ? GOSSIP_T_DIGEST : GOSSIP_T_SUMMARY, n);
    for (size_t i = 0; i < n; i++) {
        p[i] = digest ? i : i < 9 ? 0 : i < 17 ? 0xff : i / 16;
    }
    return input_of(&out);
}

static struct fuzz_input
valid_datagram(void)
{
    struct gossip_seal *other = gossip_seal_create(5, 5, 1);
    struct fuzz_input in = { xmalloc(GOSSIP_MTU), 0 };
    uint8_t key[GOSSIP_KEY_SIZE] = { 1 };

    gossip_seal_add_key(other, key);
    /* For another run of the receiver. */
    in.size = gossip_seal_close(other, gossip_host_id("us"), 4, "x", 1,
                                in.data);
    gossip_seal_destroy(other);
    return in;
}

int
main(int argc, char *argv[])
{
    struct fuzz_input valid[] = {
        valid_records(), valid_controls(), valid_comparison(true),
        valid_comparison(false), valid_datagram(),
    };
    int status = fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));

    gossip_destroy(g);
    gossip_seal_destroy(seal);
    return status;
}
#endif
