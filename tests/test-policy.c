/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the policy file, the guard, on-line learning and the decisions
 * log. */

#include <config.h>
#include "tests/test-steering-util.h"

#include <math.h>
#include <unistd.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/steer-dump.h"
#include "ovs-ext/steering/steer-guard.h"
#include "ovs-ext/steering/steer-model.h"
#include "sha1.h"

#define MAX_MOVES 64

/* The policy file. */

static void
write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    CHECK(f);
    CHECK_EQ(fwrite(data, 1, size, f), size);
    CHECK(!fclose(f));
}

/* Loading 'data' must fail and say 'why', naming the file. */
static void
check_refused(const uint8_t *data, size_t size, const char *why)
{
    const char *path = "test-policy.tmp";
    struct steer_model *m;
    char *error;

    write_file(path, data, size);
    CHECK(!steer_model_load(path, &m, &error));
    CHECK(!m);
    if (!strstr(error, why) || !strstr(error, path)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", error, why);
        exit(1);
    }
    free(error);
    unlink(path);
}

static void
reseal(uint8_t *data)
{
    sha1_bytes(data, STEER_MODEL_FILE_SIZE - SHA1_DIGEST_SIZE,
               data + STEER_MODEL_FILE_SIZE - SHA1_DIGEST_SIZE);
}

static void
put_float(uint8_t *data, size_t index, float x)
{
    uint32_t u;

    memcpy(&u, &x, 4);
    for (int i = 0; i < 4; i++) {
        data[128 + 4 * index + i] = u >> (8 * i);
    }
    reseal(data);
}

static void
test_file(void)
{
    uint8_t good[STEER_MODEL_FILE_SIZE + 8], data[STEER_MODEL_FILE_SIZE + 8];
    const size_t size = STEER_MODEL_FILE_SIZE;
    const size_t w0 = 2 * STEER_N_FEATURES;     /* First weight. */
    struct steer_model m, *loaded;
    char *error;

    /* Round trip. */
    steer_model_init(&m, 99);
    ovs_strlcpy(m.config, "a test", sizeof m.config);
    m.generations = 12;
    CHECK_EQ(steer_model_save(&m, "test-policy.tmp"), 0);
    CHECK(steer_model_load("test-policy.tmp", &loaded, &error));
    CHECK(!memcmp(m.weights, loaded->weights, sizeof m.weights));
    CHECK(!memcmp(m.min, loaded->min, sizeof m.min));
    CHECK(!memcmp(m.max, loaded->max, sizeof m.max));
    CHECK_EQ(loaded->seed, 99);
    CHECK_EQ(loaded->generations, 12);
    CHECK(!strcmp(loaded->config, "a test"));
    CHECK(loaded->uncertain == m.uncertain);
    CHECK(loaded->drift_limit == m.drift_limit);
    free(loaded);
    unlink("test-policy.tmp");
    CHECK(steer_model_save(&m, "/nonexistent/policy") != 0);

    /* Each kind of damage. */
    memset(good, 0, sizeof good);
    steer_model_format(&m, good);
#define DAMAGE(STATEMENT, SIZE, WHY)                    \
    do {                                                \
        memcpy(data, good, sizeof data);                \
        STATEMENT;                                      \
        check_refused(data, SIZE, WHY);                 \
    } while (0)
    DAMAGE(, 0, "bad magic");
    DAMAGE(data[0] ^= 1, size, "bad magic");
    DAMAGE(, 100, "truncated");
    DAMAGE(, size - 1, "truncated");
    DAMAGE(, size + 1, "trailing data");
    DAMAGE(data[8] = 77, size, "version 77");
    DAMAGE(data[12]++, size, "shape");
    DAMAGE(data[20]--, size, "shape");
    DAMAGE(data[200] ^= 0x10, size, "checksum");
    DAMAGE(data[size - 1] ^= 1, size, "checksum");
    DAMAGE(put_float(data, w0 + 3, NAN), size, "weight 3 is not a finite");
    DAMAGE(put_float(data, w0 + 4, INFINITY), size, "weight 4 is not a fini");
    DAMAGE(put_float(data, w0 + 5, 1e9), size, "beyond the limit");
    DAMAGE(put_float(data, 0, 9), size, "span of feature 0");
    DAMAGE(put_float(data, w0 + STEER_N_WEIGHTS, -1), size, "thresholds");

    CHECK(!steer_model_load("/nonexistent/policy", &loaded, &error));
    CHECK(strstr(error, "cannot open"));
    free(error);
    CHECK(!steer_model_load("/dev/null", &loaded, &error));
    CHECK(strstr(error, "not a regular file"));
    free(error);
}

static void
test_default(void)
{
    const struct steer_model *m = steer_model_default();

    CHECK(m);
    CHECK(m == steer_model_default());
    CHECK(m->generations > 0);          /* It has been trained. */
}

