"""What a reader might leave in a lab, and around it: measured before and after, and compared kind by kind."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netfs.lab import state
from netfs.lab.inside import capture
from netfs.lab.plan import PORT
from netfs.lab.state import LabState
from tests.kernel.cgroup_place import hierarchies

LONG_AGO = 1_000_000_000
_TABLES = ("ip_tables_names", "ip6_tables_names", "arp_tables_names")
_SOCKETS = {"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "raw": 9, "raw6": 9, "packet": 8, "unix": 6, "netlink": 9}
"""The column of the inode (or, of a netlink socket, its last) by the file of /proc/PID/net."""
_NSFS = re.compile(r"^\S+ \S+ \S+ (\w+:\[[0-9]+\]) .* - nsfs ", re.MULTILINE)
_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\t(.*)$", re.MULTILINE)
_TRACER = re.compile(r"^(?:TracerPid|SigPnd|ShdPnd):.*$", re.MULTILINE)
_INSIDE = (
    "nft -s list ruleset",
    "ip netns list-id",
    # Where connections are tracked, this one is: it is the only one of a pod.
    "ping -c 1 -q 127.0.0.1 >/dev/null; cat /proc/sys/net/netfilter/nf_conntrack_count",
)

Traces = Mapping[str, Any]
"""By kind."""


def measured(lab: LabState) -> Traces:
    """What is there before something is read. Every file of the lab was last looked at long ago."""
    found = _inside(lab)
    files = sorted(_files(lab))
    for path in files:
        os.utime(path, (LONG_AGO, os.lstat(path).st_mtime), follow_symlinks=False)
    return {**found, **_outside(lab), "read": _read(files), "files": files}


def left(lab: LabState, before: Traces) -> dict[str, str]:
    """What is not as it was, by kind."""
    read = _read(before["files"])  # first: to look for files is to read folders
    after = {**_outside(lab), "read": read, "files": sorted(_files(lab)), **_inside(lab)}
    assert after.keys() == before.keys()
    return {kind: _difference(was, after[kind]) for kind, was in before.items() if was != after[kind]}


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return "; ".join(f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys[:5])
    return f"{before} -> {after}"


def _inside(lab: LabState) -> Traces:
    """What programs within each member say."""
    script = "; echo ---; ".join(_INSIDE)

    def say() -> str:
        return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout

    said = {member.name: capture(lab, member, say).split("---\n") for member in lab.members}
    pods = {member.name for member in lab.pods}
    return {
        "rules": {name: rules for name, (rules, _, _) in said.items()},
        "numbers of namespaces": {name: numbers for name, (_, numbers, _) in said.items()},
        "tracking": {name: tracked.strip() for name, (_, _, tracked) in said.items() if name in pods},
    }


def _outside(lab: LabState) -> Traces:
    """What /proc, the hierarchies and the lab's folder say."""
    pids = {member.name: member.pid for member in lab.members}
    # First: whatever else is looked at, these sleep through it.
    woken = {name: _SWITCHES.findall(_text(f"/proc/{pid}/status")) for name, pid in pids.items()}
    spaces = {name: _links(f"/proc/{pid}/ns") for name, pid in pids.items()}
    return {
        "signals": woken,
        "tracers": {name: _TRACER.findall(_text(f"/proc/{pid}/status")) for name, pid in pids.items()},
        "namespaces": spaces,
        "pins": (
            {name: sorted(_NSFS.findall(_text(f"/proc/{pid}/mountinfo"))) for name, pid in pids.items()},
            _own_pins(lab, {inode for links in spaces.values() for inode in links.values()}),
        ),
        "mounts": {name: _text(f"/proc/{pid}/mountinfo") for name, pid in pids.items()},
        "tables": {(name, file): _text(f"/proc/{pid}/net/{file}") for name, pid in pids.items() for file in _TABLES},
        "connections": {name: _connections(pid) for name, pid in pids.items()},
        "sockets": {name: sorted(_sockets(pid)) for name, pid in pids.items()},
        "descriptors": {name: _links(f"/proc/{pid}/fd") for name, pid in pids.items()},
        "own descriptors": _own_descriptors(),
        "own threads": {tid: _links(f"/proc/self/task/{tid}/ns") for tid in os.listdir("/proc/self/task")},
        "groups": sorted(_groups(lab.name)),
        "own groups": _text("/proc/self/cgroup"),
        "modules": _modules(),
    }


