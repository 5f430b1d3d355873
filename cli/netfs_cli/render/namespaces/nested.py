"""The tree: what a user namespace owns is below it, PID namespaces are below their parents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netfs.model.namespaces import Namespace, Namespaces
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.namespaces import words
from netfs_cli.render.prose import count

Below = Mapping[int | None, Sequence[Namespace]]
STEP = "  "


def lines(answer: Namespaces, ink: Ink) -> list[str]:
    """A tree for each node. What belongs to nothing that is shown stands at the left."""
    nodes = tuple(dict.fromkeys(each.node for each in answer.namespaces))
    told: list[str] = []
    for node in nodes:
        if len(nodes) > 1:
            told += [*([""] if told else []), ink.bold(printable(node))]
        own = [each for each in answer.namespaces if each.node == node]
        below = _below(own)
        told += [line for each in below.get(None, ()) for line in _lines(each, below, ink, STEP * (len(nodes) > 1))]
    return told


def _below(namespaces: Sequence[Namespace]) -> dict[int | None, list[Namespace]]:
    """What stands below each: by inode of a user or PID namespace; None: below nothing."""
    shown = {each.id: each for each in namespaces if each.type in {"user", "pid"}}
    below: dict[int | None, list[Namespace]] = {}
    for each in sorted(namespaces, key=lambda each: (each.type == "user", each.type, each.id)):
        above = _above(each, shown)
        below.setdefault(above, []).append(each)
    return below


def _above(namespace: Namespace, shown: Mapping[int, Namespace]) -> int | None:
    """A PID namespace stands below its parent, unless another user namespace owns it."""
    parent = shown.get(namespace.parent) if namespace.parent is not None else None
    if namespace.type == "pid" and parent is not None and parent.owner == namespace.owner:
        return parent.id
    return namespace.owner if namespace.owner in shown else None


def _lines(namespace: Namespace, below: Below, ink: Ink, indent: str) -> Iterator[str]:
    name = f"{namespace.type:<6} {namespace.id}"
    yield f"{indent}{ink.bold(name)}  {', '.join(_said(namespace, ink))}".rstrip()
    for each in below.get(namespace.id, ()) if namespace.type in {"user", "pid"} else ():
        apart = each.type == "pid" and namespace.type == "user" and each.parent is not None
        for line in _lines(each, below, ink, indent + STEP):
            yield f"{line}, child of {each.parent}" if apart else line
            apart = False


def _said(namespace: Namespace, ink: Ink) -> list[str]:
    """What is told of it, one thing after the other."""
    said = []
    if namespace.initial:
        said.append("the node's own")
    if namespace.pids:
        who = f" ({namespace.leader} {printable(namespace.command)})" if namespace.leader is not None else ""
        said.append(words.processes(len(namespace.pids)) + who)
    elif not namespace.leaked:
        said.append(words.kept(namespace))
    if whose := "" if namespace.initial else words.whose(namespace):
        said.append(whose)
    if namespace.shared and namespace.initial:
        said.append(f"{count(len(namespace.containers), 'container')} in it")
    elif namespace.shared:
        said.append(ink.doubtful(words.shared(namespace)))
    if namespace.leaked:
        said.append(ink.doubtful("leaked"))
    if namespace.pins:
        said.append(f"at {words.pins(namespace.pins)}")
    return said