/* Scores must not depend on how many columns are computed at once nor on the
 * vectors of this machine: compare with the plain formula. */
static void
test_score(void)
{
    static struct steer_batch batch;
    struct steer_model m;
    struct ext_rng rng;

    steer_model_init(&m, 4);
    ext_rng_init(&rng, 8);
    for (size_t i = 0; i < STEER_N_WEIGHTS; i++) {
        m.weights[i] = ext_rng_normal(&rng) * 0.3;
    }
    for (size_t f = 0; f < STEER_N_FEATURES; f++) {
        for (size_t c = 0; c < STEER_BATCH; c++) {
            batch.x[f][c] = ext_rng_normal(&rng);
        }
    }
    steer_model_score(&m, m.skip, m.w3, &batch, STEER_BATCH - 1);
    for (size_t c = 0; c < STEER_BATCH - 1; c++) {
        double h1[STEER_N_H1], h2[STEER_N_H2], score = m.b3;

        for (size_t i = 0; i < STEER_N_H1; i++) {
            h1[i] = m.b1[i];
            for (size_t f = 0; f < STEER_N_FEATURES; f++) {
                h1[i] += m.w1[i][f] * batch.x[f][c];
            }
            h1[i] = MAX(h1[i], 0);
        }
        for (size_t i = 0; i < STEER_N_H2; i++) {
            h2[i] = m.b2[i];
            for (size_t j = 0; j < STEER_N_H1; j++) {
                h2[i] += m.w2[i][j] * h1[j];
            }
            score += m.w3[i] * MAX(h2[i], 0);
        }
        for (size_t f = 0; f < STEER_N_FEATURES; f++) {
            score += m.skip[f] * batch.x[f][c];
        }
        CHECK(fabs(score - batch.score[c]) < 1e-4);
    }
}

/* The guard. */

static void
guard_ticks(struct guard *g, int n, double realised, double expected,
            bool agree)
{
    for (int i = 0; i < n; i++) {
        enum guard_cause cause = guard_decide(g, false);

        guard_outcome(g, realised, expected, agree || cause != GUARD_NONE);
    }
}

static void
test_guard(void)
{
    struct guard g;

    /* Equal rewards: rl stays, whatever the level and the model's bias. */
    guard_init(&g);
    guard_ticks(&g, 2000, -7, 3, true);
    CHECK_EQ(g.n_entered, 0);

    /* Worse: not at once, but before long. */
    guard_ticks(&g, 20, -8, 3, false);
    CHECK_EQ(g.cause, GUARD_NONE);
    guard_ticks(&g, 200, -8, 3, false);
    CHECK_EQ(g.cause, GUARD_WORSE);
    CHECK_EQ(g.n_entered, 1);
    CHECK_EQ(g.holdoff, GUARD_HOLDOFF_MIN);

    /* A good moment does not end the hold-off... */
    guard_ticks(&g, 100, -7, 3, true);
    CHECK_EQ(g.cause, GUARD_WORSE);

    /* ...its end does.  rsspp was indeed better: the next one is longer. */
    guard_ticks(&g, GUARD_HOLDOFF_MIN, -7, 3, true);
    CHECK_EQ(g.cause, GUARD_NONE);
    CHECK_EQ(g.holdoff, 2 * GUARD_HOLDOFF_MIN);
    guard_ticks(&g, 400, -8, 3, false);
    CHECK_EQ(g.cause, GUARD_WORSE);
    CHECK_EQ(g.n_entered, 2);

    /* This time rsspp does no better: short again. */
    guard_ticks(&g, 2 * GUARD_HOLDOFF_MIN + 1, -8.2, 3, true);
    CHECK_EQ(g.cause, GUARD_NONE);
    CHECK_EQ(g.holdoff, GUARD_HOLDOFF_MIN);

    /* It never exceeds its bound. */
    guard_init(&g);
    guard_ticks(&g, 500, 5, 5, true);
    for (int i = 0; i < 30; i++) {
        while (g.cause == GUARD_NONE) {
            guard_ticks(&g, 1, 4, 5, false);
        }
        CHECK(g.left <= GUARD_HOLDOFF_MAX);
        while (g.cause != GUARD_NONE) {
            guard_ticks(&g, 1, 5, 5, true);
        }
    }
    CHECK_EQ(g.holdoff, GUARD_HOLDOFF_MAX);

    /* NaN changes nothing. */
    struct guard before = g;
    guard_outcome(&g, NAN, 1, true);
    CHECK(!memcmp(&before, &g, sizeof g));
}

