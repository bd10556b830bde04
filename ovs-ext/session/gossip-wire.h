/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_WIRE_H
#define GOSSIP_WIRE_H 1

/* The messages of gossip
 * ======================
 *
 * A message is the payload of one UDP datagram, before sealing (see
 * gossip-seal.h).  What is sent has at most GOSSIP_MTU bytes when sealed, over
 * IPv4 and IPv6 alike, and is never fragmented by us: every path of IPv6 takes
 * that, and the headers of IPv6 and UDP.  More would vanish where a tunnel is
 * on the way and ICMP is filtered, and only what is large: members would stay
 * alive and not hear what is new.  Up to GOSSIP_RX_MTU bytes are accepted, as
 * older builds send.  All numbers are big-endian.
 *
 *     message    := version (1 byte, GOSSIP_VERSION) TLV...
 *     TLV        := type (1 byte)  length (2 bytes, of the body)  body
 *
 * type      body
 * --------  ----------------------------------------------------------------
 * PING      seq:4 target:8          Answered by ACK, if 'target' is the
 *                                   receiver (an address may be reused).
 * ACK       seq:4
 * NACK      seq:4                   "I asked; it has not answered yet."
 * PING_REQ  seq:4 target:8          Ping 'target' for me.
 * RECORD    class:1 key-length:1 version:8 origin:8 ttl:4 key value
 * HELLO     (empty)                 From who knows nobody yet.
 * WELCOME   (empty)                 The answer.
 * SYNC      root:8                  Hash of all that the sender knows.
 * DIGEST    GOSSIP_BUCKETS times:8  The same by bucket, where roots differ.
 * SUMMARY   bucket:1 from:8 to:8 (hash:8 version:8)...
 *                                   All records whose key's hash is in
 *                                   from...to, in ascending order.
 * REQUEST   hash:8...               Send me these records.
 *
 * A TLV of unknown type is skipped, as is a RECORD of unknown class, and as
 * are bytes behind the known part of a body: this is how the format grows.
 * What changes the meaning of the known part needs a new version byte, and a
 * message with another version byte is dropped.  A message whose TLVs do not
 * fit its length is dropped as a whole.
 *
 * Records.  Everything that hosts tell each other is a RECORD: a key within a
 * class, and of two records with the same key the one with the higher
 * (version, origin) counts.  'origin' is the host that said so, 'ttl' the
 * milliseconds for which it still counts (0: until replaced).
 *
 * class    key                value
 * -------  -----------------  ------------------------------------------------
 * MEMBER   host:8             epoch:8 address:16 port:2 name
 * SESSION  session or group   state:1 (1 owned, 2 closed) host:8
 * HINT     session or group,  target:8 probability:2 template:8
 *          rank:1 unless 0
 * LOAD     host:8             cpu:2 memory:2 bandwidth:2 sessions:4
 *
 * A LOAD is said again and again and has a short ttl, so it is not compared.
 * Shares (probability, cpu...) are in units of 1/65535.  The version of a
 * MEMBER is incarnation * 4 + state (0 alive, 1 suspected, 2 dead, 3 left),
 * which makes "higher counts" the rules of SWIM; other versions are hybrid
 * logical clocks (gossip.h).  Sessions are opaque here, see
 * gossip_key_encode().
 *
 * Pure functions on values; no thread safety is needed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sess_key;

enum {
    GOSSIP_VERSION = 1,
    GOSSIP_MTU = 1280 - 48,         /* Of a sealed datagram. */
    GOSSIP_RX_MTU = 1400,           /* Of one that an older build sends. */
    GOSSIP_SEAL_OVERHEAD = 44,
    GOSSIP_PAYLOAD_MAX = GOSSIP_MTU - GOSSIP_SEAL_OVERHEAD,
    GOSSIP_RX_PAYLOAD_MAX = GOSSIP_RX_MTU - GOSSIP_SEAL_OVERHEAD,
    GOSSIP_KEY_MAX = 40,
    GOSSIP_KEY_SESSION = 15,        /* Of a session, at least: of anything
                                     * else the key is shorter. */
    GOSSIP_NAME_MAX = 63,
    GOSSIP_VALUE_MAX = 26 + GOSSIP_NAME_MAX,
    GOSSIP_RECORD_HEADER = 22,
    GOSSIP_BUCKETS = 128,
};

enum gossip_type {
    GOSSIP_T_PING = 1,
    GOSSIP_T_ACK,
    GOSSIP_T_NACK,
    GOSSIP_T_PING_REQ,
    GOSSIP_T_RECORD,
    GOSSIP_T_HELLO,
    GOSSIP_T_WELCOME,
    GOSSIP_T_SYNC,
    GOSSIP_T_DIGEST,
    GOSSIP_T_SUMMARY,
    GOSSIP_T_REQUEST,
};

