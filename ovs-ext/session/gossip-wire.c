/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/gossip-wire.h"

#include <math.h>
#include <string.h>

#include "ovs-ext/session/sess-key.h"
#include "util.h"

/* FNV-1a, finished as SplitMix64 is: the same on every machine, which the
 * hashes of Open vSwitch are not.  Clients choose keys of sessions, which are
 * their addresses and ports, and can make two with one hash: who looks up a
 * record by its hash compares the key as well. */
uint64_t
gossip_hash(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    }
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

/* Names a record among all: its class and key. */
uint64_t
gossip_record_hash(const struct gossip_record *r)
{
    uint8_t buf[1 + GOSSIP_KEY_MAX];

    buf[0] = r->class;
    memcpy(buf + 1, r->key, r->key_len);
    return gossip_hash(buf, 1 + r->key_len);
}

/* The number of the host named 'name', never 0. */
uint64_t
gossip_host_id(const char *name)
{
    uint64_t id = gossip_hash(name, strlen(name));

    return id ? id : 1;
}

/* Writing. */

void
gossip_out_init(struct gossip_out *out)
{
    out->buf[0] = GOSSIP_VERSION;
    out->len = 1;
}

/* Appends a TLV and returns its body, 'len' bytes to fill in, or null if there
 * is no room. */
uint8_t *
gossip_out_tlv(struct gossip_out *out, enum gossip_type type, size_t len)
{
    uint8_t *p = out->buf + out->len;

    if (out->len + 3 + len > sizeof out->buf) {
        return NULL;
    }
    p[0] = type;
    gossip_put(p + 1, len, 2);
    out->len += 3 + len;
    return p + 3;
}

/* Appends 'r', which counts for another 'ttl' ms (0: for ever).  Returns false
 * if there is no room. */
bool
gossip_out_record(struct gossip_out *out, const struct gossip_record *r,
                  uint32_t ttl)
{
    uint8_t *p = gossip_out_tlv(out, GOSSIP_T_RECORD, gossip_record_size(r)
                                - 3);

    if (!p) {
        return false;
    }
    p[0] = r->class;
    p[1] = r->key_len;
    gossip_put(p + 2, r->version, 8);
    gossip_put(p + 10, r->origin, 8);
    gossip_put(p + 18, ttl, 4);
    memcpy(p + 22, r->key, r->key_len);
    memcpy(p + 22 + r->key_len, r->value, r->value_len);
    return true;
}

/* Reading. */

/* Checks that the 'n' bytes of 'data' are a message of our version whose TLVs
 * fit. */
enum gossip_wire_error
gossip_message_check(const uint8_t *data, size_t n)
{
    if (n < 1 || n > GOSSIP_RX_PAYLOAD_MAX) {
        return GOSSIP_WIRE_SIZE;
    }
    if (data[0] != GOSSIP_VERSION) {
        return GOSSIP_WIRE_VERSION;
    }
    for (size_t at = 1; at < n; ) {
        if (n - at < 3 || n - at - 3 < gossip_get(data + at + 1, 2)) {
            return GOSSIP_WIRE_TRUNCATED;
        }
        at += 3 + gossip_get(data + at + 1, 2);
    }
    return GOSSIP_WIRE_OK;
}

/* Fetches the next TLV of a message that gossip_message_check() has passed.
 * '*at' is 0 at first. */
bool
gossip_message_next(const uint8_t *data, size_t n, size_t *at,
                    struct gossip_tlv *tlv)
{
    if (!*at) {
        *at = 1;
    }
    if (*at >= n) {
        return false;
    }
    tlv->type = data[*at];
    tlv->len = gossip_get(data + *at + 1, 2);
    tlv->body = data + *at + 3;
    *at += 3 + tlv->len;
    return true;
}

/* Whether 'r' has the shape of its class. */
static bool
record_is_valid(const struct gossip_record *r)
{
    struct gossip_member_value member;

    switch ((enum gossip_class) r->class) {
    case GOSSIP_MEMBER: return gossip_member_decode(r, &member);
    case GOSSIP_SESSION: return (r->key_len && r->value_len >= 9
                                 && (r->value[0] == 1 || r->value[0] == 2));
    case GOSSIP_HINT: return r->key_len && r->value_len >= 18 && r->ttl;
    case GOSSIP_LOAD: return r->key_len == 8 && r->value_len >= 10;
    case GOSSIP_N_CLASSES:
    default: return false;
    }
}

/* Decodes a RECORD.  Returns false, and leaves '*r' undefined, for one that is
 * malformed or of a class that we do not know. */
bool
gossip_record_decode(const struct gossip_tlv *tlv, struct gossip_record *r)
{
    const uint8_t *p = tlv->body;

    if (tlv->len < GOSSIP_RECORD_HEADER || p[0] >= GOSSIP_N_CLASSES
        || p[1] > GOSSIP_KEY_MAX || tlv->len - GOSSIP_RECORD_HEADER < p[1]
        || tlv->len - GOSSIP_RECORD_HEADER - p[1] > GOSSIP_VALUE_MAX) {
        return false;
    }
    r->class = p[0];
    r->key_len = p[1];
    r->value_len = tlv->len - GOSSIP_RECORD_HEADER - p[1];
    r->version = gossip_get(p + 2, 8);
    r->origin = gossip_get(p + 10, 8);
    r->ttl = gossip_get(p + 18, 4);
    memcpy(r->key, p + 22, r->key_len);
    memcpy(r->value, p + 22 + r->key_len, r->value_len);
    return record_is_valid(r);
}

