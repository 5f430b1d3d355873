"""What is wrong, and how it is repaired: part of every answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A named defect, raised only from evidence."""

    slug: str
    severity: str
    """``error``, ``warning`` or ``info``."""
    object: str
    """``node2/flannel.1``, ``pod-a/eth0``, ``node1``: what is defective."""
    evidence: str
    fix: str
    """A shell command (or several, joined by ``&&``) that repairs it, run in ``netns`` of ``node``.

    Words, where only its engine can do it."""
    node: str = ""
    netns: str = ""
