/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_STEER_MOVES_H
#define TEST_STEER_MOVES_H 1

/* A software NIC, its table, a traffic generator and PMD threads, to put the
 * real steer-park.c, steer-handoff.c, steer-move.c, steer-pmd.c, steer-rxq.c
 * and steer-packet.c under stress.  The main thread plays the agent.
 *
 * Each packet carries its bucket and its number in the bucket.  Whoever
 * processes it checks that numbers rise by one.  'fake_last' is deliberately
 * not atomic: handing a bucket from core to core has to order memory too, and
 * ThreadSanitizer sees it if it does not. */

#include "datapath-hooks/steering/steer-dp.h"

enum {
    FAKE_MAX_PMDS = 8,
    FAKE_RING = 1024,           /* Descriptors of a queue of the NIC. */
    FAKE_MAX_QUEUES = 16,
    FAKE_SLEEP_CYCLES = 1 << 19 /* TSC. */
};

/* Fails the test. */
void fake_fail(const char *format, ...) OVS_PRINTF_FORMAT(1, 2) OVS_NO_RETURN;

#define CHECK(COND)                                                 \
    do {                                                            \
        if (!(COND)) {                                              \
            fake_fail("%s:%d: %s", __FILE__, __LINE__, #COND);      \
        }                                                           \
    } while (0)

/* Waits until COND; gives up only after so long that something is stuck. */
#define WAIT_UNTIL(COND)                                            \
    do {                                                            \
        long long int limit_ = time_msec() + 120000;                \
        while (!(COND)) {                                           \
            if (time_msec() > limit_) {                             \
                fake_fail("%s:%d: waited in vain for %s",           \
                          __FILE__, __LINE__, #COND);               \
            }                                                       \
            xnanosleep(50000);                                      \
        }                                                           \
    } while (0)

/* Numbers. */
uint32_t fake_random(uint64_t *state);
extern uint64_t fake_seed;      /* Main thread's. */

/* The NIC. */
extern unsigned int fake_n_rxq;         /* Real queues. */
extern bool fake_has_reta;
extern unsigned int fake_n_buckets;     /* Of the table. */
extern ATOMIC(int) fake_refuse;         /* Table writes yet to refuse... */
extern ATOMIC(bool) fake_refuse_half;   /* ...with half of it written. */
extern ATOMIC(uint32_t) fake_no_buffers; /* Queues, by bit, that give nothing
                                         * whatever they hold. */
extern steer_ctr64 fake_table_writes;
extern unsigned int fake_n_sleeps;      /* Of the one thread that sleeps... */
extern uint64_t fake_sleep_ns;          /* ...as long, the last time. */

struct steer_port *fake_port_open(void);
void fake_port_close(void);
uint16_t fake_reta(uint32_t bucket);
uint64_t fake_depth(unsigned int queue);

/* Puts packet 'seq' of 'bucket' into 'queue'. */
void fake_inject(unsigned int queue, uint32_t bucket, uint64_t seq);

/* Sends 'n' packets of 'bucket' by the table. */
void fake_send(uint32_t bucket, unsigned int n);

/* The generator. */
extern ATOMIC(bool) fake_traffic[STEER_MAX_BUCKETS];
extern steer_ctr64 fake_window;         /* Most packets in flight. */
void fake_generator_start(void);
void fake_generator_stop(void);

/* PMD threads. */
struct fake_pmd {
    pthread_t thread;
    bool running;
    ATOMIC(bool) exit;
    ATOMIC(bool) stall;         /* Stand still... */
    ATOMIC(bool) stalled;       /* ...as it does. */
    ATOMIC(uint32_t) slow_usec; /* Time that a burst takes. */
    ATOMIC(uint32_t) queues;    /* Bit mask of queues to poll... */
    ATOMIC(uint32_t) seq, ack;  /* ...of which it knows. */
    uint64_t random;
};
extern struct fake_pmd fake_pmds[FAKE_MAX_PMDS];

void fake_pmd_start(unsigned int pmd, uint32_t queues);
void fake_pmd_stop(unsigned int pmd);
void fake_pmd_set_queues(unsigned int pmd, uint32_t queues);
void fake_pmd_stall(unsigned int pmd, bool);
void fake_pmds_stop(void);

/* What has come of the packets. */
extern uint64_t fake_sent[STEER_MAX_BUCKETS];   /* Last number sent. */
extern uint64_t fake_last[STEER_MAX_BUCKETS];   /* Last number processed. */
extern ATOMIC(uint64_t) fake_n_sent, fake_n_processed;
extern ATOMIC(uint64_t) fake_n_gaps, fake_n_disorder, fake_n_bad;
extern ATOMIC(uint64_t) fake_alive;     /* Packets not freed. */

static inline uint64_t
fake_get(ATOMIC(uint64_t) *counter)
{
    uint64_t value;

    atomic_read_explicit(counter, &value, memory_order_relaxed);
    return value;
}

/* Have all packets that were sent been processed?  If so, that has happened
 * before what the caller does next, whoever does it.  Not while steering has to
 * see to that. */
static inline bool
fake_all_processed(void)
{
    uint64_t n;

    atomic_read_explicit(&fake_n_processed, &n, memory_order_acquire);
    return n == fake_get(&fake_n_sent);
}

#endif /* test-steer-moves.h */
