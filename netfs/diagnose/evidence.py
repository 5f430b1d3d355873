"""What a cluster says about itself: which bridges serve pods, which tunnels belong together.

Nothing here is a rule about names or address plans. A pod network is a bridge with pods on its ports, and
its subnet is what the bridge's own address says (else its pods' addresses). Two tunnel devices are peers
where the entries of one point to the other. Everything is found once and kept: per namespace in
``NetNsView.compiled``, for the whole in ``Topology.compiled``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from operator import attrgetter

from netfs.cluster.index import grouped
from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.topology import Port, Topology
from netfs.diagnose.site import Attachment, PodBridge, Tunnel, site
from netfs.model import ip
from netfs.model.address import NTF_EXT_LEARNED, NUD_NOARP, NUD_PERMANENT
from netfs.model.link import Link
from netfs.model.snapshot import NetNs, NodeSnapshot

SAMPLE = 3
"""How many peers are asked where one answer would do: cost must not grow with the cluster."""


class Spaces:
    """The namespaces of one kernel, whose neighbour table they share."""

    def __init__(self, spaces: Iterable[NetNs]) -> None:
        self._spaces = tuple(spaces)

    @cached_property
    def neighbours(self) -> int:
        """How many neighbour entries they hold."""
        return sum(len(netns.neighbours) for netns in self._spaces)

    @cached_property
    def limited(self) -> Mapping[int, int]:
        """Those of them that count against ``gc_thresh3``, by family."""
        return Counter(
            entry.family
            for netns in self._spaces
            for entry in netns.neighbours
            if not entry.state & (NUD_PERMANENT | NUD_NOARP) and not entry.flags & NTF_EXT_LEARNED
        )


class Evidence:
    """A topology, asked for what belongs together."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._spaces: dict[str, Spaces] = {}

    def bridges(self, view: NetNsView) -> tuple[PodBridge, ...]:
        """The pod bridges of a node."""
        known = site(view)
        if known.bridges is None:
            known.bridges = tuple(self._bridges(view))
        return known.bridges

    def _bridges(self, view: NetNsView) -> Iterator[PodBridge]:
        for link in view.netns.links:
            if link.kind != "bridge":
                continue
            pods: list[Port] = []
            unseen: list[Link] = []
            closed = True
            for port in view.ports.get(link.index, ()):
                peer = self.topology.peer(view, port)
                if peer is None:
                    closed = closed and port.vxlan is not None
                    if port.kind == "veth":
                        unseen.append(port)
                elif peer.view.pod is not None:
                    pods.append(peer)
            if pods or any(own.scope == 0 for own in view.addresses.get(link.index, ())):
                yield PodBridge(view, link, tuple(pods), tuple(unseen), closed)

    def attachments(self, view: NetNsView) -> tuple[Attachment, ...]:
        """The devices of a pod that lead to a node."""
        known = site(view)
        if known.attachments is None:
            known.attachments = tuple(self._attachments(view))
        return known.attachments

    def _attachments(self, view: NetNsView) -> Iterator[Attachment]:
        for link in view.netns.links:
            if link.kind != "veth":
                continue
            host = self.topology.peer(view, link)
            bridge = wanted = None
            if host is not None and host.view.is_node:
                addresses = [own.local for own in view.addresses.get(link.index, ()) if own.scope == 0]
                for each in self.bridges(host.view):
                    if each.link.index == host.link.master:
                        bridge = each
                    served = any(own.scope == 0 for own in host.view.addresses.get(each.link.index, ()))
                    if served and any(each.holds(address) for address in addresses):
                        wanted = wanted or each
            yield Attachment(view, link, host, bridge, wanted)

    def node_of(self, view: NetNsView) -> NetNsView | None:
        """The node a pod stands on."""
        found = self.topology.views.get(NetNsKey(view.node.kernel, view.node.netns))
        return found if found is not None and found.is_node and found.node.role == "node" else None

    def nobodys(self, address: str) -> NetNsView | None:
        """The node whose pod network holds an address that no pod has; None: somebody has it, or it cannot be told."""
        if self.topology.owners.get(address):
            return None
        for node in self.topology.nodes.values():
            if any(bridge.pods and bridge.closed and bridge.holds(address) for bridge in self.bridges(node)):
                return node
        return None

    @cached_property
    def labelled(self) -> bool:
        """Whether labels of pods were read: some pod has one."""
        return any(view.pod is not None and view.pod.labels for views in self.topology.pods.values() for view in views)

    @cached_property
    def kernels(self) -> Mapping[str, str]:
        """The kernel of every node and fabric, by its name."""
        return {snapshot.name: snapshot.kernel for snapshot in self.topology.snapshots}

    def spaces(self, kernel: str) -> Spaces:
        """The namespaces of a kernel."""
        found = self._spaces.get(kernel)
        if found is None:
            spaces = {netns.id: netns for node in self._of_kernel.get(kernel, ()) for netns in node.namespaces}
            found = self._spaces[kernel] = Spaces(spaces.values())
        return found

    @cached_property
    def _of_kernel(self) -> Mapping[str, list[NodeSnapshot]]:
        return grouped(attrgetter("kernel"), self.topology.snapshots)

    @cached_property
    def groups(self) -> Mapping[str, tuple[Tunnel, ...]]:
        """Tunnels of the same name: most networks name theirs alike on every node."""
        found: dict[str, list[Tunnel]] = {}
        for view in self.topology.nodes.values():
            for tunnel in site(view).tunnels:
                found.setdefault(tunnel.link.name, []).append(tunnel)
        return {name: tuple(tunnels) for name, tunnels in found.items()}

    def counterpart(self, tunnel: Tunnel, view: NetNsView) -> Tunnel | None:
        """The tunnel of another node that belongs to this one: of the same name, else VNI and port and family."""
        others = site(view).tunnels
        mine = tunnel.link.vxlan
        assert mine is not None
        for other in others:
            if other.link.name == tunnel.link.name:
                return other
        for other in others:
            theirs = other.link.vxlan
            assert theirs is not None
            if (theirs.vni, theirs.port, other.outer) == (mine.vni, mine.port, tunnel.outer):
                return other
        return None

    def knows(self, tunnel: Tunnel, other: Tunnel) -> bool:
        """Whether an entry of ``tunnel`` points to ``other``: that they are meant to talk."""
        view, index = tunnel.view, tunnel.link.index
        if other.link.mac and view.vxlan_fdb(index, other.link.mac):
            return True
        if any(view.neighbour(index, address) is not None for address in other.addresses):
            return True
        return any(own.local in tunnel.destinations for own in other.view.netns.addresses if own.scope == 0)

    def paired(self, tunnel: Tunnel, other: Tunnel) -> bool:
        """Whether either points to the other."""
        return self.knows(tunnel, other) or self.knows(other, tunnel)

    def peers(self, tunnel: Tunnel) -> list[Tunnel]:
        """The tunnels that belong together with this one."""
        return list(self._peers(tunnel))

    def some_peers(self, tunnel: Tunnel) -> tuple[Tunnel, ...]:
        """The first few of them."""
        key = f"diagnose.peers.{tunnel.link.index}"
        known = tunnel.view.compiled.get(key)
        if known is None:
            known = tunnel.view.compiled[key] = tuple(islice(self._peers(tunnel), SAMPLE))
        found: tuple[Tunnel, ...] = known
        return found

    def _peers(self, tunnel: Tunnel) -> Iterator[Tunnel]:
        for view in self.topology.nodes.values():
            if view is not tunnel.view:
                other = self.counterpart(tunnel, view)
                if other is not None and self.paired(tunnel, other):
                    yield other

    def sample(self, view: NetNsView) -> list[NetNsView]:
        """The first few other nodes."""
        return [other for other in self._first if other is not view][:SAMPLE]

    @cached_property
    def _first(self) -> list[NetNsView]:
        return list(islice(self.topology.nodes.values(), SAMPLE + 1))

    def vtep(self, tunnel: Tunnel, family: int) -> str | None:
        """The VTEP address of a tunnel: its own, else the one its peers hold for its MAC."""
        for address in tunnel.addresses:
            if ip.family_of(address) == family:
                return address
        for view in self.sample(tunnel.view):
            other = self.counterpart(tunnel, view)
            if other is not None:
                for neighbour in view.neighbours_of_mac(other.link.index, tunnel.link.mac):
                    if neighbour.family == family and not ip.is_link_local(neighbour.address):
                        return neighbour.address
        return None

    def subnets(self, tunnel: Tunnel) -> list[str]:
        """The pod subnets that peers reach through a tunnel: those around its VTEP, or that a peer routes to it."""
        found: list[str] = []
        for bridge in self.bridges(tunnel.view):
            for subnet in bridge.subnets:
                vtep = self.vtep(tunnel, ip.family_of(subnet))
                if subnet in found or not bridge.pods:
                    continue
                if vtep and (ip.contains(subnet, vtep) or self._routed(tunnel, subnet, vtep)):
                    found.append(subnet)
        return found

    def _routed(self, tunnel: Tunnel, subnet: str, vtep: str) -> bool:
        for view in self.sample(tunnel.view):
            route = site(view).fib.exact(subnet)
            if route is not None and any(hop.gateway == vtep for hop in route.nexthops):
                return True
        return False

    def clustered(self, view: NetNsView) -> bool:
        """Whether a node is one of several that share a pod network."""
        known = view.compiled.get("diagnose.clustered")
        if known is None:
            known = view.compiled["diagnose.clustered"] = self._clustered(view)
        return bool(known)

    def _clustered(self, view: NetNsView) -> bool:
        if any(self.some_peers(tunnel) for tunnel in site(view).tunnels):
            return True
        own = {address.local for address in view.netns.addresses if address.scope == 0}
        for other in self.sample(view):
            if any(not own.isdisjoint(tunnel.destinations) for tunnel in site(other).tunnels):
                return True
            for mine, theirs in ((view, other), (other, view)):
                for bridge in self.bridges(theirs):
                    for subnet in bridge.subnets:
                        route = site(mine).fib.exact(subnet)
                        if route and any(hop.gateway in theirs.owned for hop in route.nexthops if hop.gateway):
                            return True
        return False


def evidence(topology: Topology) -> Evidence:
    """The one ``Evidence`` of a topology."""
    found = topology.compiled.get("diagnose")
    if found is None:
        found = topology.compiled["diagnose"] = Evidence(topology)
    assert isinstance(found, Evidence)
    return found
