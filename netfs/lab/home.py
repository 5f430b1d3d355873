"""Where the labs of this machine are. By itself, for who only wants to know whether one runs: most often none does."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from netfs.errors import LabError


def home() -> str:
    """The folder of all labs of this user; it need not exist. Raises LabError where it cannot be trusted."""
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return "/run/netfs/lab"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and is_private(runtime):
        return os.path.join(runtime, "netfs", "lab")
    own = f"/tmp/netfs-{_outer_uid()}"  # noqa: S108 (checked below: ours, and nobody else may write)
    if os.path.lexists(own) and not is_private(own):
        raise LabError("is not a folder of yours alone", where=own, hint=f"remove {own}, or set XDG_RUNTIME_DIR")
    return os.path.join(own, "lab")


def is_private(path: str) -> bool:
    """Whether a path is a real folder that its owner, us, alone may write to."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _outer_uid() -> int:
    """The user's id outside the user namespace we may be in: several users may be 0 in one of their own."""
    uid = os.geteuid()
    with suppress(OSError, ValueError), open("/proc/self/uid_map", encoding="ascii") as file:
        for line in file:
            inside, outside, count = map(int, line.split())
            if inside <= uid < inside + count:
                return outside + uid - inside
    return uid
