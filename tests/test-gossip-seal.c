/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the seal of gossip and of its messages. */

#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/gossip-seal.h"
#include "ovs-ext/session/gossip.h"
#include "ovs-ext/session/sess-key.h"
#include "tests/test-gossip-net.h"
#include "tests/test-steering-util.h"

/* Two hosts with a key in common, and a datagram of the first. */
struct pair {
    struct gossip_seal *a, *b;
    uint8_t datagram[GOSSIP_RX_MTU];
    size_t n;
    uint8_t payload[GOSSIP_RX_PAYLOAD_MAX];
    size_t payload_n;
    struct gossip_from from;
};

enum { A = 11, B = 22, EPOCH_A = 1000, EPOCH_B = 2000 };

static void
add_key(struct gossip_seal *s, int i)
{
    uint8_t key[GOSSIP_KEY_SIZE];

    net_key(i, key);
    CHECK_EQ(gossip_seal_add_key(s, key), 0);
}

static void
pair_init(struct pair *p)
{
    memset(p, 0, sizeof *p);
    p->a = gossip_seal_create(A, EPOCH_A, 10);
    p->b = gossip_seal_create(B, EPOCH_B, 10);
    add_key(p->a, 1);
    add_key(p->b, 1);
}

static void
pair_uninit(struct pair *p)
{
    gossip_seal_destroy(p->a);
    gossip_seal_destroy(p->b);
}

static void
say(struct pair *p, const char *what)
{
    p->n = gossip_seal_close(p->a, B, EPOCH_B, what, strlen(what),
                             p->datagram);
}

static int
hear(struct pair *p)
{
    return gossip_seal_open(p->b, p->datagram, p->n, &p->from, p->payload,
                            &p->payload_n);
}

static void
test_seal(void)
{
    struct pair p;

    pair_init(&p);
    say(&p, "hello");
    CHECK_EQ(p.n, 5 + GOSSIP_SEAL_OVERHEAD);
    CHECK(!memmem(p.datagram, p.n, "hello", 5));
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK(p.payload_n == 5 && !memcmp(p.payload, "hello", 5));
    CHECK(p.from.host == A && p.from.epoch == EPOCH_A && !p.from.join);
    CHECK_EQ(gossip_seal_count(p.b, GOSSIP_OPEN_OK), 1);
    pair_uninit(&p);
}

/* Whatever byte is changed, it does not open, and the next one does. */
static void
test_forged(void)
{
    struct pair p;

    pair_init(&p);
    for (int known = 0; known < 2; known++) {
        say(&p, "something longer than a block of the cipher");
        for (size_t i = 0; i < p.n; i++) {
            p.datagram[i] ^= 1 << i % 8;
            CHECK(hear(&p) != GOSSIP_OPEN_OK);
            p.datagram[i] ^= 1 << i % 8;
        }
        CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    }
    CHECK(gossip_seal_count(p.b, GOSSIP_OPEN_FORGED) > 50);
    pair_uninit(&p);
}

static void
test_truncated(void)
{
    struct pair p;

    pair_init(&p);
    say(&p, "something");
    for (size_t n = p.n; p.n-- > 0; ) {
        CHECK(hear(&p) != GOSSIP_OPEN_OK);
        CHECK(n);
    }
    p.n = GOSSIP_RX_MTU + 1;
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OVERSIZED);

    /* As large as an older build sends, which is more than we do. */
    uint8_t large[GOSSIP_RX_PAYLOAD_MAX] = { GOSSIP_VERSION, 0xff };
    gossip_put(large + 2, sizeof large - 4, 2);
    p.n = gossip_seal_close(p.a, B, EPOCH_B, large, sizeof large, p.datagram);
    CHECK_EQ(p.n, 1400);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK_EQ(p.payload_n, sizeof large);
    CHECK_EQ(gossip_message_check(p.payload, p.payload_n), GOSSIP_WIRE_OK);
    pair_uninit(&p);
}

