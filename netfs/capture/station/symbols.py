"""Which function of the kernel an address lies in (/proc/kallsyms)."""

from __future__ import annotations

import bisect
import contextlib
import threading
from collections.abc import Iterable

KALLSYMS = "/proc/kallsyms"
_FAR = 1 << 24
"""Bytes: further from a symbol lies no function of the kernel's own, but a module's."""


class Symbols:
    """The kernel's symbols: five megabytes of text, which it takes 50 ms to write. They are read while others work."""

    def __init__(self, path: str = KALLSYMS) -> None:
        """Nothing is read before ``begin``."""
        self._path = path
        self._text = b""
        self._begun = False
        self._reader: threading.Thread | None = None

    def begin(self) -> None:
        """Begin to read."""
        self._begun = True
        reader = threading.Thread(target=self._read, name="netfs-symbols", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread can be had: they are read when they are asked for
            reader.start()
            self._reader = reader

    def _read(self) -> None:
        try:
            with open(self._path, "rb", buffering=0) as file:
                self._text = file.read()
        except OSError:
            self._text = b""

    def functions(self, addresses: Iterable[int]) -> dict[int, str]:
        """The function of each address; of one that is in none, or where addresses are hidden (kptr_restrict): nothing.

        The names of parts that the compiler cut off (``.isra.0``, ``.part.0``, ``.cold``) are those of the whole.
        """
        if not self._begun:
            return {}
        if self._reader is None:
            self._read()
        else:
            self._reader.join()
        width = self._text.find(b" ")
        if width <= 0:
            return {}
        module = self._text.find(b"\t[")
        own = self._text if module < 0 else self._text[: self._text.rfind(b"\n", 0, module) + 1]
        others: list[bytes] | None = None
        found = {}
        for address in sorted(set(addresses)):
            line = _before(own, b"%0*x" % (width, address), width)
            if line is None or address - _address(line) > _FAR:
                others = sorted(self._text[len(own) :].splitlines()) if others is None else others
                at = bisect.bisect_right(others, b"%0*x~" % (width, address)) - 1
                line = others[at] if at >= 0 else None
            words = line.split() if line is not None else []
            if len(words) >= 3 and _address(words[0]) > 0 and address - _address(words[0]) <= _FAR:
                found[address] = words[2].split(b".")[0].decode("ascii", "replace")
        return found


def _address(line: bytes) -> int:
    try:
        return int(line.split(b" ", 1)[0], 16)
    except ValueError:
        return 0


def _before(text: bytes, wanted: bytes, width: int) -> bytes | None:
    """The line of the last address that is not behind ``wanted``; of several names the first, as ``get_symbol_pos``
    takes it. The kernel's own symbols stand in order.
    """
    low, high = 0, len(text)
    while low < high:
        middle = text.rfind(b"\n", 0, (low + high) // 2) + 1
        middle = max(middle, low)
        end = text.find(b"\n", middle)
        end = len(text) if end < 0 else end
        if text[middle : middle + width] <= wanted:
            low = end + 1
        else:
            high = middle
    line = _line_before(text, low)
    if line is None:
        return None
    while (earlier := _line_before(text, low - len(line) - 1)) is not None and earlier[:width] == line[:width]:
        low -= len(line) + 1
        line = earlier
    return line


def _line_before(text: bytes, at: int) -> bytes | None:
    """The line that ends before this offset."""
    if at <= 1 or at > len(text) + 1:
        return None
    return text[text.rfind(b"\n", 0, at - 1) + 1 : at - 1]
