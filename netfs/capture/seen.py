"""Everything that one live trace brought home: what ``compare`` is given beside the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.live import KernelWord, Sighting, TapRef


@dataclass(frozen=True, slots=True)
class Sent:
    """One probe leaving."""

    number: int
    at_ns: int
    """By the source node's clock, just before the kernel was handed it."""
    error: str | None = None
    """The errno's name where the kernel refused it at once: ``EMSGSIZE``, ``ENETUNREACH``, ``EPERM``, …"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was heard."""

    sent: tuple[Sent, ...]
    sightings: tuple[Sighting, ...]
    """Oldest first on each node."""
    taps: tuple[TapRef, ...]
    """Every device that was listened at from before the probe until the end."""
    deaf: tuple[str, ...] = ()
    """Where could not be listened, and why: one line each."""
    drops: tuple[KernelWord, ...] = ()
    unheard: str | None = None
    """Why the kernel's drops were not heard; None: they were."""
    waited_s: float = 0.0
    """From the last probe to the end."""
    lost: int = 0
    """Packets that matched and that a tap had no room for."""
