# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Policies in simulation, 2 to 64 cores; see ovs-ext-train(1)."""

import json
import subprocess
import sys

from bench import plot
from bench.lab import say, selected


def run(args):
    say("policy: simulating, about two minutes")
    lines = []
    with subprocess.Popen([args.trainer, "eval", "--cores=2,4,8,16,32,64",
                           "--policy=static,rsspp,lpt,rl", "--traffic=all",
                           "--repeats=2", "--duration=0.6"],
                          stdout=subprocess.PIPE,
                          universal_newlines=True) as trainer:
        for text in trainer.stdout:
            line = dict({"bench": "policy"}, **json.loads(text))
            if selected(args, **line):
                lines.append(line)
                print(json.dumps(line))
                sys.stdout.flush()
    if args.plot and lines:
        names = sorted({l["policy"] for l in lines})
        cores = sorted({l["cores"] for l in lines})

        def mean(policy, n):
            values = [l["imbalance"] for l in lines
                      if l["policy"] == policy and l["cores"] == n]
            return 100 * sum(values) / len(values) if values else None

        plot.groups(args, "policy", names,
                    [("%d cores" % n, [mean(p, n) for p in names])
                     for n in cores], "mean imbalance, %", log=True)
    return trainer.returncode