def _text(path: str) -> str:
    """Nothing where there is no such file: not every kernel has every table."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _links(folder: str) -> dict[str, str]:
    return {name: os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}


def _own_descriptors() -> dict[str, str]:
    """Without the one that lists them."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def _own_pins(lab: LabState, inodes: set[str]) -> list[str]:
    """Mounts of ours that are the lab's: other tests pin namespaces of their own here."""
    own = _text("/proc/self/mountinfo")
    pins = [inode for inode in _NSFS.findall(own) if inode in inodes]
    return sorted([*pins, *(line for line in own.splitlines() if lab.name in line)])


def _connections(pid: int) -> list[str]:
    """Those tracked that a program may have made: kernels talk to each other of groups, and through tunnels (VXLAN)."""
    lines = _text(f"/proc/{pid}/net/nf_conntrack").splitlines()
    own = [line for line in lines if line.split()[2] in {"tcp", "udp", "icmp"} and f"dport={PORT}" not in line]
    return sorted(" ".join(re.findall(r"\w+=\S+", line)[:4]) for line in own)


def _sockets(pid: int) -> Iterator[tuple[str, str]]:
    for name, column in _SOCKETS.items():
        for line in _text(f"/proc/{pid}/net/{name}").splitlines()[1:]:
            fields = line.split()
            yield name, fields[column] if len(fields) > column else line


def _groups(lab: str) -> Iterator[str]:
    """Every group in whose path the lab's name is, or the reader's number; none may be made by who reads."""
    words = (lab, f"netfs-{os.getpid()}")
    for point in set(hierarchies().values()):
        for folder, _, _ in os.walk(point):
            if any(word in folder for word in words):
                yield folder


def _files(lab: LabState) -> Iterator[Path]:
    """Those of the lab's folder, but what is mounted in it, and symlinks: there is no way to read one unseen."""
    top = state.folder(lab.name)
    device = top.stat().st_dev
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if os.lstat(f"{folder}/{name}").st_dev == device]
        for name in (".", *files):
            path = Path(folder, name)
            if not path.is_symlink() and path.lstat().st_uid == os.geteuid():
                yield path


def _read(files: Sequence[Path]) -> list[Path]:
    """Those that somebody has looked into."""
    return [path for path in files if path.exists() and path.lstat().st_atime != LONG_AGO]


def _modules() -> list[str]:
    """Those loaded, where no other test loads any meanwhile."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return []
    return sorted(line.split()[0] for line in _text("/proc/modules").splitlines())


def held(inodes: Collection[int]) -> list[str]:
    """What the reader keeps of these namespaces: descriptors, mounts, the places of its threads."""
    named = [f":[{inode}]" for inode in inodes]
    tasks = [link for tid in os.listdir("/proc/self/task") for link in _links(f"/proc/self/task/{tid}/ns").values()]
    kept = [*_own_descriptors().values(), *_NSFS.findall(_text("/proc/self/mountinfo")), *tasks]
    return [each for each in kept if each.endswith(tuple(named))]


class Handle:
    """A namespace by a number that is given once (open_by_handle_at(2) on nsfs, Linux 6.18). It keeps nothing alive."""

    _ROOT = -10003
    """FD_NSFS_ROOT (include/uapi/linux/fcntl.h)."""

    def __init__(self, handle: _FileHandle) -> None:
        self._handle = handle

    @classmethod
    def of(cls, path: str) -> Handle | None:
        """None where the kernel has none, or tells whether it lives to nobody but root."""
        handle = cls(_FileHandle(_FileHandle.data.size))
        where = ctypes.byref(handle._handle)
        at = _LIBC.name_to_handle_at(-100, os.fsencode(path), where, ctypes.byref(ctypes.c_int()), 0x400)
        return handle if at == 0 and handle.living else None

    @property
    def living(self) -> bool:
        """Whether there is still such a namespace."""
        fd: int = _LIBC.open_by_handle_at(self._ROOT, ctypes.byref(self._handle), os.O_RDONLY | os.O_CLOEXEC)
        if fd >= 0:
            os.close(fd)
        return fd >= 0


class _FileHandle(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128))


_LIBC = ctypes.CDLL(None, use_errno=True)
