"""The rules of a chain, read when a packet first reaches them, and found without a look at every one.

Most rules of a long chain name one destination, source or port. They are found by it; what names none of these is
met by every packet. So a chain of ten thousand Services costs a packet a few look-ups.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar, overload

from netfs.datapath.netfilter.records import Rule
from netfs.model.packet import Packet

T = TypeVar("T")

LONG = 12
"""Rules from which on an index is worth its making."""


class Rules(Sequence[Rule], Generic[T]):
    """Rules by position; each is read once, when it is first asked for."""

    __slots__ = ("_raw", "_read", "_rules")

    def __init__(self, raw: Sequence[T], read: Callable[[T], Rule]) -> None:
        self._raw = raw
        self._read = read
        self._rules: dict[int, Rule] = {}

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, at: int) -> Rule: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Rule, ...]: ...

    def __getitem__(self, at: int | slice) -> Rule | tuple[Rule, ...]:
        if isinstance(at, slice):
            return tuple(self[index] for index in range(*at.indices(len(self))))
        found = self._rules.get(at)
        if found is None:
            raw = self._raw[at]
            at = at if at >= 0 else at + len(self)
            found = self._rules.setdefault(at, self._read(raw))
        return found


class RuleIndex:
    """Answers which rule a packet may fulfil next (``Chain.index``).

    ``keys`` says for each rule what it demands: ``(kind, value)`` with kind ``dst``, ``src`` (canonical address)
    or ``dport`` (number), or None where it names none.
    """

    __slots__ = ("_others", "_positions", "_size")

    def __init__(self, keys: Iterable[tuple[str, str | int] | None]) -> None:
        self._positions: dict[tuple[str, str | int | None], list[int]] = {}
        self._others: list[int] = []
        self._size = 0
        for position, key in enumerate(keys):
            self._size = position + 1
            if key is None:
                self._others.append(position)
            else:
                self._positions.setdefault(key, []).append(position)

    def __call__(self, position: int, packet: Packet) -> int:
        """The position of that rule, from ``position`` on; the number of rules where there is none."""
        if packet.dport is None and packet.proto != "icmp":
            return position
        best = _from(self._others, position, self._size)
        for key in (("dst", packet.dst), ("src", packet.src), ("dport", packet.dport)):
            positions = self._positions.get(key)
            if positions is not None:
                best = min(best, _from(positions, position, self._size))
        return best


def _from(positions: list[int], least: int, none: int) -> int:
    at = bisect_left(positions, least)
    return positions[at] if at < len(positions) else none
