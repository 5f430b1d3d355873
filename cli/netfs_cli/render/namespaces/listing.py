"""The table, with the columns that users of lsns(8) know, and whose each namespace is."""

from __future__ import annotations

from collections.abc import Sequence

from netfs.model.namespaces import Namespace, Namespaces
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import names
from netfs_cli.render.namespaces import words
from netfs_cli.render.prose import column, count
from netfs_cli.render.table import narrowed, table

Row = list[str | int | None]
HEADS = ("NS", "TYPE", "NPROCS", "PID", "USER", "COMMAND", "CONTAINER", "NETNSID", "STATE", "PINNED AT")
WIDE = (*HEADS[:8], "POD", "STATE", "OWNER", "PARENT", "MADE BY", "KEPT BY", "PINNED AT", "OPEN IN")

APART = frozenset(("ipc", "mnt", "net", "pid", "uts"))
"""What engines make for a container that asks for nothing."""


LEAST = {"COMMAND": 10, "CONTAINER": 14, "STATE": 10, "PINNED AT": 16}
"""Cells that are left of what is long, where a terminal has not enough."""


def lines(answer: Namespaces, ink: Ink, *, width: int | None, wide: bool, columns: int | None = None) -> list[str]:
    """A row for each; the nodes' own beside others briefly, unless everything is wanted.

    ``columns``: those of a terminal, which the table is fitted into; the wide one is not.
    """
    nodes = tuple(dict.fromkeys(each.node for each in answer.namespaces))
    others = [each for each in answer.namespaces if not each.initial]
    briefly = bool(others) and not wide
    told = _own([each for each in answer.namespaces if each.initial and briefly], width)
    heads = (*(("NODE",) if len(nodes) > 1 else ()), *(WIDE if wide else HEADS))
    row = _wide if wide else _row
    rows: list[Row] = [
        [*([each.node] if len(nodes) > 1 else []), *row(each)] for each in (others if briefly else answer.namespaces)
    ]
    used, cells = _used(heads, rows)
    if columns is not None and not wide:
        cells = narrowed(used, cells, columns, LEAST)
    return [*([ink.dim(told), ""] if told else []), table(used, cells, ink).rstrip("\n")]


def _own(own: Sequence[Namespace], width: int | None) -> str:
    """``node1's own: net 4026531840 (2 containers in it), …``; of several nodes how many there are."""
    if not own:
        return ""
    nodes = dict.fromkeys(each.node for each in own)
    if len(nodes) > 1:
        visited = [f"{each.node}'s {each.type}" for each in own if each.containers and each.type in APART]
        guests = f"; containers are in {names(visited)}" if visited else ""
        return column(f"not listed: the own namespaces of {len(nodes)} nodes (-o wide lists them){guests}", 0, width)
    said = [f"{each.type} {each.id}" + _guests(each) for each in own]
    return _listed(f"{printable(own[0].node) or 'the node'}'s own:", said, width)


def _listed(head: str, parts: Sequence[str], width: int | None) -> str:
    """Parts, each in one piece, on as many lines as they need."""
    lines = [head]
    for number, part in enumerate(parts, start=1):
        piece = part + ("," if number < len(parts) else "")
        if width is not None and len(lines[-1]) + 1 + len(piece) > width:
            lines.append(" ")
        lines[-1] += f" {piece}"
    return "\n".join(lines)


def _guests(namespace: Namespace) -> str:
    """Every container is in the node's time and user namespace, where engines make none."""
    number = len(namespace.containers)
    return f" ({count(number, 'container')} in it)" if number and namespace.type not in {"time", "user"} else ""


def _row(namespace: Namespace) -> Row:
    return [*_first(namespace), _state(namespace), words.pins(namespace.pins)]


def _state(namespace: Namespace) -> str:
    return "node's own" if namespace.initial else words.state(namespace)


def _first(namespace: Namespace) -> Row:
    return [
        *(namespace.id, namespace.type, len(namespace.pids), namespace.leader),
        *(words.user(namespace.uid), namespace.command, _whose(namespace), namespace.nsid),
    ]


def _whose(namespace: Namespace) -> str:
    """Of a node's own how many have it: mostly all of them."""
    number = len(namespace.containers)
    return count(number, "container") if namespace.initial and number > 1 else words.whose(namespace)


def _wide(namespace: Namespace) -> Row:
    return [
        *_first(namespace),
        *(", ".join(namespace.pods), _state(namespace)),
        *(namespace.owner, namespace.parent, words.user(namespace.owner_uid), " ".join(namespace.kept_by)),
        ", ".join(f"{pin.path} in mnt {pin.mount_namespace}" for pin in namespace.pins),
        ", ".join(f"{file.pid} fd {file.fd}" for file in namespace.open_files),
    ]


def _used(heads: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """Without the columns that no row has anything in."""
    used = [at for at in range(len(heads)) if any(row[at] not in {None, ""} for row in rows)]
    return [heads[at] for at in used], [[row[at] for at in used] for row in rows]
