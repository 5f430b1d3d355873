"""The pods of a live source are called as their engine calls them, wherever they are named."""

from __future__ import annotations

import pytest

import netfs
from tests.conformance.stores.docker import Docker

pytestmark = pytest.mark.kernel


def test_a_container_with_a_network_of_its_own_is_a_pod_of_its_name(dockerd: Docker) -> None:
    cluster = netfs.load(f"pid:{dockerd.machine.pid}")
    told = dockerd.container("networked")
    (view,) = (view for view in cluster.pods if view.name == "networked")
    assert view.pod is not None
    assert view.netns.name == "networked"
    assert [(each.name, each.id, each.runtime) for each in view.pod.containers] == [("networked", told["Id"], "docker")]
    addresses = {each["IPAddress"] for each in told["NetworkSettings"]["Networks"].values()}
    assert addresses <= {each.local for each in view.netns.addresses}
    assert set(view.pod.ips) >= addresses
    assert cluster.trace("networked", f"node/{cluster.nodes[0].name}").source.name == "default/networked"
