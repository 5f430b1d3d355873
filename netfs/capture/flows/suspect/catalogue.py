"""Every suspicion that can be told of a capture: how bad it is, from what it is concluded, where to look next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netfs.model.flows import Suspicion


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry."""

    severity: str
    """``error``, ``warning`` or ``info``."""
    evidence: str
    look: str
    """Where to look next."""
    source: bool = False
    """Only told where a source says what the addresses are."""


SUSPICIONS: dict[str, Kind] = {
    "syn-unanswered": Kind(
        "error",
        "TCP SYNs, and nothing that answers them",
        "`netfs trace` to that port; where that says delivered: whether the snapshot is of the same moment",
    ),
    "echo-unanswered": Kind("error", "ICMP echo requests, and not one reply", "`netfs trace`"),
    "dns-unanswered": Kind(
        "error", "queries to UDP port 53, and no answer", "the Service of the cluster's DNS: `netfs trace` to it"
    ),
    "syn-ack-lost": Kind(
        "error",
        "SYN and SYN-ACK are both repeated, and the client never acknowledges: the answer does not come back to it",
        "the way back: `netfs trace` follows both ways",
    ),
    "connection-refused": Kind(
        "warning", "a SYN is answered by a reset", "whether something listens: `netfs trace` names the listeners"
    ),
    "udp-unanswered": Kind(
        "warning",
        "several UDP packets, and none back. Not told of multicast, broadcast, and protocols that never answer"
        " (syslog, StatsD, NetFlow, sFlow, …)",
        "whether the protocol answers at all; then `netfs trace` with `--proto udp`",
    ),
    "arp-unanswered": Kind(
        "warning", "the same ARP question three times, and no answer", "whether the address is up, and on this segment"
    ),
    "echo-loss": Kind("warning", "fewer echo replies than requests", "the counters of the devices; queues; limits"),
    "one-direction-heard": Kind(
        "warning",
        "a TCP connection moves on, and the capture holds one direction of it",
        "where the other direction goes: asymmetric routes, another interface, a mirror of one direction",
    ),
    "unanswered-at-the-end": Kind(
        "info",
        "one SYN, echo request or DNS query without an answer, less than a second before the capture ends",
        "a longer capture; `netfs trace`",
    ),
    "capture-of-one-direction": Kind(
        "info", "no connection of the capture has both directions", "how it was recorded: `tcpdump -Q`, a mirror port"
    ),
    "answer-not-in-tunnel": Kind(
        "warning",
        "packets travel in a tunnel, their answers outside of it or in a tunnel of another kind",
        "the routes of both nodes to the other's pods: `netfs trace` follows both ways",
    ),
    "vni-mismatch": Kind(
        "error",
        "two tunnel ends send to each other under different VNIs, and nothing that is sent so is ever answered",
        "`ip -d link show` of both VXLAN devices; `netfs doctor`",
    ),
    "vni-unknown": Kind(
        "error",
        "packets for a node under a VNI that none of its VXLAN devices has: VXLAN_VNI_NOT_FOUND in vxlan_rcv",
        "`netfs doctor`",
        source=True,
    ),
    "tunnel-port-mismatch": Kind(
        "error",
        "two tunnel ends send to each other on different UDP ports, and nothing that is sent so is ever answered",
        "`ip -d link show` of both VXLAN devices: dstport",
    ),
    "tunnel-port-closed": Kind(
        "error",
        "packets for a tunnel port on which the node has no tunnel: its kernel answers port unreachable, or a source "
        "says that its VXLAN devices listen elsewhere",
        "`netfs doctor`",
    ),
    "tunnel-end-unknown": Kind(
        "warning",
        "a tunnel end that is no address of a node, and stands in the FDB of no VXLAN device",
        "whether a node was left out of the source, or was replaced",
        source=True,
    ),
    "source-not-of-node": Kind(
        "warning",
        "a tunnel end sends packets whose inner source belongs to another node, or to another node's pod subnet",
        "two nodes with one pod subnet; a missing masquerade; a pod that forges its address",
        source=True,
    ),
    "address-of-two-tunnel-ends": Kind(
        "warning", "one inner source address comes from several tunnel ends", "two pods with one address"
    ),
    "address-of-two-macs": Kind(
        "warning", "ARP tells several hardware addresses for one IP address", "two hosts with one address; a failover"
    ),
    "outer-mtu-exceeded": Kind(
        "error",
        "tunnel packets larger than the MTU of the device that carries them. TCP is not counted, since it is recorded "
        "before it is segmented",
        "the MTU of the tunnel device: that of the wire less 50 bytes for VXLAN over IPv4, 70 over IPv6",
        source=True,
    ),
    "tunnel-too-big": Kind(
        "error",
        "an ICMP error says that a tunnel's outer packet was too big",
        "the MTU of the tunnel device; a node cannot always tell its pods",
    ),
    "tunnel-fragments": Kind(
        "warning",
        "tunnel packets travel in fragments: slow, and lost where fragments are filtered",
        "the MTU of the tunnel device",
    ),
    "too-big": Kind(
        "warning",
        "ICMP errors say that packets were too big; the sender should send smaller ones from then on",
        "`netfs trace` with `--size`, and the device that it names",
    ),
    "segments-not-yet-cut": Kind(
        "info",
        "TCP packets above the largest frame that Ethernet carries: recorded before the device cut them (TSO, GSO) or "
        "after it joined them (GRO)",
        "nothing is wrong; packet counts and sizes are not those of the wire",
    ),
    "destination-unreachable": Kind(
        "error", "ICMP says that no route leads on, or that nobody answers for the address", "`netfs trace`"
    ),
    "prohibited": Kind(
        "error", "ICMP says that a filter rejects", "`netfs trace` names the rule; REJECT of a firewall or a policy"
    ),
    "port-unreachable": Kind(
        "warning",
        "ICMP says that nobody listens on a UDP port, or a rule rejects so",
        "`netfs trace` with `--proto udp`",
    ),
    "ttl-exceeded": Kind(
        "warning", "ICMP says that the TTL ran out: a loop of routes, or somebody traces the route", "`netfs trace`"
    ),
    "redirect": Kind("info", "a router tells the sender of a better one", "routes that send back where it came from"),
    "icmp-error": Kind("warning", "another ICMP error: a parameter problem, a source quench", "its type and code"),
    "retransmissions": Kind(
        "warning",
        "a TCP flow repeats at least 3 segments and 2 % of its packets: they, or what acknowledges them, are lost",
        "devices' drop counters; if only large segments are repeated, the MTU of the way: `netfs trace` with `--size`",
    ),
    "segments-late": Kind(
        "warning",
        "at least 3 segments and 2 % of a TCP flow's packets come behind later ones: they were lost before this point"
        " and sent again, or overtaken",
        "the way from the sender to where was recorded: devices' drop counters; `netfs trace` with `--size`",
    ),
    "segments-missing": Kind(
        "warning",
        "a TCP flow's sequence jumps at least 3 times and at 2 % of its packets, and what lies between is not repeated:"
        " it was not captured",
        "a larger capture buffer (`tcpdump -B`), a narrower filter",
    ),
    "recording-dropped": Kind(
        "warning", "the file says that packets were lost while it was recorded", "a larger buffer, a narrower filter"
    ),
    "recording-damaged": Kind("warning", "parts of the file could not be read", "the offsets under WARNINGS"),
    "recording-truncated": Kind(
        "warning", "packets of which too little was kept to tell their flow", "a larger snap length (`tcpdump -s 0`)"
    ),
}
"""By slug."""


def suspicion(slug: str, why: str, flows: Iterable[int] = (), look: str | None = None) -> Suspicion:
    """A suspicion of the catalogue. Raises KeyError where it is not in there."""
    return Suspicion(slug, SUSPICIONS[slug].severity, why, tuple(flows), look)
