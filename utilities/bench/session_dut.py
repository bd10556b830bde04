# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""One host of the session system with the NIC model as its wire, so that what
its PMD thread does can be measured.  Other hosts are only told of: a namespace
answers ARP for their addresses.

"watch" is the offset of four bytes of what is sent, whose changes the windows
of the model tell."""

import json
import os
import struct

from bench import netns
from bench.lab import Switch, fail
from bench.netns import Namespace, Space

VIP = "192.0.2.80"
PORT = 80
VNI = 80
PMD_MASK = 0x2
# Why a packet may be dropped, as ext/sessions-show names it.
DROPS = ("no_backend", "no_owner", "hops", "held", "unresolved", "bad")
SELF = "172.31.0.1"
MAC = "02:aa:00:00:00:01"


def peer_name(i):
    return "h%d" % (i + 2)


def peer_address(i):
    return "172.31.0.%d" % (i + 2)


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def address(text):
    return bytes(map(int, text.split(".")))


def segment(i):
    """A TCP segment of session 'i', to the virtual address."""
    src, dst = address("198.51.%d.%d" % (100 + i // 200, 1 + i % 200)), \
        address(VIP)
    body = b"session %-10d" % i
    tcp = struct.pack("!HHIIBBHHH", 20000 + i, PORT, 1000 + i, 1, 0x50, 0x18,
                      8192, 0, 0)
    pseudo = src + dst + struct.pack("!BBH", 0, 6, len(tcp) + len(body))
    tcp = tcp[:16] + struct.pack("!HH", checksum(pseudo + tcp + body), 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp) + len(body), i,
                     0x4000, 63, 6, 0, src, dst)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    mac = bytes(int(x, 16) for x in MAC.split(":"))
    return mac + b"\x02\xff\x00\x00\x00\xfe\x08\x00" + ip + tcp + body


def write_pcap(path, n):
    """A capture with a segment of each of 'n' sessions."""
    with open(path, "wb") as f:
        f.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(n):
            frame = segment(i)
            f.write(struct.pack("=IIII", 1, i, len(frame), len(frame)) + frame)


class Dut(Switch):
    """The host.  Its packets come from port "src" and leave through "dst"."""

    def __init__(self, args, vswitchd, sessions, n_peers, watch=0,
                 **other_config):
        self.n_peers = n_peers
        self.peers = None
        super().__init__(args, vswitchd, mask=PMD_MASK, **other_config)
        self.space = Space("h1", self.pids[-1])
        self.peers = Namespace("peers")
        netns.veth(self.space, "peers", self.peers, "eth0", 2000)
        for i in range(n_peers):
            self.peers.ip("addr add %s/24 dev eth0" % peer_address(i))
        pcap = os.path.join(self.dir, "sessions.pcap")
        write_pcap(pcap, sessions)
        self.bridges("scenario=captures,pcap=%s,copies=1,window_ms=1" % pcap,
                     "watch=%d" % watch)

    def bridges(self, source, sink):
        nic = "options:dpdk-devargs=\"net_extnic%d,role=%s,stat=" + self.stat
        self.vsctl(
            "add-br", "br-phy", "--", "set", "Bridge", "br-phy",
            "datapath_type=netdev", "other_config:hwaddr=\"%s\"" % MAC,
            "--", "add-br", "br-int", "--", "set", "Bridge", "br-int",
            "datapath_type=netdev", "fail-mode=secure",
            "--", "add-port", "br-phy", "to-int", "--", "set", "Interface",
            "to-int", "type=patch", "options:peer=to-phy",
            "--", "add-port", "br-int", "to-phy", "--", "set", "Interface",
            "to-phy", "type=patch", "options:peer=to-int",
            "--", "add-port", "br-phy", "peers",
            "--", "add-port", "br-phy", "src", "--", "set", "Interface", "src",
            "type=dpdk", nic % (0, "source") + ",%s\"" % source,
            "--", "add-port", "br-phy", "dst", "--", "set", "Interface", "dst",
            "type=dpdk", nic % (1, "sink") + ",%s\"" % sink,
            "--", "add-port", "br-int", "vxlan0", "--", "set", "Interface",
            "vxlan0", "type=vxlan", "options:remote_ip=flow",
            "options:key=flow")
        for port in ("src", "dst"):
            error = self.vsctl("get", "Interface", port, "error").strip()
            if error not in ("[]", '""'):
                fail("%s: %s (log: %s/vswitchd.log)" % (port, error, self.dir))
        self.space.ip("addr add %s/24 dev br-phy" % SELF)
        self.space.ip("link set br-phy mtu 2000 up")
        for flow in ("priority=30,in_port=LOCAL,udp,tp_dst=4789,"
                     "actions=output:dst",
                     "priority=20,in_port=src,actions=drop",
                     "priority=0,actions=NORMAL"):
            self.flow("br-phy", flow)

    def flow(self, bridge, flow):
        self.tool("ovs-ofctl", "add-flow",
                  "unix:%s/%s.mgmt" % (self.dir, bridge), flow)

    def forward_plainly(self):
        self.flow("br-phy", "priority=20,in_port=src,actions=output:dst")

    def tunnel(self, peer):
        """Puts everything in a tunnel to a peer, by OpenFlow."""
        self.flow("br-phy", "priority=20,in_port=src,actions=output:to-int")
        self.flow("br-int", "priority=10,in_port=to-phy,ip,actions="
                  "set_field:%d->tun_id,set_field:%s->tun_dst,output:vxlan0"
                  % (VNI, peer_address(peer)))

    # The session system, without a database and without gossip.

    def debug(self, *argv):
        return self.appctl("ext/session-debug", *argv)

    def serve(self, backends=1):
        """Makes the service known, with backends that are elsewhere."""
        hosts = [{"name": "h1", "encap_ip": SELF}] + [
            {"name": peer_name(i), "encap_ip": peer_address(i)}
            for i in range(self.n_peers)]
        self.debug("fleet", json.dumps({
            "host": "h1", "hosts": hosts, "services": [{
                "name": "web", "address": VIP, "protocol": "tcp",
                "port": PORT, "zone": 0, "bridge": "br-int",
                "encapsulation": "vxlan", "vni": VNI,
                "hosts": [h["name"] for h in hosts],
                "backends": [{"name": "b%d" % i, "port": "b%d" % i,
                              "mac": "02:bb:00:00:00:%02x" % (i + 1)}
                             for i in range(backends)]}]}))

    def locate(self, backend, peer):
        self.debug("location", "b%d" % backend, peer_name(peer))

    def hint(self, backend, peer):
        self.debug("hint", "b%d" % backend, peer_name(peer), 0.9)

    def dropped(self):
        """Packets that the session system has dropped, by reason."""
        packets = json.loads(self.appctl("ext/sessions-show", "--json",
                                         "proto=1"))["packets"]
        return {name: packets[name] for name in DROPS}

    # Figures.

    def pmd(self, what):
        """A counter of the PMD thread, from pmd-stats-show."""
        section = self.appctl("dpif-netdev/pmd-stats-show").split(
            "pmd thread", 1)[1]
        for line in section.splitlines():
            name, _, value = line.strip().partition(":")
            if name == what:
                return int(value.split()[0])
        fail("pmd-stats-show has no %s" % what)

    def upcalls(self):
        return (self.pmd("miss with success upcall")
                + self.pmd("miss with failed upcall"))

    def close(self):
        super().close()
        if self.peers:
            self.peers.close()
