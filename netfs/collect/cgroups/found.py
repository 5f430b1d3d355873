"""What is found of the groups of one version, in all its hierarchies."""

from __future__ import annotations

from typing import Any

from netfs.collect.cgroups.refused import Refused

PIDS = "cgroup.procs"


class Found:
    """The groups by path, and the contents of their files by name."""

    def __init__(self) -> None:
        self.inodes: dict[str, int] = {}
        """That of the first hierarchy that has the group."""
        self.controllers: dict[str, tuple[str, ...]] = {}
        """Of every hierarchy that has it, one after the other."""
        self.files: dict[str, dict[str, bytes]] = {}
        """The names of a hierarchy's files begin with its controllers' names: none is in two but ``cgroup.procs``,
        where each hierarchy has processes of its own."""
        self.refused = Refused()

    def group(self, path: str, inode: int, controllers: tuple[str, ...]) -> None:
        """A hierarchy has this group."""
        self.inodes.setdefault(path, inode)
        self.controllers[path] = self.controllers.get(path, ()) + controllers

    def put(self, path: str, name: str, content: bytes) -> None:
        """A file of a group."""
        files = self.files.setdefault(path, {})
        files[name] = files[PIDS] + content if name == PIDS in files else content

    def plain(self) -> tuple[Any, ...]:
        """What ``take`` takes."""
        return self.inodes, self.controllers, self.files, self.refused.plain()

    def take(self, plain: tuple[Any, ...]) -> None:
        """Add what another process found; a group that both read is read twice."""
        inodes, controllers, files, refused = plain
        self.inodes.update(inodes)
        self.controllers.update(controllers)
        self.files.update(files)
        self.refused.take(refused)
