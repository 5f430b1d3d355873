"""What snat, dnat, masquerade and redirect make of a packet (net/netfilter/nf_nat_core.c, nf_nat_masquerade.c)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter.answer import HookContext, Nat
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.jhash import chosen_address
from netfs.datapath.netfilter.records import Between, Translate
from netfs.datapath.netfilter.values import Answer
from netfs.model import ip
from netfs.model.address import IFA_F_SECONDARY
from netfs.model.packet import Packet

RANDOM = frozenset(("random", "fully-random"))


@dataclass(frozen=True, slots=True)
class Translation:
    """Translates packets of one hook."""

    view: NetNsView
    hook: str
    context: HookContext

    def apply(
        self, statement: Translate, address: Answer | None, port: Answer | None, packet: Packet
    ) -> tuple[Packet, Nat] | Unknown | None:
        """The packet and its translation. None: the kernel drops it, having no address to use."""
        if isinstance(address, tuple) and len(address) == 2:
            address, port = address
        if port is not None and not isinstance(port, int):
            return port if isinstance(port, Unknown) else Unknown("the port to translate to is not known")
        target = self._target(statement, address, packet)
        if not isinstance(target, str):
            return target
        if statement.kind in ("snat", "masquerade"):
            return _source(statement, packet, target, port)
        return _destination(statement, packet, target, port)

    def _target(self, statement: Translate, address: Answer | None, packet: Packet) -> str | Unknown | None:
        match statement.kind:
            case "masquerade":
                source = self.context.masquerade_source
                return Unknown("the address that masquerade uses is not known") if source is None else source
            case "redirect":
                return self._redirect_address(packet)
        if address is None:
            return self._same(statement, packet)
        if isinstance(address, Between):
            return _ranged(statement, address, packet)
        if isinstance(address, int):
            return _text(address, packet)
        return address if isinstance(address, Unknown) else Unknown("the address is not a single one")

    def _same(self, statement: Translate, packet: Packet) -> str:
        return packet.src if statement.kind == "snat" else packet.dst

    def _redirect_address(self, packet: Packet) -> str | None:
        """Loopback for local packets, else the first address of the device (``nf_nat_redirect_ipv4``)."""
        if self.hook == "output":
            return "::1" if packet.family == 6 else "127.0.0.1"
        if self.context.iif is None:
            return None
        for address in self.view.addresses.get(self.context.iif.index, ()):
            if address.family != packet.family or (packet.family == 4 and address.flags & IFA_F_SECONDARY):
                continue
            if packet.family == 4 or ip.is_link_local(address.local) == ip.is_link_local(packet.dst):
                return address.local
        return None


def _text(address: int, packet: Packet) -> str:
    return ip.to_text(address & ((1 << ip.BITS[packet.family]) - 1), packet.family)


def _ranged(statement: Translate, ends: Between, packet: Packet) -> str:
    """An address of a range: the one at the same place of the network (``netmap``), or one by a hash."""
    source = statement.kind == "snat"
    moved = ip.to_int(packet.src if source else packet.dst)
    if "netmap" in statement.flags:
        host = ends.low ^ ends.high
        return _text(ends.low & ~host | moved & host, packet)
    if source and ends.low <= moved <= ends.high and _keeps(statement, packet.sport):
        return packet.src
    if ends.low == ends.high:
        return _text(ends.low, packet)
    pair, persistent = (ip.to_int(packet.src), ip.to_int(packet.dst)), "persistent" in statement.flags
    chosen = chosen_address(packet.family, *pair, (ends.low, ends.high), of_source=source, persistent=persistent)
    return _text(chosen, packet)


def _keeps(statement: Translate, port: int | None) -> bool:
    """Whether a port may stay as it is, where nobody else uses it (``nf_in_range``)."""
    if statement.flags & RANDOM:
        return False
    return statement.ports is None or (port is not None and statement.ports[0] <= port <= statement.ports[1])


def _port(statement: Translate, before: int | None, fixed: int | None) -> int | None:
    """The port behind a translation (``nf_nat_l4proto_unique_tuple``); None: random, or none at all."""
    if before is None:
        return None
    if fixed is not None:
        return fixed
    source = statement.kind in ("snat", "masquerade")
    if statement.ports is None:
        return None if source and statement.flags & RANDOM else before
    low, high = statement.ports
    if low == high:
        return low
    if _keeps(statement, before):
        return before
    return None if source or statement.flags & RANDOM else low


def _source(statement: Translate, packet: Packet, target: str, fixed: int | None) -> tuple[Packet, Nat]:
    port = _port(statement, packet.sport, fixed)
    nat = Nat(statement.kind, packet.src, target, packet.sport, port)
    return replace(packet, src=target, sport=port), nat


def _destination(statement: Translate, packet: Packet, target: str, fixed: int | None) -> tuple[Packet, Nat]:
    port = _port(statement, packet.dport, fixed)
    nat = Nat(statement.kind, packet.dst, target, packet.dport, port)
    return replace(packet, dst=target, dport=port), nat
