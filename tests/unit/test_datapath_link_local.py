"""A link-local address means something on one link alone, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import request, trace
from netfs.model.address import Address
from netfs.model.snapshot import NetNs, NodeSnapshot
from tests.unit.clusters import KERNEL, device, mac, namespace

ROUTER = 10


def link_local(index: int, local: str) -> Address:
    """An address of scope link, with its /64."""
    return Address(index, 6, local, 64, scope=253, flags=0x80)


def host(number: int) -> NetNs:
    """A namespace with one veth to the router."""
    peer: dict[str, Any] = {"link_index": number + 1, "link_netns": ROUTER, "link_netnsid": 0}
    return namespace(
        ROUTER + number,
        f"c{number}",
        [device(2, "e0", "veth", mac=mac(1, number), **peer)],
        [link_local(2, f"fe80::{number}")],
    )


def topology() -> Topology:
    """A router with a veth to each of two hosts."""
    links = [
        device(n + 1, f"r{n}", "veth", mac=mac(2, n), link_index=2, link_netns=ROUTER + n, link_netnsid=n, router=True)
        for n in (1, 2)
    ]
    spaces = [
        namespace(ROUTER, "r", links, [link_local(2, "fe80::a1"), link_local(3, "fe80::a2")], router=True),
        host(1),
        host(2),
    ]
    return Topology(
        NodeSnapshot(name=space.name, kernel=KERNEL, netns=space.id, namespaces=(space,)) for space in spaces
    )


@pytest.mark.parametrize(
    ("source", "destination", "device_of_answer"),
    [("c1", "fe80::a1", "r1"), ("c2", "fe80::a2", "r2"), ("r", "fe80::1", "e0"), ("r", "fe80::2", "e0")],
)
def test_a_host_with_two_links_is_reached_and_answers_on_the_right_one(
    source: str, destination: str, device_of_answer: str
) -> None:
    """The router holds fe80::/64 twice; its answer leaves by the device the question came in by."""
    world = topology()
    answer = trace(world, resolve(world, f"node/{source}"), resolve(world, destination), request(family=6))
    assert answer.verdict == "delivered"
    assert answer.reverse.hops[0].device == device_of_answer
