"""Whether /proc hides processes from its reader (proc(5), ``hidepid``)."""

from __future__ import annotations

import os
import re

from netfs.collect import mountinfo
from netfs.collect.procfs import read_all

_INVISIBLE = frozenset({"2", "invisible", "4", "ptraceable"})
"""As numbers before 5.8 (``proc_show_options``, fs/proc/root.c). ``1`` and ``noaccess`` list every process."""
_NOT_BY_GROUP = frozenset({"4", "ptraceable"})
_IDENTITY = [b"0", b"0", b"4294967295"]
_CAP_SYS_PTRACE = 1 << 19
_MOUNT_ID = re.compile(rb"^mnt_id:\t([0-9]+)$", re.MULTILINE)
_EFFECTIVE = re.compile(rb"^CapEff:\t([0-9a-f]+)$", re.MULTILINE)


def hides(root: int, first_is_listed: bool) -> bool:
    """Whether processes of others are not listed in the procfs that the descriptor ``root`` is of.

    Every PID namespace has a first process. Where that is listed, because it is the reader's own, the mount tells.
    """
    if not first_is_listed:
        return True
    try:
        if _may_trace():
            return False
        options = _options(root)
    except (OSError, ValueError):
        return False
    said = options.get("hidepid", "")
    return said in _INVISIBLE and (said in _NOT_BY_GROUP or not _is_of_group(options.get("gid", "0")))


def _may_trace() -> bool:
    """Whether the reader is shown every process of its user namespace (``has_pid_permissions``, fs/proc/base.c)."""
    with open("/proc/self/status", "rb") as file:
        found = _EFFECTIVE.search(file.read())
    return found is not None and bool(int(found[1], 16) & _CAP_SYS_PTRACE)


def _options(root: int) -> dict[str, str]:
    own = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _MOUNT_ID.search(read_all(own, f"fdinfo/{root}"))
        mounts = mountinfo.parse(read_all(own, "mountinfo", mountinfo.MOST_BYTES)) if found else ()
    finally:
        os.close(own)
    options = next((mount.super_options for mount in mounts if found and mount.id == int(found[1])), "")
    return dict(option.partition("=")[::2] for option in options.split(","))


def _is_of_group(gid: str) -> bool:
    """Whether the reader is of the group that is shown all. Its number is that of the initial user namespace."""
    with open("/proc/self/gid_map", "rb") as file:
        same = file.read().split() == _IDENTITY
    return same and gid.isdecimal() and int(gid) in {os.getegid(), *os.getgroups()}
