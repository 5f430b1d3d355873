"""A router with iptables rules: loads them, sends packets and their answers, tells where they went.

    unshare -Urn python -m tests.kernel.iptables_router < cases.json > answers.json

Beside the two wires of ``netfilter_router`` there is a third, ``m0``, where packets with mark 0x100 are routed.
With ``bridge`` in the job, ``c0`` and ``s0`` are ports of ``br0`` and bridged frames meet the ip tables.
Every packet is played in three rounds: itself, the answer from where it came out, and the next of its connection.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import Any

from netfs.collect import Target, collect
from netfs.model.snapshot import Snapshots
from netfs.sources.document import encode
from tests.kernel.netfilter_router import CLONE_NEWNET, Router, build, fate, inner_of, libc, parse, sysctl, wire

SO_MARK, SO_RCVMARK = 36, 75
NETLINK_NETFILTER = 12
QUIET = 0.02
"""Seconds without a packet after which a round is over."""

BATCH = 50
"""Packets that the sockets surely hold until they are read."""

THIRD = """
link set m0 address 02:00:00:00:03:01 up
addr add 10.3.0.1/16 dev m0 noprefixroute
addr add fd03::1/64 dev m0 nodad noprefixroute
neigh add 10.3.255.254 lladdr 02:00:00:00:02:02 dev m0
neigh add fd03::fffe lladdr 02:00:00:00:02:02 dev m0
route add 10.3.0.0/16 via 10.3.255.254 dev m0 onlink
route add fd03::/64 via fd03::fffe dev m0 onlink
route add default via 10.3.255.254 dev m0 onlink table 100
route add default via fd03::fffe dev m0 onlink table 100
"""
MARKED = "rule add fwmark 0x100/0x100 lookup 100 priority 100"

BRIDGE = """
link add br0 type bridge
link set br0 address 02:00:00:00:09:01 up
route del fd01::/64 dev c0
route del fd02::/64 dev s0
addr flush dev c0
addr flush dev s0
link set c0 master br0
link set s0 master br0
addr add 10.1.0.1/16 dev br0 noprefixroute
addr add fd01::1/64 dev br0 nodad noprefixroute
neigh add 10.1.255.254 lladdr 02:00:00:00:01:02 dev br0
neigh add fd01::fffe lladdr 02:00:00:00:01:02 dev br0
neigh add 10.2.255.254 lladdr 02:00:00:00:02:02 dev br0
neigh add fd02::fffe lladdr 02:00:00:00:02:02 dev br0
route replace 10.1.0.0/16 via 10.1.255.254 dev br0 onlink
route replace fd01::/64 via fd01::fffe dev br0 onlink
route replace 10.2.0.0/16 via 10.2.255.254 dev br0 onlink
route replace fd02::/64 via fd02::fffe dev br0 onlink
"""

STATIONS = """
fdb replace 02:00:00:00:01:02 dev c0 master static
fdb replace 02:00:00:00:02:02 dev s0 master static
"""

TABLES = ("raw", "mangle", "nat", "filter", "security")
CHAINS = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
EMPTY = "".join(
    f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in CHAINS[table]) + "COMMIT\n" for table in TABLES
)
SAVES = {
    "iptables": ["iptables-nft-save", "-c"],
    "ip6tables": ["ip6tables-nft-save", "-c"],
    "iptables_legacy": ["iptables-legacy-save", "-c"],
    "ip6tables_legacy": ["ip6tables-legacy-save", "-c"],
}
"""By the field of ``Firewall``."""

MACS = {
    "client": (b"\x02\0\0\0\1\1", b"\x02\0\0\0\1\2"),
    "server": (b"\x02\0\0\0\2\1", b"\x02\0\0\0\2\2"),
    "third": (b"\x02\0\0\0\3\1", b"\x02\0\0\0\2\2"),
}
"""Of the router's end of a wire, and of its far end."""

