"""The bar of starting: ``netfs --version`` in at most twice the time of ``python -c "import click"``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.bench


def test_bench_start_up_against_click() -> None:
    """The two in turn, and the ratio of their medians."""
    ours = [sys.executable, "-c", "from netfs_cli.main import main; main()", "--version"]
    peer = [sys.executable, "-c", "import click"]
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(15):
        for name, command in (("ours", ours), ("peer", peer)):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    own, other = (statistics.median(times[name]) * 1000 for name in ("ours", "peer"))
    print(f"\nstart-up: netfs --version {own:.0f} ms, import click {other:.0f} ms, ratio {own / other:.2f}")
    assert own / other <= 2
