# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo of sessions: four hosts behind one address and real clients, hosts
drained, a backend moved and a host killed meanwhile, with and without the
session system."""

from bench.lab import say
from bench.session import watch
from bench.session_lab import SessionLab

# Event, what the table calls it.
EVENTS = (("drain2", "two of four hosts drained"),
          ("migrate", "a backend moved to another host, and back"),
          ("rotate-key", "gossip's key replaced"),
          ("partition", "hosts parted two and two for 4 s"),
          ("kill", "a host killed"))
STOCK_EVENTS = ("drain2", "migrate", "kill")


def title(text):
    print("\n%s\n%s" % (text, "-" * len(text)), flush=True)


def introduce(lab):
    """Shows what the hosts say about themselves."""
    host = lab.hosts[0]
    title("Who is there, from ovs-appctl ext/gossip-show at %s" % host.name)
    print(host.appctl("ext/gossip-show").rstrip())
    title("Sessions, from ovs-appctl ext/sessions-show at %s" % host.name)
    print("\n".join(line for line in
                    host.appctl("ext/sessions-show").splitlines()
                    if not line.startswith(("target", "tcp", "udp"))))
    title("How: some datapath flows of %s" % host.name)
    flows = [line for line in
             host.appctl("dpctl/dump-flows", "--names").splitlines()
             if "skb_priority" in line and "packets:0," not in line]
    for what in ("in_port(uplink)", "in_port(vxlan", "tnl_push",
                 "set(eth(dst="):
        print("\n".join([f for f in flows if what in f][:1]))


def events(args, mode, names):
    """Returns what became of the sessions in each event."""
    say("demo: starting four hosts, %s" % mode)
    lab = SessionLab(args, mode)
    lab.wait_ready()
    reports = {}
    for name in names:
        say("demo: %s, %s" % (mode, name))
        shown = (lambda: introduce(lab)) if mode == "ext" and not reports \
            else None
        reports[name] = watch(lab, name, before=shown)
        if name == "drain2":
            for host in lab.hosts[-2:]:
                lab.undrain(host)
        report = reports[name]
        say("demo: %d of %d sessions broken" % (report["broken"],
                                                report["sessions"]))
    lab.close()
    return reports


def outcome(report):
    if report is None:
        return "-"
    own = " (+ %d its own)" % report["own"] if report["own"] else ""
    return "%d of %d%s" % (report["broken"], report["sessions"], own)


def run(args):
    stock = events(args, "stock", STOCK_EVENTS)
    ext = events(args, "ext", [name for name, _ in EVENTS])
    title("What broke: connections and UDP sessions that were reset, stalled "
          "or garbled")
    print("%-42s %-22s %-22s %s" % ("event", "stock", "ext", "second hop"))
    for name, text in EVENTS:
        print("%-42s %-22s %-22s %.2f %%" % (
            text, outcome(stock.get(name)), outcome(ext[name]),
            100 * ext[name]["second_hop_share"]))
    print("\nSessions are connections that stay open, short ones, downloads "
          "with curl, iperf3 and\nUDP sessions, each checked byte by byte.  "
          "Without the session system each host gives\nwhat comes for the "
          "address to its own backend.  The killed host's own sessions end "
          "with it.")
    return 0
