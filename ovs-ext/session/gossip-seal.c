/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The only file of gossip that knows OpenSSL.  Key, nonce and additional data
 * are arguments: nothing is drawn at random here, no clock is read. */

#include <config.h>

#include "ovs-ext/session/gossip-seal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "ovs-ext/session/gossip-wire.h"
#include "util.h"

enum {
    MAGIC = 0xe5,
    SEAL_VERSION = 1,
    FLAG_JOIN = 1,
    HEADER = 28,
    TAG = 16,
    AAD = HEADER + 16,
    WINDOW_WORDS = 16,
    WINDOW = 64 * WINDOW_WORDS,
    NAMES = 16,                     /* Senders known for each window. */
};
BUILD_ASSERT_DECL(HEADER + TAG == GOSSIP_SEAL_OVERHEAD);

#define MAX48 ((UINT64_C(1) << 48) - 1)

struct key {
    uint32_t id;
    uint8_t secret[GOSSIP_KEY_SIZE];
};

/* A sender that has said something that opened. */
struct peer {
    struct hmap_node node;          /* In 'peers' by 'host'. */
    uint64_t host;
    uint64_t epoch;
    uint64_t top;                   /* Highest sequence number. */
    struct window *window;          /* Null: given up. */
};

/* What one that was heard lately has, besides. */
struct window {
    struct ovs_list node;           /* In 'windows'. */
    struct peer *peer;
    uint64_t seen[WINDOW_WORDS];    /* Bit (s % WINDOW): s has come. */
    uint32_t key_id;                /* Of the key that 'ctx' is set up with. */
    EVP_CIPHER_CTX *ctx;
};

struct gossip_seal {
    uint64_t host, epoch;           /* Ours. */
    uint64_t sequence;              /* Of the last datagram closed. */
    struct key keys[GOSSIP_MAX_KEYS];
    size_t n_keys;
    size_t use;                     /* Index of the key to send with. */
    EVP_CIPHER_CTX *send;           /* Set up with it. */
    EVP_CIPHER_CTX *scratch;        /* For who is not a peer yet. */
    struct hmap peers;
    struct ovs_list windows;        /* Least recently heard first. */
    size_t n_windows, max_windows;
    uint64_t floor;                 /* Who is not among 'peers' has a later
                                     * epoch, or is refused. */
    uint64_t counts[GOSSIP_OPEN_N];
};

static void
derive(const struct key *key, uint64_t host, uint64_t epoch,
       uint8_t out[GOSSIP_KEY_SIZE])
{
    uint8_t input[16 + 16] = "ovs-ext gossip 1";
    unsigned int n = GOSSIP_KEY_SIZE;

    gossip_put(input + 16, host, 8);
    gossip_put(input + 24, epoch, 8);
    ovs_assert(HMAC(EVP_sha256(), key->secret, sizeof key->secret, input,
                    sizeof input, out, &n) && n == GOSSIP_KEY_SIZE);
}

static void
set_up(EVP_CIPHER_CTX *ctx, const struct key *key, uint64_t host,
       uint64_t epoch, bool encrypt)
{
    uint8_t secret[GOSSIP_KEY_SIZE];

    derive(key, host, epoch, secret);
    ovs_assert(EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, NULL,
                                 encrypt) == 1);
    OPENSSL_cleanse(secret, sizeof secret);
}

/* Returns the seal of the host with number 'host' that started at 'epoch', in
 * ms since 1970.  It has no key yet.  'max_windows', at least 1, bounds the
 * senders that it keeps a replay window for. */
struct gossip_seal *
gossip_seal_create(uint64_t host, uint64_t epoch, size_t max_windows)
{
    struct gossip_seal *s = xzalloc(sizeof *s);

    ovs_assert(epoch && epoch <= MAX48 && max_windows);
    s->host = host;
    s->epoch = epoch;
    s->max_windows = max_windows;
    ovs_list_init(&s->windows);
    s->send = EVP_CIPHER_CTX_new();
    s->scratch = EVP_CIPHER_CTX_new();
    ovs_assert(s->send && s->scratch);
    hmap_init(&s->peers);
    return s;
}

