"""The file format: exact there and back, and SnapshotError for whatever is not it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.errors import SnapshotError
from netfs.model.address import Address, FdbEntry, Neighbour
from netfs.model.gaps import Gap
from netfs.model.kubernetes import (
    EndpointPort,
    EndpointSlice,
    Kubernetes,
    LabelSelector,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Requirement,
    Service,
    ServicePort,
    SliceEndpoint,
)
from netfs.model.link import Bridge, BridgePort, Link, LinkStats, Macvlan, Vxlan
from netfs.model.route import NextHop, Route, Rule
from netfs.model.snapshot import Connection, Container, Firewall, Listener, NetNs, NodeSnapshot, Pod, Snapshots
from netfs.sources import document
from netfs.sources.schema import KINDS, json_schema

POD = NetNs(
    id=11,
    name="pod-a",
    pids=(4, 9),
    pins=("/run/netns/pod-a",),
    links=(
        Link(1, "lo", flags=0x49, arp_type=772),
        Link(2, "eth0", "veth", mac="02:00:00:00:00:02", link_index=5, link_netnsid=0, link_netns=10),
    ),
    addresses=(Address(2, 4, "10.244.1.2", 24, broadcast="10.244.1.255"), Address(2, 6, "fe80::1", 64, scope=253)),
    routes=(Route(4, "0.0.0.0/0", nexthops=(NextHop(2, "10.244.1.1"),)), Route(6, "fd00::/64", src="fd01::/64")),
    rules=(Rule(4, 0, table=255), Rule(6, 7, sport=(1, 2), src="fd00::/8", unknown=("dscp",))),
    neighbours=(Neighbour(2, 4, "10.244.1.1", "02:00:00:00:00:01"),),
    listeners=(Listener("tcp", 6, "::", 80, v6only=True),),
    sysctls={"net.ipv4.ip_forward": 1},
    counters={"Ip.InReceives": 1 << 40},
    firewall=Firewall(nft='{"nftables": []}'),
    connections=(
        Connection("udp", "10.244.1.2", "10.96.0.10", "10.244.2.2", "10.244.1.2", 40000, 53, 53, 40000, ("dnat",)),
    ),
)
NODE = NetNs(
    id=10,
    name="node1",
    links=(
        Link(5, "vethA", "veth", master=6, port=BridgePort(hairpin=True), stats=LinkStats(rx_packets=3)),
        Link(
            6,
            "cni0",
            "bridge",
            bridge=Bridge(stp=True),
            ipv4={"forwarding": 1},
            features={"tx-checksum-ip-generic": True},
        ),
        Link(7, "flannel.1", "vxlan", vxlan=Vxlan(1, 8472, local="192.0.2.1", lower=2), alias="a \x1b[31mname"),
        Link(8, "mv", "macvlan", macvlan=Macvlan("source", ("02:00:00:00:00:09",))),
    ),
    fdb=(FdbEntry(7, "02:00:00:00:00:07", flags=2, dst="192.0.2.2", port=9),),
    listeners=None,
)
WEB = Service(
    "web",
    type="LoadBalancer",
    cluster_ips=("10.96.0.10", "fd96::a"),
    ports=(ServicePort(80, "tcp", "http", "www", 30080), ServicePort(53, "udp", "dns", 5353)),
    selector={"app": "web"},
    external_ips=("192.0.2.10",),
    load_balancer_ips=("192.0.2.11",),
    load_balancer_source_ranges=("198.51.100.0/24",),
    affinity_seconds=10800,
)
SLICE = EndpointSlice("web", "default", (EndpointPort(80, "tcp", "http"),), (SliceEndpoint("10.244.1.2"),))
POLICY = NetworkPolicy(
    "only-web",
    pods=LabelSelector({"app": "web"}, (Requirement("tier", "In", ("front",)),)),
    ingress=(PolicyRule((PolicyPeer(cidr="10.0.0.0/8", excluded=("10.1.0.0/16",)),), (PolicyPort("tcp", 80, 90),)),),
)
KUBERNETES = Kubernetes((WEB,), (SLICE,), (POLICY,), {"default": {"team": "a"}})
SNAPSHOTS = Snapshots(
    (
        NodeSnapshot(
            "node1",
            "b0071d",
            10,
            (NODE, POD),
            pods=(Pod("pod-a", 11, containers=(Container("c", "0123"),), labels={"app": "x"}),),
            gaps=(Gap("node1", "features", "because", 10),),
            taken_at=1763710000.123456,
        ),
    ),
    KUBERNETES,
)
DATA = document.encode(SNAPSHOTS)


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_written_is_read_back_equal(compress: bool) -> None:
    assert document.decode(document.encode(SNAPSHOTS, compress=compress)) == SNAPSHOTS


@pytest.mark.parametrize("name", ["cluster.json", "cluster.json.zst"])
def test_files_are_written_whole_and_leave_no_draft(tmp_path: Path, name: str) -> None:
    document.write(SNAPSHOTS, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(document.ZSTD_MAGIC) == name.endswith(".zst")
    assert document.read(str(tmp_path / name)) == SNAPSHOTS


def changed(**fields: Any) -> bytes:
    value = json.loads(DATA)
    value.update(fields)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (DATA[: len(DATA) // 2], "truncated"),
        (document.encode(SNAPSHOTS, compress=True)[:-9], "truncated"),
        (document.ZSTD_MAGIC + b"garbage", "damaged"),
        (b"hello", "not JSON"),
        (b"[1, 2]", "not a netfs snapshot"),
        (b'{"a": 1}', "not a netfs snapshot"),
        (b'{"schema": "netfs.trace/v1"}', "another kind"),
        (changed(schema="netfs.snapshot/v9"), "version 'netfs.snapshot/v9'"),
        (changed(schema="netfs.snapshot/v9", nodes=3), "version 'netfs.snapshot/v9'"),
        (changed(nodes=[{"name": 3}]), "nodes"),
        (b'{"schema":"netfs.snapshot/v1","nodes":' + b"[" * 100_000, "netfs"),
        (b"\xff\xfe{}", "not JSON"),
    ],
)
def test_other_documents_are_refused_with_what_they_are(data: bytes, says: str) -> None:
    with pytest.raises(SnapshotError, match=says) as refused:
        document.decode(data, where="x.json")
    assert "\n" not in str(refused.value)


def test_a_document_that_unfolds_without_end_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 22))
    with pytest.raises(SnapshotError, match="unfolds to more than"):
        document.decode(bomb, largest=1 << 20)


def test_an_unreadable_file_is_a_snapshot_error(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        document.read(str(tmp_path))


def test_a_file_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "x.json"
    with pytest.raises(FileNotFoundError) as refused:
        document.write(SNAPSHOTS, path)
    assert refused.value.filename == str(path)


def objects_with(**fields: Any) -> Snapshots:
    return replace(SNAPSHOTS, kubernetes=replace(KUBERNETES, **fields))


def service_with(**fields: Any) -> Snapshots:
    return objects_with(services=(replace(WEB, **fields),))


def policy_with(rule: PolicyRule) -> Snapshots:
    return objects_with(network_policies=(replace(POLICY, egress=(rule,)),))


def connection_with(**fields: Any) -> Snapshots:
    (entry,) = POD.connections
    return netns_with(connections=(replace(entry, **fields),))


def netns_with(**fields: Any) -> Snapshots:
    node = SNAPSHOTS.nodes[0]
    return Snapshots((replace(node, namespaces=(replace(NODE, **fields), POD)),))


@pytest.mark.parametrize(
    "broken",
    [
        netns_with(addresses=(Address(2, 4, "10.244.1.300", 24),)),
        netns_with(addresses=(Address(2, 4, "10.244.1.3", 33),)),
        netns_with(addresses=(Address(2, 4, "fd00::1", 24),)),
        netns_with(addresses=(Address(2, 5, "10.0.0.1", 24),)),
        netns_with(routes=(Route(4, "10.0.0.0/x"),)),
        netns_with(routes=(Route(4, "10.0.0.0/24/7"),)),
        netns_with(routes=(Route(4, "10.0.0.0/24", nexthops=(NextHop(1, "gateway"),)),)),
        netns_with(routes=(Route(4, "10.0.0.0/24", nexthops=(NextHop(-1),)),)),
        netns_with(routes=(Route(6, "10.0.0.0/24"),)),
        netns_with(routes=(Route(4, "10.0.0.0"),)),
        netns_with(routes=(Route(4, "10.0.0.0/"),)),
        netns_with(routes=(Route(4, "10.0.0.0/+8"),)),
        netns_with(routes=(Route(4, "10.0.0.0/24", type="uni-cast"),)),
        netns_with(rules=(Rule(4, -5),)),
        netns_with(rules=(Rule(4, 5, action="fly"),)),
        netns_with(rules=(Rule(4, 5, src="10.0.0.0/99"),)),
        netns_with(neighbours=(Neighbour(1, 4, "10.0.0.1", "02:00"),)),
        netns_with(fdb=(FdbEntry(1, "02:00:00:00:00:01", dst="nowhere"),)),
        netns_with(fdb=(FdbEntry(1, "02:00:00:00:00:01", port=70000),)),
        netns_with(links=(Link(-1, "eth0"),)),
        netns_with(links=(Link(1, ""),)),
        netns_with(links=(Link(1, "eth0", mtu=1 << 70),)),
        netns_with(links=(Link(1, "v", vxlan=Vxlan(1, 8472, local="x")),)),
        netns_with(listeners=(Listener("tcp", 4, "0.0.0.0", -1),)),
        netns_with(sysctls={"x": 1 << 80}),
        netns_with(id=11),
        netns_with(id=99),
        connection_with(src="somewhere"),
        connection_with(reply_dst="fd00::1"),
        connection_with(dport=65536),
        connection_with(mark=-1),
        connection_with(zone=1 << 16),
        service_with(name=""),
        service_with(namespace=""),
        service_with(type="Sometimes"),
        service_with(cluster_ips=("None",)),
        service_with(external_ips=("10.0.0.256",)),
        service_with(load_balancer_ips=("",)),
        service_with(load_balancer_source_ranges=("10.0.0.0/33",)),
        service_with(ports=(ServicePort(0),)),
        service_with(ports=(ServicePort(80, target_port=70000),)),
        service_with(ports=(ServicePort(80, node_port=-1),)),
        service_with(ports=(ServicePort(80, "icmp"),)),
        service_with(affinity_seconds=1 << 40),
        service_with(external_traffic_policy="Near"),
        objects_with(endpoint_slices=(replace(SLICE, endpoints=(SliceEndpoint("db.example.com"),)),)),
        objects_with(endpoint_slices=(replace(SLICE, ports=(EndpointPort(65536),)),)),
        objects_with(endpoint_slices=(replace(SLICE, ports=(EndpointPort(80, "tcpp"),)),)),
        objects_with(network_policies=(replace(POLICY, types=("Sideways",)),)),
        objects_with(network_policies=(replace(POLICY, pods=LabelSelector({}, (Requirement("a", "Like"),))),)),
        policy_with(PolicyRule((PolicyPeer(cidr="10.0.0.0/40"),))),
        policy_with(PolicyRule((PolicyPeer(cidr="10.0.0.0/8", excluded=("here",)),))),
        policy_with(PolicyRule((), (PolicyPort("tcp", 80, 1 << 16),))),
        policy_with(PolicyRule((), (PolicyPort("esp"),))),
        Snapshots((replace(SNAPSHOTS.nodes[0], role="king"),)),
        Snapshots((replace(SNAPSHOTS.nodes[0], name=""),)),
    ],
)
def test_values_out_of_bounds_are_refused(broken: Snapshots) -> None:
    with pytest.raises(SnapshotError):
        document.decode(msgspec.json.encode(broken))


def decodes_or_is_refused(data: bytes) -> None:
    try:
        document.decode(data, largest=1 << 22)
    except SnapshotError as refused:
        str(refused)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: document.ZSTD_MAGIC + tail))
def test_random_bytes_are_refused(data: bytes) -> None:
    decodes_or_is_refused(data)


@settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(1, 2 * len(DATA)),
    compress=st.booleans(),
)
def test_mutated_documents_decode_or_are_refused(edits: list[tuple[int, int]], cut: int, compress: bool) -> None:
    data = bytearray(document.encode(SNAPSHOTS, compress=compress))
    for at, value in edits:
        data[at % len(data)] = value
    decodes_or_is_refused(bytes(data[:cut]))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_documents_with_any_value_exchanged_decode_or_are_refused(data: st.DataObject) -> None:
    value: Any = json.loads(DATA)
    at: Any = value
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 9)) == 0:
            at[key] = data.draw(SCALARS | st.lists(SCALARS, max_size=2))
            break
        at = at[key]
    decodes_or_is_refused(json.dumps(value).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_name_their_version(kind: str) -> None:
    schema = json_schema(kind)
    root = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert root["properties"]["schema"] == {"const": kind}
