"""The rules that live traces of networks are held by can fail: what is told wrongly of a real run is caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from netfs.model.trace import Direction, Hop, KernelDrop, Trace
from tests.property.networks.generate import healthy_spec
from tests.property.networks.live_rules import disagreement
from tests.property.networks.oracle import live_oracle
from tests.property.networks.spec import Fault, Spec
from tests.property.networks.watch import Played, Run

pytestmark = pytest.mark.kernel


def network(*, broken: bool) -> Spec:
    """Two routers between two hosts and an echo of the usual size; ``broken``: the second does not know the way."""
    spec = next(
        spec
        for spec in (healthy_spec(seed, "chain") for seed in range(100))
        if (spec.probe.proto, spec.probe.family, len(spec.namespaces)) == ("icmp", 4, 4) and spec.probe.size < 1000
    )
    fault = Fault("blackhole", "r2", f"ip route add blackhole {spec.probe.address}")
    return replace(spec, faults=(fault,)) if broken else spec


@pytest.fixture(scope="module")
def played() -> Mapping[bool, tuple[Spec, Played]]:
    with live_oracle() as live:
        return {broken: (spec := network(broken=broken), live.ask(spec)) for broken in (False, True)}


def hops(direction: Direction, edit: Callable[[Hop], Hop]) -> Direction:
    return replace(direction, hops=tuple(map(edit, direction.hops)))


def way(trace: Trace, **changes: Any) -> Trace:
    assert trace.live is not None
    return replace(trace, live=replace(trace.live, forward=replace(trace.live.forward, **changes)))


def at(index: int, at_us: float | None) -> Callable[[Hop], Hop]:
    """An edit: when a tap saw the packet at a hop."""

    def edit(hop: Hop) -> Hop:
        if hop.index != index or hop.observed is None:
            return hop
        return replace(hop, observed=replace(hop.observed, at_us=at_us))

    return edit


def seen_hop(trace: Trace) -> int:
    """The last hop of the way there that a tap saw the packet at."""
    return max(hop.index for hop in trace.forward.hops if hop.observed is not None and hop.observed.seen)


def worded(trace: Trace, reason: str) -> Trace:
    assert trace.live is not None
    assert trace.forward.drop is not None
    drop = replace(trace.forward.drop, kernel=KernelDrop(reason, "ip_error"))
    heard = replace(trace.live, unheard=None)
    return replace(trace, live=heard, forward=replace(trace.forward, drop=drop))


DELIVERED: dict[str, Callable[[Trace], Trace]] = {
    "another path": lambda trace: way(trace, verdict="other-path"),
    "lost": lambda trace: way(trace, verdict="lost"),
    "not all arrived": lambda trace: way(trace, sent=2),
    "no latency": lambda trace: way(trace, latency_us=None),
    "negative latency": lambda trace: way(trace, latency_us=(-1.0, 0.0, 1.0)),
    "negative time": lambda trace: replace(trace, forward=hops(trace.forward, at(seen_hop(trace), -0.5))),
    "out of order": lambda trace: replace(trace, forward=hops(trace.forward, at(seen_hop(trace), 0.001))),
    "no time": lambda trace: replace(trace, forward=hops(trace.forward, at(seen_hop(trace), None))),
}
DROPPED: dict[str, Callable[[Trace], Trace]] = {
    "arrived": lambda trace: way(trace, arrived=1),
    "elsewhere": lambda trace: way(trace, last=None),
    "other hops": lambda trace: way(trace, hops=(1,)),
    "another word": lambda trace: worded(trace, "NETFILTER_DROP"),
}


@pytest.mark.parametrize("broken", [False, True])
def test_what_is_told_of_a_real_run_holds(played: Mapping[bool, tuple[Spec, Played]], broken: bool) -> None:
    spec, found = played[broken]
    assert disagreement(spec.probe, found) is None
    assert found.runs[0].trace.forward.verdict == ("dropped" if broken else "delivered")


@pytest.mark.parametrize("what", [*DELIVERED, *DROPPED])
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_told_wrongly_is_caught(played: Mapping[bool, tuple[Spec, Played]], what: str, number: int) -> None:
    spec, found = played[what in DROPPED]
    edit = (DELIVERED | DROPPED)[what]
    assert wrongly(spec, found, number, lambda run: replace(run, trace=edit(run.trace))) is not None


def test_what_the_kernel_did_not_count_did_not_arrive(played: Mapping[bool, tuple[Spec, Played]]) -> None:
    spec, found = played[False]
    assert wrongly(spec, found, 0, lambda run: replace(run, took=(0, 1))) is not None
    assert wrongly(spec, found, 0, lambda run: replace(run, took=(1, 0))) is not None
    assert disagreement(spec.probe, Played(error="Traceback")) is not None


def wrongly(spec: Spec, found: Played, number: int, edit: Callable[[Run], Run]) -> str | None:
    """What the rules say of a play of which one run is edited."""
    runs = list(found.runs)
    runs[number] = edit(runs[number])
    return disagreement(spec.probe, replace(found, runs=tuple(runs)))
