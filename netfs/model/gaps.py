"""What could not be read, and why: part of every answer.

In a file of its own, as ``findings``: answers about containers need neither a network nor its records.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """Something a snapshot could not hold, and why."""

    where: str
    """What was being read: ``node1``, ``node1/pod-a``, ``/proc/1/ns/net``."""
    what: str
    """The part that is missing: ``links``, ``routes``, ``netns``, ``iptables``, …"""
    reason: str
    netns: int | None = None
    """The namespace the gap lies in (``NetNs.id``), where there is one."""
