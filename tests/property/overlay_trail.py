"""What must be true of a trail beside the view: no kernel tells it, but each of the two holds the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netfs.overlay.merge.trail import Held, trail
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import Node, Part, View


def broken(view: View, stack: Stack, paths: Iterable[str]) -> Iterator[str]:
    """Sentences about trails of a stack that do not fit its view; ``paths`` are others that layers have."""
    seen = dict(view.walk())
    for path, node in seen.items():
        if not node.error:
            held = trail(stack, path)
            yield from (f"/{path!a}: {wrong}; {held}" for wrong in _misfits(node, held))
    for path in paths:
        if f"/{path}" not in seen:
            given = [each for each in trail(stack, path) if each.fate in ("provides", "merged", "data")]
            yield from (f"/{path!a} is not in the view, but {each}" for each in given)


def _misfits(node: Node, held: tuple[Held, ...]) -> Iterator[str]:
    def places(fate: str) -> list[tuple[int, str]]:
        return [(each.layer, each.path) for each in held if each.fate == fate]

    top, *rest = [_place(part) for part in node.parts]
    if places("provides") != [top]:
        yield f"provided by {top}"
    if node.directories and places("merged") != rest:
        yield f"merged with {rest}"
    if node.data and node.data is not node.parts[0] and places("data") != [_place(node.data)]:
        yield f"its data are in {_place(node.data)}"
    hidden = set(places("hidden")) | set(places("whiteout"))
    if hidden & {top, *(rest if node.directories else ()), *([_place(node.data)] if node.data else ())}:
        yield "what is seen is called hidden"
    if any(each.by is not None and each.by >= each.layer for each in held):
        yield "something is hidden from below"
    if [each.layer for each in held] != sorted(each.layer for each in held):
        yield "not from the uppermost down"


def _place(part: Part) -> tuple[int, str]:
    return part.layer, f"{part.directory.path}/{part.name}".strip("/")
