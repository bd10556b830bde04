/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions that steering adds to a packet, counted by callgrind.
 *
 *     count-steering stock|steering BURST N
 *
 * receives and "transmits" N bursts of BURST packets from the software NIC of
 * test-steer-moves, in a thread that steering takes for a PMD thread, with
 * steering in between or not.  Only what happens inside count_region() is
 * ours to count: tests/count-instructions.sh tells callgrind so. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/ext-hooks.h"
#include "openvswitch/vlog.h"
#include "tests/test-steer-moves.h"
#include "util.h"

struct count_args {
    bool steering;
    unsigned int burst, n;
};

/* The part of a PMD thread's loop that steering is in. */
static int __attribute__((noipa))
count_region(bool steering, struct netdev_rxq *rx,
             struct dp_packet_batch *batch)
{
    int error;

    if (!steering) {
        return ext_real_rxq_recv(rx, batch, NULL);
    }
    error = steer_rxq_recv(rx, batch, NULL);
    if (!error) {
        steer_send(NULL, batch);
    }
    return error;
}

static void *
count_main(void *args_)
{
    const struct count_args *args = args_;
    struct steer_port *port = fake_port_open();
    struct netdev_rxq *rx;

    ovs_mutex_lock(&steer_mutex);
    rx = port->rxqs[0]->rx;
    ovs_mutex_unlock(&steer_mutex);
    for (unsigned int i = 0; i < args->n; i++) {
        struct dp_packet_batch batch;

        for (unsigned int j = 0; j < args->burst; j++) {
            fake_send((i * 7 + j * 2) % 64 & ~1u, 1);
        }
        dp_packet_batch_init(&batch);
        CHECK(!count_region(args->steering, rx, &batch));
        CHECK(batch.count == args->burst);
        dp_packet_delete_batch(&batch, true);
    }
    return NULL;
}

int
main(int argc, char *argv[])
{
    struct count_args args;

    set_program_name(argv[0]);
    if (argc != 4 || (strcmp(argv[1], "stock")
                      && strcmp(argv[1], "steering"))) {
        ovs_fatal(0, "usage: %s stock|steering BURST N", argv[0]);
    }
    args.steering = !strcmp(argv[1], "steering");
    args.burst = atoi(argv[2]);
    args.n = atoi(argv[3]);
    if (!args.burst || args.burst > NETDEV_MAX_BURST || !args.n) {
        ovs_fatal(0, "BURST is 1 to %d, N at least 1", NETDEV_MAX_BURST);
    }

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    steer_ports_init();
    steer_moves_init();
    fake_has_reta = true;
    fake_n_rxq = 2;
    fake_n_buckets = 64;
    xpthread_join(ovs_thread_create("pmd-c00/id:", count_main, &args), NULL);
    return 0;
}
