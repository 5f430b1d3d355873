"""The overlays that are mounted on this host, in whatever mount namespace."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from netfs.errors import SourceError
from netfs.model.gaps import Gap
from netfs.model.layers import Mount, MountOptions
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import mountinfo

MOST_BYTES = 64 << 20
"""Of one namespace's mountinfo: somebody in a user namespace may mount 100,000 overlays with options of 16 KiB each."""

_PARAMETERS = "/sys/module/overlay/parameters"
_HIDING = re.compile(r" / /proc [^\n]* - proc [^ ]* [^\n]*\bhidepid=(?:2|4|invisible|ptraceable)\b")


def live() -> tuple[tuple[Mount, ...], tuple[Gap, ...]]:
    """Every overlay once, with a process that has it mounted; and what could not be looked at.

    Each mount namespace that some process is in is read once, by its lowest process that has not changed its root
    directory; a namespace that only a thread or a mount holds is not looked for. An overlay that several namespaces
    show is told as the first of them shows it in which its layers are there: our own, then by lowest process. Of
    several mounts of it in there, one of the whole overlay comes first. Processes that end meanwhile are passed over.
    """
    namespaces, refused = _namespaces()
    gaps = _hidden()
    default = default_options()
    mounts: list[Mount] = []
    seen = {""}
    for namespace, pids in namespaces:
        for pid in _by_root(pids):
            try:
                text = _read(pid, gaps)
                if os.readlink(f"/proc/{pid}/ns/mnt") != namespace:
                    continue
            except OSError:
                continue
            mounts += mountinfo.parse(text, pid, default)
            seen.add(text.partition(" ")[0])
            break
    unseen = {_first_mount(pid) for pid in refused} - seen
    if unseen:
        gaps.append(Gap("/proc", "mounts", f"mount namespaces that may not be looked into: {len(unseen)}"))
    return tuple(_one_each(mounts)), tuple(gaps)


def of(pid: int) -> tuple[tuple[Mount, ...], tuple[Gap, ...]]:
    """Every overlay that one process has mounted, once; and what could not be looked at."""
    gaps: list[Gap] = []
    try:
        mounts = mountinfo.parse(_read(pid, gaps), pid, default_options())
    except OSError as error:
        return (), (Gap(f"/proc/{pid}/mountinfo", "mounts", error.strerror or str(error)),)
    return tuple(_one_each(mounts)), tuple(gaps)


def mountpoints(pid: int) -> frozenset[str]:
    """Where a process has anything mounted, as far as it can be told."""
    try:
        return mountinfo.mountpoints(_read(pid, []))
    except OSError:
        return frozenset()


def default_options() -> MountOptions:
    """What an overlay has where mountinfo says nothing: the module's parameters, as they are now.

    ``ovl_show_options`` leaves out what equals the default of the moment, not that of the time of mounting.
    """
    on = {name for name in ("redirect_dir", "redirect_always_follow", "metacopy", "index", "xino_auto") if _is_on(name)}
    follow = "follow" if "redirect_always_follow" in on or not os.path.isdir(_PARAMETERS) else "nofollow"
    return MountOptions(
        redirect_dir="on" if "redirect_dir" in on else follow,
        metacopy="metacopy" in on,
        index="index" in on,
        xino="auto" if "xino_auto" in on else "",
    )


def _is_on(parameter: str) -> bool:
    try:
        with open(f"{_PARAMETERS}/{parameter}", "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def _namespaces() -> tuple[list[tuple[str, list[int]]], list[int]]:
    """Mount namespaces with their processes, our own first, then by lowest process; and processes that refuse."""
    found: dict[str, list[int]] = {os.readlink("/proc/self/ns/mnt"): []}
    refused: list[int] = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            found.setdefault(os.readlink(f"/proc/{pid}/ns/mnt"), []).append(pid)
        except PermissionError:
            refused.append(pid)
        except OSError:
            continue
    return list(found.items()), refused


def _by_root(pids: list[int]) -> Iterator[int]:
    """Those whose root is that of their namespace, then the others: these are shown only what is below theirs."""
    others = []
    for pid in pids:
        try:
            changed = os.readlink(f"/proc/{pid}/root") != "/"
        except OSError:
            continue
        if changed:
            others.append(pid)
        else:
            yield pid
    yield from others


def _read(pid: int, gaps: list[Gap]) -> str:
    path = f"/proc/{pid}/mountinfo"
    with open(path, "rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        gaps.append(Gap(path, "mounts", f"only its first {MOST_BYTES >> 20} MiB were read"))
        text = text[: text.rindex(b"\n", 0, MOST_BYTES)]
    return os.fsdecode(text)


def _first_mount(pid: int) -> str:
    """The number of the first mount that a process sees: it tells namespaces apart where their own numbers are refused.

    Empty: the process is gone.
    """
    try:
        with open(f"/proc/{pid}/mountinfo", "rb", buffering=0) as file:
            return file.read(16).partition(b" ")[0].decode("ascii", "replace")
    except PermissionError:
        return f"process {pid}"
    except OSError:
        return ""


def _hidden() -> list[Gap]:
    """What /proc does not list at all (proc(5), ``hidepid``): not even the first process, then."""
    if os.path.exists("/proc/1") or not _HIDING.search(_read(os.getpid(), [])):
        return []
    return [Gap("/proc", "mounts", "it hides the processes of others (hidepid)")]


def _one_each(mounts: Iterable[Mount]) -> Iterator[Mount]:
    """One mount of each overlay, in their order."""
    overlays: dict[str, list[Mount]] = {}
    for mount in mounts:
        overlays.setdefault(mount.device, []).append(mount)
    for seen in overlays.values():
        yield min(_where_layers_are(seen), key=lambda mount: mount.root != "/")


def _where_layers_are(seen: list[Mount]) -> list[Mount]:
    """The mounts of one overlay in the first namespace that has its layers; in the first one, if none has."""
    pids = list(dict.fromkeys(mount.pid for mount in seen))
    layer = seen[0].upper or (seen[0].lower or ("",))[0]
    chosen = pids[0]
    if len(pids) > 1 and layer.startswith("/"):
        chosen = next((pid for pid in pids if _has(pid, layer)), chosen)
    return [mount for mount in seen if mount.pid == chosen]


def _has(pid: int, path: str) -> bool:
    """Whether a process sees a directory at that path."""
    try:
        with Root(f"/proc/{pid}/root") as root:
            return root.is_directory(path)
    except (SourceError, OSError):
        return False
