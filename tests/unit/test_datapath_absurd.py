"""States that no kernel allows, from a file that somebody edited: an answer in the end, and never a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import request, trace
from netfs.model.address import NUD_PERMANENT, Neighbour
from netfs.model.link import IFF_UP, BridgePort
from netfs.model.route import RTNH_F_ONLINK, NextHop
from netfs.model.snapshot import NetNs
from netfs.model.trace import Trace
from tests.unit import clusters


def asked(edit: Callable[[NetNs], NetNs], source: str = "pod-a", destination: str = "pod-b") -> Trace:
    """A trace with node1's namespace edited."""
    topology = Topology(clusters.change(clusters.cluster(2, 2), "node1", edit))
    return trace(topology, resolve(topology, source), resolve(topology, destination), request())


def its_own_port(netns: NetNs) -> NetNs:
    """The bridge is a port of itself."""
    links = tuple(
        replace(link, master=link.index, port=BridgePort()) if link.name == "cni0" else link for link in netns.links
    )
    return replace(netns, links=links)


@pytest.mark.parametrize(("source", "destination"), [("pod-a", "pod-b"), ("pod-b", "pod-a"), ("pod-a", "pod-c")])
def test_a_bridge_that_is_its_own_port_is_left_open(source: str, destination: str) -> None:
    """A flooded frame would come back for ever."""
    assert asked(its_own_port, source, destination).verdict in ("unknown", "delivered")


@pytest.mark.parametrize("source", ["pod-a", "node/node1", "pod-b"])
def test_a_route_of_an_unheard_of_type_leaves_the_verdict_open(source: str) -> None:
    """Local output and forwarding meet it alike."""

    def edit(netns: NetNs) -> NetNs:
        subnets = ("10.244.1.0/24", "10.244.2.0/24")
        routes = (replace(route, type="wormhole") if route.dst in subnets else route for route in netns.routes)
        return replace(netns, routes=tuple(routes))

    answer = asked(edit, source, "10.244.2.2" if source != "pod-b" else "pod-a")
    assert answer.verdict == "unknown"
    assert "wormhole" in (answer.forward.unknown or answer.reverse.unknown or "")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("source", ["node/node1", "pod-a"])
def test_of_thousands_of_equal_cost_ways_the_first_are_followed_and_the_answer_says_so(source: str) -> None:
    def edit(netns: NetNs) -> NetNs:
        hops = tuple(NextHop(4, "10.244.2.0", flags=RTNH_F_ONLINK) for _ in range(5000))
        routes = (replace(r, nexthops=hops) if r.dst == "10.244.2.0/24" else r for r in netns.routes)
        return replace(netns, routes=tuple(routes))

    answer = asked(edit, source)
    assert answer.verdict == "delivered"
    assert not answer.forward.branches, "they are all one way"
    told = [hop.why for hop in answer.forward.hops if "equal-cost" in hop.why]
    assert len(told) == 1
    assert told[0].endswith("only the first 32 of 5,000 equal-cost ways are followed")
    assert len(told[0]) < 4000


def test_a_fix_is_safe_to_paste_whatever_a_device_is_called() -> None:
    """A link may be called after a command; the shell that a fix is pasted into must not run it."""

    def edit(netns: NetNs) -> NetNs:
        links = []
        for link in netns.links:
            if link.name == "cni0":
                links.append(replace(link, name="$(reboot)", flags=link.flags & ~IFF_UP))
            else:
                links.append(replace(link, port=replace(link.port, state=0)) if link.port is not None else link)
        return replace(netns, links=tuple(links))

    known = clusters.add(neighbours=[Neighbour(2, 4, "10.244.1.3", "02:42:00:00:01:03", NUD_PERMANENT)])
    topology = Topology(clusters.change(clusters.change(clusters.cluster(2, 2), "node1", edit), "pod-a", known))
    drop = trace(topology, resolve(topology, "pod-a"), resolve(topology, "pod-c"), request()).forward.drop
    assert drop is not None
    assert drop.fix == "ip link set '$(reboot)' up"