BRIDGED = {"client": MACS["server"][1], "server": MACS["client"][1]}
"""The station a bridged frame is addressed to."""

ANSWERS = {"udp": "udp", "echo-request": "echo-reply", "syn": "syn-ack", "ack": "ack"}
"""What is answered, and by what."""

Seen = list[tuple[str, dict[str, Any]]]


def run(*command: str, text: str | None = None) -> str:
    """What a program prints. Raises SystemExit with its complaint and its input."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}\n{text or ''}")
    return done.stdout


def forget_sets() -> None:
    """Remove every ipset; those of an nft rule are free only a moment after the rule is gone."""
    run("ipset", "flush")
    for _ in range(100):
        if subprocess.run(["ipset", "destroy"], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.02)
    run("ipset", "destroy")


def forget_connections() -> None:
    """Empty the connection table: IPCTNL_MSG_CT_DELETE that names none (include/uapi/linux/netfilter/nfnetlink.h)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.send(struct.pack("=IHHII", 20, 1 << 8 | 2, 5, 1, 0) + struct.pack("=BBH", 0, 0, 0))
        netlink.recv(4096)


class IptablesRouter(Router):
    """The router, its third wire, and taps that tell a packet's mark."""

    def __init__(self, bridge: bool) -> None:
        super().__init__()
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.third = wire("m0", home)
        run("ip", "-batch", "-", text=THIRD)
        run("ip", "-4", *MARKED.split())
        run("ip", "-6", *MARKED.split())
        sysctl("ipv4/conf/m0/rp_filter", 0)
        sysctl("ipv4/icmp_ratemask", 0)
        sysctl("netfilter/nf_conntrack_tcp_be_liberal", 1)
        self.bridge = bridge
        if bridge:
            run("ip", "-batch", "-", text=BRIDGE)
            run("bridge", "-batch", "-", text=STATIONS)
            sysctl("ipv4/conf/br0/rp_filter", 0)
            sysctl("bridge/bridge-nf-call-iptables", 1)
            sysctl("bridge/bridge-nf-call-ip6tables", 1)
        self.taps = {self.tap(name): place for name, place in (("c0", "client"), ("s0", "server"), ("m0", "third"))}
        for sock in self.local:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        self.loaded: set[str] = set()
        self.saved: list[str] = []
        self._third_carries()

    def _third_carries(self) -> None:
        """Wait for the third wire's carrier, which is noticed up to a second late."""
        for _ in range(500):
            if " UP " in run("ip", "-br", "link", "show", "m0"):
                return
            time.sleep(0.01)
        raise TimeoutError("the third wire has no carrier")

    def tap(self, name: str) -> socket.socket:
        """A socket that sees what leaves by a device, after every hook."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind((name, 3))
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        return tap

    def snapshot(self) -> str:
        """The router and the far ends of its wires, as ``netfs collect`` reads them."""
        found: list[str] = []
        for fd in sorted(int(name) for name in os.listdir("/proc/self/fd")):
            path = f"/proc/{os.getpid()}/fd/{fd}"
            with contextlib.suppress(OSError):
                inode = os.readlink(path)
                if inode.startswith("net:") and inode not in [os.readlink(each) for each in found]:
                    found.append(path)
        names = ("router", "client", "server", "third")
        targets = [Target(name, path) for name, path in zip(names, found, strict=True)]
        return encode(Snapshots(collect(targets))).decode()

    def load(self, case: dict[str, Any]) -> dict[str, str]:
        """Take away what was, load the case's rules, and read them as the collector does."""
        run("nft", "flush", "ruleset")
        for program in sorted(self.loaded):
            run(f"{program}-restore", text=EMPTY)
        forget_sets()
        forget_connections()
        if case["ipset"]:
            run("ipset", "restore", text=case["ipset"])
        for program, text in case["restores"]:
            run(f"{program}-restore", text=text)
            if "legacy" in program:
                self.loaded.add(program)
        if case["nft"]:
            run("nft", "-f", "-", text=case["nft"])
        self.saved = [program.replace("-", "_") for program in sorted(self.loaded)]
        self.saved += [program.removesuffix("-nft") for program, _ in case["restores"] if program.endswith("-nft")]
        return self.firewall()

    def firewall(self) -> dict[str, str]:
        """The rules, as ``netfs collect`` reads them."""
        (node,) = collect([Target("router", f"/proc/{os.getpid()}/ns/net")])
        (netns,) = node.namespaces
        missing = [gap for gap in node.gaps if gap.what != "link-netns"]
        if missing:
            raise SystemExit(f"the collector left out: {missing}")
        found = asdict(netns.firewall) if netns.firewall is not None else {}
        return {name: text for name, text in found.items() if text is not None}

    def play(self, case: dict[str, Any]) -> dict[str, Any]:
        """Load rules, play three rounds, and tell what came of each packet."""
        firewall, packets = self.load(case), case["packets"]
        self.seen()
        if case["counted"]:
            return {"firewall": firewall, "rounds": [[self.counted(packet) for packet in packets]]}
        numbers = list(range(self.number + 1, self.number + 1 + len(packets)))
        self.number += len(packets)
        rounds = [self.round(packets, numbers)]
        if case["answers"]:
            rounds += self.answers(packets, numbers, rounds[0])
        return {"firewall": firewall, "rounds": rounds}

    def counted(self, packet: dict[str, Any]) -> dict[str, Any]:
        """What came of a packet, and the rules it met: (field of ``Firewall``, table, rule), once for each time.

        Without the rules where the router sent something of its own meanwhile, which they counted too.
        """
        sent, before = own_packets(), self.counters()
        self.number += 1
        self.send(packet, self.number)
        found, after = self.seen(), self.counters()
        if own_packets() != sent:
            return told(self.number, packet, found)
        met = [list(key) for key, count in after.items() for _ in range(count - before.get(key, 0))]
        return told(self.number, packet, found) | {"met": met}

    def counters(self) -> dict[tuple[str, str, str], int]:
        """Packets that every rule of iptables has counted; equal rules of a chain together."""
        found: dict[tuple[str, str, str], int] = {}
        for field in self.saved:
            table = ""
            for line in run(*SAVES[field]).splitlines():
                if line.startswith("*"):
                    table = line[1:]
                elif line.startswith("["):
                    packets, _, rule = line[1:].partition(":")
                    key = field, table, rule.partition("] ")[2]
                    found[key] = found.get(key, 0) + int(packets)
        return found

    def answers(
        self, packets: list[dict[str, Any]], numbers: list[int], first: list[dict[str, Any] | None]
    ) -> list[list[dict[str, Any] | None]]:
        """The answers of those that came out on a wire, and the next packets of their connections."""
        replies = [answer(real, packet, self.bridge) for real, packet in zip(first, packets, strict=True)]
        answered = self.round(replies, numbers)
        seconds = [
            later(packet) if back is not None and back["at"] is not None else None
            for packet, back in zip(packets, answered, strict=True)
        ]
        return [answered, self.round(seconds, numbers)]

    def round(self, packets: list[dict[str, Any] | None], numbers: list[int]) -> list[dict[str, Any] | None]:
        """Send those that are to be sent, and tell what came of each."""
        found: Seen = []
        for at, (number, packet) in enumerate(zip(numbers, packets, strict=True), 1):
            if packet is not None:
                self.send(packet, number)
            if at % BATCH == 0:
                found += self.seen()
        found += self.seen()
        return [
            None if packet is None else told(number, packet, found) | {"sent": packet}
            for number, packet in zip(numbers, packets, strict=True)
        ]

    def send(self, packet: dict[str, Any], number: int) -> None:
        place, data = packet["from"], build(packet, number)
        if place == "router":
            # The rules may drop it, or leave it without a route: that it does not come is the answer.
            with contextlib.suppress(OSError):
                (self.out6 if ":" in packet["dst"] else self.out4).sendto(data, (packet["dst"], 0))
            return
        router, far = MACS[place]
        if self.bridge and place in BRIDGED:
            router = BRIDGED[place] if packet.get("bridged") else b"\x02\0\0\0\x09\1"
        kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
        {"client": self.client, "server": self.server, "third": self.third}[place].send(router + far + kind + data)

    def seen(self) -> Seen:
        """Everything that came, until it is quiet."""
        found: Seen = []
        places = [*self.taps, *self.local]
        while ready := select.select(places, [], [], QUIET)[0]:
            for sock in ready:
                data, control, _, address = sock.recvmsg(65536, 64)
                packet = self.received(sock, data, address)
                if packet is not None:
                    marks = [struct.unpack("I", value)[0] for _, kind, value in control if kind == SO_MARK]
                    found.append((self.taps.get(sock, "router"), packet | {"mark": marks[0] if marks else 0}))
        return found

    def received(self, sock: socket.socket, data: bytes, address: Any) -> dict[str, Any] | None:
        if sock in self.taps:
            if address[2] != socket.PACKET_OUTGOING or data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
                return None
            return parse(data[14:])
        if self.local[sock] == 4:
            return parse(data)
        return {"src": address[0], "dst": None, "ttl": None, "tos": None} | inner_of(data, sock.proto)


