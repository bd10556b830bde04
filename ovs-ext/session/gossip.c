/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/gossip.h"

#include <string.h>

#include "ovs-ext/session/gossip-impl.h"
#include "ovs-ext/session/gossip-seal.h"
#include "util.h"

/* Our defaults. */
void
gossip_config_init(struct gossip_config *cfg)
{
    *cfg = (struct gossip_config) {
        .lifeguard = true,
        .probe_interval = 1000,
        .probe_timeout = 300,
        .pings = 5,
        .indirect = 3,
        .suspicion_mult = 4,
        .suspicion_max_mult = 6,
        .spread = GOSSIP_SPREAD_RING,
        .spread_interval = 60,
        .fanout = 4,
        .sync_interval = 5000,
        .dead_interval = 5000,
        .max_rate = 1000 * 1000,
        .hint_min = 0.5,
        .hint_rate = 1000,
        .max_records = 65536,
        .max_members = 16384,
        .max_queue = 4096,
    };
}

/* Those of memberlist (HashiCorp), for comparison: DefaultLANConfig(). */
void
gossip_config_init_memberlist(struct gossip_config *cfg)
{
    gossip_config_init(cfg);
    cfg->probe_interval = 1000;
    cfg->probe_timeout = 500;
    cfg->pings = 1;
    cfg->spread = GOSSIP_SPREAD_RANDOM;
    cfg->spread_interval = 200;
    cfg->fanout = 3;
    cfg->retransmit_mult = 4;
    cfg->sync_interval = 30000;
}

/* Plain SWIM: memberlist's parameters without Lifeguard. */
void
gossip_config_init_swim(struct gossip_config *cfg)
{
    gossip_config_init_memberlist(cfg);
    cfg->lifeguard = false;
}

static void
publish_self(struct gossip *g, enum gossip_state state)
{
    struct gossip_record r = { .version = g->incarnation << 2 | state,
                               .origin = g->self,
                               .ttl = state == GOSSIP_LEFT ? GONE_TTL : 0 };
    struct gossip_member_value v = { .epoch = g->cfg.epoch,
                                     .addr = g->cfg.addr };

    ovs_strlcpy(v.name, g->cfg.name, sizeof v.name);
    gossip_member_encode(&r, g->self, &v);
    gossip_publish__(g, &r);
}

/* Returns a gossip of 'cfg' at 'now'.  'cfg->name' must not be empty, and
 * 'cfg->epoch' be larger than at any former start under that name. */
struct gossip *
gossip_create(const struct gossip_config *cfg, long long now)
{
    struct gossip *g = xzalloc(sizeof *g);

    ovs_assert(cfg->name[0] && cfg->max_records && cfg->max_members
               && cfg->max_queue && cfg->tx);
    g->cfg = *cfg;
    g->now = g->start = g->last_run = now;
    g->self = gossip_host_id(cfg->name);
    g->incarnation = cfg->epoch;
    g->loss = 0.02;
    ext_rng_init_stream(&g->rng, cfg->seed, g->self);
    ovs_list_init(&g->suspects);
    gossip_store_init__(g);
    gossip_spread_init__(g);

    /* Not all hosts at the same moment. */
    g->next_probe = now + ext_rng_range(&g->rng, cfg->probe_interval + 1);
    g->next_sync = now + ext_rng_range(&g->rng, cfg->sync_interval + 1);
    g->next_dead = now + ext_rng_range(&g->rng, cfg->dead_interval + 1);
    g->next_hello = now;
    g->hello_tokens = HELLO_RATE;
    g->probe.indirect_at = g->probe.repeat_at = g->next_relay = NEVER;
    publish_self(g, GOSSIP_ALIVE);
    return g;
}

void
gossip_destroy(struct gossip *g)
{
    if (g) {
        gossip_store_destroy__(g);
        gossip_spread_destroy__(g);
        free(g->order);
        free(g);
    }
}

/* Says HELLO to 'addr' while no other member is known. */
void
gossip_add_seed(struct gossip *g, const struct gossip_addr *addr)
{
    if (g->n_seeds < MAX_SEEDS) {
        g->seeds[g->n_seeds++] = *addr;
    }
}

/* Makes a living member known that is certain to exist, as a simulator or a
 * file of members does.  Nobody is told. */
