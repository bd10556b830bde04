/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-ctl: reads and changes the OVS_Ext database.  See ovs-ext-ctl(8). */

#include <config.h>
#include "utilities/ovs-ext-ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "command-line.h"
#include "fatal-signal.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovs-ext-config.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-data.h"
#include "ovsdb-idl.h"
#include "process.h"
#include "stream.h"
#include "stream-ssl.h"
#include "table.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(ext_ctl);

static const char *db;                  /* --db */
static bool oneline;                    /* --oneline */
static bool dry_run;                    /* --dry-run */
static bool leader_only = true;         /* --leader-only */
static unsigned int timeout;            /* --timeout, in s, 0 for none. */
static struct table_style table_style = TABLE_STYLE_DEFAULT;

/* For ext_ctl_exit(), which may be called from anywhere. */
static struct ovsdb_idl *the_idl;
static struct ovsdb_idl_txn *the_txn;

static const struct ctl_table_class tables[OVSEXT_N_TABLES] = {
    [OVSEXT_TABLE_HOST].row_ids = { { &ovsext_host_col_name, NULL, NULL } },
    [OVSEXT_TABLE_RESOURCE].row_ids
        = { { &ovsext_resource_col_name, NULL, NULL } },
    [OVSEXT_TABLE_NETWORK].row_ids
        = { { &ovsext_network_col_name, NULL, NULL } },
    [OVSEXT_TABLE_STEERING_POLICY].row_ids
        = { { &ovsext_steering_policy_col_name, NULL, NULL } },
    [OVSEXT_TABLE_SERVICE].row_ids
        = { { &ovsext_service_col_name, NULL, NULL } },
    [OVSEXT_TABLE_BACKEND].row_ids
        = { { &ovsext_backend_col_name, NULL, NULL } },
    [OVSEXT_TABLE_CONNECTION].row_ids
        = { { &ovsext_connection_col_target, NULL, NULL } },
    [OVSEXT_TABLE_RBAC_ROLE].row_ids
        = { { &ovsext_rbac_role_col_name, NULL, NULL } },
    [OVSEXT_TABLE_RBAC_PERMISSION].row_ids
        = { { &ovsext_rbac_permission_col_table, NULL, NULL } },
};

OVS_NO_RETURN static void
ext_ctl_exit(int status)
{
    if (the_txn) {
        ovsdb_idl_txn_abort(the_txn);
        ovsdb_idl_txn_destroy(the_txn);
    }
    ovsdb_idl_destroy(the_idl);
    exit(status);
}

OVS_NO_RETURN static void
usage(void)
{
    printf("\
%s: reads and changes the OVS_Ext database\n\
usage: %s [OPTIONS] COMMAND [ARG...] [-- COMMAND [ARG...]]...\n\
\n\
General commands:\n\
  init                        set the database up, if it is not yet\n\
  show [HOST]                 print an overview\n\
  comment [ARG...]            add a comment to the transaction\n\
\n\
Affinity commands:\n\
  [--force] pin HOST NETWORK CLASS RESOURCE [SCORE]\n\
                              send that traffic to RESOURCE, or the direct\n\
                              way, \"none\"\n\
  [--if-exists] unpin HOST NETWORK CLASS\n\
                              leave it to the controller again\n\
  [--may-exist] [--exclusive] [--weight=W] add-network NETWORK\n\
                              say what NETWORK needs\n\
  [--if-exists] del-network NETWORK\n\
  [--if-exists] del-host HOST delete HOST and all that is about it\n\
\n\
Service commands:\n\
  [--may-exist] [--zone=Z] [--hosts=HOST,...] add-service NAME PROTOCOL\n\
    ADDRESS PORT BRIDGE ENCAPSULATION VNI\n\
                              have hosts answer for ADDRESS together\n\
  [--if-exists] del-service NAME\n\
  [--may-exist] [--weight=W] add-backend SERVICE NAME [PORT MAC]\n\
                              let NAME, at the OVS port PORT, serve SERVICE\n\
  [--if-exists] del-backend SERVICE NAME\n\
  [--host | --backend] drain NAME...\n\
                              send them no new sessions\n\
  [--host | --backend] undrain NAME...\n\
\n\
Policy commands:\n\
  [--may-exist] add-policy NAME FILE\n\
                              store the steering policy in FILE\n\
  [--if-exists] del-policy NAME\n\
  get-policy NAME FILE        write it into FILE (\"-\" for the output)\n\
  list-policies               print names, versions and checksums\n\
\n\
Access commands:\n\
  get-connection              print the connections\n\
  [--role=ROLE] [--read-only] [--inactivity-probe=MSECS]\n\
    set-connection TARGET...  replace the connections\n\
  [same] add-connection TARGET...\n\
  del-connection [TARGET...]  delete these connections, or all\n\
  get-ssl                     print the TLS configuration\n\
  [--bootstrap] set-ssl PRIV-KEY CERT CA-CERT [PROTOCOLS [CIPHERS]]\n\
  del-ssl                     delete the TLS configuration\n\
\n\
%s\
%s\
\n\
Options:\n\
  --db=DATABASE               connect to DATABASE\n\
                              (default: $OVS_EXT_DB, else the local server)\n\
  --no-leader-only            talk to any server of a cluster\n\
  -t, --timeout=SECS          wait at most SECS seconds\n\
  --dry-run                   do not commit changes\n\
  --oneline                   print exactly one line of output a command\n",
           program_name, program_name, ctl_get_db_cmd_usage(),
           ctl_list_db_tables_usage());
    table_usage();
    vlog_usage();
    printf("  --no-syslog             equivalent to --verbose=ext_ctl:syslog:"
           "warn\n");
    stream_usage("database", true, true, true);
    printf("\nOther options:\n"
           "  -h, --help                  display this help message\n"
           "  -V, --version               display version information\n");
    exit(EXIT_SUCCESS);
}

