"""The files of one control group, in the forms that the kernel has for them (Documentation/admin-guide/cgroup-v2.rst,
"Interface Files"): a single value, flat keyed, nested keyed.

A file that is not there is unknown: None. What has another form is unknown too, and the file's name is noted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

NO_LIMIT = (b"max", b"-1")
DIGITS = 20
"""No counter of the kernel is wider than 64 bits: 2**64 has so many."""


class Contents:
    """What the files of one group hold, by their name."""

    __slots__ = ("_files", "malformed")

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.malformed: list[str] = []
        """Names of the files that had another form than was looked for."""

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def names(self) -> Iterator[str]:
        """Names of the files that were read."""
        return iter(self._files)

    def data(self, name: str) -> bytes:
        """The content as it is; empty: no such file."""
        return self._files.get(name, b"")

    def text(self, name: str) -> str:
        """A line."""
        return os.fsdecode(self.data(name).rstrip(b"\n"))

    def number(self, name: str) -> int | None:
        """A single value."""
        data = self._files.get(name)
        return None if data is None else self.value(name, data.rstrip())

    def limit(self, name: str) -> int | None:
        """A single value, where ``max`` (version 2) and -1 (version 1) stand for no limit: None as well."""
        data = self._files.get(name)
        if data is None:
            return None
        word = data.rstrip()
        return None if word in NO_LIMIT else self.value(name, word)

    def value(self, name: str, word: bytes) -> int | None:
        """The number that a word of this file stands for."""
        if is_number(word):
            return int(word)
        self.malformed.append(name)
        return None

    def keyed(self, name: str) -> dict[bytes, int]:
        """``KEY VALUE`` in each line. Lines of more words are no numbers that anyone asks for: they are passed over."""
        data = self._files.get(name)
        if not data:
            return {}
        found = {}
        for line in data.splitlines():
            key, _, word = line.partition(b" ")
            if is_number(word):
                found[key] = int(word)
            elif b" " not in word:
                self.malformed.append(name)
        return found

    def lines(self, name: str) -> Iterator[list[bytes]]:
        """The words of each line that has some."""
        return (words for line in self.data(name).split(b"\n") if (words := line.split()))


def is_number(word: bytes) -> bool:
    """Whether it is a number as the kernel prints counters."""
    return word.isdigit() and len(word) <= DIGITS
