/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

/* Traffic from captures.
 *
 * Frames keep their content and, within a capture, their order; captures and
 * copies of them are interleaved at random in proportion to their length.  A
 * copy has other IP addresses (the same offset for both ends), so that it
 * makes flows of its own.  Capture times are not kept: the offered rate
 * decides. */

#include "datapath-hooks/nic-model/extnic-traffic.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-rng.h"
#include "datapath-hooks/nic-model/extnic-rss.h"

#define MIN_FLOWS 1000
#define MAX_FILES 256
#define MIN_FRAME 60
#define MAX_FRAME 1514
#define ETH_LEN 14
#define KEY_LEN 40

struct packet {
    uint8_t *data;
    uint16_t len;
    uint32_t flow;              /* Within the file. */
};

struct file {
    struct packet *packets;
    uint32_t n_packets, allocated;
    uint32_t n_flows;
};

struct captures {
    struct file files[MAX_FILES];
    uint32_t n_files;
    uint32_t n_packets, n_flows;        /* Of all files, one copy. */
    size_t n_bytes;
};

/* Bytes to put before a packet of link type 'dlt' and to skip of it to get
 * an Ethernet frame; false if that cannot be done. */
static bool
link_header(int dlt, const uint8_t *data, uint32_t len, uint8_t eth[ETH_LEN],
            uint32_t *add, uint32_t *skip)
{
    static const uint8_t addresses[12] = { 2, 0, 0, 0, 0, 2,
                                           2, 0, 0, 0, 0, 1 };

    *add = ETH_LEN;
    *skip = 0;
    memcpy(eth, addresses, sizeof addresses);
    switch (dlt) {
    case DLT_EN10MB:
        *add = 0;
        return true;
    case DLT_LINUX_SLL:
        *skip = 16;
        memcpy(eth + 12, len >= 16 ? data + 14 : addresses, 2);
        return true;
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_RAW:
    case 101:
    case DLT_IPV4:
    case DLT_IPV6:
        *skip = dlt == DLT_NULL || dlt == DLT_LOOP ? 4 : 0;
        eth[12] = 0x08;
        eth[13] = 0x00;
        if (len > *skip && data[*skip] >> 4 == 6) {
            eth[12] = 0x86;
            eth[13] = 0xdd;
        }
        return true;
    default:
        return false;
    }
}

static bool
add_packet(struct file *file, const uint8_t *data, uint32_t len,
           const uint8_t *eth, uint32_t add)
{
    if (file->n_packets == file->allocated) {
        uint32_t n = file->allocated ? file->allocated * 2 : 256;
        struct packet *p = realloc(file->packets, n * sizeof *p);

        if (!p) {
            return false;
        }
        file->packets = p;
        file->allocated = n;
    }

    uint32_t room = MAX_FRAME - add;
    struct packet *p = &file->packets[file->n_packets];
    len = len < room ? len : room;
    p->len = len + add < MIN_FRAME ? MIN_FRAME : len + add;
    p->data = calloc(1, p->len > EXTNIC_HEAD ? p->len : EXTNIC_HEAD);
    p->flow = 0;
    if (!p->data) {
        return false;
    }
    memcpy(p->data, eth, add);
    memcpy(p->data + add, data, len);
    file->n_packets++;
    return true;
}

/* Reads 'path'.  What libpcap calls an error, a truncated last packet say,
 * is one. */
