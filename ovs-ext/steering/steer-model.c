/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-model.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-thread.h"
#include "sha1.h"
#include "socket-util.h"
#include "util.h"

/* A weight beyond this is a damaged file, not a trained network. */
#define WEIGHT_LIMIT 1e4

#define HEADER_SIZE 128
#define CONFIG_OFS 36

BUILD_ASSERT_DECL(sizeof(float) == 4);
BUILD_ASSERT_DECL(offsetof(struct steer_model, b3)
                  == (STEER_N_WEIGHTS - 1) * sizeof(float));
BUILD_ASSERT_DECL(sizeof ((struct steer_model *) 0)->config
                  == HEADER_SIZE - CONFIG_OFS);
BUILD_ASSERT_DECL(STEER_BATCH % 16 == 0);

static void
put_le32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        p[i] = x >> (8 * i);
    }
}

static uint32_t
get_le32(const uint8_t *p)
{
    return (p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
            | (uint32_t) p[3] << 24);
}

static uint8_t *
put_floats(uint8_t *p, const float *f, size_t n)
{
    for (size_t i = 0; i < n; i++, p += 4) {
        uint32_t u;

        memcpy(&u, &f[i], 4);
        put_le32(p, u);
    }
    return p;
}

static const uint8_t *
get_floats(const uint8_t *p, float *f, size_t n)
{
    for (size_t i = 0; i < n; i++, p += 4) {
        uint32_t u = get_le32(p);

        memcpy(&f[i], &u, 4);
    }
    return p;
}

void
steer_model_format(const struct steer_model *m, uint8_t *data)
{
    uint8_t *p = data;

    memset(p, 0, HEADER_SIZE);
    memcpy(p, STEER_MODEL_MAGIC, 8);
    put_le32(p + 8, STEER_MODEL_VERSION);
    put_le32(p + 12, STEER_N_FEATURES);
    put_le32(p + 16, STEER_N_H1);
    put_le32(p + 20, STEER_N_H2);
    put_le32(p + 24, m->seed);
    put_le32(p + 28, m->seed >> 32);
    put_le32(p + 32, m->generations);
    memcpy(p + CONFIG_OFS, m->config, sizeof m->config - 1);
    p += HEADER_SIZE;
    p = put_floats(p, m->min, STEER_N_FEATURES);
    p = put_floats(p, m->max, STEER_N_FEATURES);
    p = put_floats(p, m->weights, STEER_N_WEIGHTS);
    p = put_floats(p, &m->uncertain, 1);
    p = put_floats(p, &m->drift_limit, 1);
    sha1_bytes(data, p - data, p);
    ovs_assert(p + SHA1_DIGEST_SIZE - data == STEER_MODEL_FILE_SIZE);
}

static char *
check_header(const uint8_t *p, size_t size, const char *name)
{
    if (size < 8 || memcmp(p, STEER_MODEL_MAGIC, 8)) {
        return xasprintf("%s: not a steering policy file (bad magic)", name);
    } else if (size < HEADER_SIZE) {
        return xasprintf("%s: truncated policy file: %"PRIuSIZE" bytes end "
                         "within the header", name, size);
    } else if (get_le32(p + 8) != STEER_MODEL_VERSION) {
        return xasprintf("%s: policy file has version %"PRIu32", but only "
                         "version %d is supported", name, get_le32(p + 8),
                         STEER_MODEL_VERSION);
    } else if (get_le32(p + 12) != STEER_N_FEATURES
               || get_le32(p + 16) != STEER_N_H1
               || get_le32(p + 20) != STEER_N_H2) {
        return xasprintf("%s: policy file has shape %"PRIu32"-%"PRIu32"-"
                         "%"PRIu32", but %d-%d-%d is needed", name,
                         get_le32(p + 12), get_le32(p + 16), get_le32(p + 20),
                         STEER_N_FEATURES, STEER_N_H1, STEER_N_H2);
    } else if (size < STEER_MODEL_FILE_SIZE) {
        return xasprintf("%s: truncated policy file: %"PRIuSIZE" bytes "
                         "instead of %d", name, size,
                         (int) STEER_MODEL_FILE_SIZE);
    } else if (size > STEER_MODEL_FILE_SIZE) {
        return xasprintf("%s: policy file has trailing data beyond its %d "
                         "bytes", name, (int) STEER_MODEL_FILE_SIZE);
    }
    return NULL;
}

static char *
check_numbers(const struct steer_model *m, const char *name)
{
    for (size_t i = 0; i < STEER_N_WEIGHTS; i++) {
        float w = m->weights[i];

        if (!isfinite(w)) {
            return xasprintf("%s: weight %"PRIuSIZE" is not a finite number",
                             name, i);
        } else if (fabsf(w) > WEIGHT_LIMIT) {
            return xasprintf("%s: weight %"PRIuSIZE" is %g, beyond the limit "
                             "of %g", name, i, w, WEIGHT_LIMIT);
        }
    }
    for (size_t i = 0; i < STEER_N_FEATURES; i++) {
        if (!isfinite(m->min[i]) || !isfinite(m->max[i])
            || m->min[i] > m->max[i]) {
            return xasprintf("%s: span of feature %"PRIuSIZE" is not valid",
                             name, i);
        }
    }
    if (!(m->uncertain >= 0 && m->uncertain <= 1e3)
        || !(m->drift_limit >= 0 && m->drift_limit <= 1e3)) {
        return xasprintf("%s: thresholds are not valid", name);
    }
    return NULL;
}

