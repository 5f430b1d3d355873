"""``netfs doctor``: every node, every pod, and every pair of nodes that differs from what it should hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.diagnose.checks import conntrack, network_policies, survey
from netfs.diagnose.checks.services import of_service
from netfs.diagnose.checks.sharing import shared_addresses
from netfs.diagnose.evidence import SAMPLE, Evidence, evidence
from netfs.diagnose.examination import of_pair, of_view, told
from netfs.diagnose.site import Tunnel, site
from netfs.model import ip
from netfs.model.address import NUD_VALID
from netfs.model.findings import Finding

FEW = 12
"""Up to this many nodes every pair is examined; beyond, those whose entries are not the usual ones."""


def examine(topology: Topology) -> tuple[Finding, ...]:
    """Every finding, errors first. Pure; what one namespace shows is found once and kept with it."""
    known = evidence(topology)
    return told(_all(known))


def _all(known: Evidence) -> Iterator[Finding]:
    for view in known.topology.views.values():
        yield from of_view(known, view)
    yield from shared_addresses(known, known.topology.owners.shared())
    for one, other in _pairs(known):
        yield from of_pair(known, one, other)
    for node in known.topology.nodes.values():
        yield from conntrack.stale(known, node)
        yield from survey.translating_to_nobody(known, node)
    yield from survey.every(known)
    if known.topology.kubernetes is not None:
        yield from _of_objects(known)


def _of_objects(known: Evidence) -> Iterator[Finding]:
    """What the API's objects say, held against the nodes."""
    for each in services.of(known.topology).all:
        yield from of_service(known, each)
    yield from network_policies.unenforced(known)


def _pairs(known: Evidence) -> Iterator[tuple[NetNsView, NetNsView]]:
    nodes = list(known.topology.nodes.values())
    if len(nodes) <= FEW:
        yield from ((one, other) for one in nodes for other in nodes if one is not other)
        return
    usual = {name: _usual(known, group) for name, group in known.groups.items()}
    for position, one in enumerate(nodes):
        odd: dict[str, NetNsView] = {}
        tunnels = site(one).tunnels
        for tunnel in tunnels:
            for other in _odd(tunnel, usual[tunnel.link.name]):
                odd[other.node.name] = other
        for step in range(1, SAMPLE + 1):
            other = nodes[(position + step) % len(nodes)]
            odd[other.node.name] = other
        for other in odd.values():
            if other is not one:
                yield one, other
                yield other, one


@dataclass(slots=True)
class _Usual:
    """The entries that every node of a tunnel group is expected to hold of the others, and of whom each is."""

    fdb: dict[tuple[str, str], NetNsView]
    """By (MAC, destination)."""
    neighbours: dict[tuple[str, str], NetNsView]
    """By (VTEP, MAC)."""
    routes: dict[tuple[str, str], NetNsView]
    """By (subnet, VTEP)."""


def _usual(known: Evidence, group: tuple[Tunnel, ...]) -> _Usual:
    found = _Usual({}, {}, {})
    for tunnel in group:
        mac, local = tunnel.link.mac, tunnel.local
        if not tunnel.link.up or mac is None or local is None:
            continue
        found.fdb[mac, local] = tunnel.view
        for subnet in known.subnets(tunnel):
            if vtep := known.vtep(tunnel, ip.family_of(subnet)):
                found.neighbours[vtep, mac] = tunnel.view
                found.routes[subnet, vtep] = tunnel.view
    return found


def _odd(tunnel: Tunnel, usual: _Usual) -> Iterator[NetNsView]:
    """The nodes of which a tunnel's node lacks a usual entry."""
    view, index = tunnel.view, tunnel.link.index
    fdb = set(map(attrgetter("mac", "dst"), view.fdb.get(index, ())))
    entries = view.neighbours.get(index, ())
    neighbours = {(entry.address, entry.mac) for entry in entries if entry.state & NUD_VALID}
    routes = {(route.dst, hop.gateway) for route in view.netns.routes for hop in route.nexthops if hop.index == index}
    for expected, held in ((usual.fdb, fdb), (usual.neighbours, neighbours), (usual.routes, routes)):
        for entry in expected.keys() - held:
            if expected[entry] is not view:
                yield expected[entry]
