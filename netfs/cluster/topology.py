"""The topology: every namespace of every snapshot, joined.

Who owns an address, who is at the other end of a veth pair, which node is behind a tunnel end, which
segment a port of the underlay sits on. The joins are made from what kernels reported; where they
reported nothing (another machine's wire), a common subnet is the fallback, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.model import ip
from netfs.model.gaps import Gap
from netfs.model.kubernetes import Kubernetes
from netfs.model.link import Link
from netfs.model.route import RT_SCOPE_LINK
from netfs.model.snapshot import NodeSnapshot

FEW = 6
"""Up to this many devices, as pods have, are looked through faster than indexed."""


class Port(NamedTuple):
    """A device in a namespace."""

    view: NetNsView
    link: Link


class Topology:
    """Joined, indexed snapshots."""

    def __init__(self, snapshots: Iterable[NodeSnapshot], kubernetes: Kubernetes | None = None) -> None:
        self.snapshots: tuple[NodeSnapshot, ...] = tuple(snapshots)
        self.kubernetes = kubernetes
        """The objects of the cluster's API; None: nobody asked it."""
        self.views: dict[NetNsKey, NetNsView] = {}
        """Every namespace by its identity. One that several snapshots hold belongs to the node it is,
        else to the first that names it a pod, else to the first that holds it."""
        self.nodes: dict[str, NetNsView] = {}
        """The nodes' own namespaces by node name; fabric is not among them."""
        self.pods: dict[tuple[str, str], list[NetNsView]] = {}
        """Pods by (namespace, name)."""
        self.compiled: dict[str, Any] = {}
        """What a reasoner derived from the topology as a whole, by the reasoner's name."""
        node_keys = {NetNsKey(s.kernel, s.netns) for s in self.snapshots}
        for snapshot in self.snapshots:
            pods = {pod.netns: pod for pod in snapshot.pods}
            for netns in snapshot.namespaces:
                key = NetNsKey(snapshot.kernel, netns.id)
                own = netns.id == snapshot.netns
                if key in node_keys and not own:
                    continue
                pod = None if own else pods.get(netns.id)
                known = self.views.get(key)
                if known is None or (pod is not None and known.pod is None and not known.is_node):
                    self.views[key] = NetNsView(snapshot, netns, pod)
        for view in self.views.values():
            if view.is_node and view.node.role == "node":
                self.nodes[view.node.name] = view
            elif view.pod is not None:
                self.pods.setdefault((view.pod.namespace, view.pod.name), []).append(view)

    @cached_property
    def owners(self) -> Owners:
        """Every port that holds an address, by the address; loopback and link-local ones left out."""
        return Owners(self.views.values())

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Every gap of every snapshot."""
        return tuple(gap for snapshot in self.snapshots for gap in snapshot.gaps)

    @cached_property
    def gaps_by_node(self) -> Mapping[str, tuple[Gap, ...]]:
        """The gaps of the nodes that have any, by node name."""
        return {snapshot.name: snapshot.gaps for snapshot in self.snapshots if snapshot.gaps}

    def peer(self, view: NetNsView, link: Link) -> Port | None:
        """The other end of a veth pair; None where it is in no namespace that was seen."""
        if link.kind != "veth":
            return None
        return self.lower(view, link)

    def lower(self, view: NetNsView, link: Link) -> Port | None:
        """The device that ``link`` stands on or is paired with (``IFLA_LINK``), wherever it is."""
        if link.link_index is None:
            return None
        if link.link_netns is None and link.link_netnsid is not None:
            return None
        other = view if link.link_netns is None else self.views.get(NetNsKey(view.node.kernel, link.link_netns))
        if other is None:
            return None
        links = other.netns.links
        if len(links) > FEW:
            found = other.links.get(link.link_index)
            return None if found is None else Port(other, found)
        for each in links:
            if each.index == link.link_index:
                return Port(other, each)
        return None

    def node_of(self, address: str) -> NetNsView | None:
        """The node that owns an address in its own namespace; None: no node, or more than one."""
        found = {port.view.key: port.view for port in self.owners.get(address, ()) if port.view.is_node}
        return next(iter(found.values())) if len(found) == 1 else None

    @cached_property
    def _stacked(self) -> list[tuple[NetNsView, Link]]:
        """The devices that stand on others: macvlan and VXLAN ones."""
        return [
            (view, link)
            for view in self.views.values()
            for link in view.netns.links
            if link.vxlan is not None or link.macvlan is not None
        ]

    @cached_property
    def macvlans(self) -> Mapping[tuple[NetNsKey, int], tuple[Port, ...]]:
        """The macvlan devices on each lower device, by (namespace, index) of the lower device."""
        found: dict[tuple[NetNsKey, int], list[Port]] = {}
        for view, link in self._stacked:
            if link.macvlan is not None and (lower := self.lower(view, link)) is not None:
                found.setdefault((lower.view.key, lower.link.index), []).append(Port(view, link))
        return {key: tuple(ports) for key, ports in found.items()}

    @cached_property
    def tunnels(self) -> Mapping[NetNsKey, tuple[Port, ...]]:
        """The VXLAN devices by the namespace in which their outer packets travel (that they were made in)."""
        found: dict[NetNsKey, list[Port]] = {}
        for view, link in self._stacked:
            if link.vxlan is not None and (outer := self.underlay(view, link)) is not None:
                found.setdefault(outer.key, []).append(Port(view, link))
        return {key: tuple(ports) for key, ports in found.items()}

    def underlay(self, view: NetNsView, link: Link) -> NetNsView | None:
        """The namespace in which a tunnel's outer packets travel; None where it was not seen."""
        if link.link_netns is not None:
            return self.views.get(NetNsKey(view.node.kernel, link.link_netns))
        return view if link.link_netnsid is None else None

    def is_wire(self, view: NetNsView, link: Link) -> bool:
        """Whether a device's other end lies outside every snapshot: hardware, or a veth into the unseen."""
        if link.loopback or link.kind not in (None, "veth"):
            return False
        return self.lower(view, link) is None

    def on_wire(self, view: NetNsView, link: Link, mac: str) -> tuple[Port, ...]:
        """The other ports with a MAC on the wire of a device whose other end no snapshot holds.

        They are ports of nodes that share a subnet with it: a guess from addresses, made only where no
        bridge or peer was seen.
        """
        subnets = self._subnets(view, link)
        found: dict[tuple[NetNsKey, int], Port] = {}
        for holder, held in self._links_by_mac.get(mac, ()):
            for other in (held, *holder.ports.get(held.index, ())):
                here = (other.index, holder.key) == (link.index, view.key)
                if not here and self.is_wire(holder, other) and not subnets.isdisjoint(self._subnets(holder, other)):
                    found[holder.key, other.index] = Port(holder, other)
        return tuple(found.values())

    def share_wire(self, view: NetNsView, link: Link, other: Port) -> bool:
        """Whether another device without a seen other end shares a subnet with this one."""
        return self.is_wire(other.view, other.link) and not self._subnets(view, link).isdisjoint(
            self._subnets(other.view, other.link)
        )

    @cached_property
    def _links_by_mac(self) -> Mapping[str | None, list[tuple[NetNsView, Link]]]:
        """The devices of nodes by MAC. A port answers to its own and to its bridge's."""
        found: dict[str | None, list[tuple[NetNsView, Link]]] = {}
        for view in self.views.values():
            for link in view.netns.links if view.is_node else ():
                found.setdefault(link.mac, []).append((view, link))
        return found

    @staticmethod
    def _subnets(view: NetNsView, link: Link) -> set[tuple[int, int, int]]:
        """(family, network, length) of every subnet the device or its bridge has an address in."""
        found: set[tuple[int, int, int]] = set()
        for index in (link.index, link.master):
            for address in view.addresses.get(index, ()) if index is not None else ():
                if address.scope == 0 and address.prefixlen < ip.BITS[address.family]:
                    network, length = ip.prefix(f"{address.local}/{address.prefixlen}")
                    found.add((address.family, network, length))
        return found


