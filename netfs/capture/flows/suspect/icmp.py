"""What ICMP errors in a capture say, by kind (RFC 792, RFC 1812 5.2.7, RFC 4443)."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence, grouped
from netfs.capture.flows.words import counted, end, heard, listed
from netfs.model.flows import Flow, IcmpError, Suspicion

UNREACHABLE, TOO_BIG, PORT, PROHIBITED = "destination-unreachable", "too-big", "port-unreachable", "prohibited"
TTL, REDIRECT, OTHER = "ttl-exceeded", "redirect", "icmp-error"

KINDS: dict[tuple[str, int, int], tuple[str, str]] = {
    ("icmp", 3, 0): (UNREACHABLE, "network unreachable"),
    ("icmp", 3, 1): (UNREACHABLE, "host unreachable"),
    ("icmp", 3, 2): (UNREACHABLE, "protocol unreachable"),
    ("icmp", 3, 3): (PORT, "port unreachable"),
    ("icmp", 3, 4): (TOO_BIG, "fragmentation needed"),
    ("icmp", 3, 9): (PROHIBITED, "network prohibited"),
    ("icmp", 3, 10): (PROHIBITED, "host prohibited"),
    ("icmp", 3, 13): (PROHIBITED, "prohibited by a filter"),
    ("icmp", 5, 0): (REDIRECT, "redirect"),
    ("icmp", 5, 1): (REDIRECT, "redirect"),
    ("icmp", 11, 0): (TTL, "TTL exceeded"),
    ("icmp", 11, 1): (OTHER, "fragments were not all there in time"),
    ("icmpv6", 1, 0): (UNREACHABLE, "no route"),
    ("icmpv6", 1, 1): (PROHIBITED, "prohibited by a filter"),
    ("icmpv6", 1, 3): (UNREACHABLE, "address unreachable"),
    ("icmpv6", 1, 4): (PORT, "port unreachable"),
    ("icmpv6", 1, 5): (PROHIBITED, "the source address fails a policy"),
    ("icmpv6", 1, 6): (PROHIBITED, "reject route"),
    ("icmpv6", 2, 0): (TOO_BIG, "packet too big"),
    ("icmpv6", 3, 0): (TTL, "hop limit exceeded"),
    ("icmpv6", 3, 1): (OTHER, "fragments were not all there in time"),
    ("icmpv6", 137, 0): (REDIRECT, "redirect"),
}
"""(protocol, type, code): the suspicion, and what it says in words."""

TUNNELS = frozenset({"ipip", "gre", "47", "4", "41"})
"""Protocols that are tunnels themselves, as ``IcmpError.about`` names them."""
USUAL = frozenset({4789, 6081, 8472})
"""UDP ports of tunnels (RFC 7348 section 8, RFC 8926 section 3.3; 8472 is Linux's own)."""
CIRCLE = 16
"""So many hops no packet makes from one tap to another of a cluster."""


def errors(evidence: Evidence) -> Iterator[Suspicion]:
    """One suspicion for each kind, and for each destination that the quoted packets were sent to."""
    every = evidence.decoded.errors
    for (slug, said, _, dport), indexes in grouped(range(len(every)), lambda i: _kind(evidence, every[i])):
        found = [every[i] for i in indexes]
        flows = sorted({each.flow for each in found if each.flow is not None})
        yield suspicion(slug, _why(evidence, slug, said, dport, found), flows, _look(evidence, slug, found))


def _kind(evidence: Evidence, error: IcmpError) -> tuple[str, str, str, int | None]:
    """(slug, in words, destination, port)."""
    number = f"{error.proto} type {error.type} code {error.code}"
    slug, said = KINDS.get((error.proto, error.type, error.code), (OTHER, number))
    if slug in (TOO_BIG, PORT) and is_about_a_tunnel(evidence, error):
        slug = "tunnel-too-big" if slug == TOO_BIG else "tunnel-port-closed"
    return slug, said, error.dst, error.dport


def is_about_a_tunnel(evidence: Evidence, error: IcmpError) -> bool:
    """Whether the packet that an error quotes is the outer one of a tunnel.

    Of one that a node did not let out, the error is all that there is.
    """
    if error.about in TUNNELS or (error.about == "udp" and error.dport in USUAL):
        return True
    ports = {
        each.dport
        for pair in ("vxlan", "geneve")
        for index in evidence.tunnel_pairs.get((pair, error.src, error.dst), ())
        for each in evidence.flows[index].tunnels
    }
    return error.about == "udp" and error.dport in ports


def _why(evidence: Evidence, slug: str, said: str, dport: int | None, found: list[IcmpError]) -> str:
    names = evidence.names
    tells = listed(end(names.get(each.sender), each.sender) for each in found)
    who = listed(end(names.get(each.src), each.src) for each in found)
    to = end(names.get(found[0].dst), found[0].dst, dport)
    told = [each.mtu for each in found if each.mtu is not None]
    mtu = f", MTU {min(told)}" if told else ""
    times = counted(sum(each.packets for each in found), "time")
    why = f"{tells} tells {who}, of {found[0].about} to {to}: {said}{mtu} ({times})"
    if slug == "tunnel-too-big" and told:
        room = f"{min(told) - 50} (VXLAN over IPv4) or {min(told) - 70} (over IPv6)"
        return f"{why}; the MTU of the tunnel device must not be above {room}"
    about = _about(evidence, found)
    if slug == TTL and (turns := max(map(_turns, about), default=0)) >= CIRCLE:
        return f"{why}; TTLs of one flow are {turns} apart: it goes in circles, or a route is traced{heard(about)}"
    return why


def _look(evidence: Evidence, slug: str, found: list[IcmpError]) -> str | None:
    """What to ask: of the nodes about a tunnel, of the path about what is inside."""
    about = _about(evidence, found)
    if slug.startswith("tunnel-") or not about:
        return evidence.doctor
    size = (f"--size {max(flow.largest for flow in about)}",) if slug == TOO_BIG else ()
    return next(filter(None, (evidence.trace(flow, *size) for flow in about)), None)


def _about(evidence: Evidence, found: list[IcmpError]) -> list[Flow]:
    return [evidence.flows[each.flow] for each in found if each.flow is not None]


def _turns(flow: Flow) -> int:
    """How far apart the TTLs of a flow's packets are."""
    return 0 if flow.ttl_least is None or flow.ttl_most is None else flow.ttl_most - flow.ttl_least
