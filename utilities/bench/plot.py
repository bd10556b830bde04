# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Plots, drawn by gnuplot."""

import os
import shutil
import subprocess

from bench.lab import say


def draw(args, name, script):
    """Runs gnuplot on 'script', which plots to NAME.png.  Returns the path, or
    None if there is no gnuplot."""
    path = os.path.join(args.output_dir, name + ".png")
    if not shutil.which("gnuplot"):
        say("no plot: gnuplot is not installed")
        return None
    done = subprocess.run(["gnuplot"], input="set terminal pngcairo size "
                          "1000,600\nset output '%s'\nset grid\n%s"
                          % (path, script), stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode:
        say("no plot: gnuplot: " + done.stderr.strip())
        return None
    say("plot: " + path)
    return path


def quote(text):
    return "'%s'" % str(text).replace("'", "''")


def bars(args, name, rows, ylabel, log=False):
    """A bar for each of 'rows', pairs of a title and a number."""
    data = "\n".join("%s %g" % (quote(t).replace("'", '"'), v)
                     for t, v in rows)
    return draw(args, name, "set ylabel %s\nset style fill solid 0.6\n"
                "set boxwidth 0.7\nset xtics rotate by -40\n%s"
                "$d << E\n%s\nE\nplot $d using 0:2:xtic(1) with boxes notitle"
                % (quote(ylabel), "set logscale y\n" if log
                   else "set yrange [0:]\n", data))


def groups(args, name, titles, rows, ylabel, log=False):
    """Bars in groups: 'rows' are (group, [value for each of 'titles'])."""
    data = "\n".join('"%s" %s' % (g, " ".join(
        "%g" % v if v is not None else "NaN" for v in values))
        for g, values in rows)
    plots = ", ".join("$d using %d:xtic(1) title %s" % (i + 2, quote(t))
                      for i, t in enumerate(titles))
    return draw(args, name, "set ylabel %s\nset style data histograms\n"
                "set style fill solid 0.7\nset key outside\n%s"
                "$d << E\n%s\nE\nplot %s"
                % (quote(ylabel), "set logscale y\n" if log
                   else "set yrange [0:]\n", data, plots))


def lines(args, name, series, xlabel, panels):
    """Time series: 'series' maps a title to a list of tuples (x, y1, y2...);
    'panels' names each y."""
    blocks = []
    for i, (title, rows) in enumerate(series.items()):
        blocks.append("$d%d << E\n%s\nE" % (i, "\n".join(
            " ".join("%g" % v for v in row) for row in rows)))
    script = "\n".join(blocks) + "\nset multiplot layout %d,1\n" % len(panels)
    for n, (ylabel, log) in enumerate(panels):
        script += "set ylabel %s\n%s logscale y\n" % (
            quote(ylabel), "set" if log else "unset")
        script += "set xlabel %s\n" % quote(
            xlabel if n == len(panels) - 1 else "")
        script += "plot " + ", ".join(
            "$d%d using 1:%d with lines lw 2 title %s"
            % (i, n + 2, quote(t)) for i, t in enumerate(series)) + "\n"
    return draw(args, name, script + "unset multiplot")