static void
test_guard_ood(void)
{
    struct guard g;

    guard_init(&g);
    CHECK_EQ(guard_decide(&g, true), GUARD_OOD);    /* That tick only. */
    CHECK_EQ(guard_decide(&g, false), GUARD_NONE);
    CHECK_EQ(g.n_entered, 0);
    for (int i = 0; i < GUARD_OOD_TICKS; i++) {
        CHECK_EQ(guard_decide(&g, true), GUARD_OOD);
    }
    CHECK_EQ(g.n_entered, 1);
    for (int i = 0; i < GUARD_OOD_HOLDOFF; i++) {
        CHECK_EQ(guard_decide(&g, false), GUARD_OOD);
    }
    CHECK_EQ(guard_decide(&g, false), GUARD_NONE);
}

/* A model whose training saw nothing like this: rsspp decides, and it is
 * counted. */
static void
test_ood(void)
{
    struct steer_config config;
    struct steer_rl_status status;
    struct steer_model m = *steer_model_default();
    struct steer_move moves[MAX_MOVES];
    struct fixture f;

    for (size_t i = 0; i < STEER_N_FEATURES; i++) {
        m.min[i] = m.max[i] = 0;
    }
    steer_config_init(&config);
    config.model = &m;
    struct steer_policy *p = policy_create("rl", &config);
    fixture_init(&f, 4, 64);
    for (size_t i = 0; i < 64; i++) {
        fixture_load(&f, i, i % 4 ? 0.02 : 0.05);
    }
    fixture_settle(&f);
    size_t n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
    CHECK(n > 0);
    CHECK_EQ(steer_policy_explain(p)->decided_by, STEER_BY_FALLBACK_OOD);
    for (int i = 0; i < 20; i++) {
        fixture_move(&f, moves, n);
        n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
    }
    steer_policy_get_rl_status(p, &status);
    CHECK(status.in_fallback);
    CHECK_EQ(status.n_fallback_ood, 21);
    CHECK_EQ(status.n_decisions, 21);
    CHECK(steer_imbalance(&f.st) < 0.2);    /* And it does work. */
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* A network that never moves must be found out, and one that moves at random
 * to no purpose, too. */
static void
test_worse(void)
{
    struct steer_config config;
    struct steer_rl_status status;
    struct steer_model m = *steer_model_default();
    struct steer_move moves[MAX_MOVES];
    struct fixture f;
    size_t n = 0;

    memset(m.weights, 0, sizeof m.weights);
    m.skip[STEER_F_NOOP] = 100;
    steer_config_init(&config);
    config.model = &m;
    config.learn = false;
    struct steer_policy *p = policy_create("rl", &config);
    fixture_init(&f, 4, 64);
    for (size_t i = 0; i < 64; i++) {
        fixture_load(&f, i, i % 4 ? 0.02 : 0.06);
    }
    fixture_settle(&f);
    int tick;
    for (tick = 0; tick < 1000; tick++) {
        n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
        fixture_move(&f, moves, n);
        steer_policy_get_rl_status(p, &status);
        if (status.in_fallback) {
            break;
        }
        CHECK_EQ(n, 0);
    }
    CHECK(tick >= 50 && tick < 500);
    for (int i = 0; i < 100; i++) {
        n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
        fixture_move(&f, moves, n);
    }
    CHECK_EQ(steer_policy_explain(p)->decided_by, STEER_BY_FALLBACK_WORSE);
    CHECK(steer_imbalance(&f.st) < 0.2);
    steer_policy_get_rl_status(p, &status);
    CHECK(status.n_fallback_worse > 50);
    CHECK(status.reward_ewma < status.baseline_ewma);

    /* Without the guard it would stay. */
    steer_policy_destroy(p);
    config.guard = false;
    p = policy_create("rl", &config);
    for (size_t i = 0; i < 64; i++) {
        f.buckets[i].core = i % 4;
    }
    fixture_settle(&f);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(steer_policy_decide(p, &f.st, moves, MAX_MOVES), 0);
    }
    fixture_uninit(&f);
    steer_policy_destroy(p);
}

/* Learning: happens, is bounded by the trust region, can be off. */
static double
learn(bool on, float limit, uint64_t *updates)
{
    struct steer_config config;
    struct steer_rl_status status;
    struct steer_model m = *steer_model_default();
    struct steer_move moves[MAX_MOVES];
    struct ext_rng rng;
    struct fixture f;

    m.drift_limit = limit;
    steer_config_init(&config);
    config.model = &m;
    config.learn = on;
    config.guard = false;
    struct steer_policy *p = policy_create("rl", &config);
    ext_rng_init(&rng, 2);
    fixture_init(&f, 4, 64);
    for (int tick = 0; tick < 4000; tick++) {
        if (tick % 10 == 0) {
            for (size_t i = 0; i < 64; i++) {
                fixture_load(&f, i, 0.09 * ext_rng_double(&rng));
            }
            fixture_settle(&f);
        }
        size_t n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
        fixture_move(&f, moves, n);
        steer_policy_get_rl_status(p, &status);
        CHECK(status.weight_drift <= limit + 1e-6);
    }
    fixture_uninit(&f);
    steer_policy_destroy(p);
    *updates = status.updates;
    return status.weight_drift;
}

