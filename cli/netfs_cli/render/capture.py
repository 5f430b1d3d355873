"""A recording as text: its packets line by line, how it stands, what it came to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from netfs.capture.file.linktype import ETHERNET
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.table import table

if TYPE_CHECKING:
    from netfs.capture.recording import Progress
    from netfs.model.recorded import Recorded

FEW = 3
"""Taps that the counter names."""
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


class Lines:
    """Takes packets as a capture file does, and writes a line for each."""

    def __init__(self, stream: TextIO, tunnels: tuple[int, ...]) -> None:
        self._stream = stream
        self._tunnels = tunnels
        self._taps: list[tuple[str, bool]] = []

    def add_interface(self, name: str, linktype: int, snaplen: int, description: str) -> int:  # noqa: ARG002  # a Writer's signature
        """A device; its number."""
        self._taps.append((printable(name), linktype == ETHERNET))
        return len(self._taps) - 1

    def write(self, interface: int, at_ns: int, data: bytes, length: int, *, way: str) -> None:
        """A packet: time, tap, way, headers. Raises OSError."""
        from netfs.capture.probe import shown

        name, ethernet = self._taps[interface]
        text = shown.line(data, length, ethernet=ethernet, tunnels=self._tunnels)
        self._stream.write(f"{_clock(at_ns)} {name} {way}  {text}\n")

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """The summary tells them."""

    def flush(self) -> None:
        """Show them. Raises OSError."""
        self._stream.flush()


class Nothing:
    """Takes packets and keeps none: they are counted alone."""

    def add_interface(self, name: str, linktype: int, snaplen: int, description: str) -> int:  # noqa: ARG002  # a Writer's signature
        """A number."""
        return 0

    def write(self, interface: int, at_ns: int, data: bytes, length: int, *, way: str) -> None:
        """Nothing."""

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


def counter(progress: Progress, columns: int) -> str:
    """How a recording stands, in one line of a terminal."""
    if not progress.packets:
        return f"{len(progress.devices)} devices are listened to, {progress.seconds:.0f} s; Ctrl-C ends it"[
            : columns - 1
        ]
    heard = sorted((one for one in progress.devices.values() if one.packets), key=lambda one: -one.packets)
    most = "  ".join(f"{one.tap.name} {one.packets:,}" for one in heard[:FEW])
    more = f"  and {len(heard) - FEW} more" if len(heard) > FEW else ""
    text = f"{_many(progress.packets)}, {_size(progress.bytes)}, {progress.seconds:.0f} s  {most}{more}"
    return printable(text)[: columns - 1]


def render(answer: Recorded, ink: Ink) -> str:
    """What was recorded, tap by tap, and what was not."""
    place = f", written to {answer.file}" if answer.file not in (None, "-") else ""
    lines = [printable(f"{_many(answer.packets)}, {_size(answer.bytes)}, {answer.seconds:.1f} s{place}")]
    if answer.taps:
        rows: list[list[str | int | None]] = [[one.tap.name, one.packets, one.bytes] for one in answer.taps]
        lines += ["", table(["TAP", "PACKETS", "BYTES"], rows, ink).rstrip("\n")]
    if answer.silent:
        lines.append(ink.dim(f"{answer.silent} more devices heard nothing"))
    for missed in answer.missed:
        where = missed.node if missed.netns == missed.node else f"{missed.node}/{missed.netns}"
        text = printable(f"{where}: {_many(missed.packets)} missed: they came faster than they were taken")
        lines.append(ink.doubtful(f"{ink.sign('!')} {text}"))
    for gap in answer.gaps:
        lines.append(ink.doubtful(f"{ink.sign('!')} " + printable(f"{gap.where}: not listened to: {gap.reason}")))
    return "\n".join(lines) + "\n"


def _many(packets: int) -> str:
    return f"{packets:,} packet{'' if packets == 1 else 's'}"


def _size(number: int) -> str:
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if number >= factor), ("bytes", 1))
    return f"{number / factor:.1f} {unit}" if factor > 1 else f"{number} bytes"


def _clock(at_ns: int) -> str:
    """Time of day as this host has it, by the kernel's microsecond."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{moment:%H:%M:%S}.{rest // 1000:06}"
