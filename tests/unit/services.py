"""The lab of two nodes with Services: the API's objects, and the rules of kube-proxy in either mode.

    topology("iptables")                       the objects, and rules on both nodes
    topology("nftables", objects=None)         the rules alone, as on a node that nobody may ask the API of
    topology(objects=OBJECTS)                  the objects, and no rules at all
    topology("iptables", pod_b=down("eth0"))   with edits of ``clusters``

=======================  ==================  ============================================================
``default/svc/web``      10.96.0.10:80       pod-b and pod-d; node port 30080, external address 192.0.2.10
``default/svc/dns``      10.96.0.11:53       udp and tcp, both to port 80 of pod-c
``default/svc/empty``    10.96.0.12:80       no backend
``default/svc/half``     10.96.0.13:80       pod-b; pod-d is not ready
``default/svc/heads``    headless, port 80   pod-b and pod-c
``default/svc/outside``                      a name outside the cluster
=======================  ==================  ============================================================

``kube_proxy/`` holds what the kernel says of the rules once they are loaded. ``python -m tests.unit.services`` writes
it anew, in a network namespace of its own.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

from netfs.cluster.topology import Topology
from netfs.model.kubernetes import EndpointPort, EndpointSlice, Kubernetes, Service, ServicePort, SliceEndpoint
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot
from tests.unit import clusters

FOLDER = Path(__file__).parent / "kube_proxy"
PODS = {"pod-a": "10.244.1.2", "pod-b": "10.244.2.2", "pod-c": "10.244.1.3", "pod-d": "10.244.2.3"}
NODES = {"node1": "192.168.52.11", "node2": "192.168.52.12"}
GATEWAY = "192.168.52.1"
HTTP = ServicePort(80, name="http", target_port=80)


def endpoints(
    service: str, *pods: str, ports: tuple[EndpointPort, ...] = (EndpointPort(80, name="http"),)
) -> EndpointSlice:
    """A slice of these pods; one after a ``-`` is not ready."""
    found = tuple(
        SliceEndpoint(
            PODS[pod.lstrip("-")],
            ready=not pod.startswith("-"),
            serving=not pod.startswith("-"),
            node="node1" if pod.lstrip("-") in ("pod-a", "pod-c") else "node2",
            pod=pod.lstrip("-"),
        )
        for pod in pods
    )
    return EndpointSlice(service, ports=ports, endpoints=found)


WEB = Service(
    "web",
    type="NodePort",
    cluster_ips=("10.96.0.10",),
    ports=(replace(HTTP, node_port=30080),),
    selector={"app": "web"},
    external_ips=("192.0.2.10",),
)
DNS = Service(
    "dns",
    cluster_ips=("10.96.0.11",),
    ports=(ServicePort(53, "udp", "dns", 80), ServicePort(53, "tcp", "dns-tcp", 80)),
    selector={"app": "dns"},
)
EMPTY = Service("empty", cluster_ips=("10.96.0.12",), ports=(ServicePort(80),), selector={"app": "nothing"})
HALF = Service("half", cluster_ips=("10.96.0.13",), ports=(HTTP,), selector={"app": "half"}, affinity_seconds=10800)
HEADS = Service("heads", ports=(HTTP,), selector={"app": "heads"})
OUTSIDE = Service("outside", type="ExternalName", external_name="db.example.com")
OBJECTS = Kubernetes(
    services=(WEB, DNS, EMPTY, HALF, HEADS, OUTSIDE),
    endpoint_slices=(
        endpoints("web", "pod-b", "pod-d"),
        endpoints("dns", "pod-c", ports=(EndpointPort(80, "udp", "dns"), EndpointPort(80, "tcp", "dns-tcp"))),
        endpoints("half", "pod-b", "-pod-d"),
        endpoints("heads", "pod-b", "pod-c"),
    ),
    namespaces={"default": {"kubernetes.io/metadata.name": "default"}},
)


def _reflecting(netns: NetNs) -> NetNs:
    ports = (replace(each, port=replace(each.port, hairpin=True)) if each.port else each for each in netns.links)
    return replace(netns, links=tuple(ports))


@cache
def firewall(mode: str, node: str) -> Firewall:
    """A node's rules in a mode, as its own tools print them."""
    text = (FOLDER / ("iptables.save" if mode == "iptables" else "nftables.json")).read_text()
    text = text.replace(NODES["node1"], NODES[node])
    return Firewall(iptables=text) if mode == "iptables" else Firewall(nft=text)


def snapshots(mode: str | None = None, **changes: clusters.Edit) -> list[NodeSnapshot]:
    """The lab with the rules of a mode on its nodes, and edits by namespace.

    The fabric is the nodes' gateway, ports of the bridges reflect: as flannel's configuration has it.
    """
    made = clusters.change(clusters.cluster(2, 2), "fabric", clusters.new_address("br0", f"{GATEWAY}/24"))
    for node in NODES:
        rules = firewall(mode, node) if mode is not None else None
        made = clusters.change(made, node, _reflecting, clusters.add(routes=[clusters.route("0.0.0.0/0", 2, GATEWAY)]))
        made = clusters.change(made, node, lambda netns, rules=rules: replace(netns, firewall=rules))  # type: ignore[misc]
    for name, edit in changes.items():
        made = clusters.change(made, name.replace("_", "-"), edit)
    return made


def topology(mode: str | None = None, objects: Kubernetes | None = OBJECTS, **changes: clusters.Edit) -> Topology:
    """The same, joined, with the API's objects; None: nobody asked it."""
    return Topology(snapshots(mode, **changes), objects)


def _write() -> None:
    from netfs.lab.proxy import iptables, nftables
    from netfs.lab.proxy.frontend import Site

    site = Site("node1", NODES["node1"], "10.244.0.0/16", "10.96.0.0/12")
    FOLDER.mkdir(exist_ok=True)
    saved = _in_namespace("iptables-nft-restore && iptables-nft-save -c", iptables.text(OBJECTS, site))
    (FOLDER / "iptables.save").write_text("".join(line for line in saved.splitlines(True) if line[0] != "#"))
    listing = json.loads(_in_namespace("nft -f - && nft -j list ruleset", "".join(nftables.parts(OBJECTS, site))))
    lines = ",\n".join(json.dumps(each) for each in listing["nftables"])
    (FOLDER / "nftables.json").write_text(f'{{"nftables": [\n{lines}\n]}}\n')


def _in_namespace(script: str, text: str) -> str:
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", script]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    _write()
