"""A bar on stderr for what takes longer than a second, where somebody watches."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from netfs.model.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE = 1.0
"""Seconds without a bar: most answers come sooner, and rich need not be imported for them."""


class Progress:
    """Called with what is done and how much there is to do (None: not known); gone when its block ends."""

    def __init__(self, what: str, *, unit: str = "bytes") -> None:
        self._what = what
        self._unit = unit
        self._began = monotonic()
        self._watched = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """How many bytes, or entries, were read so far."""
        if not self._watched or (self._bar is None and monotonic() - self._began < PATIENCE):
            return
        if self._bar is None:
            self._bar, self._task = self._drawn(total)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total)

    def _drawn(self, total: int | None) -> tuple[Bar, TaskID]:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        count = DownloadColumn() if self._unit == "bytes" else TextColumn(f"{{task.completed:,}} {self._unit}")
        columns = (TextColumn(escape(printable(self._what))), BarColumn(), count, TimeRemainingColumn())
        bar = Bar(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        return bar, bar.add_task("", total=total)
