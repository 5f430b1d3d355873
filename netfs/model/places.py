"""Where a node's files and processes are, on this host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """A node that is on this host, or is this host."""

    node: str
    """Its name."""
    path: str
    """The root of its files, on this host."""
    pid: int | None = None
    """The process whose mounts are the node's; None: those of every process of this host."""
    docker: str | None = None
    """Docker's folder, where the source knows that it is the node's only store."""
    members: tuple[int, ...] = ()
    """Processes whose PID namespaces are the node's, its own first; none: every process of this host is its."""
