"""Plays every world and keeps what was collected and observed, for the tests that run without the software.

usage: python -m tests.conformance.record [WORLD]…
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from netfs.sources import document
from tests.conformance.catalogue import WORLDS
from tests.conformance.world import play

DATA = Path(__file__).parents[1] / "unit" / "data"


def record(name: str) -> None:
    """Write ``NAME.json.zst``, the snapshots, and ``NAME.json``, the probes with their outcomes."""
    world = WORLDS[name]
    cluster, outcomes, _ = play(world)
    document.write(cluster.snapshots, DATA / f"{name}.json.zst")
    lines = [
        json.dumps({"probe": asdict(probe), "outcome": asdict(outcome)})
        for probe, outcome in zip(world.probes, outcomes, strict=True)
    ]
    (DATA / f"{name}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    for each in sys.argv[1:] or WORLDS:
        record(each)