/* Within the window in any order, but once; before it, never. */
static void
test_replayed(void)
{
    enum { N = 3000, WINDOW = 1024 };
    static struct pair all[N];
    struct pair p;
    struct ext_rng rng;

    pair_init(&p);
    ext_rng_init(&rng, 3);
    say(&p, "before the first one that arrives");
    all[0] = p;
    say(&p, "the first one");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK_EQ(hear(&all[0]), GOSSIP_OPEN_REPLAYED);
    for (int i = 0; i < N; i++) {
        say(&p, "x");
        all[i] = p;
    }
    for (int base = 0; base < N; base += 500) {
        int order[500];

        for (int i = 0; i < 500; i++) {
            int j = ext_rng_range(&rng, i + 1);

            order[i] = order[j];
            order[j] = base + i;
        }
        for (int i = 0; i < 500; i++) {
            CHECK_EQ(hear(&all[order[i]]), GOSSIP_OPEN_OK);
            CHECK_EQ(hear(&all[order[i]]), GOSSIP_OPEN_REPLAYED);
        }
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(hear(&all[i]), GOSSIP_OPEN_REPLAYED);
    }
    for (int i = 0; i < WINDOW + 10; i++) {
        say(&p, "x");
        all[i] = p;
    }
    CHECK_EQ(hear(&all[WINDOW + 9]), GOSSIP_OPEN_OK);
    CHECK_EQ(hear(&all[9]), GOSSIP_OPEN_REPLAYED);      /* Too old to know. */
    CHECK_EQ(hear(&all[10]), GOSSIP_OPEN_OK);
    pair_uninit(&p);
}

/* After a restart of the sender, its new epoch is taken and the old one is
 * over; after one of the receiver, what was recorded is of no use. */
static void
test_epochs(void)
{
    struct pair p, old;

    pair_init(&p);
    say(&p, "before");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    say(&p, "held back");
    old = p;
    gossip_seal_destroy(p.a);
    p.a = gossip_seal_create(A, EPOCH_A + 1, 10);
    add_key(p.a, 1);
    say(&p, "after");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK_EQ(p.from.epoch, EPOCH_A + 1);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_REPLAYED);
    CHECK_EQ(hear(&old), GOSSIP_OPEN_EPOCH);

    say(&p, "to who was there before");
    gossip_seal_destroy(p.b);
    p.b = gossip_seal_create(B, EPOCH_B + 1, 10);
    add_key(p.b, 1);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_FORGED);
    gossip_seal_destroy(p.b);
    p.b = gossip_seal_create(B + 1, EPOCH_B, 10);
    add_key(p.b, 1);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_FORGED);     /* Not for this host. */
    pair_uninit(&p);
}

/* What is not bound to the receiver says so, and leaves nothing behind. */
static void
test_join(void)
{
    struct pair p, hello;

    pair_init(&p);
    p.n = gossip_seal_close(p.a, 0, 0, "x", 1, p.datagram);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK(p.from.join);
    hello = p;
    say(&p, "x");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK(!p.from.join);
    CHECK_EQ(hear(&hello), GOSSIP_OPEN_REPLAYED);
    p.n = gossip_seal_close(p.a, 0, 0, "x", 1, p.datagram);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_REPLAYED);

    /* Not one for the other. */
    say(&p, "x");
    p.datagram[2] ^= 1;
    CHECK_EQ(hear(&p), GOSSIP_OPEN_FORGED);
    pair_uninit(&p);
}

/* More than HELLO needs to be bound. */
static void
test_unbound(void)
{
    struct net *net = net_create(2);
    struct gossip_from from = { .host = 99, .epoch = 5, .join = true };
    struct gossip_addr addr = net_addr(1);
    struct gossip_record r = { .version = 5, .origin = 99, .key = "k",
                               .key_len = 1 };
    struct gossip_stats stats;
    struct gossip_out out;

    net_start(net, 0);
    gossip_session_encode(&r, &(struct gossip_session_value) { false, 99 });
    gossip_out_init(&out);
    gossip_out_record(&out, &r, 0);
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    CHECK(!gossip_lookup(net->nodes[0].g, GOSSIP_SESSION, "k", 1));
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.rx_unbound, 1);
    from.join = false;
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    CHECK(gossip_lookup(net->nodes[0].g, GOSSIP_SESSION, "k", 1));

    /* Not more answers than allowed. */
    gossip_out_init(&out);
    gossip_out_tlv(&out, GOSSIP_T_HELLO, 0);
    from.join = true;
    for (int i = 0; i < 1000; i++) {
        gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf,
                       out.len);
    }
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.hellos_ignored, 950);
    net_destroy(net);
}

