# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Migrations predicted on simulated fleets (ovs-ext/session/tpam-sim.h), with
seeds that the weights were trained on and seeds that were held out, beside
"hint everything" and "hint on overload only".

A fleet of "diurnal" has about two migrations a seed, so it takes many seeds to
tell 0.8 from 0.7: "precision_low" and "recall_low" are the lower ends of 95 %
intervals (Wilson's)."""

import concurrent.futures
import json
import os
import subprocess

from bench import plot
from bench.lab import emit, fail, say, selected

SCENARIOS = ("rolling-drain", "hot-host", "diurnal", "noisy-neighbour")
POLICIES = ("tpam", "everything", "overload-only")
# First and last seed; the former were trained on.
SEEDS = ((1, 6), (301, 348))


def wilson_low(share, n):
    """The lower end of the 95 % interval of a share of 'n'."""
    z = 1.96
    if not n:
        return 0.0
    middle = share + z * z / (2 * n)
    width = z * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5
    return max((middle - width) / (1 + z * z / n), 0.0)


def judge(args, scenario, policy, first, last):
    done = subprocess.run(
        [args.predictor, "run", scenario, policy, str(first), str(last)],
        stdout=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        fail("migration-predict: %s failed" % args.predictor)
    line = json.loads(done.stdout)
    line["precision_low"] = wilson_low(line["precision"], line["hints"])
    line["recall_low"] = wilson_low(line["recall"], line["migrations"])
    return line


def run(args):
    wanted = [(scenario, policy) + seeds for seeds in SEEDS
              for scenario in SCENARIOS for policy in POLICIES
              if selected(args, scenario=scenario, policy=policy,
                          heldout=str(seeds != SEEDS[0]).lower())]
    lines = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(lambda what: judge(args, *what), wanted):
            lines.append(line)
            emit(line)
            say("migration-predict: %(scenario)s, %(policy)s, "
                "%(seeds)d seeds" % line)
    if args.plot and lines:
        held = [l for l in lines if l["heldout"]]
        plot.groups(args, "migration-predict", ["precision", "recall"],
                    [("%(scenario)s %(policy)s" % l,
                      [l["precision"], l["recall"]]) for l in held],
                    "share")
    return 0
