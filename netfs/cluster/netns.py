"""One network namespace, indexed for look-ups. Nothing here reasons; it only finds.

Indexes that a question may not need are made when it first does: a trace over a cluster of a thousand
nodes pays for the namespaces on its path alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from netfs.model import ip
from netfs.model.address import Address, FdbEntry, Neighbour
from netfs.model.link import Link
from netfs.model.snapshot import Gap, NetNs, NodeSnapshot, Pod


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
    def neighbours(self) -> Mapping[tuple[int, str], Neighbour]:
        """Neighbours by (link index, address); those answered for by proxy are in ``proxies``."""
        return {(n.index, n.address): n for n in self.netns.neighbours if not n.flags & 0x08}

    @cached_property
    def proxies(self) -> frozenset[tuple[int, str]]:
        """(link index, address) of proxy entries (``ip neigh add proxy``)."""
        return frozenset((n.index, n.address) for n in self.netns.neighbours if n.flags & 0x08)

    @cached_property
    def bridge_fdb(self) -> Mapping[tuple[int, str], tuple[FdbEntry, ...]]:
        """Entries of bridges' tables by (bridge index, MAC)."""
        found: dict[tuple[int, str], list[FdbEntry]] = {}
        for entry in self.netns.fdb:
            bridge = entry.master
            if bridge is None and not entry.flags & 0x02:
                bridge = entry.index
            if bridge is not None:
                found.setdefault((bridge, entry.mac), []).append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

    @cached_property
    def vxlan_fdb(self) -> Mapping[tuple[int, str], tuple[FdbEntry, ...]]:
        """Entries of VXLAN devices' own tables by (device index, MAC)."""
        found: dict[tuple[int, str], list[FdbEntry]] = {}
        for entry in self.netns.fdb:
            if entry.flags & 0x02 and (link := self.links.get(entry.index)) is not None and link.vxlan is not None:
                found.setdefault((entry.index, entry.mac), []).append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

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
