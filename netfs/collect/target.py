"""What to read: the nodes of one kernel, and which namespaces belong to each.

Named tuples and not dataclasses: a collection starts its readers before it imports anything larger.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netfs.model.snapshot import Container


class TargetError(Exception):
    """A node's own namespace cannot be read: without it there is no snapshot."""

    def __init__(self, target: str, path: str, reason: str) -> None:
        super().__init__(f"{target}: {path}: {reason}")
        self.target = target
        self.path = path
        self.reason = reason


class PodTarget(NamedTuple):
    """A pod whose namespace is known before anything is read."""

    name: str
    netns: str
    """Path of an nsfs file: ``/proc/PID/ns/net``, ``/run/netns/NAME``."""
    namespace: str = "default"
    containers: tuple[Container, ...] = ()
    ips: tuple[str, ...] = ()
    """The addresses its orchestrator gave it."""
    labels: Mapping[str, str] = MappingProxyType({})
    """The labels its orchestrator gave it."""


class Target(NamedTuple):
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
