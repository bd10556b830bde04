/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Test of the PCI scan, on a made-up sysfs. */

#include <config.h>

#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/monitor/monitor-impl.h"
#include "tests/test-monitor.h"

struct hrm_sample *
monitor_samples_add(struct monitor_samples *all)
{
    if (all->n >= all->allocated) {
        all->s = x2nrealloc(all->s, &all->allocated, sizeof *all->s);
    }
    return &all->s[all->n++];
}

static void
put_attr(const char *address, const char *attr, const char *value)
{
    char *dir = xasprintf("sysfs.tmp/bus/pci/devices/%s", address);
    char *name = xasprintf("%s/%s", dir, attr);
    FILE *f;

    mkdir("sysfs.tmp", 0755);
    mkdir("sysfs.tmp/bus", 0755);
    mkdir("sysfs.tmp/bus/pci", 0755);
    mkdir("sysfs.tmp/bus/pci/devices", 0755);
    mkdir(dir, 0755);
    f = fopen(name, "w");
    CHECK(f);
    fputs(value, f);
    CHECK(!fclose(f));
    free(dir);
    free(name);
}

static bool
is_0003(const char *address)
{
    return !strcmp(address, "0000:00:03.0");
}

static const struct hrm_sample *
find_sample(const struct monitor_samples *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!strcmp(all->s[i].name, name)) {
            return &all->s[i];
        }
    }
    return NULL;
}

void
test_pci(void)
{
    struct monitor_samples all = { NULL, 0, 0 };
    struct monitor_pci *pci = monitor_pci_create("sysfs.tmp");
    const struct hrm_sample *s;

    CHECK(!system("rm -rf sysfs.tmp"));
    monitor_pci_scan(pci);      /* Nothing there. */
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 0);

    put_attr("0000:00:01.0", "class", "0x120000\n");
    put_attr("0000:00:01.0", "vendor", "0x8086\n");
    put_attr("0000:00:01.0", "device", "0x0b25\n");
    put_attr("0000:00:01.0", "numa_node", "1\n");
    CHECK(!symlink("../../drivers/idxd",
                   "sysfs.tmp/bus/pci/devices/0000:00:01.0/driver"));
    put_attr("0000:00:02.0", "class", "0x030200\n");
    put_attr("0000:00:02.0", "numa_node", "-1\n");
    put_attr("0000:00:03.0", "class", "0x0b4000\n");
    put_attr("0000:00:04.0", "class", "0x020000\n");    /* A NIC. */
    put_attr("0000:00:05.0", "class", "garbage");
    put_attr("0000:00:06.0", "class", "");
    put_attr("0000:00:07.0", "class", "0x12000000000000000000000");
    put_attr("0000:00:08.0", "class", "-1");
    put_attr("a-name-longer-than-any-address-there-is", "class", "0x120000");
    monitor_pci_scan(pci);
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 3);
    s = find_sample(&all, "pci/0000:00:01.0");
    CHECK(s);
    CHECK_EQ(s->kind, HRM_PCI);
    CHECK_EQ(s->answer, HRM_NOT_OURS);
    CHECK_EQ(s->numa, 1);
    CHECK_EQ(s->n_attrs, 3);
    CHECK(!strcmp(s->attrs[0].value, "accelerator"));
    CHECK(!strcmp(s->attrs[1].value, "8086:0b25"));
    CHECK(!strcmp(s->attrs[2].value, "idxd"));
    s = find_sample(&all, "pci/0000:00:02.0");
    CHECK(s);
    CHECK_EQ(s->numa, -1);
    CHECK(!strcmp(s->attrs[0].value, "display"));

    /* What a DPDK driver has is a resource of another kind. */
    all.n = 0;
    monitor_pci_sample(pci, &all, is_0003);
    CHECK_EQ(all.n, 2);
    CHECK(!find_sample(&all, "pci/0000:00:03.0"));

    /* Unplugged. */
    CHECK(!system("rm -r sysfs.tmp/bus/pci/devices/0000:00:01.0"));
    all.n = 0;
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 2);
    CHECK(!system("rm -rf sysfs.tmp"));
    monitor_pci_destroy(pci);
    free(all.s);
}
