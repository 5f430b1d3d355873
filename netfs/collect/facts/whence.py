"""Where a file comes from that a process sees: what is mounted there, as this host names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from netfs.collect.facts.inside import File
from netfs.model.process_facts import MountPoint

_TRIED = 16
"""Mounts of one file system at most: an orchestrator may have bound thousands of its folders somewhere."""


def source(file: File, mounts: Sequence[MountPoint], own: Callable[[], Sequence[MountPoint]]) -> str:
    """Where a file comes from that a process sees: its path on this host; else that in its file system.

    ``mounts`` are the process's, ``own`` gives the reader's, asked for only if needed. Empty: it is of the root itself.
    """
    mount = next((mount for mount in mounts if mount.id == file.mount), None)
    if mount is None or mount.path == "/":
        return ""
    within = _joined(mount.root, file.path[len(mount.path) :])
    for candidate in _candidates(within, mount.device, own()):
        try:
            if os.path.samestat(os.lstat(os.fsencode(candidate)), file.status):
                return candidate
        except (OSError, ValueError):
            continue
    return within


def _candidates(within: str, device: str, own: Sequence[MountPoint]) -> list[str]:
    """Where a path of a file system may be on this host, by the mounts that show most of it first."""
    showing = [
        mount for mount in own if mount.device == device and f"{within}/".startswith(mount.root.rstrip("/") + "/")
    ]
    showing.sort(key=lambda mount: len(mount.root))
    return [_joined(mount.path, within[len(mount.root.rstrip("/")) :]) for mount in showing[:_TRIED]]


def _joined(path: str, below: str) -> str:
    below = below.strip("/")
    return f"{path.rstrip('/')}/{below}" if below else path