enum {
    OPT_DB = UCHAR_MAX + 1, OPT_ONELINE, OPT_NO_SYSLOG, OPT_DRY_RUN,
    OPT_LEADER_ONLY, OPT_NO_LEADER_ONLY, OPT_PEER_CA_CERT, OPT_COMMANDS,
    OPT_OPTIONS, OPT_LOCAL, OPT_BOOTSTRAP_CA_CERT,
    VLOG_OPTION_ENUMS,
    TABLE_OPTION_ENUMS,
    SSL_OPTION_ENUMS,
};

static const struct option global_options[] = {
    {"db", required_argument, NULL, OPT_DB},
    {"no-syslog", no_argument, NULL, OPT_NO_SYSLOG},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"oneline", no_argument, NULL, OPT_ONELINE},
    {"leader-only", no_argument, NULL, OPT_LEADER_ONLY},
    {"no-leader-only", no_argument, NULL, OPT_NO_LEADER_ONLY},
    {"timeout", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},
    {"commands", no_argument, NULL, OPT_COMMANDS},
    {"options", no_argument, NULL, OPT_OPTIONS},
    {"version", no_argument, NULL, 'V'},
    VLOG_LONG_OPTIONS,
    TABLE_LONG_OPTIONS,
    STREAM_SSL_LONG_OPTIONS,
    {"bootstrap-ca-cert", required_argument, NULL, OPT_BOOTSTRAP_CA_CERT},
    {"peer-ca-cert", required_argument, NULL, OPT_PEER_CA_CERT},
    {NULL, 0, NULL, 0},
};

/* Options that print something and end the program. */
static void
print_and_exit(int c)
{
    switch (c) {
    case 'h':
        usage();
    case 'V':
        ovs_print_version(0, 0);
        printf("ovs-ext %s\n", OVS_EXT_VERSION);
        printf("DB Schema %s\n", ovsext_get_db_version());
        break;
    case OPT_COMMANDS:
        ctl_print_commands();
        break;
    case OPT_OPTIONS:
        ctl_print_options(global_options);
        break;
    default:
        return;
    }
    exit(EXIT_SUCCESS);
}

static void
parse_option(int c, const char *name, struct shash *local_options)
{
    print_and_exit(c);
    switch (c) {
    case OPT_DB:
        db = optarg;
        break;

    case OPT_ONELINE:
        oneline = true;
        break;

    case OPT_NO_SYSLOG:
        vlog_set_levels(&this_module, VLF_SYSLOG, VLL_WARN);
        break;

    case OPT_DRY_RUN:
        dry_run = true;
        break;

    case OPT_LEADER_ONLY:
    case OPT_NO_LEADER_ONLY:
        leader_only = c == OPT_LEADER_ONLY;
        break;

    case OPT_LOCAL: {
        char *option = xasprintf("--%s", name);

        if (shash_find(local_options, option)) {
            ctl_fatal("option \"%s\" is given twice", option);
        }
        shash_add_nocopy(local_options, option, nullable_xstrdup(optarg));
        break;
    }

    case 't':
        if (!str_to_uint(optarg, 10, &timeout) || !timeout) {
            ctl_fatal("timeout \"%s\" is not a positive number of seconds",
                      optarg);
        }
        break;

    VLOG_OPTION_HANDLERS
    TABLE_OPTION_HANDLERS(&table_style)
    STREAM_SSL_OPTION_HANDLERS

    case OPT_PEER_CA_CERT:
        stream_ssl_set_peer_ca_cert_file(optarg);
        break;

    case OPT_BOOTSTRAP_CA_CERT:
        stream_ssl_set_ca_cert_file(optarg, true);
        break;

    case '?':
        exit(EXIT_FAILURE);

    default:
        abort();
    }
}

