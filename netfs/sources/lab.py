"""``lab`` or ``lab:NAME``: the nodes of a running embedded lab, and the objects of its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.collect.target import PodTarget, Target
from netfs.errors import SourceError, SourceUriError
from netfs.sources.registry import DEFAULT
from netfs.sources.uri import Found, SourceUri

if TYPE_CHECKING:
    from netfs.lab.state import Member


def find(uri: SourceUri) -> Found:
    """The lab's nodes with their pods, and its underlay as fabric.

    Raises LabError where no lab of that name runs, SourceError where one of its members has died.
    """
    if uri.name is not None:
        raise SourceUriError(f"source {uri.text!r}: a lab has several nodes", hint="leave the name away")
    from netfs.lab import state

    lab = state.find(uri.rest or DEFAULT)
    for member in lab.members:
        if not member.alive:
            again = f"netfs lab down --name {lab.name} && netfs lab up --name {lab.name}"
            raise SourceError(f"{member.name} has died", where=uri.text, hint=again)
    nodes = tuple(
        Target(
            node.name,
            _path(node),
            pods=tuple(
                PodTarget(
                    pod.name,
                    _path(pod),
                    ips=tuple(ip for ip in (pod.ip, pod.ip6) if ip is not None),
                    labels=pod.labels,
                )
                for pod in lab.pods
                if pod.node == node.name
            ),
            source=uri.text,
        )
        for node in lab.nodes
    )
    fabric = Target("underlay", _path(lab.fabric), role="fabric", source=uri.text)
    return Found((*nodes, fabric), None if lab.root else lab.userns_pid, kubernetes=lab.kubernetes)


def _path(member: Member) -> str:
    return f"/proc/{member.pid}/ns/net"