def own_packets() -> list[str]:
    """How many packets the router has made itself: ``OutRequests`` of both families."""
    with open("/proc/net/snmp") as four, open("/proc/net/snmp6") as six:
        names, values = [line.split() for line in four if line.startswith("Ip:")]
        return [values[names.index("OutRequests")], *(line for line in six if line.startswith("Ip6OutRequests"))]


def told(number: int, packet: dict[str, Any], found: Seen) -> dict[str, Any]:
    """Where a packet came out, and what its sender was told; a reset carries no number, but its ends."""
    back = (packet["dst"], packet["dport"], packet["src"], packet["sport"])
    return fate(
        number,
        [
            (place, each)
            for place, each in found
            if each["number"] == number
            or (each["number"] is None and (each["src"], each["sport"], each["dst"], each["dport"]) == back)
        ],
    )


def answer(real: dict[str, Any] | None, packet: dict[str, Any], bridge: bool) -> dict[str, Any] | None:
    """What the host at the far end of a wire would send back; over a bridge, straight to its neighbour."""
    opening = packet.get("icmp_type") or packet.get("tcp_flags") or "udp"
    if real is None or real["at"] not in MACS or opening not in ANSWERS:
        return None
    found = {"from": real["at"], "src": real["dst"], "dst": real["src"], "proto": packet["proto"]}
    found |= {
        "sport": real["dport"],
        "dport": real["sport"],
        "bridged": bridge and {packet["from"], real["at"]} == {"client", "server"},
    }
    if packet["proto"] == "icmp":
        found |= {"icmp_type": "echo-reply", "icmp_id": real["icmp_id"]}
    return found | ({"tcp_flags": ANSWERS[opening]} if packet["proto"] == "tcp" else {})


def later(packet: dict[str, Any]) -> dict[str, Any] | None:
    """The next packet of a connection that was answered; a router without the socket has told its peer so."""
    if packet["from"] == "router" and packet["proto"] != "icmp":
        return None
    return packet | ({"tcp_flags": "ack"} if packet["proto"] == "tcp" else {})


def main() -> None:
    job = json.load(sys.stdin)
    # Files of /proc/net belong to the user namespace's root only where that was mapped before the namespace was made.
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XTABLES_LOCKFILE"] = os.path.join(folder, "lock")
        router = IptablesRouter(job["bridge"])
        json.dump({"nodes": router.snapshot(), "cases": [router.play(case) for case in job["cases"]]}, sys.stdout)


if __name__ == "__main__":
    main()
