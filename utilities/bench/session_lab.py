# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""A testbed for sessions: hosts behind a fabric, each with a backend that
serves one virtual address, and clients.

                                 +- h1: br-phy -- br-int -- b1
    client -- fab (router, ECMP) +- h2: br-phy -- br-int -- b2
                                 +- ...

All of these are network namespaces.  Hosts run a vswitchd each, on the
userspace datapath, with a port to the fabric on br-phy, which also has the
host's own address, and a VXLAN port and the backend's port on br-int.  A
backend answers clients straight through its host's uplink.  The fabric is the
kernel's: it spreads clients over hosts by a hash of addresses and ports.

In mode "ext" hosts have the session system.  In mode "stock" each gives what
comes for the virtual address to its own backend: anycast, as is usual without
it."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from bench import netns
from bench import session_traffic
from bench.fleet import Fleet, wait_for
from bench.lab import Switch, alive, fail
from bench.netns import Namespace

VIP = "192.0.2.80"              # Of all backends.
VIP_ONE = "192.0.2.52"          # Of the first backend alone, for iperf3.
GATEWAY = "172.31.0.254"
CLIENT = "198.51.100.2"
GOSSIP_PORT = 7946
IPERF_PORTS = {"tcp": 5201, "udp": 5202}
VNI = 80
# Of Open vSwitch, where several daemons share few CPUs.
NOISE = r"timeval|poll_loop|reconnect|jsonrpc|ovs_rcu|ethtool"
# Name, virtual address, protocol, port.
SERVICES = (("echo", VIP, "tcp", session_traffic.ECHO_PORT),
            ("datagram", VIP, "udp", session_traffic.ECHO_PORT),
            ("web", VIP, "tcp", session_traffic.HTTP_PORT),
            ("iperf", VIP_ONE, "tcp", IPERF_PORTS["tcp"]),
            ("iperf-udp-control", VIP_ONE, "tcp", IPERF_PORTS["udp"]),
            ("iperf-udp", VIP_ONE, "udp", IPERF_PORTS["udp"]))


def key_id(key):
    """What gossip calls a key, which is hexadecimal."""
    return hmac.new(bytes.fromhex(key), b"ovs-ext gossip key",
                    hashlib.sha256).hexdigest()[:8]


