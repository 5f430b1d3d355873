"""Whether a container of containerd's runs, as the CRI plugin or a shim wrote it down.

::

    ROOT/io.containerd.grpc.v1.cri/containers/ID/status         the CRI plugin's
    STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/init.pid   a shim's, as long as it has the task

(internal/cri/store/container/status.go, core/runtime/v2)
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from netfs.model.gaps import Gap
from netfs.overlay.calendar import calendar
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.overlay_directories import component

_CRI = "io.containerd.grpc.v1.cri"
_TASKS = "io.containerd.runtime.v2.task"
_STATUS_BYTES = 64 << 10
_MOMENTS = (("FinishedAt", "exited"), ("StartedAt", "running"), ("CreatedAt", "created"))
"""What it was last, by nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a container's state is written down."""

    root: str
    """containerd's folder."""
    states: tuple[str, ...]
    """Folders of which one may be its state folder."""


@dataclass(frozen=True, slots=True)
class State:
    """What is written down."""

    word: str = ""
    pid: int | None = None
    started_at: str = ""


def read(root: Root, places: Places, namespace: str, identity: str) -> State:
    """The state of one container; nothing where nothing is written down."""
    if not component(identity) or not component(namespace):
        return State()
    written = _status(root, posixpath.join(places.root, _CRI, "containers", identity, "status"))
    for folder in places.states:
        running = _task(root, posixpath.join(folder, _TASKS, namespace, identity, "init.pid"))
        if running is not None:
            return replace(running, started_at=written.started_at or running.started_at)
    return written


def _status(root: Root, path: str) -> State:
    status = documents.load(root, path, _STATUS_BYTES)
    if isinstance(status, Gap):
        return State()
    word = next((word for key, word in _MOMENTS if documents.number(status, key)), "")
    started = documents.number(status, "StartedAt")
    return State(word, started_at=calendar(started) if started and started > 0 else "")


def _task(root: Root, path: str) -> State | None:
    """A task that was made. Its process was started just before its number was written."""
    line = documents.line(root, path)
    if not isinstance(line, str) or (pid := _pid(line)) is None:
        return None
    try:
        return State("running", pid, calendar(root.status(path).st_mtime_ns))
    except OSError:
        return State("running", pid)


def _pid(line: str) -> int | None:
    digits = line.isascii() and line.isdecimal() and len(line) <= len("4194304")
    return int(line) if digits and int(line) else None
