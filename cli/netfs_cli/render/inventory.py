"""Nodes, pods, Services and links as tables."""

from __future__ import annotations

from netfs.model.text import printable
from netfs_cli.inventory import LinkRow, Links, NodeRow, Nodes, PodRow, Pods, ServiceRow, Services
from netfs_cli.render.ink import Ink
from netfs_cli.render.table import table

UNKNOWN = "<unknown>"
_Row = list[str | int | None]


def render(
    answer: Nodes | Pods | Services | Links, ink: Ink, *, wide: bool, names: bool, headers: bool, every: bool
) -> str:
    """A table, or with ``names`` one ``kind/name`` per line. ``every``: of all namespaces, NAMESPACE first."""
    if names:
        return "".join(f"{printable(_name(row))}\n" for row in answer.items)
    if isinstance(answer, Nodes):
        return _nodes(answer, ink, wide, headers)
    if isinstance(answer, Pods):
        return _pods(answer, ink, wide, headers, every)
    if isinstance(answer, Services):
        return _services(answer, ink, wide, headers, every)
    return _links(answer, ink, wide, headers)


def _name(row: NodeRow | PodRow | ServiceRow | LinkRow) -> str:
    if isinstance(row, NodeRow):
        return f"node/{row.name}"
    if isinstance(row, ServiceRow):
        return f"service/{row.name}"
    return f"pod/{row.name}" if isinstance(row, PodRow) else f"link/{row.node}/{row.netns}/{row.name}"


def _nodes(answer: Nodes, ink: Ink, wide: bool, headers: bool) -> str:
    heads = ["NAME", "IP", "PODS", "KERNEL", "SOURCE", "GAPS"] + (["HOSTNAME", "NETNS", "ADDRESSES"] if wide else [])
    rows: list[_Row] = []
    for row in answer.items:
        cells: _Row = [row.name, row.ip, row.pods, row.kernel, row.source, row.gaps]
        rows.append(cells + ([row.hostname, row.netns, ",".join(row.ips)] if wide else []))
    return table(heads, rows, ink, headers=headers)


def _pods(answer: Pods, ink: Ink, wide: bool, headers: bool, every: bool) -> str:
    heads = ["NAMESPACE"] if every else []
    heads += ["NAME", "NODE", "IP", "NETNS"] + (["PID", "CONTAINERS", "ADDRESSES"] if wide else [])
    rows: list[_Row] = []
    for row in answer.items:
        cells: _Row = [row.namespace] if every else []
        cells += [row.name, row.node, row.ip, row.netns]
        rows.append(cells + ([row.pid, ",".join(row.containers), ",".join(row.ips)] if wide else []))
    return table(heads, rows, ink, headers=headers)


def _services(answer: Services, ink: Ink, wide: bool, headers: bool, every: bool) -> str:
    heads = ["NAMESPACE"] if every else []
    heads += ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "ENDPOINTS"]
    heads += ["SELECTOR", "POLICIES", "FROM"] if wide else []
    rows: list[_Row] = []
    for row in answer.items:
        cells: _Row = [row.namespace] if every else []
        cells += [row.name, row.type, _cluster_ip(row), _external(row), _ports(row), f"{row.ready}/{row.endpoints}"]
        rows.append(cells + ([_selector(row), _policies(row), row.source] if wide else []))
    return table(heads, rows, ink, headers=headers)


def _cluster_ip(row: ServiceRow) -> str | None:
    """``None`` is kubectl's word for a headless Service; of two addresses it shows the first, and so do we."""
    return row.cluster_ips[0] if row.cluster_ips else None if row.type == "ExternalName" else "None"


def _external(row: ServiceRow) -> str | None:
    pending = "<pending>" if row.type == "LoadBalancer" else None
    return row.external_name or ",".join(row.external_ips) or pending


def _ports(row: ServiceRow) -> str:
    return ",".join(
        f"{each.port}{f':{each.node_port}' if each.node_port else ''}/{each.protocol.upper()}" for each in row.ports
    )


def _selector(row: ServiceRow) -> str:
    return UNKNOWN if row.selector is None else ",".join(f"{key}={value}" for key, value in row.selector.items())


def _policies(row: ServiceRow) -> str:
    """What differs from the API's defaults."""
    if row.internal_traffic_policy is None:
        return UNKNOWN
    named = {"internal": row.internal_traffic_policy, "external": row.external_traffic_policy}
    told = [f"{name}={policy}" for name, policy in named.items() if policy != "Cluster"]
    return ",".join(told + ([f"affinity={row.affinity_seconds}s"] if row.affinity_seconds else []))


def _links(answer: Links, ink: Ink, wide: bool, headers: bool) -> str:
    heads = ["NODE", "NETNS", "NAME", "KIND", "STATE", "MTU", "MAC", "MASTER", "PEER"]
    heads += ["INDEX", "ADDRESSES", "DETAIL"] if wide else []
    rows: list[_Row] = []
    for row in answer.items:
        cells: _Row = [row.node, row.netns, row.name, row.kind, row.state, row.mtu, row.mac, row.master, row.peer]
        rows.append(cells + ([row.index, ",".join(row.addresses), row.detail] if wide else []))
    return table(heads, rows, ink, headers=headers)
