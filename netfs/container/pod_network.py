"""A network namespace as its pod sees it: devices with their other ends, the way out, routes, sockets. Pure.

Peers are the topology's, routes and the way out those of the routing look-up: nothing is found twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port, Topology
from netfs.datapath.routing import RouteQuery, describe, lookup
from netfs.model.gaps import Gap
from netfs.model.inspected import Interface, Socket
from netfs.model.link import Link
from netfs.model.route import RT_TABLE_MAIN
from netfs.model.snapshot import Listener

OUTSIDE = ("192.0.2.1", "2001:db8::1")
"""Addresses that are nobody's (RFC 5737, RFC 3849): what leads to them leads out of the node."""
STEPS = 8
"""Devices below a device; more are a loop."""
STANDS_ON = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds of device that send through the one they were made on (``IFLA_LINK``)."""

READ = ("links", "addresses", "routes", "rules", "listeners", "tcp4", "tcp6", "udp4", "udp6", "netns", "network")
"""``Gap.what`` of what is told here: packet filters and counters are not."""

PAIRED = ("veth", "netkit")
"""Kinds of device whose frames arrive at the other end."""


class Network(NamedTuple):
    """The network side of a pod."""

    interfaces: tuple[Interface, ...] = ()
    routes: tuple[str, ...] = ()
    sockets: tuple[Socket, ...] = ()
    gaps: tuple[Gap, ...] = ()


def network(
    view: NetNsView,
    topology: Topology | None,
    *,
    owners: Mapping[int, tuple[int, ...]],
    commands: Mapping[int, str],
    only: Collection[int] | None = None,
) -> Network:
    """All of a namespace; with ``only``, sockets of these processes alone."""
    out = {each: link.index for each in OUTSIDE if (link := _leaves_by(view, each)) is not None}
    return Network(
        tuple(_interface(view, link, topology, out) for link in view.netns.links),
        _routes(view),
        tuple(_sockets(view, owners, commands, only)),
        tuple(gap for gap in view.gaps if gap.what in READ),
    )


def _routes(view: NetNsView) -> tuple[str, ...]:
    """Table main, as ``ip route`` and ``ip -6 route`` print it."""
    main = [route for route in view.netns.routes if route.table == RT_TABLE_MAIN]
    return tuple(describe(route, view) for route in sorted(main, key=lambda route: route.family))


def _interface(view: NetNsView, link: Link, topology: Topology | None, out: Mapping[str, int]) -> Interface:
    """One device; ``out`` is the index of that by which each address outside is sent to."""
    lower = topology.lower(view, link) if topology is not None and link.vxlan is None else None
    bridge = _master(lower) if lower is not None else None
    return Interface(
        name=link.name,
        kind=link.kind or ("lo" if link.loopback else "hardware"),
        mac=link.mac or "",
        mtu=link.mtu,
        up=link.up,
        addresses=tuple(f"{each.local}/{each.prefixlen}" for each in view.addresses.get(link.index, ())),
        peer=lower.link.name if lower is not None else "",
        peer_netns=lower.view.name if lower is not None else "",
        bridge=bridge.name if bridge is not None and bridge.kind == "bridge" else "",
        way=_way(view, link, lower, topology, out) if topology is not None else (),
    )


def _master(port: Port) -> Link | None:
    return port.view.links.get(port.link.master) if port.link.master is not None else None


def _way(
    view: NetNsView, link: Link, lower: Port | None, topology: Topology, out: Mapping[str, int]
) -> tuple[str, ...]:
    """From a device to where its packets leave the node; empty: none go that way, or it is not known."""
    destination = next((each for each, index in out.items() if index == link.index), None)
    if destination is None or link.loopback:
        return ()
    if view.is_node:
        return _names(_down(Port(view, link), topology))
    if lower is None or not lower.view.is_node:
        return ()
    beyond = _beyond(lower, destination, topology, paired=link.kind in PAIRED)
    return (link.name, *_names(beyond)) if beyond else ()


def _names(ports: list[Port]) -> tuple[str, ...]:
    return tuple(port.link.name for port in ports)


def _leaves_by(view: NetNsView, destination: str, iif: str | None = None) -> Link | None:
    """The device that a namespace's rules and routes send a packet by."""
    answer = lookup(view, RouteQuery(destination, iif=iif))
    if answer.kind != "unicast" or not answer.nexthops or answer.nexthops[0].index is None:
        return None
    return view.links.get(answer.nexthops[0].index)


