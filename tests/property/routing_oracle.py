"""Random routing tables in a real namespace, and the kernel's own answers (``RTM_GETROUTE``) beside ours.

Run as a program inside a user and network namespace of its own: ``routing_oracle.py SEED WORLDS QUERIES``.
Prints one JSON document: how many cases, and the disagreements.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import socket
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.collect import Target, collect, routes
from netfs.collect.netlink import attribute, attributes, number
from netfs.datapath.routing import RouteAnswer, RouteQuery, lookup, martian_check, reverse_check, select_source
from netfs.datapath.routing.compiled import routing
from netfs.model import ip
from netfs.model.route import NextHop

CLONE_NEWNET = 0x40000000
RTM_GETROUTE, RTM_NEWROUTE, NLMSG_ERROR = 26, 24, 2
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000
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
        input="\n".join(lines) + "\n", text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )


class World:
    """One namespace with random links, addresses, routes and rules."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
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
        for word, make in (
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
        ):
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
            src = rng.choice(owned) if owned and not received and rng.random() < 0.9 else self._target(family, spread=0.05)
        proto = rng.choice((1, 6, 17)) if family == 4 else rng.choice((6, 17, 58))
        ported = proto in (6, 17)
        return RouteQuery(
            dst=dst, src=src,
            iif=self.dev() if received else None,
            oif=self.dev() if not received and rng.random() < 0.25 else None,
            mark=rng.choice(MARKS), tos=rng.choice(TOSES), proto=proto,
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


def request(world: World, query: RouteQuery, seq: int, flags: int) -> bytes:
    family = ip.family_of(query.dst)
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    bits = ip.BITS[family]

    def packed(text: str) -> bytes:
        return socket.inet_pton(af, text)

    index = {link.name: link.index for link in world.view.netns.links}
    body = struct.pack("=BBBBBBBBI", af, bits, bits if query.src else 0, query.tos, 0, 0, 0, 0, flags)
    body += attribute(1, packed(query.dst))
    if query.src:
        body += attribute(2, packed(query.src))
    if query.iif:
        body += attribute(3, struct.pack("=I", index[query.iif]))
    if query.oif:
        body += attribute(4, struct.pack("=I", index[query.oif]))
    if query.mark:
        body += attribute(16, struct.pack("=I", query.mark))
    body += attribute(25, struct.pack("=I", query.uid))
    if query.proto is not None:
        body += attribute(27, struct.pack("=B", query.proto))
    if query.sport is not None:
        body += attribute(28, struct.pack("!H", query.sport))
    if query.dport is not None:
        body += attribute(29, struct.pack("!H", query.dport))
    return struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, 1, seq, 0) + body


def ask(world: World, queries: list[RouteQuery], flags: int) -> list[dict[str, Any]]:
    """The kernel's answers, 40 questions in one send."""
    found: dict[int, dict[str, Any]] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.settimeout(5)
        for start in range(0, len(queries), 40):
            part = queries[start : start + 40]
            sock.send(b"".join(request(world, q, start + i, flags) for i, q in enumerate(part)))
            while len(found) < start + len(part):
                data = sock.recv(1 << 18)
                offset = 0
                while offset + 16 <= len(data):
                    length, kind, _, seq, _ = struct.unpack_from("=IHHII", data, offset)
                    found[seq] = reply(kind, data[offset : offset + length])
                    offset += (length + 3) & ~3
    return [found[i] for i in range(len(queries))]


def reply(kind: int, data: bytes) -> dict[str, Any]:
    if kind == NLMSG_ERROR:
        return {"error": errno.errorcode[-struct.unpack_from("=i", data, 16)[0]]}
    assert kind == RTM_NEWROUTE
    family, dst_len, src_len, tos, table, _, _, rtype, flags = struct.unpack_from("=BBBBBBBBI", data, 16)
    attrs = attributes(data, 28, len(data))
    af = socket.AF_INET if family == socket.AF_INET else socket.AF_INET6

    def text(code: int) -> str | None:
        return socket.inet_ntop(af, attrs[code]) if code in attrs else None

    via = attrs.get(18)
    return {
        "type": routes.TYPES[rtype],
        "dst": f"{text(1) or ('0.0.0.0' if af == socket.AF_INET else '::')}/{dst_len}",
        "from": f"{text(2)}/{src_len}" if src_len else None,
        "oif": number(attrs[4]) if 4 in attrs else None,
        "gateway": text(5) or (socket.inet_ntop(socket.AF_INET6, via[2:]) if via else None),
        "prefsrc": text(7),
        "metric": number(attrs.get(6)),
        "table": number(attrs.get(15), table),
        "tos": tos,
    }


def expected_input4(world: World, query: RouteQuery, answer: RouteAnswer, hop: NextHop | None) -> str | None:
    """The errno ``ip_route_input_slow`` ends with; None: the packet goes on."""
    view = world.view
    iif = view.links_by_name[query.iif or ""]
    src = query.src or "0.0.0.0"
    if martian_check(view, iif, src, query.dst) is not None:
        return "EINVAL"
    forwarding = iif.ipv4.get("forwarding", 0)
    if not answer.usable:
        return (answer.error or "ENETUNREACH") if forwarding else "EHOSTUNREACH"
    out, dst = 0, query.dst
    if answer.kind == "broadcast":
        dst = "0.0.0.0"
        if src == "0.0.0.0":
            return None
    elif answer.kind == "unicast":
        if not forwarding:
            return "EHOSTUNREACH"
        out = (hop.index if hop is not None else None) or 0
    elif answer.kind != "local":
        return "EINVAL"
    checked = reverse_check(
        view, iif, src, dst, query.mark, query.tos, out=out,
        proto=query.proto or 0, sport=query.sport or 0, dport=query.dport or 0,
    )
    return None if checked.ok else "EINVAL"


