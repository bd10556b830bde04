/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef COUNT_UTIL_H
#define COUNT_UTIL_H 1

/* What programs share whose instructions tests/count-instructions.sh counts:
 *
 *     PROGRAM MODE BURST N
 *
 * puts N bursts of BURST packets through count_region(), in the way that MODE
 * names.  callgrind counts what happens inside functions of that name only. */

#include <stdlib.h>
#include <string.h>

#include "netdev-dpdk.h"
#include "openvswitch/vlog.h"
#include "util.h"

struct count_args {
    const char *mode;
    unsigned int burst, n;
};

/* Reads the command line.  'modes' are names, ended by a null pointer. */
static inline void
count_parse(int argc, char *argv[], const char *const modes[],
            struct count_args *args)
{
    size_t i = 0;

    set_program_name(argv[0]);
    while (argc == 4 && modes[i] && strcmp(argv[1], modes[i])) {
        i++;
    }
    if (argc != 4 || !modes[i]) {
        ovs_fatal(0, "usage: %s MODE BURST N", argv[0]);
    }
    args->mode = modes[i];
    args->burst = atoi(argv[2]);
    args->n = atoi(argv[3]);
    if (!args->burst || args->burst > NETDEV_MAX_BURST || !args->n) {
        ovs_fatal(0, "BURST is 1 to %d, N at least 1", NETDEV_MAX_BURST);
    }
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
}

#endif /* count-util.h */