class Owners(Mapping[str, tuple[Port, ...]]):
    """Ports by address. Which namespaces name an address is indexed; the ports are made for who asks."""

    def __init__(self, views: Iterable[NetNsView]) -> None:
        self._views: dict[str, list[NetNsView]] = {}
        for view in views:
            for address in view.netns.addresses:
                if address.scope < RT_SCOPE_LINK:
                    self._views.setdefault(address.local, []).append(view)

    def __getitem__(self, address: str) -> tuple[Port, ...]:
        found = self._ports(address)
        if not found:
            raise KeyError(address)
        return found

    def get(self, address: str, default: Any = ()) -> Any:
        """The ports that hold an address; ``default`` where there is none."""
        return self._ports(address) or default

    def _ports(self, address: str) -> tuple[Port, ...]:
        if address not in self._views or ip.is_loopback(address):
            return ()
        return tuple(
            Port(view, link)
            for view in dict.fromkeys(self._views[address])
            for own in view.netns.addresses
            if own.local == address and own.scope < RT_SCOPE_LINK and (link := view.links.get(own.index)) is not None
        )

    def __iter__(self) -> Iterator[str]:
        return (address for address in self._views if self._ports(address))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def shared(self) -> list[str]:
        """The addresses that several ports hold."""
        return [address for address, views in self._views.items() if len(views) > 1 and len(self._ports(address)) > 1]
