/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* A wall clock that jumps, for a program under test:
 *
 *     LD_PRELOAD=.../wall-jump.so EXT_WALL_JUMP=FILE PROGRAM...
 *
 * FILE holds the milliseconds, a 64-bit number in the machine's own order, by
 * which the wall clock is wrong; writing another number makes it jump.  The
 * monotonic clocks go on. */

#include <config.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t
jump_ms(void)
{
    static const volatile int64_t *jump;

    if (!jump) {
        static const int64_t none;
        const char *file = getenv("EXT_WALL_JUMP");
        int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *jump, PROT_READ,
                                             MAP_SHARED, fd, 0);

        if (fd >= 0) {
            close(fd);
        }
        jump = p == MAP_FAILED ? &none : p;
    }
    return *jump;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*original)(clockid_t, struct timespec *);
    int retval;

    if (!original) {
        original = (int (*)(clockid_t, struct timespec *)) dlsym(
            RTLD_NEXT, "clock_gettime");
    }
    retval = original(id, ts);
    if (!retval && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = ts->tv_nsec + jump_ms() % 1000 * 1000000;

        ts->tv_sec += jump_ms() / 1000;
        ts->tv_sec += ns < 0 ? -1 : ns >= 1000000000;
        ts->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    }
    return retval;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;

    (void) tz;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *t)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (t) {
        *t = ts.tv_sec;
    }
    return ts.tv_sec;
}
