"""A router between two wires, in namespaces of its own: loads rule sets, sends packets, tells where they went.

    unshare -Urn python netfilter_router.py < cases.json > answers.json

``client`` and ``server`` are bare wires (frames are written and read there); the rules live in ``router``.
Every packet carries a number in its payload, by which it is known again after any translation.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from typing import Any

CLONE_NEWNET = 0x40000000
PROTOCOLS = {"tcp": 6, "udp": 17}
FLAGS = {"syn": 2, "ack": 16, "syn-ack": 18, "rst": 4, "fin": 1}
ICMP = {4: {"echo-request": (8, 0), "echo-reply": (0, 0), "frag-needed": (3, 4)}}
ICMP[6] = {"echo-request": (128, 0), "echo-reply": (129, 0), "packet-too-big": (2, 0)}
MAGIC = b"netfs!"

NETLINK_NETFILTER = 12
IPCTNL_MSG_CT_DELETE = 1 << 8 | 2
NLM_F_REQUEST_ACK = 5

SET_UP = """
link set lo up
link set c0 address 02:00:00:00:01:01 up
link set s0 address 02:00:00:00:02:01 up
addr add 10.1.0.1/16 dev c0 noprefixroute
addr add 10.2.0.1/16 dev s0 noprefixroute
addr add fd01::1/64 dev c0 nodad noprefixroute
addr add fd02::1/64 dev s0 nodad noprefixroute
neigh add 10.1.255.254 lladdr 02:00:00:00:01:02 dev c0
neigh add 10.2.255.254 lladdr 02:00:00:00:02:02 dev s0
neigh add fd01::fffe lladdr 02:00:00:00:01:02 dev c0
neigh add fd02::fffe lladdr 02:00:00:00:02:02 dev s0
route add 10.1.0.0/16 via 10.1.255.254 dev c0 onlink
route add 10.2.0.0/16 via 10.2.255.254 dev s0 onlink
route add 10.96.0.0/16 via 10.2.255.254 dev s0 onlink
route add fd01::/64 via fd01::fffe dev c0 onlink
route add fd02::/64 via fd02::fffe dev s0 onlink
"""

libc = ctypes.CDLL(None, use_errno=True)


def enter(fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def wire(name: str, home: int) -> socket.socket:
    """A new namespace at the far end of a new device ``name``, and a socket on its end."""
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    far = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter(home)
    subprocess.run(
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "w0", "netns", f"/proc/self/fd/{far}"],
        check=True,
        pass_fds=[far],
    )
    mac = "02:00:00:00:01:02" if name == "c0" else "02:00:00:00:02:02"
    enter(far)
    sysctl("ipv6/conf/w0/disable_ipv6", 1)
    subprocess.run(["ip", "link", "set", "w0", "address", mac, "up"], check=True)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    tap.bind(("w0", 3))
    enter(home)
    return tap


def sysctl(name: str, value: int) -> None:
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(str(value))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def build(packet: dict[str, Any], number: int) -> bytes:
    """An IP packet with right checksums."""
    src, dst = ipaddress.ip_address(packet["src"]), ipaddress.ip_address(packet["dst"])
    body = MAGIC + struct.pack("!I", number)
    family, proto = src.version, PROTOCOLS.get(packet["proto"], 1)
    if proto == 1:
        proto = 1 if family == 4 else 58
        kind, code = ICMP[family][packet["icmp_type"]]
        inner = struct.pack("!BBHHH", kind, code, 0, packet.get("icmp_id", number) & 0xFFFF, 1) + body
        at = 2
    elif proto == 6:
        flags = FLAGS[packet.get("tcp_flags") or "syn"]
        inner = struct.pack("!HHIIBBHHH", packet["sport"], packet["dport"], 1, 1, 0x50, flags, 1000, 0, 0) + body
        at = 16
    else:
        inner = struct.pack("!HHHH", packet["sport"], packet["dport"], 8 + len(body), 0) + body
        at = 6
    pseudo = src.packed + dst.packed + struct.pack("!II", len(inner), proto)
    value = checksum(inner if proto == 1 else pseudo + inner)
    inner = inner[:at] + struct.pack("!H", value) + inner[at + 2 :]
    ttl, tos = packet.get("ttl", 64), packet.get("tos", 0)
    if family == 6:
        return struct.pack("!IHBB", 6 << 28 | tos << 20, len(inner), proto, ttl) + src.packed + dst.packed + inner
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(inner), 0, 0x4000, ttl, proto, 0) + src.packed + dst.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + inner


def parse(data: bytes) -> dict[str, Any] | None:
    """What an IP packet says, and the number in it; None for foreign packets."""
    family = data[0] >> 4
    offset, proto, ttl = (40, data[6], data[7]) if family == 6 else (20, data[9], data[8])
    source, target = (data[8:24], data[24:40]) if family == 6 else (data[12:16], data[16:20])
    found: dict[str, Any] = {
        "src": str(ipaddress.ip_address(source)),
        "dst": str(ipaddress.ip_address(target)),
        "ttl": ttl,
        "tos": (data[0] & 15) << 4 | data[1] >> 4 if family == 6 else data[1],
    }
    return found | inner_of(data[offset:], proto)


def inner_of(data: bytes, proto: int) -> dict[str, Any]:
    found: dict[str, Any] = {"proto": proto, "kind": None, "sport": None, "dport": None, "number": None}
    if proto in (1, 58):
        found["kind"] = [data[0], data[1]]
        found["icmp_id"] = data[4] << 8 | data[5]
    else:
        found["sport"], found["dport"] = struct.unpack("!HH", data[:4])
        if proto == 6:
            found["kind"] = data[13]
    at = data.find(MAGIC)
    if at >= 0 and len(data) >= at + len(MAGIC) + 4:
        found["number"] = struct.unpack("!I", data[at + len(MAGIC) :][:4])[0]
    return found


def forget_connections() -> None:
    """What ``conntrack -F`` does: the next rule set meets no connection of the last."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.send(struct.pack("=IHHIIBBH", 20, IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST_ACK, 1, 0, 0, 0, 0))
        error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        raise OSError(-error, "the connections could not be forgotten")


