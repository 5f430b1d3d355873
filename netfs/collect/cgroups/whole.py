"""All hierarchies, walked by this process, or by this one and a copy of it that ends with its share.

Where a directory holds many groups, each process reads about half of them, chosen by their names: so both choose alike
without a word. A copy of a process has one thread, whatever the others held: so a process that has several walks alone.
"""

from __future__ import annotations

import marshal
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress

from netfs.collect.cgroups.chosen import Chosen
from netfs.collect.cgroups.found import Found
from netfs.collect.cgroups.walk import Walk
from netfs.model.cgroups import Hierarchy

END = b"whole"


class Whole:
    """What all hierarchies hold."""

    def __init__(self, opened: Sequence[tuple[Hierarchy, int]], chosen: Chosen, *, detail: bool) -> None:
        self.first, self.second = Found(), Found()
        """Of version 1, of version 2."""
        self.offered: dict[Hierarchy, tuple[str, ...]] = {}
        """The controllers of each hierarchy that was read."""
        self._opened = opened
        self._chosen = chosen
        self._detail = detail

    def run(self, share: int | None = None) -> None:
        """Walk them, version 2 last: it is asked for what version 1 does not tell."""
        for hierarchy, folder in sorted(self._opened, key=lambda each: each[0].version):
            found = self.first if hierarchy.version == 1 else self.second
            walk = Walk(hierarchy, found, detail=self._detail, chosen=self._chosen, known=self.first, share=share)
            walk.run(folder)
            self.offered[hierarchy] = walk.offered

    def run_in_two(self) -> None:
        """Walk them with another process, where there may be one."""
        if threading.active_count() > 1 or len(os.sched_getaffinity(0)) < 2:
            self.run()
            return
        answer, telling = os.pipe()
        try:
            other = os.fork()
        except OSError:  # no more processes may be started
            os.close(answer)
            os.close(telling)
            self.run()
            return
        if other == 0:
            self._tell(telling)
        os.close(telling)
        try:
            self.run(0)
            told = b"".join(iter(lambda: os.read(answer, 1 << 20), b""))
        finally:
            os.close(answer)
            with suppress(ProcessLookupError, ChildProcessError):  # SIGCHLD may be ignored: nobody waits then
                os.kill(other, signal.SIGKILL)
                os.waitpid(other, 0)
        self._take(told)

    def _tell(self, telling: int) -> None:
        """What the other process does; it never returns."""
        try:
            self.run(1)
            with open(telling, "wb") as file:
                marshal.dump((self.first.plain(), self.second.plain()), file)
                file.write(END)
        finally:
            os._exit(0)  # nothing of what this process was copied from may run twice

    def _take(self, told: bytes) -> None:
        """Add the other's share. It was lost where the end is missing: then it is read here."""
        if not told.endswith(END):
            self.run(1)
            return
        first, second = marshal.loads(told)  # noqa: S302 -- our own copy wrote it
        self.first.take(first)
        self.second.take(second)