void
gossip_add_member(struct gossip *g, const char *name,
                  const struct gossip_addr *addr, uint64_t epoch)
{
    struct gossip_member_value v = { .epoch = epoch, .addr = *addr };
    struct gossip_record r = { .version = epoch << 2 };

    ovs_strlcpy(v.name, name, sizeof v.name);
    r.origin = gossip_host_id(name);
    if (r.origin != g->self && !gossip_member_find__(g, r.origin)) {
        gossip_member_encode(&r, r.origin, &v);
        struct item *item = gossip_store_put__(g, &r);
        if (item) {
            gossip_member_changed__(g, item, 0);
        }
    }
}

/* Tells all that this host goes.  Call gossip_run() for some rounds more. */
void
gossip_leave(struct gossip *g)
{
    g->left = true;
    publish_self(g, GOSSIP_LEFT);
}

/* Sending. */

void
gossip_to_member__(const struct member *m, struct gossip_to *to)
{
    to->host = m->host;
    to->epoch = m->epoch;
    to->addr = m->addr;
}

void
gossip_send__(struct gossip *g, const struct gossip_to *to,
              const struct gossip_out *out)
{
    g->stats.tx_datagrams++;
    g->stats.tx_bytes += out->len;
    g->tokens -= out->len;
    g->cfg.tx(g->cfg.tx_aux, to, out->buf, out->len);
}

/* Stores 'r', which is ours or new, and spreads it. */
static void
accept_record(struct gossip *g, const struct gossip_record *r, uint64_t from)
{
    struct item *item = gossip_store_put__(g, r);

    if (!item) {
        return;
    }
    if (item->member) {
        gossip_member_changed__(g, item, from);
    }
    gossip_enqueue__(g, item, from);
    if (g->cfg.changed) {
        g->cfg.changed(g->cfg.aux, &item->r, false);
    }
}

/* Publishes 'r' in our name.  Gives it a version that is higher than any known
 * of its key: a hybrid of this host's clock and the versions seen (Kulkarni et
 * al. 2014), the host's number in the low bits. */
void
gossip_publish__(struct gossip *g, struct gossip_record *r)
{
    if (r->class != GOSSIP_MEMBER) {
        struct item *old = gossip_item_find__(g, gossip_record_hash(r));
        uint64_t clock = g->cfg.epoch + (g->now - g->start);

        if (old) {
            clock = MAX(clock, (old->r.version >> 16) + 1);
        }
        r->version = clock << 16 | (g->self & 0xffff);
        r->origin = g->self;
    }
    accept_record(g, r, 0);
}

static void
set_key(struct gossip_record *r, const void *key, size_t len)
{
    ovs_assert(len && len <= GOSSIP_KEY_MAX);
    memcpy(r->key, key, len);
    r->key_len = len;
}

/* Session or group 'key' belongs to 'host', for 'ttl' ms if that is not 0. */
void
gossip_own_session(struct gossip *g, const void *key, size_t len,
                   uint64_t host, uint32_t ttl)
{
    struct gossip_record r = { .ttl = ttl };

    set_key(&r, key, len);
    gossip_session_encode(&r, &(struct gossip_session_value) { false, host });
    gossip_publish__(g, &r);
}

/* Has what this host said last of session or group 'key' count for 'ttl' ms
 * from now on.  That is no news: its version is the least that is higher, so
 * that what another host says meanwhile counts, whichever is heard first.
 * Returns false if what counts is not of this host. */
bool
gossip_refresh_session(struct gossip *g, const void *key, size_t len,
                       uint32_t ttl)
{
    const struct gossip_record *last = gossip_lookup(g, GOSSIP_SESSION, key,
                                                     len);

    if (!last || last->origin != g->self) {
        return false;
    }
    struct gossip_record r = *last;
    r.version = ((r.version >> 16) + 1) << 16 | (g->self & 0xffff);
    r.ttl = ttl;
    accept_record(g, &r, 0);
    return true;
}

/* Session 'key' is closed.  Remembered for a minute, so that nothing older
 * brings it back. */
void
gossip_close_session(struct gossip *g, const void *key, size_t len)
{
    struct gossip_record r = { .ttl = CLOSED_TTL };

    set_key(&r, key, len);
    gossip_session_encode(&r, &(struct gossip_session_value) { true,
                                                               g->self });
    gossip_publish__(g, &r);
}

/* The load of this host, which counts for 'ttl' ms: not much longer than until
 * it is said again.  Others drop it when this host is gone; and when this host
 * starts again with an epoch below the versions that it has come to before,
 * since its clock was set back, what it says then soon counts. */
void
gossip_load(struct gossip *g, const struct gossip_load_value *v, uint32_t ttl)
{
    struct gossip_record r = { .ttl = ttl };

    gossip_load_encode(&r, g->self, v);
    gossip_publish__(g, &r);
}

/* Receiving. */

