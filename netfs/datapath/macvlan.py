"""macvlan: several MACs on one device.

Mirrors ``macvlan_queue_xmit``, ``macvlan_handle_frame``, ``macvlan_multicast_rx`` and
``macvlan_hash_lookup`` (drivers/net/macvlan.c). Leaves out: mode ``source``'s copies, and the broadcast
queue's length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.topology import Port
from netfs.datapath import device
from netfs.datapath.position import Copies, End, Position, Step, drop, unknown
from netfs.model.trace import DROPPED

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk


def transmit(walk: Walk, at: Position) -> Step:
    """A macvlan device sends: to a sibling in bridge mode, else out of the lower device."""
    lower = walk.topology.lower(at.view, at.link)
    if lower is None or at.link.macvlan is None:
        return unknown(at, "transmit", f"the lower device of {at.link.name} is in no namespace that was read")
    if not lower.link.up:
        return drop(at, "queue", "NO_CARRIER", f"{lower.link.name} in {lower.view.name}, below {at.link.name}, is down")
    if not at.link.carrier:
        return drop(
            at, "queue", "NO_CARRIER", f"{at.link.name} has no carrier: its lower device {lower.link.name} has none"
        )
    siblings = [port for port in _on(walk, lower) if port.link.index != at.link.index or port.view is not at.view]
    if at.link.macvlan.mode == "bridge":
        mates = [port for port in siblings if port.link.macvlan is not None and port.link.macvlan.mode == "bridge"]
        if at.frame.multicast:
            copies = [at.go("macvlan", view=port.view, link=port.link) for port in mates if port.link.up]
            at.note("transmit", "forward", f"to its siblings on {lower.link.name} and out of it")
            world = at.go("transmit", view=lower.view, link=lower.link)
            arrivals = [device.up(walk, copy) for copy in copies]
            return Copies([*[step for step in arrivals if isinstance(step, Position)], world])
        mate = next((port for port in _on(walk, lower) if _is_mate(port, at.frame.dst_mac)), None)
        if mate is not None:
            at.note("transmit", "forward", f"to its sibling {mate.link.name} in {mate.view.name}")
            return _hand(walk, at, mate)
    at.note("transmit", "forward", f"out of its lower device {lower.link.name} in {lower.view.name}")
    return at.go("transmit", view=lower.view, link=lower.link)


def ingress(walk: Walk, at: Position) -> Step:
    """A frame reaches a lower device that has macvlans on it."""
    ports = _on(walk, Port(at.view, at.link))
    frame = at.frame
    if frame.multicast:
        source = next((port for port in ports if port.link.mac == frame.src_mac), None)
        if source is not None and not _switches(source):
            return _hand(walk, at, source)
        takers = [port for port in ports if port.link.up and _hears(source, port)]
        copies: list[Position] = []
        for port in takers:
            step = _hand(walk, at.go("macvlan"), port)
            if isinstance(step, Position):
                copies.append(step)
        own = device.up(walk, at)
        if isinstance(own, Position):
            copies.append(own)
        if not copies:
            return own
        return Copies(copies)
    passthru = next((p for p in ports if p.link.macvlan is not None and p.link.macvlan.mode == "passthru"), None)
    owner = passthru or next((port for port in ports if port.link.mac == frame.dst_mac), None)
    if owner is None or (owner.link.macvlan is not None and owner.link.macvlan.mode == "source"):
        return device.up(walk, at)
    at.note("macvlan", "forward", f"{frame.dst_mac} is {owner.link.name} in {owner.view.name}")
    return _hand(walk, at, owner)


def _hand(walk: Walk, at: Position, port: Port) -> Step:
    """The macvlan device receives."""
    if not port.link.up:
        return drop(at, "macvlan", "DEV_READY", f"{port.link.name} in {port.view.name} is down")
    frame = at.frame.scrubbed(at.frame.packet.mark if port.view is at.view else 0)
    if port.link.master is not None or (port.view.key, port.link.index) in walk.topology.macvlans:
        return at.go("receive", view=port.view, link=port.link, frame=frame)
    step = device.up(walk, at.go("macvlan", view=port.view, link=port.link, frame=frame))
    if isinstance(step, End) and at.frame.question is None and step.at.trail is None:
        return End(at, DROPPED, step.reason, step.why)
    return step


def _is_mate(port: Port, mac: str | None) -> bool:
    """``macvlan_hash_lookup`` in bridge mode; the sender itself is not left out."""
    return port.link.mac == mac and port.link.macvlan is not None and port.link.macvlan.mode == "bridge"


def _switches(port: Port) -> bool:
    """Whether a device's own frames to groups go on to others; else they come back to it (``macvlan_handle_frame``)."""
    return port.link.macvlan is not None and port.link.macvlan.mode in ("vepa", "bridge")


def _hears(source: Port | None, port: Port) -> bool:
    """Who a frame to a group reaches (``macvlan_multicast_rx``)."""
    if source is None:
        return port.link.macvlan is not None and port.link.macvlan.mode != "source"
    if port is source or port.link.macvlan is None or source.link.macvlan is None:
        return False
    if source.link.macvlan.mode == "vepa":
        return port.link.macvlan.mode in ("vepa", "bridge")
    return source.link.macvlan.mode == "bridge" and port.link.macvlan.mode == "vepa"


def _on(walk: Walk, lower: Port) -> tuple[Port, ...]:
    return walk.topology.macvlans.get((lower.view.key, lower.link.index), ())
