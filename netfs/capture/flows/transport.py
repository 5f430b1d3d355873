"""What IP carries, by column: ports, TCP's sequence, ICMP's errors; tunnels are handed on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netfs.capture.flows import headers, keys, tunnels
from netfs.capture.flows.columns import Fields, Front, Mask, Offsets, Words, gather, values, words
from netfs.capture.flows.dissection import Dissection, Quotes, Segments

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
WITH_PORTS = np.zeros(256, np.bool_)
WITH_PORTS[[TCP, UDP, 33, 132, 136]] = True
"""DCCP, SCTP, UDP-Lite: source and destination port in the first four bytes."""
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ERRORS = np.zeros(256, np.bool_)
ERRORS[[3, 4, 5, 11, 12]] = True
"""ICMP's error messages (RFC 1122 section 3.2.2); ICMPv6's are all types below 128 (RFC 4443 section 2.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Packets behind their IP header."""

    front: Front
    proto: Fields
    stop: Offsets
    """Where the IP packet ends by its own word."""
    version: int
    """``keys.IPV6`` or 0."""

    def where(self, mask: Mask) -> Carried:
        """Those of a mask."""
        if mask.all():
            return self
        places = mask.nonzero()[0]
        return Carried(self.front.take(places), self.proto.take(places), self.stop.take(places), self.version)


def transport(d: Dissection, level: int, packets: Carried) -> None:
    """Each protocol's packets to the function that reads them."""
    with_ports = WITH_PORTS.take(packets.proto)
    if with_ports.any():
        _ports(d, level, packets.where(with_ports))
        if with_ports.all():
            return
        packets = packets.where(~with_ports)
    for number in values(packets.proto):
        chosen = packets.where(packets.proto == number)
        if number in tunnels.PROTOCOLS and level < d.innermost:
            carried = tunnels.PROTOCOLS[number](d, level, chosen.front, packets.version)
            chosen = chosen.where(~carried)
        elif number == (ICMPV6 if packets.version else ICMP):
            _icmp(d, level, chosen)
        bare(d, level, chosen)


def bare(d: Dissection, level: int, packets: Carried) -> None:
    """Their flow is told by addresses and protocol alone."""
    what = words(packets.proto) << np.uint64(48) | np.uint64((keys.BARE | packets.version) << 56)
    d.put(level, keys.WHAT, packets.front.rows, what)
    d.finish(level, packets.front.rows)


def _ports(d: Dissection, level: int, packets: Carried) -> None:
    packets = packets.where(packets.front.fits(4))
    front = packets.front
    ports = words(gather(d.data, front.at, headers.PORTS)["ports"])
    form = np.uint64((keys.PORTED | packets.version) << 56)
    d.put(level, keys.WHAT, front.rows, words(packets.proto) << np.uint64(48) | ports | form)
    tcp = packets.proto == TCP
    if tcp.any():
        _tcp(d, packets.where(tcp))
    if level < d.innermost:
        tunnel = d.tunnelled.take(ports.astype(np.uint16)) & (packets.proto == UDP)
        if tunnel.any():
            carried = tunnels.udp(d, level, front.where(tunnel), packets.version)
            tunnel[tunnel] = carried
            front = front.where(~tunnel)
    d.finish(level, front.rows)


def _tcp(d: Dissection, packets: Carried) -> None:
    packets = packets.where(packets.front.fits(14))
    rows = packets.front.rows
    header = gather(d.data, packets.front.at, headers.TCP)
    flags = header["flags"].copy()
    syn = flags & SYN != 0
    length = packets.stop - packets.front.at - (header["offset"] >> 4).astype(np.int64) * 4
    # SYN and FIN take a number each (RFC 9293 section 3.4).
    length = np.maximum(length, 0) + syn + (flags & FIN)
    if syn.any():
        d.mark("syns", rows[flags & (SYN | ACK) == SYN])
        d.mark("syn_acks", rows[flags & (SYN | ACK) == SYN | ACK])
    d.mark("resets", rows[flags & RST != 0])
    room = length > 0
    d.segments.append(Segments(rows[room], header["sequence"][room].astype(np.int64), length[room], syn[room]))


def _icmp(d: Dissection, level: int, packets: Carried) -> None:
    packets = packets.where(packets.front.fits(8))
    header = gather(d.data, packets.front.at, headers.ICMP)
    kind, rows = header["type"], packets.front.rows
    request, reply = (128, 129) if packets.version else (8, 0)
    d.mark("echo_requests", rows[kind == request])
    d.mark("echo_replies", rows[kind == reply])
    error = (kind < 128) & (kind > 0) if packets.version else ERRORS[kind]
    if error.any():
        _error(d, level, packets.where(error), header[error])


def _error(d: Dissection, level: int, packets: Carried, header: Fields) -> None:
    kind: Words = words(header["type"]) << np.uint64(8) | words(header["code"])
    rest = header["rest"].astype(np.int64)
    too_big, bits = (header["type"] == 2, 0xFFFFFFFF) if packets.version else (kind == 3 << 8 | 4, 0xFFFF)
    mtu = np.where(too_big, rest & bits, 0)
    d.quotes.append(Quotes(level, packets.front.after(8), kind, mtu))
