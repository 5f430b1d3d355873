"""The lab of ``clusters`` with a firewall as iptables-save prints it, and with an API's objects.

clustered(WEB, node1=rules(nat=[…]))      node1's iptables-nft holds these rules; the API knows of WEB
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from netfs.api import Cluster
from netfs.model.kubernetes import (
    EndpointPort,
    EndpointSlice,
    Kubernetes,
    Service,
    ServicePort,
    SliceEndpoint,
)
from netfs.model.snapshot import Firewall, NetNs, Snapshots
from tests.unit.clusters import Edit, change, cluster

BUILT_IN = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
}
WEB_IP = "10.96.0.10"
NODES = {"10.244.1": "node1", "10.244.2": "node2"}
PODS = {"10.244.1.2": "pod-a", "10.244.1.3": "pod-c", "10.244.2.2": "pod-b", "10.244.2.3": "pod-d"}


def saved(policies: Mapping[str, str] | None = None, **tables: Iterable[str]) -> str:
    """What iptables-save prints of these rules; policies but ACCEPT by chain of table filter."""
    text = ""
    for table, rules in tables.items():
        lines = list(rules)
        own = dict.fromkeys(line.split()[1] for line in lines if line.split()[1] not in BUILT_IN[table])
        text += f"*{table}\n"
        text += "".join(f":{chain} {(policies or {}).get(chain, 'ACCEPT')} [0:0]\n" for chain in BUILT_IN[table])
        text += "".join(f":{chain} - [0:0]\n" for chain in own) + "".join(f"{line}\n" for line in lines) + "COMMIT\n"
    return text


def rules(policies: Mapping[str, str] | None = None, *, legacy: bool = False, **tables: Iterable[str]) -> Edit:
    """Gives a namespace these rules of iptables."""

    def edit(netns: NetNs) -> NetNs:
        text, old = saved(policies, **tables), netns.firewall or Firewall()
        return replace(netns, firewall=replace(old, iptables_legacy=text) if legacy else replace(old, iptables=text))

    return edit


def proxied(*backends: str, address: str = WEB_IP, port: int = 80) -> list[str]:
    """Rules of table nat that send a Service's port to the first of the backends (or the next, …), as kube-proxy."""
    lines = [
        "-A PREROUTING -j KUBE-SERVICES",
        "-A OUTPUT -j KUBE-SERVICES",
        f"-A KUBE-SERVICES -d {address}/32 -p tcp -m tcp --dport {port} -j KUBE-SVC-WEB",
    ]
    for number, (name, backend) in enumerate(zip("ABCDEF", backends, strict=False)):
        left = len(backends) - number
        chance = f"-m statistic --mode random --probability {1 / left:.5f} " if left > 1 else ""
        lines += [
            f"-A KUBE-SVC-WEB {chance}-j KUBE-SEP-{name}",
            f"-A KUBE-SEP-{name} -p tcp -m tcp -j DNAT --to-destination {backend}",
        ]
    return lines


def service(*backends: str, name: str = "web", **fields: object) -> Kubernetes:
    """A Service of port 80 with these backends (``10.244.2.2:80``); those that end in ``!`` are not ready."""
    known: dict[str, object] = {"cluster_ips": (WEB_IP,), "ports": (ServicePort(80),), "selector": {"app": name}}
    slices = tuple(_slice(name, backend) for backend in backends)
    return Kubernetes((Service(name, **(known | fields)),), slices)  # type: ignore[arg-type]


def _slice(name: str, backend: str) -> EndpointSlice:
    address, _, port = backend.rstrip("!").partition(":")
    ready = not backend.endswith("!")
    end = SliceEndpoint(address, ready, ready, node=NODES.get(address.rpartition(".")[0]), pod=PODS.get(address))
    return EndpointSlice(name, ports=(EndpointPort(int(port)),), endpoints=(end,))


def clustered(
    kubernetes: Kubernetes | None = None,
    labels: Mapping[str, Mapping[str, str]] | None = None,
    **changes: Edit | Iterable[Edit],
) -> Cluster:
    """The two nodes, with edits by namespace, labels by pod and an API's objects."""
    snapshots = cluster(2, 2)
    for name, edits in changes.items():
        snapshots = change(snapshots, name.replace("_", "-"), *([edits] if callable(edits) else edits))
    labelled = tuple(
        replace(node, pods=tuple(replace(pod, labels=dict((labels or {}).get(pod.name, {}))) for pod in node.pods))
        for node in snapshots
    )
    return Cluster(Snapshots(labelled, kubernetes))
