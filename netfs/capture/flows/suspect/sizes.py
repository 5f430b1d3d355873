"""Packets too large for what carries them."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence, grouped
from netfs.capture.flows.words import counted, end, senders, tunnel
from netfs.model.flows import Flow, Suspicion

JUMBO = 9216
"""No Ethernet carries more in one frame; what is larger was recorded before it was cut (TSO) or after it was joined."""
SEGMENTED = frozenset({"tcp", "sctp"})
"""Of which a device cuts large packets itself (include/linux/skbuff.h: SKB_GSO_TCPV4, SKB_GSO_SCTP)."""


def fragments(evidence: Evidence) -> Iterator[Suspicion]:
    """Tunnel packets in fragments."""
    inside = [index for index, flow in enumerate(evidence.flows) if flow.outer_fragments and flow.tunnels]
    for _, indexes in grouped(inside, lambda i: (evidence.flows[i].tunnels[0].src, evidence.flows[i].tunnels[0].dst)):
        flows = [evidence.flows[i] for i in indexes]
        number = sum(flow.outer_fragments for flow in flows)
        why = (
            f"{counted(number, 'outer packet')} of {tunnel(flows[0].tunnels[0])} had to be fragmented, with packets of"
            f" {senders(flows)} inside: the tunnel device's MTU is too large for the wire"
        )
        yield suspicion("tunnel-fragments", why, indexes)


def joined(evidence: Evidence) -> Iterator[Suspicion]:
    """TCP packets that no wire carries."""
    found = [i for i, flow in enumerate(evidence.flows) if flow.proto in SEGMENTED and flow.largest > JUMBO]
    if found:
        most = max(evidence.flows[i].largest for i in found)
        why = (
            f"TCP packets of up to {most} bytes, in {counted(len(found), 'flow')}: recorded before the device cut them,"
            " or after it joined them"
        )
        yield suspicion("segments-not-yet-cut", why, found)


def exceeded(evidence: Evidence, underlay: dict[str, tuple[str, int]]) -> Iterator[Suspicion]:
    """Tunnel packets above the MTU of the device that holds the address they come from or go to.

    ``underlay`` is (device, MTU) by address.
    """
    found = [i for i, flow in enumerate(evidence.flows) if _above(flow, underlay) is not None]
    for (device, mtu), indexes in grouped(found, lambda i: _above(evidence.flows[i], underlay) or ("", 0)):
        flows = [evidence.flows[i] for i in indexes]
        most = max(flows, key=lambda flow: flow.largest)
        why = (
            f"{tunnel(most.tunnels[0])} has packets of {most.largest} bytes, {device} carries {mtu}; inside is"
            f" {most.proto} of {end(most.src_name, most.src)}"
        )
        yield suspicion("outer-mtu-exceeded", why, indexes, evidence.trace(most, f"--size {mtu}"))


def _above(flow: Flow, underlay: dict[str, tuple[str, int]]) -> tuple[str, int] | None:
    """The smaller of the two ends' devices, where a flow's largest packet does not fit it."""
    if not flow.tunnels or flow.proto in SEGMENTED:
        return None
    known = [underlay[each] for each in (flow.tunnels[0].src, flow.tunnels[0].dst) if each in underlay]
    device = min(known, key=lambda one: one[1], default=None)
    return device if device is not None and flow.largest > device[1] else None
