/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-dump.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

/* JSON has no infinities. */
static double
finite_or_0(double x)
{
    return isfinite(x) ? x : 0;
}

void
steer_dump_format(struct ds *ds, const struct steer_state *st,
                  const struct steer_move *moves, size_t n_moves,
                  double reward, const struct steer_reward_terms *terms,
                  const struct steer_explain *explain)
{
    ds_put_format(ds, "{\"v\":1,\"tick\":%"PRIu64",\"tick_s\":%.6g,"
                  "\"by\":\"%s\",\"reward\":%.9g,"
                  "\"terms\":[%.6g,%.6g,%.6g,%.6g],\"cores\":[",
                  st->tick, st->tick_s,
                  steer_decider_to_string(explain->decided_by),
                  finite_or_0(reward), terms->throughput, terms->latency,
                  terms->balance, terms->switching);
    for (size_t i = 0; i < st->n_cores; i++) {
        const struct steer_core *c = &st->cores[i];

        ds_put_format(ds, "%s[%.6g,%.9g,%.9g,%.4g,%.9g,%.6g,%d,%d]",
                      i ? "," : "", finite_or_0(c->load),
                      finite_or_0(c->pps), finite_or_0(c->cap_pps),
                      finite_or_0(c->qfill), finite_or_0(c->drops_pps),
                      finite_or_0(c->latency_ns), c->numa, c->isolated);
    }
    ds_put_cstr(ds, "],\"groups\":[");
    for (size_t i = 0; i < st->n_groups; i++) {
        ds_put_format(ds, "%s[\"%"PRIx64"\",%d]", i ? "," : "",
                      st->groups[i].cores, st->groups[i].numa);
    }
    ds_put_cstr(ds, "],\"buckets\":[");
    for (size_t i = 0; i < st->n_buckets; i++) {
        const struct steer_bucket *b = &st->buckets[i];

        ds_put_format(ds, "%s[%d,%d,%.7g,%.7g,%.7g,%"PRIu32",%"PRId64",%d]",
                      i ? "," : "",
                      b->core == STEER_NO_CORE ? -1 : b->core, b->group,
                      finite_or_0(b->pps), finite_or_0(b->bytes_ps),
                      finite_or_0(b->pred_pps), b->flows,
                      b->ticks_since_move == UINT32_MAX
                      ? INT64_C(-1) : (int64_t) b->ticks_since_move,
                      b->movable);
    }
    ds_put_cstr(ds, "],\"moves\":[");
    for (size_t i = 0; i < n_moves; i++) {
        const struct steer_move *m = &moves[i];

        ds_put_format(ds, "%s[%"PRIu32",%d,%d,%.6g]", i ? "," : "",
                      m->bucket, m->from, m->to, finite_or_0(m->score));
    }
    ds_put_cstr(ds, "]}\n");
}

void
steer_dump_init(struct steer_dump *d, FILE *stream)
{
    d->stream = stream;
    ds_init(&d->buf);
}

void
steer_dump_uninit(struct steer_dump *d)
{
    ds_destroy(&d->buf);
}

int
steer_dump_flush(struct steer_dump *d)
{
    int error = 0;

    errno = 0;
    if (fwrite(d->buf.string, 1, d->buf.length, d->stream) != d->buf.length
        || fflush(d->stream)) {
        error = errno ? errno : EIO;
    }
    ds_clear(&d->buf);
    return error;
}

void
steer_dump_write(struct steer_dump *d, const struct steer_state *st,
                 const struct steer_move *moves, size_t n_moves,
                 double reward, const struct steer_reward_terms *terms,
                 const struct steer_explain *explain)
{
    ds_clear(&d->buf);
    steer_dump_format(&d->buf, st, moves, n_moves, reward, terms, explain);
    fwrite(d->buf.string, 1, d->buf.length, d->stream);
}

/* Reading.  Each helper returns false where the value is not what the format
 * says. */

static bool
get_number(const struct json *json, double min, double max, double *out)
{
    if (json->type == JSON_INTEGER) {
        *out = json->integer;
    } else if (json->type == JSON_REAL) {
        *out = json->real;
    } else {
        return false;
    }
    return *out >= min && *out <= max;
}

/* Reads the 'n' numbers of array 'json' into 'out'. */
static bool
get_numbers(const struct json *json, double *out, size_t n)
{
    if (json->type != JSON_ARRAY || json->array.n != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!get_number(json->array.elems[i], -1e18, 1e18, &out[i])) {
            return false;
        }
    }
    return true;
}

static bool
parse_core(const struct json *json, struct steer_core *c)
{
    double x[8];

    if (!get_numbers(json, x, 8)) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        if (x[i] < 0) {
            return false;
        }
    }
    *c = (struct steer_core) {
        .load = x[0], .pps = x[1], .cap_pps = x[2], .qfill = x[3],
        .drops_pps = x[4], .latency_ns = x[5],
        .numa = x[6] >= 0 && x[6] < 1024 ? x[6] : -1, .isolated = x[7] != 0,
    };
    return true;
}

static bool
parse_group(const struct json *json, struct steer_group *g)
{
    double numa;

    if (json->type != JSON_ARRAY || json->array.n != 2
        || json->array.elems[0]->type != JSON_STRING
        || !get_number(json->array.elems[1], -1, 1023, &numa)) {
        return false;
    }

    const char *s = json_string(json->array.elems[0]);
    size_t len = strlen(s);
    if (!len || len > 16 || strspn(s, "0123456789abcdef") != len) {
        return false;
    }
    g->cores = strtoull(s, NULL, 16);
    g->numa = numa;
    return true;
}

