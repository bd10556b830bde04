/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_H
#define TP_H 1

/* Traffic profiles: what a host knows of its traffic.
 *
 * A profile sums up the packets of one class (tcp, udp, ...) in one virtual
 * network ("vni:100", "vlan:5", "untagged").  The traffic profiler makes them,
 * the affinity systems read them: this header is what they share, values
 * without ownership that may be copied by assignment.
 *
 * Pure: anything here may be called in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes of traffic: a function of the IP protocol number, so that the class
 * of a datapath flow follows from its nw_proto. */
enum tp_class {
    TP_TCP,
    TP_UDP,
    TP_SCTP,
    TP_ICMP,                    /* Of IPv6, too. */
    TP_ESP,
    TP_OTHER,                   /* Other protocols, and what is not IP. */
    TP_N_CLASSES
};

const char *tp_class_to_string(enum tp_class);
bool tp_class_from_string(const char *, enum tp_class *);
enum tp_class tp_class_from_nw_proto(uint8_t nw_proto);

enum {
    TP_NETWORK_LEN = 40,        /* Longest name of a network, with its null. */
    TP_ADDRESS_LEN = 48,        /* Longest address, with its null. */
    TP_MAX_DESTINATIONS = 8,
    TP_N_SIZES = 7              /* Sizes of packets that are told apart. */
};

/* Largest packet of each size class, in bytes with the Ethernet header; the
 * last class has no bound (UINT32_MAX). */
extern const uint32_t tp_size_limits[TP_N_SIZES];

/* Name of the profile that takes what exceeds the bound on their number. */
#define TP_NETWORK_OTHER "other"

struct tp_destination {
    char name[TP_ADDRESS_LEN];  /* IP address, else Ethernet address. */
    double share;               /* Of the profile's packets, 0 to 1. */
};

/* A profile.  Rates are smoothed over some seconds. */
struct tp_profile {
    char network[TP_NETWORK_LEN];
    enum tp_class class;

    double pps;                 /* Packets/s. */
    double bps;                 /* Bits/s. */
    double packet_size;         /* Mean, bytes. */
    double burstiness;          /* Index of dispersion: the variance of the
                                 * packets in an interval of a few ms, over
                                 * their mean.  1 for arrivals at random, 0 for
                                 * regular ones, more in bursts. */
    double flows;               /* Distinct flows in the last seconds. */
    double elephant_share;      /* Of bytes, carried by flows with 1 % or more
                                 * of the profile's; 0 to 1. */
    double mix[TP_N_CLASSES];   /* Share of each class in the packets of the
                                 * network, the same in all its profiles. */
    double sizes[TP_N_SIZES];   /* Share of packets by size. */

    size_t n_destinations;      /* Largest share first. */
    struct tp_destination destinations[TP_MAX_DESTINATIONS];

    long long int first_seen;   /* Milliseconds, monotonic. */
    long long int last_seen;
};

#endif /* tp.h */
