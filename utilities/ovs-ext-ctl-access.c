/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-ctl: who may connect to the database, and how. */

#include <config.h>
#include "utilities/ovs-ext-ctl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/shash.h"
#include "ovs-ext/db/db-rbac.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "stream.h"
#include "svec.h"
#include "util.h"

static void
pre_connection(struct ctl_context *ctx)
{
    ovsdb_idl_add_column(ctx->idl, &ovsext_ext_global_col_connections);
    ovsdb_idl_add_column(ctx->idl, &ovsext_connection_col_target);
    ovsdb_idl_add_column(ctx->idl, &ovsext_connection_col_role);
    ovsdb_idl_add_column(ctx->idl, &ovsext_connection_col_read_only);
    ovsdb_idl_add_column(ctx->idl, &ovsext_connection_col_inactivity_probe);
}

static void
cmd_get_connection(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ovsext_ext_global_first(ctx->idl);
    struct svec lines = SVEC_EMPTY_INITIALIZER;
    const char *line;
    size_t i;

    for (i = 0; global && i < global->n_connections; i++) {
        const struct ovsext_connection *c = global->connections[i];

        svec_add_nocopy(&lines,
                        xasprintf("%s%s%s%s", c->target,
                                  c->role[0] ? " role=" : "", c->role,
                                  c->read_only ? " read-only" : ""));
    }
    svec_sort(&lines);
    SVEC_FOR_EACH (i, line, &lines) {
        ds_put_format(&ctx->output, "%s\n", line);
    }
    svec_destroy(&lines);
}

/* Reads "--inactivity-probe" into '*probe'.  Returns false and sets an error
 * if it is no number. */
static bool
get_probe(struct ctl_context *ctx, int64_t *probe)
{
    const char *s = shash_find_data(&ctx->options, "--inactivity-probe");
    unsigned int x = 0;

    if (s && (!str_to_uint(s, 10, &x) || x > INT_MAX)) {
        ctl_error(ctx, "inactivity probe \"%s\" is not a number of "
                  "milliseconds", s);
        return false;
    }
    *probe = x;
    return true;
}

static const struct ovsext_connection *
insert_connection(struct ctl_context *ctx, const char *target, int64_t probe)
{
    const char *role = shash_find_data(&ctx->options, "--role");
    const struct ovsext_connection *c;

    if (stream_verify_name(target) && pstream_verify_name(target)) {
        ctl_error(ctx, "target \"%s\" is not pssl:PORT, ptcp:PORT, "
                  "punix:FILE or an active ssl:, tcp: or unix: target",
                  target);
        return NULL;
    }
    if (role && role[0] && strcmp(role, DB_ROLE_HOST)) {
        ctl_error(ctx, "role \"%s\" is not %s", role, DB_ROLE_HOST);
        return NULL;
    }
    c = ovsext_connection_insert(ctx->txn);
    ovsext_connection_set_target(c, target);
    ovsext_connection_set_role(c, role ? role : "");
    ovsext_connection_set_read_only(c, shash_find(&ctx->options,
                                                  "--read-only"));
    if (shash_find(&ctx->options, "--inactivity-probe")) {
        ovsext_connection_set_inactivity_probe(c, &probe, 1);
    }
    return c;
}

/* Inserts the targets of the command line, in addition to the 'n_keep'
 * connections 'keep'. */
static void
insert_connections(struct ctl_context *ctx,
                   const struct ovsext_ext_global *global,
                   struct ovsext_connection **keep, size_t n_keep)
{
    struct ovsext_connection **all;
    int64_t probe;
    size_t n = 0;

    if (!get_probe(ctx, &probe)) {
        return;
    }
    all = xmalloc((n_keep + ctx->argc) * sizeof *all);
    for (; n < n_keep; n++) {
        all[n] = keep[n];
    }
    for (int i = 1; i < ctx->argc; i++) {
        const struct ovsext_connection *c
            = insert_connection(ctx, ctx->argv[i], probe);

        if (!c) {
            free(all);
            return;
        }
        all[n++] = CONST_CAST(struct ovsext_connection *, c);
    }
    ovsext_ext_global_verify_connections(global);
    ovsext_ext_global_set_connections(global, all, n);
    free(all);
}

static void
cmd_set_connection(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ext_ctl_global(ctx);

    for (size_t i = 0; i < global->n_connections; i++) {
        ovsext_connection_delete(global->connections[i]);
    }
    insert_connections(ctx, global, NULL, 0);
}

static void
cmd_add_connection(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ext_ctl_global(ctx);

    for (int i = 1; i < ctx->argc; i++) {
        for (size_t j = 0; j < global->n_connections; j++) {
            if (!strcmp(global->connections[j]->target, ctx->argv[i])) {
                ctl_error(ctx, "there is a connection \"%s\" already",
                          ctx->argv[i]);
                return;
            }
        }
    }
    insert_connections(ctx, global, global->connections,
                       global->n_connections);
}

