"""Decoded captures made by hand: flows of the two-node cluster of ``tests.unit.clusters``.

capture(*both(POD_A, POD_B, "tcp", 40000, 80, tunnel=VXLAN))      a conversation in the tunnel
capture(flow(POD_A, POD_B, "icmp", echo_requests=3, packets=3))   a question that nobody answers
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netfs.model.flows import Decoded, Flow, IcmpError, Tunnel

POD_A, POD_B, POD_C, POD_D = "10.244.1.2", "10.244.2.2", "10.244.1.3", "10.244.2.3"
NODE1, NODE2 = "192.168.52.11", "192.168.52.12"
START = 1_763_730_000_000_000_000
SECOND = 1_000_000_000
VXLAN = Tunnel("vxlan", NODE1, NODE2, 1, None, 8472)
"""From node1 to node2."""
ESCAPE = "\x1b[2Jeth0\u202e"


def mirrored(tunnel: Tunnel) -> Tunnel:
    return replace(tunnel, src=tunnel.dst, dst=tunnel.src, src_node=tunnel.dst_node, dst_node=tunnel.src_node)


def flow(
    src: str, dst: str, proto: str = "tcp", sport: int | None = None, dport: int | None = None, **facts: Any
) -> Flow:
    """One flow. ``tunnel`` is the one it is in; ``packets`` is 1, of 100 bytes each, in the first second."""
    tunnel = facts.pop("tunnel", None)
    packets = facts.get("packets", 1)
    known = {"packets": 1, "bytes": 100 * packets, "first_ns": START, "last_ns": START, "largest": 100}
    known |= {"tunnels": (tunnel,)} if tunnel is not None else {}
    return Flow(src, dst, proto, sport, dport, **(known | facts))


def both(
    src: str, dst: str, proto: str = "tcp", sport: int | None = None, dport: int | None = None, **facts: Any
) -> tuple[Flow, Flow]:
    """A healthy conversation: a handshake and a little more, echoes and replies, or datagrams both ways."""
    tunnel = facts.pop("tunnel", None)
    there: dict[str, Any] = {"packets": 6} | facts
    back = dict(there)
    if proto == "tcp":
        there, back = {"syns": 1} | there, {"syn_acks": 1} | back
    if proto in ("icmp", "icmpv6"):
        there, back = {"echo_requests": there["packets"]} | there, {"echo_replies": back["packets"]} | back
    there = {"last_ns": START + SECOND} | there
    back = {"first_ns": START + 1000, "last_ns": START + SECOND} | back
    tunnel_back = mirrored(tunnel) if tunnel is not None else None
    return (
        flow(src, dst, proto, sport, dport, tunnel=tunnel, **there),
        flow(dst, src, proto, dport, sport, tunnel=tunnel_back, **back),
    )


def capture(*flows: Flow, seconds: int = 10, **facts: Any) -> Decoded:
    """A capture of these flows; ``reverse`` is found as the decoder finds it: the same ends, tunnels and VNIs."""
    place = {_key(each): index for index, each in enumerate(flows)}
    found = tuple(replace(each, reverse=place.get(_key(_answer(each)))) for each in flows)
    known: dict[str, Any] = {
        "file": "node1.pcapng",
        "format": "pcapng",
        "packets": sum(each.packets for each in flows),
        "bytes": sum(each.bytes for each in flows),
        "first_ns": START if flows else None,
        "last_ns": START + seconds * SECOND if flows else None,
        "interfaces": ("eth0",),
    }
    return Decoded(flows=found, **(known | facts))


def error(sender: str, type: int, code: int, src: str, dst: str, about: str = "tcp", **facts: Any) -> IcmpError:
    return IcmpError(sender, facts.pop("proto", "icmp"), type, code, src, dst, about, **facts)


def _answer(one: Flow) -> Flow:
    return replace(
        one,
        src=one.dst,
        dst=one.src,
        sport=one.dport,
        dport=one.sport,
        tunnels=tuple(map(mirrored, one.tunnels)),
    )


def _key(one: Flow) -> tuple[object, ...]:
    tunnels = tuple((each.kind, each.src, each.dst, each.vni) for each in one.tunnels)
    return one.src, one.dst, one.proto, one.sport, one.dport, tunnels, one.vlans