static void
test_keys(void)
{
    uint8_t key[GOSSIP_KEY_SIZE];
    struct pair p;

    pair_init(&p);
    net_key(1, key);
    CHECK_EQ(gossip_seal_add_key(p.a, key), EEXIST);
    CHECK_EQ(gossip_seal_remove_key(p.a, key), EBUSY);
    net_key(2, key);
    CHECK_EQ(gossip_seal_use_key(p.a, key), ENOENT);
    CHECK_EQ(gossip_seal_remove_key(p.a, key), ENOENT);
    add_key(p.a, 2);
    CHECK_EQ(gossip_seal_use_key(p.a, key), 0);
    say(&p, "with the new one");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_KEY);
    add_key(p.b, 2);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    net_key(1, key);
    CHECK_EQ(gossip_seal_use_key(p.a, key), 0);
    say(&p, "with the old one");
    net_key(2, key);
    CHECK_EQ(gossip_seal_use_key(p.b, key), 0);
    net_key(1, key);
    CHECK_EQ(gossip_seal_remove_key(p.b, key), 0);
    CHECK_EQ(hear(&p), GOSSIP_OPEN_KEY);
    for (int i = 2; i < GOSSIP_MAX_KEYS; i++) {
        add_key(p.a, 10 + i);
    }
    net_key(99, key);
    CHECK_EQ(gossip_seal_add_key(p.a, key), ENOSPC);
    pair_uninit(&p);
}

enum { SENDERS = 2000 };

/* Datagrams of SENDERS senders: 'first' and 'next' of each, in this order. */
struct crowd {
    struct gossip_seal *b;
    struct pair first[SENDERS], next[SENDERS];
};

/* Has each sender say two things, the first of which is heard.  'step' is how
 * much later than the last one each starts. */
static struct crowd *
crowd_create(size_t max_windows, int step)
{
    struct crowd *c = xzalloc(sizeof *c);

    c->b = gossip_seal_create(B, EPOCH_B, max_windows);
    add_key(c->b, 1);
    for (int i = 0; i < SENDERS; i++) {
        struct pair *p = &c->first[i];

        p->a = gossip_seal_create(100 + i, 5 + i * step, 10);
        p->b = c->b;
        add_key(p->a, 1);
        say(p, "one");
        c->next[i] = *p;
        say(&c->next[i], "two");
        gossip_seal_destroy(p->a);
        CHECK_EQ(hear(p), GOSSIP_OPEN_OK);
    }
    return c;
}

static void
crowd_destroy(struct crowd *c)
{
    gossip_seal_destroy(c->b);
    free(c);
}

/* A sender that has given up its window is known: what it said is refused, and
 * what it says next is not.  So it is when it has a window again. */
static void
test_senders(void)
{
    struct crowd *c = crowd_create(SENDERS / 10, 0);

    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(hear(&c->first[i]), GOSSIP_OPEN_REPLAYED);
    }
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(hear(&c->next[i]), GOSSIP_OPEN_OK);
        CHECK_EQ(hear(&c->first[i]), GOSSIP_OPEN_REPLAYED);
        CHECK_EQ(hear(&c->next[i]), GOSSIP_OPEN_REPLAYED);
    }
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(hear(&c->first[i]), GOSSIP_OPEN_REPLAYED);
        CHECK_EQ(hear(&c->next[i]), GOSSIP_OPEN_REPLAYED);
    }
    CHECK_EQ(gossip_seal_count(c->b, GOSSIP_OPEN_OK), 2 * SENDERS);
    crowd_destroy(c);
}