def _beyond(port: Port, destination: str, topology: Topology, *, paired: bool) -> list[Port]:
    """The node's devices from the other end of a pod's to its edge; none: where they lead is not known.

    A macvlan or VLAN device's frames leave by what it stands on. A veth's arrive: at a bridge, or at the node itself.
    """
    if not paired:
        return _down(port, topology)
    view, master = port.view, _master(port)
    if master is None:
        out = _leaves_by(view, destination, iif=port.link.name)
        return [port, *_down(Port(view, out), topology)] if out is not None else []
    if master.kind != "bridge":
        return []
    bridge = Port(view, master)
    if not view.addresses.get(master.index):  # it routes nothing: its ports are the only way
        ports = _wires(bridge, topology)
        return [port, bridge, *ports] if ports else []
    out = _leaves_by(view, destination, iif=master.name)
    if out is None:
        return []
    return [port, *_down(bridge, topology)] if out == master else [port, bridge, *_down(Port(view, out), topology)]


def _down(port: Port, topology: Topology) -> list[Port]:
    """A device and those below it, down to the one that has none."""
    found = [port]
    while len(found) < STEPS:
        below = _below(found[-1], topology)
        if below is None or below in found:
            break
        found.append(below)
    return found


def _below(port: Port, topology: Topology) -> Port | None:
    view, link = port
    if link.vxlan is not None:
        lower = view.links.get(link.vxlan.lower) if link.vxlan.lower is not None else None
        return Port(view, lower) if lower is not None else None
    if link.kind in STANDS_ON:
        lower_port = topology.lower(view, link)
        return lower_port if lower_port is not None and lower_port.view is view else None
    wires = _wires(port, topology) if link.kind == "bridge" else []
    return wires[0] if wires else None


def _wires(bridge: Port, topology: Topology) -> list[Port]:
    """The one port of a bridge that leads out of the node; none: there are several, or there is none."""
    view = bridge.view
    ports = [
        each
        for each in view.ports.get(bridge.link.index, ())
        if each.kind in ("vlan", "bond", "team")
        or topology.is_wire(view, each)
        or _leads_to_fabric(topology, view, each)
    ]
    return [Port(view, ports[0])] if len(ports) == 1 else []


def _leads_to_fabric(topology: Topology, view: NetNsView, link: Link) -> bool:
    """Whether a veth's other end is between the nodes (the lab's underlay)."""
    peer = topology.peer(view, link)
    return peer is not None and peer.view.node.role == "fabric"


def _sockets(
    view: NetNsView,
    owners: Mapping[int, tuple[int, ...]],
    commands: Mapping[int, str],
    only: Collection[int] | None,
) -> Iterator[Socket]:
    """Sockets of one address together: several processes may have one each (SO_REUSEPORT)."""
    found: dict[tuple[str, int, str, str], set[int]] = {}
    for listener in view.netns.listeners or ():
        pids = {pid for pid in owners.get(listener.inode, ()) if only is None or pid in only}
        if pids or only is None:
            found.setdefault(_key(view, listener), set()).update(pids)
    for (proto, port, address, device), pids in sorted(found.items()):
        ordered = tuple(sorted(pids))
        command = next((commands[pid] for pid in ordered if pid in commands), "")
        yield Socket(proto, address, port, device, ordered, command)


def _key(view: NetNsView, listener: Listener) -> tuple[str, int, str, str]:
    link = view.links.get(listener.index) if listener.index is not None else None
    device = link.name if link is not None else "" if listener.index is None else f"if{listener.index}"
    return listener.proto, listener.port, listener.address, device
