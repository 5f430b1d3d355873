"""What every layer has at a path of the merged view, and what became of it.

The merged view is walked one name at a time, as a process would. Beside it each layer has a place of its own: the
directory that it has there, even where something above hides it. What hides it is the nearest layer above that would do
so if there were nothing else.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from netfs.overlay.merge import marks
from netfs.overlay.merge.lookup import Lookup, Rules, rules
from netfs.overlay.merge.node import Node, Part
from netfs.overlay.merge.tree import Directory, Stack, Status
from netfs.overlay.merge.view import View

TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_WHITEOUT, _OPAQUE = "a whiteout", "an opaque directory"


class Reason(NamedTuple):
    """Why something is hidden."""

    layer: int
    """That hides it."""
    what: str
    at: str = ""
    """The path of the directory that is hidden; empty: the object itself is."""

    def __str__(self) -> str:
        return f"{self.what} at {self.at}" if self.at else self.what

    def of_what_is_in(self, path: str) -> Reason:
        """For what is in a directory that is hidden so."""
        what = "no directory" if self.what.startswith("a newer") else self.what
        return self if self.at else Reason(self.layer, what, path)


@dataclass(frozen=True, slots=True)
class Held:
    """What one layer has for a path of the merged view, and what became of it."""

    layer: int
    """Its place in ``Stack.layers``; ``len(layers) + i`` for ``Stack.data[i]``."""
    path: str
    """In that layer, from its root: redirects lead elsewhere."""
    type: str
    """``file``, ``directory``, ``symlink``, ``char``, ``block``, ``fifo``, ``socket``, ``whiteout``."""
    status: Status
    fate: str
    """``provides`` (it is what is seen), ``merged`` (with a directory above), ``data`` (the bytes of a metacopy above),
    ``hidden``, ``whiteout``."""
    by: int | None = None
    """The layer that hides it: the nearest above."""
    why: str = ""
    """``a whiteout``, ``an opaque directory``, ``a newer file`` (or whatever it is), ``no directory``, with ``at PATH``
    where it is a directory above that is hidden; what the kernel says where it refuses the whole; of what provides a
    file, that ``no layer has its bytes``."""
    marks: tuple[str, ...] = ()
    """``opaque``, ``redirect /a/b``, ``metacopy``."""


def trail(stack: Stack, path: str) -> tuple[Held, ...]:
    """Every layer that has something at a path, uppermost first; also where the merged view has nothing there.

    No symlink is followed: ``View.resolve`` gives a path without any. What cannot be read counts as not there.
    """
    walk = _Trail(stack)
    for name in _names(path):
        walk.step(name)
    return walk.held()


@dataclass(frozen=True, slots=True)
class _Place:
    """What one layer has at the path so far."""

    part: Part
    inside: Directory | None
    """It, where it is a directory."""
    seen: bool
    """It takes part in what the view has there."""
    whiteout: bool = False
    hider: Reason | None = None


class _Trail:
    def __init__(self, stack: Stack) -> None:
        view = View(stack)
        self._rules: Rules = rules(stack)
        self._roots = stack.layers
        self._here: Node | None = view.root
        self._path = ""
        self._refusal = ""
        self._places: dict[int, _Place] = {
            part.layer: _Place(part, part.directory, seen=True) for part in view.root.parts
        }
        """By layer, uppermost first."""

    def step(self, name: str) -> None:
        """One name further."""
        node: Node | None = None
        turns: list[tuple[int, str]] = []
        if self._here and self._here.directories:
            lookup = Lookup(self._rules, self._here.directories, name)
            node, turns = lookup.node(), lookup.turns
        before, self._places = self._places, {}
        parts = {part.layer: part for part in node.parts} if node else {}
        inside = dict(node.directories) if node else {}
        seen = _seen(node) if node else frozenset()
        for layer in range(len(self._roots)):
            turn = next((turn for turn in reversed(turns) if turn[0] < layer), (layer, name))
            part = parts.get(layer) or self._find(layer, turn[1], before)
            if part:
                directory = inside.get(layer) or _entered(part)
                place = _Place(part, directory, seen=layer in seen)
                self._places[layer] = place if place.seen else self._hidden(place, turn, before.get(layer))
        for layer, part in parts.items():
            if layer >= len(self._roots):
                self._places[layer] = _Place(part, None, seen=True)
        if node and node.error:
            self._refusal = os.strerror(node.error)
        self._here = None if node and node.error else node
        self._path = f"{self._path}/{name}"

    def held(self) -> tuple[Held, ...]:
        return tuple(self._held(place) for place in self._places.values())

    def _find(self, layer: int, wanted: str, before: dict[int, _Place]) -> Part | None:
        """What a layer that takes no part has there."""
        base = before[layer].inside if layer in before else None
        *above, name = wanted.split("/")
        try:
            if wanted.startswith("/"):
                base = self._roots[layer]
                for component in above[1:]:
                    base = base.enter(component)
            status = base.status(name) if base else None
        except OSError:
            return None
        return Part(layer, base, name, status) if base and status else None

    def _hidden(self, place: _Place, turn: tuple[int, str], parent: _Place | None) -> _Place:
        """With what hides it, at its place or at a directory above it: the nearest layer."""
        part = place.part
        reasons = [self._nearest(is_directory=stat.S_ISDIR(part.status.st_mode))]
        carrier, wanted = turn
        if wanted.startswith("/"):
            reasons += [self._on_the_way(layer, wanted) for layer in range(part.layer - 1, carrier, -1)]
        if parent and parent.hider:
            reasons.append(parent.hider.of_what_is_in(self._path))
        return replace(
            place,
            whiteout=marks.is_whiteout(part.directory, part.name, part.status),
            hider=max((reason for reason in reasons if reason), key=attrgetter("layer"), default=None),
        )

    def _on_the_way(self, layer: int, wanted: str) -> Reason | None:
        """Why a redirect's path does not lead through a layer to those below it."""
        base, path = self._roots[layer], ""
        for name in wanted.split("/")[1:-1]:
            path += f"/{name}"
            status = None
            with suppress(OSError):
                status = base.status(name)
            if not status:
                return None
            part = Part(layer, base, name, status)
            if marks.is_whiteout(base, name, status):
                return Reason(layer, _WHITEOUT, path)
            inside = _entered(part)
            if not inside:
                return Reason(layer, "no directory", path)
            if marks.opaque(inside, "") == "y":
                return Reason(layer, _OPAQUE, path)
            base = inside
        return None

    def _nearest(self, *, is_directory: bool) -> Reason | None:
        """The lowest of the layers placed so far, all of them above, that hides what is below it."""
        for layer, place in reversed(self._places.items()):
            type = stat.S_IFMT(place.part.status.st_mode)
            if place.whiteout:
                return Reason(layer, _WHITEOUT)
            if type != stat.S_IFDIR or not is_directory:
                return Reason(layer, f"a newer {TYPES[type]}")
            if marks.opaque(place.part.directory, place.part.name) == "y":
                return Reason(layer, _OPAQUE)
        return None

    def _held(self, place: _Place) -> Held:
        part, node = place.part, self._here
        fate = "hidden"
        if place.whiteout:
            fate = "whiteout"
        elif node and part.layer == node.parts[0].layer:
            fate = "provides"
        elif node and place.seen and place.inside:
            fate = "merged"
        elif node and node.data and part.layer == node.data.layer:
            fate = "data"
        refusal = self._refusal if fate == "hidden" else ""
        if node and node.closed and fate == "provides":
            refusal = "no layer has its bytes"
        return Held(
            layer=part.layer,
            path=f"{part.directory.path}/{part.name}".strip("/"),
            type="whiteout" if place.whiteout else TYPES.get(stat.S_IFMT(part.status.st_mode), ""),
            status=part.status,
            fate=fate,
            by=place.hider.layer if place.hider else None,
            why=str(place.hider) if place.hider else refusal,
            marks=_marks(part),
        )


