"""The bars of a trace: at most 1 ms on a loaded two-node cluster, at most 2 ms on 1,000 nodes of 30 pods.

Cost follows the path, not the cluster: the large cluster's figure is printed over the small one's.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import pytest

from netfs.api import Cluster
from netfs.model.snapshot import Snapshots
from tests.unit import clusters

pytestmark = pytest.mark.bench


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """The median time of one call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def test_bench_trace_on_small_and_large_clusters() -> None:
    """Both figures, and their ratio, in one run."""
    small = Cluster(Snapshots(tuple(clusters.cluster(2, 2))))
    large = Cluster(Snapshots(tuple(clusters.synthetic_snapshots(1000, 30))))
    names = [name for _, name in large.topology.pods]
    ends = random.Random(1)
    source, destination = names[5], names[29_000]
    assert small.trace("pod-a", "pod-b").verdict == large.trace(source, destination).verdict == "delivered"
    few = median_ms(lambda: small.trace("pod-a", "pod-b"), 300)
    many = median_ms(lambda: large.trace(source, destination), 300)
    fresh = median_ms(lambda: large.trace(ends.choice(names), ends.choice(names)), 200)
    print(
        f"\ntrace: 2 nodes {few:.2f} ms; 1,000 nodes x 30 pods {many:.2f} ms (ratio {many / few:.1f}), "
        f"between nodes not traced before {fresh:.2f} ms"
    )
    assert few <= 1.0
    assert many <= 2.0