static void
window_destroy(struct gossip_seal *s, struct window *w)
{
    w->peer->window = NULL;
    ovs_list_remove(&w->node);
    s->n_windows--;
    EVP_CIPHER_CTX_free(w->ctx);
    free(w);
}

void
gossip_seal_destroy(struct gossip_seal *s)
{
    struct peer *p;

    if (!s) {
        return;
    }
    HMAP_FOR_EACH_POP (p, node, &s->peers) {
        if (p->window) {
            window_destroy(s, p->window);
        }
        free(p);
    }
    hmap_destroy(&s->peers);
    EVP_CIPHER_CTX_free(s->send);
    EVP_CIPHER_CTX_free(s->scratch);
    OPENSSL_cleanse(s->keys, sizeof s->keys);
    free(s);
}

/* Keys. */

static uint32_t
key_id(const uint8_t secret[GOSSIP_KEY_SIZE])
{
    static const uint8_t label[] = "ovs-ext gossip key";
    uint8_t out[GOSSIP_KEY_SIZE];
    unsigned int n = sizeof out;

    ovs_assert(HMAC(EVP_sha256(), secret, GOSSIP_KEY_SIZE, label,
                    sizeof label - 1, out, &n));
    return gossip_get(out, 4);
}

static struct key *
key_find(const struct gossip_seal *s, uint32_t id)
{
    for (size_t i = 0; i < s->n_keys; i++) {
        if (s->keys[i].id == id) {
            return CONST_CAST(struct key *, &s->keys[i]);
        }
    }
    return NULL;
}

static void
use(struct gossip_seal *s, size_t i)
{
    s->use = i;
    set_up(s->send, &s->keys[i], s->host, s->epoch, true);
}

/* Accepts datagrams sealed with 'key', too.  The first key is also the one to
 * send with.  Returns 0, EEXIST, or ENOSPC after GOSSIP_MAX_KEYS. */
int
gossip_seal_add_key(struct gossip_seal *s, const uint8_t key[GOSSIP_KEY_SIZE])
{
    uint32_t id = key_id(key);

    if (key_find(s, id)) {
        return EEXIST;
    }
    if (s->n_keys >= GOSSIP_MAX_KEYS) {
        return ENOSPC;
    }
    s->keys[s->n_keys].id = id;
    memcpy(s->keys[s->n_keys++].secret, key, GOSSIP_KEY_SIZE);
    if (s->n_keys == 1) {
        use(s, 0);
    }
    return 0;
}

/* Sends with 'key' from now on.  Returns 0, or ENOENT if it was not added. */
int
gossip_seal_use_key(struct gossip_seal *s, const uint8_t key[GOSSIP_KEY_SIZE])
{
    struct key *k = key_find(s, key_id(key));

    if (!k) {
        return ENOENT;
    }
    use(s, k - s->keys);
    return 0;
}

/* Accepts 'key' no more.  Returns 0, ENOENT, or EBUSY if it is the one to send
 * with. */
int
gossip_seal_remove_key(struct gossip_seal *s,
                       const uint8_t key[GOSSIP_KEY_SIZE])
{
    struct key *k = key_find(s, key_id(key));

    if (!k) {
        return ENOENT;
    }
    size_t i = k - s->keys;
    if (i == s->use) {
        return EBUSY;
    }
    s->n_keys--;
    memmove(k, k + 1, (s->n_keys - i) * sizeof *k);
    OPENSSL_cleanse(&s->keys[s->n_keys], sizeof *k);
    s->use -= i < s->use;
    return 0;
}

size_t
gossip_seal_n_keys(const struct gossip_seal *s)
{
    return s->n_keys;
}