static bool
read_file(const char *path, struct file *file, char *error, size_t size)
{
    char message[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(path, message);
    struct pcap_pkthdr *header;
    const u_char *data;
    bool ok = true;
    int retval;

    if (!pcap) {
        snprintf(error, size, "pcap=%s: %s", path, message);
        return false;
    }
    while (ok && (retval = pcap_next_ex(pcap, &header, &data)) == 1) {
        uint8_t eth[ETH_LEN];
        uint32_t add, skip;

        if (!link_header(pcap_datalink(pcap), data, header->caplen, eth,
                         &add, &skip)) {
            snprintf(error, size, "pcap=%s: link type %d is not supported",
                     path, pcap_datalink(pcap));
            ok = false;
        } else if (header->caplen > skip + ETH_LEN - add) {
            ok = (file->n_packets < EXTNIC_MAX_TEMPLATES
                  && add_packet(file, data + skip, header->caplen - skip,
                                eth, add));
            if (!ok) {
                snprintf(error, size, "pcap=%s: too large", path);
            }
        }
    }
    if (ok && retval == PCAP_ERROR) {
        snprintf(error, size, "pcap=%s: %s", path, pcap_geterr(pcap));
        ok = false;
    } else if (ok && !file->n_packets) {
        snprintf(error, size, "pcap=%s: holds no packets", path);
        ok = false;
    }
    pcap_close(pcap);
    return ok;
}

/* What tells flows apart: addresses, ports and protocol. */
static void
flow_key(const struct packet *p, uint8_t key[KEY_LEN])
{
    struct extnic_headers h;

    memset(key, 0, KEY_LEN);
    extnic_headers_parse(p->data, p->len, &h);
    if (h.ipv4) {
        memcpy(key, p->data + h.l3 + 12, 8);
        key[36] = p->data[h.l3 + 9];
    } else if (h.ipv6) {
        memcpy(key, p->data + h.l3 + 8, 32);
        key[36] = p->data[h.l3 + 6];
    } else {
        memcpy(key, p->data, ETH_LEN);
    }
    if (h.l4 && (h.proto == 6 || h.proto == 17 || h.proto == 132)) {
        memcpy(key + 32, p->data + h.l4, 4);
    }
    key[37] = h.ipv4 ? 4 : h.ipv6 ? 6 : 0;
}

struct keyed {
    uint8_t key[KEY_LEN];
    uint32_t packet;
};

static int
compare_keyed(const void *a_, const void *b_)
{
    const struct keyed *a = a_;
    const struct keyed *b = b_;
    int cmp = memcmp(a->key, b->key, KEY_LEN);

    return cmp ? cmp : a->packet < b->packet ? -1 : 1;
}

static bool
number_flows(struct file *file)
{
    struct keyed *keyed = calloc(file->n_packets, sizeof *keyed);

    if (!keyed) {
        return false;
    }
    for (uint32_t i = 0; i < file->n_packets; i++) {
        flow_key(&file->packets[i], keyed[i].key);
        keyed[i].packet = i;
    }
    qsort(keyed, file->n_packets, sizeof *keyed, compare_keyed);
    for (uint32_t i = 0; i < file->n_packets; i++) {
        if (i && memcmp(keyed[i].key, keyed[i - 1].key, KEY_LEN)) {
            file->n_flows++;
        }
        file->packets[keyed[i].packet].flow = file->n_flows;
    }
    file->n_flows++;
    free(keyed);
    return true;
}

static bool
read_all(struct captures *c, const char *paths, char *error, size_t size)
{
    char *copy = strdup(paths);
    char *save = NULL;
    bool ok = copy != NULL;

    for (char *path = ok ? strtok_r(copy, ":", &save) : NULL; path && ok;
         path = strtok_r(NULL, ":", &save)) {
        struct file *file = &c->files[c->n_files];

        if (c->n_files == MAX_FILES) {
            snprintf(error, size, "pcap=%s: more than %d files", path,
                     MAX_FILES);
            ok = false;
            break;
        }
        c->n_files++;
        ok = read_file(path, file, error, size) && number_flows(file);
        for (uint32_t i = 0; ok && i < file->n_packets; i++) {
            c->n_bytes += file->packets[i].len;
        }
        c->n_packets += file->n_packets;
        c->n_flows += file->n_flows;
    }
    free(copy);
    return ok;
}

/* Adds 'x' to a 16-bit one's complement sum at 'p' (RFC 1624). */
static void
adjust_checksum(uint8_t *p, uint32_t old, uint32_t new)
{
    uint32_t sum = ~(p[0] << 8 | p[1]) & 0xffff;

    sum += (~old & 0xffff) + new;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    p[0] = ~sum >> 8;
    p[1] = ~sum;
}

/* Exclusive-ors the 16-bit word at 'p' with 'mask', mending checksums. */
static void
change_word(uint8_t *p, uint32_t mask, uint8_t *sum1, uint8_t *sum2)
{
    uint32_t old = p[0] << 8 | p[1];
    uint32_t new = old ^ mask;

    p[0] = new >> 8;
    p[1] = new;
    if (sum1) {
        adjust_checksum(sum1, old, new);
    }
    if (sum2) {
        adjust_checksum(sum2, old, new);
    }
}

/* Gives the frame that starts with 'head' the addresses of a copy. */
static void
readdress(uint8_t *head, size_t len, uint32_t copy)
{
    struct extnic_headers h;
    uint8_t *l4sum = NULL;

    if (!copy) {
        return;
    }
    extnic_headers_parse(head, len, &h);
    if (h.l4 && h.proto == 6 && len >= h.l4 + 18u) {
        l4sum = head + h.l4 + 16;
    } else if (h.l4 && h.proto == 17 && len >= h.l4 + 8u
               && (head[h.l4 + 6] || head[h.l4 + 7])) {
        l4sum = head + h.l4 + 6;
    }
    if (h.ipv4) {
        change_word(head + h.l3 + 12, copy, head + h.l3 + 10, l4sum);
        change_word(head + h.l3 + 16, copy, head + h.l3 + 10, l4sum);
    } else if (h.ipv6) {
        change_word(head + h.l3 + 8 + 4, copy, NULL, l4sum);
        change_word(head + h.l3 + 24 + 4, copy, NULL, l4sum);
    }
}

static bool
make_templates(struct extnic_traffic *traffic, const struct captures *c,
               uint32_t copies, extnic_hash_func *hash)
{
    uint32_t n = c->n_packets * copies;
    uint32_t first_flow = 0, t_idx = 0;

    traffic->templates = aligned_alloc(64, n * sizeof *traffic->templates);
    traffic->flow_of = calloc(n, sizeof *traffic->flow_of);
    traffic->tails = malloc(c->n_bytes + 1);
    if (!traffic->templates || !traffic->flow_of || !traffic->tails) {
        return false;
    }
    traffic->n_templates = n;
    traffic->n_flows = c->n_flows * copies;
    for (uint32_t copy = 0; copy < copies; copy++) {
        uint8_t *tail = traffic->tails;

        for (uint32_t i = 0; i < c->n_files; i++) {
            const struct file *file = &c->files[i];

            for (uint32_t j = 0; j < file->n_packets; j++) {
                const struct packet *p = &file->packets[j];
                struct extnic_template *t = &traffic->templates[t_idx];
                size_t head = p->len < EXTNIC_HEAD ? p->len : EXTNIC_HEAD;

                memset(t, 0, sizeof *t);
                memcpy(t->head, p->data, EXTNIC_HEAD);
                readdress(t->head, head, copy);
                t->len = p->len;
                t->flow = first_flow + p->flow;
                t->hash = hash(t->head, head);
                traffic->flow_of[t_idx++] = t->flow;
                if (p->len > EXTNIC_HEAD) {
                    memcpy(tail, p->data + EXTNIC_HEAD, p->len - EXTNIC_HEAD);
                    t->tail = tail;
                    tail += p->len - EXTNIC_HEAD;
                }
            }
            first_flow += file->n_flows;
        }
    }
    return true;
}

/* Deals the streams (a copy of a file each) out at random, then replaces each
 * mention of a stream by its next packet. */
static bool
interleave(struct extnic_traffic *traffic, const struct captures *c,
           uint32_t copies, uint64_t seed)
{
    struct extnic_rng rng = { seed };
    uint32_t n_streams = c->n_files * copies;
    uint32_t *next = calloc(n_streams, sizeof *next);
    struct extnic_phase *phase = extnic_phase_add(traffic,
                                                  traffic->n_templates, 0, 1);
    uint32_t n = 0, first = 0;

    if (!next || !phase) {
        free(next);
        return false;
    }
    for (uint32_t s = 0; s < n_streams; s++) {
        next[s] = first;
        for (uint32_t j = 0; j < c->files[s % c->n_files].n_packets; j++) {
            phase->seq[n++].template = s;
        }
        first = n;
    }
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = extnic_rng_below(&rng, i + 1);
        uint32_t tmp = phase->seq[i].template;

        phase->seq[i].template = phase->seq[j].template;
        phase->seq[j].template = tmp;
    }
    for (uint32_t i = 0; i < n; i++) {
        phase->seq[i].template = next[phase->seq[i].template]++;
    }
    free(next);
    return extnic_phase_finish(traffic, phase);
}

bool
extnic_pcap_build(struct extnic_traffic *traffic,
                  const struct extnic_args *args, extnic_hash_func *hash,
                  char *error, size_t error_size)
{
    struct captures *c = calloc(1, sizeof *c);
    bool ok = c && read_all(c, args->pcap, error, error_size);

    if (ok) {
        uint32_t most = EXTNIC_MAX_TEMPLATES / c->n_packets;
        uint32_t copies = args->copies;

        if (!copies) {
            copies = (MIN_FLOWS + c->n_flows - 1) / c->n_flows;
            copies = copies < most ? copies : most ? most : 1;
        }
        if (copies > most) {
            snprintf(error, error_size, "copies=%u: of %u packets are more "
                     "than %d", copies, c->n_packets, EXTNIC_MAX_TEMPLATES);
            ok = false;
        } else {
            ok = make_templates(traffic, c, copies, hash)
                 && interleave(traffic, c, copies, args->seed + 6);
        }
    }
    for (uint32_t i = 0; c && i < c->n_files; i++) {
        for (uint32_t j = 0; j < c->files[i].n_packets; j++) {
            free(c->files[i].packets[j].data);
        }
        free(c->files[i].packets);
    }
    free(c);
    return ok;
}
