/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_PROC_H
#define SESSION_PROC_H 1

/* How busy this host is, as the kernel says in /proc.
 *
 * Thread safety: none; one thread at a time. */

enum { SESSION_MAX_CPUS = 1024 };

/* Time that CPUs were busy between the last two readings. */
struct session_cpu_times;

struct session_cpu_times *session_cpu_times_create(void);
void session_cpu_times_destroy(struct session_cpu_times *);
void session_cpu_times_read(struct session_cpu_times *);

/* The share of time for which 'cpu' was busy, 0...1; negative if there is no
 * such CPU. */
double session_cpu_times_busy(const struct session_cpu_times *, int cpu);

/* The share of memory that is in use, huge pages apart, 0...1; NaN if that is
 * not said. */
double session_memory_used(void);

/* Likewise, of texts as those of /proc/stat and /proc/meminfo. */
void session_cpu_times_parse(struct session_cpu_times *, const char *stat);
double session_memory_parse(const char *meminfo);

#endif /* session-proc.h */
