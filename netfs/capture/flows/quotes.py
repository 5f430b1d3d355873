"""ICMP errors: whom they come from, what they quote, and which flow that is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from netfs.capture.file.chunk import Chunk
from netfs.capture.flows import keys
from netfs.capture.flows.columns import Front, Mask, Rows, Words, versions
from netfs.capture.flows.dissection import Dissection, Quotes
from netfs.capture.flows.groups import group
from netfs.capture.flows.keys import FIRST, ROW, WIDTH, Key, Level, key_of, level_of
from netfs.capture.flows.levels import read_on
from netfs.model.flows import Flow, IcmpError

NO_MTU = 1 << 32
# Columns behind those of the quoted packet's key:
_OUTER = ROW
"""Its outermost header as a level, as if there were no tunnels."""
_SENDER = _OUTER + WIDTH
"""The level of the error itself."""
_KIND = _SENDER + WIDTH
"""Bit 24: all headers were quoted; bits 16..: the error's level; type; code."""
_WIDTH = _KIND + 1


@dataclass(frozen=True, slots=True)
class _Error:
    """One kind of error, from one sender, about packets of one key."""

    sender: Level
    type: int
    code: int
    level: int
    outer: Level | None
    """The quoted packet's outermost header; None: not even that was quoted."""
    key: Key | None
    """Of the quoted packet; None: too little of it was quoted."""

    @property
    def too_big(self) -> bool:
        """RFC 1191 section 4, RFC 4443 section 3.2."""
        return self.type == 2 if self.sender.proto == "icmpv6" else (self.type, self.code) == (3, 4)


class Errors:
    """The errors of a capture. What they quote is read as any packet is, beginning with its IP header.

    An error comes back by the tunnels that the packet went by, so the quoted packet's key begins with the levels
    around the error, mirrored.
    """

    def __init__(self) -> None:
        self._counts: dict[bytes, tuple[int, int]] = {}
        """By row of words: packets, and the smallest MTU."""

    def add(self, d: Dissection, copies: Rows) -> None:
        """Takes the errors of a chunk, but for copies."""
        for quotes in d.quotes:
            left = quotes.where(~np.isin(quotes.packets.rows, copies)) if len(copies) else quotes
            if len(left.packets):
                self._add(d, left)

    def _add(self, d: Dissection, quotes: Quotes) -> None:
        count = len(quotes.packets)
        words = _quoted(d, quotes)
        groups = group(words, count)
        rows = np.zeros((len(groups), _WIDTH), np.uint64)
        for number, column in words.items():
            rows[:, number] = column[groups.sample]
        packets = np.bincount(groups.number)
        mtu = groups.least(np.where(quotes.mtu > 0, quotes.mtu, NO_MTU))
        for row, more, told in zip(rows, packets.tolist(), mtu.tolist(), strict=True):
            before, least = self._counts.get(key := row.tobytes(), (0, NO_MTU))
            self._counts[key] = before + more, min(least, told)

    def told(self, flows: Sequence[Flow], flow_keys: Sequence[Key]) -> tuple[list[Flow], tuple[IcmpError, ...]]:
        """The errors, most packets first, and the flows with what errors say of them."""
        answer = list(flows)
        if not self._counts:
            return answer, ()
        places = _Places(flows, flow_keys)
        found: dict[IcmpError, tuple[int, int]] = {}
        for row, (packets, mtu) in self._counts.items():
            error = _error(np.frombuffer(row, np.uint64).tolist())
            index = places.flow_of(error)
            record = _record(error, index)
            before, least = found.get(record, (0, NO_MTU))
            found[record] = before + packets, min(least, mtu)
            if index is not None:
                answer[index] = _counted(answer[index], error, packets, mtu)
        records = [
            replace(record, packets=packets, mtu=None if mtu == NO_MTU else mtu)
            for record, (packets, mtu) in found.items()
        ]
        return answer, tuple(sorted(records, key=_order))


def _quoted(d: Dissection, quotes: Quotes) -> dict[int, Words]:
    """Columns of what is quoted, of its outermost header, and of the error."""
    whole = _read(d, quotes, d.tunnelled, keys.LEVELS - 1)
    outermost = _read(d, quotes, d.tunnelled, quotes.level)
    words = {number: column for number, column in whole.words.items() if number >= FIRST}
    base = FIRST + quotes.level * WIDTH
    for word in range(WIDTH):
        if base + word in outermost.words:
            words[_OUTER + word] = np.where(outermost.depth >= 0, outermost.words[base + word], np.uint64(0))
        if base + word in d.words:
            words[_SENDER + word] = d.words[base + word][quotes.packets.rows]
    told = ((whole.depth >= 0) & (outermost.depth >= 0)).astype(np.uint64) << np.uint64(24)
    words[_KIND] = told | np.uint64(quotes.level << 16) | quotes.kind
    return words


