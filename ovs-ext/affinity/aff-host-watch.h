/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_HOST_WATCH_H
#define AFF_HOST_WATCH_H 1

/* Is an accelerator alive?  It is to give back every packet that it is sent,
 * so its port's counters tell.
 *
 * It dies when its link goes down, or when AFF_WATCH_UNANSWERED packets or
 * more went there and nothing came back for AFF_WATCH_SILENCE ms.  Then it
 * gets no traffic but some probes every AFF_WATCH_PROBE ms, and lives again when
 * all of them came back several times in a row; the more often it has died
 * lately, the more times.
 *
 * Loss is reckoned over AFF_WATCH_WINDOW ms.  With AFF_WATCH_LOSS or more in a
 * window of AFF_WATCH_ENOUGH packets it counts as degraded, for
 * AFF_WATCH_GRUDGE ms after the last such window: without traffic there is nothing to see.
 *
 * Pure: time is an argument, in ms of a clock that does not go back. */

#include <stdbool.h>
#include <stdint.h>

enum {
    AFF_WATCH_SILENCE = 50,     /* ms */
    AFF_WATCH_UNANSWERED = 4,   /* Packets. */
    AFF_WATCH_PROBE = 100,      /* ms */
    AFF_WATCH_PROBES = 4,       /* Packets each time. */
    AFF_WATCH_ROUNDS = 3,       /* To be alive again, for the first time... */
    AFF_WATCH_MAX_ROUNDS = 96,  /* ...and after many deaths. */
    AFF_WATCH_CALM = 30000,     /* ms alive; then deaths are forgotten. */
    AFF_WATCH_WINDOW = 200,     /* ms */
    AFF_WATCH_ENOUGH = 100,     /* Packets. */
    AFF_WATCH_GRUDGE = 10000,   /* ms */
    AFF_WATCH_CLOCK = 100,      /* ms */
    AFF_WATCH_ABSENCE = 1000    /* ms */
};
#define AFF_WATCH_LOSS 0.02

struct aff_host_watch {
    bool alive;
    bool link;
    long long int since;        /* Of 'alive'. */
    const char *reason;         /* Why it is not alive, a constant. */

    bool started;               /* There was a sample. */
    uint64_t tx, rx;            /* Counters as of the last one. */
    uint64_t unanswered;        /* Sent since anything came back. */
    long long int silent_since;

    unsigned int rounds, rounds_needed;
    bool probing;               /* Probes are out... */
    uint64_t probe_rx;          /* ...since the counter was this. */
    long long int next_probe;

    long long int window_start;
    uint64_t window_tx, window_rx;
    double loss;                /* 0...1, of the last window with traffic. */
    double pps;                 /* Sent, in the last window. */
    long long int lossy_until;  /* Degraded until then. */

    bool busy;                  /* AFF_WATCH_ENOUGH in the last window. */
    long long int next_clock;
    long long int gone_since;   /* No device since then, or 0. */
};

void aff_host_watch_init(struct aff_host_watch *, long long int now);

/* Takes a sample: counters of packets sent to and received from the port.
 * Counters that went back have been reset.  Returns the number of probes to
 * send now. */
unsigned int aff_host_watch_sample(struct aff_host_watch *, long long int now,
                                   bool link, uint64_t tx, uint64_t rx);

/* There is no device to take a sample of, as while it is reconfigured.  One
 * that comes after AFF_WATCH_ABSENCE is a new one. */
void aff_host_watch_absent(struct aff_host_watch *, long long int now);

/* Whether to send a timed probe now: one every AFF_WATCH_CLOCK ms to an
 * accelerator that is alive and has so much to do that it is of no account. */
bool aff_host_watch_clock(struct aff_host_watch *, long long int now);

#endif /* aff-host-watch.h */
