"""Devices: a frame leaves by one (``dev_hard_start_xmit``) or arrives at one (``__netif_receive_skb_core``).

Models veth (drivers/net/veth.c), loopback, and wires between machines. tc and XDP programs are not read:
a device with an XDP program answers ``unknown``.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from netfs.cluster.topology import Port
from netfs.datapath import answer, below_ip
from netfs.datapath.position import Copies, End, Position, Step, drop, unknown

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

ARPHRD_ETHER = 1

FORWARD_SLACK = 4
"""Bytes above the MTU that a frame handed from device to device may have (VLAN_HLEN, ``is_skb_forwardable``)."""

_OWN_STAGE = {"bridge": "bridge-output", "vxlan": "encapsulate", "macvlan": "macvlan-output"}


def transmit(walk: Walk, at: Position) -> Step:
    """A frame is handed to a device to send."""
    link = at.link
    if not link.up:
        return drop(
            at,
            "queue",
            "ENETDOWN",
            f"{link.name} is down: nothing can be sent by it",
            fix=f"ip link set {quote(link.name)} up",
        )
    if link.loopback:
        return at.go("receive")
    result = below_ip.device_hook(at, "egress")
    if isinstance(result, End):
        return result
    at.frame = result
    stage = _OWN_STAGE.get(link.kind or "")
    if stage is not None:
        return at.go(stage)
    if link.kind == "veth":
        peer = walk.topology.peer(at.view, link)
        if peer is not None:
            return _across(at, peer)
    if walk.topology.is_wire(at.view, link):
        return _wire(walk, at)
    return unknown(at, "transmit", f"{link.name} is a {link.kind} device: what it does with a packet is not modelled")


def _across(at: Position, peer: Port) -> Step:
    """``veth_xmit``: sending is the peer's receiving."""
    link = at.link
    if not peer.link.up:
        return drop(
            at,
            "queue",
            "NO_CARRIER",
            f"the other end of {link.name}, {peer.link.name} in {peer.view.name}, is down: {link.name} has no carrier",
            slug="pod-link-down" if at.view.is_node else "veth-host-down",
        )
    if at.frame.packet.size > peer.link.mtu + FORWARD_SLACK:
        return drop(
            at,
            "transmit",
            "PKT_TOO_BIG",
            f"{at.frame.packet.size} bytes do not fit {peer.link.name} in {peer.view.name} (MTU {peer.link.mtu})",
            slug="mtu-mismatch-veth",
        )
    at.note("transmit", "forward", f"out to its peer {peer.link.name} in {peer.view.name}")
    mark = at.frame.packet.mark if peer.view is at.view else 0
    return at.go("receive", view=peer.view, link=peer.link, frame=at.frame.scrubbed(mark))


def _wire(walk: Walk, at: Position) -> Step:
    """A wire whose other end no snapshot holds: who shares its subnet is taken to be on it."""
    frame = at.frame
    link = at.link
    if frame.question is not None and not frame.question.answer:
        owners = walk.topology.owners.get(frame.question.target, ())
        ports = [port for port in owners if walk.topology.share_wire(at.view, link, port)]
    elif frame.multicast:
        ports = []
    else:
        ports = list(walk.topology.on_wire(at.view, link, frame.dst_mac or ""))
    if not ports:
        return unknown(
            at, "transmit", f"{link.name} leads out of what was read: no snapshot holds {frame.packet.dst}'s next hop"
        )
    if frame.packet.size > link.mtu + FORWARD_SLACK:
        return drop(at, "transmit", "PKT_TOO_BIG", f"{frame.packet.size} bytes do not fit {link.name} (MTU {link.mtu})")
    names = ", ".join(f"{port.link.name} on {port.view.name}" for port in ports)
    at.note("transmit", "forward", f"over the wire to {names} (a common subnet; the wire itself was not seen)")
    arrived = frame.scrubbed(0)
    arrivals = [at.go("receive", view=port.view, link=port.link, frame=arrived) for port in ports]
    return arrivals[0] if len(arrivals) == 1 else Copies(arrivals)


def receive(walk: Walk, at: Position) -> Step:
    """A frame arrives at a device: its master's, a macvlan's, or the protocol's."""
    link = at.link
    if not link.up:
        return drop(
            at,
            "queue",
            "DEV_READY",
            f"{link.name} is down: it takes nothing in",
            fix=f"ip link set {quote(link.name)} up",
        )
    if link.xdp:
        return unknown(at, "receive", f"an XDP program on {link.name} decides; what it does cannot be known")
    result = below_ip.device_hook(at, "ingress")
    if isinstance(result, End):
        return result
    at.frame = result
    if link.master is not None and at.port is None:
        master = at.view.links.get(link.master)
        if master is None or master.kind != "bridge":
            kind = "unknown device" if master is None else f"{master.kind} device {master.name}"
            return unknown(at, "receive", f"{link.name} is a port of a {kind}, which is not modelled")
        return at.go("bridge")
    if (at.view.key, link.index) in walk.topology.macvlans and at.stage != "macvlan":
        return at.go("macvlan", port=at.port)
    return up(walk, at)


def up(walk: Walk, at: Position) -> Step:
    """The frame is for this device's own protocols (``eth_type_trans``, ``deliver_skb``)."""
    link, frame = at.link, at.frame
    if frame.question is not None:
        return answer.heard(walk, at)
    unclaimed = frame.dst_mac is not None and not frame.multicast and not frame.claimed
    if unclaimed and link.arp_type == ARPHRD_ETHER and not link.loopback:
        macs = {link.mac, at.port.mac if at.port is not None else link.mac}
        if frame.dst_mac not in macs and not (link.macvlan is not None and link.macvlan.mode == "passthru"):
            return drop(
                at,
                "receive",
                "OTHERHOST",
                f"the frame is for {frame.dst_mac}; {link.name} has {link.mac}, so {at.view.name} ignores it",
            )
    return at.go("route", iif=link)
