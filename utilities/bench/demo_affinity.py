# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo of affinity: two hosts with two accelerators each, a database and a
controller.  An accelerator of each host dies."""

import time

from bench.affinity import accelerator_of, gap_ms, is_off, is_on_other
from bench.fleet import Fleet, Host, wait_for
from bench.lab import pipeline_plain, say

RATE = 0.05                     # Mpps for each host.
HOSTS = (("host1", 0x1), ("host2", 0x2))


def title(text):
    print("\n%s\n%s" % (text, "-" * len(text)), flush=True)


def profiles(fleet):
    return fleet.ctl("--format=table", "--columns=host,network,class,pps,"
                     "packet_size,flows", "list", "Traffic_Profile")


def decisions(fleet):
    return fleet.ctl("--format=table", "--columns=host,network,class,"
                     "resource_name,score,reason", "list", "Affinity")


def start(args):
    fleet = Fleet(args)
    fleet.start_controller()
    hosts = []
    for name, mask in HOSTS:
        say("demo: starting %s" % name)
        host = Host(args, fleet, name, mask)
        host.ports(1, "scenario=balanced,flows=1000", pipeline_plain())
        host.accelerator()
        host.accelerator()
        host.join()
        hosts.append(host)
    return fleet, hosts


def strike(host):
    """Has the accelerator in use swallow all packets.  Returns the times until
    the traffic is off it and until it is at another, in ms."""
    accelerator = accelerator_of(host)
    host.inject(accelerator, "rx_stall=1")
    at = time.time()
    off = wait_for("direct way", lambda: is_off(host, accelerator)
                   and time.time(), step=0.005)
    moved = wait_for("another resource", lambda:
                     is_on_other(host, accelerator) and time.time(),
                     step=0.005)
    return accelerator, (off - at) * 1e3, (moved - at) * 1e3


def run(args):
    fleet, hosts = start(args)
    say("demo: traffic flows, profiles form")
    for host in hosts:
        host.start_traffic(RATE)
    for host in hosts:
        wait_for("instructions of " + host.name,
                 lambda: accelerator_of(host), 40)
    title("What hosts see, from ovs-ext-ctl list Traffic_Profile")
    print(profiles(fleet).rstrip())
    title("What the controller decides, and why")
    print(decisions(fleet).rstrip())
    title("What %s does, from ovs-appctl ext/affinity-show" % hosts[0].name)
    print(hosts[0].appctl("ext/affinity-show").rstrip())
    title("How: datapath flows of %s" % hosts[0].name)
    print(hosts[0].appctl("dpctl/dump-flows", "--names").rstrip())

    for host in hosts:
        host.stop_traffic()
        host.start_traffic(RATE)
    time.sleep(1)
    rows = []
    for host in hosts:
        say("demo: killing the accelerator in use on %s" % host.name)
        rows.append((host,) + strike(host))
    fleet.kill("onc")
    say("demo: killing the controller, then the other accelerator of %s"
        % hosts[0].name)
    last = accelerator_of(hosts[0])
    hosts[0].inject(last, "rx_stall=1")
    wait_for("direct way", lambda: is_off(hosts[0], last), step=0.005)
    time.sleep(1)
    title("Both accelerators of %s dead, no controller" % hosts[0].name)
    print(hosts[0].appctl("ext/affinity-show").rstrip())

    title("What it cost")
    print("%-6s %-8s %18s %18s %14s %10s %9s" % (
        "host", "died", "off it after (ms)", "elsewhere (ms)",
        "longest gap", "packets", "lost"))
    for host, accelerator, off, moved in rows:
        host.stop_traffic()
        stats = host.stats("--windows")
        print("%-6s %-8s %18.0f %18.0f %11.0f ms %10d %9d" % (
            host.name, accelerator, off, moved, longest_gap(stats),
            stats["offered"], stats["offered"] - stats["delivered"]))
    print("\nLost are the packets that were inside an accelerator when it "
          "died, or sent to it\nuntil that was noticed; %s lost two "
          "accelerators.  NICs and accelerators are a\nmodel; what is shown "
          "is the switch and its control." % hosts[0].name)
    for host in hosts:
        host.close()
    fleet.close()
    return 0


def longest_gap(stats):
    """The longest time without packets, in ms."""
    best, run_of = 0, []
    for w in stats["windows"]:
        if w["delivered"] < w["offered"] / 2:
            run_of.append(w)
            best = max(best, gap_ms({"windows": run_of}))
        else:
            run_of = []
    return best
