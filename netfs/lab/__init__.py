"""The embedded lab: a small cluster of real kernel objects on one machine, without root.

Each function imports what it needs when it is called: naming this package costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netfs.lab.state import LabState
    from netfs.model.kubernetes import NetworkPolicy

__all__ = ["break_fault", "down", "execute", "names", "repair", "status", "up"]


def up(
    name: str = "default",
    nodes: int = 2,
    pods: int = 2,
    ipv6: bool = False,
    proxy: str | None = None,
    services: Sequence[str] = (),
    policies: Sequence[NetworkPolicy] = (),
    enforce: bool = False,
) -> LabState:
    """Build a lab of ``nodes`` nodes with ``pods`` pods each, and say what it consists of.

    As root it uses the caller's privileges, else a user namespace of its own. What is left of a lab of that
    name that was killed is cleaned away first. ``proxy`` is how kube-proxy runs (``netfs.lab.rules.MODES``), or
    None for iptables where there are Services and it is installed, else nftables. ``services`` are written as in
    ``netfs.lab.wanted``. ``policies`` are objects of the API; nothing enforces them without ``enforce``. Raises
    UsageError for a bad name, number or Service, LabError where a lab of that name runs or this machine cannot build
    one.
    """
    from netfs.lab import lifecycle

    return lifecycle.up(name, nodes, pods, ipv6, proxy, services, policies, enforce)


def down(name: str = "default") -> None:
    """Take a lab down, whole or in pieces: every process, namespace, mount, control group and file of it.

    Raises UsageError for a bad name, LabError where there is nothing of that name.
    """
    from netfs.lab import lifecycle

    lifecycle.down(name)


def status(name: str = "default") -> LabState:
    """A running lab. Raises UsageError for a bad name, LabError where none of that name runs."""
    from netfs.lab import state

    return state.find(name)


def names() -> list[str]:
    """The names of the labs that run, sorted."""
    from netfs.lab import state

    return state.names()


def execute(name: str, member: str, argv: Sequence[str]) -> int:
    """Run a command in a node, a pod or the fabric, with the caller's stdio, and return its exit status.

    As a shell tells it: 127 where there is no such command, 126 where it cannot be run, 128 + N where signal
    N killed it. Raises LabError where lab or member is not there.
    """
    from netfs.lab import inside

    return inside.execute(name, member, argv)


def break_fault(name: str, slug: str) -> tuple[str, ...]:
    """Inject a fault of the catalogue into a running lab; say what was done, one line each.

    Raises LabError for a slug no lab can play, for one that is broken already, and where a command fails.
    """
    from netfs.lab import faults

    return faults.break_fault(name, slug)


def repair(name: str, slug: str | None = None) -> tuple[str, ...]:
    """Undo a fault, or all of them, the newest first; say what was done, one line each.

    Raises LabError for a fault that is not broken.
    """
    from netfs.lab import faults

    return faults.repair(name, slug)
