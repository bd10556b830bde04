/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Who is a member, and who has died.
 *
 * SWIM: each period, the next of a shuffled list of members is pinged; if it
 * does not answer in time, some others are asked to ping it; if nothing is
 * heard of it by the end of the period, it is suspected, and dead unless it
 * refutes that with a higher incarnation.
 *
 * Lifeguard: 'health' counts signs that we are the slow one (our probes fail,
 * helpers do not even send a NACK, we have to refute), and stretches our
 * periods.  A suspicion starts with a long timeout that shrinks with each
 * independent accuser (at most 'suspicion_max_mult' times the shortest, and
 * logarithmically), so one who hears nothing accuses in vain.  A ping to a
 * suspect carries the accusation. */

#include <config.h>

#include "ovs-ext/session/gossip-impl.h"

#include <math.h>
#include <string.h>

#include "util.h"

static void
health_adjust(struct gossip *g, int delta)
{
    if (g->cfg.lifeguard) {
        g->health = MIN(MAX(g->health + delta, 0), MAX_HEALTH - 1);
    }
}

/* Independent accusers, beside the first, that a suspicion waits for. */
static int
expected_accusers(const struct gossip *g)
{
    int k = g->cfg.suspicion_mult - 2;

    return (g->cfg.lifeguard && (int) g->n_ring - 1 >= k
            ? MIN(k, MAX_ACCUSERS - 1) : 0);
}

static long long
suspicion_deadline(const struct gossip *g, const struct member *m)
{
    double scale = MAX(1, log10(MAX(1, g->n_ring + 1)));
    double shortest = g->cfg.suspicion_mult * scale * g->cfg.probe_interval;
    double longest = shortest * g->cfg.suspicion_max_mult;
    int k = expected_accusers(g);

    if (k) {
        double share = log(m->n_accusers) / log(k + 1);

        shortest = MAX(shortest, longest - (longest - shortest) * share);
    }
    return m->suspected + shortest;
}

static bool
accuse(struct member *m, uint64_t accuser)
{
    for (int i = 0; i < m->n_accusers; i++) {
        if (m->accusers[i] == accuser) {
            return false;
        }
    }
    if (m->n_accusers >= MAX_ACCUSERS) {
        return false;
    }
    m->accusers[m->n_accusers++] = accuser;
    return true;
}

/* Brings member and ring in line with the record. */
void
gossip_member_changed__(struct gossip *g, struct item *item, uint64_t from)
{
    struct member *m = item->member;
    struct gossip_member_value v;

    if (!gossip_member_decode(&item->r, &v)) {
        return;                 /* Was not received, nor published by us. */
    }
    m->epoch = MAX(m->epoch, v.epoch);
    m->addr = v.addr;
    m->state = item->r.version & 3;
    ovs_list_remove(&m->suspect_node);
    ovs_list_init(&m->suspect_node);
    m->n_accusers = 0;
    ovs_list_remove(&m->gone_node);
    ovs_list_init(&m->gone_node);
    if (m->host == g->self) {
        return;
    }
    if (gossip_state_is_gone__(m->state)) {
        ovs_list_push_back(&g->gone, &m->gone_node);
        gossip_ring_remove__(g, m);
    } else {
        gossip_ring_add__(g, m);
    }
    if (m->state == GOSSIP_SUSPECT) {
        m->suspected = g->now;
        accuse(m, item->r.origin);
        ovs_list_push_back(&g->suspects, &m->suspect_node);
    }
    (void) from;
}

/* Says about 'm' that it is in 'state', at its present incarnation. */
static void
declare(struct gossip *g, struct member *m, enum gossip_state state)
{
    struct gossip_record r = m->item->r;

    r.version = (r.version & ~UINT64_C(3)) | state;
    r.origin = g->self;
    r.ttl = state == GOSSIP_DEAD ? GONE_TTL : 0;
    gossip_publish__(g, &r);
}

