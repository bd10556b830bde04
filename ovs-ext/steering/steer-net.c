/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Forward pass of the scoring network, a batch of candidates at a time.
 *
 * Columns of the batch are independent and the inner loops run over them, so
 * compilers vectorise without reordering any sum: the scores are the same bit
 * for bit whatever the vector length.  (That is also why FMA is not used: it
 * rounds differently.) */

#include <config.h>
#include "ovs-ext/steering/steer-model.h"

#include "util.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) \
    && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define VECTOR_CLONES
#endif

/* Columns are computed 8 at a time: compilers split this type where the
 * machine's vectors are shorter. */
typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(32), aligned(4), may_alias));
#define N_LANES (sizeof(lanes) / sizeof(float))

#define SPLAT(X) ((X) - (lanes) { 0 })
#define RELU(V) ((lanes) ((masks) (V) & ((V) > 0)))

static inline __attribute__((always_inline)) const lanes *
at(const float *row, size_t col)
{
    return (const lanes *) &row[col];
}

/* out[j] = relu(w[j] . in + b[j]) for the columns from 'col' on.  Four outputs
 * share each load of an input. */
static inline __attribute__((always_inline)) void
layer(const float *w, const float *b, size_t n_out, size_t n_in,
      const float (*in)[STEER_BATCH], float (*out)[STEER_BATCH], size_t col)
{
    for (size_t j = 0; j < n_out; j += 4) {
        const float *w0 = &w[j * n_in], *w1 = w0 + n_in;
        const float *w2 = w1 + n_in, *w3 = w2 + n_in;
        lanes a0 = SPLAT(b[j]), a1 = SPLAT(b[j + 1]);
        lanes a2 = SPLAT(b[j + 2]), a3 = SPLAT(b[j + 3]);

        for (size_t i = 0; i < n_in; i++) {
            lanes x = *at(in[i], col);

            a0 += w0[i] * x;
            a1 += w1[i] * x;
            a2 += w2[i] * x;
            a3 += w3[i] * x;
        }
        *(lanes *) &out[j][col] = RELU(a0);
        *(lanes *) &out[j + 1][col] = RELU(a1);
        *(lanes *) &out[j + 2][col] = RELU(a2);
        *(lanes *) &out[j + 3][col] = RELU(a3);
    }
}
BUILD_ASSERT_DECL(STEER_N_H1 % 4 == 0 && STEER_N_H2 % 4 == 0);

VECTOR_CLONES void
steer_model_score(const struct steer_model *m, const float *skip,
                  const float *w3, struct steer_batch *batch, size_t n)
{
    for (size_t col = 0; col < n; col += N_LANES) {
        lanes acc = SPLAT(m->b3);

        layer(&m->w1[0][0], m->b1, STEER_N_H1, STEER_N_FEATURES,
              batch->x, batch->h1, col);
        layer(&m->w2[0][0], m->b2, STEER_N_H2, STEER_N_H1,
              batch->h1, batch->h2, col);
        for (size_t i = 0; i < STEER_N_FEATURES; i++) {
            acc += skip[i] * *at(batch->x[i], col);
        }
        for (size_t i = 0; i < STEER_N_H2; i++) {
            acc += w3[i] * *at(batch->h2[i], col);
        }
        *(lanes *) &batch->score[col] = acc;
    }
}
