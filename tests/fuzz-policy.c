/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what is read from files: policy files and the decisions log.
 *
 * The valid inputs are a policy and a line of the log; see fuzz-util.h. */

#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/steer-dump.h"
#include "ovs-ext/steering/steer-model.h"
#include "ovs-ext/steering/steer-policy.h"
#include "sha1.h"
#include "tests/fuzz-util.h"
#include "util.h"

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
static struct fuzz_input
valid_policy(void)
{
    struct fuzz_input in = { xmalloc(STEER_MODEL_FILE_SIZE),
                        STEER_MODEL_FILE_SIZE };
    struct steer_model m;

    steer_model_init(&m, 1);
    steer_model_format(&m, in.data);
    return in;
}

static struct fuzz_input
valid_line(void)
{
    static const char line[] =
        "{\"v\":1,\"tick\":5,\"tick_s\":0.01,\"by\":\"rl\",\"reward\":4.5,"
        "\"terms\":[1,0.1,0.9,0],\"cores\":[[0.9,1800000,2000000,0.1,0,5000,"
        "0,0],[0.2,400000,2000000,0,0,4000,0,0]],\"groups\":[[\"3\",0]],"
        "\"buckets\":[[0,0,900000,9e6,900000,10,-1,1],[0,0,900000,9e6,900000,"
        "10,7,1],[1,0,400000,4e6,400000,3,-1,0]],\"moves\":[[1,0,1,0.5]]}";

    return (struct fuzz_input) { xmemdup(line, sizeof line - 1),
                            sizeof line - 1 };
}

int
main(int argc, char *argv[])
{
    struct fuzz_input valid[] = { valid_policy(), valid_line() };

    return fuzz_main(argc, argv, valid, ARRAY_SIZE(valid));
}
#endif
