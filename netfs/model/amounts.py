"""Amounts in words: for the evidence of findings, and for every renderer."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(number: int) -> str:
    """``0 B``, ``52.0 KiB``, ``1.2 GiB``."""
    amount, unit = float(number), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{number} B" if unit == 0 else f"{amount:.{0 if amount >= 100 else 1}f} {_UNITS[unit]}"


def cpus(microseconds: float) -> str:
    """CPU time in each second as processors: ``0.5 CPUs``."""
    amount = f"{microseconds / 1_000_000:.3f}".rstrip("0").rstrip(".")
    return f"{amount} CPU{'' if amount == '1' else 's'}"


def share(part: float, whole: float) -> str:
    """``93 %``, never rounded up to all of it."""
    percent = 100 * part / whole if whole else 0.0
    return f"{int(percent) if percent < 100 else round(percent)} %"


def several(number: int, noun: str, plural: str = "") -> str:
    """``1 process``, ``2 processes``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
