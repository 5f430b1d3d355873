"""What connection tracking remembers of the packet, so that its answer is recognised and translated back.

Mirrors the part of net/netfilter/nf_conntrack_core.c and nf_nat_core.c that one packet and its answer
need. Leaves out: helpers, expectations, timeouts, zones, clashes (a port already taken).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netfs.cluster.netns import NetNsKey
from netfs.model.packet import Packet


@dataclass(slots=True)
class Connection:
    """The packet as a namespace first saw it, and as it left translated."""

    original: Packet
    translated: Packet


class Conntrack:
    """The connections of one walk, by namespace."""

    def __init__(self) -> None:
        self._connections: dict[NetNsKey, list[Connection]] = {}

    def open(self, key: NetNsKey, packet: Packet) -> None:
        """A packet enters a namespace's conntrack (``nf_conntrack_in``)."""
        if self._of(key, packet) is None:
            self._connections.setdefault(key, []).append(Connection(packet, packet))

    def translate(self, key: NetNsKey, before: Packet, after: Packet) -> None:
        """A NAT rule changed the packet (``nf_nat_setup_info``)."""
        connection = self._of(key, before)
        if connection is not None:
            connection.translated = after

    def original(self, key: NetNsKey, packet: Packet) -> Packet | None:
        """The first packet of the connection that ``packet`` answers; None: the namespace never saw it."""
        found = self._answered(key, packet)
        return None if found is None else found.original

    def restore_destination(self, key: NetNsKey, packet: Packet) -> Packet:
        """Undo the source translation in an answer, at prerouting or output."""
        found = self._answered(key, packet)
        if found is None or found.original.src == found.translated.src:
            return packet
        return replace(packet, dst=found.original.src, dport=found.original.sport)

    def restore_source(self, key: NetNsKey, packet: Packet) -> Packet:
        """Undo the destination translation in an answer, at input or postrouting."""
        for connection in self._connections.get(key, ()):
            first, last = connection.original, connection.translated
            if first.dst != last.dst or first.dport != last.dport:
                if (packet.src, packet.sport) == (last.dst, last.dport) and packet.dst in (last.src, first.src):
                    return replace(packet, src=first.dst, sport=first.dport)
        return packet

    def _of(self, key: NetNsKey, packet: Packet) -> Connection | None:
        for connection in self._connections.get(key, ()):
            if _flow(packet) in (_flow(connection.original), _flow(connection.translated)):
                return connection
        return None

    def _answered(self, key: NetNsKey, packet: Packet) -> Connection | None:
        for connection in self._connections.get(key, ()):
            last, first = connection.translated, connection.original
            for dst, dport in ((last.src, last.sport), (first.src, first.sport)):
                sent = (packet.proto, packet.dst, packet.dport, packet.src, packet.sport)
                if sent == (last.proto, dst, dport, last.dst, last.dport):
                    return connection
        return None


def _flow(packet: Packet) -> tuple[str, str, int | None, str, int | None]:
    return packet.proto, packet.src, packet.sport, packet.dst, packet.dport
