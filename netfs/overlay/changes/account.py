"""What each layer of a chain adds, changes and hides: all layers are walked together, directory by directory.

A directory of a layer is read once. Where several layers have a directory at the same place, it is merged as
fs/overlayfs does (``merge.lookup``); where only one has it, it is only summed up. What is kept meanwhile grows with
depth and width of directories, with hidden directories, and with inodes that have several names; not with files.

Nothing is hidden twice: of the layers above it that hide a thing, the lowest one does. What is hidden and what the
merged view shows is together all there is. What is meant by hidden:

- a non-directory by anything above it at its place, a directory by anything but a directory, or by an opaque one;
- a directory that was renamed (redirect) is seen at its new place, and the layers' old one is not hidden;
- a file is seen as well where a metacopy reads its bytes, or another hard link is seen;
- a data-only layer shows no name: what no metacopy reads is hidden by that layer itself.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from netfs.model.layers import Account
from netfs.overlay.changes.ledger import Ledger
from netfs.overlay.changes.lockstep import Apart, Lockstep, MovedError, Unread
from netfs.overlay.merge.tree import Stack

__all__ = ["Unread", "account"]


def account(
    stack: Stack,
    fresh: Collection[int] | None = None,
    progress: Callable[[int], None] | None = None,
    unread: list[Unread] | None = None,
    apart: Apart | None = None,
) -> tuple[Account, ...]:
    """The account of every layer in ``fresh``, uppermost first; None: of all, the data-only ones last.

    A layer is compared with what those below it show together, whatever lies above it. Only directories in which a
    layer of ``fresh`` takes part are visited, and what such a layer hides: so a second container of an image costs
    what it wrote. ``progress`` is given the number of entries looked at so far, every few thousand. A directory that
    cannot be read is appended to ``unread`` and counts as empty; one that vanished meanwhile is none. ``apart`` lets
    two processes share a large walk.
    """
    wanted = frozenset(range(len(stack.layers) + len(stack.data)) if fresh is None else fresh)
    with _collector_paused():
        try:
            ledger, missed = _walked(stack, wanted, progress, apart)
        except MovedError:
            ledger, missed = _walked(stack, wanted, progress, None)
        ledger.settle(wanted)
    if unread is not None:
        unread += missed
    return tuple(ledger.accounts(wanted))


def _walked(
    stack: Stack, fresh: Collection[int], progress: Callable[[int], None] | None, apart: Apart | None
) -> tuple[Ledger, list[Unread]]:
    ledger, missed = Ledger(len(stack.layers) + len(stack.data)), list[Unread]()
    Lockstep(stack, fresh, ledger, progress, missed).walk(apart)
    return ledger, missed


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A walk makes many tuples and no cycles: looking for some would cost a tenth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
