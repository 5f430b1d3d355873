"""Random routing tables in a real namespace, and the kernel's own answers (``RTM_GETROUTE``) beside ours.

Run as a program inside a user and network namespace of its own: ``routing_oracle.py SEED WORLDS QUERIES``.
Prints one JSON document: how many cases, and the disagreements. With ``NETFS_ORACLE_BREAK`` set, every second
route is hidden from us, to show that disagreements are noticed.

What cannot be compared is named by a function below each: state of the kernel that no dump holds.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.collect import routes
from netfs.collect.netlink import attribute, attributes, number
from netfs.datapath.routing import (
    RouteAnswer,
    RouteQuery,
    describe,
    describe_rule,
    lookup,
    martian_check,
    reverse_check,
    select_source,
)
from netfs.datapath.routing.compiled import routing
from netfs.model import ip
from netfs.model.route import NextHop
from tests.property.routing_worlds import World

RTM_GETROUTE, RTM_NEWROUTE, NLMSG_ERROR = 26, 24, 2
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000


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
    family, dst_len, src_len, tos, table, _, _, rtype, _ = struct.unpack_from("=BBBBBBBBI", data, 16)
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
        view,
        iif,
        src,
        dst,
        query.mark,
        query.tos,
        out=out,
        proto=query.proto or 0,
        sport=query.sport or 0,
        dport=query.dport or 0,
    )
    return None if checked.ok else "EINVAL"


def some_branch_keeps_loopback(query: RouteQuery, answer: RouteAnswer) -> bool:
    """The kernel took a branch that 127.0.0.0/8 may not leave by; we only name those it may."""
    if answer.route is None or not (query.src or "").startswith("127."):
        return False
    return answer.route.dst == "0.0.0.0/0" or len(answer.nexthops) < len(answer.route.nexthops)


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
    if query.iif is not None and (ip.is_multicast(query.dst) or kernel.get("error") == "EMSGSIZE"):
        return None
    if "error" in kernel or not answer.usable or query.iif is not None:
        wrong = wrong_error(world, query, answer, kernel.get("error"))
        if wrong is not None or "error" in kernel:
            return wrong
    if kernel["type"] != answer.kind and not cached_for_another(answer, kernel):
        return f"type {kernel['type']}, we say {answer.kind}"
    return (
        wrong_hop(world, query, answer, kernel)
        or wrong_route(world, answer, match)
        or wrong_source(world, query, answer, kernel)
    )


def wrong_error(world: World, query: RouteQuery, answer: RouteAnswer, error: str | None) -> str | None:
    wanted = {answer.error}
    if query.iif is not None and ip.family_of(query.dst) == 4:
        wanted = {expected_input4(world, query, answer, hop) for hop in (answer.nexthops or (None,))}
    elif error == "EINVAL" and some_branch_keeps_loopback(query, answer):
        return None
    return None if error in wanted else f"errno {error}, we say {wanted} ({answer.kind})"


def wrong_hop(world: World, query: RouteQuery, answer: RouteAnswer, kernel: dict[str, Any]) -> str | None:
    kinds = ("unicast",) if query.iif is not None else ("unicast", "multicast", "broadcast")
    if answer.kind not in kinds:
        return None
    wanted = {(hop.index, hop.gateway) for hop in answer.nexthops}
    used = (kernel["oif"], kernel["gateway"])
    if answer.kind == "multicast" and ip.family_of(query.dst) == 4:
        used, wanted = (used[0], None), {(index, None) for index, _ in wanted}
    if used in wanted or held_twice(world, query) or gateway_was_local(world, answer, used):
        return None
    return f"next hop {used} is not in {wanted}"


def wrong_route(world: World, answer: RouteAnswer, match: dict[str, Any]) -> str | None:
    """IPv6 routes through one next hop object share its cached result: the kernel names any of them. The merged
    IPv4 table is always called main.
    """
    route = answer.route
    if route is None or "error" in match or answer.kind not in ("unicast", "local"):
        return None
    if route.family == 6 and route.nh_id is not None:
        return None
    ours = (route.dst, route.metric, route.tos, route.src)
    theirs = (match["dst"], match["metric"], match["tos"], match["from"])
    if ours != theirs:
        return f"route {theirs}, we say {ours}"
    apart = route.family == 6 or routing(world.view).custom4
    return f"table {match['table']}, we say {route.table}" if apart and match["table"] != route.table else None


def wrong_source(world: World, query: RouteQuery, answer: RouteAnswer, kernel: dict[str, Any]) -> str | None:
    """For a packet to many the kernel does not tell through which next hop it got its source: any of that device."""
    if query.iif is not None or query.src is not None:
        return None
    hops = [hop for hop in answer.nexthops if (hop.index, hop.gateway) == (kernel["oif"], kernel["gateway"])]
    if ip.family_of(query.dst) == 4 and answer.kind in ("multicast", "broadcast") and answer.route is not None:
        every = [hop for r in world.view.netns.routes if r.dst == answer.route.dst for hop in r.nexthops]
        hops = [hop for hop in (*every, *answer.nexthops) if hop.index == kernel["oif"]]
    hops = hops or [hop for hop in answer.nexthops if hop.index == kernel["oif"]]
    chosen = [select_source(world.view, answer, query, hop) for hop in (hops or (None,))]
    return (
        None
        if kernel["prefsrc"] in {source for source, _ in chosen}
        else f"source {kernel['prefsrc']}, we say {chosen}"
    )


def texts_unlike_iproute(world: World) -> list[str]:
    """Routes and rules that ip(8) prints otherwise (but for its ``error`` and ``pref medium``, and a first hop's flags
    that it prints a second time).
    """
    found: list[str] = []
    for family in (4, 6):
        printed: set[str] = set()
        for words in (("route", "show", "table", "all"), ("rule", "show")):
            text = subprocess.run(["ip", f"-{family}", *words], capture_output=True, text=True, check=True).stdout
            lines = re.sub(r"\s*\n\t", " ", re.sub(r" error -?\d+| pref medium", "", text)).splitlines()
            for line in lines:
                head, nexthop, tail = " ".join(line.split()).partition(" nexthop ")
                printed.add((re.sub(r"( dead| linkdown| onlink)+$", "", head) if nexthop else head) + nexthop + tail)
        ours = [describe(route, world.view) for route in world.view.netns.routes if route.family == family]
        ours += [describe_rule(rule) for rule in world.view.netns.rules if rule.family == family]
        found += [line for line in ours if line not in printed]
    return found


def run(seed: int, worlds: int, queries: int) -> dict[str, Any]:
    count, kinds, found = 0, Counter[str](), []
    texts: list[str] = []
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
        texts += texts_unlike_iproute(world)
        if os.environ.get("NETFS_ORACLE_BREAK"):
            netns = world.view.netns
            world.view = NetNsView(world.view.node, replace(netns, routes=netns.routes[::2]), None)
        for query, kernel, match in zip(asked, answers, matches, strict=True):
            count += 1
            kinds[kernel.get("error") or kernel["type"]] += 1
            wrong = disagreement(world, query, kernel, match)
            if wrong is not None:
                answer = lookup(world.view, query)
                found.append(
                    {
                        "world": number_of_world,
                        "query": repr(query),
                        "wrong": wrong,
                        "kernel": kernel,
                        "match": match,
                        "considered": answer.considered,
                        "route": repr(answer.route),
                    }
                )
    return {"cases": count, "kinds": dict(kinds), "disagreements": found, "texts": texts}


if __name__ == "__main__":
    print(json.dumps(run(*(int(word) for word in sys.argv[1:4]))))
