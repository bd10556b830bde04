/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Where the model of rl comes from: the build, a file or the database.  One
 * that cannot be had, or is none, changes nothing. */

#include <config.h>

#include "datapath-hooks/steering/steer-agent.h"

#include <inttypes.h>
#include <stdlib.h>

#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/steering/steer-model.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(steer_source);

/* Constant after the start. */
static steer_policy_source_cb *source;

/* The same as the column "version" of a policy in the database has. */
static char *
steer_source_version(const struct steer_model *m)
{
    return xasprintf("%d, %"PRIu32" generations, seed %"PRIu64,
                     STEER_MODEL_VERSION, m->generations, m->seed);
}

/* Makes 'model' the one in force; takes it over, and 'version' as well.  No
 * policy may be using the old one. */
static void
steer_source_set(struct steer_agent *a, struct steer_model *model,
                 char *version) OVS_REQUIRES(steer_mutex)
{
    free(a->model);
    free(a->model_origin);
    free(a->model_version);
    free(a->model_error);
    a->model = model;
    a->model_origin = nullable_xstrdup(a->settings.policy);
    a->model_version = version;
    a->model_error = NULL;
}

/* Notes why the model that is asked for is not in force; takes over 'error'.
 * Says so, unless it has already. */
static void
steer_source_fail(struct steer_agent *a, char *error)
    OVS_REQUIRES(steer_mutex)
{
    if (!a->model_error || strcmp(a->model_error, error)) {
        VLOG_WARN("other_config:ext-steering-policy=%s: %s, last good policy "
                  "stays", a->settings.policy, error);
    }
    free(a->model_error);
    a->model_error = error;
}

static void
steer_source_drop_policy(struct steer_agent *a) OVS_REQUIRES(steer_mutex)
{
    steer_policy_destroy(a->policy);
    a->policy = NULL;
}

/* Has the model that the settings ask for, or sees to it that it comes.  Makes
 * an end of the policy if that was another model's. */
void
steer_source_load(struct steer_agent *a)
{
    const char *wanted = a->settings.policy;
    struct steer_model *model;
    char *error;

    if (!nullable_string_is_equal(wanted, a->model_asked)) {
        free(a->model_asked);
        free(a->model_error);
        a->model_asked = nullable_xstrdup(wanted);
        a->model_error = NULL;
    }
    if (!wanted) {
        steer_source_drop_policy(a);
        steer_source_set(a, NULL, NULL);
    } else if (steer_policy_db_name(wanted)) {
        /* steer_take_policy() will bring it. */
    } else if (steer_model_load(wanted, &model, &error)) {
        steer_source_drop_policy(a);
        steer_source_set(a, model, steer_source_version(model));
    } else {
        steer_source_fail(a, error);
    }
}

/* Tells the source what is wanted, if that has changed.  Main thread. */
void
steer_source_request(const struct steer_settings *s)
{
    static char *requested;
    const char *name = steer_policy_db_name(s->policy);

    if (source && !nullable_string_is_equal(name, requested)) {
        free(requested);
        requested = nullable_xstrdup(name);
        source(name);
    }
}

void
steer_set_policy_source(steer_policy_source_cb *cb)
{
    source = cb;
}

void
steer_take_policy(const char *name, const char *version,
                  const void *data, size_t size, const char *error_)
{
    struct steer_agent *a = &steer_agent;
    char *error = nullable_xstrdup(error_);
    struct steer_model *model = NULL;

    if (!error) {
        model = xmalloc(sizeof *model);
        if (!steer_model_parse(data, size, name, model, &error)) {
            free(model);
            model = NULL;
        }
    }

    ovs_mutex_lock(&steer_mutex);
    if (!nullable_string_is_equal(steer_policy_db_name(a->settings.policy),
                                  name)) {
        /* No longer wanted. */
        free(model);
        free(error);
    } else if (!model) {
        steer_source_fail(a, error);
    } else {
        /* Moves that have begun go on; PMD threads know of no policy. */
        steer_source_drop_policy(a);
        steer_source_set(a, model, xstrdup(version));
        VLOG_INFO("policy \"%s\" of the database, version %s, in force",
                  name, version);
        if (a->settings.mode != STEER_OFF) {
            steer_agent_create_policy(a);
        }
    }
    ovs_mutex_unlock(&steer_mutex);
}

/* For ext/steering-show. */

static char *
steer_source_in_force_version(const struct steer_agent *a)
{
    const struct steer_model *builtin;

    if (a->model_version) {
        return xstrdup(a->model_version);
    }
    builtin = steer_model_default();
    return builtin ? steer_source_version(builtin) : xstrdup("none");
}

void
steer_source_to_json(const struct steer_agent *a, struct json *json)
{
    const char *origin = a->model_origin;
    bool differs = !nullable_string_is_equal(origin, a->settings.policy);

    json_object_put_string(json, "policy", origin ? origin : "built-in");
    json_object_put(json, "policy_version", json_string_create_nocopy(
                        steer_source_in_force_version(a)));
    json_object_put_string(json, "policy_origin", !origin ? "built-in"
                           : steer_policy_db_name(origin) ? "database"
                           : "file");
    json_object_put_string(json, "policy_wanted", !differs ? ""
                           : a->settings.policy ? a->settings.policy : "");
    json_object_put_string(json, "policy_error",
                           a->model_error ? a->model_error : "");
}

/* Appends the policy in force, and what is in the way of another. */
void
steer_source_format(const struct steer_agent *a, struct ds *ds)
{
    char *version = steer_source_in_force_version(a);

    ds_put_format(ds, "%s (version %s)",
                  a->model_origin ? a->model_origin : "built-in", version);
    free(version);
    if (a->model_error) {
        ds_put_format(ds, "; %s: %s", a->settings.policy, a->model_error);
    } else if (!nullable_string_is_equal(a->model_origin,
                                         a->settings.policy)) {
        ds_put_format(ds, "; %s: not here yet", a->settings.policy);
    }
}
