# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Hosts of a fleet with real packets between them: each in a network namespace
of its own, backends in others, and a switch that connects the hosts.

    net = Net(args, fleet, 4)           # h1 to h4, 172.31.0.1 to .4
    net.tunnels(5)                      # br-int on each, VXLAN with key 5
    b1 = net.backend(net.hosts[0], "b1", "10.0.0.1/24")
    b2 = net.backend(net.hosts[1], "b2", "10.0.0.2/24")
    probe = Probe(b1, "10.0.0.2", 500)
    ...
    print(probe.stop())
    net.close()

All ports are DPDK's (af_packet), polled by one PMD thread a host, which sleeps
while there is no traffic.  A namespace lives as long as the processes in it,
so nothing is left of it.  tests/system-macros.at does the same for tests."""

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import types

from bench import probe
from bench.fleet import Host, wait_for
from bench.lab import fail
from bench.netns import Namespace, veth

MTU = 2000                      # Room for a tunnel's header...
INNER_MTU = 1400                # ...and what backends use.


class Probe:
    """Numbered packets from a namespace to 'address' and back."""

    def __init__(self, space, address, per_second):
        self.child = space.popen(sys.executable, probe.__file__, address,
                                 per_second, stdout=subprocess.PIPE)
        self.child.stdout.readline()

    def stop(self):
        """Returns what became of them, as described in probe.py."""
        self.child.send_signal(signal.SIGINT)
        out, _ = self.child.communicate(timeout=10)
        return json.loads(out.splitlines()[-1])


class NetHost(Host):
    """A host in a namespace, with one PMD thread on CPU 'core'."""

    plain_mb = 384

    def __init__(self, args, fleet, name, core, **other_config):
        self.namespace = Namespace(name)
        settings = {"pmd_maxsleep": 500}
        settings.update(other_config)
        # Hugepages are not for so many.
        args = types.SimpleNamespace(**dict(vars(args), no_huge=True))
        super().__init__(args, fleet, name, 1 << core, **settings)

    def in_namespace(self):
        return self.namespace.command()

    def bridge(self, name, *settings):
        self.vsctl("add-br", name, "--", "set", "bridge", name,
                   "datapath_type=netdev", *settings)

    def port(self, bridge, name, *settings):
        """Attaches interface 'name' of the namespace to a bridge."""
        self.vsctl("add-port", bridge, name, "--", "set", "Interface", name,
                   "type=dpdk", "options:dpdk-devargs=net_af_packet_%s,"
                   "iface=%s" % (name, name), *settings)
        error = self.vsctl("get", "Interface", name, "error").strip()
        if error != "[]":
            fail("%s: %s" % (name, error))

    def accelerator(self, *argv, bridge="br0", **kw):
        name = super().accelerator(*argv, bridge=bridge, **kw)
        # What is flooded to it would come back.
        self.tool("ovs-ofctl", "mod-port", "unix:%s/%s.mgmt"
                  % (self.dir, bridge), name, "no-flood")
        return name

    def close(self):
        super().close()
        self.namespace.close()


class Net:
    """Hosts h1, h2... and what connects them."""

    def __init__(self, args, fleet, n, **other_config):
        self.spaces = {}
        self.hosts = []
        atexit.register(self.close)
        self.fabric = Namespace("fabric")
        self.fabric.run("ip", "link", "add", "name", "sw", "mtu", MTU, "type",
                        "bridge")
        self.fabric.run("ip", "link", "set", "dev", "sw", "up")
        for i in range(n):
            self.add(NetHost(args, fleet, "h%d" % (i + 1),
                             i % (os.cpu_count() or 1), **other_config))

    def add(self, host):
        """Connects 'host' with the others by its bridge br-phy."""
        self.hosts.append(host)
        host.address = "172.31.0.%d" % len(self.hosts)
        veth(host.namespace, "uplink", self.fabric, host.name, MTU)
        self.fabric.run("ip", "link", "set", "dev", host.name, "master", "sw")
        host.bridge("br-phy")
        host.port("br-phy", "uplink")
        host.namespace.run("ip", "addr", "add", host.address + "/24", "dev",
                           "br-phy")
        host.namespace.run("ip", "link", "set", "dev", "br-phy", "mtu", MTU,
                           "up")
        host.mac = re.search(r"ether ([0-9a-f:]+)", host.namespace.run(
            "ip", "link", "show", "dev", "br-phy")).group(1)
        wait_for("route of " + host.name, lambda: "br-phy" in host.appctl(
            "ovs/route/lookup", host.address, check=False))

    def cut(self, host, off=True):
        """Pulls the host's cable, or puts it in again."""
        self.fabric.run("ip", "link", "set", "dev", host.name,
                        "down" if off else "up")

    def tunnels(self, key):
        """br-int on each host with a port to every other, MAC learning."""
        for host in self.hosts:
            host.bridge("br-int")
            for other in self.hosts:
                if other is host:
                    continue
                port = "to-" + other.name
                host.vsctl("add-port", "br-int", port, "--", "set", "Port",
                           port, "protected=true", "--", "set", "Interface",
                           port, "type=vxlan", "options:key=%d" % key,
                           "options:remote_ip=" + other.address)
                host.appctl("tnl/neigh/set", "br-phy", other.address,
                            other.mac)

    def backend(self, host, name, address, bridge="br-int"):
        """A namespace with interface eth0 behind a bridge of 'host'."""
        space = Namespace(name)
        self.spaces[name] = space
        veth(host.namespace, name, space, "eth0", INNER_MTU)
        space.run("ip", "addr", "add", address, "dev", "eth0")
        host.port(bridge, name)
        return space

    def close(self):
        atexit.unregister(self.close)
        for host in self.hosts:
            host.close()
        for space in list(self.spaces.values()) + [self.fabric]:
            space.close()
        self.hosts, self.spaces = [], {}
