"""The parts of a cluster that findings speak of: pod bridges, tunnels, pods' attachments; found once per namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.topology import Port
from netfs.diagnose.fib import Fib, shown
from netfs.model import ip
from netfs.model.address import NTF_SELF
from netfs.model.findings import Finding
from netfs.model.link import Link
from netfs.model.route import Route

ANY_MAC = "00:00:00:00:00:00"
"""An FDB entry for this address is a VXLAN device's default destination."""


@dataclass(frozen=True)
class PodBridge:
    """A bridge with pods on its ports."""

    view: NetNsView
    link: Link
    pods: tuple[Port, ...]
    """The pods' ends of the veth pairs on its ports."""
    unseen: tuple[Link, ...]
    """The ports that are veths whose other end is in no namespace that was seen."""
    closed: bool
    """Every port's other end was seen: nobody unknown is on this segment."""

    def addresses(self, family: int) -> list[tuple[str, int]]:
        """The bridge's own global addresses with their prefix lengths."""
        return [
            (own.local, own.prefixlen)
            for own in self.view.addresses.get(self.link.index, ())
            if own.family == family and own.scope == 0
        ]

    @cached_property
    def subnets(self) -> tuple[str, ...]:
        """Its subnets, from its own addresses, else from the majority of its pods' addresses."""
        found: list[str] = []
        for family in (4, 6):
            own = self.addresses(family) or self._majority(family)
            found += dict.fromkeys(network(*each) for each in own if each[1] < ip.BITS[family])
        return tuple(found)

    def subnet(self, family: int) -> str | None:
        """Its first subnet of a family."""
        return next((each for each in self.subnets if ip.family_of(each) == family), None)

    def _majority(self, family: int) -> list[tuple[str, int]]:
        votes = Counter(
            network(own.local, own.prefixlen)
            for pod in self.pods
            for own in pod.view.netns.addresses
            if own.family == family and own.scope == 0 and own.index == pod.link.index
        )
        if not votes:
            return []
        address, _, length = votes.most_common(1)[0][0].partition("/")
        return [(address, int(length))]

    def gateway(self, family: int) -> str | None:
        """What pods use as their gateway: the bridge's address, else what most pods' default routes name."""
        return self._gateways[family]

    @cached_property
    def _gateways(self) -> Mapping[int, str | None]:
        return {family: self._gateway(family) for family in (4, 6)}

    def _gateway(self, family: int) -> str | None:
        if own := self.addresses(family):
            return own[0][0]
        if self.subnet(family) is None:
            return None
        votes = Counter(
            hop.gateway
            for pod in self.pods
            if (route := site(pod.view).fib.default(family)) is not None
            for hop in route.nexthops
            if hop.gateway
        )
        return votes.most_common(1)[0][0] if votes else None

    def holds(self, address: str) -> bool:
        """Whether an address lies in one of its subnets."""
        return any(ip.contains(each, address) for each in self.subnets)


