/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "tests/fuzz-util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

static struct fuzz_input
read_input(const char *path)
{
    struct fuzz_input in = { .data = xmalloc(1 << 20) };
    FILE *f = fopen(path, "rb");

    if (!f) {
        ovs_fatal(errno, "%s: cannot open", path);
    }
    in.size = fread(in.data, 1, 1 << 20, f);
    fclose(f);
    return in;
}

/* Returns a mutation of 'in'. */
static struct fuzz_input
mutate(struct ext_rng *rng, const struct fuzz_input *in)
{
    struct fuzz_input out = { xmalloc(in->size + 64), in->size };
    int n = 1 + ext_rng_range(rng, 8);

    memcpy(out.data, in->data, in->size);
    while (n-- && out.size) {
        size_t at = ext_rng_range(rng, out.size);

        switch (ext_rng_range(rng, 6)) {
        case 0:
            out.data[at] ^= 1u << ext_rng_range(rng, 8);
            break;
        case 1:
            out.data[at] = ext_rng_next(rng);
            break;
        case 2:                         /* Cut. */
            out.size = at;
            break;
        case 3:                         /* A digit or a sign: numbers. */
            out.data[at] = "0123456789-e.[],"[ext_rng_range(rng, 16)];
            break;
        case 4:                         /* Overwrite by another part. */
            memmove(out.data + at, out.data + ext_rng_range(rng, out.size),
                    MIN(8, out.size - at));
            break;
        default:                        /* Lengthen. */
            if (out.size + 8 <= in->size + 64) {
                memset(out.data + out.size, ext_rng_next(rng), 8);
                out.size += 8;
            }
            break;
        }
    }
    return out;
}

int
fuzz_main(int argc, char *argv[], const struct fuzz_input *valid,
          size_t n_valid)
{
    struct fuzz_input *inputs = xcalloc(argc + n_valid, sizeof *inputs);
    unsigned long long seed = 1, runs = 20000;
    struct ext_rng rng;
    size_t n = n_valid;

    memcpy(inputs, valid, n_valid * sizeof *valid);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--seed=%llu", &seed) != 1
            && sscanf(argv[i], "--runs=%llu", &runs) != 1) {
            inputs[n++] = read_input(argv[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    }
    ext_rng_init(&rng, seed);
    for (unsigned long long i = 0; i < runs; i++) {
        struct fuzz_input in = mutate(&rng, &inputs[i % n]);

        /* An exact copy, so that reading beyond the end is found. */
        uint8_t *exact = xmemdup(in.data, in.size);
        LLVMFuzzerTestOneInput(exact, in.size);
        free(exact);
        free(in.data);
    }
    for (size_t i = 0; i < n; i++) {
        free(inputs[i].data);
    }
    free(inputs);
    printf("%llu mutations of %"PRIuSIZE" inputs, seed %llu: ok\n", runs, n,
           seed);
    return 0;
}
