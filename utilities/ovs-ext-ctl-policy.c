/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-ctl: steering policies in the database. */

#include <config.h>
#include "utilities/ovs-ext-ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/shash.h"
#include "ovs-ext/db/db-policy.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovs-ext/steering/steer-model.h"
#include "ovsdb-idl.h"
#include "svec.h"
#include "util.h"

static void
pre_policy(struct ctl_context *ctx)
{
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_name);
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_version);
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_blob);
    ovsdb_idl_add_column(ctx->idl, &ovsext_steering_policy_col_sha256);
}

static const struct ovsext_steering_policy *
find_policy(struct ctl_context *ctx, const char *name)
{
    const struct ovsext_steering_policy *row;

    OVSEXT_STEERING_POLICY_FOR_EACH (row, ctx->idl) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

static void
cmd_add_policy(struct ctl_context *ctx)
{
    const char *name = ctx->argv[1], *file = ctx->argv[2];
    const struct ovsext_steering_policy *row = find_policy(ctx, name);
    uint8_t data[STEER_MODEL_FILE_SIZE];
    char sha256[DB_SHA256_LEN];
    struct steer_model *model;
    char *error;

    if (row && !shash_find(&ctx->options, "--may-exist")) {
        ctl_error(ctx, "there is a policy \"%s\" already", name);
        return;
    }
    if (!steer_model_load(file, &model, &error)) {
        ctl_error(ctx, "%s", error);
        free(error);
        return;
    }
    /* A policy has only one form, so this is what the file holds. */
    steer_model_format(model, data);
    char *version = xasprintf("%d, %u generations, seed %"PRIu64,
                              STEER_MODEL_VERSION, model->generations,
                              model->seed);
    free(model);

    if (!row) {
        row = ovsext_steering_policy_insert(ctx->txn);
        ovsext_steering_policy_set_name(row, name);
    }
    char *base64 = db_policy_encode(data, sizeof data, sha256);
    ovsext_steering_policy_set_blob(row, base64);
    ovsext_steering_policy_set_sha256(row, sha256);
    ovsext_steering_policy_set_version(row, version);
    free(base64);
    free(version);
}

static void
cmd_del_policy(struct ctl_context *ctx)
{
    const struct ovsext_steering_policy *row = find_policy(ctx, ctx->argv[1]);

    if (row) {
        ovsext_steering_policy_delete(row);
    } else if (!shash_find(&ctx->options, "--if-exists")) {
        ctl_error(ctx, "there is no policy \"%s\"", ctx->argv[1]);
    }
}

/* Writes 'size' bytes of 'data' into 'file', "-" for the standard output.
 * Returns 0 or a positive errno value. */
static int
write_file(const char *file, const void *data, size_t size)
{
    bool is_stdout = !strcmp(file, "-");
    FILE *stream = is_stdout ? stdout : fopen(file, "wb");
    int error = 0;

    if (!stream) {
        return errno;
    }
    if (fwrite(data, size, 1, stream) != 1 || fflush(stream)) {
        error = errno;
    }
    if (!is_stdout && fclose(stream) && !error) {
        error = errno;
    }
    return error;
}

static void
cmd_get_policy(struct ctl_context *ctx)
{
    const char *name = ctx->argv[1], *file = ctx->argv[2];
    const struct ovsext_steering_policy *row = find_policy(ctx, name);
    struct steer_model model;
    void *data;
    size_t size;

    if (!row) {
        ctl_error(ctx, "there is no policy \"%s\"", name);
        return;
    }
    char *error = db_policy_decode(name, row->blob, row->sha256, &data,
                                   &size);
    if (!error && !steer_model_parse(data, size, name, &model, &error)) {
        free(data);
    }
    if (error) {
        ctl_error(ctx, "%s", error);
        free(error);
        return;
    }
    int retval = write_file(file, data, size);
    if (retval) {
        ctl_error(ctx, "%s: %s", file, ovs_strerror(retval));
    }
    free(data);
}

static void
cmd_list_policies(struct ctl_context *ctx)
{
    const struct ovsext_steering_policy *row;
    struct svec lines = SVEC_EMPTY_INITIALIZER;
    const char *line;
    size_t i;

    OVSEXT_STEERING_POLICY_FOR_EACH (row, ctx->idl) {
        svec_add_nocopy(&lines, xasprintf("%s: version %s, SHA-256 %s",
                                          row->name, row->version,
                                          row->sha256));
    }
    svec_sort(&lines);
    SVEC_FOR_EACH (i, line, &lines) {
        ds_put_format(&ctx->output, "%s\n", line);
    }
    svec_destroy(&lines);
}

const struct ctl_command_syntax ext_ctl_policy_commands[] = {
    {"add-policy", 2, 2, "NAME FILE", pre_policy, cmd_add_policy, NULL,
     "--may-exist", RW},
    {"del-policy", 1, 1, "NAME", pre_policy, cmd_del_policy, NULL,
     "--if-exists", RW},
    {"get-policy", 2, 2, "NAME FILE", pre_policy, cmd_get_policy, NULL, "",
     RO},
    {"list-policies", 0, 0, "", pre_policy, cmd_list_policies, NULL, "", RO},
    {NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, RO},
};