static void
suspect(struct gossip *g, struct member *m)
{
    g->stats.suspicions++;
    if (m->state == GOSSIP_ALIVE) {
        declare(g, m, GOSSIP_SUSPECT);
    } else if (m->state == GOSSIP_SUSPECT && accuse(m, g->self)) {
        m->item->r.origin = g->self;
        gossip_enqueue__(g, m->item, 0);
    }
}

/* Handles a MEMBER record that may be about us, or confirm a suspicion.
 * Returns true if it goes no further. */
bool
gossip_member_record__(struct gossip *g, const struct gossip_record *r,
                       uint64_t from)
{
    uint64_t host = gossip_get(r->key, 8);
    struct member *m = gossip_member_find__(g, host);

    if (host == g->self) {
        if (r->version > m->item->r.version && !g->left) {
            struct gossip_record own = m->item->r;

            /* Somebody says that we are dead, or an earlier run of ours is
             * remembered.  Neither is so. */
            g->incarnation = MAX(g->incarnation, r->version >> 2) + 1;
            own.version = g->incarnation << 2 | GOSSIP_ALIVE;
            own.ttl = 0;
            if ((r->version & 3) != GOSSIP_ALIVE) {
                g->stats.refutations++;
                health_adjust(g, 1);
            }
            gossip_publish__(g, &own);
        } else if (r->version == m->item->r.version) {
            gossip_heard__(g, m->item, from);
        }
        return true;
    }
    if (m && m->state == GOSSIP_SUSPECT && r->version == m->item->r.version
        && m->n_accusers <= expected_accusers(g) && accuse(m, r->origin)) {
        m->item->r.origin = r->origin;
        gossip_enqueue__(g, m->item, from);
        return true;
    }
    return false;
}

/* Messages. */

static void
put_seq(struct gossip_out *out, enum gossip_type type, uint32_t seq)
{
    uint8_t *p = gossip_out_tlv(out, type, 4);

    gossip_put(p, seq, 4);
}

static void
put_target(struct gossip_out *out, enum gossip_type type, uint32_t seq,
           uint64_t target)
{
    uint8_t *p = gossip_out_tlv(out, type, 12);

    gossip_put(p, seq, 4);
    gossip_put(p + 4, target, 8);
}

static void
finish(struct gossip *g, const struct gossip_to *to, struct gossip_out *out)
{
    gossip_piggyback__(g, out, to->host);
    gossip_send__(g, to, out);
}

static void
reply(struct gossip *g, const struct gossip_to *to, enum gossip_type type,
      uint32_t seq)
{
    struct gossip_out out;

    gossip_out_init(&out);
    put_seq(&out, type, seq);
    finish(g, to, &out);
}

static void
ping(struct gossip *g, struct member *m, uint32_t seq)
{
    struct gossip_out out;
    struct gossip_to to;

    gossip_out_init(&out);
    put_target(&out, GOSSIP_T_PING, seq, m->host);
    if (m->state != GOSSIP_ALIVE && g->cfg.lifeguard) {
        gossip_out_record(&out, &m->item->r, 0);
    }
    gossip_to_member__(m, &to);
    finish(g, &to, &out);
}

static uint32_t
new_seq(struct gossip *g)
{
    g->seq++;
    g->seq += !g->seq;
    return g->seq;
}

static void
receive_ping_req(struct gossip *g, const struct gossip_to *from,
                 uint32_t seq, uint64_t target)
{
    struct member *m = gossip_member_find__(g, target);
    struct relay *relay = &g->relays[g->at_relay++ % MAX_RELAYS];

    if (!m || target == g->self) {
        reply(g, from, GOSSIP_T_NACK, seq);
        return;
    }
    *relay = (struct relay) {
        .origin = from->host, .origin_seq = seq, .seq = new_seq(g),
        .nack = (g->cfg.lifeguard ? g->now + g->cfg.probe_timeout * 4 / 5
                 : NEVER),
        .expires = g->now + 10 * g->cfg.probe_timeout,
    };
    g->next_relay = MIN(g->next_relay, MIN(relay->nack, relay->expires));
    ping(g, m, relay->seq);
}

