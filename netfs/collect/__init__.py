"""Reads one kernel's network namespaces into snapshots. Standard library and ``netfs.model`` only.

discovery   which namespaces there are
read        one namespace: the kernel's answers as bytes, nothing decoded
workers     who reads: a thread, or forked processes
beginning   what comes first: look, and let the readers begin
decode      those bytes to records, a pure function
nsid        which namespace a ``link-netnsid`` names
run         the two phases: read everything, then link
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netfs.collect.target import PodTarget, Target, TargetError

if TYPE_CHECKING:
    from netfs.model.snapshot import NodeSnapshot

__all__ = ["PodTarget", "Target", "TargetError", "collect"]


def collect(targets: Sequence[Target]) -> tuple[NodeSnapshot, ...]:
    """Snapshots of all targets of this kernel, in their order.

    A namespace that several targets need is read once. Raises TargetError where a target's own namespace
    cannot be read; whatever else cannot be read is a gap of the snapshot.
    """
    from netfs.collect.beginning import begin  # other readings of this room need none of it

    begun = begin(targets)
    from netfs.collect.run import finish  # the readers work while this is imported

    return finish(begun)
