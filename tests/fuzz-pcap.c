/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of captures, as the NIC model reads them: pcap and pcapng, the link
 * types it knows, and whatever the packets hold.  libpcap opens files only, so
 * each input goes through one in memory. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"
#include "tests/fuzz-util.h"
#include "util.h"

static uint32_t
hash(const uint8_t *frame, size_t len)
{
    struct extnic_headers h;
    uint32_t sum = 0;

    extnic_headers_parse(frame, len, &h);
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + frame[i];      /* All of it is there to be read. */
    }
    return sum;
}

static void
check_traffic(const struct extnic_traffic *t)
{
    ovs_assert(t->n_templates && t->n_flows && t->n_phases);
    for (uint32_t i = 0; i < t->n_templates; i++) {
        const struct extnic_template *tmp = &t->templates[i];

        ovs_assert(tmp->len >= 60 && tmp->len <= 1514);
        ovs_assert(tmp->flow < t->n_flows && t->flow_of[i] == tmp->flow);
        ovs_assert(tmp->len <= EXTNIC_HEAD || tmp->tail);
        if (tmp->tail) {
            hash(tmp->tail, tmp->len - EXTNIC_HEAD);
        }
    }
    for (uint32_t i = 0; i < t->phases[0].len; i++) {
        ovs_assert(t->phases[0].seq[i].template < t->n_templates);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct extnic_args args = { .scenario = EXTNIC_CAPTURES, .reta = 128 };
    struct extnic_traffic *traffic;
    char error[512] = "";
    int fd = memfd_create("fuzz", 0);

    ovs_assert(fd >= 0 && write(fd, data, size) == (ssize_t) size);
    snprintf(args.pcap, sizeof args.pcap, "/proc/self/fd/%d", fd);
    args.copies = 1 + size % 3;
    traffic = extnic_traffic_create(&args, hash, error, sizeof error);
    if (traffic) {
        check_traffic(traffic);
        extnic_traffic_destroy(traffic);
    } else {
        ovs_assert(strstr(error, "/proc/self/fd/")
                   || strstr(error, "copies="));
    }
    close(fd);
    return 0;
}

#ifndef FUZZ_LIBFUZZER
/* A capture of link type 'dlt': TCP over IPv4, UDP over IPv6, a VLAN. */
static struct fuzz_input
valid_pcap(uint8_t dlt)
{
    static const uint8_t packets[][74] = {
        { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
          0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
          0, 80, 4, 210, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2 },
        { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,
          0x60, 0, 0, 0, 0, 20, 17, 64, [22] = 0xfd, [38] = 0xfd,
          [54] = 0x12, 0xb5, 0x12, 0xb5, 0, 20, 1, 1 },
        { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 8, 0,
          0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
          0, 53, 4, 210, 0, 8 },
    };
    static const uint8_t header[24] = {
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, [16] = 0xff, 0xff
    };
    size_t record = 16 + sizeof packets[0];
    struct fuzz_input in = {
        xzalloc(sizeof header + record * ARRAY_SIZE(packets)),
        sizeof header + record * ARRAY_SIZE(packets)
    };
    uint8_t *p = in.data;

    memcpy(p, header, sizeof header);
    p[20] = dlt;
    p += sizeof header;
    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        p[8] = p[12] = sizeof packets[0];
        memcpy(p + 16, packets[i], sizeof packets[0]);
        p += record;
    }
    return in;
}

int
main(int argc, char *argv[])
{
    struct fuzz_input valid[] = {
        valid_pcap(1),          /* DLT_EN10MB */
        valid_pcap(113),        /* DLT_LINUX_SLL */
        valid_pcap(0),          /* DLT_NULL */
        valid_pcap(101),        /* LINKTYPE_RAW */
        valid_pcap(105),        /* DLT_IEEE802_11, refused. */
    };

    return fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));
}
#endif