/* Global options and those of all commands; which of them fits which command
 * is for ctl_parse_commands() to see. */
static void
parse_options(int argc, char *argv[], struct shash *local_options)
{
    size_t n_global = ARRAY_SIZE(global_options) - 1;
    size_t n = n_global, allocated = ARRAY_SIZE(global_options);
    struct option *options = xmemdup(global_options, sizeof global_options);
    char *letters = ovs_cmdl_long_options_to_short_options(global_options);
    char *short_options = xasprintf("+%s", letters);

    ctl_add_cmd_options(&options, &n, &allocated, OPT_LOCAL);
    for (;;) {
        int idx;
        int c = getopt_long(argc, argv, short_options, options, &idx);

        if (c == -1) {
            break;
        }
        parse_option(c, c == OPT_LOCAL ? options[idx].name : NULL,
                     local_options);
    }
    for (size_t i = n_global; options[i].name; i++) {
        free(CONST_CAST(char *, options[i].name));
    }
    free(options);
    free(letters);
    free(short_options);
}

const struct ovsext_ext_global *
ext_ctl_global(struct ctl_context *ctx)
{
    const struct ovsext_ext_global *global = ovsext_ext_global_first(ctx->idl);

    return global ? global : ovsext_ext_global_insert(ctx->txn);
}

/* Has the IDL receive what the commands need. */
static void
run_prerequisites(struct ctl_command *commands, size_t n,
                  struct ovsdb_idl *idl)
{
    ovsdb_idl_add_table(idl, &ovsext_table_ext_global);
    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        if (c->syntax->prerequisites) {
            struct ctl_context ctx;

            ds_init(&c->output);
            c->table = NULL;
            ctl_context_init(&ctx, c, idl, NULL, NULL, NULL);
            c->syntax->prerequisites(&ctx);
            if (ctx.error) {
                ctl_fatal("%s", ctx.error);
            }
            ctl_context_done(&ctx, c);
        }
    }
}

/* Runs the commands in 'txn'.  Returns false if one of them has to wait. */
static bool
run_commands(struct ctl_command *commands, size_t n, struct ovsdb_idl *idl,
             struct ovsdb_idl_txn *txn, struct ovsdb_symbol_table *symtab)
{
    struct ctl_context ctx;
    bool ready = true;

    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        ds_init(&c->output);
        c->table = NULL;
    }
    ctl_context_init(&ctx, NULL, idl, txn, symtab, NULL);
    for (struct ctl_command *c = commands; c < &commands[n] && ready; c++) {
        ctl_context_init_command(&ctx, c, c == &commands[n - 1]);
        if (c->syntax->run) {
            c->syntax->run(&ctx);
        }
        if (ctx.error) {
            ctl_fatal("%s", ctx.error);
        }
        ctl_context_done_command(&ctx, c);
        ready = !ctx.try_again;
    }
    ctl_context_done(&ctx, NULL);
    return ready;
}

/* Row names (--id=@NAME) that nothing came of. */
static void
check_symbols(const struct ovsdb_symbol_table *symtab)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &symtab->sh) {
        const struct ovsdb_symbol *symbol = node->data;

        if (!symbol->created) {
            ctl_fatal("row id \"%s\" is referenced but never created (e.g. "
                      "with \"-- --id=%s create ...\")",
                      node->name, node->name);
        }
    }
}

static void
run_postprocess(struct ctl_command *commands, size_t n, struct ovsdb_idl *idl,
                struct ovsdb_idl_txn *txn, struct ovsdb_symbol_table *symtab)
{
    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        if (c->syntax->postprocess) {
            struct ctl_context ctx;

            ctl_context_init(&ctx, c, idl, txn, symtab, NULL);
            c->syntax->postprocess(&ctx);
            if (ctx.error) {
                ctl_fatal("%s", ctx.error);
            }
            ctl_context_done(&ctx, c);
        }
    }
}

static void
print_oneline(struct ds *ds)
{
    ds_chomp(ds, '\n');
    for (const char *p = ds_cstr(ds); *p; p++) {
        if (*p == '\n') {
            fputs("\\n", stdout);
        } else if (*p == '\\') {
            fputs("\\\\", stdout);
        } else {
            putchar(*p);
        }
    }
    putchar('\n');
}

static void
print_output(struct ctl_command *commands, size_t n)
{
    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        if (c->table) {
            table_print(c->table, &table_style);
        } else if (oneline) {
            print_oneline(&c->output);
        } else {
            fputs(ds_cstr(&c->output), stdout);
        }
    }
}

