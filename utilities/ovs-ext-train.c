/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-train: trains and judges steering policies.  See
 * ovs-ext-train(1). */

#include <config.h>
#include "utilities/ovs-ext-train.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fatal-signal.h"
#include "openvswitch/util.h"
#include "ovs-ext-config.h"
#include "util.h"
#include "utilities/option.h"

enum {
    OPT_SEED = 256, OPT_MINUTES, OPT_GENERATIONS, OPT_THREADS, OPT_PAIRS,
    OPT_SCENARIOS, OPT_RESUME, OPT_OUT, OPT_CURVE, OPT_PCAP, OPT_DUMP,
    OPT_SERVICE_NS, OPT_BATCH_NS, OPT_RING, OPT_LOAD, OPT_DURATION,
    OPT_POLICY, OPT_MODEL, OPT_CORES, OPT_BUCKETS, OPT_TRAFFIC, OPT_REPEATS,
    OPT_RATES, OPT_FLOWS, OPT_INSTALL_NS, OPT_PACKETS, OPT_POLL_NS,
    OPT_AFTER_NS, OPT_JITTER_NS, OPT_INTERRUPTS, OPT_WARMUP,
    OPT_CALLS, OPT_WEIGHTS, OPT_NO_GUARD, OPT_LEARN, OPT_COLD, OPT_QUIET,
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"minutes", required_argument, NULL, OPT_MINUTES},
    {"generations", required_argument, NULL, OPT_GENERATIONS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"pairs", required_argument, NULL, OPT_PAIRS},
    {"scenarios", required_argument, NULL, OPT_SCENARIOS},
    {"resume", required_argument, NULL, OPT_RESUME},
    {"out", required_argument, NULL, OPT_OUT},
    {"curve", required_argument, NULL, OPT_CURVE},
    {"pcap", required_argument, NULL, OPT_PCAP},
    {"dump", required_argument, NULL, OPT_DUMP},
    {"rates", required_argument, NULL, OPT_RATES},
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"install-ns", required_argument, NULL, OPT_INSTALL_NS},
    {"packets", no_argument, NULL, OPT_PACKETS},
    {"poll-ns", required_argument, NULL, OPT_POLL_NS},
    {"after-ns", required_argument, NULL, OPT_AFTER_NS},
    {"jitter-ns", required_argument, NULL, OPT_JITTER_NS},
    {"interrupts", required_argument, NULL, OPT_INTERRUPTS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"service-ns", required_argument, NULL, OPT_SERVICE_NS},
    {"batch-ns", required_argument, NULL, OPT_BATCH_NS},
    {"ring", required_argument, NULL, OPT_RING},
    {"load", required_argument, NULL, OPT_LOAD},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"policy", required_argument, NULL, OPT_POLICY},
    {"model", required_argument, NULL, OPT_MODEL},
    {"cores", required_argument, NULL, OPT_CORES},
    {"buckets", required_argument, NULL, OPT_BUCKETS},
    {"traffic", required_argument, NULL, OPT_TRAFFIC},
    {"repeats", required_argument, NULL, OPT_REPEATS},
    {"calls", required_argument, NULL, OPT_CALLS},
    {"weights", required_argument, NULL, OPT_WEIGHTS},
    {"no-guard", no_argument, NULL, OPT_NO_GUARD},
    {"learn", no_argument, NULL, OPT_LEARN},
    {"cold", no_argument, NULL, OPT_COLD},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void
