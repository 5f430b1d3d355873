"""A tracked connection, as one namespace knows it: values alone.

``FiveTuple`` is ``struct nf_conntrack_tuple`` (include/net/netfilter/nf_conntrack_tuple.h), ``Connection`` is
``struct nf_conn``, ``Tracked`` is what a packet carries of it (``skb->_nfct`` and ``enum ip_conntrack_info``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from netfs.cluster.netns import NetNsKey
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection as Entry

if TYPE_CHECKING:
    from netfs.datapath.netfilter.answer import SetChange

ANSWERS = {"echo-request": "echo-reply", "echo-reply": "echo-request"}

DESTINATION = frozenset(("prerouting", "output"))
"""The hooks at which a destination is translated; at the others a source is (``HOOK2MANIP``)."""


class FiveTuple(NamedTuple):
    """What makes packets one flow; an ICMP echo's kind stands for its identifier."""

    proto: str
    src: str
    sport: int | None
    dst: str
    dport: int | None
    kind: str | None = None

    @property
    def inverted(self) -> FiveTuple:
        """The flow of the answers (``nf_ct_invert_tuple``)."""
        kind = ANSWERS.get(self.kind or "", self.kind)
        return FiveTuple(self.proto, self.dst, self.dport, self.src, self.sport, kind)

    def __str__(self) -> str:
        return f"{self.proto} {_end(self.src, self.sport)} to {_end(self.dst, self.dport)}"


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def five_tuple(packet: Packet) -> FiveTuple:
    """The flow a packet belongs to."""
    return FiveTuple(packet.proto, packet.src, packet.sport, packet.dst, packet.dport, packet.icmp_type)


@dataclass(frozen=True, slots=True)
class Tracked:
    """What conntrack found for a packet."""

    number: int | None
    """The connection (``Connection.number``); None: it has none."""
    reply: bool
    state: str
    """``new``, ``established``, ``untracked`` or ``invalid``."""


UNTRACKED = Tracked(None, False, "untracked")
INVALID = Tracked(None, False, "invalid")


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection in one namespace."""

    number: int
    """Its identity among the connections of one branch."""
    key: NetNsKey
    first: Packet
    """The packet that opened it, before any translation."""
    original: FiveTuple
    reply: FiveTuple
    """What its answers look like when they come: translations are the difference to ``original``."""
    mark: int | None = 0
    status: frozenset[str] = frozenset()
    """Bits of ``ct status``."""
    src_done: bool = False
    dst_done: bool = False
    """Its source or destination has its translation, or none (``nf_nat_initialized``)."""
    entry: Entry | None = None
    """The entry of the snapshot's table that it is; None: it began with this packet."""
    service: tuple[str, int | None] | None = None
    """The address and port of the IPVS service it was scheduled by, which translates its answers back."""

    def done(self, hook: str) -> bool:
        """Whether the nat chains of a hook are no longer asked."""
        return self.dst_done if hook in DESTINATION else self.src_done

    def translated(self, hook: str, *, reply: bool) -> FiveTuple | None:
        """What a packet becomes at a hook by the connection's translation; None: nothing (``nf_nat_packet``)."""
        destination = hook in DESTINATION
        if ("dnat" if destination != reply else "snat") not in self.status:
            return None
        return self.original.inverted if reply else self.reply.inverted

    def with_nat(self, hook: str, address: str, port: int | None) -> Connection:
        """With a translation by a rule of a hook (``nf_nat_setup_info``)."""
        now = self.reply.inverted
        if hook in DESTINATION:
            then = now._replace(dst=address, dport=port)
            bit = "dnat"
        else:
            then = now._replace(src=address, sport=port)
            bit = "snat"
        if then == now:
            return self
        return replace(self, reply=then.inverted, status=self.status | {bit})


UNCHANGED: Mapping[NetNsKey, tuple[SetChange, ...]] = {}


class Branch:
    """What one way of a packet carries along: its share, and what conntrack remembers of it, namespace by namespace.

    A value: every change makes a new one, so that ways which part keep their beginning in common.
    """

    __slots__ = ("asked", "bypassed", "changes", "connections", "share")

    def __init__(
        self,
        share: float | None = 1.0,
        connections: tuple[Connection, ...] = (),
        asked: FiveTuple | None = None,
        bypassed: str | None = None,
        changes: Mapping[NetNsKey, tuple[SetChange, ...]] = UNCHANGED,
    ) -> None:
        self.share = share
        """The part of new connections that go this way; None: not known."""
        self.connections = connections
        self.asked = asked
        """What the sender's socket asked for, before any translation."""
        self.bypassed = bypassed
        """The bridge that an answer crossed without meeting the translation it needed."""
        self.changes = changes
        """What rules changed in the sets of each namespace, since the packet came."""

    def parted(self, share: float | None) -> Branch:
        """One of several ways from here on, with its share of them."""
        product = None if share is None or self.share is None else self.share * share
        return Branch(product, self.connections, self.asked, self.bypassed, self.changes)

    def with_connection(self, connection: Connection) -> Branch:
        """With a connection added, or in place of its older self."""
        others = tuple(known for known in self.connections if known.number != connection.number)
        return Branch(self.share, (*others, connection), self.asked, self.bypassed, self.changes)

    def with_asked(self, asked: FiveTuple) -> Branch:
        """With what the sender asked for."""
        return Branch(self.share, self.connections, asked, self.bypassed, self.changes)

    def with_bypass(self, bridge: str) -> Branch:
        """With the bridge that let an answer pass untranslated."""
        return Branch(self.share, self.connections, self.asked, bridge, self.changes)

    def with_changes(self, key: NetNsKey, changes: tuple[SetChange, ...]) -> Branch:
        """With all that was changed so far in the sets of a namespace."""
        return Branch(self.share, self.connections, self.asked, self.bypassed, {**self.changes, key: changes})

    def stale(self) -> bool:
        """Whether a translation came out of a table that was there before the packet, and not from today's rules."""
        return any(known.entry is not None and "dnat" in known.status for known in self.connections)

    def connection(self, tracked: Tracked | None) -> Connection | None:
        """The connection a packet carries."""
        if tracked is None or tracked.number is None:
            return None
        return next((known for known in self.connections if known.number == tracked.number), None)

    def find(self, key: NetNsKey, flow: FiveTuple) -> tuple[Connection, bool] | None:
        """The connection that a flow belongs to in a namespace, and whether the flow is its answer."""
        for known in self.connections:
            if known.key == key:
                if known.original == flow:
                    return known, False
                if known.reply == flow:
                    return known, True
        return None


NOWHERE = Branch()
"""Where every walk begins."""
