/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-clock.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct extnic_clock extnic_clock;
__thread struct extnic_thread extnic_thread;

void
extnic_clock_init(uint64_t tsc_hz)
{
    extnic_clock.hz = tsc_hz;
    extnic_clock.gap = tsc_hz / 1000000 * EXTNIC_GAP_US;
}

/* Pauses of late, disjoint, oldest first: time in which several threads
 * were off their CPUs counts once. */
#define N_RECENT 64
struct pause {
    uint64_t start, end;
};
static struct pause recent[N_RECENT];
static uint32_t n_recent;
static uint32_t recent_lock;

/* Merges [start, end) into 'recent'.  Returns how much of it is new. */
static uint64_t
merge_pause(uint64_t start, uint64_t end)
{
    struct pause all = { start, end };
    uint64_t covered = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < n_recent; i++) {
        struct pause p = recent[i];

        if (p.end < all.start || p.start > all.end) {
            recent[n++] = p;
            continue;
        }
        uint64_t from = p.start > start ? p.start : start;
        uint64_t to = p.end < end ? p.end : end;
        covered += to > from ? to - from : 0;
        all.start = p.start < all.start ? p.start : all.start;
        all.end = p.end > all.end ? p.end : all.end;
    }
    if (n == N_RECENT) {
        memmove(recent, recent + 1, --n * sizeof *recent);
    }
    recent[n++] = all;
    n_recent = n;
    return end - start - covered;
}

/* Adds the 'off' cycles that ended at 'now' to the paused time, as far as no
 * other thread's pause covers them.  The lock is held for some hundred
 * cycles; a thread that still cannot get it does without the union. */
static void
add_pause(uint64_t now, uint64_t off)
{
    uint64_t fresh = off;
    bool locked = false;

    for (int i = 0; i < 1000 && !locked; i++) {
        locked = !__atomic_exchange_n(&recent_lock, 1, __ATOMIC_ACQUIRE);
    }
    if (locked) {
        fresh = merge_pause(now - off, now);
        __atomic_store_n(&recent_lock, 0, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&extnic_clock.paused, fresh, __ATOMIC_RELAXED);
    __atomic_fetch_add(&extnic_clock.pauses, 1, __ATOMIC_RELAXED);
}

void
extnic_clock_gap__(uint64_t now, uint64_t last)
{
    struct extnic_thread *t = &extnic_thread;
    struct timespec cpu;
    struct rusage usage;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu)
        || getrusage(RUSAGE_THREAD, &usage)) {
        return;
    }

    double off_cpu = now / extnic_clock.hz - cpu.tv_sec - cpu.tv_nsec * 1e-9;
    double off = (off_cpu - t->off_cpu) * extnic_clock.hz;
    bool pushed = usage.ru_nivcsw != t->involuntary;
    bool slept = usage.ru_nvcsw != t->voluntary;

    if (last && off > 0 && t->polls
        && (pushed || (!slept && off > extnic_clock.gap))) {
        uint64_t gap = now - last;

        /* What little remains of a gap that was mostly off the CPU is cold
         * caches and the kernel's work, not the switch's. */
        add_pause(now, pushed && off > gap / 2 ? gap
                       : off < gap ? (uint64_t) off : gap);
    }
    t->off_cpu = off_cpu;
    t->involuntary = usage.ru_nivcsw;
    t->voluntary = usage.ru_nvcsw;
}
