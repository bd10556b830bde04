/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-controller: the daemon around onc.h.  See ovs-ext-controller(8). */

#include <config.h>

#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "command-line.h"
#include "daemon.h"
#include "fatal-signal.h"
#include "latch.h"
#include "memory.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext-config.h"
#include "ovs-ext/controller/onc.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-rcu.h"
#include "simap.h"
#include "stream-ssl.h"
#include "stream.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(ovs_ext_controller);

/* Set by SIGTERM and SIGINT. */
static struct latch end;

static unixctl_cb_func exit_cb;
static void catch_signals(void);
static char *parse_options(int argc, char *argv[], char **unixctl_path);
OVS_NO_RETURN static void usage(void);

int
main(int argc, char *argv[])
{
    struct unixctl_server *unixctl;
    char *unixctl_path = NULL;
    bool exiting = false;
    struct onc *onc;
    char *remote;
    int retval;

    /* A message of a large database becomes millions of small blocks, which
     * are freed between others that stay.  The lists in which glibc keeps such
     * blocks are then gone through again and again: without them, the first
     * contents are received in half of the time. */
    mallopt(M_MXFAST, 0);

    set_program_name(argv[0]);
    ovs_cmdl_proctitle_init(argc, argv);
    remote = parse_options(argc, argv, &unixctl_path);
    fatal_ignore_sigpipe();

    daemonize_start(false);
    retval = unixctl_server_create(unixctl_path, &unixctl);
    if (retval) {
        exit(EXIT_FAILURE);
    }
    unixctl_command_register("exit", "", 0, 0, exit_cb, &exiting);
    onc = onc_create(remote);
    daemonize_complete();
    catch_signals();

    while (!exiting && !latch_is_set(&end)) {
        memory_run();
        if (memory_should_report()) {
            struct simap usage = SIMAP_INITIALIZER(&usage);

            onc_get_memory_usage(onc, &usage);
            memory_report(&usage);
            simap_destroy(&usage);
        }
        onc_run(onc);
        unixctl_server_run(unixctl);

        memory_wait();
        onc_wait(onc);
        unixctl_server_wait(unixctl);
        latch_wait(&end);
        if (exiting) {
            poll_immediate_wake();
        }
        poll_block();
    }
    while (!onc_finish(onc)) {
        onc_finish_wait(onc);
        poll_block();
    }
    onc_destroy(onc);
    unixctl_server_destroy(unixctl);
    free(unixctl_path);
    free(remote);
    ovsrcu_exit();
    return 0;
}

static void
end_handler(int sig_nr)
{
    latch_set(&end);            /* A write(2). */
    signal(sig_nr, SIG_DFL);    /* The second one is for those in a hurry. */
}

/* Has SIGTERM and SIGINT end the daemon as the command "exit" does.  Of a
 * daemon that is monitored this is for the child only. */
static void
catch_signals(void)
{
    latch_init(&end);
    signal(SIGTERM, end_handler);
    signal(SIGINT, end_handler);
}

/* Returns the remote. */
static char *
parse_options(int argc, char *argv[], char **unixctl_path)
{
    enum {
        OPT_DB = UCHAR_MAX + 1,
        OPT_UNIXCTL,
        OPT_BOOTSTRAP_CA_CERT,
        VLOG_OPTION_ENUMS,
        DAEMON_OPTION_ENUMS,
        SSL_OPTION_ENUMS,
    };
    static const struct option long_options[] = {
        {"db", required_argument, NULL, OPT_DB},
        {"unixctl", required_argument, NULL, OPT_UNIXCTL},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        DAEMON_LONG_OPTIONS,
        VLOG_LONG_OPTIONS,
        STREAM_SSL_LONG_OPTIONS,
        {"bootstrap-ca-cert", required_argument, NULL, OPT_BOOTSTRAP_CA_CERT},
        {NULL, 0, NULL, 0},
    };
    char *short_options = ovs_cmdl_long_options_to_short_options(long_options);
    char *remote = NULL;
    char *error;

    for (;;) {
        int c = getopt_long(argc, argv, short_options, long_options, NULL);

        if (c == -1) {
            break;
        }
        switch (c) {
        case OPT_DB:
            free(remote);
            remote = xstrdup(optarg);
            break;

        case OPT_UNIXCTL:
            free(*unixctl_path);
            *unixctl_path = xstrdup(optarg);
            break;

        case 'h':
            usage();

        case 'V':
            ovs_print_version(0, 0);
            printf("ovs-ext %s\n", OVS_EXT_VERSION);
            exit(EXIT_SUCCESS);

        case OPT_BOOTSTRAP_CA_CERT:
            stream_ssl_set_ca_cert_file(optarg, true);
            break;

        VLOG_OPTION_HANDLERS
        DAEMON_OPTION_HANDLERS
        STREAM_SSL_OPTION_HANDLERS

        case '?':
            exit(EXIT_FAILURE);

        default:
            abort();
        }
    }
    free(short_options);
    if (argc > optind) {
        ovs_fatal(0, "%s is not an option; use --help for usage",
                  argv[optind]);
    }
    if (!remote) {
        remote = db_conn_default_remote();
    }
    error = db_conn_check_remote(remote);
    if (error) {
        ovs_fatal(0, "%s", error);
    }
    return remote;
}

static void
usage(void)
{
    printf("%s: overlay network controller of ovs-ext\n"
           "usage: %s [OPTIONS]\n\n"
           "Options:\n"
           "  --db=REMOTE             database OVS_Ext: one or more of\n"
           "                          unix:FILE, tcp:IP:PORT, ssl:IP:PORT,\n"
           "                          with commas between\n"
           "                          (default: $OVS_EXT_DB, else the local\n"
           "                          server)\n"
           "  --unixctl=SOCKET        override default control socket name\n"
           "  -h, --help              display this help message\n"
           "  -V, --version           display version information\n",
           program_name, program_name);
    stream_usage("database", true, false, true);
    daemon_usage();
    vlog_usage();
    exit(EXIT_SUCCESS);
}

static void
exit_cb(struct unixctl_conn *conn, int argc OVS_UNUSED,
        const char *argv[] OVS_UNUSED, void *exiting_)
{
    bool *exiting = exiting_;

    *exiting = true;
    unixctl_command_reply(conn, NULL);
}