def _entered(part: Part) -> Directory | None:
    if stat.S_ISDIR(part.status.st_mode):
        with suppress(OSError):
            return part.directory.enter(part.name)
    return None


def _seen(node: Node) -> frozenset[int]:
    """The layers whose part says something of what is seen: not a metacopy that only leads on to the next."""
    if node.directories:
        return frozenset(layer for layer, _ in node.directories)
    return frozenset(part.layer for part in (node.parts[:1] + ((node.data,) if node.data else ())))


def _names(path: str) -> list[str]:
    """The components of a path; ``..`` takes the one before it back."""
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            names = names[:-1]
        elif name not in ("", "."):
            names.append(name)
    return names


def _marks(part: Part) -> tuple[str, ...]:
    """The marks that matter for its type, as people read them; one that cannot be read counts as none."""
    found: list[str] = []
    with suppress(OSError):
        if stat.S_ISDIR(part.status.st_mode) and marks.opaque(part.directory, part.name) == "y":
            found.append("opaque")
        if stat.S_ISREG(part.status.st_mode) and marks.is_metacopy(part.directory, part.name):
            found.append("metacopy")
        if (stat.S_ISDIR(part.status.st_mode) or found) and (target := marks.redirect(part.directory, part.name)):
            found.append(f"redirect {target}")
    return tuple(found)