bool
steer_model_parse(const void *data, size_t size, const char *name,
                  struct steer_model *m, char **error)
{
    const uint8_t *p = data;
    uint8_t digest[SHA1_DIGEST_SIZE];

    *error = check_header(p, size, name);
    if (*error) {
        return false;
    }
    sha1_bytes(p, STEER_MODEL_FILE_SIZE - SHA1_DIGEST_SIZE, digest);
    if (memcmp(digest, p + STEER_MODEL_FILE_SIZE - SHA1_DIGEST_SIZE,
               SHA1_DIGEST_SIZE)) {
        *error = xasprintf("%s: policy file is damaged (checksum does not "
                           "match)", name);
        return false;
    }

    memset(m, 0, sizeof *m);
    m->seed = get_le32(p + 24) | (uint64_t) get_le32(p + 28) << 32;
    m->generations = get_le32(p + 32);
    memcpy(m->config, p + CONFIG_OFS, sizeof m->config - 1);
    for (char *c = m->config; *c; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    }
    p += HEADER_SIZE;
    p = get_floats(p, m->min, STEER_N_FEATURES);
    p = get_floats(p, m->max, STEER_N_FEATURES);
    p = get_floats(p, m->weights, STEER_N_WEIGHTS);
    p = get_floats(p, &m->uncertain, 1);
    get_floats(p, &m->drift_limit, 1);
    *error = check_numbers(m, name);
    return !*error;
}

bool
steer_model_load(const char *path, struct steer_model **modelp, char **error)
{
    uint8_t data[STEER_MODEL_FILE_SIZE + 1];
    struct stat st;
    size_t n;

    *modelp = NULL;
    *error = NULL;

    /* Not blocking, lest a FIFO of that name stops the caller. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        *error = xasprintf("%s: cannot open policy file (%s)", path,
                           ovs_strerror(errno));
        return false;
    }
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        *error = xasprintf("%s: not a regular file", path);
        close(fd);
        return false;
    }
    int retval = read_fully(fd, data, sizeof data, &n);
    close(fd);
    if (retval > 0) {
        *error = xasprintf("%s: cannot read policy file (%s)", path,
                           ovs_strerror(retval));
        return false;
    }

    struct steer_model *m = xmalloc(sizeof *m);
    if (!steer_model_parse(data, n, path, m, error)) {
        free(m);
        return false;
    }
    *modelp = m;
    return true;
}

int
steer_model_save(const struct steer_model *m, const char *path)
{
    uint8_t data[STEER_MODEL_FILE_SIZE];
    char *tmp = xasprintf("%s.tmp%ld", path, (long) getpid());
    int error = 0;

    steer_model_format(m, data);
    FILE *f = fopen(tmp, "wb");
    if (!f) {
        error = errno;
    } else {
        if (fwrite(data, sizeof data, 1, f) != 1 || fflush(f)
            || fsync(fileno(f))) {
            error = errno ? errno : EIO;
        }
        if (fclose(f) && !error) {
            error = errno;
        }
        if (!error && rename(tmp, path)) {
            error = errno;
        }
        if (error) {
            unlink(tmp);
        }
    }
    free(tmp);
    return error;
}

/* The shipped policy file as numbers, generated by the build. */
static const uint8_t builtin[] = {
#include "ovs-ext/steering/steer-model-data.inc"
    0
};

const struct steer_model *
steer_model_default(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;
    static struct steer_model model;
    static bool ok;

    if (ovsthread_once_start(&once)) {
        char *error;

        ok = steer_model_parse(builtin, sizeof builtin - 1, "built-in policy",
                               &model, &error);
        free(error);
        ovsthread_once_done(&once);
    }
    return ok ? &model : NULL;
}

void
steer_model_init(struct steer_model *m, uint64_t seed)
{
    struct ext_rng rng;
    float s1 = sqrtf(2.0f / STEER_N_FEATURES), s2 = sqrtf(2.0f / STEER_N_H1);

    memset(m, 0, sizeof *m);
    ext_rng_init_stream(&rng, seed, 0x6d6f64656c);
    for (size_t i = 0; i < STEER_N_H1; i++) {
        for (size_t j = 0; j < STEER_N_FEATURES; j++) {
            m->w1[i][j] = s1 * ext_rng_normal(&rng);
        }
    }
    for (size_t i = 0; i < STEER_N_H2; i++) {
        for (size_t j = 0; j < STEER_N_H1; j++) {
            m->w2[i][j] = s2 * ext_rng_normal(&rng);
        }
    }

    m->skip[STEER_F_SRC_REL] = 0.15;
    m->skip[STEER_F_DST_REL] = -0.15;
    m->skip[STEER_F_SSR_GAIN] = 1.0;
    m->skip[STEER_F_MAX_GAIN] = 0.3;
    m->skip[STEER_F_AGE] = 0.02;
    m->skip[STEER_F_NOISE] = 0.24;
    m->skip[STEER_F_NOOP] = 0.04;
    m->uncertain = 0.001;
    m->drift_limit = 0.5;
    m->seed = seed;
    for (size_t i = 0; i < STEER_N_FEATURES; i++) {
        m->min[i] = -8;
        m->max[i] = 8;
    }
    ovs_strlcpy(m->config, "hand-made, not trained", sizeof m->config);
}
