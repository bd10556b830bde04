/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

/* ovs-ext-nic(8): controls and reads the ports of the NIC model. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "datapath-hooks/nic-model/extnic-rates.h"
#include "datapath-hooks/nic-model/extnic-report.h"
#include "datapath-hooks/nic-model/extnic-shm.h"

#define ACK_TIMEOUT 3.0         /* Seconds. */

struct options {
    double rate;                /* Mpps, 0: the port's own. */
    double packets, ms;
    double timeout;
    double step_us;
    bool windows, histogram;
    int n_args;
    char **args;
};

static void __attribute__((noreturn, format(printf, 1, 2)))
fatal(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "ovs-ext-nic: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void
usage(void)
{
    printf("\
ovs-ext-nic: control of the NIC model (net_extnic)\n\
usage: ovs-ext-nic COMMAND FILE [ARGUMENT...] [OPTION...]\n\
where FILE is the 'stat' argument of the ports.\n\
\n\
  start FILE [--rate MPPS] [--packets N | --ms MS]\n\
                       zero all counters, begin to generate\n\
  stop FILE            stop to generate\n\
  reset FILE           zero all counters\n\
  rate FILE MPPS       change the offered rate\n\
  inject FILE KEY=VAL  faults: reta_fail=ERRNO flow_fail=ERRNO\n\
                       destroy_fail=ERRNO counter_fail=ERRNO\n\
                       straggler_us=US link=0|1 rx_stall=0|1 rx_hang=0|1\n\
                       echo_us=US echo_loss=N (of 1000) start_fail=ERRNO\n\
  wait FILE [--timeout S]\n\
                       wait until traffic ended and queues are empty\n\
  stat FILE [--windows] [--histogram]\n\
                       print the counters as JSON\n\
  rates ARGUMENTS [--rate MPPS] [--ms MS] [--step-us US]\n\
                       print what a source with these device arguments\n\
                       would offer, for ovs-ext-train --rates\n\
  -h, --help           this text\n\
  -V, --version        version\n");
}

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void
nap(double seconds)
{
    struct timespec ts = { seconds, fmod(seconds, 1) * 1e9 };

    nanosleep(&ts, NULL);
}

static double
parse_number(const char *name, const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);

    if (!*text || *end || !(value >= min && value <= max)) {
        fatal("%s: '%s' is not a number from %g to %g", name, text, min, max);
    }
    return value;
}

static struct extnic_shm *
attach(const char *path, int *fdp)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st)) {
        fatal("%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || st.st_size != sizeof(struct extnic_shm)) {
        fatal("%s: is no statistics page of this version of the NIC model",
              path);
    }
    struct extnic_shm *shm = mmap(NULL, sizeof *shm, PROT_READ | PROT_WRITE,
                                  MAP_SHARED, fd, 0);
    if (shm == MAP_FAILED) {
        fatal("%s: %s", path, strerror(errno));
    }
    if (shm->hdr.magic != EXTNIC_SHM_MAGIC
        || shm->hdr.version != EXTNIC_SHM_VERSION
        || shm->hdr.size != sizeof *shm || !shm->hdr.tsc_hz) {
        fatal("%s: is no statistics page of this version of the NIC model",
              path);
    }
    *fdp = fd;
    return shm;
}

/* Hands a command to the ports and waits until one carried it out. */
static void
command(struct extnic_shm *shm, int fd, const char *path,
        const struct extnic_shm_cmd *cmd)
{
    if (flock(fd, LOCK_EX)) {
        fatal("%s: %s", path, strerror(errno));
    }
    uint32_t gen = shm->cmd.gen + 1;
    shm->cmd.op = cmd->op;
    shm->cmd.rate = cmd->rate;
    shm->cmd.packets = cmd->packets;
    shm->cmd.ms = cmd->ms;
    __atomic_store_n(&shm->cmd.gen, gen, __ATOMIC_RELEASE);

    double until = now() + ACK_TIMEOUT;
    while (__atomic_load_n(&shm->cmd.ack, __ATOMIC_ACQUIRE) != gen) {
        if (now() > until) {
            fatal("%s: no answer: is a source port that uses this file "
                  "polled by a PMD thread?", path);
        }
        nap(0.0005);
    }
    int error = shm->cmd.error;
    flock(fd, LOCK_UN);
    if (error) {
        fatal("%s: %s", path, strerror(error));
    }
}

static void
check_rate(const struct options *o)
{
    if (o->packets && o->ms) {
        fatal("start: --packets and --ms exclude each other");
    }
}

static void
cmd_start(struct extnic_shm *shm, int fd, const struct options *o)
{
    struct extnic_shm_cmd cmd = {
        .op = EXTNIC_OP_START,
        .rate = o->rate, .packets = o->packets, .ms = o->ms,
    };

    check_rate(o);
    command(shm, fd, o->args[1], &cmd);
}

static void
cmd_stop(struct extnic_shm *shm, int fd, const struct options *o)
{
    struct extnic_shm_cmd cmd = { .op = EXTNIC_OP_STOP };

    command(shm, fd, o->args[1], &cmd);
}

static void
cmd_reset(struct extnic_shm *shm, int fd, const struct options *o)
{
    struct extnic_shm_cmd cmd = { .op = EXTNIC_OP_RESET };

    command(shm, fd, o->args[1], &cmd);
}

static void
cmd_rate(struct extnic_shm *shm, int fd, const struct options *o)
{
    struct extnic_shm_cmd cmd = {
        .op = EXTNIC_OP_RATE,
        .rate = parse_number("rate", o->args[2], 1e-6, 1000),
    };

    command(shm, fd, o->args[1], &cmd);
}

