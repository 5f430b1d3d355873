"""Pods by the names that engines gave them. Pure: a snapshot knows namespaces, and of containers only their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netfs.model.containers import SANDBOX, Placed
from netfs.model.processes import Process
from netfs.model.snapshot import Container, NodeSnapshot, Pod


def named(node: NodeSnapshot, placed: Sequence[Placed], processes: Mapping[int, Process]) -> NodeSnapshot:
    """The node with the names, UIDs, labels and containers of its pods, as far as engines know them.

    A pod is a network namespace; what runs in the node's own is none. Of plain containers that share one, the pod is
    called after the one that was there first.
    """
    inside: dict[int, list[Placed]] = {}
    for each in placed:
        process = processes.get(each.init) if each.init is not None else None
        netns = process.namespaces.get("net") if process is not None else None
        if netns is not None and each.by != "namespace":
            inside.setdefault(netns, []).append(each)
    pods = tuple(_named(pod, inside.get(pod.netns, ()), processes) for pod in node.pods)
    names = {pod.netns: pod.name for pod in pods}
    spaces = tuple(replace(each, name=names.get(each.id, each.name)) for each in node.namespaces)
    return replace(node, pods=pods, namespaces=spaces)


def _named(pod: Pod, inside: Sequence[Placed], processes: Mapping[int, Process]) -> Pod:
    if not inside:
        return pod
    ordered = sorted(inside, key=lambda each: (processes[each.init or 0].started, each.container.id))
    of_a_pod = [each.container for each in ordered if each.container.pod]
    first = of_a_pod[0] if of_a_pod else ordered[0].container
    bearer = next((each.container for each in ordered if each.container.role == SANDBOX), first)
    return replace(
        pod,
        name=first.pod or first.called,
        namespace=first.namespace or pod.namespace,
        uid=first.pod_uid or None,
        labels=dict(bearer.labels) if of_a_pod or len(ordered) == 1 else {},
        containers=tuple(_container(each) for each in ordered if each.container.role != SANDBOX or len(ordered) == 1),
        ips=pod.ips or tuple(dict.fromkeys(ip for each in ordered for ip in each.container.addresses)),
    )


def _container(placed: Placed) -> Container:
    held = placed.container
    return Container(
        held.role or held.called, held.id, held.runtime or None, held.image_name or held.image or None, placed.init
    )
