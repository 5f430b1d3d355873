"""Out of a namespace: what is said of the way that a packet takes."""

from __future__ import annotations

import pytest

from netfs.cluster.endpoint import resolve
from netfs.datapath import request, trace
from netfs.datapath.request import Request
from tests.unit import clusters


@pytest.mark.parametrize("asked", [request(), request(proto="udp", port=80), request(proto="tcp", port=80)])
def test_the_choice_of_the_source_is_told_whatever_the_protocol(asked: Request) -> None:
    """An IPv4 connection of TCP asks for its route once more, with the source."""
    topology = clusters.two_nodes()
    first = trace(topology, resolve(topology, "pod-a"), resolve(topology, "pod-b"), asked).forward.hops[0]
    assert first.why.endswith(", source 10.244.1.2: the address of eth0 whose subnet holds the next hop 10.244.1.1")