static void
cmd_inject(struct extnic_shm *shm, int fd, const struct options *o)
{
    char *value = strchr(o->args[2], '=');

    (void) fd;
    if (!value) {
        fatal("inject: '%s' is not of the form KEY=VALUE", o->args[2]);
    }
    *value++ = '\0';
    if (!strcmp(o->args[2], "reta_fail")) {
        shm->inject.reta_fail = parse_number(o->args[2], value, 0, 133);
    } else if (!strcmp(o->args[2], "flow_fail")) {
        shm->inject.flow_fail = parse_number(o->args[2], value, 0, 133);
    } else if (!strcmp(o->args[2], "destroy_fail")) {
        shm->inject.destroy_fail = parse_number(o->args[2], value, 0, 133);
    } else if (!strcmp(o->args[2], "counter_fail")) {
        shm->inject.counter_fail = parse_number(o->args[2], value, 0, 133);
    } else if (!strcmp(o->args[2], "straggler_us")) {
        shm->inject.straggler_us = parse_number(o->args[2], value, 0, 1e6);
    } else if (!strcmp(o->args[2], "link")) {
        shm->inject.link_down = !parse_number(o->args[2], value, 0, 1);
    } else if (!strcmp(o->args[2], "rx_hang")) {
        shm->inject.rx_hang = parse_number(o->args[2], value, 0, 1);
    } else if (!strcmp(o->args[2], "rx_stall")) {
        shm->inject.rx_stall = parse_number(o->args[2], value, 0, 1);
    } else if (!strcmp(o->args[2], "echo_us")) {
        shm->inject.echo_us = parse_number(o->args[2], value, 0, 1e6);
    } else if (!strcmp(o->args[2], "echo_loss")) {
        shm->inject.echo_loss = parse_number(o->args[2], value, 0, 1000);
    } else if (!strcmp(o->args[2], "start_fail")) {
        shm->inject.start_fail = parse_number(o->args[2], value, 0, 133);
    } else {
        fatal("inject: unknown key '%s'", o->args[2]);
    }
}

static void
cmd_wait(struct extnic_shm *shm, int fd, const struct options *o)
{
    double until = now() + o->timeout;

    (void) fd;
    while (!extnic_report_done(shm)) {
        if (now() > until) {
            fatal("%s: still busy after %g seconds", o->args[1], o->timeout);
        }
        nap(0.005);
    }

    /* What the switch still holds reaches the sink, or is lost. */
    uint64_t last = extnic_report_delivered(shm);
    for (int quiet = 0; quiet < 10 && now() < until; quiet++) {
        nap(0.01);
        if (extnic_report_delivered(shm) != last) {
            last = extnic_report_delivered(shm);
            quiet = 0;
        }
    }
}

static void
cmd_stat(struct extnic_shm *shm, int fd, const struct options *o)
{
    (void) fd;
    extnic_report_print(shm, o->windows, o->histogram);
}

static int
cmd_rates(const struct options *o)
{
    char error[512];

    if (!extnic_rates_print(o->args[1], o->rate, (o->ms ? o->ms : 1000) / 1e3,
                            (o->step_us ? o->step_us : 1000) / 1e6, error,
                            sizeof error)) {
        fatal("rates: %s", error);
    }
    return 0;
}

static const struct {
    const char *name;
    int n_args;
    void (*run)(struct extnic_shm *, int fd, const struct options *);
} commands[] = {
    { "start", 2, cmd_start },
    { "stop", 2, cmd_stop },
    { "reset", 2, cmd_reset },
    { "rate", 3, cmd_rate },
    { "inject", 3, cmd_inject },
    { "wait", 2, cmd_wait },
    { "stat", 2, cmd_stat },
};

static void
parse_options(int argc, char *argv[], struct options *o)
{
    static const struct option longs[] = {
        { "rate", required_argument, NULL, 'r' },
        { "packets", required_argument, NULL, 'p' },
        { "ms", required_argument, NULL, 'm' },
        { "timeout", required_argument, NULL, 't' },
        { "step-us", required_argument, NULL, 's' },
        { "windows", no_argument, NULL, 'w' },
        { "histogram", no_argument, NULL, 'g' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
        switch (c) {
        case 'r':
            o->rate = parse_number("--rate", optarg, 1e-6, 1000);
            break;
        case 'p':
            o->packets = parse_number("--packets", optarg, 1, 1e15);
            break;
        case 'm':
            o->ms = parse_number("--ms", optarg, 0.001, 1e9);
            break;
        case 't':
            o->timeout = parse_number("--timeout", optarg, 0, 1e9);
            break;
        case 's':
            o->step_us = parse_number("--step-us", optarg, 10, 1e6);
            break;
        case 'w':
            o->windows = true;
            break;
        case 'g':
            o->histogram = true;
            break;
        case 'h':
            usage();
            exit(0);
        case 'V':
            printf("ovs-ext-nic (NIC model, page version %d)\n",
                   EXTNIC_SHM_VERSION);
            exit(0);
        default:
            exit(1);
        }
    }
    o->n_args = argc - optind;
    o->args = argv + optind;
}

int
main(int argc, char *argv[])
{
    struct options o = { .timeout = 60 };

    parse_options(argc, argv, &o);
    if (!o.n_args) {
        fatal("missing command; use --help for help");
    }
    if (!strcmp(o.args[0], "rates") && o.n_args == 2) {
        return cmd_rates(&o);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(o.args[0], commands[i].name)) {
            continue;
        }
        if (o.n_args != commands[i].n_args) {
            fatal("%s: takes %d arguments; use --help for help", o.args[0],
                  commands[i].n_args - 1);
        }
        int fd;
        struct extnic_shm *shm = attach(o.args[1], &fd);
        commands[i].run(shm, fd, &o);
        return 0;
    }
    fatal("unknown command '%s'; use --help for help", o.args[0]);
}
