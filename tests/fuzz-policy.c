/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what is read from files: policy files and the decisions log.
 *
 * With clang -fsanitize=fuzzer,address -DFUZZ_LIBFUZZER this is a libFuzzer
 * target.  Without, it is a program that runs the same entry point
 *
 *     fuzz-policy [--seed=N] [--runs=N] [FILE...]
 *
 * over the files given and over 'runs' mutations of them and of a valid policy
 * and a valid log line, drawn from 'seed'. */

#include <config.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/steer-dump.h"
#include "ovs-ext/steering/steer-model.h"
#include "ovs-ext/steering/steer-policy.h"
#include "sha1.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use_model(const struct steer_model *m)
{
    static struct steer_batch batch;
    struct steer_config config;
    char *error;

    steer_model_score(m, m->skip, m->w3, &batch, STEER_BATCH);
    steer_config_init(&config);
    config.model = m;
    struct steer_policy *p = steer_policy_create("rl", &config, &error);
    ovs_assert(p);
    steer_policy_destroy(p);
}

static void
use_record(const struct steer_record *r)
{
    static const char *const names[] = { "rsspp", "lpt", "rl" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct steer_config config;
        struct steer_move moves[16];
        char *error;

        steer_config_init(&config);
        struct steer_policy *p = steer_policy_create(names[i], &config,
                                                     &error);
        if (!p) {
            free(error);                /* No built-in model. */
            continue;
        }
        size_t n = steer_policy_decide(p, &r->state, moves, 16);
        for (size_t j = 0; j < n; j++) {
            ovs_assert(moves[j].bucket < r->state.n_buckets);
            ovs_assert(moves[j].to < r->state.n_cores);
        }
        steer_policy_destroy(p);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct steer_model m;
    struct steer_record r;
    char *error;

    if (steer_model_parse(data, size, "fuzz", &m, &error)) {
        use_model(&m);
    } else {
        ovs_assert(error && strstr(error, "fuzz"));
        free(error);
    }

    /* Past the checksum, too: whatever the bytes, sealed properly. */
    if (size >= STEER_MODEL_FILE_SIZE) {
        uint8_t *copy = xmemdup(data, STEER_MODEL_FILE_SIZE);
        size_t body = STEER_MODEL_FILE_SIZE - SHA1_DIGEST_SIZE;

        sha1_bytes(copy, body, copy + body);
        if (steer_model_parse(copy, STEER_MODEL_FILE_SIZE, "fuzz", &m,
                              &error)) {
            use_model(&m);
        }
        free(error);
        free(copy);
    }

    char *line = xmemdup0((const char *) data, size);
    error = steer_dump_parse(line, &r);
    if (error) {
        free(error);
    } else {
        use_record(&r);
        steer_record_uninit(&r);
    }
    free(line);
    return 0;
}

#ifndef FUZZ_LIBFUZZER
struct input {
    uint8_t *data;
    size_t size;
};

static struct input
read_input(const char *path)
{
    struct input in = { .data = xmalloc(1 << 20) };
    FILE *f = fopen(path, "rb");

    if (!f) {
        ovs_fatal(errno, "%s: cannot open", path);
    }
    in.size = fread(in.data, 1, 1 << 20, f);
    fclose(f);
    return in;
}

static struct input
valid_policy(void)
{
    struct input in = { xmalloc(STEER_MODEL_FILE_SIZE),
                        STEER_MODEL_FILE_SIZE };
    struct steer_model m;

    steer_model_init(&m, 1);
    steer_model_format(&m, in.data);
    return in;
}

static struct input
valid_line(void)
{
    static const char line[] =
        "{\"v\":1,\"tick\":5,\"tick_s\":0.01,\"by\":\"rl\",\"reward\":4.5,"
        "\"terms\":[1,0.1,0.9,0],\"cores\":[[0.9,1800000,2000000,0.1,0,5000,"
        "0,0],[0.2,400000,2000000,0,0,4000,0,0]],\"groups\":[[\"3\",0]],"
        "\"buckets\":[[0,0,900000,9e6,900000,10,-1,1],[0,0,900000,9e6,900000,"
        "10,7,1],[1,0,400000,4e6,400000,3,-1,0]],\"moves\":[[1,0,1,0.5]]}";

    return (struct input) { xmemdup(line, sizeof line - 1),
                            sizeof line - 1 };
}

/* Returns a mutation of 'in'. */
static struct input
mutate(struct ext_rng *rng, const struct input *in)
{
    struct input out = { xmalloc(in->size + 64), in->size };
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
main(int argc, char *argv[])
{
    struct input *inputs = xcalloc(argc + 2, sizeof *inputs);
    unsigned long long seed = 1, runs = 20000;
    size_t n = 0;
    struct ext_rng rng;

    inputs[n++] = valid_policy();
    inputs[n++] = valid_line();
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
        struct input in = mutate(&rng, &inputs[i % n]);

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
#endif
