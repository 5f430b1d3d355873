"""What snat, dnat, masquerade and redirect make of a packet (net/netfilter/nf_nat_core.c, nf_nat_masquerade.c)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter.answer import HookContext, Nat
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.records import Translate
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

    def apply(self, statement: Translate, address: object, packet: Packet) -> tuple[Packet, Nat] | Unknown | None:
        """The packet and its translation. None: the kernel drops it, having no address to use."""
        port: int | None = None
        if isinstance(address, tuple) and len(address) == 2:
            address, second = address
            port = second if isinstance(second, int) else None
            if port is None:
                return Unknown("the port to translate to is not known")
        match statement.kind:
            case "masquerade":
                target = self.context.masquerade_source
                if target is None:
                    return Unknown("the address that masquerade uses is not known")
            case "redirect":
                found = self._redirect_address(packet)
                if found is None:
                    return None
                target = found
            case _:
                if address is not None and not isinstance(address, int):
                    return address if isinstance(address, Unknown) else Unknown("the address is not a single one")
                target = self._same(statement, packet) if address is None else _text(address, packet)
        if statement.kind in ("snat", "masquerade"):
            return _source(statement, packet, target, port)
        return _destination(statement, packet, target, port)

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


def _port(statement: Translate, before: int | None, fixed: int | None) -> int | None:
    if before is None:
        return None
    if fixed is not None:
        return fixed
    if statement.ports is not None:
        low, high = statement.ports
        if low == high:
            return low
        return before if low <= before <= high and not statement.flags & RANDOM else None
    return None if statement.kind in ("snat", "masquerade") and statement.flags & RANDOM else before


def _source(statement: Translate, packet: Packet, target: str, fixed: int | None) -> tuple[Packet, Nat]:
    port = _port(statement, packet.sport, fixed)
    nat = Nat(statement.kind, packet.src, target, packet.sport, port)
    return replace(packet, src=target, sport=port), nat


def _destination(statement: Translate, packet: Packet, target: str, fixed: int | None) -> tuple[Packet, Nat]:
    port = _port(statement, packet.dport, fixed)
    nat = Nat(statement.kind, packet.dst, target, packet.dport, port)
    return replace(packet, dst=target, dport=port), nat
