/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_MODEL_H
#define STEER_MODEL_H 1

/* The network that scores moves, and its file
 * ===========================================
 *
 * One small network serves every (source core, destination core, bucket)
 * triple, so that it does not care how many cores and buckets there are nor in
 * which order they come:
 *
 *     h1 = relu(w1 x + b1)
 *     h2 = relu(w2 h1 + b2)
 *     score = skip . x + w3 . h2 + b3
 *
 * 'x' are the features of enum steer_feature.  Doing nothing is a candidate
 * like any other, with STEER_F_NOOP set.
 *
 * File format (all integers little endian, floats IEEE 754 binary32):
 *
 *     offset size
 *          0    8  magic "OVSXPOL\n"
 *          8    4  version, STEER_MODEL_VERSION
 *         12    4  number of features
 *         16    4  size of h1
 *         20    4  size of h2
 *         24    8  seed of the training
 *         32    4  generations trained
 *         36   92  how it was trained, text padded with NULs
 *        128       floats: min[], max[], skip[], w1[][], b1[], w2[][], b2[],
 *                  w3[], b3, uncertain, drift_limit
 *        end   20  SHA-1 of everything before
 *
 * The checksum guards against damage, not against malice: whoever may write
 * the file may steer.  A loaded model is checked so that no content can harm
 * more than the quality of decisions: shapes must match, numbers must be
 * finite and bounded.
 *
 * A model is plain data and read-only once loaded: any number of threads may
 * share it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEER_MODEL_VERSION 1
#define STEER_MODEL_MAGIC "OVSXPOL\n"

/* Features of a candidate.  "rel" means divided by the mean load (at least
 * STEER_REL_FLOOR), so that a light load is treated as a heavy one; loads are
 * predicted ones with the moves already chosen in this tick done. */
enum steer_feature {
    STEER_F_SRC,            /* Load of the source core. */
    STEER_F_DST,            /* Load of the destination core. */
    STEER_F_SRC_REL,        /* Source above mean, rel. */
    STEER_F_DST_REL,        /* Destination above mean, rel. */
    STEER_F_MEAN,           /* No-op only: mean load. */
    STEER_F_MAX_REL,        /* No-op only: most loaded core above mean,
                             * rel. */
    STEER_F_MIN_REL,        /* No-op only: mean above least loaded core,
                             * rel. */
    STEER_F_BUCKET,         /* Bucket's predicted load, rel. */
    STEER_F_BUCKET_NEWS,    /* Its measured minus predicted load, rel. */
    STEER_F_SRC_AFTER,      /* Source above mean after the move, rel. */
    STEER_F_DST_AFTER,      /* Destination above mean after the move, rel. */
    STEER_F_SSR_GAIN,       /* Signed root of the decrease of the sum of
                             * squared residuals, rel. */
    STEER_F_MAX_GAIN,       /* Decrease of the greater load of the two, rel. */
    STEER_F_SRC_QUEUE,      /* Rx ring fill of the source, 0...1. */
    STEER_F_DST_QUEUE,      /* Rx ring fill of the destination, 0...1. */
    STEER_F_SRC_DROPS,      /* Fraction of packets that the source misses. */
    STEER_F_DST_DROPS,      /* Fraction that the destination misses. */
    STEER_F_AGE,            /* Ticks since the bucket moved / 100, up to 1. */
    STEER_F_FLOWS,          /* log2(1 + flows) / 16. */
    STEER_F_RSSPP,          /* 1 if RSS++ would do this move. */
    STEER_F_CORES,          /* No-op only: log2(cores) / 6. */
    STEER_F_COUNT,          /* No-op only: moves already chosen in this tick
                             * / 16. */
    STEER_F_NOISE,          /* No-op only: ten times the mean unforeseen
                             * change of core loads in a tick, rel. */
    STEER_F_NOOP,           /* 1 for doing nothing. */
    STEER_N_FEATURES
};
#define STEER_REL_FLOOR 0.05

#define STEER_N_H1 16
#define STEER_N_H2 8

#define STEER_N_WEIGHTS                                                 \
    (STEER_N_FEATURES + STEER_N_H1 * STEER_N_FEATURES + STEER_N_H1      \
     + STEER_N_H2 * STEER_N_H1 + STEER_N_H2 + STEER_N_H2 + 1)

struct steer_model {
    /* All weights, by name and as the one vector that the trainer sees. */
    union {
        float weights[STEER_N_WEIGHTS];
        struct {
            float skip[STEER_N_FEATURES];
            float w1[STEER_N_H1][STEER_N_FEATURES];
            float b1[STEER_N_H1];
            float w2[STEER_N_H2][STEER_N_H1];
            float b2[STEER_N_H2];
            float w3[STEER_N_H2];
            float b3;
        };
    };

    /* Span of each feature in training. */
    float min[STEER_N_FEATURES];
    float max[STEER_N_FEATURES];

    float uncertain;        /* Scores closer than this are a toss-up. */
    float drift_limit;      /* On-line learning stays within this L2 distance
                             * of the output layer (skip and w3). */

    uint64_t seed;          /* Of the training. */
    uint32_t generations;
    char config[92];        /* How it was trained, NUL terminated. */
};

/* Size of a policy file in bytes. */
#define STEER_MODEL_FILE_SIZE (128 + 4 * (2 * STEER_N_FEATURES          \
                                          + STEER_N_WEIGHTS + 2) + 20)

/* Parses 'size' bytes of 'data'.  'name' names them in messages.  Returns
 * true, or false with a sentence in '*error' to be freed by the caller. */
bool steer_model_parse(const void *data, size_t size, const char *name,
                       struct steer_model *, char **error);

/* Formats 'model' into 'data', STEER_MODEL_FILE_SIZE bytes. */
void steer_model_format(const struct steer_model *, uint8_t *data);

/* Loads policy file 'path' into '*model', which the caller must free().  On
 * failure returns false, sets '*model' to NULL and '*error' to a sentence that
 * the caller must free(). */
bool steer_model_load(const char *path, struct steer_model **model,
                      char **error);

/* Writes 'model' to 'path', replacing it atomically.  Returns 0 or a positive
 * errno value. */
int steer_model_save(const struct steer_model *, const char *path);

/* The built-in model, the same as the shipped utilities/steering.policy.  NULL
 * only if this build carries none. */
const struct steer_model *steer_model_default(void);

/* Hand-made starting point of the training: greedy descent of the sum of
 * squared residuals (what RSS++ minimises), with hidden layers drawn from
 * 'seed' that do not yet contribute. */
void steer_model_init(struct steer_model *, uint64_t seed);

/* Upper bound of candidates in one batch; a multiple of the vector length. */
#define STEER_BATCH 48

/* A batch of candidates, one column each. */
struct steer_batch {
    float x[STEER_N_FEATURES][STEER_BATCH];
    float h1[STEER_N_H1][STEER_BATCH];
    float h2[STEER_N_H2][STEER_BATCH];
    float score[STEER_BATCH];
};

/* Scores columns 0...n-1 (others up to the next multiple of 16 are computed,
 * too, so they must be initialised).  'skip' and 'w3' stand in for the model's
 * own output layer. */
void steer_model_score(const struct steer_model *, const float *skip,
                       const float *w3, struct steer_batch *, size_t n);

#endif /* steer-model.h */
