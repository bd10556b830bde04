/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Commands of the host agent. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/affinity/redirect.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "unixctl.h"
#include "util.h"

static void
affinity_show(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    if (argc == 1) {
        aff_agent_format(&ds);
    } else if (!strcmp(argv[1], "--json")) {
        struct json *json = aff_agent_json();

        json_to_ds(json, JSSF_PRETTY | JSSF_SORT, &ds);
        ds_put_char(&ds, '\n');
        json_destroy(json);
    } else {
        ds_put_cstr(&ds, "the only option is --json");
        unixctl_command_reply_error(conn, ds_cstr(&ds));
        ds_destroy(&ds);
        return;
    }
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

static int
compare_instructions(const void *a_, const void *b_)
{
    const struct db_instruction *a = a_, *b = b_;
    int diff = strcmp(a->network, b->network);

    return diff ? diff : (int) a->class - (int) b->class;
}

/* "redirect [NETWORK CLASS RESOURCE]...": instructions by hand. */
static char *
debug_redirect(int argc, const char *argv[])
{
    struct db_instruction in[16];
    size_t n = 0;

    if (argc % 3 || argc / 3 > ARRAY_SIZE(in)) {
        return xstrdup("redirect: not NETWORK CLASS RESOURCE, at most 16 "
                       "times");
    }
    memset(in, 0, sizeof in);
    for (int i = 0; i < argc; i += 3, n++) {
        char *error = db_check_network(argv[i]);

        if (error) {
            return error;
        } else if (!tp_class_from_string(argv[i + 1], &in[n].class)) {
            return xasprintf("%s: not a class of traffic", argv[i + 1]);
        } else if (strlen(argv[i + 2]) >= sizeof in[n].resource) {
            return xasprintf("%s: too long", argv[i + 2]);
        }
        ovs_strlcpy(in[n].network, argv[i], sizeof in[n].network);
        ovs_strlcpy(in[n].resource, argv[i + 2], sizeof in[n].resource);
        in[n].expiry = LLONG_MAX;
    }
    qsort(in, n, sizeof *in, compare_instructions);
    aff_agent_set_by_hand(in, n);
    return NULL;
}

static void
affinity_debug(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    char *error = NULL;

    if (!strcmp(argv[1], "redirect")) {
        error = debug_redirect(argc - 2, argv + 2);
    } else if (!strcmp(argv[1], "database") && argc == 2) {
        aff_agent_set_by_hand(NULL, 0);
    } else if (!strcmp(argv[1], "contexts") && argc == 2) {
        redirect_format(&ds);
    } else if (!strcmp(argv[1], "expire") && argc == 2) {
        redirect_expire();
    } else if (!strcmp(argv[1], "ready") && argc == 2) {
        error = redirect_is_ready() ? NULL : xstrdup("not yet");
    } else {
        error = xasprintf("%s: unknown, or wrong arguments", argv[1]);
    }
    if (error) {
        unixctl_command_reply_error(conn, error);
        free(error);
    } else {
        unixctl_command_reply(conn, ds_cstr(&ds));
    }
    ds_destroy(&ds);
}

void
aff_show_init(void)
{
    unixctl_command_register("ext/affinity-show", "[--json]", 0, 1,
                             affinity_show, NULL);
    /* For tests. */
    unixctl_command_register("ext/affinity-debug", "VERB [ARG...]", 1, 50,
                             affinity_debug, NULL);
}