def _read(d: Dissection, quotes: Quotes, tunnelled: Mask, innermost: int) -> Dissection:
    """The quoted packets as a chunk of their own, read from their IP header on."""
    rows, at, end = quotes.packets.rows, quotes.packets.at, quotes.packets.end
    chunk = Chunk(
        data=d.data,
        start=at,
        captured=end - at,
        length=d.wire_end(rows) - at,
        at_ns=d.chunk.at_ns[rows],
        interface=d.chunk.interface[rows],
        first=d.chunk.first,
    )
    inner = Dissection(chunk, d.linktypes, tunnelled)
    inner.innermost = innermost
    for level in range(quotes.level + 1):
        _mirror(d, inner, level, quotes)
    front, four, six = versions(d.data, Front(np.arange(inner.count), at, end))
    inner.later("ipv4", quotes.level, front.where(four))
    inner.later("ipv6", quotes.level, front.where(six))
    read_on(inner)
    return inner


def _mirror(d: Dissection, inner: Dissection, level: int, quotes: Quotes) -> None:
    """The tunnels around an error are those of the quoted packet, the other way; its tags are the same."""
    rows, every = quotes.packets.rows, np.arange(inner.count)

    def column(word: int) -> Words:
        found = d.words.get(FIRST + level * WIDTH + word)
        return np.zeros(inner.count, np.uint64) if found is None else found[rows]

    inner.put(level, keys.VLANS, every, column(keys.VLANS))
    if level == quotes.level:
        return
    what, pair = column(keys.WHAT), column(keys.SOURCE)
    six = what >> np.uint64(63) != 0
    inner.put(level, keys.WHAT, every, what)
    turned = pair << np.uint64(32) | pair >> np.uint64(32)
    inner.put(level, keys.SOURCE, every, np.where(six, column(keys.TARGET), turned))
    inner.put(level, keys.SOURCE_LOW, every, column(keys.TARGET_LOW))
    inner.put(level, keys.TARGET, every, np.where(six, pair, np.uint64(0)))
    inner.put(level, keys.TARGET_LOW, every, column(keys.SOURCE_LOW))


def _error(words: list[int]) -> _Error:
    kind = words[_KIND]
    outer = level_of(words[_OUTER:_SENDER])
    return _Error(
        sender=level_of(words[_SENDER:_KIND]),
        type=kind >> 8 & 0xFF,
        code=kind & 0xFF,
        level=kind >> 16 & 0xFF,
        outer=outer if outer.proto else None,
        key=key_of(words) if kind >> 24 else None,
    )


def _record(error: _Error, index: int | None) -> IcmpError:
    outer = error.outer or Level("", "", keys.BARE)
    sender = error.sender
    return IcmpError(
        sender.src,
        sender.proto,
        error.type,
        error.code,
        outer.src,
        outer.dst,
        outer.proto,
        sport=outer.sport,
        dport=outer.dport,
        flow=index,
    )


def _counted(flow: Flow, error: _Error, packets: int, mtu: int) -> Flow:
    if not error.too_big:
        return replace(flow, icmp_errors=flow.icmp_errors + packets)
    known = [value for value in (flow.too_big_mtu, mtu) if value is not None and value != NO_MTU]
    return replace(
        flow,
        icmp_errors=flow.icmp_errors + packets,
        too_big=flow.too_big + packets,
        too_big_mtu=min(known, default=None),
    )


def _order(error: IcmpError) -> tuple[int | str, ...]:
    ports = -1 if error.sport is None else error.sport, -1 if error.dport is None else error.dport
    flow = -1 if error.flow is None else error.flow
    named = error.sender, error.proto, error.type, error.code, error.src, error.dst, error.about
    return (-error.packets, *named, *ports, flow)


class _Places:
    """Finds the flow that a quoted packet is of."""

    def __init__(self, flows: Sequence[Flow], flow_keys: Sequence[Key]) -> None:
        self._by_key = {key: index for index, key in enumerate(flow_keys)}
        self._innermost: dict[Level, int] = {}
        """The largest of the flows that have these innermost headers, in whatever tunnels."""
        self._tunnels: dict[tuple[int, str, str, int | None, int | None], list[int]] = {}
        """By level and outer tuple, the flows in a tunnel."""
        for index, key in enumerate(flow_keys):
            self._innermost.setdefault(key.levels[-1], index)
            for level, tunnel in enumerate(flows[index].tunnels):
                place = (level, tunnel.src, tunnel.dst, tunnel.sport, tunnel.dport)
                self._tunnels.setdefault(place, []).append(index)

    def flow_of(self, error: _Error) -> int | None:
        """By all headers; else by the innermost; where a tunnel's alone are quoted, the one flow that has these."""
        if error.key is not None:
            index = self._by_key.get(error.key)
            return self._innermost.get(error.key.levels[-1]) if index is None else index
        if error.outer is None:
            return None
        outer = error.outer
        flows = self._tunnels.get((error.level, outer.src, outer.dst, outer.sport, outer.dport), [])
        return flows[0] if len(flows) == 1 else None