/* Values. */

static uint16_t
share_encode(double x)
{
    return x > 0 ? lrint(MIN(x, 1) * 65535) : 0;
}

static void
host_key(struct gossip_record *r, enum gossip_class class, uint64_t host)
{
    r->class = class;
    r->key_len = 8;
    gossip_put(r->key, host, 8);
}

void
gossip_member_encode(struct gossip_record *r, uint64_t host,
                     const struct gossip_member_value *v)
{
    size_t n = strnlen(v->name, GOSSIP_NAME_MAX);

    host_key(r, GOSSIP_MEMBER, host);
    gossip_put(r->value, v->epoch, 8);
    memcpy(r->value + 8, v->addr.ip, 16);
    gossip_put(r->value + 24, v->addr.port, 2);
    memcpy(r->value + 26, v->name, n);
    r->value_len = 26 + n;
}

/* A host's number follows from its name. */
bool
gossip_member_decode(const struct gossip_record *r,
                     struct gossip_member_value *v)
{
    if (r->key_len != 8 || r->value_len <= 26) {
        return false;
    }
    size_t n = r->value_len - 26;

    v->epoch = gossip_get(r->value, 8);
    memcpy(v->addr.ip, r->value + 8, 16);
    v->addr.port = gossip_get(r->value + 24, 2);
    memcpy(v->name, r->value + 26, n);
    v->name[n] = '\0';
    return (strlen(v->name) == n
            && gossip_host_id(v->name) == gossip_get(r->key, 8));
}

void
gossip_session_encode(struct gossip_record *r,
                      const struct gossip_session_value *v)
{
    r->class = GOSSIP_SESSION;
    r->value[0] = v->closed ? 2 : 1;
    gossip_put(r->value + 1, v->host, 8);
    r->value_len = 9;
}

bool
gossip_session_decode(const struct gossip_record *r,
                      struct gossip_session_value *v)
{
    if (r->class != GOSSIP_SESSION || !record_is_valid(r)) {
        return false;
    }
    v->closed = r->value[0] == 2;
    v->host = gossip_get(r->value + 1, 8);
    return true;
}

void
gossip_hint_encode(struct gossip_record *r, const struct gossip_hint_value *v)
{
    r->class = GOSSIP_HINT;
    gossip_put(r->value, v->target, 8);
    gossip_put(r->value + 8, share_encode(v->probability), 2);
    gossip_put(r->value + 10, v->template_id, 8);
    r->value_len = 18;
}

bool
gossip_hint_decode(const struct gossip_record *r, struct gossip_hint_value *v)
{
    if (r->class != GOSSIP_HINT || !record_is_valid(r)) {
        return false;
    }
    v->target = gossip_get(r->value, 8);
    v->probability = gossip_get(r->value + 8, 2) / 65535.0;
    v->template_id = gossip_get(r->value + 10, 8);
    return true;
}

void
gossip_load_encode(struct gossip_record *r, uint64_t host,
                   const struct gossip_load_value *v)
{
    host_key(r, GOSSIP_LOAD, host);
    gossip_put(r->value, share_encode(v->cpu), 2);
    gossip_put(r->value + 2, share_encode(v->memory), 2);
    gossip_put(r->value + 4, share_encode(v->bandwidth), 2);
    gossip_put(r->value + 6, v->sessions, 4);
    r->value_len = 10;
}

bool
gossip_load_decode(const struct gossip_record *r, struct gossip_load_value *v)
{
    if (r->class != GOSSIP_LOAD || !record_is_valid(r)) {
        return false;
    }
    v->cpu = gossip_get(r->value, 2) / 65535.0;
    v->memory = gossip_get(r->value + 2, 2) / 65535.0;
    v->bandwidth = gossip_get(r->value + 4, 2) / 65535.0;
    v->sessions = gossip_get(r->value + 6, 4);
    return true;
}

/* Session keys. */

size_t
gossip_key_encode(const struct sess_key *k, uint8_t key[GOSSIP_KEY_MAX])
{
    bool ip4 = (IN6_IS_ADDR_V4MAPPED(&k->src)
                && IN6_IS_ADDR_V4MAPPED(&k->dst));
    size_t n = ip4 ? 4 : 16;

    memcpy(key, k->src.s6_addr + 16 - n, n);
    memcpy(key + n, k->dst.s6_addr + 16 - n, n);
    memcpy(key + 2 * n, &k->sport, 2);
    memcpy(key + 2 * n + 2, &k->dport, 2);
    key[2 * n + 4] = k->proto;
    gossip_put(key + 2 * n + 5, k->zone, 2);
    return 2 * n + 7;
}

/* Returns false if 'key' is not of a session. */
bool
gossip_key_decode(const uint8_t *key, size_t len, struct sess_key *k)
{
    size_t n = len == 15 ? 4 : 16;

    memset(k, 0, sizeof *k);
    if (len != 15 && len != 39) {
        return false;
    }
    if (n == 4) {
        k->src.s6_addr[10] = k->src.s6_addr[11] = 0xff;
        k->dst.s6_addr[10] = k->dst.s6_addr[11] = 0xff;
    }
    memcpy(k->src.s6_addr + 16 - n, key, n);
    memcpy(k->dst.s6_addr + 16 - n, key + n, n);
    memcpy(&k->sport, key + 2 * n, 2);
    memcpy(&k->dport, key + 2 * n + 2, 2);
    k->proto = key[2 * n + 4];
    k->zone = gossip_get(key + 2 * n + 5, 2);
    return true;
}
