"""The processes of a container as ``ps --forest`` shows them, read by psutil."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from netfs.model.process_facts import ProcessUse
from netfs.model.processes import Process

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")


def tree(pids: Sequence[int], known: Mapping[int, Process]) -> tuple[ProcessUse, ...]:
    """Those of ``pids`` that still run and are who they were, parents before their children.

    A pid that belongs to another process by now is left out: its start time is not that of ``known``. What may not be
    read, or is no more, is None or empty.
    """
    import psutil

    try:
        booted = psutil.boot_time()
    except (OSError, RuntimeError):  # a procfs with subset=pid has no /proc/stat: nobody can be told from another
        return ()
    found = {}
    for pid in pids:
        process = known.get(pid)
        use = _use(process, booted) if process is not None else None
        if use is not None:
            found[pid] = use
    return tuple(_in_order(found))


def _use(known: Process, booted: float) -> ProcessUse | None:
    import psutil

    try:
        process = psutil.Process(known.pid)
        started = _started(process, known.started, booted)
        return _read(process, known, started) if started is not None else None
    except (psutil.Error, OSError):  # OSError: it ended, and another has its number by the time psutil looks for it
        return None


def _read(process: psutil.Process, known: Process, started: float) -> ProcessUse | None:
    with process.oneshot():
        uids = _or_none(process.uids)
        times = _or_none(process.cpu_times)
        memory = _or_none(process.memory_info)
        use = ProcessUse(
            pid=known.pid,
            inner_pid=known.pids[-1] if known.pids else None,
            ppid=known.ppid,
            depth=0,
            comm=known.comm,
            command=tuple(_or_none(process.cmdline) or ()),
            user=_user(uids.effective) if uids is not None else "",
            state=_or_none(process.status) or "",
            threads=_or_none(process.num_threads) or known.threads,
            cpu_seconds=times.user + times.system if times is not None else None,
            memory=memory.rss if memory is not None else None,
            started_at=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        )
    return use if process.is_running() else None


def _started(process: psutil.Process, ticks: int, booted: float) -> float | None:
    """When it was started, in seconds since the epoch; None: it is not the one that was started at ``ticks``.

    psutil adds the boot time, which moves by a second when the clock is set (proc_stat(5), ``btime``).
    """
    import psutil

    created = process.create_time()
    per_second = os.sysconf("SC_CLK_TCK")
    if round((created - booted) * per_second) == ticks:
        return created
    again = psutil.boot_time()
    return created if again != booted and round((created - again) * per_second) == ticks else None


def _or_none(read: Callable[[], T]) -> T | None:
    """A field of a process; None where it may not be read, or is no more."""
    import psutil

    try:
        return read()
    except (psutil.Error, OSError):
        return None


@cache
def _user(uid: int) -> str:
    """The name on this host, else the number."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _in_order(found: Mapping[int, ProcessUse]) -> Iterator[ProcessUse]:
    """Parents before their children, children by pid; the first one of ``found`` before all that have no parent here.

    Every one is told once, also where readings of different moments make a circle of parents.
    """
    children: dict[int, list[int]] = {}
    tops = []
    for pid, use in found.items():
        if use.ppid in found and use.ppid != pid:
            children.setdefault(use.ppid, []).append(pid)
        else:
            tops.append(pid)
    left = dict.fromkeys([*tops[:1], *sorted(tops[1:]), *sorted(found)])
    while left:
        stack = [(next(iter(left)), 0)]
        while stack:
            pid, depth = stack.pop()
            if pid not in left:
                continue
            del left[pid]
            yield _at(found[pid], depth)
            stack += [(child, depth + 1) for child in sorted(children.get(pid, ()), reverse=True)]


def _at(use: ProcessUse, depth: int) -> ProcessUse:
    from dataclasses import replace

    return replace(use, depth=depth) if depth else use