static void
receive_record(struct gossip *g, uint64_t from, const struct gossip_tlv *tlv)
{
    struct gossip_record r;

    if (!gossip_record_decode(tlv, &r)) {
        if (tlv->len && tlv->body[0] >= GOSSIP_N_CLASSES) {
            g->stats.rx_unknown++;
        } else {
            g->stats.rx_bad_records++;
        }
        return;
    }
    if (r.class == GOSSIP_MEMBER && gossip_member_record__(g, &r, from)) {
        return;
    }
    struct item *item = gossip_item_find__(g, gossip_record_hash(&r));
    if (item && !gossip_item_is__(item, &r)) {
        g->stats.rx_bad_records++;
        if (!gossip_item_yields__(g, item, &r)) {
            return;
        }
        item = NULL;
    }
    int newer = item ? gossip_compare__(r.version, r.origin, &item->r) : 1;

    if (newer > 0) {
        g->stats.records_new++;
        accept_record(g, &r, from);
    } else if (!newer) {
        g->stats.records_known++;
        gossip_heard__(g, item, from);
    } else {
        g->stats.records_old++;
    }
}

/* Says HELLO to whoever is at 'addr', as it does to seeds.  For a host that
 * should be there and is not a member yet; so not if a living member is there,
 * which that host may have become under another name. */
void
gossip_say_hello(struct gossip *g, const struct gossip_addr *addr)
{
    struct gossip_out out;

    if (gossip_ring_is_at__(g, addr)) {
        return;
    }
    gossip_out_init(&out);
    gossip_out_tlv(&out, GOSSIP_T_HELLO, 0);
    gossip_send__(g, &(struct gossip_to) { .addr = *addr }, &out);
}

static void
say_hello(struct gossip *g)
{
    g->next_hello = g->now + HELLO_INTERVAL;
    for (size_t i = 0; i < g->n_seeds; i++) {
        gossip_say_hello(g, &g->seeds[i]);
    }
}

/* Answers HELLO.  Nothing else: who sent it has yet to prove that it is there
 * now. */
static void
welcome(struct gossip *g, const struct gossip_to *to)
{
    struct gossip_out out;
    const struct member *self = gossip_member_find__(g, g->self);

    if (g->hello_tokens < 1) {
        g->stats.hellos_ignored++;
        return;
    }
    g->hello_tokens--;
    gossip_out_init(&out);
    gossip_out_tlv(&out, GOSSIP_T_WELCOME, 0);
    gossip_out_record(&out, &self->item->r, 0);
    gossip_send__(g, to, &out);
}

/* Introduces us to 'to', and asks for the rest. */
static void
introduce(struct gossip *g, const struct gossip_to *to)
{
    struct gossip_out out;
    const struct member *self = gossip_member_find__(g, g->self);

    gossip_out_init(&out);
    gossip_out_record(&out, &self->item->r, 0);
    gossip_send__(g, to, &out);
    gossip_sync_start__(g, to);
}

static void
receive_tlv(struct gossip *g, const struct gossip_to *from, bool join,
            const struct gossip_tlv *tlv)
{
    if (tlv->type == GOSSIP_T_HELLO) {
        welcome(g, from);
        return;
    } else if (join) {
        g->stats.rx_unbound++;
        return;
    }
    switch ((enum gossip_type) tlv->type) {
    case GOSSIP_T_RECORD:
        receive_record(g, from->host, tlv);
        break;
    case GOSSIP_T_WELCOME:
        introduce(g, from);
        break;
    case GOSSIP_T_PING:
    case GOSSIP_T_ACK:
    case GOSSIP_T_NACK:
    case GOSSIP_T_PING_REQ:
        gossip_swim_receive__(g, from, tlv);
        break;
    case GOSSIP_T_SYNC:
    case GOSSIP_T_DIGEST:
    case GOSSIP_T_SUMMARY:
    case GOSSIP_T_REQUEST:
        gossip_sync_receive__(g, from, tlv);
        break;
    case GOSSIP_T_HELLO:
    default:
        g->stats.rx_unknown++;
        break;
    }
}

/* Handles the message in 'data', which gossip_seal_open() says is of 'from',
 * and which came from 'addr'. */