static void
test_learn(void)
{
    uint64_t updates;

    CHECK(learn(false, 0.5, &updates) == 0);
    CHECK_EQ(updates, 0);
    double free_drift = learn(true, 0.5, &updates);
    CHECK(updates > 100);
    CHECK(free_drift > 0);
    double bounded = learn(true, free_drift / 4, &updates);
    CHECK(bounded <= free_drift / 4 + 1e-6);
    CHECK(bounded > 0);
}

/* The decisions log. */

static void
test_dump(void)
{
    struct steer_policy *p = policy_create("rsspp", NULL);
    struct steer_weights w = STEER_WEIGHTS_DEFAULT;
    struct steer_reward_terms terms;
    struct steer_move moves[MAX_MOVES];
    struct steer_record r;
    struct fixture f;
    struct ds ds = DS_EMPTY_INITIALIZER;

    fixture_init(&f, 3, 12);
    for (size_t i = 0; i < 12; i++) {
        fixture_load(&f, i, i % 3 ? 0.02 : 0.1);
    }
    f.buckets[5].core = STEER_NO_CORE;
    f.buckets[6].movable = false;
    f.buckets[7].ticks_since_move = 42;
    f.cores[2].isolated = true;
    f.st.tick = 77;
    fixture_settle(&f);
    size_t n = steer_policy_decide(p, &f.st, moves, MAX_MOVES);
    CHECK(n > 0);
    double reward = steer_reward(&w, &f.st, 2, &terms);
    steer_dump_format(&ds, &f.st, moves, n, reward, &terms,
                      steer_policy_explain(p));
    CHECK_EQ(ds.string[ds.length - 1], '\n');
    char *error = steer_dump_parse(ds_cstr(&ds), &r);
    if (error) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    CHECK_EQ(r.state.tick, 77);
    CHECK_EQ(r.state.n_cores, 3);
    CHECK_EQ(r.state.n_buckets, 12);
    CHECK_EQ(r.state.n_groups, 1);
    CHECK_EQ(r.state.groups[0].cores, 7);
    CHECK(r.state.cores[2].isolated && !r.state.cores[1].isolated);
    CHECK(fabs(r.state.cores[0].load - f.cores[0].load) < 1e-5);
    CHECK(fabs(r.reward - reward) < 1e-6);
    CHECK(fabs(r.terms.balance - terms.balance) < 1e-5);
    CHECK_EQ(r.state.buckets[5].core, STEER_NO_CORE);
    CHECK(!r.state.buckets[6].movable && r.state.buckets[8].movable);
    CHECK_EQ(r.state.buckets[7].ticks_since_move, 42);
    CHECK_EQ(r.state.buckets[8].ticks_since_move, UINT32_MAX);
    CHECK(fabs(r.state.buckets[0].pred_pps - 0.1 * CAP) < 1);
    CHECK(!strcmp(r.decided_by, "rsspp"));
    CHECK_EQ(r.n_moves, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(r.moves[i].bucket, moves[i].bucket);
        CHECK_EQ(r.moves[i].from, moves[i].from);
        CHECK_EQ(r.moves[i].to, moves[i].to);
    }

    /* The same decision can be taken again from the record. */
    struct steer_policy *q = policy_create("rsspp", NULL);
    struct steer_move again[MAX_MOVES];
    CHECK_EQ(steer_policy_decide(q, &r.state, again, MAX_MOVES), n);
    CHECK_EQ(again[0].bucket, moves[0].bucket);
    steer_record_uninit(&r);

    /* Damage: every prefix is refused, any replaced byte refused or
     * harmless. */
    size_t refused = 0;
    for (size_t i = 0; i < ds.length - 1; i++) {
        char c = ds.string[i];

        ds.string[i] = '\0';
        error = steer_dump_parse(ds.string, &r);
        CHECK(error);
        free(error);
        ds.string[i] = c == '7' ? '}' : '7';
        error = steer_dump_parse(ds.string, &r);
        if (error) {
            refused++;
            free(error);
        } else {
            steer_record_uninit(&r);
        }
        ds.string[i] = c;
    }
    CHECK(refused > ds.length / 4);
    ds_destroy(&ds);
    fixture_uninit(&f);
    steer_policy_destroy(p);
    steer_policy_destroy(q);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "file", test_file },
        { "default", test_default },
        { "score", test_score },
        { "guard", test_guard },
        { "guard-ood", test_guard_ood },
        { "ood", test_ood },
        { "worse", test_worse },
        { "learn", test_learn },
        { "dump", test_dump },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
