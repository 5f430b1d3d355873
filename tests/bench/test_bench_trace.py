"""The bars of a trace, findings included: 1 ms on a loaded two-node cluster, 2 ms on 1,000 nodes of 30 pods.

Where the two nodes have the rules of flannel and kube-proxy: 4 ms to a pod, 8 ms to a Service, which is followed to
both of its backends.

Cost follows the path, not the cluster: the large cluster is asked about one pair of pods again and again, and
about pods of nodes that were never asked about before. ``netfs doctor`` reads all of it. Times are this
thread's CPU time, the best of several batches, so that a busy machine does not fail them. A pair of nodes that
was never asked about costs its indexes once: it is held against the small cluster where the machine is slow.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netfs.api import Cluster
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot, Snapshots
from tests.bench.slack import SLACK
from tests.unit import clusters, services

pytestmark = pytest.mark.bench

BATCH = 5
FLANNEL = Path(__file__).parents[1] / "unit" / "iptables_dumps" / "flannel.save"
SUBNETS = {"node1": "10.244.1.0/24", "node2": "10.244.2.0/24"}


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
    assert few <= 1.0 * SLACK
    assert many <= 2.0 * SLACK
    assert fresh <= 10 * few


def with_flannel(node: str, mode: str) -> clusters.Edit:
    """Adds flannel's rules to those of kube-proxy; where both are iptables', to the end of the same tables."""
    text = FLANNEL.read_text().replace(SUBNETS["node1"], SUBNETS[node])
    of_filter, of_nat = (part.split(":OUTPUT ACCEPT [0:0]\n")[1] for part in text.split("COMMIT\n")[:2])
    of_nat = of_nat.replace(":POSTROUTING ACCEPT [0:0]\n", "")

    def edit(netns: NetNs) -> NetNs:
        held = netns.firewall or Firewall()
        if mode == "nftables" or held.iptables is None:
            return replace(netns, firewall=replace(held, iptables=text))
        mangle, filter_, nat, rest = held.iptables.split("COMMIT\n")
        joined = "COMMIT\n".join((mangle, filter_ + of_filter, nat + of_nat, rest))
        return replace(netns, firewall=replace(held, iptables=joined))

    return edit


def ruled(mode: str) -> list[NodeSnapshot]:
    """Two nodes with the rules of both."""
    made = services.snapshots(mode)
    for node in SUBNETS:
        made = clusters.change(made, node, with_flannel(node, mode))
    return made


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_bench_trace_through_the_rules_of_flannel_and_kube_proxy(mode: str) -> None:
    """With the API's objects, so that the findings of Services are among what is paid for."""
    cluster = Cluster(Snapshots(tuple(ruled(mode)), kubernetes=services.OBJECTS))
    first = cpu_ms(lambda: cluster.trace("pod-a", "pod-b"))
    to_pod, to_service = cluster.trace("pod-a", "pod-b"), cluster.trace("pod-a", "svc/web")
    met = {rule.rule for trace in (to_pod, to_service) for hop in trace.forward.hops for rule in hop.rules}
    assert (to_pod.verdict, to_service.verdict) == ("delivered", "delivered")
    assert len(to_service.forward.branches) == 1
    assert any("FLANNEL-FWD" in rule for rule in met)

    pod = best_ms(lambda: cluster.trace("pod-a", "pod-b"))
    service = best_ms(lambda: cluster.trace("pod-a", "svc/web"))
    print(
        f"\ntrace through the rules of flannel and kube-proxy ({mode}): pod to pod {pod:.2f} ms"
        f", to a Service of two backends {service:.2f} ms, the very first {first:.0f} ms"
    )
    assert pod <= 4.0 * SLACK
    assert service <= 8.0 * SLACK