class SessionHost(Switch):
    """A host: a namespace with a vswitchd whose main thread does all the
    forwarding, so that several of them share few CPUs."""

    def __init__(self, args, number, vswitchd, disk_kb=None):
        self.number = number
        self.name = "h%d" % number
        self.address = "172.31.0.%d" % number
        self.mac = "02:aa:00:00:00:%02x" % number
        self.ns = Namespace(self.name)
        self.disk_kb = disk_kb
        self.dead = False
        self.added = []         # OpenFlow flows: bridge, flow.
        super().__init__(args, vswitchd, dpdk_init="false", max_idle="10000")
        self.vsctl("set", "Open_vSwitch", ".",
                   "external_ids:system-id=" + self.name)

    @property
    def disk(self):
        """Where the session system keeps what shall survive."""
        return os.path.join(self.dir, "session")

    def in_namespace(self):
        """With 'disk_kb', the disk is a small one of the daemon's own."""
        os.makedirs(self.disk, exist_ok=True)
        if not self.disk_kb:
            return self.ns.command()
        return self.ns.command(
            "unshare", "--mount", "sh", "-c",
            "mount -t tmpfs -o size=%dk disk \"$0\" && exec \"$@\""
            % self.disk_kb, self.disk)

    def seen_disk(self):
        """The same, as seen from here."""
        return "/proc/%d/root%s" % (self.pids[-1], os.path.abspath(self.disk))

    def bridges(self, fabric):
        """Connects the host with the fabric and makes its bridges."""
        netns.veth(self.ns, "uplink", fabric, self.name, 2000)
        fabric.ip("link set", self.name, "master sw")
        # Nothing is flooded to hosts that it is not for.
        fabric.run("bridge", "fdb", "add", self.mac, "dev", self.name,
                   "master", "static")
        fabric.ip("link set", self.name, "type bridge_slave flood off")
        self.vsctl(
            "add-br", "br-phy", "--", "set", "Bridge", "br-phy",
            "datapath_type=netdev",
            "other_config:hwaddr=\"%s\"" % self.mac,
            "--", "add-br", "br-int", "--", "set", "Bridge", "br-int",
            "datapath_type=netdev", "fail-mode=secure",
            "--", "add-port", "br-phy", "uplink",
            "--", "set", "Interface", "uplink", "ofport_request=1",
            "--", "add-port", "br-phy", "to-int", "--", "set", "Interface",
            "to-int", "type=patch", "options:peer=to-phy",
            "--", "add-port", "br-int", "to-phy", "--", "set", "Interface",
            "to-phy", "type=patch", "options:peer=to-int",
            "--", "add-port", "br-int", "vxlan0", "--", "set", "Interface",
            "vxlan0", "type=vxlan", "options:remote_ip=flow",
            "options:key=flow")
        self.addresses()
        self.flows("br-phy", ["priority=10,in_port=to-int,"
                              "actions=output:uplink",
                              "priority=10,in_port=uplink,ip,"
                              "nw_dst=192.0.2.0/24,actions=drop",
                              "priority=0,actions=NORMAL"])

    def addresses(self):
        self.ns.ip("addr add %s/24 dev br-phy" % self.address)
        self.ns.ip("link set br-phy mtu 2000 up")

    def ofctl(self, verb, bridge, *argv):
        return self.tool("ovs-ofctl", verb,
                         "unix:%s/%s.mgmt" % (self.dir, bridge), *argv)

    def flows(self, bridge, flows):
        self.added += [(bridge, flow) for flow in flows]
        for flow in flows:
            self.ofctl("add-flow", bridge, flow)

    def plug(self, backend, stock):
        """Gives the host a backend's port, whose interface is here."""
        name = backend.name
        self.vsctl("add-port", "br-int", name, "--", "set", "Interface", name,
                   "type=system")
        out = "priority=10,in_port=%s,actions=output:to-phy" % name
        if not stock:
            self.flows("br-int", [out])
            return
        self.flows("br-phy", ["priority=20,in_port=uplink,ip,"
                              "nw_dst=192.0.2.0/24,actions=output:to-int"])
        self.flows("br-int", [out, "priority=20,in_port=to-phy,ip,"
                              "nw_dst=192.0.2.0/24,actions=mod_dl_dst:%s,"
                              "output:%s" % (backend.mac, name)])

    def unplug(self, backend):
        self.vsctl("del-port", "br-int", backend.name)

    def log(self):
        with open(os.path.join(self.dir, "vswitchd.log")) as f:
            return f.read().splitlines()

    def show(self, what, *argv):
        return json.loads(self.appctl("ext/%s-show" % what, "--json", *argv))

    def kill(self):
        """The host is gone from one moment to the next."""
        self.dead = True
        os.kill(self.pids[-1], 9)
        self.ns.ip("link del uplink", check=False)
        wait_for("%s killed" % self.name, lambda: not alive(self.pids[-1]))

    def stop(self):
        """Ends the daemon; its datapath goes with it."""
        self.appctl("exit", "--cleanup")
        pid = self.pids.pop()
        wait_for("%s stopped" % self.name, lambda: not alive(pid))

    def start_again(self):
        """The daemon finds its ports again, but not its addresses."""
        self.launch()
        self.vsctl("--timeout=20", "get", "Interface", "br-phy", "ofport")
        self.addresses()
        added, self.added = self.added, []
        for bridge, flow in added:
            self.flows(bridge, [flow])

    def close(self):
        super().close()
        self.ns.close()


class Backend:
    """A server in a namespace of its own, plugged in at a host."""

    def __init__(self, host):
        self.name = "b%d" % host.number
        self.mac = "02:bb:00:00:00:%02x" % host.number
        self.address = "10.80.0.%d" % host.number
        self.ns = Namespace(self.name)
        self.home = self.host = host

    def connect(self, gateway_mac, stock):
        netns.veth(self.ns, "eth0", self.host.ns, self.name)
        for vip in (VIP, VIP_ONE):
            self.ns.ip("addr add %s/32 dev lo" % vip)
        self.ns.ip("link set eth0 address", self.mac)
        self.ns.ip("addr add %s/24 dev eth0" % self.address)
        self.ns.ip("neigh add %s lladdr %s dev eth0 nud permanent"
                   % (GATEWAY, gateway_mac))
        self.ns.ip("route add default via %s dev eth0 onlink" % GATEWAY)
        self.host.plug(self, stock)
        self.server = self.ns.popen(
            sys.executable, session_traffic.__file__, "server", self.name,
            VIP, stdout=subprocess.PIPE)
        if self.server.stdout.readline() != "ready\n":
            fail("%s: no server" % self.name)

    def iperf(self):
        for port in IPERF_PORTS.values():
            self.ns.popen("iperf3", "-s", "-B", VIP_ONE, "-p", port,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)


