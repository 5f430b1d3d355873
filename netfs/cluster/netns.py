"""One network namespace, indexed for look-ups. Nothing here reasons; it only finds.

Indexes that a question may not need are made when it first does: a trace over a cluster of a thousand
nodes pays for the namespaces on its path alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from netfs.cluster.index import Index, RouteIndex, grouped
from netfs.model import ip
from netfs.model.address import NTF_PROXY, NTF_SELF, Address, FdbEntry, Neighbour
from netfs.model.gaps import Gap
from netfs.model.link import Link
from netfs.model.route import Route
from netfs.model.snapshot import NetNs, NodeSnapshot, Pod


class NetNsKey(NamedTuple):
    """Identity of a namespace across snapshots: the kernel it lives in, and its nsfs inode."""

    kernel: str
    id: int


class NetNsView:
    """A namespace of a node, with its links, addresses and tables by key."""

    def __init__(self, node: NodeSnapshot, netns: NetNs, pod: Pod | None) -> None:
        self.node = node
        self.netns = netns
        self.pod = pod
        self.key = NetNsKey(node.kernel, netns.id)
        self.compiled: dict[str, Any] = {}
        """What a reasoner derived from this namespace alone (its routing tables, say), by the reasoner's name."""

    @property
    def name(self) -> str:
        """The pod's name or the node's: ``Hop.netns``."""
        if self.pod is not None:
            return self.pod.name
        return self.node.name if self.netns.id == self.node.netns else self.netns.name

    @property
    def is_node(self) -> bool:
        """Whether it is the node's own namespace."""
        return self.netns.id == self.node.netns

    @cached_property
    def links(self) -> Mapping[int, Link]:
        """Links by index."""
        return {link.index: link for link in self.netns.links}

    @cached_property
    def links_by_name(self) -> Mapping[str, Link]:
        """Links by name, alternative names included."""
        names = {alt: link for link in self.netns.links for alt in link.altnames}
        return names | {link.name: link for link in self.netns.links}

    @cached_property
    def ports(self) -> Mapping[int, tuple[Link, ...]]:
        """Links by the index of their master."""
        found: dict[int, list[Link]] = {}
        for link in self.netns.links:
            if link.master is not None:
                found.setdefault(link.master, []).append(link)
        return {master: tuple(ports) for master, ports in found.items()}

    @cached_property
    def addresses(self) -> Mapping[int, tuple[Address, ...]]:
        """Addresses by the index of their link, in the kernel's order."""
        found: dict[int, list[Address]] = {}
        for address in self.netns.addresses:
            found.setdefault(address.index, []).append(address)
        return {index: tuple(addresses) for index, addresses in found.items()}

    @cached_property
    def owned(self) -> Mapping[str, Address]:
        """Addresses by their text."""
        return {address.local: address for address in self.netns.addresses}

    @cached_property
    def _neighbours(self) -> Index[str, Neighbour]:
        return Index([entry.address for entry in self.netns.neighbours], self.netns.neighbours)

    def neighbour(self, index: int, address: str) -> Neighbour | None:
        """The entry of a device for an address; addresses answered for by proxy have none by this."""
        for entry in reversed(self._neighbours.get(address)):
            if entry.index == index and not entry.flags & NTF_PROXY:
                return entry
        return None

    def is_proxy(self, index: int, address: str) -> bool:
        """Whether a device answers for an address by an entry of its own (``ip neigh add proxy``)."""
        return any(entry.index == index and entry.flags & NTF_PROXY for entry in self._neighbours.get(address))

    @cached_property
    def has_proxies(self) -> bool:
        """Whether there is any such entry."""
        return any(entry.flags & NTF_PROXY for entry in self.netns.neighbours)

    @cached_property
    def _neighbours_by_mac(self) -> Index[str | None, Neighbour]:
        return Index([entry.mac for entry in self.netns.neighbours], self.netns.neighbours)

    def neighbours_of_mac(self, index: int, mac: str | None) -> list[Neighbour]:
        """The entries of a device that name a MAC."""
        return [entry for entry in self._neighbours_by_mac.get(mac) if entry.index == index]

    @cached_property
    def neighbours(self) -> Mapping[int, list[Neighbour]]:
        """Neighbours by the index of their link."""
        return grouped(attrgetter("index"), self.netns.neighbours)

    @cached_property
    def _fdb(self) -> Index[str, FdbEntry]:
        return Index([entry.mac for entry in self.netns.fdb], self.netns.fdb)

    def bridge_fdb(self, bridge: int, mac: str) -> tuple[FdbEntry, ...]:
        """The entries of a bridge's table for a MAC, by the bridge's index."""
        return tuple(entry for entry in self._fdb.get(mac) if _bridge_of(entry) == bridge)

    def vxlan_fdb(self, index: int, mac: str) -> tuple[FdbEntry, ...]:
        """The entries of a VXLAN device's own table for a MAC, by the device's index."""
        link = self.links.get(index)
        if link is None or link.vxlan is None:
            return ()
        return tuple(entry for entry in self._fdb.get(mac) if entry.index == index and entry.flags & NTF_SELF)

    @cached_property
    def fdb(self) -> Mapping[int, list[FdbEntry]]:
        """Forwarding entries by the index of the device they stand on."""
        return grouped(attrgetter("index"), self.netns.fdb)

    @cached_property
    def special_routes(self) -> tuple[Route, ...]:
        """The routes of any type but unicast."""
        return tuple([route for route in self.netns.routes if route.type != "unicast"])

    @cached_property
    def routes(self) -> RouteIndex:
        """The routes of every table, by prefix."""
        return RouteIndex(self.netns.routes)

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps that lie in this namespace."""
        return tuple(gap for gap in self.node.gaps if gap.netns == self.netns.id)

    def sysctl(self, name: str, default: int | None = None) -> int | None:
        """A sysctl by its full name; None where it was not read."""
        return self.netns.sysctls.get(name, default)

    def address_of(self, family: int) -> str | None:
        """The first global address of a family that is not on loopback; what a pod is known by."""
        for address in self.netns.addresses:
            if address.family == family and address.scope == 0:
                link = self.links.get(address.index)
                if link is not None and not link.loopback and not ip.is_loopback(address.local):
                    return address.local
        return None

    def __repr__(self) -> str:
        return f"<NetNsView {self.node.name}/{self.name}>"


def _bridge_of(entry: FdbEntry) -> int | None:
    """Index of the bridge whose table holds an entry; None: a device's own table does."""
    return entry.index if entry.master is None and not entry.flags & NTF_SELF else entry.master