static void
free_output(struct ctl_command *commands, size_t n)
{
    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        ds_destroy(&c->output);
        table_destroy(c->table);
        free(c->table);
    }
}

/* Tries to run and commit the commands.  Returns false if it has to be done
 * again when the database has changed. */
static bool
do_commands(const char *args, struct ctl_command *commands, size_t n,
            struct ovsdb_idl *idl)
{
    struct ovsdb_symbol_table *symtab = ovsdb_symbol_table_create();
    enum ovsdb_idl_txn_status status = TXN_TRY_AGAIN;

    the_txn = ovsdb_idl_txn_create(idl);
    if (dry_run) {
        ovsdb_idl_txn_set_dry_run(the_txn);
    }
    ovsdb_idl_txn_add_comment(the_txn, "ovs-ext-ctl: %s", args);

    if (run_commands(commands, n, idl, the_txn, symtab)) {
        check_symbols(symtab);
        status = ovsdb_idl_txn_commit_block(the_txn);
    }
    if (status == TXN_UNCHANGED || status == TXN_SUCCESS) {
        run_postprocess(commands, n, idl, the_txn, symtab);
    } else if (status != TXN_TRY_AGAIN) {
        ctl_fatal("transaction error: %s", ovsdb_idl_txn_get_error(the_txn));
    } else {
        ovsdb_idl_txn_abort(the_txn);
    }
    ovsdb_idl_txn_destroy(the_txn);
    the_txn = NULL;
    ovsdb_symbol_table_destroy(symtab);

    if (status != TXN_TRY_AGAIN) {
        print_output(commands, n);
    }
    free_output(commands, n);
    return status != TXN_TRY_AGAIN;
}

/* Runs the commands until they are done, once for each state of the database
 * that is seen. */
static void
main_loop(const char *args, struct ctl_command *commands, size_t n,
          struct ovsdb_idl *idl)
{
    unsigned int seqno = ovsdb_idl_get_seqno(idl);

    for (;;) {
        ovsdb_idl_run(idl);
        if (!ovsdb_idl_is_alive(idl)) {
            ctl_fatal("%s: database connection failed (%s)", db,
                      ovs_retval_to_string(ovsdb_idl_get_last_error(idl)));
        }
        if (seqno != ovsdb_idl_get_seqno(idl)) {
            seqno = ovsdb_idl_get_seqno(idl);
            if (do_commands(args, commands, n, idl)) {
                return;
            }
        }
        if (seqno == ovsdb_idl_get_seqno(idl)) {
            ovsdb_idl_wait(idl);
            poll_block();
        }
    }
}

int
main(int argc, char *argv[])
{
    struct shash local_options = SHASH_INITIALIZER(&local_options);
    struct ctl_command *commands;
    size_t n;

    set_program_name(argv[0]);
    fatal_ignore_sigpipe();
    vlog_set_levels(NULL, VLF_CONSOLE, VLL_WARN);
    vlog_set_levels_from_string_assert("reconnect:warn");

    ctl_init(&ovsext_idl_class, ovsext_table_classes, tables, NULL,
             ext_ctl_exit);
    ctl_register_commands(ext_ctl_affinity_commands);
    ctl_register_commands(ext_ctl_session_commands);
    ctl_register_commands(ext_ctl_policy_commands);
    ctl_register_commands(ext_ctl_access_commands);

    char *args = process_escape_args(argv);
    parse_options(argc, argv, &local_options);
    char *error = ctl_parse_commands(argc - optind, argv + optind,
                                     &local_options, &commands, &n);
    if (error) {
        ctl_fatal("%s", error);
    }
    VLOG(ctl_might_write_to_db(commands, n) ? VLL_INFO : VLL_DBG,
         "Called as %s", args);
    ctl_timeout_setup(timeout);

    char *default_db = db_conn_default_remote();
    if (!db) {
        db = default_db;
    }
    error = db_conn_check_remote(db);
    if (error) {
        ctl_fatal("%s", error);
    }
    the_idl = ovsdb_idl_create_unconnected(&ovsext_idl_class, false);
    ovsdb_idl_set_leader_only(the_idl, leader_only);
    ovsdb_idl_set_remote(the_idl, db, false);
    run_prerequisites(commands, n, the_idl);
    main_loop(args, commands, n, the_idl);

    for (struct ctl_command *c = commands; c < &commands[n]; c++) {
        shash_destroy_free_data(&c->options);
    }
    free(commands);
    free(args);
    free(default_db);
    ovsdb_idl_destroy(the_idl);
    return EXIT_SUCCESS;
}