class SessionLab:
    """Everything.  'mode' is "ext" or "stock"."""

    def __init__(self, args, mode="ext", n_hosts=4, disk_kb=None):
        self.args = args
        self.mode = mode
        self.hosts = []
        self.backends = []
        self.fleet = None
        self.dir = tempfile.mkdtemp(prefix="session.", dir=args.output_dir)
        vswitchd = (args.vswitchd_stock if mode == "stock"
                    else args.vswitchd_ext)
        self.make_fabric()
        for i in range(1, n_hosts + 1):
            host = SessionHost(args, i, vswitchd, disk_kb)
            self.hosts.append(host)
            host.bridges(self.fabric)
        for host in self.hosts:
            backend = Backend(host)
            self.backends.append(backend)
            backend.connect(self.gateway_mac, mode == "stock")
        self.backends[0].iperf()
        self.spread(self.hosts)
        if mode == "ext":
            self.join()

    def make_fabric(self):
        self.fabric = Namespace("fab")
        self.client = Namespace("client")
        self.fabric.ip("link add sw type bridge")
        self.fabric.ip("link set sw mtu 2000 up")
        self.fabric.ip("addr add %s/24 dev sw" % GATEWAY)
        self.gateway_mac = "02:ff:00:00:00:fe"
        self.fabric.ip("link set sw address", self.gateway_mac)
        self.fabric.sysctl("ipv4.ip_forward=1",
                           "ipv4.fib_multipath_hash_policy=1",
                           "ipv4.conf.all.rp_filter=0",
                           "ipv4.conf.all.send_redirects=0")
        # The fabric takes over the hash that the socket gave its packets, and
        # some kernels choose a new one with each retransmission.
        self.client.sysctl("core.txrehash=0", check=False)
        netns.veth(self.client, "eth0", self.fabric, "client")
        self.fabric.ip("addr add 198.51.100.1/24 dev client")
        self.client.ip("addr add %s/24 dev eth0" % CLIENT)
        self.client.ip("route add default via 198.51.100.1")
        # Where partitions send what they swallow.
        netns.veth(self.fabric, "nowhere", self.fabric, "nobody")

    # The fabric.

    def spread(self, hosts):
        """The fabric sends clients' packets to 'hosts' from now on."""
        self.in_use = list(hosts)
        for vip in (VIP, VIP_ONE):
            through = self.in_use
            if self.mode == "stock" and vip == VIP_ONE:
                through = [self.backends[0].host]
            self.fabric.ip("route replace %s/32" % vip, *[
                "nexthop via %s dev sw" % h.address for h in through])

    def partition(self, side):
        """Cuts hosts 'side' off from the others, but not from clients."""
        for host in self.hosts:
            here = host in side
            self.fabric.run("tc", "qdisc", "add", "dev", host.name, "clsact")
            for other in self.hosts:
                if here != (other in side):
                    self.fabric.run(
                        "tc", "filter", "add", "dev", host.name, "egress",
                        "protocol", "ip", "u32", "match", "ip", "src",
                        other.address + "/32", "action", "mirred", "egress",
                        "redirect", "dev", "nowhere")

    def heal(self):
        for host in self.hosts:
            self.fabric.run("tc", "qdisc", "del", "dev", host.name, "clsact")

    # The session system.

    def rotate_key(self):
        """Replaces the key of gossip: the new one is known everywhere before
        it is used, and the old one until nobody uses it."""
        old, new = self.key, os.urandom(32).hex()
        for keys in ([old, new], [new, old], [new]):
            self.write_keys(keys)
            for host in self.hosts:
                wait_for("keys of " + host.name,
                         lambda: self.has_keys(host, keys))
        self.key = new

    def has_keys(self, host, keys):
        """Whether a host has taken over a keyring of its file."""
        return host.show("gossip")["key_ids"] == [key_id(k) for k in keys]

    def key_file(self, host):
        return os.path.join(host.dir, "gossip.keys")

    def write_keys(self, keys):
        """Gives all hosts a keyring, the first key being the one they send
        with."""
        for host in self.hosts:
            path = self.key_file(host)
            with open(path + ".new", "w") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write("".join(key + "\n" for key in keys))
            os.rename(path + ".new", path)

    def join(self):
        self.fleet = Fleet(self.args)
        self.key = os.urandom(32).hex()
        self.write_keys([self.key])
        names = ",".join(h.name for h in self.hosts)
        for name, address, proto, port in SERVICES:
            self.fleet.ctl("--hosts=" + names, "add-service", name, proto,
                           address, port, "br-int", "vxlan", VNI)
        for backend in self.backends:
            for name, address, _, _ in SERVICES:
                if address == VIP_ONE and backend is not self.backends[0]:
                    continue
                self.fleet.ctl("--may-exist", "add-backend", name,
                               backend.name, backend.name, backend.mac)
        for host in self.hosts:
            ids = {"ovs-ext-remote": self.fleet.remote,
                   "ovs-ext-gossip": "%s:%d" % (host.address, GOSSIP_PORT),
                   "ovs-ext-encap-ip": host.address,
                   "ovs-ext-gossip-keys": self.key_file(host),
                   "ovs-ext-session-dir": host.disk}
            host.vsctl("set", "Open_vSwitch", ".", *[
                "external_ids:%s=\"%s\"" % item for item in ids.items()])

    def wait_ready(self):
        """Waits until a connection by way of each host is served."""
        for host in self.hosts:
            self.spread([host])
            wait_for("service at " + host.name, self.is_served, 60, 0.1)
        self.spread(self.hosts)

    def is_served(self):
        """Whether several connections in a row are, whatever their owner."""
        for host in self.hosts:
            if not alive(host.pids[-1]):
                fail("%s: its daemon died, see %s" % (host.name, host.dir))
        return all(self.client.run(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
            "--max-time", "1", "http://%s/100" % VIP, check=False) == "200"
            for _ in range(6))

    # Events.

    def drain(self, host):
        """Takes a host out of use; its backend stays."""
        if self.fleet:
            self.fleet.ctl("--host", "drain", host.name)
        self.spread([h for h in self.in_use if h is not host])

    def undrain(self, host):
        if self.fleet:
            self.fleet.ctl("--host", "undrain", host.name)
        self.spread(self.in_use + [host])

    def migrate(self, backend, to):
        """Moves a backend, whose processes run on, to another host.  Returns
        the seconds for which it was plugged in nowhere."""
        here = backend.host
        here.unplug(backend)
        began = time.time()
        netns.move(backend.name, here.ns, to.ns)
        at_home = to is backend.home
        to.plug(backend, self.mode == "stock" and at_home)
        took = time.time() - began
        backend.host = to
        if self.mode == "stock":
            # At home, nobody is left to serve the address meanwhile.
            self.spread(self.hosts if at_home else
                        [h for h in self.in_use if h is not here])
        return took

    def kill(self, host, notice=0.3):
        """Kills a host.  The fabric notices it after 'notice' seconds."""
        host.kill()
        time.sleep(notice)
        self.spread([h for h in self.in_use if h is not host])

    def warnings(self):
        """What hosts' daemons have complained of."""
        return ["%s: %s" % (host.name, line)
                for host in self.hosts for line in host.log()
                if re.search(r"\|(WARN|ERR|EMER)\|", line)
                and not re.search(NOISE, line)]

    def close(self):
        for host in self.hosts:
            host.close()
        if self.fleet:
            self.fleet.close()
        for backend in self.backends:
            backend.ns.close()
        self.client.close()
        self.fabric.close()
        if not os.environ.get("OVS_EXT_KEEP"):
            for name in os.listdir(self.dir):
                os.unlink(os.path.join(self.dir, name))
            os.rmdir(self.dir)


