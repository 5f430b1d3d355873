"""Work for two: this process, and a copy of it that ends with its part."""

from __future__ import annotations

import marshal
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

END = b"whole"


def may_be_two() -> bool:
    """Whether a copy may be made, and would help: it has one thread, whatever the others of this process hold."""
    return threading.active_count() < 2 and len(os.sched_getaffinity(0)) > 1


def in_two(here: Callable[[], None], there: Callable[[], Any]) -> Any:
    """Do ``here`` in this process, and meanwhile ``there`` in a copy of it: what that returned, as marshal carries it.

    None: there is no copy, or it was lost. What it should have done is to be done here then.
    """
    answer, telling = os.pipe()
    try:
        other = os.fork()
    except OSError:  # no more processes may be started
        os.close(answer)
        os.close(telling)
        here()
        return None
    if other == 0:
        _tell(telling, there)
    os.close(telling)
    try:
        here()
        told = b"".join(iter(lambda: os.read(answer, 1 << 20), b""))
    finally:
        os.close(answer)
        with suppress(ProcessLookupError, ChildProcessError):  # SIGCHLD may be ignored: nobody waits then
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
    return marshal.loads(told) if told.endswith(END) else None  # noqa: S302 -- our own copy wrote it


def _tell(telling: int, there: Callable[[], Any]) -> None:
    """What the copy does; it never returns."""
    try:
        with open(telling, "wb") as file:
            marshal.dump(there(), file)
            file.write(END)
    finally:
        os._exit(0)  # nothing of what this process was copied from may run twice