usage(void)
{
    printf("%s: trains and judges Open vSwitch steering policies\n"
           "usage: %s COMMAND [OPTION]...\n"
           "\nCommands:\n"
           "  train              train a policy in simulation\n"
           "  eval               judge policies, one JSON object a line\n"
           "  decide             time a policy's decisions\n"
           "  record             simulate and print the decisions log\n"
           "  dump-info FILE...  check and describe decisions logs\n"
           "  policy-info [FILE] check and describe a policy file\n"
           "  init               write the untrained starting point\n"
           "\nTraining:\n"
           "  --seed=N           of everything random (default: 1)\n"
           "  --generations=N    length of the training (default: 150)\n"
           "  --minutes=M        stop early after M minutes\n"
           "  --pairs=N          antithetic pairs a generation (16)\n"
           "  --scenarios=N      scenarios a generation (12)\n"
           "  --resume=FILE      go on from a checkpoint (OUT.ckpt)\n"
           "  --out=FILE         policy file to write (steering.policy)\n"
           "  --curve=FILE.png   learning curve; figures to FILE.png.dat\n"
           "\nTraffic and switch:\n"
           "  --pcap=FILE        add a capture (may be repeated)\n"
           "  --dump=FILE        add a decisions log (may be repeated)\n"
           "  --rates=FILE       eval: add a table of \"ovs-ext-nic rates\"\n"
           "  --flows=N          that the table stands for (0)\n"
           "  --install-ns=X     to install a flow before a move (3000)\n"
           "  --service-ns=X     work for a packet (300)\n"
           "  --batch-ns=X       work for a batch besides (1500)\n"
           "  --ring=N           descriptors a core (2048)\n"
           "  --load=X           offered / capacity (eval: 0.85)\n"
           "  --duration=S       seconds simulated (eval: 3)\n"
           "  --warmup=S         seconds of that not judged (0.5)\n"
           "  --packets          simulate each packet, with:\n"
           "  --poll-ns=X        an idle core's look at its ring (60)\n"
           "  --after-ns=X       part of batch-ns after its packets (0)\n"
           "  --jitter-ns=X      part of service-ns that varies (0)\n"
           "  --interrupts=S:HZ,...  times a core is taken away, and rates\n"
           "  --cold             do not install flows before a move\n"
           "  --weights=T,L,B,S  throughput, latency, balance, switching\n"
           "                     (4,1,1,0.5)\n"
           "\nJudging:\n"
           "  --policy=LIST      static,rsspp,lpt,rl\n"
           "  --model=FILE       policy file for rl (built in)\n"
           "  --cores=LIST       (2,4,8,16,32,64)\n"
           "  --buckets=N        (cores x 32, at least 128)\n"
           "  --traffic=LIST     families, all, heldout or trained (all)\n"
           "  --repeats=N        seeds for each combination (3)\n"
           "  --calls=N          decide: calls to time (200000)\n"
           "  --no-guard         rl without its fallback\n"
           "  --learn            rl learns on line\n"
           "\nOther options:\n"
           "  --threads=N        (default: number of processors)\n"
           "  --quiet            no progress bar\n"
           "  -h, --help         display this help message\n"
           "  -V, --version      display version information\n",
           program_name, program_name);
    exit(EXIT_SUCCESS);
}

/* All options of the command line. */
struct args {
    struct train_options train;
    const char *policy, *cores, *traffic;
    struct steer_model *model;
    size_t repeats, calls, buckets;
    bool no_guard, learn, load_given, duration_given;
};

static void
parse_weights(const char *s, struct steer_weights *w)
{
    if (sscanf(s, "%lf,%lf,%lf,%lf", &w->throughput, &w->latency, &w->balance,
               &w->switching) != 4
        || !(w->throughput >= 0 && w->latency >= 0 && w->balance >= 0
             && w->switching >= 0)) {
        ovs_fatal(0, "--weights: \"%s\" is not four numbers >= 0, separated "
                  "by commas", s);
    }
}

/* "SECONDS:HZ,SECONDS:HZ..." */
static void
parse_interrupts(const char *list, struct sim_params *sim)
{
    char *copy = xstrdup(list), *save = NULL;

    sim->n_interrupts = 0;
    for (char *s = strtok_r(copy, ",", &save); s;
         s = strtok_r(NULL, ",", &save)) {
        struct sim_interrupt *i = &sim->interrupts[sim->n_interrupts];
        int n = 0;

        if (sim->n_interrupts >= SIM_MAX_INTERRUPTS) {
            ovs_fatal(0, "--interrupts: more than %d kinds",
                      SIM_MAX_INTERRUPTS);
        }
        if (sscanf(s, "%lf:%lf%n", &i->s, &i->hz, &n) != 2 || s[n]
            || !(i->s >= 0 && i->s <= 1 && i->hz >= 0 && i->hz <= 1e6)) {
            ovs_fatal(0, "--interrupts: \"%s\" is not SECONDS:HZ", s);
        }
        sim->n_interrupts++;
    }
    free(copy);
}

