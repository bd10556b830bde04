/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/session/session-proc.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

enum { MAX_TEXT = 256 * 1024 };

struct session_cpu_times {
    /* By CPU; in ticks. */
    uint64_t busy[SESSION_MAX_CPUS], idle[SESSION_MAX_CPUS];
    double share[SESSION_MAX_CPUS];     /* Negative: not known. */
};

struct session_cpu_times *
session_cpu_times_create(void)
{
    struct session_cpu_times *t = xzalloc(sizeof *t);

    for (int i = 0; i < SESSION_MAX_CPUS; i++) {
        t->share[i] = -1;
    }
    return t;
}

void
session_cpu_times_destroy(struct session_cpu_times *t)
{
    free(t);
}

/* Takes in a line "cpuN user nice system idle iowait irq softirq steal...". */
static void
parse_line(struct session_cpu_times *t, const char *line)
{
    uint64_t v[8] = { 0 }, busy, idle;
    unsigned int cpu;
    int n;

    n = sscanf(line, "cpu%u %"SCNu64" %"SCNu64" %"SCNu64" %"SCNu64" %"SCNu64
               " %"SCNu64" %"SCNu64" %"SCNu64, &cpu, &v[0], &v[1], &v[2],
               &v[3], &v[4], &v[5], &v[6], &v[7]);
    if (n < 5 || cpu >= SESSION_MAX_CPUS) {
        return;
    }
    idle = v[3] + v[4];
    busy = v[0] + v[1] + v[2] + v[5] + v[6] + v[7];

    /* The kernel's counts of idle time may go back a little. */
    uint64_t d_busy = busy > t->busy[cpu] ? busy - t->busy[cpu] : 0;
    uint64_t d_idle = idle > t->idle[cpu] ? idle - t->idle[cpu] : 0;

    t->share[cpu] = d_busy + d_idle ? d_busy / (double) (d_busy + d_idle) : 0;
    t->busy[cpu] = busy;
    t->idle[cpu] = idle;
}

void
session_cpu_times_parse(struct session_cpu_times *t, const char *stat)
{
    for (const char *line = stat; line && *line; ) {
        if (!strncmp(line, "cpu", 3) && line[3] != ' ') {
            parse_line(t, line);
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
}

double
session_cpu_times_busy(const struct session_cpu_times *t, int cpu)
{
    return cpu >= 0 && cpu < SESSION_MAX_CPUS ? t->share[cpu] : -1;
}

static bool
find_field(const char *text, const char *name, uint64_t *value)
{
    size_t len = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, len)) {
            return sscanf(line + len, "%"SCNu64, value) == 1;
        }
    }
    return false;
}

/* Memory set apart as huge pages, kB.  Older kernels say only how many there
 * are of the default size. */
static uint64_t
huge_pages(const char *meminfo)
{
    uint64_t kb, n;

    return (find_field(meminfo, "Hugetlb:", &kb) ? kb
            : (find_field(meminfo, "HugePages_Total:", &n)
               && find_field(meminfo, "Hugepagesize:", &kb)) ? n * kb : 0);
}

/* Huge pages are neither used nor to be had: DPDK takes them all at once,
 * whatever it has to do. */
double
session_memory_parse(const char *meminfo)
{
    uint64_t total, available, huge = huge_pages(meminfo);

    return (find_field(meminfo, "MemTotal:", &total)
            && find_field(meminfo, "MemAvailable:", &available)
            && total > huge && available <= total - huge
            ? 1 - available / (double) (total - huge) : NAN);
}

/* Returns the contents of 'path', to be freed by the caller, empty if it
 * cannot be read. */
static char *
read_text(const char *path)
{
    char *text = xmalloc(MAX_TEXT + 1);
    FILE *file = fopen(path, "r");
    size_t n = 0;

    if (file) {
        n = fread(text, 1, MAX_TEXT, file);
        fclose(file);
    }
    text[n] = '\0';
    return text;
}

void
session_cpu_times_read(struct session_cpu_times *t)
{
    char *text = read_text("/proc/stat");

    session_cpu_times_parse(t, text);
    free(text);
}

double
session_memory_used(void)
{
    char *text = read_text("/proc/meminfo");
    double used = session_memory_parse(text);

    free(text);
    return used;
}
