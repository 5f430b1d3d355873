"""Random network namespaces: links, addresses, settings, routes of every kind and rules of every selector."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.collect import Target, collect
from netfs.datapath.routing import RouteQuery
from netfs.model import ip

CLONE_NEWNET = 0x40000000
MARKS, TOSES = (0, 0, 0, 1, 2, 0x10, 0x11), (0, 0, 0, 4, 8, 0x10, 0x1C, 0xB8, 0x20)
TABLES = (254, 254, 254, 100, 101, 102, 253, 255)
LENGTHS = {4: (0, 8, 9, 12, 16, 20, 23, 24, 26, 28, 30, 31, 32), 6: (0, 16, 32, 48, 56, 64, 80, 96, 112, 127, 128)}
libc = ctypes.CDLL(None, use_errno=True)


def sysctl(name: str, value: int) -> None:
    with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
        file.write(str(value))


def ip_batch(lines: list[str], *options: str) -> None:
    subprocess.run(
        ["ip", *options, "-force", "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


class World:
    """One namespace with random links, addresses, routes and rules."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        if libc.unshare(CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        for name in ("accept_dad", "dad_transmits", "router_solicitations"):
            sysctl(f"ipv6/conf/default/{name}", 0)
        self.pairs = rng.randint(2, 4)
        self.devices = [f"{side}{i}" for i in range(self.pairs) for side in "ep"]
        self.used = [f"e{i}" for i in range(self.pairs)]
        self.custom = rng.random() < 0.75
        self.lines: list[str] = []
        self._links()
        self._settings()
        self.objects = rng.random() < 0.3
        if self.objects:
            for family in (4, 6):
                ip_batch(self._nexthops(family), f"-{family}")
        for family in (4, 6):
            ip_batch([self._route(family) for _ in range(rng.randint(3, 30))], f"-{family}")
            if self.custom:
                ip_batch([self._rule(family) for _ in range(rng.randint(1, 6))], f"-{family}")
        if rng.random() < 0.2:
            self._equal_defaults()
        self._disturb()
        self.view = self.read()

    def _links(self) -> None:
        rng = self.rng
        lines = ["link set lo up"] if rng.random() < 0.9 else []
        for i in range(self.pairs):
            lines.append(f"link add e{i} type veth peer name p{i}")
            lines.append(f"link set e{i} up group {rng.choice((0, 0, 5, 6))}")
            if rng.random() < 0.8:
                lines.append(f"link set p{i} up")
            for _ in range(rng.randint(0, 3)):
                peer = f" peer {self.address(4)}" if rng.random() < 0.1 else ""
                tail = f"/{rng.choice((8, 16, 24, 28, 30, 32))}"
                scope = rng.choice(("global", "global", "global", "link", "host"))
                lines.append(f"address add {self.address(4)}{peer}{tail} dev e{i} scope {scope}")
            for _ in range(rng.randint(0, 3)):
                tail = f"/{rng.choice((32, 48, 64, 96, 128))}"
                flags = rng.choice(("", "", "preferred_lft 0", "mngtmpaddr"))
                lines.append(f"address add {self.address(6)}{tail} dev e{i} nodad {flags}")
        if rng.random() < 0.3:
            lines.append(f"address add {self.address(4)}/32 dev lo")
            lines.append(f"address add {self.address(6)}/128 dev lo nodad")
        ip_batch(lines)

    def _settings(self) -> None:
        rng = self.rng
        for dev in ["all", *self.used]:
            sysctl(f"ipv4/conf/{dev}/forwarding", int(rng.random() < 0.8))
            sysctl(f"ipv4/conf/{dev}/rp_filter", rng.choice((0, 0, 1, 2)))
            sysctl(f"ipv4/conf/{dev}/accept_local", int(rng.random() < 0.2))
            sysctl(f"ipv4/conf/{dev}/route_localnet", int(rng.random() < 0.2))
            sysctl(f"ipv4/conf/{dev}/src_valid_mark", int(rng.random() < 0.3))
            sysctl(f"ipv4/conf/{dev}/ignore_routes_with_linkdown", int(rng.random() < 0.4))
            sysctl(f"ipv6/conf/{dev}/ignore_routes_with_linkdown", int(rng.random() < 0.4))
        sysctl("ipv4/conf/all/send_redirects", 1)
        for dev in self.used:
            sysctl(f"ipv4/conf/{dev}/forwarding", int(rng.random() < 0.8))
        sysctl("ipv6/conf/all/forwarding", int(rng.random() < 0.6))

    def _equal_defaults(self) -> None:
        """Default routes of one metric, with gateways that are known to be there, or not."""
        for _ in range(self.rng.randint(2, 3)):
            gateway, dev = self.address(4), self.dev()
            ip_batch([f"route append default via {gateway} dev {dev} onlink table 254 metric 7"])
            if self.rng.random() < 0.7:
                state = self.rng.choice(("failed", "stale", "reachable", "permanent"))
                ip_batch([f"neigh replace {gateway} lladdr 02:00:00:00:00:01 dev {dev} nud {state}"])

    def _disturb(self) -> None:
        """Some devices go down after the routes were made: dead next hops, flushed routes."""
        lines = [f"link set {dev} down" for dev in self.devices if self.rng.random() < 0.12]
        lines += [f"neigh add {self.address(6)} dev {self.dev()} nud failed" for _ in range(2)]
        ip_batch(lines)

    def dev(self) -> str:
        return self.rng.choice(self.used)

    def address(self, family: int) -> str:
        rng = self.rng
        if family == 4:
            net = rng.choice(("10.0", "10.0", "10.1", "10.9", "172.16", "192.168", "203.0"))
            return f"{net}.{rng.randint(0, 3)}.{rng.randint(1, 14)}"
        net = rng.choice(("fd00:", "fd00:", "fd00:1", "2001:db8", "2001:db8:5", "fec0:", "2002:a00", "fe80:"))
        return ip.to_text(ip.to_int(f"{net}::{rng.randint(0, 2):x}:{rng.randint(1, 14):x}".replace(":::", "::")), 6)

    def prefix(self, family: int) -> str:
        rng, bits = self.rng, ip.BITS[family]
        length = rng.choice(LENGTHS[family])
        if rng.random() < 0.04:
            return rng.choice(("224.0.0.0/4", "239.0.0.0/8", "127.5.0.0/16")) if family == 4 else "ff05::/16"
        value = ip.to_int(self.address(family)) >> (bits - length) << (bits - length)
        return f"{ip.to_text(value, family)}/{length}"

    def _hop(self, family: int) -> str:
        roll = self.rng.random()
        if roll < 0.3:
            return f"dev {self.dev()}"
        foreign = "inet6 " if family == 4 and roll > 0.95 else ""
        gateway = self.address(6 if foreign else family)
        return f"via {foreign}{gateway} dev {self.dev()}" + (" onlink" if self.rng.random() < 0.85 else "")

    def _nexthops(self, family: int) -> list[str]:
        """Next hop objects 41 to 43, a group of them 44, a black hole 45; 61 to 65 for IPv6."""
        rng, first = self.rng, 1 + 20 * (family // 2)
        lines = [f"nexthop add id {first + i} via {self.address(family)} dev {self.dev()} onlink" for i in range(3)]
        members = "/".join(f"{first + i},{rng.randint(1, 3)}" for i in range(rng.randint(1, 3)))
        lines.append(f"nexthop add id {first + 3} group {members}")
        lines.append(f"nexthop add id {first + 4} blackhole")
        return lines

    def _route(self, family: int) -> str:
        rng = self.rng
        kind = rng.choice(
            ("unicast",) * 9 + ("blackhole", "unreachable", "prohibit", "throw", "local", "multi", "multi", "broadcast")
        )
        words = ["route", rng.choice(("add", "append", "append"))]
        if kind not in ("unicast", "multi"):
            words.append(kind)
        words += [self.prefix(family), f"table {rng.choice(TABLES)}"]
        if rng.random() < 0.4:
            words.append(f"metric {rng.choice((1, 5, 5, 100, 1024))}")
        if family == 4 and rng.random() < 0.15:
            words.append(f"tos {rng.choice((4, 8, 0x10, 0x1C)):#x}")
        if family == 6 and rng.random() < 0.1:
            words.append(f"from {self.prefix(6)}")
        if family == 6 and rng.random() < 0.15 and kind == "unicast":
            words.append(f"pref {rng.choice(('low', 'medium', 'high'))}")
        if rng.random() < 0.2 and kind in ("unicast", "multi", "local"):
            words.append(f"src {self.address(family)}")
        if kind == "multi":
            for _ in range(rng.randint(2, 4)):
                words.append(f"nexthop {self._hop(family)} weight {rng.randint(1, 4)}")
        elif kind in ("local", "broadcast"):
            words.append(f"dev {self.dev()}")
        elif kind == "unicast":
            if self.objects and rng.random() < 0.3:
                return " ".join([*words, f"nhid {1 + 20 * (family // 2) + rng.randint(0, 4)}"])
            words.append(self._hop(family))
            if family == 4 and rng.random() < 0.1:
                words.append(f"scope {rng.choice(('host', 'link', 'site'))}")
        return " ".join(words)

    def _rule(self, family: int) -> str:
        rng = self.rng
        pref = rng.choice((0, 10, 20, 20, 30, 40, 50, 32766, 40000))
        words = ["rule add"]
        if rng.random() < 0.15:
            words.append("not")
        selectors: tuple[tuple[str, Callable[[], str]], ...] = (
            ("from", lambda: self.prefix(family)),
            ("to", lambda: self.prefix(family)),
            ("iif", lambda: rng.choice((*self.used, "lo", "gone"))),
            ("oif", lambda: rng.choice((*self.used, "gone"))),
            ("fwmark", lambda: rng.choice(("1", "0x10/0x10", "0/0x1", "2"))),
            ("tos", lambda: rng.choice(("0x4", "0x8", "0x10"))),
            ("ipproto", lambda: rng.choice(("tcp", "udp", "icmp"))),
            ("sport", lambda: rng.choice(("1000", "1000-2000"))),
            ("dport", lambda: rng.choice(("80", "80-90"))),
            ("uidrange", lambda: rng.choice(("0-0", "1000-1200"))),
        )
        for word, make in selectors:
            if rng.random() < 0.16:
                words.append(f"{word} {make()}")
        words.append(f"pref {pref}")
        roll = rng.random()
        if roll < 0.08:
            words.append(f"goto {pref + rng.choice((5, 10, 20))}")
        elif roll < 0.2:
            words.append(rng.choice(("blackhole", "unreachable", "prohibit", "nop")))
        else:
            words.append(f"table {rng.choice((254, 100, 101, 102, 253, 77))}")
            if rng.random() < 0.25:
                words.append(f"suppress_prefixlength {rng.choice((0, 8, 16, 24, 64))}")
            if rng.random() < 0.15:
                words.append("suppress_ifgroup 5")
        return " ".join(words)

    def read(self) -> NetNsView:
        (snapshot,) = collect([Target("world", "/proc/self/ns/net")])
        netns = snapshot.namespaces[0]
        netns = replace(netns, links=tuple(replace(link, stats=None) for link in netns.links))
        return NetNsView(snapshot, netns, None)

    def state(self) -> Any:
        n = self.view.netns
        return n.links, n.addresses, n.routes, n.rules

    def query(self) -> RouteQuery:
        rng = self.rng
        family = rng.choice((4, 6))
        dst = self._target(family)
        received = rng.random() < 0.4
        src: str | None = None
        owned = [a.local for a in self.view.netns.addresses if a.family == family]
        if received or rng.random() < 0.4:
            src = (
                rng.choice(owned)
                if owned and not received and rng.random() < 0.9
                else self._target(family, spread=0.05)
            )
        proto = rng.choice((1, 6, 17)) if family == 4 else rng.choice((6, 17, 58))
        ported = proto in (6, 17)
        return RouteQuery(
            dst=dst,
            src=src,
            iif=self.dev() if received else None,
            oif=self.dev() if not received and rng.random() < 0.25 else None,
            mark=rng.choice(MARKS),
            tos=rng.choice(TOSES),
            proto=proto,
            sport=rng.choice((1000, 1500, 3000)) if ported else None,
            dport=rng.choice((80, 85, 443)) if ported else None,
            uid=rng.choice((0, 0, 1000, 1500)),
        )

    def _target(self, family: int, spread: float = 0.1) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < spread:
            if family == 6:
                return rng.choice(("ff02::1", "ff05::2", "ff0e::5", "::1", "fe80::1", "2001:10::1", "3ffe::1"))
            return rng.choice(
                ("224.0.0.5", "239.1.1.1", "255.255.255.255", "127.0.0.1", "127.5.1.1", "0.1.2.3", "8.8.8.8", "0.0.0.0")
            )
        own = [route for route in self.view.netns.routes if route.family == family]
        if roll < 0.65 and own:
            network, length = ip.prefix(rng.choice(own).dst)
            free = ip.BITS[family] - length
            value = network | (rng.getrandbits(free) & 0xFFFF_0000_000F if free else 0)
            return ip.to_text(value, family) if value else self.address(family)
        return self.address(family)