/* A window stays with who is heard. */
static void
test_windows(void)
{
    struct pair p;

    pair_init(&p);
    say(&p, "first");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    for (int i = 0; i < 100; i++) {
        struct pair late, other = { .b = p.b };

        say(&p, "late");
        late = p;
        say(&p, "in time");
        CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);

        other.a = gossip_seal_create(100 + i, 5, 10);
        add_key(other.a, 1);
        say(&other, "x");
        CHECK_EQ(hear(&other), GOSSIP_OPEN_OK);
        gossip_seal_destroy(other.a);

        /* Out of order, which needs the window. */
        CHECK_EQ(hear(&late), GOSSIP_OPEN_OK);
        CHECK_EQ(hear(&late), GOSSIP_OPEN_REPLAYED);
    }
    pair_uninit(&p);
}

/* There are more senders than can be known: nothing of one that was forgotten
 * opens, nor of who is new and started as early; a later start does. */
static void
test_forgotten(void)
{
    struct crowd *c = crowd_create(SENDERS / 100, 1);
    struct pair p = { .b = c->b };
    size_t n_known = 0;

    for (int i = 0; i < SENDERS; i++) {
        int error = hear(&c->first[i]);

        CHECK(error == GOSSIP_OPEN_REPLAYED || error == GOSSIP_OPEN_EPOCH);
        n_known += error == GOSSIP_OPEN_REPLAYED;
        error = hear(&c->next[i]);
        CHECK(error == GOSSIP_OPEN_OK || error == GOSSIP_OPEN_EPOCH);
        n_known += error == GOSSIP_OPEN_OK;
    }
    CHECK(n_known >= 2 * SENDERS / 10 && n_known <= 2 * SENDERS / 5);
    CHECK_EQ(hear(&c->first[0]), GOSSIP_OPEN_EPOCH);
    CHECK_EQ(hear(&c->next[SENDERS - 1]), GOSSIP_OPEN_REPLAYED);

    for (int epoch = 5; epoch <= 5 + SENDERS; epoch += SENDERS) {
        p.a = gossip_seal_create(99, epoch, 10);
        add_key(p.a, 1);
        say(&p, "new");
        CHECK_EQ(hear(&p), epoch == 5 ? GOSSIP_OPEN_EPOCH : GOSSIP_OPEN_OK);
        gossip_seal_destroy(p.a);
    }
    /* One that was forgotten comes back. */
    p.a = gossip_seal_create(100, 5 + SENDERS, 10);
    add_key(p.a, 1);
    say(&p, "again");
    CHECK_EQ(hear(&p), GOSSIP_OPEN_OK);
    gossip_seal_destroy(p.a);
    crowd_destroy(c);
}

/* Messages. */

static struct gossip_tlv
only_tlv(const struct gossip_out *out)
{
    struct gossip_tlv tlv;
    size_t at = 0;

    CHECK_EQ(gossip_message_check(out->buf, out->len), GOSSIP_WIRE_OK);
    CHECK(gossip_message_next(out->buf, out->len, &at, &tlv));
    CHECK_EQ(at, out->len);
    return tlv;
}

static void
test_records(void)
{
    struct gossip_member_value member = { .epoch = 77, .name = "host one" };
    struct gossip_record r = { .version = UINT64_C(1) << 60, .origin = 3 }, s;
    struct gossip_member_value got;
    struct gossip_tlv tlv;
    struct gossip_out out;

    memset(member.addr.ip, 0xfe, 16);
    member.addr.port = 6999;
    gossip_member_encode(&r, gossip_host_id(member.name), &member);
    gossip_out_init(&out);
    CHECK(gossip_out_record(&out, &r, 5000));
    tlv = only_tlv(&out);
    CHECK(gossip_record_decode(&tlv, &s));
    CHECK(s.version == r.version && s.origin == 3 && s.ttl == 5000);
    CHECK(gossip_member_decode(&s, &got));
    CHECK(got.epoch == 77 && !strcmp(got.name, member.name)
          && !memcmp(&got.addr, &member.addr, sizeof got.addr));

    /* A name that is not that of the number. */
    s.value[s.value_len - 1] ^= 1;
    CHECK(!gossip_member_decode(&s, &got));

    /* Any byte less is malformed, or is another name. */
    for (size_t n = 0; n < tlv.len; n++) {
        struct gossip_tlv less = { tlv.type, tlv.body, n };

        CHECK(!gossip_record_decode(&less, &s));
    }
}