enum gossip_class {
    GOSSIP_MEMBER,
    GOSSIP_SESSION,
    GOSSIP_HINT,
    GOSSIP_LOAD,
    GOSSIP_N_CLASSES
};

/* An IPv6 or an IPv4-mapped address, and a UDP port in host order. */
struct gossip_addr {
    uint8_t ip[16];
    uint16_t port;
};

struct gossip_record {
    uint8_t class;                  /* enum gossip_class. */
    uint8_t key_len, value_len;
    uint32_t ttl;                   /* ms, 0: for ever. */
    uint64_t version, origin;
    uint8_t key[GOSSIP_KEY_MAX];
    uint8_t value[GOSSIP_VALUE_MAX];
};

/* Values in their decoded form. */
struct gossip_member_value {
    uint64_t epoch;
    struct gossip_addr addr;
    char name[GOSSIP_NAME_MAX + 1];
};
struct gossip_session_value {
    bool closed;
    uint64_t host;                  /* The owner; of the closing host. */
};
struct gossip_hint_value {
    uint64_t target;                /* Host. */
    double probability;             /* 0...1 */
    uint64_t template_id;
};
struct gossip_load_value {
    double cpu, memory, bandwidth;  /* 0...1 */
    uint32_t sessions;
};

void gossip_member_encode(struct gossip_record *, uint64_t host,
                          const struct gossip_member_value *);
bool gossip_member_decode(const struct gossip_record *,
                          struct gossip_member_value *);
void gossip_session_encode(struct gossip_record *,
                           const struct gossip_session_value *);
bool gossip_session_decode(const struct gossip_record *,
                           struct gossip_session_value *);
void gossip_hint_encode(struct gossip_record *,
                        const struct gossip_hint_value *);
bool gossip_hint_decode(const struct gossip_record *,
                        struct gossip_hint_value *);
void gossip_load_encode(struct gossip_record *, uint64_t host,
                        const struct gossip_load_value *);
bool gossip_load_decode(const struct gossip_record *,
                        struct gossip_load_value *);

/* Session keys in 15 bytes (IPv4) or 39 (IPv6): the addresses, the ports, the
 * protocol, the zone. */
size_t gossip_key_encode(const struct sess_key *, uint8_t key[GOSSIP_KEY_MAX]);
bool gossip_key_decode(const uint8_t *key, size_t len, struct sess_key *);

bool gossip_addr_equal(const struct gossip_addr *, const struct gossip_addr *);
bool gossip_addr_parse(const char *, struct gossip_addr *);
char *gossip_addr_to_string(const struct gossip_addr *);

uint64_t gossip_hash(const void *, size_t);
uint64_t gossip_record_hash(const struct gossip_record *);
uint64_t gossip_host_id(const char *name);

/* Writing. */
struct gossip_out {
    size_t len;
    uint8_t buf[GOSSIP_PAYLOAD_MAX];
};

void gossip_out_init(struct gossip_out *);
uint8_t *gossip_out_tlv(struct gossip_out *, enum gossip_type, size_t len);
bool gossip_out_record(struct gossip_out *, const struct gossip_record *,
                       uint32_t ttl);
static inline size_t
gossip_record_size(const struct gossip_record *r)
{
    return 3 + GOSSIP_RECORD_HEADER + r->key_len + r->value_len;
}
static inline bool
gossip_out_is_empty(const struct gossip_out *out)
{
    return out->len <= 1;
}

/* Reading. */
enum gossip_wire_error {
    GOSSIP_WIRE_OK,
    GOSSIP_WIRE_SIZE,               /* Empty, or larger than allowed. */
    GOSSIP_WIRE_VERSION,
    GOSSIP_WIRE_TRUNCATED,          /* A TLV ends behind the message. */
};

struct gossip_tlv {
    uint8_t type;
    const uint8_t *body;
    size_t len;
};

enum gossip_wire_error gossip_message_check(const uint8_t *, size_t);
bool gossip_message_next(const uint8_t *, size_t, size_t *at,
                         struct gossip_tlv *);
bool gossip_record_decode(const struct gossip_tlv *, struct gossip_record *);

/* Numbers. */
static inline void
gossip_put(uint8_t *p, uint64_t x, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, x >>= 8) {
        p[i] = x;
    }
}

static inline uint64_t
gossip_get(const uint8_t *p, int bytes)
{
    uint64_t x = 0;

    for (int i = 0; i < bytes; i++) {
        x = x << 8 | p[i];
    }
    return x;
}

#endif /* gossip-wire.h */
