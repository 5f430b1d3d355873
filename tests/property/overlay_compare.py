"""Kernel and merge beside each other: the differences of one stack."""

from __future__ import annotations

from dataclasses import dataclass

from tests.property.overlay_observe import Seen


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not told alike."""

    path: str
    kernel: str
    ours: str

    def __str__(self) -> str:
        return f"/{self.path!a}: kernel {self.kernel}; ours {self.ours}".replace("n" * 255, "n…n")


def differences(kernel: dict[str, Seen], ours: dict[str, Seen]) -> list[Difference]:
    """Paths whose answers differ, and those that only one of the two has; what lies below such a one is left out."""
    found: list[Difference] = []
    for path in sorted(kernel.keys() | ours.keys()):
        theirs, mine = kernel.get(path), ours.get(path)
        if theirs == mine or any(path.startswith(f"{one.path}/") for one in found):
            continue
        if theirs is None or mine is None:
            found.append(Difference(path, _brief(theirs), _brief(mine)))
            continue
        keys = sorted(key for key in theirs.keys() | mine.keys() if theirs.get(key) != mine.get(key))
        found.append(Difference(path, *(_brief({key: one.get(key) for key in keys}) for one in (theirs, mine))))
    return found


def _brief(seen: Seen | None) -> str:
    if seen is None:
        return "nothing"
    return ", ".join(f"{key}={value}" for key, value in seen.items())[:400]
