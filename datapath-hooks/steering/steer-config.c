/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/steering/steer-config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/ext-config.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "ovs-ext/steering/steer-model.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "smap.h"
#include "sset.h"

VLOG_DEFINE_THIS_MODULE(steer_config);

#define STEER_KEY "ext-steering"

/* Longest name in the column "name" of Steering_Policy: that many characters,
 * of four bytes at most. */
enum { STEER_POLICY_NAME_MAX = 256 };

/* Longest sleep of a PMD thread, whatever pmd-maxsleep says. */
enum { STEER_MAX_SLEEP_USEC = 10000 };

static const char *const mode_names[] = {
    [STEER_OFF] = "off",
    [STEER_SHADOW] = "shadow",
    [STEER_STATIC] = "static",
    [STEER_RSSPP] = "rsspp",
    [STEER_LPT] = "lpt",
    [STEER_RL] = "rl",
};

const char *
steer_mode_to_string(enum steer_mode mode)
{
    return mode_names[mode];
}

bool
steer_mode_from_string(const char *s, enum steer_mode *mode)
{
    for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (!strcmp(s, mode_names[i])) {
            *mode = i;
            return true;
        }
    }
    return false;
}

void
steer_settings_init(struct steer_settings *s)
{
    const char *mode = getenv("OVS_EXT_STEERING");

    memset(s, 0, sizeof *s);
    s->mode = STEER_OFF;
    if (mode && !steer_mode_from_string(mode, &s->mode)) {
        VLOG_WARN("OVS_EXT_STEERING: \"%s\" is not a steering mode", mode);
    }
    s->tick_ms = 10;
    s->weights = (struct steer_weights) STEER_WEIGHTS_DEFAULT;
    s->max_moves = 1000;
    s->park = 2048;
    s->settle_us = 20;
    s->learn = true;
    s->warm = true;
    s->seed = 1;
    s->n_pmds = 1;
}

void
steer_settings_copy(struct steer_settings *dst,
                    const struct steer_settings *src)
{
    free(dst->policy);
    *dst = *src;
    dst->policy = nullable_xstrdup(src->policy);
}

void
steer_settings_destroy(struct steer_settings *s)
{
    free(s->policy);
}

/* Parses "term=weight[,...]". */
static char *
steer_parse_weights(const char *key, const char *value,
                    struct steer_weights *out)
{
    struct steer_weights w = *out;
    struct {
        const char *name;
        double *weight;
    } terms[] = {
        { "throughput", &w.throughput },
        { "latency", &w.latency },
        { "balance", &w.balance },
        { "switching", &w.switching },
    };
    char *copy = xstrdup(value), *save_ptr = NULL, *error = NULL;

    for (char *term = strtok_r(copy, ", ", &save_ptr); term && !error;
         term = strtok_r(NULL, ", ", &save_ptr)) {
        char *eq = strchr(term, '=');
        size_t i;

        for (i = 0; eq && i < ARRAY_SIZE(terms); i++) {
            if (strlen(terms[i].name) == eq - term
                && !strncmp(terms[i].name, term, eq - term)) {
                char *tail;

                *terms[i].weight = strtod(eq + 1, &tail);
                if (tail == eq + 1 || *tail || !isfinite(*terms[i].weight)
                    || *terms[i].weight < 0 || *terms[i].weight > 1000) {
                    error = xasprintf("%s: \"%s\" is not a weight from 0 to "
                                      "1000", key, term);
                }
                break;
            }
        }
        if (!eq || i >= ARRAY_SIZE(terms)) {
            error = xasprintf("%s: \"%s\" is not throughput=, latency=, "
                              "balance= or switching= and a number", key,
                              term);
        }
    }
    free(copy);
    if (!error) {
        *out = w;
    }
    return error;
}

const char *
steer_policy_db_name(const char *policy)
{
    return policy && !strncmp(policy, "db:", 3) ? policy + 3 : NULL;
}

/* Takes over the name of a policy file, once it proves to hold a policy; or of
 * one in the database, which is yet to come. */
static char *
steer_parse_policy(const char *value, char **out)
{
    const char *name = steer_policy_db_name(value);
    struct steer_model *model = NULL;
    char *reason;

    if (name && (!*name || strlen(name) > STEER_POLICY_NAME_MAX)) {
        return xasprintf(STEER_KEY"-policy: \"%s\" is not db: and a name of "
                         "at most %d bytes", value, STEER_POLICY_NAME_MAX);
    } else if (!name && !steer_model_load(value, &model, &reason)) {
        char *error = xasprintf(STEER_KEY"-policy: %s", reason);

        free(reason);
        return error;
    }
    free(model);
    free(*out);
    *out = xstrdup(value);
    return NULL;
}

