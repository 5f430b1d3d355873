"""Which groups are wanted."""

from __future__ import annotations

from collections.abc import Collection


class Chosen:
    """Some groups with all below them and all above them; ``None``: every group."""

    def __init__(self, within: Collection[str] | None) -> None:
        self._all = within is None
        self._paths = frozenset(within or ())
        self._ways: dict[str, set[str]] = {}
        for path in self._paths:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                self._ways.setdefault("/".join(parts[:depth]) or "/", set()).add(parts[depth])

    def has(self, path: str) -> bool:
        """Whether the group and everything below it is wanted."""
        return self._all or path in self._paths

    def covers(self, root: str) -> bool:
        """As ``has``, of the uppermost group that is mounted: those above it may have been chosen."""
        while root != "/" and not self.has(root):
            root = root.rpartition("/")[0] or "/"
        return self.has(root)

    def below(self, path: str, found: list[str]) -> list[str]:
        """Those of the groups found in one that lead to what is wanted."""
        ways = self._ways.get(path, ())
        return [name for name in found if name in ways]
