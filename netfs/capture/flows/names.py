"""Who owns the addresses of a capture: pods, nodes and Services by name, where a source says so."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from netfs.cluster import services
from netfs.cluster.endpoint import name_of
from netfs.cluster.topology import Topology
from netfs.model.flows import Decoded, Flow, Tunnel
from netfs.model.route import RT_SCOPE_LINK


class Owner(NamedTuple):
    """Who an address belongs to."""

    name: str
    """As an endpoint of a trace: ``default/pod-a``, ``node/node1``, ``default/svc/web``."""
    node: str | None
    """The node it is on; None for a Service."""


def named(decoded: Decoded, topology: Topology) -> Decoded:
    """The capture with a name beside every address that one namespace or one Service owns.

    An address that several namespaces hold (docker0 of every node) has no name: it would be a guess.
    """
    owners = owners_of(topology)
    return replace(decoded, flows=tuple(_named(flow, owners) for flow in decoded.flows))


def owners_of(topology: Topology) -> dict[str, Owner]:
    """Every address with one owner. A Service's cluster IP is the Service's, though IPVS puts it on every node."""
    found: dict[str, Owner] = {}
    shared: set[str] = set()
    for view in topology.views.values():
        pod = view.pod
        owner = Owner(name_of(view), view.node.name)
        held = {each.local for each in view.netns.addresses if each.scope < RT_SCOPE_LINK}
        for address in held.union(pod.ips if pod is not None else ()):
            if found.setdefault(address, owner) != owner:
                shared.add(address)
    for address in [*shared, *(each for each in found if each == "::1" or each.startswith("127."))]:
        found.pop(address, None)
    for service in services.of(topology).all:
        for address in service.service.cluster_ips:
            found[address] = Owner(service.name, None)
        for address in service.addresses:
            found.setdefault(address, Owner(service.name, None))
    return found


def tunnel_ports(topology: Topology) -> tuple[int, ...]:
    """The UDP ports on which the VXLAN devices of the nodes listen."""
    found = {port.link.vxlan.port for ports in topology.tunnels.values() for port in ports if port.link.vxlan}
    return tuple(sorted(found))


def _named(flow: Flow, owners: dict[str, Owner]) -> Flow:
    src, dst = owners.get(flow.src), owners.get(flow.dst)
    return replace(
        flow,
        src_name=src.name if src is not None else None,
        dst_name=dst.name if dst is not None else None,
        src_node=src.node if src is not None else None,
        dst_node=dst.node if dst is not None else None,
        tunnels=tuple(_tunnel(each, owners) for each in flow.tunnels),
    )


def _tunnel(tunnel: Tunnel, owners: dict[str, Owner]) -> Tunnel:
    src, dst = owners.get(tunnel.src), owners.get(tunnel.dst)
    return replace(
        tunnel,
        src_node=src.node if src is not None else None,
        dst_node=dst.node if dst is not None else None,
    )
