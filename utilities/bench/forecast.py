# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Forecasts, on measured series and on made-up ones; see ovs-ext-forecast(1).

Rolling origin: each sample is forecast before it is seen, the first fifth (at
least two seasons) is warm-up and not scored.  "mase" is the mean absolute
error divided by that of last-value one sample ahead in the warm-up (Hyndman
and Koehler, 2006), so at longer horizons more than 1 is no failure;
"vs_last_value" and "vs_seasonal_naive" divide by the error of those forecasts
at the same horizon on the same samples.  "ns_per_update" leaves out refits,
which are in "ns_per_refit"."""

import glob
import json
import os
import subprocess
import sys

from bench import plot
from bench.lab import emit, fail, say, selected

SEEDS = (101, 102, 103)         # Not those that settings were chosen on.
# Of these nothing, or next to nothing, can be known one sample ahead.
HOPELESS = ("random-walk", "rough-day")


def measured():
    """(name, path, seasons) of measured series, which are not part of the
    source tree: in $OVS_EXT_DATA or beside it."""
    top = os.environ.get("OVS_EXT_DATA") or os.path.join(
        os.path.dirname(os.path.realpath(__file__)), "../../../shared/data")
    series = []
    for path in sorted(glob.glob(os.path.join(top, "series", "*.csv"))):
        name = os.path.splitext(os.path.basename(path))[0]
        if "hour" in name:
            seasons = ("24", "24,168")
        elif "daily" in name or "day" in name:
            seasons = ("7",)
        elif "5min" in name or "five-min" in name:
            seasons = ("288", "288,2016")
        else:
            seasons = ("auto",)
        series += [(name + "/" + s.replace(",", "+"), path, s)
                   for s in seasons]
    return series


def families(args):
    out = subprocess.run([args.forecaster, "--list"], check=True,
                         stdout=subprocess.PIPE, universal_newlines=True)
    for line in out.stdout.splitlines():
        name, season, _ = line.split("\t")
        yield name, int(season.split(",")[0])


def runs(args):
    """The arguments of each run of ovs-ext-forecast."""
    found = measured()
    if not found:
        say("forecast: no measured series here (OVS_EXT_DATA), made-up only")
    for name, path, season in found:
        yield name, ["--season=" + season, "--horizon=1,6,24", path]
    for name, season in families(args):
        for seed in SEEDS:
            yield "%s#%d" % (name, seed), [
                "--generate=" + name, "--seed=%d" % seed,
                "--horizon=1,%d" % (min(season, 24) if season else 6)]


def evaluate(args, name, argv):
    done = subprocess.run([args.forecaster, "--evaluate", "--name=" + name]
                          + argv, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        fail("ovs-ext-forecast %s: %s" % (" ".join(argv),
                                          done.stderr.strip()))
    lines = []
    for text in done.stdout.splitlines():
        line = dict({"bench": "forecast"}, **json.loads(text))
        if selected(args, **line):
            lines.append(line)
            emit(line)
    return lines


def summary(lines):
    """Says what holds, and names every series for which it does not."""
    auto = [l for l in lines if l["model"] == "auto"]
    near = [l for l in auto if l["horizon"] == 1]
    some = [l for l in auto if l["series"].split("#")[0]
            not in HOPELESS]

    def check(what, rows, holds):
        bad = ["%(series)s h=%(horizon)d mase=%(mase)s vs-last="
               "%(vs_last_value)s vs-seasonal=%(vs_seasonal_naive)s "
               "coverage=%(coverage90)s" % l for l in rows if not holds(l)]
        say("%s: %d of %d" % (what, len(rows) - len(bad), len(rows)))
        for text in bad:
            say("    not " + text)

    check("auto, horizon 1, MASE < 1", near,
          lambda l: l["mase"] is not None and l["mase"] < 1)
    check("auto, horizon 1, seasonal series, MASE < 0.8",
          [l for l in near if l["season"]],
          lambda l: l["mase"] is not None and l["mase"] < 0.8)
    check("auto better than last-value, any horizon", auto,
          lambda l: (l["vs_last_value"] or 0) < 1)
    check("auto better than seasonal-naive, any horizon",
          [l for l in auto if l["season"]],
          lambda l: (l["vs_seasonal_naive"] or 0) < 1)
    check("90 % intervals hold 85 to 95 %", auto,
          lambda l: 0.85 <= l["coverage90"] <= 0.95)
    say("of %d series, %d (%s) cannot be predicted one ahead by anything"
        % (len({l["series"] for l in auto}),
           len({l["series"] for l in auto} - {l["series"] for l in some}),
           ", ".join(HOPELESS)))
    times = sorted(l["ns_per_update"] for l in near)
    if times:
        say("auto, horizon 1: %d to %d ns/update, median %d"
            % (times[0], times[-1], times[len(times) // 2]))


def draw(args, lines):
    """Error of a few models for each series or family, 1 ahead."""
    near = [l for l in lines if l["horizon"] == 1]
    names = [n for n in ("auto", "seasonal-naive", "holt-winters", "ar", "mlp")
             if any(l["model"] == n for l in near)]
    rows = []
    for series in dict.fromkeys(l["series"].split("#")[0] for l in near):
        row = ['"%s"' % series[-22:]]
        for name in names:
            v = [l["vs_last_value"] for l in near if l["model"] == name
                 and l["series"].split("#")[0] == series
                 and l["vs_last_value"] is not None]
            row.append("%g" % (sum(v) / len(v)) if v else "NaN")
        rows.append(" ".join(row))
    bars = ", ".join("$d using %d:xtic(1) title %s" % (i + 2, plot.quote(n))
                     for i, n in enumerate(names))
    plot.draw(args, "forecast", "set ylabel %s\nset style data histograms\n"
              "set style fill solid 0.7\nset xtics rotate by -40\n"
              "set yrange [0:1.6]\nset key outside top center horizontal\n"
              "$d << E\n%s\nE\nplot 1 with lines lc 'black' title "
              "'last-value', %s"
              % (plot.quote("error / that of last-value, 1 ahead"),
                 "\n".join(rows), bars))


def run(args):
    say("forecast: evaluating, about half a minute")
    lines = []
    for name, argv in runs(args):
        if selected(args, series=name):
            lines += evaluate(args, name, argv)
            sys.stdout.flush()
    summary(lines)
    if args.plot and lines:
        draw(args, lines)
    return 0
