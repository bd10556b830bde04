/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_STEER_MOVES_AGENT_H
#define TEST_STEER_MOVES_AGENT_H 1

/* The main thread of test-steer-moves in the part of the agent, and what each
 * test begins and ends with. */

#include "tests/test-steer-moves.h"

/* Port of the test. */
extern struct steer_port *port;

const struct steer_move_stats *stats(void);

/* One run of the agent's housekeeping.  Returns true if any move is under
 * way. */
bool agent_run(void);

/* Starts the move of 'bucket' to 'queue'.  Returns true if it began. */
bool agent_move(uint32_t bucket, uint16_t queue);

/* Starts 'n' moves of random buckets to those queues whose bit is set. */
void agent_move_random(unsigned int n, uint32_t queues);

/* Packets that came after their grace time. */
uint64_t late(void);

/* Packets that found a virtual queue full. */
uint64_t handoff_drops(void);

/* Nothing has gone wrong so far. */
void check_order(void);

/* Lets every packet through and every move finish, stops the PMD threads, and
 * checks that all that was sent was processed, in order. */
void finish(void);

/* Has the generator send to 'n' buckets. */
void traffic(uint32_t first, uint32_t n);

/* Opens queues with a table. */
void open_reta(unsigned int n_rxq, unsigned int n_buckets);

/* Opens two queues without a table and three virtual ones. */
void open_handoff(void);

/* Sets the grace time, and that for which output is held back, about. */
void set_grace_usec(uint64_t usec);
void set_grace_endless(void);

/* Begins to move 'bucket' to 'queue', however often it takes. */
struct steer_transit *move_begin(uint32_t bucket, uint16_t queue);

/* Random moves with traffic on every bucket, until 'n' have finished. */
void stress(uint64_t n, uint32_t queues);

/* Tests in test-steer-moves-faults.c. */
void test_reta_error(void);
void test_pmd_exit(void);
void test_port_close(void);
void test_unpolled_new_queue(void);
void test_no_slot(void);
void test_sleep(void);
void test_silent_dispatcher(void);
void test_unpolled_virtual_queue(void);

#endif /* test-steer-moves-agent.h */
