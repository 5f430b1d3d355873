"""A /proc made of files: what a test says of each process, as the kernel would write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

OWN = {kind: 4026531834 + number for number, kind in enumerate(("cgroup", "ipc", "mnt", "net", "pid", "time"))} | {
    "user": 4026531837 + 10,
    "uts": 4026531838 + 10,
}
KERNEL_THREAD, EXITING = 0x200000, 4


def write_process(
    proc: Path,
    pid: int,
    *,
    comm: bytes = b"sleep",
    state: str = "S",
    ppid: int = 1,
    flags: int = 0,
    threads: int = 1,
    started: int = 100,
    cgroup: bytes = b"0::/\n",
    status: bytes = b"",
    namespaces: Mapping[str, int] = OWN,
    children: Mapping[str, int] = OWN,
) -> Path:
    """One process; ``namespaces`` and ``children`` are its links, by type."""
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    numbers = [ppid, 0, 0, 0, -1, flags, *([0] * 10), threads, 0, started, *([0] * 30)]
    (folder / "stat").write_bytes(
        f"{pid} (".encode() + comm + f") {state} {' '.join(str(each) for each in numbers)}\n".encode()
    )
    (folder / "cgroup").write_bytes(cgroup)
    (folder / "status").write_bytes(status or b"Name:\tsleep\nNSpid:\t%d\n" % pid)
    write_links(folder, namespaces)
    for kind in ("pid", "time"):
        if kind in children:
            (folder / "ns" / f"{kind}_for_children").symlink_to(f"{kind}:[{children[kind]}]")
    return folder


def write_thread(folder: Path, tid: int, namespaces: Mapping[str, int]) -> Path:
    """A thread of a process."""
    thread = folder / "task" / str(tid)
    (thread / "ns").mkdir(parents=True)
    (thread / "cgroup").write_bytes(b"4:memory:/of/threads\n")
    write_links(thread, namespaces)
    return thread


def write_links(folder: Path, namespaces: Mapping[str, int]) -> None:
    """What /proc/PID/ns shows."""
    for kind, inode in namespaces.items():
        (folder / "ns" / kind).symlink_to(f"{kind}:[{inode}]")
