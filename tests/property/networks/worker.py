"""The process that builds and probes: alone in its own namespaces, it takes specifications and gives observations.

One JSON document in a line on stdin, one on stdout. It ends with its stdin, and with it all that it built.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from tests.property.networks.build import CLONE_NEWNET, Network, settle
from tests.property.networks.predict import Predicted, predict
from tests.property.networks.probe import Observed, Session
from tests.property.networks.spec import Spec

CLONE_NEWUSER = 0x10000000
CLONE_NEWNS = 0x00020000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one specification."""

    observed: Observed
    predicted: Predicted
    refused: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    """Build, settle, read and predict, probe."""


def isolate() -> None:
    """Moves the process into namespaces of its own; into a user namespace as well where it is not root."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | CLONE_NEWNS | (0 if uid == 0 else CLONE_NEWUSER)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def run(spec: Spec) -> Result:
    """Builds, waits for rest, reads and predicts, probes, and lets go."""
    times = [time.perf_counter()]
    network = Network(spec)
    try:
        times.append(time.perf_counter())
        settle(network)
        session = Session(network)
        try:
            times.append(time.perf_counter())
            predicted = predict(network)
            times.append(time.perf_counter())
            observed = session.observe()
        finally:
            session.close()
        times.append(time.perf_counter())
    finally:
        network.close()
    seconds = tuple(round(after - before, 4) for before, after in pairwise(times))
    return Result(observed, predicted, network.refused, seconds)


def main() -> None:
    """Serves until stdin ends."""
    isolate()
    for line in sys.stdin.buffer:
        result = run(msgspec.json.decode(line, type=Spec))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
