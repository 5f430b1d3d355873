"""Small process trees and containers, for the tests of the join."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from netfs.container.join import Clock, placed
from netfs.model.containers import Container, Placed
from netfs.model.processes import Process

BOOTED = 1_700_000_000.0
CLOCK = Clock(BOOTED, 100)
NODE = {"mnt": 1, "pid": 2, "net": 3, "ipc": 4, "uts": 5, "user": 6}
"""The node's own namespaces."""


def identity(word: str) -> str:
    """64 hex digits that stand for a word."""
    return hashlib.sha256(word.encode()).hexdigest()


def at(second: float) -> str:
    """So many seconds after the machine was started, as an engine writes it."""
    return datetime.fromtimestamp(BOOTED + second, UTC).isoformat().replace("+00:00", "Z")


def process(
    number: int,
    ppid: int = 1,
    /,
    comm: str = "sleep",
    group: str = "/",
    second: float = 10,
    inner: Sequence[int] = (),
    **spaces: int,
) -> Process:
    """A process; ``inner``: its numbers in PID namespaces below, ``spaces``: namespaces that are not the node's."""
    return Process(
        number,
        int(second * 100),
        ppid,
        comm,
        "S",
        namespaces=NODE | spaces,
        cgroups={"cpu,cpuacct": group, "memory": group, "": "/"},
        pids=(number, *inner),
    )


INIT = process(1, 0, comm="systemd", group="/init.scope", second=0)
KTHREADD = process(2, 0, comm="kthreadd", second=0)


def container(word: str, **more: object) -> Container:
    """A container called by a word."""
    return replace(Container(identity(word), word, runtime="docker", state="running"), **more)  # type: ignore[arg-type]


def docker(word: str) -> str:
    """Its control group."""
    return f"/docker/{identity(word)}"


def join(
    containers: Iterable[Container], *processes: Process, pid_namespace: int | None = NODE["pid"]
) -> dict[str, Placed]:
    """Where everything is, by name; the node's first processes are there."""
    there = [INIT, KTHREADD, *processes]
    found = placed(tuple(containers), there, node="n", pid_namespace=pid_namespace, clock=CLOCK)
    assert all(each.node == "n" for each in found)
    assert len({each.container.called for each in found}) == len(found)
    return {each.container.called: each for each in found}
