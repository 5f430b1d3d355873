"""A large walk shared by two processes: this one, and a copy of it that ends with its share.

Places are given out by number through a pipe, to whichever process is free. A copy of a process has one thread,
whatever the others held: so a process that has several walks alone. Each directory is read by one of the two, since
copied descriptors share their place in a directory.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
from contextlib import suppress

from netfs.overlay.changes.lockstep import Lockstep, MovedError

_NUMBER = struct.Struct("=I")
_SHARES = 1024
"""Numbers in the pipe, each for every such place: as many as the smallest pipe holds, one page (pipe(7))."""


class Apart:
    """As ``changes.lockstep.Apart``."""

    def __call__(self, places: int, walk: Lockstep) -> None:
        """Share the places. Raises MovedError where a directory was moved, or the other process was lost."""
        if places < 2 or threading.active_count() > 1 or len(os.sched_getaffinity(0)) < 2:
            for number in range(places):
                walk.visit(number)
            return
        numbers, giving = os.pipe()
        os.write(giving, b"".join(map(_NUMBER.pack, range(min(places, _SHARES)))))
        os.close(giving)
        answer, telling = os.pipe()
        other = os.fork()
        if other == 0:
            _other(walk, numbers, telling, places)
        os.close(telling)
        try:
            _work(walk, numbers, places)
            walk.take(_told(answer))
        finally:
            os.close(numbers)
            os.close(answer)
            with suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)


def _other(walk: Lockstep, numbers: int, telling: int, places: int) -> None:
    """What the other process does; it never returns."""
    try:
        walk.begin()
        _work(walk, numbers, places)
        with open(telling, "wb") as file:
            file.write(json.dumps(walk.found()).encode())
    finally:
        os._exit(0)  # nothing of what this process was copied from may run twice


def _work(walk: Lockstep, numbers: int, places: int) -> None:
    while taken := os.read(numbers, _NUMBER.size):
        for number in range(_NUMBER.unpack(taken)[0], places, _SHARES):
            walk.visit(number)


def _told(answer: int) -> list[object]:
    """What the other process found. Raises MovedError where it ended without a word."""
    told = b"".join(iter(lambda: os.read(answer, 1 << 20), b""))
    try:
        found: list[object] = json.loads(told)
    except ValueError:
        raise MovedError from None
    return found
