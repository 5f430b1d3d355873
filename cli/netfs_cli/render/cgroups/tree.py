"""``netfs cgroups``: the tree of groups with limits and use, then what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from posixpath import dirname

from netfs.model.cgroups import Cgroup, Cgroups, CgroupTree
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.cgroups.columns import shown
from netfs_cli.render.cgroups.fitting import Stem, Table, fitted
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import brief, tail
from netfs_cli.render.prose import count
from netfs_cli.render.table import GAP, cells_wide, shortened

_LONG = 44
"""Characters of a group's name; wide forms show it whole."""
INHERITED = "a limit in brackets is an ancestor's"


def render(answer: Cgroups, ink: Ink, *, width: int | None, wide: bool, columns: int | None = None) -> str:
    """Every node's tree. ``columns``: those of a terminal, which the trees are fitted into; wide forms are not."""
    lines: list[str] = []
    for number, tree in enumerate(answer.trees):
        lines += [""] * bool(number)
        lines += [head(tree, ink), *rows(tree.groups, ink, wide=wide, columns=columns)]
    return "\n".join([*lines, *legend(answer.trees, ink), *below(answer, ink, width)])


def legend(trees: Iterable[CgroupTree], ink: Ink) -> list[str]:
    """What brackets mean, where a limit is told that is another group's."""
    groups = [group for tree in trees for group in tree.groups]
    inherited = any(limit.at != group.path for group in groups for limit in group.effective.values())
    return [ink.dim(f"  {ink.sign('•')}  {INHERITED}")] if inherited else []


def below(answer: Cgroups, ink: Ink, width: int | None) -> list[str]:
    """Findings, notes, and what was not read."""
    lines = ["", *findings.findings(answer.findings, ink, width)] if answer.findings else []
    more = tail(answer.notes, answer.gaps, ink)
    return lines + (more[1:] if lines and more else more)


def head(tree: CgroupTree, ink: Ink) -> str:
    """``node1: v2, driver systemd, 120 groups``."""
    said = [_MODES.get(tree.mode, tree.mode)]
    said += [f"driver {tree.driver}"] if tree.driver else []
    said += [count(len(tree.groups), "group")] if tree.groups else []
    node = f"{printable(tree.node)}: " if tree.node else ""
    return ink.bold(node + printable(", ".join(said)))


def rows(groups: Sequence[Cgroup], ink: Ink, *, wide: bool, columns: int | None = None) -> list[str]:
    """One line for each group; one of which nothing is known is as long as its name."""
    if not groups:
        return []
    drawn = [*_drawn(groups, ink, wide)]
    table = [["GROUP", *(stem.branch + (stem.name if wide else _cut(stem.name)) for stem, _ in drawn)]]
    for column in shown(wide=wide, rates=any(group.rates is not None for group in groups)):
        cells = [printable(column.cell(group)) for _, group in drawn]
        if any(cell not in column.nothing for cell in cells):
            table.append([column.head, *cells])
    fits = columns is None or wide
    laid = Table(table, GAP, ()) if fits else fitted([stem for stem, _ in drawn], table, columns or 0)
    filled = [[*_filled(column)] for column in laid.columns]
    lines = [laid.gap.join(row).rstrip() for row in zip(*filled, strict=True)]
    lines[0] = ink.bold(lines[0])
    if laid.spared:
        lines.append(ink.dim(f"  {ink.sign('•')}  no room for {', '.join(laid.spared)} (-o wide)"))
    return lines


def _filled(column: Sequence[str]) -> Iterator[str]:
    """The cells of a column, as wide as the widest. The signs of a tree are one cell wide: most names need no count."""
    wide = [len(cell) if cell.translate(_SIGNS).isascii() else cells_wide(cell) for cell in column]
    most = max(wide)
    return (cell + " " * (most - width) for cell, width in zip(column, wide, strict=True))


_SIGNS = dict.fromkeys(map(ord, "├└│─…"), "-")
_MODES = {"none": "no control groups are mounted", "hybrid": "v1 with v2 beside it"}


def _drawn(groups: Sequence[Cgroup], ink: Ink, wide: bool) -> Iterator[tuple[Stem, Cgroup]]:
    """Each group below the nearest of its ancestors that is there. Without recursion: a path may be long."""
    paths = {group.path for group in groups}
    children: dict[str, list[Cgroup]] = {}
    for group in groups:
        children.setdefault(_above(group.path, paths), []).append(group)
    tee, corner, bar = ("├─ ", "└─ ", "│  ") if ink.unicode else ("|- ", "`- ", "|  ")
    pending = [(group, "", "", "") for group in reversed(children.get("", ()))]
    while pending:
        group, above, branch, stem = pending.pop()
        name = group.path[len(above) :].lstrip("/") if above else group.path
        yield Stem(branch, printable(name) if wide else brief(name)), group
        held = children.get(group.path, ())
        for number, child in enumerate(reversed(held)):
            fork, following = (corner, "   ") if number == 0 else (tee, bar)
            pending.append((child, group.path, stem + fork, stem + following))


def _cut(name: str) -> str:
    return name if len(name) <= _LONG else shortened(name, _LONG)


def _above(path: str, paths: set[str]) -> str:
    """The nearest ancestor that is among ``paths``; empty: none is."""
    while path not in ("", "/"):
        path = dirname(path)
        if path in paths:
            return path
    return ""
