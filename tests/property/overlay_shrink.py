"""Makes a plan small: takes parts away as long as kernel and merge still differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.property.overlay_plan import Entry, Layer, Plan


def shrink(plan: Plan, differs: Callable[[Plan], bool], budget: int = 1500) -> Plan:
    """The smallest plan found within ``budget`` trials that still differs."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(plan):
            budget -= 1
            if budget < 0:
                return plan
            if differs(smaller):
                plan, progress = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one part less, the largest parts first."""
    if len(plan.layers) > 2:
        for i in range(len(plan.layers)):
            yield replace(plan, layers=plan.layers[:i] + plan.layers[i + 1 :])
    for i in range(len(plan.data)):
        yield replace(plan, data=plan.data[:i] + plan.data[i + 1 :])
    for plain in ({"read_only": False}, {"redirect_dir": ""}, {"metacopy": None}, {"upper": False}):
        if any(getattr(plan, key) != value for key, value in plain.items()):
            yield replace(plan, **plain)
    for i, layer in enumerate(plan.layers):
        for less in _smaller_layers(layer):
            yield replace(plan, layers=(*plan.layers[:i], less, *plan.layers[i + 1 :]))
    for i, layer in enumerate(plan.data):
        for less in _smaller_layers(layer):
            yield replace(plan, data=(*plan.data[:i], less, *plan.data[i + 1 :]))


def _smaller_layers(layer: Layer) -> Iterator[Layer]:
    if layer.operations:
        yield replace(layer, operations=())
    for i in range(len(layer.operations)):
        yield replace(layer, operations=layer.operations[:i] + layer.operations[i + 1 :])
    for first, end in _stretches(len(layer.entries)):
        gone = {entry.path for entry in layer.entries[first:end]}
        yield replace(layer, entries=tuple(entry for entry in layer.entries if not _lies_in(entry.path, gone)))
    for i, entry in enumerate(layer.entries):
        for plainer in _plainer(entry):
            yield replace(layer, entries=(*layer.entries[:i], plainer, *layer.entries[i + 1 :]))


def _stretches(length: int) -> Iterator[tuple[int, int]]:
    """All, the halves, the quarters, … down to one by one."""
    size = length
    while size:
        yield from ((first, first + size) for first in range(0, length, size))
        size //= 2


def _lies_in(path: str, gone: set[str]) -> bool:
    """Whether a path goes with these: one of them, or below one; the root's own entry takes nothing with it."""
    return path in gone or any(path.startswith(f"{one}/") for one in gone if one)


def _plainer(entry: Entry) -> Iterator[Entry]:
    usual = Entry(entry.path, entry.kind, mode=0o755 if entry.kind == "directory" else 0o644)
    for key in ("xattrs", "marks", "mode", "owner", "size", "mtime"):
        if getattr(entry, key) != getattr(usual, key):
            yield replace(entry, **{key: getattr(usual, key)})
    for name in entry.marks if len(entry.marks) > 1 else ():
        yield replace(entry, marks={other: value for other, value in entry.marks.items() if other != name})