static void
parse_option(struct args *a, int c, const char *name)
{
    struct train_options *t = &a->train;
    char *error;

    switch (c) {
    case OPT_SEED: t->seed = opt_number(name, optarg, 0, 9e15); break;
    case OPT_MINUTES: t->minutes = opt_number(name, optarg, 0, 1e6); break;
    case OPT_GENERATIONS:
        t->generations = opt_number(name, optarg, 1, 1e6);
        break;
    case OPT_THREADS: t->threads = opt_number(name, optarg, 1, 1024); break;
    case OPT_PAIRS: t->pairs = opt_number(name, optarg, 1, 1000); break;
    case OPT_SCENARIOS:
        t->scenarios = opt_number(name, optarg, 1, 1000);
        break;
    case OPT_RESUME: t->resume = optarg; break;
    case OPT_OUT: t->out = optarg; break;
    case OPT_CURVE: t->curve = optarg; break;
    case OPT_PCAP: traces_add_pcap(&t->traces, optarg); break;
    case OPT_DUMP: traces_add_dump(&t->traces, optarg); break;
    case OPT_RATES: traces_add_rates(&t->traces, optarg); break;
    case OPT_FLOWS:
        t->sim.trace_flows = opt_number(name, optarg, 0, 1e9);
        break;
    case OPT_INSTALL_NS:
        t->sim.install_ns = opt_number(name, optarg, 0, 1e6);
        break;
    case OPT_PACKETS: t->sim.packets = true; break;
    case OPT_POLL_NS: t->sim.poll_ns = opt_number(name, optarg, 0, 1e6); break;
    case OPT_AFTER_NS:
        t->sim.after_ns = opt_number(name, optarg, 0, 1e6);
        break;
    case OPT_JITTER_NS:
        t->sim.jitter_ns = opt_number(name, optarg, 0, 1e6);
        break;
    case OPT_INTERRUPTS: parse_interrupts(optarg, &t->sim); break;
    case OPT_WARMUP:
        t->sim.warmup_s = opt_number(name, optarg, 0, 3600);
        break;
    case OPT_SERVICE_NS:
        t->sim.packet_ns = opt_number(name, optarg, 1, 1e6);
        break;
    case OPT_BATCH_NS:
        t->sim.batch_ns = opt_number(name, optarg, 0, 1e6);
        break;
    case OPT_RING: t->sim.ring = opt_number(name, optarg, 32, 1e6); break;
    case OPT_LOAD:
        t->sim.load = opt_number(name, optarg, 0.01, 10);
        a->load_given = true;
        break;
    case OPT_DURATION:
        t->sim.duration_s = opt_number(name, optarg, 1, 3600);
        a->duration_given = true;
        break;
    case OPT_POLICY: a->policy = optarg; break;
    case OPT_MODEL:
        free(a->model);
        if (!steer_model_load(optarg, &a->model, &error)) {
            ovs_fatal(0, "%s", error);
        }
        break;
    case OPT_CORES: a->cores = optarg; break;
    case OPT_BUCKETS: a->buckets = opt_number(name, optarg, 2, 65536); break;
    case OPT_TRAFFIC: a->traffic = optarg; break;
    case OPT_REPEATS: a->repeats = opt_number(name, optarg, 1, 1000); break;
    case OPT_CALLS: a->calls = opt_number(name, optarg, 100, 1e9); break;
    case OPT_WEIGHTS: parse_weights(optarg, &t->weights); break;
    case OPT_NO_GUARD: a->no_guard = true; break;
    case OPT_LEARN: a->learn = true; break;
    case OPT_COLD: t->sim.warm = false; break;
    case OPT_QUIET: t->quiet = true; break;
    case 'h': usage(); break;
    case 'V': ovs_print_version(0, 0); exit(EXIT_SUCCESS);
    default: exit(EXIT_FAILURE);
    }
}

static void
args_init(struct args *a)
{
    struct steer_weights w = STEER_WEIGHTS_DEFAULT;
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

    memset(a, 0, sizeof *a);
    a->train.seed = 1;
    a->train.generations = 150;
    a->train.threads = n_cpus > 0 ? n_cpus : 1;
    a->train.pairs = 16;
    a->train.scenarios = 12;
    a->train.out = "steering.policy";
    a->train.weights = w;
    sim_params_init(&a->train.sim);
    a->train.sim.load = 0.85;
    a->traffic = "all";
    a->repeats = 3;
    a->calls = 200000;
    a->train.quiet = !isatty(STDERR_FILENO);
}

static void
cmd_eval(struct args *a)
{
    struct eval_options e = {
        .seed = a->train.seed, .threads = a->train.threads,
        .repeats = a->repeats,
        .policies = a->policy ? a->policy : "static,rsspp,lpt,rl",
        .cores = a->cores ? a->cores : "2,4,8,16,32,64",
        .traffic = a->traffic, .model = a->model, .sim = a->train.sim,
        .weights = a->train.weights, .traces = a->train.traces,
        .guard = !a->no_guard, .learn = a->learn, .quiet = a->train.quiet,
    };

    e.sim.n_buckets = a->buckets;
    eval_run(&e);
}

static void
cmd_decide(struct args *a)
{
    struct decide_options d = {
        .seed = a->train.seed, .policy = a->policy ? a->policy : "rl",
        .model = a->model, .calls = a->calls,
        .cores = (a->cores
                  ? opt_number("cores", a->cores, 2, STEER_MAX_CORES) : 8),
        .buckets = a->buckets ? a->buckets : 512,
    };

    decide_run(&d);
}