void
gossip_receive(struct gossip *g, long long now,
               const struct gossip_from *from, const struct gossip_addr *addr,
               const void *data, size_t n)
{
    struct gossip_to to = { from->host, from->epoch, *addr };
    enum gossip_wire_error error = gossip_message_check(data, n);
    struct gossip_tlv tlv;
    struct member *m;
    size_t at = 0;

    g->now = now;
    g->stats.rx_datagrams++;
    g->stats.rx_bytes += n;
    if (error) {
        if (error == GOSSIP_WIRE_VERSION) {
            g->stats.rx_version++;
        } else {
            g->stats.rx_malformed++;
        }
        return;
    }
    m = gossip_member_find__(g, from->host);
    if (m && !from->join) {
        m->epoch = MAX(m->epoch, from->epoch);
    }
    while (gossip_message_next(data, n, &at, &tlv)) {
        receive_tlv(g, &to, from->join, &tlv);
    }
}

/* Time. */

/* Does what is due at 'now'. */
void
gossip_run(struct gossip *g, long long now)
{
    double elapsed = (now - g->last_run) / 1000.0;

    g->now = g->last_run = now;
    g->hello_tokens = MIN(g->hello_tokens + elapsed * HELLO_RATE, HELLO_RATE);
    if (!g->n_ring && g->n_seeds && now >= g->next_hello && !g->left) {
        say_hello(g);
    }
    gossip_store_run__(g);
    gossip_swim_run__(g);
    gossip_hints_run__(g, elapsed);
    gossip_spread_run__(g);
    gossip_sync_run__(g);
}

/* When gossip_run() is to be called next.  May become earlier with each call
 * of another function. */
long long
gossip_next(const struct gossip *g)
{
    long long next = MIN(MIN(gossip_swim_next__(g), gossip_sync_next__(g)),
                         gossip_spread_next__(g));

    if (!g->n_ring && g->n_seeds && !g->left) {
        next = MIN(next, g->next_hello);
    }
    if (g->n_hints) {
        next = MIN(next, g->now + 20);
    }
    if (!heap_is_empty(&g->expiry)) {
        next = MIN(next, CONTAINER_OF(heap_max(&g->expiry), struct item,
                                      expiry_node)->expires);
    }
    return next;
}

/* Reading. */

uint64_t
gossip_self(const struct gossip *g)
{
    return g->self;
}

/* The record of 'class' for 'key', or null.  Good until the next call of a
 * function that is not for reading. */
const struct gossip_record *
gossip_lookup(const struct gossip *g, enum gossip_class class,
              const void *key, size_t len)
{
    struct gossip_record r = { .class = class };
    struct item *item;

    set_key(&r, key, len);
    item = gossip_item_find__(g, gossip_record_hash(&r));
    return item && gossip_item_is__(item, &r) ? &item->r : NULL;
}

/* Calls 'cb' with each record of 'class', and the ms for which it still counts
 * (0: for ever). */
void
gossip_for_each(const struct gossip *g, enum gossip_class class,
                void (*cb)(const struct gossip_record *, long long left,
                           void *aux), void *aux)
{
    struct item *item;

    HMAP_FOR_EACH (item, node, &g->items) {
        if (item->r.class == class) {
            cb(&item->r, gossip_item_ttl__(g, item), aux);
        }
    }
}

static void
member_info(const struct member *m, struct gossip_member_info *info)
{
    struct gossip_member_value v;

    gossip_member_decode(&m->item->r, &v);
    info->host = m->host;
    info->epoch = m->epoch;
    info->incarnation = m->item->r.version >> 2;
    info->state = m->state;
    info->addr = m->addr;
    ovs_strlcpy(info->name, v.name, sizeof info->name);
}

/* What is known of 'host'.  Returns false if it is no member. */
bool
gossip_member(const struct gossip *g, uint64_t host,
              struct gossip_member_info *info)
{
    const struct member *m = gossip_member_find__(g, host);

    if (m) {
        member_info(m, info);
    }
    return m != NULL;
}

/* Fills 'infos' with at most 'max' members, of any state, us among them.
 * Returns their number. */
size_t
gossip_members(const struct gossip *g, struct gossip_member_info *infos,
               size_t max)
{
    struct item *item;
    size_t n = 0;

    HMAP_FOR_EACH (item, node, &g->items) {
        if (item->member && n < max) {
            member_info(item->member, &infos[n++]);
        }
    }
    return n;
}

/* Members that live or are only suspected, us included. */
size_t
gossip_n_alive(const struct gossip *g)
{
    return g->n_ring + !g->left;
}

size_t
gossip_n_records(const struct gossip *g)
{
    return g->n_records;
}

size_t
gossip_n_queued(const struct gossip *g)
{
    return g->n_queued;
}

int
gossip_health(const struct gossip *g)
{
    return g->health;
}

double
gossip_loss(const struct gossip *g)
{
    return g->loss;
}

void
gossip_get_stats(const struct gossip *g, struct gossip_stats *stats)
{
    *stats = g->stats;
}