/* Counts a probe in the estimate of loss: a probe and its answer have two
 * chances to get lost. */
static void
count_loss(struct gossip *g, bool lost)
{
    double both = 1 - (1 - g->loss) * (1 - g->loss);

    both += 0.05 * (lost - both);
    g->loss = MAX(1 - sqrt(1 - both), 0.01);
}

static void
receive_ack(struct gossip *g, uint32_t seq, bool nack)
{
    if (seq == g->probe.seq && g->probe.target) {
        if (nack) {
            g->probe.nacks++;
        } else if (!g->probe.acked) {
            g->probe.acked = true;
            health_adjust(g, -1);
            count_loss(g, g->probe.pings > 1);
        }
        return;
    }
    for (struct relay *r = g->relays; r < &g->relays[MAX_RELAYS] && !nack;
         r++) {
        struct member *m;

        if (r->seq == seq && seq && g->now < r->expires) {
            r->seq = 0;
            m = gossip_member_find__(g, r->origin);
            if (m) {
                struct gossip_to to;

                gossip_to_member__(m, &to);
                reply(g, &to, GOSSIP_T_ACK, r->origin_seq);
            }
            return;
        }
    }
}

void
gossip_swim_receive__(struct gossip *g, const struct gossip_to *from,
                      const struct gossip_tlv *tlv)
{
    bool target = (tlv->type == GOSSIP_T_PING
                   || tlv->type == GOSSIP_T_PING_REQ);

    if (tlv->len < (target ? 12 : 4)) {
        g->stats.rx_malformed++;
        return;
    }
    uint32_t seq = gossip_get(tlv->body, 4);
    uint64_t host = target ? gossip_get(tlv->body + 4, 8) : 0;

    if (tlv->type == GOSSIP_T_PING && host == g->self && !g->left) {
        reply(g, from, GOSSIP_T_ACK, seq);
    } else if (tlv->type == GOSSIP_T_PING_REQ) {
        receive_ping_req(g, from, seq, host);
    } else if (tlv->type == GOSSIP_T_ACK || tlv->type == GOSSIP_T_NACK) {
        receive_ack(g, seq, tlv->type == GOSSIP_T_NACK);
    }
}

/* Probing. */

static struct member *
next_target(struct gossip *g)
{
    for (int laps = 0; laps < 2; laps++) {
        while (g->at_order < g->n_order) {
            struct member *m
                = gossip_member_find__(g, g->order[g->at_order++]);

            if (m && m->state <= GOSSIP_SUSPECT && m->host != g->self) {
                return m;
            }
        }
        g->at_order = 0;
        g->n_order = g->n_ring;
        g->order = xrealloc(g->order, (g->n_order + 1) * sizeof *g->order);
        for (size_t i = 0; i < g->n_order; i++) {
            size_t j = ext_rng_range(&g->rng, i + 1);

            g->order[i] = g->order[j];
            g->order[j] = g->ring[i]->host;
        }
    }
    return NULL;
}

static long long
stretched(const struct gossip *g, int ms)
{
    return (long long) ms * (g->health + 1);
}

static void
start_probe(struct gossip *g)
{
    struct member *m = next_target(g);

    memset(&g->probe, 0, sizeof g->probe);
    g->probe.indirect_at = g->probe.repeat_at = NEVER;
    g->next_probe = g->now + stretched(g, g->cfg.probe_interval);
    if (m) {
        g->stats.probes++;
        g->probe.target = m->host;
        g->probe.seq = new_seq(g);
        g->probe.indirect_at = g->now + stretched(g, g->cfg.probe_timeout);
        g->probe.pings = 1;
        g->probe.repeat_at = (g->cfg.pings > 1
                              ? g->now + g->cfg.probe_timeout / 3 : NEVER);
        ping(g, m, g->probe.seq);
    }
}