static bool
parse_bucket(const struct json *json, struct steer_bucket *b)
{
    double x[8];

    if (!get_numbers(json, x, 8) || x[0] < -1 || x[0] >= UINT16_MAX
        || x[1] < 0 || x[1] > UINT16_MAX || x[2] < 0 || x[3] < 0 || x[4] < 0
        || x[5] < 0 || x[5] > UINT32_MAX || x[6] < -1
        || x[6] > UINT32_MAX) {
        return false;
    }
    *b = (struct steer_bucket) {
        .core = x[0] < 0 ? STEER_NO_CORE : x[0], .group = x[1],
        .pps = x[2], .bytes_ps = x[3], .pred_pps = x[4], .flows = x[5],
        .ticks_since_move = x[6] < 0 ? UINT32_MAX : x[6],
        .movable = x[7] != 0,
    };
    return true;
}

static bool
parse_move(const struct json *json, const struct steer_state *st,
           struct steer_move *m)
{
    double x[4];

    if (!get_numbers(json, x, 4) || x[0] < 0 || x[0] >= st->n_buckets
        || x[1] < 0 || x[1] >= st->n_cores || x[2] < 0
        || x[2] >= st->n_cores) {
        return false;
    }
    *m = (struct steer_move) { x[0], x[1], x[2], x[3] };
    return true;
}

/* Returns the array 'name' of 'obj', NULL if there is none. */
static const struct json_array *
find_array(const struct json *obj, const char *name)
{
    const struct json *json = shash_find_data(json_object(obj), name);

    return json && json->type == JSON_ARRAY ? &json->array : NULL;
}

#define PARSE_ARRAY(NAME, MAX_N, MEMBER, N_MEMBER, CALL)                \
    do {                                                                \
        const struct json_array *a = find_array(obj, NAME);             \
        if (!a) {                                                       \
            return xasprintf("decision has no array \"%s\"", NAME);     \
        } else if (a->n > (MAX_N)) {                                    \
            return xasprintf("decision has %"PRIuSIZE" %s, more than "  \
                             "%d", a->n, NAME, (int) (MAX_N));          \
        }                                                               \
        (MEMBER) = xcalloc(MAX(a->n, 1), sizeof *(MEMBER));             \
        (N_MEMBER) = a->n;                                              \
        for (size_t i = 0; i < a->n; i++) {                             \
            if (!(CALL)) {                                              \
                return xasprintf("item %"PRIuSIZE" of \"%s\" is not "   \
                                 "valid", i, NAME);                     \
            }                                                           \
        }                                                               \
    } while (0)

static char *
parse_object(const struct json *obj, struct steer_record *r)
{
    struct steer_state *st = &r->state;
    const struct json *json;
    double x, terms[4];

    json = shash_find_data(json_object(obj), "v");
    if (!json || !get_number(json, 1, 1, &x)) {
        return xstrdup("decision is not of version 1");
    }
    json = shash_find_data(json_object(obj), "tick");
    if (!json || !get_number(json, 0, 9e15, &x)) {
        return xstrdup("decision has no valid \"tick\"");
    }
    st->tick = x;
    json = shash_find_data(json_object(obj), "tick_s");
    if (!json || !get_number(json, 1e-6, 3600, &st->tick_s)) {
        return xstrdup("decision has no valid \"tick_s\"");
    }
    json = shash_find_data(json_object(obj), "reward");
    if (!json || !get_number(json, -1e9, 1e9, &r->reward)) {
        return xstrdup("decision has no valid \"reward\"");
    }
    json = shash_find_data(json_object(obj), "terms");
    if (!json || !get_numbers(json, terms, 4)) {
        return xstrdup("decision has no valid \"terms\"");
    }
    r->terms = (struct steer_reward_terms) { terms[0], terms[1], terms[2],
                                             terms[3] };
    json = shash_find_data(json_object(obj), "by");
    if (!json || json->type != JSON_STRING) {
        return xstrdup("decision has no valid \"by\"");
    }
    r->decided_by = xstrdup(json_string(json));

    PARSE_ARRAY("cores", STEER_MAX_CORES, st->cores, st->n_cores,
                parse_core(a->elems[i], &st->cores[i]));
    PARSE_ARRAY("groups", 65536, st->groups, st->n_groups,
                parse_group(a->elems[i], &st->groups[i]));
    PARSE_ARRAY("buckets", 1 << 20, st->buckets, st->n_buckets,
                parse_bucket(a->elems[i], &st->buckets[i]));
    PARSE_ARRAY("moves", 1 << 20, r->moves, r->n_moves,
                parse_move(a->elems[i], st, &r->moves[i]));
    return NULL;
}

char *
steer_dump_parse(const char *line, struct steer_record *r)
{
    char *error;

    memset(r, 0, sizeof *r);

    struct json *json = json_from_string(line);
    if (json->type == JSON_STRING) {
        error = xasprintf("not JSON: %s", json_string(json));
    } else if (json->type != JSON_OBJECT) {
        error = xstrdup("decision is not a JSON object");
    } else {
        error = parse_object(json, r);
    }
    json_destroy(json);
    if (error) {
        steer_record_uninit(r);
    }
    return error;
}

void
steer_record_uninit(struct steer_record *r)
{
    free(r->state.cores);
    free(r->state.groups);
    free(r->state.buckets);
    free(r->moves);
    free(r->decided_by);
    memset(r, 0, sizeof *r);
}