char *
steer_settings_set(struct steer_settings *s, const char *key,
                   const char *value)
{
    if (!strcmp(key, "mode")) {
        return (steer_mode_from_string(value, &s->mode) ? NULL
                : xasprintf(STEER_KEY": \"%s\" is not one of off, shadow, "
                            "static, rsspp, lpt and rl", value));
    } else if (!strcmp(key, "tick")) {
        return ext_config_uint(STEER_KEY"-tick", value, 1, 1000, &s->tick_ms);
    } else if (!strcmp(key, "max-moves")) {
        return ext_config_uint(STEER_KEY"-max-moves", value, 0, 1000000,
                               &s->max_moves);
    } else if (!strcmp(key, "park")) {
        return ext_config_uint(STEER_KEY"-park", value, 128, STEER_PARK_MAX,
                               &s->park);
    } else if (!strcmp(key, "settle")) {
        return ext_config_uint(STEER_KEY"-settle", value, 0, 100000,
                               &s->settle_us);
    } else if (!strcmp(key, "seed")) {
        return ext_config_uint(STEER_KEY"-seed", value, 0, INT32_MAX,
                               &s->seed);
    } else if (!strcmp(key, "learn")) {
        return ext_config_bool(STEER_KEY"-learn", value, &s->learn);
    } else if (!strcmp(key, "warm")) {
        return ext_config_bool(STEER_KEY"-warm", value, &s->warm);
    } else if (!strcmp(key, "weights")) {
        return steer_parse_weights(STEER_KEY"-weights", value, &s->weights);
    } else if (!strcmp(key, "policy")) {
        return steer_parse_policy(value, &s->policy);
    } else {
        return xasprintf(STEER_KEY"-%s: there is no such key", key);
    }
}

/* Takes 'key', a whole one, back: what it sets in '*s' gets its default. */
static void
steer_settings_forget(struct steer_settings *s, const char *key)
{
    struct steer_settings d;

    steer_settings_init(&d);
#define FORGET(KEY, MEMBER)                     \
    if (!strcmp(key, STEER_KEY KEY)) {          \
        s->MEMBER = d.MEMBER;                   \
    }
    FORGET("", mode);
    FORGET("-tick", tick_ms);
    FORGET("-weights", weights);
    FORGET("-max-moves", max_moves);
    FORGET("-park", park);
    FORGET("-settle", settle_us);
    FORGET("-learn", learn);
    FORGET("-warm", warm);
    FORGET("-seed", seed);
#undef FORGET
    if (!strcmp(key, STEER_KEY"-policy")) {
        free(s->policy);
        s->policy = NULL;
    }
}

/* Takes in 'value' of 'key', a whole one.  Returns null or an error that the
 * caller must free(). */
static char *
steer_settings_take(struct steer_settings *s, const char *key,
                    const char *value)
{
    const char *rest = key + strlen(STEER_KEY);

    return (!*rest ? steer_settings_set(s, "mode", value)
            : *rest == '-' ? steer_settings_set(s, rest + 1, value)
            : xasprintf("%s: there is no such key", key));
}

/* Takes in which keys 'cfg' has that 'seen' has not, or with another value,
 * and which it has no longer.  Keys that are as they were seen are left alone,
 * lest anything else that happens to the database undo what was set by hand.
 *
 * A value that was refused is seen as an empty one, which is none: it is tried
 * again, for a policy file that was missing may be there by now. */
static void
steer_settings_follow(struct steer_settings *s, struct smap *seen,
                      const struct smap *cfg)
{
    struct smap_node *node;

    SMAP_FOR_EACH_SAFE (node, seen) {
        if (!smap_get(cfg, node->key)) {
            steer_settings_forget(s, node->key);
            smap_remove_node(seen, node);
        }
    }
    SMAP_FOR_EACH (node, cfg) {
        const char *last = smap_get(seen, node->key);

        if (!strncmp(node->key, STEER_KEY, strlen(STEER_KEY))
            && (!last || strcmp(last, node->value))) {
            char *error = steer_settings_take(s, node->key, node->value);

            smap_replace(seen, node->key, error ? "" : node->value);
            if (error) {
                ext_config_complain(&this_module, node->key, node->value,
                                    error);
            }
        }
    }
}

/* Takes what steering needs to know of OVS's own settings. */
static void
steer_settings_parse_ovs(struct steer_settings *s, const struct smap *cfg)
{
    const char *mask = smap_get(cfg, "pmd-cpu-mask");

    s->n_pmds = 0;
    for (const char *p = mask ? mask : "1"; *p; p++) {
        if (!(p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))) {
            int digit = hexit_value(*p);

            s->n_pmds += digit > 0 ? count_1bits(digit) : 0;
        }
    }
    s->tx_flush_us = smap_get_uint(cfg, "tx-flush-interval", 0);
    s->max_sleep_us = MIN(smap_get_ullong(cfg, "pmd-maxsleep", 0),
                          STEER_MAX_SLEEP_USEC);
    s->auto_lb = smap_get_bool(cfg, "pmd-auto-lb", false);
}

bool
steer_settings_parse(struct steer_settings *s, struct smap *seen,
                     const struct smap *cfg)
{
    struct steer_settings old;
    bool changed;

    memset(&old, 0, sizeof old);
    steer_settings_copy(&old, s);
    steer_settings_follow(s, seen, cfg);
    steer_settings_parse_ovs(s, cfg);
    changed = (!nullable_string_is_equal(old.policy, s->policy)
               || old.mode != s->mode || old.tick_ms != s->tick_ms
               || memcmp(&old.weights, &s->weights, sizeof s->weights)
               || old.max_moves != s->max_moves || old.park != s->park
               || old.settle_us != s->settle_us || old.learn != s->learn
               || old.seed != s->seed || old.warm != s->warm
               || old.tx_flush_us != s->tx_flush_us
               || old.max_sleep_us != s->max_sleep_us
               || old.n_pmds != s->n_pmds || old.auto_lb != s->auto_lb);
    steer_settings_destroy(&old);
    return changed;
}
