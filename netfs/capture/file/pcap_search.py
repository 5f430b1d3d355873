"""Where a damaged pcap goes on: at records that make sense, several in a row."""

from __future__ import annotations

import struct

import numpy

from netfs.capture.file.window import Window

LONGEST = 69632
"""Bytes of the longest packet that is looked for: 64 KiB of an offloaded one, and headers."""
DAY = 86400
"""Seconds between two neighbours, more than which is odd."""
_ROW = 3
"""Records that must make sense one after the other."""
REACH = _ROW * (LONGEST + 24) + 24
"""Bytes that must lie in the window behind what is judged."""
STRIDE = 1 << 16
"""Bytes searched at a time; and how far behind an odd record."""
MOST_QUESTIONS = 200


class PcapSearch:
    """Looks for records in a window."""

    def __init__(self, window: Window, order: str, record: int, second: int) -> None:
        self.second = second
        """Ticks of a second."""
        self._window = window
        self._order = order
        self._record = record
        self._header = struct.Struct(order + "4I").unpack_from
        self.questions = MOST_QUESTIONS
        """How many more odd records are looked into: a file may be odd all over."""

    def next_row(self, begin: int, end: int, second: int | None, beyond: int = 0) -> int | None:
        """The first offset from ``begin`` to ``end`` at which records make sense: near to that second, if one is
        given, no longer than can be; three in a row, and more until they lead beyond an offset; or up to the end of
        the file.
        """
        window = self._window
        end = min(end, window.end - self._record + 1 if window.ended else window.end - REACH)
        led_nowhere: set[int] = set()  # so that no chain is followed twice
        for stride in range(begin, end, STRIDE):
            for at in self._candidates(stride, min(STRIDE, end - stride)):
                if self._makes_sense(at, second, beyond, led_nowhere):
                    return at
        return None

    def after(self, last: int, trusted: bool, bad: int, second: int | None, cut: bool) -> int | None:
        """Where records make sense around a bad one, within this window; ``last`` is the offset of the one before it.

        If those within that one's packet lead beyond the bad one, then they are no part of a packet, and its length is
        wrong. But where that length can be ``trusted``, and they begin among its last bytes, it is the bad one that
        lacks some. Where the bad one may be ``cut`` off by the file's end, those within it must lead up to there: a
        packet may hold a capture.
        """
        within = bad - self._record + 1 if trusted else bad
        found = self.next_row(last + self._record, within, second, bad)
        if found is not None:
            return found
        return self.next_row(bad + 1, self._window.end, second, self._window.end if cut else 0)

    def _candidates(self, begin: int, count: int) -> list[int]:
        """Offsets at which a single header makes sense, but for its time."""
        data, at = self._window.data, begin - self._window.base
        every = numpy.ndarray((count, 4), self._order + "u4", data, at, (1, 4))
        short = numpy.flatnonzero(every[:, 2] - 1 < LONGEST)  # unsigned: 0 is long
        _, ticks, captured, length = every[short].T
        found = short[(ticks < self.second) & (captured <= length) & (length <= LONGEST)]
        return (found + begin).tolist()  # type: ignore[no-any-return]  # numpy says: Any

    def _makes_sense(self, at: int, second: int | None, beyond: int, led_nowhere: set[int]) -> bool:
        window, left = self._window, _ROW
        while left > 0 or at <= beyond:
            left -= 1
            if at in led_nowhere or at + self._record > window.end:
                return False
            led_nowhere.add(at)
            seconds, ticks, captured, length = self._header(window.data, at - window.base)
            if not (0 < captured <= length <= LONGEST and ticks < self.second):
                return False
            if second is not None and abs(seconds - second) > DAY:
                return False
            second = seconds
            at += self._record + captured
            if at >= window.end and window.ended:
                return at == window.end
        return True

    def contradicts(self, last: int, trusted: bool, odd: int, second: int | None) -> bool:
        """Whether records say that an odd one is none: they begin before it, or where its length does not lead.

        Arguments are those of ``after``.
        """
        if not self.questions:
            return False
        self.questions -= 1
        within = odd - self._record + 1 if trusted else odd
        if self.next_row(last + self._record, within, second, odd) is not None:
            return True
        found = self.next_row(odd + 1, odd + STRIDE, second)
        at = odd
        while found is not None and at < found:
            at += self._record + self._header(self._window.data, at - self._window.base)[2]
        return found is not None and at != found
