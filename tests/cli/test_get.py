"""``netfs get``: tables as kubectl draws them, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from netfs.cluster.services import Services
from netfs.cluster.topology import Topology
from netfs.model.kubernetes import Kubernetes, Service, ServicePort
from netfs.model.snapshot import Firewall
from netfs_cli import inventory
from netfs_cli.render import inventory as tables
from netfs_cli.render.ink import Ink
from netfs_cli.render.table import table
from tests.cli.answers import ESCAPE
from tests.cli.conftest import FakeCluster, Result
from tests.unit.clusters import cluster as snapshots
from tests.unit.clusters import down, no_carrier, two_nodes
from tests.unit.services import OBJECTS, topology

Run = Callable[..., Result]


@pytest.mark.parametrize("arguments", ["nodes", "pods", "pods -A", "links", "nodes -o name", "pods -o name"])
def test_table_reads_as_agreed(run: Run, cluster: FakeCluster, arguments: str, snapshot: SnapshotAssertion) -> None:
    result = run("get", *arguments.split())
    assert (result.status, result.err) == (0, "")
    assert result.out == snapshot


@pytest.mark.parametrize("short", ["no", "node", "po", "pod", "link"])
def test_short_forms_are_the_same_question(run: Run, cluster: FakeCluster, short: str) -> None:
    plural = {"no": "nodes", "po": "pods"}.get(short[:2], "links")
    assert run("get", short).out == run("get", plural).out


def test_wide_only_adds_columns(run: Run, cluster: FakeCluster) -> None:
    for kind in ("nodes", "pods", "links"):
        narrow, wide = run("get", kind).out.splitlines(), run("get", kind, "-o", "wide").out.splitlines()
        assert [line.split()[:4] for line in narrow] == [line.split()[:4] for line in wide]
        assert len(wide[0].split()) > len(narrow[0].split())


def test_wide_links_tell_what_is_particular_to_a_kind(run: Run, cluster: FakeCluster) -> None:
    lines = run("get", "links", "-o", "wide").out.splitlines()
    (vxlan,) = (line for line in lines if line.startswith("node1") and "flannel.1" in line)
    assert "vni 1 port 8472 local 192.168.52.11" in vxlan


def test_no_headers_leaves_the_rows(run: Run, cluster: FakeCluster) -> None:
    with_heads = run("get", "nodes").out.splitlines()
    assert [line.split() for line in run("get", "nodes", "--no-headers").out.splitlines()] == [
        line.split() for line in with_heads[1:]
    ]


def test_namespace_chooses_pods_and_nothing_is_said_on_stdout(run: Run, cluster: FakeCluster) -> None:
    assert run("get", "pods", "-n", "elsewhere") == Result(0, "", "")
    assert run("get", "pods", "-n", "elsewhere", "-A").out == run("get", "pods", "-A").out
    assert json.loads(run("get", "pods", "-n", "elsewhere", "-o", "json").out)["items"] == []


@pytest.mark.parametrize(("kind", "schema"), [("nodes", "nodes"), ("pods", "pods"), ("links", "links")])
def test_json_holds_a_schema_and_every_row(run: Run, cluster: FakeCluster, kind: str, schema: str) -> None:
    shown = json.loads(run("get", kind, "-o", "json").out)
    assert shown["schema"] == f"netfs.{schema}/v1"
    assert len(shown["items"]) == len(run("get", kind, "--no-headers").out.splitlines())


def test_peer_is_where_the_other_end_is() -> None:
    rows = {(row.netns, row.name): row for row in inventory.links(two_nodes()).items}
    host, peer = rows["pod-a", "eth0"].peer.split("/")  # type: ignore[union-attr]
    assert host == "node1"
    assert rows[host, peer].peer == "pod-a/eth0"


def test_a_peer_that_was_not_seen_says_so() -> None:
    topology = Topology([node for node in snapshots() if node.role == "node"])
    rows = {(row.netns, row.name): row for row in inventory.links(topology).items}
    assert (rows["node1", "eth0"].peer or "").startswith("unseen/if")


@pytest.mark.parametrize(("edit", "state"), [(down("cni0"), "down"), (no_carrier("cni0"), "no-carrier")])
def test_state_tells_down_from_no_carrier(edit: object, state: str) -> None:
    rows = inventory.links(two_nodes(node1=edit)).items  # type: ignore[arg-type]
    assert [row.state for row in rows if (row.netns, row.name) == ("node1", "cni0")] == [state]


def test_hostile_names_stay_in_their_cell() -> None:
    node = snapshots()[0]
    hostile = replace(node, name=ESCAPE, source=ESCAPE, release=ESCAPE)
    service = Service(ESCAPE, ESCAPE, selector={ESCAPE: ESCAPE}, external_name=ESCAPE)
    views = Services(Topology([hostile], Kubernetes((service,)))).all
    for answer in (
        inventory.nodes(Topology([hostile])),
        inventory.links(Topology([hostile])),
        inventory.services(views, None),
    ):
        for names in (False, True):
            text = tables.render(answer, Ink(), wide=True, names=names, headers=False, every=True)
            assert len(text.splitlines()) == len(answer.items)
            assert all(char.isprintable() for char in text.replace("\n", ""))


def test_columns_stand_in_line_under_wide_characters() -> None:
    text = table(["NAME", "IP"], [["節点", "1"], ["abcdef", "2"], ["", None]], Ink())
    assert text == "NAME     IP\n節点     1\nabcdef   2\n<none>   <none>\n"


def test_an_unknown_kind_is_a_usage_error(run: Run, cluster: FakeCluster) -> None:
    result = run("get", "volumes")
    assert (result.status, result.out) == (2, "")
    assert "nodes, pods, services or links" in result.err


@pytest.fixture
def served(cluster: FakeCluster) -> FakeCluster:
    """The cluster with Services, of which its API tells."""
    shop = Service(
        "shop",
        "team",
        "LoadBalancer",
        ("10.96.0.40", "fd96::28"),
        (ServicePort(443, name="https", node_port=30443),),
        {"app": "shop", "tier": "front"},
        external_traffic_policy="Local",
        internal_traffic_policy="Local",
        affinity_seconds=10800,
    )
    served_too = replace(shop, name="pay", load_balancer_ips=("203.0.113.80",), external_traffic_policy="Cluster")
    cluster.topology = topology(objects=replace(OBJECTS, services=(*OBJECTS.services, shop, served_too)))
    return cluster


@pytest.mark.parametrize(
    "arguments", ["services", "services -A", "services -A -o wide", "services -o name", "svc -n team"]
)
def test_services_read_as_kubectl_shows_them(
    run: Run, served: FakeCluster, arguments: str, snapshot: SnapshotAssertion
) -> None:
    result = run("get", *arguments.split())
    assert (result.status, result.err) == (0, "")
    assert result.out == snapshot


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_services_of_rules_say_where_they_come_from(
    run: Run, cluster: FakeCluster, mode: str, snapshot: SnapshotAssertion
) -> None:
    """Both modes of kube-proxy name the same ones."""
    cluster.topology = topology(mode, objects=None)
    assert run("get", "services", "-o", "wide").out == snapshot(name="rules")


def test_services_as_json_hold_their_backends_and_policies(run: Run, served: FakeCluster) -> None:
    shown = json.loads(run("get", "services", "-A", "-o", "json").out)
    assert shown["schema"] == "netfs.services/v1"
    items = {item["name"]: item for item in shown["items"]}
    half, shop = items["half"], items["shop"]
    assert (half["ready"], half["endpoints"], [each["ready"] for each in half["backends"]]) == (1, 2, [True, False])
    assert (shop["cluster_ips"], shop["external_traffic_policy"]) == (["10.96.0.40", "fd96::28"], "Local")
    assert shop["ports"][0]["node_port"] == 30443


def test_policies_that_rules_do_not_tell_are_null(run: Run, cluster: FakeCluster) -> None:
    cluster.topology = topology("iptables", objects=None)
    items = json.loads(run("get", "services", "-o", "json").out)["items"]
    assert {(item["source"], item["internal_traffic_policy"]) for item in items} == {("rules", None)}


def test_services_without_names_are_in_every_namespace(run: Run, cluster: FakeCluster) -> None:
    """Rules of IPVS tell addresses alone."""
    ipvs = Firewall(ipvs="-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.2.2:80 -m -w 1\n")
    cluster.topology = two_nodes(node1=lambda netns: replace(netns, firewall=ipvs))
    assert run("get", "services", "-n", "team", "--no-headers").out.split() == [
        *("10.96.0.10", "ClusterIP", "10.96.0.10", "<none>", "80/TCP", "1/1")
    ]


def test_where_there_is_no_service_nothing_is_printed(run: Run, cluster: FakeCluster) -> None:
    assert run("get", "services") == Result(0, "", "")
