"""The part of a program that asks one primitive of one level's facts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeAlias

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter import expression as ask
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.conditions import Condition, all_of, any_of
from netfs.capture.filter.expression import Primitive
from netfs.capture.filter.facts import HAS_VNI, KINDS, LINK, NETWORK, PARSED, PORTS, TRANSPORT, TUNNEL, Facts
from netfs.capture.filter.walk import PROTO, SCRATCH
from netfs.model import ip

_Load: TypeAlias = Callable[[int], None]
"""Emits code that loads one word of an address into A."""
_Fits: TypeAlias = Callable[[_Load, str, str], None]
"""Emits a condition on an address."""

_HEADERS = {4: (ask.IPV4, ask.ARP), 6: (ask.IPV6,)}
"""Where addresses of a family are found."""
_PLACES = {ask.IPV4: (12, 16), ask.ARP: (14, 24)}
"""Where the source and the destination stand in a header (RFC 791, RFC 826); in IPv6 (RFC 8200), at 8 and 24."""
_SOURCE, _DESTINATION = SCRATCH, PROTO
"""Words of memory that the walk needs no longer."""


class Primitives:
    """Emits conditions, each on one level. What they mean is ``level.holds``, with "not known" for no."""

    def __init__(self, asm: Assembler, facts: Facts) -> None:
        self._asm = asm
        self._facts = facts

    def emit(self, primitive: Primitive, level: int, yes: str, no: str) -> None:
        """The condition that a primitive holds at a level."""
        self._EMIT[type(primitive)](self, primitive, level, yes, no)

    def hosts(self, nets: list[ask.Net], level: int, yes: str, no: str) -> None:
        """The condition that one of many addresses is there, which differ in nothing else."""
        addresses = [_words(net.network, net.family) for net in nets]
        self._addresses(nets[0], level, partial(self._one_of, addresses, 0), yes, no)

    def _ways(self, way: str, source: Condition, destination: Condition, yes: str, no: str) -> None:
        if way == ask.SOURCE:
            source(yes, no)
        elif way == ask.DESTINATION:
            destination(yes, no)
        else:
            (all_of if way == ask.BOTH else any_of)(self._asm, [source, destination], yes, no)

    def _net(self, net: ask.Net, level: int, yes: str, no: str) -> None:
        self._addresses(net, level, partial(self._prefix, net), yes, no)

    def _addresses(self, net: ask.Net, level: int, fits: _Fits, yes: str, no: str) -> None:
        """Asks ``fits`` of the source and the destination in the level's header."""
        asm, word = self._asm, self._facts.word(level, NETWORK)
        headers = {header: asm.fresh() for header in _HEADERS[net.family] if net.within in {None, header}}
        asm.emit(bpf.LD_MEM, word)
        asm.emit(bpf.RSH, 16)
        for header, label in headers.items():
            asm.test(bpf.JEQ, header, label)
        asm.go(no)
        if net.family == 6:
            asm.label(headers[ask.IPV6])
            self._index(word)
            self._ways(net.way, partial(fits, self._load_packet(8)), partial(fits, self._load_packet(24)), yes, no)
            return
        loaded = asm.fresh()
        for header, label in headers.items():
            asm.label(label)
            self._index(word)
            for place, offset in zip((_SOURCE, _DESTINATION), _PLACES[header], strict=True):
                asm.emit(bpf.IND_WORD, offset)
                asm.emit(bpf.ST, place)
            asm.go(loaded)
        asm.label(loaded)
        source, destination = (partial(asm.emit, bpf.LD_MEM, place) for place in (_SOURCE, _DESTINATION))
        self._ways(net.way, partial(fits, lambda _: source()), partial(fits, lambda _: destination()), yes, no)

    def _load_packet(self, offset: int) -> _Load:
        return lambda at: self._asm.emit(bpf.IND_WORD, offset + 4 * at)

    def _index(self, word: int, less: int = 0) -> None:
        """X = the offset that a fact holds."""
        self._asm.emit(bpf.LD_MEM, word)
        self._asm.emit(bpf.AND, 0xFFFF)
        if less:
            self._asm.emit(bpf.SUB, less)
        self._asm.emit(bpf.TAX)

    def _prefix(self, net: ask.Net, load: _Load, yes: str, no: str) -> None:
        asm, bits = self._asm, ip.BITS[net.family]
        mask = (1 << bits) - (1 << bits - net.length)
        for at, (value, ones) in enumerate(zip(_words(net.network, net.family), _words(mask, net.family), strict=True)):
            if ones:
                load(at)
                if ones != 0xFFFFFFFF:
                    asm.emit(bpf.AND, ones)
                asm.test(bpf.JEQ, value, None, no)
        asm.go(yes)

    def _one_of(self, addresses: list[tuple[int, ...]], at: int, load: _Load, yes: str, no: str) -> None:
        """Word by word, from ``at`` on: each value there is leads to what may follow it."""
        asm = self._asm
        last = at + 1 == len(addresses[0])
        following = {value: yes if last else asm.fresh() for value in sorted({address[at] for address in addresses})}
        load(at)
        for value, label in following.items():
            asm.test(bpf.JEQ, value, label)
        asm.go(no)
        for value, label in following.items():
            if not last:
                asm.label(label)
                self._one_of([address for address in addresses if address[at] == value], at + 1, load, yes, no)

    def _ports(self, ports: ask.Ports, level: int, yes: str, no: str) -> None:
        asm, word = self._asm, self._facts.word(level, TRANSPORT)
        asm.emit(bpf.LD_MEM, word)
        asm.test(bpf.JSET, PORTS, None, no)
        if ports.proto is not None:
            asm.emit(bpf.RSH, 16)
            asm.emit(bpf.AND, 0xFF)
            asm.test(bpf.JEQ, ports.proto, None, no)
        self._index(word)
        self._ways(ports.way, partial(self._port, ports, 0), partial(self._port, ports, 2), yes, no)

    def _port(self, ports: ask.Ports, offset: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.IND_HALF, offset)
        self._between(ports.first, ports.last, yes, no)

    def _between(self, first: int, last: int, yes: str, no: str) -> None:
        """A lies between two numbers, both included."""
        if first == last:
            self._asm.test(bpf.JEQ, first, yes, no)
        else:
            self._asm.test(bpf.JGE, first, None, no)
            self._asm.test(bpf.JGT, last, no, yes)

    def _protocol(self, protocol: ask.Protocol, level: int, yes: str, no: str) -> None:
        asm = self._asm
        if protocol.family is not None:
            number = ask.IPV4 if protocol.family == 4 else ask.IPV6
            asm.emit(bpf.LD_MEM, self._facts.word(level, NETWORK))
            asm.emit(bpf.RSH, 16)
            asm.test(bpf.JEQ, number, None, no)
        asm.emit(bpf.LD_MEM, self._facts.word(level, TRANSPORT))
        asm.emit(bpf.AND, PARSED | 0xFF << 16)
        asm.test(bpf.JEQ, PARSED | protocol.number << 16, yes, no)

    def _ethertype(self, asked: ask.EtherType, level: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.LD_MEM, self._facts.word(level, NETWORK))
        self._asm.emit(bpf.RSH, 16)
        self._asm.test(bpf.JEQ, asked.number, yes, no)

    def _mac(self, mac: ask.Mac, level: int, yes: str, no: str) -> None:
        asm, word = self._asm, self._facts.word(level, LINK)
        asm.emit(bpf.LD_MEM, word)
        asm.test(bpf.JEQ, 0, no)
        self._index(word, 1)
        self._ways(mac.way, partial(self._hardware, mac, 6), partial(self._hardware, mac, 0), yes, no)

    def _hardware(self, mac: ask.Mac, offset: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.IND_WORD, offset)
        self._asm.test(bpf.JEQ, mac.address >> 16, None, no)
        self._asm.emit(bpf.IND_HALF, offset + 4)
        self._asm.test(bpf.JEQ, mac.address & 0xFFFF, yes, no)

    def _vlan(self, vlan: ask.Vlan, level: int, yes: str, no: str) -> None:
        """A tag of the outermost frame may be beside it (``skb_vlan_tag_present``)."""
        asm, word = self._asm, self._facts.word(level, LINK)
        inside = asm.fresh()
        if level == 0:
            asm.emit(bpf.LD_WORD, bpf.AD_VLAN_TAG_PRESENT)
            asm.test(bpf.JEQ, 0, inside)
            if vlan.number is None:
                asm.go(yes)
            else:
                asm.emit(bpf.LD_WORD, bpf.AD_VLAN_TAG)
                self._tagged(vlan.number, yes, inside)
        asm.label(inside)
        asm.emit(bpf.LD_MEM, word)
        if vlan.number is None:
            asm.test(bpf.JGE, 1 << 16, yes, no)
            return
        asm.test(bpf.JGE, 1 << 16, None, no)
        self._index(word, 1)
        second = asm.fresh()
        asm.emit(bpf.IND_HALF, 14)
        self._tagged(vlan.number, yes, second)
        asm.label(second)
        asm.emit(bpf.LD_MEM, word)
        asm.test(bpf.JGE, 2 << 16, None, no)
        asm.emit(bpf.IND_HALF, 18)
        self._tagged(vlan.number, yes, no)

    def _tagged(self, number: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.AND, 0xFFF)
        self._asm.test(bpf.JEQ, number, yes, no)

    def _vni(self, vni: ask.Vni, level: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.LD_MEM, self._facts.word(level, TUNNEL))
        self._asm.emit(bpf.AND, HAS_VNI | 0xFFFFFF)
        self._asm.test(bpf.JEQ, HAS_VNI | vni.number, yes, no)

    def _within(self, within: ask.Within, level: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.LD_MEM, self._facts.word(level, TUNNEL))
        self._asm.test(bpf.JSET, KINDS[within.kind], yes, no)

    def _length(self, length: ask.Length, _level: int, yes: str, no: str) -> None:
        self._asm.emit(bpf.LD_LEN)
        self._between(length.least, 0xFFFFFFFF if length.most is None else length.most, yes, no)

    _EMIT: ClassVar[dict[type[Primitive], Callable[..., None]]] = {
        ask.Net: _net,
        ask.Ports: _ports,
        ask.Protocol: _protocol,
        ask.EtherType: _ethertype,
        ask.Mac: _mac,
        ask.Vlan: _vlan,
        ask.Vni: _vni,
        ask.Within: _within,
        ask.Length: _length,
    }


def _words(number: int, family: int) -> tuple[int, ...]:
    """An address or mask as the words that a load sees."""
    return tuple(number >> shift & 0xFFFFFFFF for shift in range(ip.BITS[family] - 32, -1, -32))
