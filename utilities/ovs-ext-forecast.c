/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-forecast: forecasts a series of numbers.  See
 * ovs-ext-forecast(1). */

#include <config.h>
#include "utilities/ovs-ext-forecast.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/util.h"
#include "ovs-ext-config.h"
#include "util.h"
#include "utilities/option.h"

#define MAX_HORIZONS 8
#define GUESS_MAX 400           /* Longest season that "auto" finds. */

enum {
    OPT_SEASON = 256, OPT_HORIZON, OPT_MODELS, OPT_COLUMN, OPT_MIN, OPT_MAX,
    OPT_COVERAGE, OPT_EACH, OPT_EVALUATE, OPT_NAME, OPT_GENERATE, OPT_SAMPLES,
    OPT_SEED, OPT_LIST,
};

static const struct option options[] = {
    {"season", required_argument, NULL, OPT_SEASON},
    {"horizon", required_argument, NULL, OPT_HORIZON},
    {"models", required_argument, NULL, OPT_MODELS},
    {"column", required_argument, NULL, OPT_COLUMN},
    {"min", required_argument, NULL, OPT_MIN},
    {"max", required_argument, NULL, OPT_MAX},
    {"coverage", required_argument, NULL, OPT_COVERAGE},
    {"each", no_argument, NULL, OPT_EACH},
    {"evaluate", no_argument, NULL, OPT_EVALUATE},
    {"name", required_argument, NULL, OPT_NAME},
    {"generate", required_argument, NULL, OPT_GENERATE},
    {"samples", required_argument, NULL, OPT_SAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"list", no_argument, NULL, OPT_LIST},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void
usage(void)
{
    printf("%s: forecasts a series of numbers\n"
           "usage: %s [OPTION]... [FILE]\n"
           "where FILE (or standard input) has a sample a line, or columns\n"
           "separated by commas, semicolons or white space.\n"
           "\nForecast:\n"
           "  --season=N[,M]     samples a season, and a longer one;\n"
           "                     \"auto\": look for one (default: none)\n"
           "  --horizon=H        samples ahead (default: 1)\n"
           "  --models=LIST      candidates (default: all)\n"
           "  --min=X, --max=X   bounds of the series\n"
           "  --coverage=P       of intervals, 0.5 to 0.99 (default: 0.9)\n"
           "  --column=N         of the samples (default: the last)\n"
           "  --each             print after each sample, as it comes\n"
           "\nEvaluation:\n"
           "  --evaluate         print how good each model would have been,\n"
           "                     as JSON lines; --horizon may be a list\n"
           "  --name=NAME        of the series in there\n"
           "\nMade-up series:\n"
           "  --list             print the families\n"
           "  --generate=FAMILY  print such a series, or evaluate on it\n"
           "  --samples=N        its length (default: 3000)\n"
           "  --seed=N           of everything random (default: 1)\n"
           "\nOther options:\n"
           "  -h, --help         display this help message\n"
           "  -V, --version      display version information\n",
           program_name, program_name);
    exit(EXIT_SUCCESS);
}

/* All options of the command line. */
struct args {
    struct forecast_config config;
    size_t horizons[MAX_HORIZONS];
    size_t n_horizons;
    bool guess_season, season_given;
    bool each, evaluate;
    size_t column;              /* 1 is the first; 0 for the last. */
    const char *name;
    const struct family *family;
    size_t samples;
};

/* Series. */

struct reader {
    FILE *file;
    const char *name;
    size_t column;              /* 1 is the first; 0 for the last. */
    char *line;
    size_t room;
    size_t number;              /* Of lines so far. */
};

void
samples_add(struct samples *s, double x)
{
    if (s->n >= s->allocated) {
        s->v = x2nrealloc(s->v, &s->allocated, sizeof *s->v);
    }
    s->v[s->n++] = x;
}

void
samples_uninit(struct samples *s)
{
    free(s->v);
}

/* Finds field 'column' of 'line' (0: the last), and cuts it out.  Returns null
 * if there is none. */
static char *
field(char *line, size_t column)
{
    char *found = NULL, *save = NULL;
    size_t i = 0;

    for (char *p = strtok_r(line, ",; \t\r\n", &save); p;
         p = strtok_r(NULL, ",; \t\r\n", &save)) {
        i++;
        if (!column || i == column) {
            found = p;
        }
    }
    return found;
}

static bool
is_missing(const char *s)
{
    return (!strcasecmp(s, "na") || !strcasecmp(s, "nan") || !strcmp(s, "-")
            || !strcmp(s, "?") || !strcasecmp(s, "null"));
}

/* Opens file 'path' (null: standard input), with samples in 'column' as for
 * field(). */
static void
reader_open(struct reader *r, const char *path, size_t column)
{
    *r = (struct reader) {
        .file = path ? fopen(path, "r") : stdin,
        .name = path ? path : "standard input",
        .column = column,
    };
    if (!r->file) {
        ovs_fatal(errno, "%s", path);
    }
}

/* Stores the next sample in '*x', NaN if it is missing.  Returns false at the
 * end.  The first line may be a heading; another that is no number ends the
 * program. */
static bool
reader_next(struct reader *r, double *x)
{
    while (getline(&r->line, &r->room, r->file) >= 0) {
        char *text = r->line[0] == '#' ? NULL : field(r->line, r->column);
        char *end;

        r->number++;
        if (!text) {
            continue;
        }
        *x = strtod(text, &end);
        if (end != text && !*end) {
            return true;
        } else if (is_missing(text)) {
            *x = NAN;
            return true;
        } else if (r->number > 1) {
            ovs_fatal(0, "%s:%"PRIuSIZE": \"%s\" is not a number", r->name,
                      r->number, text);
        }
    }
    if (ferror(r->file)) {
        ovs_fatal(errno, "%s", r->name);
    }
    return false;
}

static void
reader_close(struct reader *r)
{
    free(r->line);
    if (r->file != stdin) {
        fclose(r->file);
    }
}

static void
samples_read(struct samples *s, struct reader *r)
{
    double x;

    while (reader_next(r, &x)) {
        samples_add(s, x);
    }
}

/* Options. */

/* Parses numbers separated by commas.  Returns how many. */
static size_t
list(const char *option, const char *s, double min, double max, size_t *out,
     size_t room)
{
    char *copy = xstrdup(s), *save = NULL;
    size_t n = 0;

    for (char *p = strtok_r(copy, ",", &save); p;
         p = strtok_r(NULL, ",", &save)) {
        if (n == room) {
            ovs_fatal(0, "--%s: \"%s\" has more than %"PRIuSIZE" numbers",
                      option, s, room);
        }
        out[n++] = opt_number(option, p, min, max);
    }
    if (!n) {
        ovs_fatal(0, "--%s: there is no number", option);
    }
    free(copy);
    return n;
}

static uint32_t
parse_models(const char *s)
{
    char *copy = xstrdup(s), *save = NULL;
    uint32_t models = 0;

    for (char *p = strtok_r(copy, ",", &save); p;
         p = strtok_r(NULL, ",", &save)) {
        enum forecast_model model;

        if (!forecast_model_from_name(p, &model)) {
            ovs_fatal(0, "--models: there is no \"%s\"", p);
        }
        models |= FORECAST_BIT(model);
    }
    free(copy);
    return models;
}

static void
list_families(void)
{
    for (const struct family *f = families; f->name; f++) {
        printf("%s\t%"PRIuSIZE",%"PRIuSIZE"\t%s\n", f->name, f->season,
               f->season2, f->what);
    }
    exit(EXIT_SUCCESS);
}

static void
parse_option(struct args *a, int c, const char *name)
{
    size_t season[2] = { 0, 0 };

    switch (c) {
    case OPT_SEASON:
        a->guess_season = !strcmp(optarg, "auto");
        if (!a->guess_season) {
            list(name, optarg, 0, FORECAST_MAX_SEASON, season, 2);
        }
        a->season_given = true;
        a->config.season = season[0];
        a->config.season2 = season[1];
        break;
    case OPT_HORIZON:
        a->n_horizons = list(name, optarg, 1, FORECAST_MAX_HORIZON,
                             a->horizons, MAX_HORIZONS);
        break;
    case OPT_MODELS: a->config.models = parse_models(optarg); break;
    case OPT_COLUMN: a->column = opt_number(name, optarg, 1, 1e6); break;
    case OPT_MIN: a->config.min = opt_number(name, optarg, -1e30, 1e30); break;
    case OPT_MAX: a->config.max = opt_number(name, optarg, -1e30, 1e30); break;
    case OPT_COVERAGE:
        a->config.coverage = opt_number(name, optarg, 0.5, 0.99);
        break;
    case OPT_EACH: a->each = true; break;
    case OPT_EVALUATE: a->evaluate = true; break;
    case OPT_NAME: a->name = optarg; break;
    case OPT_GENERATE:
        a->family = family_find(optarg);
        if (!a->family) {
            ovs_fatal(0, "--generate: there is no family \"%s\"; --list "
                      "prints them", optarg);
        }
        break;
    case OPT_SAMPLES: a->samples = opt_number(name, optarg, 1, 1e7); break;
    case OPT_SEED: a->config.seed = opt_number(name, optarg, 0, 9e15); break;
    case OPT_LIST: list_families(); break;
    case 'h': usage(); break;
    case 'V': ovs_print_version(0, 0); exit(EXIT_SUCCESS);
    default: exit(EXIT_FAILURE);
    }
}

/* Work. */

static void
guess_season(struct args *a, const struct samples *s)
{
    double *v = xcalloc(s->n + 1, sizeof *v);
    double last = 0;

    for (size_t i = 0; i < s->n; i++) {
        last = v[i] = isfinite(s->v[i]) ? s->v[i] : last;
    }
    a->config.season = forecast_guess_season(v, s->n, GUESS_MAX);
    free(v);
    fprintf(stderr, "%s: season: %"PRIuSIZE"\n", program_name,
            a->config.season);
}

static void
run_evaluation(const struct args *a, const struct samples *s,
               const char *name)
{
    struct evaluation e = {
        .series = a->name ? a->name : name, .samples = s, .config = a->config,
        .horizons = a->horizons, .n_horizons = a->n_horizons,
    };

    if (s->n < 20) {
        ovs_fatal(0, "%"PRIuSIZE" samples are too few to evaluate", s->n);
    }
    evaluate(&e);
}

static void
print_forecasts(const struct forecast *f, size_t from, size_t to)
{
    for (size_t h = from; h <= to; h++) {
        struct forecast_value v;

        forecast_get(f, h, &v);
        printf("%"PRIuSIZE"\t%.9g\t%.9g\t%.9g\t%s%s\n", h, v.mean, v.lo,
               v.hi, forecast_model_name(v.model),
               forecast_changed(f) ? "\tchange" : "");
    }
}

/* Adds 'x' and prints what is wanted after each sample. */
static void
add_sample(const struct args *a, struct forecast *f, struct forecast_fit *fit,
           double x)
{
    forecast_update(f, x);
    forecast_refit(f, fit);
    if (a->each && forecast_n_samples(f)) {
        print_forecasts(f, a->config.horizon, a->config.horizon);
        fflush(stdout);
    }
}

/* Forecasts 's', then what 'r' (null: nothing) has. */
static void
forecast(const struct args *a, const struct samples *s, struct reader *r)
{
    struct forecast *f = forecast_create(&a->config, NULL);
    struct forecast_fit *fit = forecast_fit_create();
    double x;

    printf("# ahead\tmean\tlow\thigh\tmodel\n");
    for (size_t i = 0; i < s->n; i++) {
        add_sample(a, f, fit, s->v[i]);
    }
    while (r && reader_next(r, &x)) {
        add_sample(a, f, fit, x);
    }
    if (!forecast_n_samples(f)) {
        ovs_fatal(0, "there is no sample to start from");
    }
    if (!a->each) {
        print_forecasts(f, 1, a->config.horizon);
    }
    forecast_fit_destroy(fit);
    forecast_destroy(f);
}

static void
run_family(struct args *a)
{
    struct samples s = { .n = 0 };

    a->family->make(&s, a->samples, a->config.seed);
    if (!a->season_given) {
        a->config.season = a->family->season;
        a->config.season2 = a->family->season2;
    } else if (a->guess_season) {
        guess_season(a, &s);
    }
    if (a->evaluate) {
        run_evaluation(a, &s, a->family->name);
    } else {
        for (size_t i = 0; i < s.n; i++) {
            printf("%.9g\n", s.v[i]);
        }
    }
    samples_uninit(&s);
}

static void
run_file(struct args *a, const char *path)
{
    struct samples s = { .n = 0 };
    struct reader r;

    reader_open(&r, path, a->column);
    if (a->guess_season || a->evaluate) {
        samples_read(&s, &r);
    }
    if (a->guess_season) {
        guess_season(a, &s);
    }
    if (a->evaluate) {
        run_evaluation(a, &s, path ? path : "-");
    } else {
        forecast(a, &s, &r);
    }
    reader_close(&r);
    samples_uninit(&s);
}

int
main(int argc, char *argv[])
{
    struct args a = { .n_horizons = 1, .horizons = { 1 }, .samples = 3000 };
    char *error;
    int idx = 0, c;

    ovs_set_program_name(argv[0], OVS_EXT_VERSION);
    forecast_config_init(&a.config);
    while ((c = getopt_long(argc, argv, "hV", options, &idx)) != -1) {
        parse_option(&a, c, c >= OPT_SEASON ? options[idx].name : "");
    }
    argc -= optind;
    argv += optind;
    if (argc > 1) {
        ovs_fatal(0, "more than one file; use --help for help");
    }
    a.config.horizon = a.horizons[a.n_horizons - 1];
    if (!forecast_config_check(&a.config, &error)) {
        ovs_fatal(0, "%s", error);
    }
    if (a.family) {
        run_family(&a);
    } else {
        run_file(&a, argc ? argv[0] : NULL);
    }
    return 0;
}
