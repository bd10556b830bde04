/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/affinity/aff-host-watch.h"

#include <string.h>

#include "util.h"

void
aff_host_watch_init(struct aff_host_watch *w, long long int now)
{
    memset(w, 0, sizeof *w);
    w->alive = true;
    w->since = now;
    w->rounds_needed = AFF_WATCH_ROUNDS;
}

static void
die(struct aff_host_watch *w, long long int now, const char *reason)
{
    if (w->alive && now - w->since < AFF_WATCH_CALM && w->rounds) {
        w->rounds_needed = MIN(w->rounds_needed * 2, AFF_WATCH_MAX_ROUNDS);
    } else if (w->alive) {
        w->rounds_needed = AFF_WATCH_ROUNDS;
    }
    if (w->alive) {
        w->alive = false;
        w->since = now;
        w->next_probe = now + AFF_WATCH_PROBE;
    }
    w->reason = reason;
    w->rounds = 0;
    w->probing = false;
}

static void
run_window(struct aff_host_watch *w, long long int now)
{
    double tx = w->tx - w->window_tx;
    double rx = w->rx - w->window_rx;

    if (now - w->window_start < AFF_WATCH_WINDOW) {
        return;
    }
    w->pps = tx * 1000 / (now - w->window_start);
    if (tx > 0) {
        w->loss = rx < tx ? (tx - rx) / tx : 0;
    }
    if (tx >= AFF_WATCH_ENOUGH && w->loss >= AFF_WATCH_LOSS) {
        w->lossy_until = now + AFF_WATCH_GRUDGE;
    }
    w->busy = tx >= AFF_WATCH_ENOUGH;
    w->window_start = now;
    w->window_tx = w->tx;
    w->window_rx = w->rx;
}

static unsigned int
probe(struct aff_host_watch *w, long long int now)
{
    if (now < w->next_probe) {
        return 0;
    }
    if (w->probing) {
        w->rounds = (w->rx - w->probe_rx >= AFF_WATCH_PROBES
                     ? w->rounds + 1 : 0);
        if (w->rounds >= w->rounds_needed) {
            w->alive = true;
            w->reason = NULL;
            w->since = now;
            w->probing = false;
            w->unanswered = 0;
            return 0;
        }
    }
    w->probing = true;
    w->probe_rx = w->rx;
    w->next_probe = now + AFF_WATCH_PROBE;
    return AFF_WATCH_PROBES;
}

unsigned int
aff_host_watch_sample(struct aff_host_watch *w, long long int now, bool link,
                      uint64_t tx, uint64_t rx)
{
    uint64_t sent = tx - w->tx;
    bool answered = rx != w->rx;

    if (!w->started || tx < w->tx || rx < w->rx) {
        w->started = true;
        w->window_tx = tx;
        w->window_rx = rx;
        w->window_start = now;
        w->unanswered = 0;
        w->probing = false;
        sent = 0;
        answered = false;
    }
    w->gone_since = 0;
    w->tx = tx;
    w->rx = rx;
    w->link = link;
    run_window(w, now);

    if (answered) {
        w->unanswered = 0;
    } else if (sent) {
        if (!w->unanswered) {
            w->silent_since = now;
        }
        w->unanswered += sent;
    }
    if (!link) {
        die(w, now, "its link is down");
        return 0;
    } else if (!w->alive) {
        return probe(w, now);
    } else if (w->unanswered >= AFF_WATCH_UNANSWERED
               && now - w->silent_since >= AFF_WATCH_SILENCE) {
        die(w, now, "it does not give packets back");
    }
    return 0;
}

void
aff_host_watch_absent(struct aff_host_watch *w, long long int now)
{
    w->busy = false;
    if (!w->gone_since) {
        w->gone_since = now;
    } else if (now - w->gone_since >= AFF_WATCH_ABSENCE) {
        aff_host_watch_init(w, now);
        w->gone_since = now;
    }
}

bool
aff_host_watch_clock(struct aff_host_watch *w, long long int now)
{
    bool due = w->alive && w->busy && now >= w->next_clock;

    if (due) {
        w->next_clock = now + AFF_WATCH_CLOCK;
    }
    return due;
}