/* Pings once more: on a network that loses much, a lost ping is no reason to
 * suspect anybody. */
static void
repeat_ping(struct gossip *g)
{
    struct member *m = gossip_member_find__(g, g->probe.target);

    g->probe.pings++;
    g->probe.repeat_at = (m && g->probe.pings < g->cfg.pings
                          ? g->now + g->cfg.probe_timeout / 3 : NEVER);
    if (m) {
        ping(g, m, g->probe.seq);
    }
}

static void
ask_others(struct gossip *g)
{
    struct member *helpers[16];
    size_t n = gossip_pick__(g, MIN(g->cfg.indirect, ARRAY_SIZE(helpers)),
                             g->probe.target, helpers);

    g->probe.indirect_at = NEVER;
    g->probe.asked = true;
    g->probe.asked_n = n;
    for (size_t i = 0; i < n; i++) {
        struct gossip_out out;
        struct gossip_to to;

        gossip_out_init(&out);
        put_target(&out, GOSSIP_T_PING_REQ, g->probe.seq, g->probe.target);
        gossip_to_member__(helpers[i], &to);
        finish(g, &to, &out);
    }
}

static void
end_probe(struct gossip *g)
{
    struct member *m = gossip_member_find__(g, g->probe.target);

    if (!m || g->probe.acked || m->state > GOSSIP_SUSPECT) {
        return;
    }
    g->stats.probes_failed++;
    count_loss(g, true);
    health_adjust(g, g->probe.asked_n ? g->probe.asked_n - g->probe.nacks : 1);
    suspect(g, m);
}

static void
run_relays(struct gossip *g)
{
    if (g->now < g->next_relay) {
        return;
    }
    g->next_relay = NEVER;
    for (struct relay *r = g->relays; r < &g->relays[MAX_RELAYS]; r++) {
        if (r->seq && g->now >= r->nack) {
            struct member *m = gossip_member_find__(g, r->origin);

            r->nack = NEVER;
            if (m) {
                struct gossip_to to;

                gossip_to_member__(m, &to);
                reply(g, &to, GOSSIP_T_NACK, r->origin_seq);
            }
        }
        if (r->seq && g->now >= r->expires) {
            r->seq = 0;
        }
        if (r->seq) {
            g->next_relay = MIN(g->next_relay, MIN(r->nack, r->expires));
        }
    }
}

static void
run_suspects(struct gossip *g)
{
    struct member *m, *next;

    LIST_FOR_EACH_SAFE (m, next, suspect_node, &g->suspects) {
        if (g->now >= suspicion_deadline(g, m)) {
            g->stats.deaths++;
            declare(g, m, GOSSIP_DEAD);
        }
    }
}

void
gossip_swim_run__(struct gossip *g)
{
    run_relays(g);
    if (g->left) {
        return;
    }
    if (g->now >= g->probe.repeat_at && !g->probe.acked) {
        repeat_ping(g);
    }
    if (g->now >= g->probe.indirect_at && !g->probe.acked) {
        ask_others(g);
    }
    if (g->now >= g->next_probe) {
        if (g->probe.target) {
            end_probe(g);
        }
        start_probe(g);
    }
    run_suspects(g);
}

long long
gossip_swim_next__(const struct gossip *g)
{
    long long next = g->left ? NEVER : g->next_probe;
    const struct member *m;

    if (!g->probe.acked && !g->left) {
        next = MIN(next, MIN(g->probe.indirect_at, g->probe.repeat_at));
    }
    next = MIN(next, g->next_relay);
    LIST_FOR_EACH (m, suspect_node, &g->suspects) {
        next = MIN(next, suspicion_deadline(g, m));
    }
    return next;
}
