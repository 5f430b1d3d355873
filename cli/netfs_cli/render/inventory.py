"""Nodes, pods and links as tables."""

from __future__ import annotations

from netfs.model.text import printable
from netfs_cli.inventory import LinkRow, Links, NodeRow, Nodes, PodRow, Pods
from netfs_cli.render.ink import Ink
from netfs_cli.render.table import table

_Row = list[str | int | None]


def render(answer: Nodes | Pods | Links, ink: Ink, *, wide: bool, names: bool, headers: bool, every: bool) -> str:
    """A table, or with ``names`` one ``kind/name`` per line. ``every``: pods of all namespaces, NAMESPACE first."""
    if names:
        return "".join(f"{printable(_name(row))}\n" for row in answer.items)
    if isinstance(answer, Nodes):
        return _nodes(answer, ink, wide, headers)
    if isinstance(answer, Pods):
        return _pods(answer, ink, wide, headers, every)
    return _links(answer, ink, wide, headers)


def _name(row: NodeRow | PodRow | LinkRow) -> str:
    if isinstance(row, NodeRow):
        return f"node/{row.name}"
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


def _links(answer: Links, ink: Ink, wide: bool, headers: bool) -> str:
    heads = ["NODE", "NETNS", "NAME", "KIND", "STATE", "MTU", "MAC", "MASTER", "PEER"]
    heads += ["INDEX", "ADDRESSES", "DETAIL"] if wide else []
    rows: list[_Row] = []
    for row in answer.items:
        cells: _Row = [row.node, row.netns, row.name, row.kind, row.state, row.mtu, row.mac, row.master, row.peer]
        rows.append(cells + ([row.index, ",".join(row.addresses), row.detail] if wide else []))
    return table(heads, rows, ink, headers=headers)
