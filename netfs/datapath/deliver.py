"""Delivery: the packet is for this namespace, and something there takes it, or not.

Mirrors ``ip_local_deliver`` (net/ipv4/ip_input.c), ``icmp_rcv``, ``__inet_lookup_listener`` and
``__udp4_lib_lookup``. An IPv6 wildcard socket that is not v6only takes IPv4 as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.datapath.connection import FiveTuple, five_tuple
from netfs.datapath.position import End, Position, Step, drop, unknown
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Listener
from netfs.model.trace import DELIVERED

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

BROADCASTS = "net.ipv4.icmp_echo_ignore_broadcasts"
LIMITED = "255.255.255.255"


def local(walk: Walk, at: Position) -> Step:
    """The protocol, behind the INPUT hook."""
    if at.frame.inner is not None:
        return at.go("decapsulate")
    packet = at.frame.packet
    if walk.replying and at.branch.asked is not None and five_tuple(packet) != at.branch.asked.inverted:
        return _not_asked(at, at.branch.asked)
    if packet.proto == "icmp":
        if packet.family == 4 and not walk.replying and at.view.sysctl("net.ipv4.icmp_echo_ignore_all", 0):
            return drop(at, "deliver", "ECHO_IGNORED", f"{at.view.name} answers no echo (icmp_echo_ignore_all)")
        if _broadcast(at) and not walk.replying and at.view.sysctl(BROADCASTS, 1):
            return drop(at, "deliver", "ECHO_IGNORED", _no_echo(at))
        return _delivered(at, "ICMP is answered by the kernel" if not walk.replying else "the answer is here")
    if walk.replying:
        return _delivered(at, "the answer is here")
    return _socket(at, packet)


def _not_asked(at: Position, asked: FiveTuple) -> End:
    """The answer of a stranger: no socket waits for it (``__inet_lookup_established``, ``ping_lookup``)."""
    packet, bridge = at.frame.packet, at.branch.bypassed
    flow = five_tuple(packet)
    if packet.dst != asked.src:
        why = f"the answer {flow} ends in {at.view.name}, which knows no connection that it belongs to"
        return drop(at, "deliver", "NO_SOCKET", why)
    fate = {"tcp": "a reset goes back", "udp": "ICMP port unreachable goes back"}.get(packet.proto, "it is ignored")
    why = f"{at.view.name} asked {asked} and gets an answer {flow}, which it never asked: {fate}"
    if bridge is None:
        return drop(at, "deliver", "NO_SOCKET", why)
    return drop(
        at,
        "deliver",
        "NO_SOCKET",
        f"{why}; the answer crossed {bridge} without meeting the translation that it needs",
        fix="sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1",
        slug="bridge-nf-off",
    )


def _broadcast(at: Position) -> bool:
    """``RTCF_BROADCAST``: the route that the packet was taken in by says so (``ip_route_input_slow``)."""
    return at.frame.packet.dst == LIMITED or (at.route is not None and at.route.type == "broadcast")


def _no_echo(at: Position) -> str:
    """Broadcast echo requests are ignored by default (``icmp_rcv`` in net/ipv4/icmp.c)."""
    taken = "" if at.view.sysctl(BROADCASTS) is not None else ", taken to be 1, the default"
    return (
        f"{at.frame.packet.dst} is a broadcast address: {at.view.name} answers no echo that is sent to it "
        f"({BROADCASTS}{taken})"
    )


def _delivered(at: Position, why: str) -> End:
    at.note("deliver", "deliver", why)
    return End(at, DELIVERED, why=why)


def _socket(at: Position, packet: Packet) -> Step:
    listeners = at.view.netns.listeners
    port = packet.dport or 0
    name = packet.proto.upper()
    if listeners is None:
        return unknown(at, "deliver", f"the sockets of {at.view.name} could not be read: does {name} {port} listen?")
    found = next((listener for listener in listeners if _takes(listener, packet, at.link)), None)
    if found is not None:
        return _delivered(at, f"{name} {_socket_name(found)} listens")
    others = sorted({_socket_name(x) for x in listeners if x.proto == packet.proto})
    here = f"; what listens: {', '.join(others[:5])}" if others else ""
    answer = "a reset" if packet.proto == "tcp" else "ICMP port unreachable"
    return drop(at, "deliver", "NO_SOCKET", f"nothing takes {name} {port} in {at.view.name}: {answer} goes back{here}")


def _socket_name(listener: Listener) -> str:
    """``0.0.0.0:80``, ``[::]:80`` (RFC 5952 6)."""
    address = f"[{listener.address}]" if ":" in listener.address else listener.address
    return f"{address}:{listener.port}"


def _takes(listener: Listener, packet: Packet, link: Link) -> bool:
    if listener.proto != packet.proto or listener.port != packet.dport:
        return False
    if listener.index is not None and listener.index != link.index:
        return False
    if listener.family == packet.family:
        return listener.address in (packet.dst, "0.0.0.0", "::")
    if listener.family == 6 and not listener.v6only:
        return listener.address in ("::", f"::ffff:{packet.dst}")
    return False
