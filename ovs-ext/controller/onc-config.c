/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Ext_Global: options "onc-...", and what was learned, which is kept in
 * external_ids:onc-learned. */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/vlog.h"
#include "ovsdb-idl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(onc_config);

#define LEARNED_KEY "onc-learned"
#define SAVE_MS 30000

/* Complains once about a value. */
static void
complain(struct onc *onc, const char *key, const char *value, const char *want)
{
    const char *last = shash_find_data(&onc->bad_options, key);

    if (!last || strcmp(last, value)) {
        free(shash_replace(&onc->bad_options, key, xstrdup(value)));
        VLOG_WARN("options:%s=\"%s\" is not %s, keeping what was", key, value,
                  want);
    }
}

/* Numbers, with their ranges.  Those of integral type are in 'get_numbers'. */
static const struct {
    const char *key;
    size_t offset;              /* Of a double in struct aff_config. */
    double min, max;
} numbers[] = {
    { "onc-max-load", offsetof(struct aff_config, max_load), 0.05, 1 },
    { "onc-margin", offsetof(struct aff_config, margin), 0, 1 },
    { "onc-switch-penalty", offsetof(struct aff_config, switch_penalty),
      0, 1 },
    { "onc-latency-ref-us", offsetof(struct aff_config, latency_ref_us),
      0.001, 1e6 },
    { "onc-epsilon", offsetof(struct aff_config, epsilon), 0, 1 },
    { "onc-explore-loss", offsetof(struct aff_config, explore_loss), 0, 1 },
};

/* Reads a number of a range into '*value', which stays where there is none or
 * a bad one.  'defaults' has the value for no option. */
static void
get_number(struct onc *onc, const struct smap *options, const char *key,
           double min, double max, double by_default, double *value)
{
    const char *s = smap_get(options, key);
    double x;

    if (!s) {
        *value = by_default;
    } else if (str_to_double(s, &x) && x >= min && x <= max) {
        *value = x;
    } else {
        char want[64];

        snprintf(want, sizeof want, "a number of %g to %g", min, max);
        complain(onc, key, s, want);
    }
}

static void
get_integer(struct onc *onc, const struct smap *options, const char *key,
            double min, double max, long long int by_default,
            long long int *value)
{
    double x = *value;

    get_number(onc, options, key, min, max, by_default, &x);
    *value = x;
}

static void
get_bool(struct onc *onc, const struct smap *options, const char *key,
         bool by_default, bool *value)
{
    const char *s = smap_get(options, key);

    if (!s) {
        *value = by_default;
    } else if (!strcmp(s, "true") || !strcmp(s, "false")) {
        *value = s[0] == 't';
    } else {
        complain(onc, key, s, "true or false");
    }
}

static void
read_options(struct onc *onc, const struct smap *options)
{
    const struct aff_config def = AFF_CONFIG_DEFAULT;
    struct aff_config *c = &onc->config;
    long long int hold = c->hold;
    double seconds = onc->expiry_ms / 1000.0;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        size_t offset = numbers[i].offset;
        double by_default, value;

        memcpy(&by_default, (const char *) &def + offset, sizeof by_default);
        memcpy(&value, (const char *) c + offset, sizeof value);
        get_number(onc, options, numbers[i].key, numbers[i].min,
                   numbers[i].max, by_default, &value);
        memcpy((char *) c + offset, &value, sizeof value);
    }
    get_integer(onc, options, "onc-hold", 1, 1000, def.hold, &hold);
    c->hold = hold;
    get_integer(onc, options, "onc-explore-ms", 100, 86400000,
                def.explore_ms, &c->explore_ms);
    get_number(onc, options, "onc-expiry", 0, 86400 * 365, 60, &seconds);
    onc->expiry_ms = seconds * 1000;
    get_bool(onc, options, "onc-learn", def.learn, &c->learn);
    get_bool(onc, options, "onc-explore", def.explore, &c->explore);
}

void
onc_config_sync(struct onc *onc)
{
    const struct ovsext_ext_global *row = ovsext_ext_global_first(onc->idl);
    struct aff_config old = onc->config;
    long long int old_expiry_ms = onc->expiry_ms;
    struct shash_node *node;

    /* The row lives as long as the database, so that it is new tells that the
     * IDL has begun with an empty replica.  Without it nothing tells. */
    onc->refilled = !row || ovsext_ext_global_is_new(row);
    onc->sweeps += onc->refilled;
    if (!ovsext_ext_global_track_get_first(onc->idl)) {
        return;
    }
    if (row) {
        read_options(onc, &row->options);
    }
    if (memcmp(&old, &onc->config, sizeof old)
        || onc->expiry_ms != old_expiry_ms) {
        SHASH_FOR_EACH (node, &onc->hosts) {
            onc_host_dirty(onc, node->data, false);
        }
    }
}

/* Continues with what a predecessor learned, if that was more. */
void
onc_load_weights(struct onc *onc)
{
    const struct ovsext_ext_global *row = ovsext_ext_global_first(onc->idl);
    const char *text = row ? smap_get(&row->external_ids, LEARNED_KEY) : NULL;
    struct aff_learner learner;
    char *error;

    if (!text) {
        return;
    }
    aff_learner_init(&learner);
    error = aff_learner_from_string(&learner, text);
    if (error) {
        VLOG_WARN("external_ids:"LEARNED_KEY": %s; starting over", error);
        free(error);
    } else if (learner.n_reports >= onc->learner.n_reports) {
        onc->learner = learner;
        onc->saved_reports = learner.n_reports;
    }
}

/* Writes what was learned, in the open transaction, if it is new and time for
 * it.  Returns the number of rows. */
unsigned int
onc_save_weights(struct onc *onc, long long int now)
{
    const struct ovsext_ext_global *row = ovsext_ext_global_first(onc->idl);

    if (onc->learner.n_reports == onc->saved_reports || now < onc->save_at) {
        return 0;
    }
    onc->save_at = now + SAVE_MS;
    if (!row) {
        return 0;               /* A database that nobody has set up. */
    }

    char *text = aff_learner_to_string(&onc->learner);
    ovsext_ext_global_update_external_ids_setkey(row, LEARNED_KEY, text);
    free(text);
    onc->saved_reports = onc->learner.n_reports;
    onc->txn_has_weights = true;
    return 1;
}