/* Stores what datagrams call the keys to 'ids', the one to send with first.
 * Returns how many there are. */
size_t
gossip_seal_key_ids(const struct gossip_seal *s, uint32_t ids[GOSSIP_MAX_KEYS])
{
    size_t n = 0;

    if (s->n_keys) {
        ids[n++] = s->keys[s->use].id;
    }
    for (size_t i = 0; i < s->n_keys; i++) {
        if (i != s->use) {
            ids[n++] = s->keys[i].id;
        }
    }
    return n;
}

/* Datagrams. */

static void
nonce(uint64_t sequence, uint8_t iv[12])
{
    memset(iv, 0, 12);
    gossip_put(iv + 6, sequence, 6);
}

/* Seals the 'n' bytes of 'payload' (at most GOSSIP_RX_PAYLOAD_MAX) for host
 * 'to_host' that started at 'to_epoch', or, if that is 0, with the flag JOIN
 * for whoever it reaches.  'datagram' has room for GOSSIP_SEAL_OVERHEAD bytes
 * more.  Returns the length of the datagram, or 0 if there is no key. */
size_t
gossip_seal_close(struct gossip_seal *s, uint64_t to_host, uint64_t to_epoch,
                  const void *payload, size_t n, uint8_t *datagram)
{
    uint8_t aad[AAD], iv[12];
    int len;

    ovs_assert(n <= GOSSIP_RX_PAYLOAD_MAX);
    if (!s->n_keys || s->sequence >= MAX48) {
        return 0;
    }
    s->sequence++;
    datagram[0] = MAGIC;
    datagram[1] = SEAL_VERSION;
    datagram[2] = to_epoch ? 0 : FLAG_JOIN;
    datagram[3] = 0;
    gossip_put(datagram + 4, s->keys[s->use].id, 4);
    gossip_put(datagram + 8, s->host, 8);
    gossip_put(datagram + 16, s->epoch, 6);
    gossip_put(datagram + 22, s->sequence, 6);
    memcpy(aad, datagram, HEADER);
    gossip_put(aad + HEADER, to_epoch ? to_host : 0, 8);
    gossip_put(aad + HEADER + 8, to_epoch, 8);
    nonce(s->sequence, iv);
    ovs_assert(EVP_EncryptInit_ex(s->send, NULL, NULL, NULL, iv) == 1
               && EVP_EncryptUpdate(s->send, NULL, &len, aad, AAD) == 1
               && EVP_EncryptUpdate(s->send, datagram + HEADER, &len, payload,
                                    n) == 1
               && EVP_EncryptFinal_ex(s->send, datagram + HEADER + len,
                                      &len) == 1
               && EVP_CIPHER_CTX_ctrl(s->send, EVP_CTRL_GCM_GET_TAG, TAG,
                                      datagram + HEADER + n) == 1);
    return HEADER + n + TAG;
}

static struct peer *
peer_find(const struct gossip_seal *s, uint64_t host)
{
    struct peer *p;

    HMAP_FOR_EACH_WITH_HASH (p, node, host >> 32, &s->peers) {
        if (p->host == host) {
            return p;
        }
    }
    return NULL;
}

/* Whether 'p' has said 'seq', or may have. */
static bool
has_said(const struct peer *p, uint64_t seq)
{
    return (seq <= p->top
            && (!p->window || p->top - seq >= WINDOW
                || p->window->seen[seq % WINDOW / 64] >> seq % 64 & 1));
}

static void
window_add(struct gossip_seal *s, struct peer *p, uint64_t seq)
{
    struct window *w = p->window;

    if (seq > p->top && seq - p->top >= WINDOW) {
        memset(w->seen, 0, sizeof w->seen);
        p->top = seq;
    }
    while (p->top < seq) {
        p->top++;
        w->seen[p->top % WINDOW / 64] &= ~(UINT64_C(1) << p->top % 64);
    }
    w->seen[seq % WINDOW / 64] |= UINT64_C(1) << seq % 64;
    ovs_list_remove(&w->node);
    ovs_list_push_back(&s->windows, &w->node);
}

