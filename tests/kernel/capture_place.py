"""Namespaces to capture in: two nodes with a bridge, joined by VXLAN over a cable, and a pod on each.

As root with root's own rights, or in a user namespace, as an ordinary user must. Each namespace is held by a process
that ends with its standard input: nothing outlives the test, however it ends.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netfs.capture.station.order import Datagram, Order, Post
from netfs.sources.reach import Reach

ROOT = Path(__file__).parents[2]
KERNEL = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Place:
    """Namespaces by name."""

    def __init__(self, *, userns: bool) -> None:
        self._held: dict[str, subprocess.Popen[str]] = {}
        self._userns = userns

    def __enter__(self) -> Self:
        if self._userns:
            self._hold(".", ["unshare", "-Ur"])
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        for held in reversed(self._held.values()):
            held.kill()
            held.wait()

    @property
    def reach(self) -> Reach:
        return Reach("node", KERNEL, self._held["."].pid if self._userns else None)

    def add(self, *names: str) -> None:
        for name in names:
            self._hold(name, [*self._within(), "unshare", "-n"])
            quiet = "net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0"
            self.run(name, f"sysctl -qw {quiet}; ip link set lo up")

    def end(self, name: str) -> None:
        self._held[name].kill()
        self._held.pop(name).wait()

    def pid(self, name: str) -> int:
        return self._held[name].pid

    def post(self, name: str) -> Post:
        path = f"/proc/{self.pid(name)}/ns/net"
        return Post(path, os.stat(path).st_ino)

    def order(self, *names: str, **more: Any) -> tuple[Reach, Order]:
        return self.reach, Order(tuple(map(self.post, names)), **more)

    def start(self, name: str, argv: list[str], **how: Any) -> subprocess.Popen[str]:
        argv = [*self._within(), "nsenter", "-t", str(self.pid(name)), "-n", *argv]
        return subprocess.Popen(argv, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **how)

    def run(self, name: str, script: str) -> str:
        done = self.start(name, ["sh", "-ec", script], stdout=subprocess.PIPE)
        out = done.communicate(timeout=30)[0]
        assert done.returncode == 0, script
        return out

    def python(self, name: str, program: str, *arguments: str, **how: Any) -> subprocess.Popen[str]:
        return self.start(name, [sys.executable, "-c", program, *arguments], **how)

    def _hold(self, name: str, argv: list[str]) -> None:
        argv = [*argv, "sh", "-c", "echo; exec cat"]
        held = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._held[name] = held
        assert held.stdout is not None
        assert held.stdout.readline() == "\n", f"no namespace {name}"

    def _within(self) -> list[str]:
        if not self._userns:
            return []
        return ["nsenter", "-t", str(self._held["."].pid), "-U", "--preserve-credentials"]


def build(place: Place) -> None:
    """pod1 ─ node1 (cni0, vx1) ═ node2 (cni0, vx1) ─ pod2, 10.7.0.0/24 bridged throughout; underlay 10.8.0.0/24."""
    place.add("node1", "node2", "pod1", "pod2")
    place.run("node1", f"ip link add under type veth peer name under netns {place.pid('node2')}")
    for n in (1, 2):
        place.run(
            f"node{n}",
            f"""
            ip link add veth{n} type veth peer name eth0 netns {place.pid(f"pod{n}")}
            ip link add cni0 type bridge forward_delay 0 mcast_snooping 0
            ip addr add 10.8.0.{n}/24 dev under; ip link set under up
            ip link add vx1 type vxlan id 7 local 10.8.0.{n} remote 10.8.0.{3 - n} dstport 8472 dev under
            for port in veth{n} vx1; do ip link set $port master cni0; ip link set $port up; done
            ip link set cni0 up
            """,
        )
        place.run(
            f"pod{n}",
            f"""
            ip link set eth0 mtu 1450 up
            ip addr add 10.7.0.{n}/24 dev eth0
            ip addr add fd07::{n}/64 dev eth0 nodad
            """,
        )


def echo(number: int, size: int = 40, identifier: int = 4711) -> Datagram:
    """An ICMP echo request."""
    head, data = struct.pack("!BBHHH", 8, 0, 0, identifier, number), b"netfs-%02d" % number * (size // 8)
    return Datagram(number, head[:2] + checksum(head + data).to_bytes(2) + head[4:] + data)


def checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def echoes(identifier: int = 4711) -> bytes:
    """A filter: ICMP echo of an identifier, not in a tunnel."""
    rows = [
        (0x28, 0, 0, 12),  # ldh [12]: ethertype
        (0x15, 0, 7, 0x0800),
        (0x30, 0, 0, 23),  # ldb [23]: protocol
        (0x15, 0, 5, 1),
        (0x28, 0, 0, 38),  # ldh [38]: identifier
        (0x15, 0, 3, identifier),
        (0x30, 0, 0, 14),
        (0x15, 0, 1, 0x45),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    ]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)
