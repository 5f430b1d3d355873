"""What to read: the nodes of one kernel, and which namespaces belong to each."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.snapshot import Container


class TargetError(Exception):
    """A node's own namespace cannot be read: without it there is no snapshot."""

    def __init__(self, target: str, path: str, reason: str) -> None:
        super().__init__(f"{target}: {path}: {reason}")
        self.target = target
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod whose namespace is known before anything is read."""

    name: str
    netns: str
    """Path of an nsfs file: ``/proc/PID/ns/net``, ``/run/netns/NAME``."""
    namespace: str = "default"
    containers: tuple[Container, ...] = ()
    ips: tuple[str, ...] = ()
    """The addresses its orchestrator gave it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A network namespace that is, or plays, a node."""

    name: str
    netns: str
    """Path of an nsfs file: ``/proc/PID/ns/net``, ``/run/netns/NAME``."""
    role: str = "node"
    """``node`` or ``fabric``."""
    pods: tuple[PodTarget, ...] = ()
    reach: str = "listed"
    """``listed``: the pods named here. ``veth``: the namespaces reached by veth pairs are its pods as well.
    ``all``: every namespace that can be seen is its own, and those reached by veth are its pods."""
    source: str = ""
