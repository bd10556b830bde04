/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_CLOCK_H
#define EXTNIC_CLOCK_H 1

/* Virtual time of the NIC model: the TSC less the time in which a polling
 * thread was off its CPU.
 *
 * On a shared machine the kernel or hypervisor now and then takes the CPU
 * from a polling thread for up to milliseconds.  No NIC queue survives that,
 * and it says nothing about the switch, so arrivals stand still meanwhile.
 * Each burst function calls extnic_clock_tick().  If more than
 * EXTNIC_GAP_US passed since this thread's previous call, and the thread was
 * off its CPU in that time without having asked for it (involuntary context
 * switches grew, or CPU time fell behind without any context switch: steal),
 * that part of the gap is added to 'paused'.  A thread that was merely slow,
 * or only slept, gets no such credit, nor does one that never polls a receive
 * queue.  Pauses of two threads that overlap count once.
 *
 * Thread safety: one clock per process, any thread may tick.  The usual case
 * touches thread-local data only; the rare one does two system calls. */

#include <stdbool.h>
#include <stdint.h>

#define EXTNIC_GAP_US 20

struct extnic_clock {
    uint64_t paused;            /* Cycles so far; grows. */
    uint64_t pauses;
    uint64_t gap;               /* EXTNIC_GAP_US in cycles. */
    double hz;
} __attribute__((aligned(64)));

struct extnic_thread {
    uint64_t last;              /* TSC of the previous call. */
    double off_cpu;             /* Wall less CPU time then, seconds. */
    long int involuntary;
    long int voluntary;
    bool polls;                 /* Polls receive queues. */
};

extern struct extnic_clock extnic_clock;
extern __thread struct extnic_thread extnic_thread
    __attribute__((tls_model("initial-exec")));

void extnic_clock_init(uint64_t tsc_hz);
void extnic_clock_gap__(uint64_t now, uint64_t last);

/* To be called with the TSC by every burst function. */
static inline void
extnic_clock_tick(uint64_t now)
{
    uint64_t last = extnic_thread.last;

    extnic_thread.last = now;
    if (__builtin_expect(now - last > extnic_clock.gap, 0)) {
        extnic_clock_gap__(now, last);
    }
}

static inline uint64_t
extnic_clock_paused(void)
{
    return __atomic_load_n(&extnic_clock.paused, __ATOMIC_RELAXED);
}

#endif /* extnic-clock.h */
