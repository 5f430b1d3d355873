"""The table, with the columns that users of lsns(8) know, and whose each namespace is."""

from __future__ import annotations

from collections.abc import Sequence

from netfs.model.namespaces import Namespace, Namespaces
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.namespaces import words
from netfs_cli.render.prose import count
from netfs_cli.render.table import table

Row = list[str | int | None]
HEADS = ("NS", "TYPE", "NPROCS", "PID", "USER", "COMMAND", "CONTAINER", "NETNSID", "STATE", "PINNED AT")
WIDE = (*HEADS[:8], "POD", "STATE", "OWNER", "PARENT", "MADE BY", "KEPT BY", "PINNED AT", "OPEN IN")


def lines(answer: Namespaces, ink: Ink, *, wide: bool) -> list[str]:
    """A row for each; the node's own in one line, unless everything is wanted or there is nothing else."""
    nodes = tuple(dict.fromkeys(each.node for each in answer.namespaces))
    others = [each for each in answer.namespaces if not each.initial]
    briefly = bool(others) and not wide
    own = [each for each in answer.namespaces if each.initial and briefly]
    told = [ink.dim(line) for node in nodes if (line := _own([each for each in own if each.node == node]))]
    heads = (*(("NODE",) if len(nodes) > 1 else ()), *(WIDE if wide else HEADS))
    row = _wide if wide else _row
    rows: list[Row] = [
        [*([each.node] if len(nodes) > 1 else []), *row(each)] for each in (others if briefly else answer.namespaces)
    ]
    return [*told, *([""] if told else []), table(*_used(heads, rows), ink).rstrip("\n")]


def _own(own: Sequence[Namespace]) -> str:
    """``node1's own: net 4026531840 (2 containers too), …``."""
    if not own:
        return ""
    said = [f"{each.type} {each.id}" + _guests(each) for each in own]
    return f"{printable(own[0].node) or 'the node'}'s own: {', '.join(said)}"


def _guests(namespace: Namespace) -> str:
    number = len(namespace.containers)
    return f" ({count(number, 'container')} too)" if number and namespace.type not in {"time", "user"} else ""


def _row(namespace: Namespace) -> Row:
    return [*_first(namespace), _state(namespace), words.pins(namespace.pins)]


def _state(namespace: Namespace) -> str:
    return "node's own" if namespace.initial else words.state(namespace)


def _first(namespace: Namespace) -> Row:
    return [
        *(namespace.id, namespace.type, len(namespace.pids), namespace.leader),
        *(words.user(namespace.uid), namespace.command, words.whose(namespace), namespace.nsid),
    ]


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
