"""A live trace as a capture file: every tap an interface, every packet with a word on where it is on its way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from netfs.capture.compare.align import fits
from netfs.capture.compare.ground import Key, key_of
from netfs.capture.compare.points import Point, expected
from netfs.capture.file import linktype
from netfs.capture.file.writer import PcapngWriter
from netfs.capture.live import Heard, Watched
from netfs.cluster.topology import Topology
from netfs.model.live import Live, LiveWay, Sighting, TapRef
from netfs.model.trace import Direction, Trace


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file for ``write``: until then one that is there stays as it is, and a new one goes again where it fails.

    Raises OSError.
    """
    new = not os.path.lexists(path)
    with open(path, "ab") as file:
        try:
            yield file
        except BaseException:
            if new:
                os.unlink(path)
            raise


def write(stream: BinaryIO, topology: Topology, watched: Watched) -> None:
    """Write the packets, oldest first, in place of what the file held. Raises OSError."""
    if stream.seekable():
        stream.truncate(0)
    trace = watched.trace
    writer = PcapngWriter(stream, application="netfs trace --live", comment=_about(trace))
    places = _Places(topology, trace)
    interfaces: dict[Key, int] = {}
    for heard in sorted(watched.heard, key=lambda one: one.frame.at_ns):
        tap = heard.sighting.tap
        number = interfaces.get(key_of(tap))
        if number is None:
            number = interfaces[key_of(tap)] = _interface(writer, tap, heard)
        writer.write(
            number,
            heard.frame.at_ns,
            heard.frame.data,
            heard.frame.length,
            way=heard.sighting.way,
            comment=places.comment(heard.sighting),
        )
    writer.flush()


def _interface(writer: PcapngWriter, tap: TapRef, heard: Heard) -> int:
    kind = linktype.of_device(heard.frame.hatype)
    where = f"{tap.device} in network namespace {tap.netns_id} ({tap.netns} on {tap.node})"
    return writer.add_interface(tap.name, kind, description=where)


def _about(trace: Trace) -> str:
    lines = [f"{trace.source.name} to {trace.destination.name}: predicted {trace.verdict}"]
    live = trace.live
    if live is not None:
        lines += [f"{name}: {way.verdict}. {way.why}".rstrip() for name, way in _named(live)]
        lines += [f"the kernel: {word.reason} in {word.location}" for word in live.drops]
    return "\n".join(lines)


def _named(live: Live) -> Iterator[tuple[str, LiveWay]]:
    yield "there", live.forward
    yield "back", live.reverse


class _Places:
    """Which hop of the prediction a sighting is."""

    def __init__(self, topology: Topology, trace: Trace) -> None:
        self.trace = trace
        self.points = {
            "probe": _points(topology, trace.forward, trace.live.forward.branch if trace.live is not None else 0),
            "answer": _points(topology, trace.reverse, trace.live.reverse.branch if trace.live is not None else 0),
        }

    def comment(self, seen: Sighting) -> str:
        """``probe 1: hop 7, flannel.1 encapsulate: VXLAN to …``."""
        head = f"{seen.role} {seen.number + 1}"
        if seen.error:
            return f"{head}: {seen.error}"
        for point, hop in self.points.get(seen.role, ()):
            if point.tap == seen.tap and point.way == seen.way and fits(point.packet, seen.packet):
                return f"{head}: {hop}"
        return f"{head}: on no predicted way"


def _points(topology: Topology, direction: Direction, branch: int) -> Sequence[tuple[Point, str]]:
    way = direction if branch == 0 else direction.branches[branch - 1]
    hops = {hop.index: f"hop {hop.index}, {hop.device} {hop.stage}: {hop.why}" for hop in way.hops}
    return [(point, hops.get((point.shown or point.hops)[0], "")) for point in expected(topology, way)]