static bool
decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *datagram, size_t n,
        uint64_t host, uint64_t epoch, uint64_t sequence, uint8_t *payload)
{
    uint8_t aad[AAD], iv[12], tag[TAG];
    size_t body = n - HEADER - TAG;
    int len;

    memcpy(aad, datagram, HEADER);
    gossip_put(aad + HEADER, host, 8);
    gossip_put(aad + HEADER + 8, epoch, 8);
    memcpy(tag, datagram + n - TAG, TAG);
    nonce(sequence, iv);
    return (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1
            && EVP_DecryptUpdate(ctx, NULL, &len, aad, AAD) == 1
            && EVP_DecryptUpdate(ctx, payload, &len, datagram + HEADER,
                                 body) == 1
            && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1
            && EVP_DecryptFinal_ex(ctx, payload + len, &len) == 1);
}

static int
compare_epochs(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* Forgets a quarter of the senders that have no window: those that started
 * first.  Nobody who is not known and started as early is heard again. */
static void
forget(struct gossip_seal *s)
{
    uint64_t *epochs = xmalloc(hmap_count(&s->peers) * sizeof *epochs);
    struct peer *p, *next;
    size_t n = 0;

    HMAP_FOR_EACH (p, node, &s->peers) {
        if (!p->window) {
            epochs[n++] = p->epoch;
        }
    }
    qsort(epochs, n, sizeof *epochs, compare_epochs);
    s->floor = MAX(s->floor, epochs[n / 4]);
    HMAP_FOR_EACH_SAFE (p, next, node, &s->peers) {
        if (!p->window && p->epoch <= s->floor) {
            hmap_remove(&s->peers, &p->node);
            free(p);
        }
    }
    free(epochs);
}

static struct peer *
peer_create(struct gossip_seal *s, uint64_t host)
{
    struct peer *p;

    if (hmap_count(&s->peers) >= NAMES * s->max_windows) {
        forget(s);
    }
    p = xzalloc(sizeof *p);
    p->host = host;
    hmap_insert(&s->peers, &p->node, host >> 32);
    return p;
}

/* Gives 'p' a window, in which all counts as seen.  If there are too many, who
 * was not heard for the longest time gives up its own: of that one only what
 * comes after all that was heard will open from now on. */
static void
window_create(struct gossip_seal *s, struct peer *p)
{
    struct window *w = xmalloc(sizeof *w);

    if (s->n_windows >= s->max_windows) {
        window_destroy(s, CONTAINER_OF(ovs_list_front(&s->windows),
                                       struct window, node));
    }
    w->peer = p;
    w->ctx = EVP_CIPHER_CTX_new();
    ovs_assert(w->ctx);
    memset(w->seen, 0xff, sizeof w->seen);
    ovs_list_push_back(&s->windows, &w->node);
    s->n_windows++;
    p->window = w;
}

/* Makes a peer of 'from', which has just proved that it has 'key', or moves
 * one to its new epoch.  Takes over the context that did it.  What the sender
 * sealed before 'sequence' in a new epoch counts as seen: some of it, its
 * HELLO, was.  Returns the peer. */
static struct peer *
peer_renew(struct gossip_seal *s, struct peer *p,
           const struct gossip_from *from, const struct key *key,
           uint64_t sequence)
{
    EVP_CIPHER_CTX *ctx = s->scratch;

    p = p ? p : peer_create(s, from->host);
    if (!p->window) {
        window_create(s, p);
    }
    if (p->epoch != from->epoch) {
        p->epoch = from->epoch;
        p->top = sequence;
        memset(p->window->seen, 0xff, sizeof p->window->seen);
    }
    s->scratch = p->window->ctx;
    p->window->ctx = ctx;
    p->window->key_id = key->id;
    return p;
}

static enum gossip_open_error
open_datagram(struct gossip_seal *s, const uint8_t *datagram, size_t n,
              struct gossip_from *from, uint8_t *payload, size_t *payload_n)
{
    if (n < HEADER + TAG) {
        return GOSSIP_OPEN_TRUNCATED;
    }
    if (n > GOSSIP_RX_MTU) {
        return GOSSIP_OPEN_OVERSIZED;
    }
    if (datagram[0] != MAGIC || datagram[1] != SEAL_VERSION
        || datagram[2] & ~FLAG_JOIN || datagram[3]) {
        return GOSSIP_OPEN_FORMAT;
    }
    uint64_t sequence = gossip_get(datagram + 22, 6);

    from->join = datagram[2] & FLAG_JOIN;
    from->host = gossip_get(datagram + 8, 8);
    from->epoch = gossip_get(datagram + 16, 6);
    if (from->host == s->host) {
        return GOSSIP_OPEN_SELF;
    }
    const struct key *key = key_find(s, gossip_get(datagram + 4, 4));
    if (!key) {
        return GOSSIP_OPEN_KEY;
    }

    /* Cheaper than to open it, and what the header claims is checked below. */
    struct peer *p = peer_find(s, from->host);
    if (p ? from->epoch < p->epoch : from->epoch <= s->floor) {
        return GOSSIP_OPEN_EPOCH;
    }
    if (!sequence || (p && from->epoch == p->epoch && has_said(p, sequence))) {
        return GOSSIP_OPEN_REPLAYED;
    }

    bool known = (p && p->epoch == from->epoch && p->window
                  && p->window->key_id == key->id);
    EVP_CIPHER_CTX *ctx = known ? p->window->ctx : s->scratch;
    if (!known) {
        set_up(ctx, key, from->host, from->epoch, false);
    }
    if (!decrypt(ctx, datagram, n, from->join ? 0 : s->host,
                 from->join ? 0 : s->epoch, sequence, payload)) {
        return GOSSIP_OPEN_FORGED;
    }
    *payload_n = n - HEADER - TAG;

    /* What is not bound to this run of ours makes no peer. */
    if (!from->join && !known) {
        p = peer_renew(s, p, from, key, sequence);
    }
    if (p && p->window && p->epoch == from->epoch) {
        window_add(s, p, sequence);
    }
    return GOSSIP_OPEN_OK;
}

/* Opens a datagram of 'n' bytes.  Only if this returns GOSSIP_OPEN_OK do
 * '*from', the '*payload_n' bytes of 'payload' (room for
 * GOSSIP_RX_PAYLOAD_MAX) mean anything. */
enum gossip_open_error
gossip_seal_open(struct gossip_seal *s, const uint8_t *datagram, size_t n,
                 struct gossip_from *from, uint8_t *payload,
                 size_t *payload_n)
{
    enum gossip_open_error error = open_datagram(s, datagram, n, from,
                                                 payload, payload_n);

    s->counts[error]++;
    return error;
}

const char *
gossip_open_error_to_string(enum gossip_open_error error)
{
    switch (error) {
    case GOSSIP_OPEN_OK: return "accepted";
    case GOSSIP_OPEN_TRUNCATED: return "truncated";
    case GOSSIP_OPEN_OVERSIZED: return "oversized";
    case GOSSIP_OPEN_FORMAT: return "format";
    case GOSSIP_OPEN_SELF: return "self";
    case GOSSIP_OPEN_KEY: return "unknown-key";
    case GOSSIP_OPEN_REPLAYED: return "replayed";
    case GOSSIP_OPEN_EPOCH: return "earlier-epoch";
    case GOSSIP_OPEN_FORGED: return "forged";
    case GOSSIP_OPEN_N:
    default: return "?";
    }
}

/* How many datagrams ended with 'error'. */
uint64_t
gossip_seal_count(const struct gossip_seal *s, enum gossip_open_error error)
{
    return s->counts[error];
}
