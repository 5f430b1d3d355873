"""Readings that may be refused: what comes instead, and the gaps that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from netfs.model.gaps import Gap

T = TypeVar("T")


class Attempts:
    """What of one process was tried in vain."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._refused: dict[str, list[str]] = {}
        self._gaps: list[Gap] = []

    def of(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        """What ``read`` gives; ``otherwise`` where that is not there, or, with a gap, where it is refused."""
        try:
            return read()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return otherwise
        except OSError as error:
            self._refused.setdefault(reason(error), []).append(what)
            return otherwise

    def cut(self, what: str, most: int) -> None:
        """Note that no more than ``most`` bytes were read."""
        self._gaps.append(Gap(self.where, what, f"only its first {most >> 10} KiB were read"))

    def gaps(self) -> tuple[Gap, ...]:
        """One for each reason, then those of what was cut."""
        return (*(Gap(self.where, ", ".join(what), why) for why, what in self._refused.items()), *self._gaps)


def reason(error: OSError) -> str:
    """In the kernel's words."""
    return error.strerror or str(error)
