"""Times of files, for people and machines."""

from __future__ import annotations

from datetime import UTC, datetime


def calendar(ns: int) -> str:
    """Nanoseconds since the epoch as RFC 3339; empty where no calendar has it: strangers set it to what they like."""
    try:
        return datetime.fromtimestamp(ns // 10**9, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""
