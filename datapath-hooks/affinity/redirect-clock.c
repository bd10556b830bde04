/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* How long the way through an accelerator takes.
 *
 * A timed probe has a VLAN ID that no flow in the datapath matches, so it is a
 * miss when it comes back, and the answer to that reads the clock and installs
 * nothing. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"

#include "coverage.h"
#include "dp-packet.h"
#include "packets.h"
#include "timeval.h"

COVERAGE_DEFINE(redirect_clock);

struct trip {
    odp_port_t port;            /* Of 'n_trips' first ones. */
    uint16_t number;            /* Of the last probe. */
    bool under_way;
    bool done;                  /* 'us' was not read yet. */
    long long int start;        /* us */
    double us;
};

static struct ovs_mutex trip_mutex = OVS_MUTEX_INITIALIZER;
static struct trip trips[REDIRECT_MAX_ACCELERATORS] OVS_GUARDED_BY(trip_mutex);
static size_t n_trips OVS_GUARDED_BY(trip_mutex);

static struct trip *
trip_find(odp_port_t port)
    OVS_REQUIRES(trip_mutex)
{
    for (size_t i = 0; i < n_trips; i++) {
        if (trips[i].port == port) {
            return &trips[i];
        }
    }
    return NULL;
}

/* The trip of 'port', a new one if need be: in the place of one that waits for
 * nothing, if there are many. */
static struct trip *
trip_get(odp_port_t port)
    OVS_REQUIRES(trip_mutex)
{
    struct trip *trip = trip_find(port);

    for (size_t i = 0; !trip && n_trips == ARRAY_SIZE(trips) && i < n_trips;
         i++) {
        if (!trips[i].under_way) {
            trip = &trips[i];
            trip->port = port;
            trip->done = false;
        }
    }
    if (!trip && n_trips < ARRAY_SIZE(trips)) {
        trip = &trips[n_trips++];
        *trip = (struct trip) { .port = port };
    }
    return trip;
}

void
redirect_clock_start(odp_port_t port)
{
    struct trip *trip;
    uint16_t number = 0;

    ovs_mutex_lock(&trip_mutex);
    trip = trip_get(port);
    if (trip) {
        number = ++trip->number;
        trip->under_way = true;
        trip->start = time_usec();
    }
    ovs_mutex_unlock(&trip_mutex);
    if (trip) {
        redirect_flow_send_probe(port, REDIRECT_CLOCK_ID, number);
    }
}

/* In the miss path of the thread that polls the port. */
void
redirect_clock_stop(odp_port_t port, const struct dp_packet *packet)
{
    const struct ip_header *ip = dp_packet_l3(packet);
    long long int now = time_usec();
    struct trip *trip;

    if (!ip || dp_packet_l3_size(packet) < sizeof *ip) {
        return;
    }
    COVERAGE_INC(redirect_clock);
    ovs_mutex_lock(&trip_mutex);
    trip = trip_find(port);
    if (trip && trip->under_way && ntohs(ip->ip_id) == trip->number) {
        trip->under_way = false;
        trip->done = true;
        trip->us = MAX(now - trip->start, 0);
    }
    ovs_mutex_unlock(&trip_mutex);
}

bool
redirect_clock_read(odp_port_t port, double *us)
{
    struct trip *trip;
    bool done;

    ovs_mutex_lock(&trip_mutex);
    trip = trip_find(port);
    done = trip && trip->done;
    if (done) {
        trip->done = false;
        *us = trip->us;
    }
    ovs_mutex_unlock(&trip_mutex);
    return done;
}
