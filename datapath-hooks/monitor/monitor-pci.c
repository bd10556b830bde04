/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* PCI functions that could take work but that nobody drives for us, from
 * sysfs: processing accelerators, displays (GPUs) and co-processors. */

#include <config.h>

#include "datapath-hooks/monitor/monitor-impl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define PCI_MAX 64

struct pci_function {
    char address[24];
    unsigned int class;
    unsigned int vendor, device;
    int numa;
    char driver[32];            /* Of the kernel, empty: none. */
};

struct monitor_pci {
    char *dir;                  /* .../bus/pci/devices */
    struct pci_function f[PCI_MAX];
    size_t n;
};

/* Creates a list of the functions below 'sysfs', which is /sys but in tests.
 * Empty until monitor_pci_scan(). */
struct monitor_pci *
monitor_pci_create(const char *sysfs)
{
    struct monitor_pci *pci = xzalloc(sizeof *pci);

    pci->dir = xasprintf("%s/bus/pci/devices", sysfs);
    return pci;
}

void
monitor_pci_destroy(struct monitor_pci *pci)
{
    if (pci) {
        free(pci->dir);
        free(pci);
    }
}

/* Reads the number in file 'attr' of the function at 'address'.  Returns false
 * if there is none. */
static bool
pci_read(const struct monitor_pci *pci, const char *address, const char *attr,
         long int *value)
{
    char name[PATH_MAX], text[32], *tail;
    size_t n;
    FILE *f;

    snprintf(name, sizeof name, "%s/%s/%s", pci->dir, address, attr);
    f = fopen(name, "r");
    if (!f) {
        return false;
    }
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    errno = 0;
    *value = strtol(text, &tail, 0);
    return tail != text && !errno;
}

static void
pci_read_driver(const struct monitor_pci *pci, struct pci_function *f)
{
    char name[PATH_MAX], target[PATH_MAX], *slash;
    ssize_t n;

    snprintf(name, sizeof name, "%s/%s/driver", pci->dir, f->address);
    n = readlink(name, target, sizeof target - 1);
    target[MAX(n, 0)] = '\0';
    slash = strrchr(target, '/');
    ovs_strzcpy(f->driver, slash ? slash + 1 : target, sizeof f->driver);
}

/* Returns true for classes of functions that could do work for traffic:
 * display controllers, processing accelerators, and co-processors among the
 * processors. */
static bool
pci_class_matters(unsigned int class)
{
    return (class >> 16 == 0x03 || class >> 16 == 0x12
            || class >> 8 == 0x0b40);
}

static const char *
pci_class_name(unsigned int class)
{
    return (class >> 16 == 0x03 ? "display"
            : class >> 16 == 0x12 ? "accelerator"
            : "co-processor");
}

/* Looks for functions anew. */
void
monitor_pci_scan(struct monitor_pci *pci)
{
    struct dirent *entry;
    DIR *dir = opendir(pci->dir);

    pci->n = 0;
    if (!dir) {
        return;
    }
    while ((entry = readdir(dir)) && pci->n < PCI_MAX) {
        struct pci_function *f = &pci->f[pci->n];
        long int class, value;

        if (entry->d_name[0] == '.'
            || strlen(entry->d_name) >= sizeof f->address
            || !pci_read(pci, entry->d_name, "class", &class)
            || class < 0 || class > 0xffffff || !pci_class_matters(class)) {
            continue;
        }
        memset(f, 0, sizeof *f);
        ovs_strlcpy(f->address, entry->d_name, sizeof f->address);
        f->class = class;
        f->vendor = pci_read(pci, f->address, "vendor", &value) ? value : 0;
        f->device = pci_read(pci, f->address, "device", &value) ? value : 0;
        f->numa = (pci_read(pci, f->address, "numa_node", &value)
                   && value >= 0 && value < INT_MAX ? value : -1);
        pci_read_driver(pci, f);
        pci->n++;
    }
    closedir(dir);
}

static bool
pci_is_there(const struct monitor_pci *pci, const struct pci_function *f)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, "%s/%s", pci->dir, f->address);
    return !access(name, F_OK);
}

/* Appends a sample of each function that is still there, but not of those that
 * 'is_driven' says are resources of another kind. */
void
monitor_pci_sample(const struct monitor_pci *pci,
                   struct monitor_samples *samples,
                   bool (*is_driven)(const char *address))
{
    for (size_t i = 0; i < pci->n; i++) {
        const struct pci_function *f = &pci->f[i];
        struct hrm_sample *s;

        if ((is_driven && is_driven(f->address)) || !pci_is_there(pci, f)) {
            continue;
        }
        s = monitor_samples_add(samples);
        hrm_sample_init(s, HRM_PCI, "functions", "%s", f->address);
        s->numa = f->numa;
        s->answer = HRM_NOT_OURS;
        s->why = "no DPDK driver has it";
        hrm_sample_attr(s, "class", "%s", pci_class_name(f->class));
        hrm_sample_attr(s, "id", "%04x:%04x", f->vendor, f->device);
        if (f->driver[0]) {
            hrm_sample_attr(s, "driver", "%s", f->driver);
        }
    }
}
