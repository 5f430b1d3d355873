"""The first part of a collection: look where everything is, and let the readers begin.

Nothing large is imported here: reading processes are forked from a small process, and what decodes their
answers is imported while they read.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Sequence

from netfs.collect import nsfs
from netfs.collect.discovery import Discovery, discover
from netfs.collect.target import Target, TargetError
from netfs.collect.workers import Reading, read_all


class Begun:
    """A collection that has begun."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.taken_at = time.time()
        self.common: list[tuple[str, str, str]] = []
        """(where, what, reason) of gaps that lie in no one namespace."""
        self.inodes = self._inodes()
        """Namespaces by the paths that targets name."""
        self.paths: dict[int, str] = {inode: path for path, inode in self.inodes.items()}
        """A path each namespace can be opened by."""
        self.discovery: Discovery | None = None
        self.reading: Reading | None = None
        """Every namespace there is, where a target asks for all."""
        self.collecting_garbage = gc.isenabled()

    def _inodes(self) -> dict[str, int]:
        """Inodes of the paths that targets name. Raises TargetError for a target's own."""
        found: dict[str, int] = {}
        for target in self.targets:
            try:
                found[target.netns] = nsfs.inode(target.netns)
            except OSError as failure:
                raise TargetError(target.name, target.netns, failure.strerror or str(failure)) from failure
            for pod in target.pods:
                try:
                    found[pod.netns] = nsfs.inode(pod.netns)
                except OSError as failure:
                    self.common.append((f"{target.name}/{pod.name}", "netns", f"{pod.netns}: {failure.strerror}"))
        return found

    def discover(self) -> None:
        """Look for every namespace that can be seen."""
        self.discovery = discover()
        self.common += self.discovery.gaps
        for inode, place in self.discovery.places.items():
            self.paths.setdefault(inode, place.path)

    def read(self, inodes: Iterable[int]) -> Reading:
        """Begin to read: the targets first, because what their links lead to is asked between the shares."""
        nodes = {self.inodes[target.netns] for target in self.targets}
        return read_all([(self.paths[inode], inode) for inode in sorted(inodes, key=lambda inode: inode not in nodes)])


def begin(targets: Sequence[Target]) -> Begun:
    """Begin a collection. Raises TargetError where a target's own namespace is not there."""
    begun = Begun(targets)
    gc.disable()
    if any(target.reach != "listed" for target in begun.targets):
        begun.discover()
    if any(target.reach == "all" for target in begun.targets):
        begun.reading = begun.read(begun.paths)
    return begun
