/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions that steering adds to a packet (count-util.h): packets are
 * received from the software NIC of test-steer-moves and "transmitted" in a
 * thread that steering takes for a PMD thread, with steering in between or
 * not. */

#include <config.h>

#include "datapath-hooks/ext-hooks.h"
#include "tests/count-util.h"
#include "tests/test-steer-moves.h"

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
    bool steering = !strcmp(args->mode, "steering");
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
        CHECK(!count_region(steering, rx, &batch));
        CHECK(batch.count == args->burst);
        dp_packet_delete_batch(&batch, true);
    }
    return NULL;
}

int
main(int argc, char *argv[])
{
    static const char *const modes[] = { "stock", "steering", NULL };
    struct count_args args;

    count_parse(argc, argv, modes, &args);
    steer_ports_init();
    steer_moves_init();
    fake_has_reta = true;
    fake_n_rxq = 2;
    fake_n_buckets = 64;
    xpthread_join(ovs_thread_create("pmd-c00/id:", count_main, &args), NULL);
    return 0;
}