@dataclass(frozen=True)
class Tunnel:
    """A VXLAN device of a node."""

    view: NetNsView
    link: Link

    @property
    def outer(self) -> int:
        """Family of its outer packets."""
        vxlan = self.link.vxlan
        assert vxlan is not None
        text = vxlan.local or vxlan.group or next(iter(self.destinations), "")
        return ip.family_of(text)

    @cached_property
    def destinations(self) -> Mapping[str, str]:
        """Outer destinations it holds, with the MAC each is for."""
        found = {
            entry.dst: entry.mac
            for entry in self.view.fdb.get(self.link.index, ())
            if entry.flags & NTF_SELF and entry.dst
        }
        vxlan = self.link.vxlan
        if vxlan is not None and vxlan.group and not ip.is_multicast(vxlan.group):
            found.setdefault(vxlan.group, ANY_MAC)
        return found

    @cached_property
    def floods(self) -> bool:
        """Whether a frame to an unknown MAC goes somewhere: a default entry, a group or a remote."""
        vxlan = self.link.vxlan
        assert vxlan is not None
        return vxlan.group is not None or bool(self.view.vxlan_fdb(self.link.index, ANY_MAC))

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Its own global addresses: the VTEP addresses peers route to."""
        return tuple(own.local for own in self.view.addresses.get(self.link.index, ()) if own.scope == 0)

    @cached_property
    def local(self) -> str | None:
        """The node's address that peers should send to: ``local`` where the node owns it, else the lower device's."""
        vxlan = self.link.vxlan
        assert vxlan is not None
        if vxlan.local and vxlan.local in self.view.owned:
            return vxlan.local
        for own in self.view.addresses.get(vxlan.lower or 0, ()):
            if own.scope == 0 and own.family == self.outer:
                return own.local
        return vxlan.local

    @property
    def stands(self) -> bool:
        """Whether it is up, and the device under it."""
        vxlan = self.link.vxlan
        lower = self.view.links.get(vxlan.lower) if vxlan and vxlan.lower and self.link.link_netns is None else None
        return self.link.up and (lower is None or lower.up)

    @property
    def name(self) -> str:
        """``node2/flannel.1``."""
        return f"{self.view.name}/{self.link.name}"


@dataclass(frozen=True)
class Attachment:
    """A pod's device and what it is plugged into."""

    view: NetNsView
    link: Link
    host: Port | None
    """The veth's other end, in the node."""
    bridge: PodBridge | None
    """The bridge whose port the other end is."""
    wanted: PodBridge | None
    """The bridge of the node whose subnet holds the pod's address."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A device that may lead to other nodes."""

    link: Link
    subnets: frozenset[str]
    """Of all its addresses."""
    wide: frozenset[str]
    """Of its global ones."""


class Site:
    """What one namespace says, found when first asked for."""

    def __init__(self, view: NetNsView) -> None:
        self.view = view
        self.findings: tuple[Finding, ...] | None = None
        self.pairs: dict[NetNsKey, tuple[Finding, ...]] = {}
        self.attachments: tuple[Attachment, ...] | None = None
        self.bridges: tuple[PodBridge, ...] | None = None

    @cached_property
    def fib(self) -> Fib:
        """Its routes."""
        return Fib(self.view)

    @cached_property
    def nics(self) -> tuple[Nic, ...]:
        """Its devices with addresses that may lead to other nodes."""
        found: list[Nic] = []
        for link in self.view.netns.links:
            if link.kind in (None, "veth") and (own := self.view.addresses.get(link.index)):
                near = {each: network(each.local, each.prefixlen) for each in own}
                wide = frozenset(subnet for each, subnet in near.items() if each.scope == 0)
                found.append(Nic(link, frozenset(near.values()), wide))
        return tuple(found)

    @cached_property
    def by_gateway(self) -> Mapping[str | None, list[Route]]:
        """Its routes by the gateway of their first next hop."""
        found: dict[str | None, list[Route]] = {}
        for route in self.view.netns.routes:
            if route.nexthops:
                found.setdefault(route.nexthops[0].gateway, []).append(route)
        return found

    @cached_property
    def tunnels(self) -> tuple[Tunnel, ...]:
        """Its VXLAN devices with a VNI of their own (a ``collect_metadata`` device is somebody else's to program)."""
        return tuple(
            Tunnel(self.view, link)
            for link in self.view.netns.links
            if link.vxlan is not None and not link.vxlan.collect_metadata
        )

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of its devices."""
        return {link.index: link.name for link in self.view.netns.links}

    def route(self, route: Route) -> str:
        """A route of it as ``ip route`` prints it."""
        return shown(route, self.names)


def site(view: NetNsView) -> Site:
    """The one ``Site`` of a namespace."""
    found = view.compiled.get("diagnose")
    if found is None:
        found = view.compiled["diagnose"] = Site(view)
    assert isinstance(found, Site)
    return found


def network(address: str, length: int) -> str:
    """``10.244.1.7``, 24 to ``10.244.1.0/24``."""
    family = ip.family_of(address)
    return f"{ip.to_text(ip.prefix(f'{address}/{length}')[0], family)}/{length}"


def overlap(one: str, other: str) -> bool:
    """Whether two prefixes share an address."""
    if ip.family_of(one) != ip.family_of(other):
        return False
    (a, a_length), (b, b_length) = ip.prefix(one), ip.prefix(other)
    shift = ip.BITS[ip.family_of(one)] - min(a_length, b_length)
    return a >> shift == b >> shift