static void
test_session_keys(void)
{
    struct in6_addr src6 = { .s6_addr = { 0x20, 1 } };
    struct in6_addr dst6 = { .s6_addr = { 0x20, 2 } };
    uint8_t buf[GOSSIP_KEY_MAX];
    struct sess_key k, back;

    sess_key_init_ip4(&k, htonl(0x0a000001), htonl(0x0a000002), htons(80),
                      htons(1234), 6, 9);
    CHECK_EQ(gossip_key_encode(&k, buf), 15);
    CHECK(gossip_key_decode(buf, 15, &back) && sess_key_equals(&k, &back));
    sess_key_init_ip6(&k, &src6, &dst6, htons(80), htons(1234), 17, 9);
    CHECK_EQ(gossip_key_encode(&k, buf), 39);
    CHECK(gossip_key_decode(buf, 39, &back) && sess_key_equals(&k, &back));
    CHECK(!gossip_key_decode(buf, 16, &back));
}

/* What later versions add is passed over. */
static void
test_unknown(void)
{
    struct net *net = net_create(2);
    struct gossip_from from = { .host = 99, .epoch = 5 };
    struct gossip_addr addr = net_addr(1);
    struct gossip_record r = { .version = 5, .origin = 99, .key = "k",
                               .key_len = 1 };
    struct gossip_stats stats;
    struct gossip_out out;

    net_start(net, 0);
    gossip_session_encode(&r, &(struct gossip_session_value) { false, 99 });
    memcpy(r.value + r.value_len, "more", 4);
    r.value_len += 4;
    gossip_out_init(&out);
    memset(gossip_out_tlv(&out, 200, 100), 0xff, 100);
    gossip_out_record(&out, &r, 0);
    r.class = 77;
    gossip_out_record(&out, &r, 0);
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    CHECK(gossip_lookup(net->nodes[0].g, GOSSIP_SESSION, "k", 1));
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.rx_unknown, 2);
    CHECK_EQ(stats.rx_bad_records, 0);

    out.buf[0]++;
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    gossip_get_stats(net->nodes[0].g, &stats);
    CHECK_EQ(stats.rx_version, 1);
    net_destroy(net);
}

static void
test_full(void)
{
    struct gossip_record r = { .version = 5, .origin = 99, .key_len = 15 };
    struct gossip_out out;
    int n = 0;

    gossip_session_encode(&r, &(struct gossip_session_value) { false, 99 });
    gossip_out_init(&out);
    while (gossip_out_record(&out, &r, 0)) {
        n++;
    }
    CHECK_EQ(n, (GOSSIP_PAYLOAD_MAX - 1) / gossip_record_size(&r));
    CHECK(out.len <= GOSSIP_PAYLOAD_MAX);
    CHECK(!gossip_out_tlv(&out, GOSSIP_T_PING, GOSSIP_PAYLOAD_MAX));
    CHECK_EQ(gossip_message_check(out.buf, out.len), GOSSIP_WIRE_OK);
    CHECK_EQ(gossip_message_check(out.buf, out.len - 1),
             GOSSIP_WIRE_TRUNCATED);
    CHECK_EQ(gossip_message_check(out.buf, 0), GOSSIP_WIRE_SIZE);
}

static const struct test tests[] = {
    { "seal", test_seal },
    { "forged", test_forged },
    { "truncated", test_truncated },
    { "replayed", test_replayed },
    { "epochs", test_epochs },
    { "join", test_join },
    { "unbound", test_unbound },
    { "keys", test_keys },
    { "senders", test_senders },
    { "windows", test_windows },
    { "forgotten", test_forgotten },
    { "records", test_records },
    { "session-keys", test_session_keys },
    { "unknown", test_unknown },
    { "full", test_full },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
