"""What could not be read of many groups: one gap for each reason."""

from __future__ import annotations

from collections.abc import Iterable

from netfs.model.gaps import Gap


class Refused:
    """The first place of each reason, and how many there are."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}
        self._count: dict[tuple[str, str], int] = {}

    def add(self, where: str, what: str, reason: str, count: int = 1) -> None:
        """Note one, or several of which this is the first."""
        self._first.setdefault((what, reason), where)
        self._count[what, reason] = self._count.get((what, reason), 0) + count

    def take(self, others: Iterable[tuple[str, str, str, int]]) -> None:
        """Note what another noted."""
        for where, what, reason, count in others:
            self.add(where, what, reason, count)

    def plain(self) -> list[tuple[str, str, str, int]]:
        """What ``take`` takes."""
        return [(where, *key, self._count[key]) for key, where in self._first.items()]

    def gaps(self) -> list[Gap]:
        """A gap for each reason."""
        return [
            Gap(where, what, f"{reason} ({count} such)" if count > 1 else reason)
            for where, what, reason, count in self.plain()
        ]
