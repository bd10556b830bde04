/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what the header cache reads from its file: records, outer headers
 * and the structure of the file.  The first byte says which; see
 * fuzz-util.h. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "datapath-hooks/session/phc-check.h"
#include "ovs-ext/session/phc-record.h"
#include "tests/fuzz-util.h"
#include "util.h"

enum { RECORD, HEADER, CHECK };

/* What is accepted must be written again as it was. */
static void
fuzz_record(const uint8_t *data, size_t size)
{
    uint8_t key[PHC_RECORD_MAX_KEY], value[PHC_RECORD_MAX_VALUE];
    size_t key_len = size ? MIN(data[0], size - 1) : 0;
    struct phc_record r, again;

    if (size && phc_record_parse(data + 1, key_len, data + 1 + key_len,
                                 size - 1 - key_len, &r)) {
        size_t n = phc_record_format_key(&r, key);
        size_t m = phc_record_format_value(&r, value);

        ovs_assert(n == key_len && !memcmp(key, data + 1, n));
        ovs_assert(phc_record_parse(key, n, value, m, &again));
        ovs_assert(again.owner == r.owner && again.service == r.service);
    }
}

static void
fuzz_header(const uint8_t *data, size_t size)
{
    uint8_t packet[PHC_MAX_HEADER + 64], header[PHC_MAX_HEADER];
    struct phc_patch patch = { .flow_hash = 1, .ip_id = 2 };
    struct phc_shape shape;
    struct in6_addr dst;

    if (phc_header_take(data, size, header, &shape, &dst)) {
        ovs_assert(shape.len == size && size >= 50);
        memset(packet, 0, sizeof packet);
        memcpy(packet, header, size);
        phc_header_patch(packet, &shape, 64, &patch);
        ovs_assert(phc_header_take(packet, size, header, &shape, &dst));
    }
}

struct image {
    const uint8_t *data;
    size_t size;
};

static int
read_image(void *image_, void *buf, size_t size, size_t offset)
{
    const struct image *image = image_;

    if (offset > image->size || size > image->size - offset) {
        return EIO;
    }
    memcpy(buf, image->data + offset, size);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image image = { data + 1, size ? size - 1 : 0 };
    const char *why;

    if (!size) {
        return 0;
    }
    switch (data[0] % 3) {
    case RECORD:
        fuzz_record(data + 1, size - 1);
        break;
    case HEADER:
        fuzz_header(data + 1, size - 1);
        break;
    case CHECK:
        if (phc_check(read_image, &image, image.size, &why)) {
            ovs_assert(why);
        }
        break;
    }
    return 0;
}

#ifndef FUZZ_LIBFUZZER
static size_t
make_header(bool ip6, uint8_t header[PHC_MAX_HEADER])
{
    struct phc_tunnel t = { .encap = ip6 ? PHC_GENEVE : PHC_VXLAN,
                            .ttl = 64, .n_options = ip6 ? 8 : 0 };
    struct phc_shape shape;

    if (ip6) {
        t.src.s6_addr[15] = t.dst.s6_addr[15] = 1;
    } else {
        in6_addr_set_mapped_ipv4(&t.src, htonl(1));
        in6_addr_set_mapped_ipv4(&t.dst, htonl(2));
    }
    return phc_header_build(&t, header, &shape);
}

static struct fuzz_input
valid_header(bool ip6)
{
    uint8_t *data = xzalloc(1 + PHC_MAX_HEADER);

    data[0] = HEADER;
    return (struct fuzz_input) { data, 1 + make_header(ip6, data + 1) };
}

static struct fuzz_input
valid_record(enum phc_record_type type)
{
    uint8_t *data = xzalloc(2 + PHC_RECORD_MAX_KEY + PHC_RECORD_MAX_VALUE);
    struct phc_record r = { .type = type, .service = 3, .owner = 4,
                            .expires = 5 };

    data[0] = RECORD;
    r.header_len = make_header(false, r.header);
    data[1] = phc_record_format_key(&r, data + 2);
    size_t n = phc_record_format_value(&r, data + 2 + data[1]);
    return (struct fuzz_input) { data, 2 + data[1] + n };
}

/* A file with a page of free pages and one of records. */
static struct fuzz_input
valid_file(void)
{
    size_t size = 1 + 5 * 4096;
    uint8_t *data = xzalloc(size), *p;
    uint64_t words[17] = { 0 };

    data[0] = CHECK;
    for (uint64_t i = 0; i < 2; i++) {
        p = data + 1 + i * 4096;
        memcpy(p, &i, 8);
        p[10] = 8;                              /* Meta. */
        words[0] = UINT64_C(1) << 32 | 0xbeefc0de;
        words[3] = 4096 | UINT64_C(1) << 48;    /* Page size; depth. */
        words[7] = 1;                           /* Records, root. */
        words[8] = 2;
        words[9] = UINT64_C(1) << 48;
        words[13] = 1;
        words[14] = 3;
        words[15] = 4;                          /* Last page. */
        words[16] = i;
        memcpy(p + 16, words, sizeof words);
    }
    for (uint64_t i = 2; i < 4; i++) {
        static const uint8_t head[] = { 2, 0, 18, 0, 0xe0, 0xf, 0xe0, 0xf };
        uint64_t list[2] = { 1, 4 };

        p = data + 1 + i * 4096;
        memcpy(p, &i, 8);
        memcpy(p + 10, head, sizeof head);
        p += 0xfe0;
        p[0] = 16;                              /* Of data, 8 of key. */
        p[6] = 8;
        memcpy(p + 16, list, sizeof list);
    }
    const char *why = NULL;
    struct image image = { data + 1, size - 1 };

    if (phc_check(read_image, &image, image.size, &why)) {
        ovs_fatal(0, "the valid file is refused: %s", why);
    }
    return (struct fuzz_input) { data, size };
}

int
main(int argc, char *argv[])
{
    struct fuzz_input valid[] = {
        valid_record(PHC_RECORD_SESSION), valid_record(PHC_RECORD_TEMPLATE),
        valid_header(false), valid_header(true), valid_file(),
    };

    return fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));
}
#endif
