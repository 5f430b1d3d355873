"""What ordinary users' engines say, and what of it is believed. A user writes into his own store what he likes.

Whose an engine is, is told by who owns its socket or the folder of its files: root, who reads, and the owner of the
root that is looked at speak for the machine; everybody else for himself. Of a container that the machine's own engines
know, nothing is taken from a user's (``merge``). A process is believed to be in a user's container where it is that
user's own (``Kin.is_users``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.model.containers import Container, Engine

if TYPE_CHECKING:
    from netfs.overlay.disk.root import Root

_FOLDER = re.compile(r"/run/user/([0-9]{1,10})/")
"""Each has a folder there that only he writes to (pam_systemd(8))."""


def speakers(root: Root) -> frozenset[int]:
    """Who speaks for the machine below a root."""
    return frozenset((0, os.geteuid(), root.status("/").st_uid))


def owned(engine: Engine, owner: int, speakers: Collection[int]) -> Engine:
    """The engine as one of its owner's, where that is none who speaks for the machine."""
    if owner in speakers:
        return engine
    return replace(engine, user=owner, containers=tuple(_users(each, owner) for each in engine.containers))


def _users(container: Container, user: int) -> Container:
    # What lies elsewhere may be others' as well.
    netns = container.netns if container.netns.startswith(f"/run/user/{user}/") else ""
    return replace(container, user=user, netns=netns)


def owner_of(path: str, status: os.stat_result) -> int:
    """Who may have put there what is at a path, counted from the root."""
    found = _FOLDER.match(path)
    return int(found[1]) if found is not None else status.st_uid
