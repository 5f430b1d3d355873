"""What a live trace is asked to do, beside the packet itself."""

from __future__ import annotations

import os
from dataclasses import dataclass

from netfs.capture.marker import MOST
from netfs.errors import UsageError

EPHEMERAL = range(32768, 61000)
"""Where Linux takes source ports from (net.ipv4.ip_local_port_range)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a probe is sent and waited for. Raises UsageError for what cannot be."""

    count: int = 1
    """Probes, at most 1000."""
    interval_s: float = 0.2
    wait_s: float = 1.0
    """How long is listened behind the last probe, while answers are missing."""
    write: str | None = None
    """A pcapng file that takes every packet of the probe."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UsageError(f"{self.count} probes are out of range", hint=f"1 to {MOST}")
        if self.interval_s < 0 or self.wait_s < 0:
            raise UsageError("a duration is not negative")


def source_port() -> int:
    """A source port for a probe of which none was asked for, by chance: a new connection each time."""
    return EPHEMERAL[int.from_bytes(os.urandom(4)) % len(EPHEMERAL)]
