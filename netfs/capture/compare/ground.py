"""What compare stands on: taps by their identity, hops' namespaces and devices in the topology."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.model.link import Link
from netfs.model.live import TapRef
from netfs.model.trace import Hop

Key: TypeAlias = tuple[str, int, int]
"""Identity of a tap: node, namespace, interface index. Inodes of namespaces repeat from machine to machine."""

Place: TypeAlias = tuple[str, int]
"""Identity of a namespace: node, inode."""


def key_of(tap: TapRef) -> Key:
    """The identity of a tap, whatever it is called."""
    return tap.node, tap.netns_id, tap.index


def place_of(tap: TapRef) -> Place:
    """The namespace of a tap."""
    return tap.node, tap.netns_id


def views(topology: Topology) -> Mapping[Place, NetNsView]:
    """Every namespace by node and inode; made once for a topology."""
    known: dict[Place, NetNsView] | None = topology.compiled.get("capture places")
    if known is None:
        known = {(view.node.name, view.netns.id): view for view in topology.views.values()}
        topology.compiled["capture places"] = known
    return known


def view_of(topology: Topology, node: str, netns_id: int) -> NetNsView | None:
    """A hop's or a tap's namespace; None: no snapshot holds it."""
    return views(topology).get((node, netns_id))


def device_of(topology: Topology, hop: Hop) -> Link | None:
    """The device of a hop; None: no snapshot holds it."""
    view = view_of(topology, hop.node, hop.netns_id)
    return None if view is None else view.links_by_name.get(hop.device)


def link_of(topology: Topology, tap: TapRef) -> Link | None:
    """The device of a tap; None: no snapshot holds it."""
    view = view_of(topology, tap.node, tap.netns_id)
    return None if view is None else view.links.get(tap.index)


def tap_of(hop: Hop, link: Link | None) -> TapRef:
    """The tap at a hop's device; index 0, which no device has, where the device is not known."""
    return TapRef(hop.node, hop.netns, hop.netns_id, hop.device, 0 if link is None else link.index)
