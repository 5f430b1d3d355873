"""One container: what it is, what runs in it, where its files come from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from netfs.model.containers import SANDBOX
from netfs.model.inspected import Inspected, InspectedContainer
from netfs.model.process_facts import ProcessUse
from netfs.model.text import printable
from netfs_cli.render.cgroups.words import duration
from netfs_cli.render.ink import Ink
from netfs_cli.render.inspect import cgroup, mounts, namespaces, privileges
from netfs_cli.render.inspect.block import Style, labelled
from netfs_cli.render.layers.words import short, size
from netfs_cli.render.table import table

FOLDED = 8
"""Processes that are told one by one."""
KNOWN_BY = {
    "pid": "the process that its engine names, which was started when the container was",
    "namespace": "namespaces of its own: no engine knows it",
}
_TREE = {True: ("├─ ", "└─ ", "│  "), False: ("|- ", "`- ", "|  ")}


def name(each: InspectedContainer) -> str:
    """What it is called within its pod."""
    return each.container.role or each.container.name or each.container.called


def lines(answer: Inspected, each: InspectedContainer, style: Style) -> Iterator[str]:
    """Its part of the page."""
    yield from _identity(each, style)
    yield from labelled("Processes", _processes(each, style), style)
    if each.container.role == SANDBOX and each.facts is None and not each.namespaces:
        return
    yield from labelled("Namespaces", namespaces.lines(answer, each, style), style)
    yield from labelled("Cgroup", cgroup.lines(answer, each, style), style)
    yield from labelled("Root", mounts.root(each, style), style)
    yield from labelled("Mounts", mounts.lines(each, style, kind=answer.kind), style)
    yield from labelled("Privileges", privileges.lines(each, style), style)


def _identity(each: InspectedContainer, style: Style) -> Iterator[str]:
    container = each.container
    yield from labelled("State", [_state(each, style)], style)
    if each.uncertain:
        yield from labelled("Uncertain", [style.ink.doubtful(style.told(each.uncertain))], style)
    if each.by in KNOWN_BY:
        yield from labelled("Known by", [KNOWN_BY[each.by]], style)
    whole = style.wide or "[" in container.id  # of one that only its namespaces tell of: pid:[INODE]
    yield from labelled("ID", [printable(container.id) if whole else short(container.id)], style)
    yield from labelled("Image", [_image(each, style)], style)
    yield from labelled("Command", [style.cut(_command(each), style.room)], style)
    if style.wide:
        yield from _in_full(each, style)


def _in_full(each: InspectedContainer, style: Style) -> Iterator[str]:
    container, facts = each.container, each.facts
    own = [f"{key}={value}" for key, value in container.labels.items()]
    yield from labelled("Program", [printable(f"{facts.executable} in {facts.directory}")] if facts else [], style)
    yield from labelled("Created", [printable(container.created_at)], style)
    yield from labelled("Sandbox", [printable(container.sandbox)], style)
    yield from labelled("Netns", [printable(container.netns)], style)
    yield from labelled("Labels", map(printable, own), style)


def _state(each: InspectedContainer, style: Style) -> str:
    """``running since 2026-…, docker, pid 4711``; that no process was found where its engine says it runs."""
    container = each.container
    words = [container.state or ("running" if each.init is not None else "not running")]
    if container.state == "running" and each.init is None:
        words[0] = "running, as its engine says, but none of its processes was found"
    elif container.started_at:
        since = _moment(container.started_at)
        words[0] += f" since {since}" if each.init is not None else f", started {since}"
    words += [container.runtime] if container.runtime else []
    words += [f"pid {each.init}"] if each.init is not None else []
    state = style.told(", ".join(words))
    return state if each.init is not None else style.ink.doubtful(state)


def _moment(written: str) -> str:
    """RFC 3339 without fractions of a second: ``2026-01-01T10:00:00Z``."""
    head, dot, rest = written.partition(".")
    return head + rest.lstrip("0123456789") if dot else written


def _image(each: InspectedContainer, style: Style) -> str:
    container, chain = each.container, each.chain
    identity = container.image or (chain.image if chain is not None else "")
    told = [container.image_name or (chain.image_names[0] if chain is not None and chain.image_names else "")]
    told += [f"({identity if style.wide else short(identity)})" if told[0] else short(identity)] if identity else []
    return style.cut(" ".join(word for word in told if word), style.room)


def _command(each: InspectedContainer) -> str:
    """As its first process has it; as it was configured, where that is not known."""
    command = (each.facts.command if each.facts is not None else ()) or each.container.command
    return shlex.join(command)


def _processes(each: InspectedContainer, style: Style) -> Iterator[str]:
    found = each.processes
    if not found:
        return
    folded = not style.wide and len(found) > FOLDED
    shown = found[: FOLDED - 1] if folded else found
    heads = ["PID", "INNER", "USER", "CPU", "MEMORY"]
    heads += ["STATE", "THREADS", "STARTED"] if style.wide else []
    rows: list[list[str | int | None]] = []
    for process, branch in zip(shown, _branches(found, style), strict=False):
        row: list[str | int | None] = [process.pid, process.inner_pid, process.user]
        row += [_cpu(process), size(process.memory)]
        row += [process.state, process.threads, process.started_at] if style.wide else []
        rows.append([*row, _line(process, branch)])
    heading, *drawn = table([*heads, "COMMAND"], rows, Ink()).splitlines()
    yield style.ink.bold(heading)
    yield from (style.cut(line, style.room) for line in drawn)
    if folded:
        yield style.ink.dim(f"and {len(found) - len(shown)} more (-o wide)")


def _line(process: ProcessUse, branch: str) -> str:
    """The command as it was given, its parts parted by blanks; a name in brackets where there is none to be seen."""
    told = " ".join(process.command) or f"[{process.comm}]"
    odd = process.state if process.state in ("zombie", "stopped", "disk-sleep", "tracing-stop", "dead") else ""
    return f"{branch}{told}" + (f"  ({odd})" if odd else "")


def _cpu(process: ProcessUse) -> str:
    return "" if process.cpu_seconds is None else duration(round(process.cpu_seconds * 1_000_000))


def _branches(found: tuple[ProcessUse, ...], style: Style) -> Iterator[str]:
    """What is drawn before each process: ``├─ ``, ``└─ `` by whether a sibling follows."""
    branch, last, stem = _TREE[style.ink.unicode]
    follows = _followed(found)
    open_: list[bool] = []
    for place, process in enumerate(found):
        del open_[max(process.depth - 1, 0) :]
        if process.depth == 0:
            yield ""
            continue
        yield "".join(stem if more else "   " for more in open_) + (branch if follows[place] else last)
        open_.append(follows[place])


def _followed(found: tuple[ProcessUse, ...]) -> list[bool]:
    """Of each whether another of its depth follows before its parent's next."""
    follows = [False] * len(found)
    seen: set[int] = set()
    for place in range(len(found) - 1, -1, -1):
        depth = found[place].depth
        follows[place] = depth in seen
        seen = {each for each in seen if each < depth} | {depth}
    return follows
