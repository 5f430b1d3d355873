"""``pid:PID``: the network namespace of a process as a node (kind, k3d, nspawn, containerlab)."""

from __future__ import annotations

import os

from netfs.collect.target import Target
from netfs.errors import SourceError, SourceUriError
from netfs.sources.uri import Found, SourceUri


def find(uri: SourceUri) -> Found:
    """The process's namespace. Raises SourceUriError for what is no pid, SourceError where no process has it."""
    if not (uri.rest.isascii() and uri.rest.isdigit()):
        raise SourceUriError(f"source {uri.text!r} names no process", hint="write pid:PID")
    if not os.path.isdir(f"/proc/{uri.rest}"):
        raise SourceError(f"no process {uri.rest}", where=uri.text, hint="ps shows those there are")
    target = Target(uri.name or _name(uri.rest), f"/proc/{uri.rest}/ns/net", reach="veth", source=uri.text)
    return Found((target,), _userns(uri.rest))


def _userns(pid: str) -> int | None:
    """The process, where its user namespace has to be entered first: root enters what lies in it as it is, an ordinary
    user only by way of a user namespace that is his own (setns(2), user_namespaces(7)).
    """
    try:
        foreign = not os.path.samefile(f"/proc/{pid}/ns/user", "/proc/self/ns/user")
    except OSError:
        return None
    return int(pid) if foreign and os.geteuid() != 0 else None


def _name(pid: str) -> str:
    """The host name in the process's own root file system, where it has one; else ``pid-PID``."""
    try:
        if os.path.samefile(f"/proc/{pid}/root", "/"):
            return f"pid-{pid}"
        with open(f"/proc/{pid}/root/etc/hostname", encoding="utf-8", errors="backslashreplace") as file:
            return file.read(256).strip() or f"pid-{pid}"
    except OSError:
        return f"pid-{pid}"