class Router:
    """The namespaces, wired, and sockets on every place a packet may come to."""

    def __init__(self) -> None:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.client, self.server = wire("c0", home), wire("s0", home)
        subprocess.run(["ip", "-batch", "-"], input=SET_UP, text=True, check=True)
        sysctl("ipv4/ip_forward", 1)
        sysctl("ipv6/conf/all/forwarding", 1)
        sysctl("ipv4/icmp_echo_ignore_all", 1)
        sysctl("ipv6/icmp/echo_ignore_all", 1)
        sysctl("ipv4/icmp_ratelimit", 0)
        sysctl("ipv6/icmp/ratelimit", 0)
        for name in ("all", "c0", "s0"):
            sysctl(f"ipv4/conf/{name}/rp_filter", 0)
        self.local: dict[socket.socket, int] = {}
        for proto in (1, 6, 17):
            self.local[socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)] = 4
        for proto in (58, 6, 17):
            self.local[socket.socket(socket.AF_INET6, socket.SOCK_RAW, proto)] = 6
        self.out4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.out6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.number = 0
        self._passing()

    def _passing(self) -> None:
        """Wait until packets pass both ways: a carrier is noticed up to a second late, and none leaves before."""
        hosts = {"client": "10.1.0.9", "server": "10.2.0.9"}
        for _ in range(500):
            for place, far in (("client", "server"), ("server", "client")):
                ends = {"src": hosts[place], "dst": hosts[far], "proto": "udp", "sport": 9, "dport": 9}
                Router.send(self, {"from": place, **ends}, 0)
            if {place for place, packet in Router.seen(self) if packet.get("number") == 0} >= set(hosts):
                return
            time.sleep(0.01)
        raise TimeoutError("the router forwards nothing")

    def play(self, case: dict[str, Any]) -> dict[str, Any]:
        """Load rules, send packets one after another, and tell what came of each."""
        forget_connections()
        for listing in case["rules"]:
            subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + listing, text=True, check=True)
        read = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True, check=True)
        self.seen()
        seen: list[list[dict[str, Any]]] = []
        for variants in case["packets"]:
            numbers: list[int] = []
            for packet in variants:
                self.number += 1
                numbers.append(self.number)
                self.send(packet, self.number)
            found = self.seen()
            seen.append([fate(number, found) for number in numbers])
            if len(numbers) > 1:
                for one in seen[-1]:
                    one["answer"] = "unseen"
        text = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
        return {"nft": read.stdout, "text": text.stdout, "seen": seen}

    def send(self, packet: dict[str, Any], number: int) -> None:
        data = build(packet, number)
        if packet["from"] == "router":
            try:
                sock = self.out6 if ":" in packet["dst"] else self.out4
                sock.sendto(data, (packet["dst"], 0))
            except PermissionError:
                pass
            return
        client = packet["from"] == "client"
        macs = bytes([2, 0, 0, 0, 1 if client else 2, 1, 2, 0, 0, 0, 1 if client else 2, 2])
        (self.client if client else self.server).send(macs + (b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00") + data)

    def seen(self) -> list[tuple[str, dict[str, Any]]]:
        """Everything that came, until it is quiet."""
        found: list[tuple[str, dict[str, Any]]] = []
        places = [self.client, self.server, *self.local]
        while ready := select.select(places, [], [], 0.004)[0]:
            for sock in ready:
                data, address = sock.recvfrom(65536)
                if sock in (self.client, self.server):
                    outgoing = address[2] == socket.PACKET_OUTGOING
                    if not outgoing and data[12:14] in (b"\x08\x00", b"\x86\xdd"):
                        found.append(("client" if sock is self.client else "server", parse(data[14:]) or {}))
                elif self.local[sock] == 4:
                    found.append(("router", parse(data) or {}))
                else:
                    inner = inner_of(data, sock.proto)
                    found.append(("router", {"src": address[0], "dst": None, "ttl": None, "tos": None} | inner))
        return found


class Bridge(Router):
    """The two wires as ports of one bridge."""

    def __init__(self) -> None:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.client, self.server = wire("c0", home), wire("s0", home)
        for line in (
            "link add br0 type bridge",
            "link set br0 up",
            *(f"link set {name} master br0 up" for name in ("c0", "s0")),
        ):
            subprocess.run(["ip", *line.split()], check=True)
        for name in ("br0", "c0", "s0"):
            sysctl(f"ipv6/conf/{name}/disable_ipv6", 1)
        for family in ("ip", "ip6"):
            sysctl(f"bridge/bridge-nf-call-{family}tables", 0)
        self._forwarding()
        self.local: dict[socket.socket, int] = {}
        self.number = 1 << 20

    def _forwarding(self) -> None:
        """Wait for the ports: a carrier is noticed up to a second late (net/core/link_watch.c)."""
        for _ in range(100):
            shown = subprocess.run(
                ["ip", "-d", "link", "show", "master", "br0"], capture_output=True, text=True, check=True
            )
            if shown.stdout.count("state forwarding") == 2:
                return
            time.sleep(0.05)
        raise TimeoutError("the ports of the bridge do not forward")

    def send(self, packet: dict[str, Any], number: int) -> None:
        data = build(packet, number)
        client = packet["from"] == "client"
        near, far = (bytes([2, 0, 0, 0, side, 2]) for side in ((1, 2) if client else (2, 1)))
        kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
        (self.client if client else self.server).send(far + near + kind + data)


def fate(number: int, found: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Where the packet of a number came out, and the error that somebody sent about it."""
    at: dict[str, Any] = {"at": None, "answer": None}
    for place, packet in found:
        error = packet["kind"] is not None and (
            (packet["proto"] == 1 and packet["kind"][0] == 3 and packet["kind"] != [3, 4])
            or (packet["proto"] == 58 and packet["kind"][0] == 1)
        )
        if error:
            at["answer"] = ["icmp", packet["kind"][1]]
        elif packet["proto"] == 6 and packet["kind"] & 4 and packet["number"] is None:
            at["answer"] = ["tcp", 0]
        elif packet["number"] == number and at["at"] is None:
            at |= packet | {"at": place}
    return at


def main() -> None:
    places = {False: Router, True: Bridge}
    made: dict[bool, Router] = {}
    answers = []
    for case in json.load(sys.stdin):
        bridged = case.get("bridged", False)
        made[bridged] = made.get(bridged) or places[bridged]()
        answers.append(made[bridged].play(case))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