static void
cmd_record(struct args *a)
{
    struct steer_config config;
    struct sim_params sim = a->train.sim;
    struct sim_result result;
    struct steer_dump dump;
    char *error;

    steer_config_init(&config);
    config.w = a->train.weights;
    config.model = a->model;
    config.guard = !a->no_guard;
    config.learn = a->learn;
    struct steer_policy *policy = steer_policy_create(
        a->policy ? a->policy : "rsspp", &config, &error);
    if (!policy) {
        ovs_fatal(0, "%s", error);
    }

    sim.n_cores = (a->cores
                   ? opt_number("cores", a->cores, 2, STEER_MAX_CORES) : 4);
    sim.n_buckets = a->buckets ? a->buckets : 128;
    sim.seed = a->train.seed;
    const char *name = strcmp(a->traffic, "all") ? a->traffic : "mix";
    const struct sim_family *family = sim_family_find(name);
    if (!family) {
        ovs_fatal(0, "no traffic family is named \"%s\"", name);
    }
    struct sim_traffic_params tp = {
        .n_cores = sim.n_cores, .n_buckets = sim.n_buckets,
        .core_pps = sim_core_pps(&sim), .load = sim.load,
        .tick_s = sim.tick_s, .duration_s = sim.duration_s, .seed = sim.seed,
    };
    steer_dump_init(&dump, stdout);
    sim_run(&sim, sim_traffic_create(family, &tp), policy, &config.w,
            TRAIN_MAX_MOVES, &dump, &result);
    steer_dump_uninit(&dump);
    steer_policy_destroy(policy);
}

static void
cmd_policy_info(const char *path, bool init, uint64_t seed)
{
    struct steer_model *loaded = NULL;
    const struct steer_model *m;
    char *error;

    if (init) {
        struct steer_model fresh;
        int retval;

        steer_model_init(&fresh, seed);
        retval = steer_model_save(&fresh, path);
        if (retval) {
            ovs_fatal(retval, "%s: cannot write", path);
        }
        return;
    }
    if (path) {
        if (!steer_model_load(path, &loaded, &error)) {
            ovs_fatal(0, "%s", error);
        }
    }
    m = path ? loaded : steer_model_default();
    if (!m) {
        ovs_fatal(0, "this build carries no policy");
    }

    double norm2 = 0;
    for (size_t i = 0; i < STEER_N_WEIGHTS; i++) {
        norm2 += m->weights[i] * m->weights[i];
    }
    printf("version %d, shape %d-%d-%d-1, %d weights (norm %.3f)\n"
           "seed %"PRIu64", %"PRIu32" generations: %s\n"
           "uncertain below %g, drift limit %g\n",
           STEER_MODEL_VERSION, STEER_N_FEATURES, STEER_N_H1, STEER_N_H2,
           STEER_N_WEIGHTS, sqrt(norm2), m->seed, m->generations, m->config,
           m->uncertain, m->drift_limit);
    free(loaded);
}

static void
cmd_dump_info(const char *path)
{
    struct traces traces = { .n = 0 };

    traces_add_dump(&traces, path);
    printf("%s: %"PRIuSIZE" decisions, %"PRIuSIZE" buckets\n", path,
           traces.traces[0].n_ticks, traces.traces[0].n_buckets);
    traces_destroy(&traces);
}

int
main(int argc, char *argv[])
{
    struct args a;
    int idx = 0, c;

    ovs_set_program_name(argv[0], OVS_EXT_VERSION);

    /* Open vSwitch's handlers wait for a poll loop, which there is none of
     * here.  Interrupting is safe: files are replaced atomically. */
    fatal_signal_init();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);

    args_init(&a);
    while ((c = getopt_long(argc, argv, "hV", options, &idx)) != -1) {
        parse_option(&a, c, c >= OPT_SEED ? options[idx].name : "");
    }

    argc -= optind;
    argv += optind;
    if (!argc) {
        ovs_fatal(0, "no command given; use --help for help");
    }
    bool many = !strcmp(argv[0], "dump-info");
    bool one = !strcmp(argv[0], "policy-info");
    if (!many && argc > (one ? 2 : 1)) {
        ovs_fatal(0, "%s: too many arguments", argv[0]);
    }
    if (!strcmp(argv[0], "train")) {
        train_run(&a.train);
    } else if (!strcmp(argv[0], "eval")) {
        cmd_eval(&a);
    } else if (!strcmp(argv[0], "decide")) {
        cmd_decide(&a);
    } else if (!strcmp(argv[0], "record")) {
        cmd_record(&a);
    } else if (one) {
        cmd_policy_info(argc > 1 ? argv[1] : NULL, false, 0);
    } else if (!strcmp(argv[0], "init")) {
        cmd_policy_info(a.train.out, true, a.train.seed);
    } else if (many) {
        if (argc < 2) {
            ovs_fatal(0, "dump-info: no file given");
        }
        for (int i = 1; i < argc; i++) {
            cmd_dump_info(argv[i]);
        }
    } else {
        ovs_fatal(0, "unknown command \"%s\"; use --help for help", argv[0]);
    }
    traces_destroy(&a.train.traces);
    free(a.model);
    return 0;
}
