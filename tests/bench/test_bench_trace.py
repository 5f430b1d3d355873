"""The bars of a trace, findings included: 1 ms on a loaded two-node cluster, 2 ms on 1,000 nodes of 30 pods.

Cost follows the path, not the cluster: the large cluster is asked about one pair of pods again and again, and
about pods of nodes that were never asked about before. ``netfs doctor`` reads all of it. Times are this
thread's CPU time, the best of several batches, so that a busy machine does not fail them. A pair of nodes that
was never asked about costs its indexes once: it is held against the small cluster where the machine is slow.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from netfs.api import Cluster
from netfs.model.snapshot import Snapshots
from tests.unit import clusters

pytestmark = pytest.mark.bench

BATCH = 5


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU time of one call."""
    start = time.thread_time()
    work()
    return (time.thread_time() - start) * 1000


def best_ms(work: Callable[[], object], batches: int = 60) -> float:
    """The CPU time of one call in the best of several batches."""

    def batch() -> None:
        for _ in range(BATCH):
            work()

    return min(cpu_ms(batch) for _ in range(batches)) / BATCH


def test_bench_trace_on_small_and_large_clusters() -> None:
    """Every figure, and their ratios, in one run."""
    small = Cluster(Snapshots(tuple(clusters.cluster(2, 2))))
    snapshots = Snapshots(tuple(clusters.synthetic_snapshots(1000, 30)))
    large = Cluster(snapshots)
    pods = [[pod.name for pod in node.pods] for node in large.nodes]
    random.Random(1).shuffle(pods)
    source, destination = pods.pop()[5], pods.pop()[7]
    assert small.trace("pod-a", "pod-b").verdict == "delivered"
    first = cpu_ms(lambda: large.trace(source, destination))
    assert large.trace(source, destination).verdict == "delivered"

    few = best_ms(lambda: small.trace("pod-a", "pod-b"))
    many = best_ms(lambda: large.trace(source, destination))
    fresh = best_ms(lambda: large.trace(pods.pop()[3], pods.pop()[4]))
    doctor = cpu_ms(Cluster(snapshots).findings)
    print(
        f"\ntrace: 2 nodes {few:.2f} ms"
        f"; 1,000 nodes x 30 pods: same pair {many:.2f} ms (ratio {many / few:.1f})"
        f", fresh pairs {fresh:.2f} ms (ratio {fresh / few:.1f}), the very first {first:.0f} ms"
        f"; doctor {doctor / 1000:.1f} s, {doctor / len(large.topology.views):.3f} ms a namespace"
    )
    assert few <= 1.0
    assert many <= 2.0
    assert fresh <= 10 * few