static void
cmd_del_connection(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ext_ctl_global(ctx);
    struct ovsext_connection **keep;
    size_t n = 0;

    for (int i = 1; i < ctx->argc; i++) {
        bool found = false;

        for (size_t j = 0; j < global->n_connections; j++) {
            found |= !strcmp(global->connections[j]->target, ctx->argv[i]);
        }
        if (!found) {
            ctl_error(ctx, "there is no connection \"%s\"", ctx->argv[i]);
            return;
        }
    }
    keep = xmalloc((global->n_connections + 1) * sizeof *keep);
    for (size_t j = 0; j < global->n_connections; j++) {
        bool delete = ctx->argc == 1;

        for (int i = 1; i < ctx->argc; i++) {
            delete |= !strcmp(global->connections[j]->target, ctx->argv[i]);
        }
        if (!delete) {
            keep[n++] = global->connections[j];
        }
    }
    /* Rows that nothing refers to go away by themselves. */
    ovsext_ext_global_verify_connections(global);
    ovsext_ext_global_set_connections(global, keep, n);
    free(keep);
}

static void
pre_ssl(struct ctl_context *ctx)
{
    ovsdb_idl_add_column(ctx->idl, &ovsext_ext_global_col_ssl);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_private_key);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_certificate);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_ca_cert);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_bootstrap_ca_cert);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_ssl_protocols);
    ovsdb_idl_add_column(ctx->idl, &ovsext_ssl_col_ssl_ciphers);
}

static void
cmd_get_ssl(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ovsext_ext_global_first(ctx->idl);

    if (global && global->ssl) {
        const struct ovsext_ssl *ssl = global->ssl;

        ds_put_format(&ctx->output, "Private key: %s\n", ssl->private_key);
        ds_put_format(&ctx->output, "Certificate: %s\n", ssl->certificate);
        ds_put_format(&ctx->output, "CA Certificate: %s\n", ssl->ca_cert);
        ds_put_format(&ctx->output, "Bootstrap: %s\n",
                      ssl->bootstrap_ca_cert ? "true" : "false");
    }
}

static void
cmd_del_ssl(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ext_ctl_global(ctx);

    ovsext_ext_global_verify_ssl(global);
    ovsext_ext_global_set_ssl(global, NULL);
    if (global->ssl) {
        ovsext_ssl_delete(global->ssl);
    }
}

static void
cmd_set_ssl(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ext_ctl_global(ctx);
    const struct ovsext_ssl *ssl;

    if (global->ssl) {
        ovsext_ssl_delete(global->ssl);
    }
    ssl = ovsext_ssl_insert(ctx->txn);
    ovsext_ssl_set_private_key(ssl, ctx->argv[1]);
    ovsext_ssl_set_certificate(ssl, ctx->argv[2]);
    ovsext_ssl_set_ca_cert(ssl, ctx->argv[3]);
    ovsext_ssl_set_bootstrap_ca_cert(ssl, shash_find(&ctx->options,
                                                     "--bootstrap"));
    if (ctx->argc > 4) {
        ovsext_ssl_set_ssl_protocols(ssl, ctx->argv[4]);
    }
    if (ctx->argc > 5) {
        ovsext_ssl_set_ssl_ciphers(ssl, ctx->argv[5]);
    }
    ovsext_ext_global_set_ssl(global, ssl);
}

static void
pre_init(struct ctl_context *ctx)
{
    db_rbac_monitor(ctx->idl);
}

static void
cmd_init(struct ctl_context *ctx)
{
    ext_ctl_global(ctx);
    db_rbac_update(ctx->idl, ctx->txn);
}

#define CONNECTION_OPTIONS "--role=,--read-only,--inactivity-probe="

const struct ctl_command_syntax ext_ctl_access_commands[] = {
    {"init", 0, 0, "", pre_init, cmd_init, NULL, "", RW},
    {"get-connection", 0, 0, "", pre_connection, cmd_get_connection, NULL, "",
     RO},
    {"set-connection", 1, INT_MAX, "TARGET...", pre_connection,
     cmd_set_connection, NULL, CONNECTION_OPTIONS, RW},
    {"add-connection", 1, INT_MAX, "TARGET...", pre_connection,
     cmd_add_connection, NULL, CONNECTION_OPTIONS, RW},
    {"del-connection", 0, INT_MAX, "[TARGET]...", pre_connection,
     cmd_del_connection, NULL, "", RW},
    {"get-ssl", 0, 0, "", pre_ssl, cmd_get_ssl, NULL, "", RO},
    {"del-ssl", 0, 0, "", pre_ssl, cmd_del_ssl, NULL, "", RW},
    {"set-ssl", 3, 5, "PRIVATE-KEY CERTIFICATE CA-CERT [PROTOCOLS [CIPHERS]]",
     pre_ssl, cmd_set_ssl, NULL, "--bootstrap", RW},
    {NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, RO},
};
