"""A specification played live: the network is built, its probe traced and sent, what was seen laid beside the trace.

Twice in each network: one probe as it stands, then, read anew, ``AGAIN`` probes through what the first one left behind:
neighbours found and failed, MACs learned. What the kernel's own counters say of delivery comes with it, so that
the taps do not vouch for themselves.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from netfs import datapath
from netfs.capture import live
from netfs.capture.compare.points import expected
from netfs.capture.wish import Wish, source_port
from netfs.cluster.endpoint import Endpoint
from netfs.cluster.topology import Topology
from netfs.collect.run import BOOT_ID
from netfs.model.live import Sighting
from netfs.model.trace import DROPPED, Direction, Trace
from netfs.sources.reach import Reach
from tests.property.networks.build import Network, settle_carriers
from tests.property.networks.predict import topology
from tests.property.networks.probe import Session, answer_one
from tests.property.networks.spec import Probe, Spec
from tests.property.networks.worker import isolate

WAIT_S = 0.12
"""Behind the last probe: more than these networks' neighbours take to be given up (``build.QUICK_DEVICE``)."""
AGAIN = 3
"""Probes of the second run."""


@dataclass(frozen=True, slots=True)
class Run:
    """One live trace."""

    trace: Trace
    sightings: tuple[Sighting, ...]
    last: tuple[str | None, str | None]
    """The tap that the prediction sees the packet at last, there and back, on the ways taken."""
    silent: bool
    """Whether the answer may be lost, as predicted, before any tap sees it."""
    took: tuple[int, int]
    """How often the kernel's counters say that the target took in the request, and the source the answer."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one specification."""

    runs: tuple[Run, ...] = ()
    error: str | None = None
    """The traceback, where something broke."""
    seconds: float = 0.0


def play(spec: Spec) -> Played:
    """Builds, waits for rest, then reads, predicts and watches, twice; lets go."""
    began = time.perf_counter()
    network = Network(spec)
    try:
        settle_carriers(network)
        session = Session(network)
        try:
            with _answering(session):
                runs = tuple(_run(network, session, count) for count in (1, AGAIN))
        finally:
            session.close()
    except Exception:  # noqa: BLE001 - whatever breaks is a disagreement to be told
        return Played(error=traceback.format_exc(), seconds=time.perf_counter() - began)
    finally:
        network.close()
    return Played(runs, seconds=round(time.perf_counter() - began, 4))


def _run(network: Network, session: Session, count: int) -> Run:
    read = topology(network)
    probe = network.spec.probe
    trace, request = predicted(read, probe)
    first = next((hop.packet for hop in trace.forward.hops), None)
    asked = request.packet((first.src if first else "") or trace.source.ip, first.dst if first else probe.address)
    before = session.counts()
    watched = live.run(read, reaches(network, read), trace, asked, Wish(count, 0.02, WAIT_S), df=request.df)
    after = session.counts()
    took = after[probe.target][0] - before[probe.target][0], after[probe.source][1] - before[probe.source][1]
    answer = watched.trace
    assert answer.live is not None
    ways = (answer.forward, answer.live.forward.branch), (answer.reverse, answer.live.reverse.branch)
    lasts = [_last(read, direction if branch == 0 else direction.branches[branch - 1]) for direction, branch in ways]
    back = (answer.reverse, *answer.reverse.branches)
    silent = any(way.verdict == DROPPED and _last(read, way) is None for way in back)
    return Run(answer, tuple(heard.sighting for heard in watched.heard), (lasts[0], lasts[1]), silent, took)


def predicted(read: Topology, probe: Probe) -> tuple[Trace, datapath.Request]:
    """The trace of a probe, and what was asked for."""
    source = Endpoint(f"node/{probe.source}", read.nodes[probe.source])
    target = Endpoint(f"node/{probe.target}", read.nodes[probe.target], probe.address)
    sport = None if probe.proto == "icmp" else source_port()
    request = datapath.request(
        proto=probe.proto, port=probe.port, sport=sport, size=probe.size, df=True, family=probe.family
    )
    return datapath.trace(read, source, target, request), request


def reaches(network: Network, read: Topology) -> dict[str, Reach]:
    """The way into every namespace, by its node's name."""
    with open(BOOT_ID, encoding="ascii") as file:
        kernel = file.read().strip()
    return {name: Reach(name, kernel, paths={read.nodes[name].netns.id: network.path(name)}) for name in network.fds}


def _last(read: Topology, way: Direction) -> str | None:
    return next((point.tap.name for point in reversed(expected(read, way)) if point.sure), None)


@contextmanager
def _answering(session: Session) -> Iterator[None]:
    """A process answers what comes to a UDP listener; TCP's is answered by the kernel."""
    listener, probe = session.listener, session.probe
    if listener is None or probe.proto != "udp":
        yield
        return
    child = os.fork()
    if child == 0:
        try:
            _answer(listener, probe)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _answer(listener: socket.socket, probe: Probe) -> None:
    while True:
        select.select([listener], [], [])
        try:
            answer_one(listener, probe)
        except OSError:
            continue


def main() -> None:
    """Serves until stdin ends."""
    isolate()
    live.ASKING_S = WAIT_S
    for line in sys.stdin.buffer:
        played = play(msgspec.json.decode(line, type=Spec))
        sys.stdout.buffer.write(msgspec.json.encode(played) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