def some_branch_keeps_loopback(query: RouteQuery, answer: RouteAnswer) -> bool:
    """The kernel took a branch that 127.0.0.0/8 may not leave by; we only name those it may."""
    loopback = (query.src or "").startswith("127.") and answer.route is not None
    return loopback and answer.route is not None and len(answer.nexthops) < len(answer.route.nexthops)


def cached_for_another(answer: RouteAnswer, kernel: dict[str, Any]) -> bool:
    """Routes of equal attributes share one next hop object and its cached result, the type of the packet included
    that was first: a multicast packet may be answered by one that was made for another (``rt_cache_valid``).
    """
    return answer.kind == "multicast" and answer.route is not None and kernel["type"] == answer.route.type


def held_twice(world: World, query: RouteQuery) -> bool:
    """Several devices hold the source address: the kernel takes the one that got it last, which cannot be read."""
    return sum(address.local == query.src for address in world.view.netns.addresses) > 1


def gateway_was_local(world: World, answer: RouteAnswer, used: tuple[int, str | None]) -> bool:
    """The gateway lay in a prefix of scope host when the route was added, so the kernel does not use it: its scope
    (``fib_nh_scope``) cannot be read. (An address of the device itself is no such case: that one is seen.)
    """
    ours = [hop.gateway for hop in answer.nexthops if hop.index == used[0] and hop.gateway and not hop.flags & 4]
    locals_ = [r.dst for r in world.view.netns.routes if r.scope == 254 and r.family == 4 and r.protocol != 2]
    return used[1] is None and any(ip.contains(dst, gateway) for dst in locals_ for gateway in ours)


def disagreement(world: World, query: RouteQuery, kernel: dict[str, Any], match: dict[str, Any]) -> str | None:
    answer = lookup(world.view, query)
    if answer.kind == "unknown":
        return f"unknown: {answer.unknown}"
    family = ip.family_of(query.dst)
    received = query.iif is not None
    if received and (ip.is_multicast(query.dst) or kernel.get("error") == "EMSGSIZE"):
        return None
    if family == 4 and received:
        wanted = {expected_input4(world, query, answer, hop) for hop in (answer.nexthops or (None,))}
        if kernel.get("error") not in wanted:
            return f"errno {kernel.get('error')} is not in {wanted}"
        if kernel.get("error"):
            return None
    elif kernel.get("error") == "EINVAL" and some_branch_keeps_loopback(query, answer):
        return None
    elif kernel.get("error") != answer.error:
        return f"errno {kernel.get('error')}, we say {answer.error} ({answer.kind})"
    if kernel.get("error"):
        return None
    if kernel["type"] != answer.kind and not cached_for_another(answer, kernel):
        return f"type {kernel['type']}, we say {answer.kind}"
    if answer.kind == "unicast" or (not received and answer.kind in ("multicast", "broadcast")):
        wanted_hops = {(hop.index, hop.gateway) for hop in answer.nexthops}
        used = (kernel["oif"], kernel["gateway"])
        if answer.kind == "multicast" and family == 4:
            used, wanted_hops = (used[0], None), {(i, None) for i, _ in wanted_hops}
        if used not in wanted_hops and not held_twice(world, query) and not gateway_was_local(world, answer, used):
            return f"next hop {used} is not in {wanted_hops}"
    if answer.route is not None and "error" not in match and answer.kind in ("unicast", "local"):
        route = answer.route
        ours = (route.dst, route.metric, route.tos, route.src)
        theirs = (match["dst"], match["metric"], match["tos"], match["from"])
        if ours != theirs and not (family == 6 and route.nh_id is not None):
            return f"route {theirs}, we say {ours}"
        apart = route.nh_id is None if family == 6 else routing(world.view).custom4
        if match["table"] != route.table and apart:
            return f"table {match['table']}, we say {route.table}"
    if not received and query.src is None:
        hops = [h for h in answer.nexthops if (h.index, h.gateway) == (kernel["oif"], kernel["gateway"])]
        if family == 4 and answer.kind in ("multicast", "broadcast") and answer.route is not None:
            hops = [h for h in answer.route.nexthops if h.index == kernel["oif"]]
        chosen = [select_source(world.view, answer, query, hop) for hop in (hops or (None,))]
        if kernel["prefsrc"] not in {source for source, _ in chosen}:
            return f"source {kernel['prefsrc']}, we say {chosen}"
    return None


def run(seed: int, worlds: int, queries: int) -> dict[str, Any]:
    count, kinds, found = 0, Counter[str](), []
    for number_of_world in range(worlds):
        world = World(random.Random(f"{seed}/{number_of_world}"))
        for _ in range(5):
            asked = [world.query() for _ in range(queries)]
            answers = ask(world, asked, RTM_F_LOOKUP_TABLE)
            matches = ask(world, asked, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH)
            before = world.state()
            world.view = world.read()
            if world.state() == before:
                break
        for query, kernel, match in zip(asked, answers, matches, strict=True):
            count += 1
            kinds[kernel.get("error") or kernel["type"]] += 1
            wrong = disagreement(world, query, kernel, match)
            if wrong is not None:
                answer = lookup(world.view, query)
                found.append(
                    {"world": number_of_world, "query": repr(query), "wrong": wrong, "kernel": kernel, "match": match,
                     "considered": answer.considered, "route": repr(answer.route)}
                )
    return {"cases": count, "kinds": dict(kinds), "disagreements": found}


if __name__ == "__main__":
    print(json.dumps(run(*(int(word) for word in sys.argv[1:4]))))
