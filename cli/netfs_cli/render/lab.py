"""A lab: its members as a table, and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import count
from netfs_cli.render.table import table

if TYPE_CHECKING:
    from netfs.model.kubernetes import Service
    from netfs_cli.commands.lab import LabAnswer


def status(lab: LabAnswer, ink: Ink) -> str:
    """What runs, and what is broken in it."""
    dead = sum(not member.alive for member in (*lab.nodes, *lab.pods))
    head = f"lab {printable(lab.name)}: {count(len(lab.nodes), 'node')}, {count(len(lab.pods), 'pod')}"
    head += ", as root" if lab.root else ", rootless"
    if lab.services:
        served = "that nobody serves" if lab.proxy == "none" else f"by kube-proxy on {lab.proxy}"
        head += f", {count(len(lab.services), 'Service')} {served}"
    rows = [
        (member.name, member.kind, member.node, member.ip, member.pid, "running" if member.alive else "DEAD")
        for member in (*lab.nodes, *lab.pods)
    ]
    lines = [ink.bold(head), table(["NAME", "KIND", "NODE", "IP", "PID", "STATE"], rows, ink).rstrip("\n")]
    if lab.services:
        heads = ["SERVICE", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)"]
        lines += ["", table(heads, [_service(service) for service in lab.services], ink).rstrip("\n")]
    if lab.network_policies:
        names = ", ".join(printable(f"{policy.namespace}/{policy.name}") for policy in lab.network_policies)
        lines += ["", f"NetworkPolicies, {'enforced' if lab.enforce else 'which nothing enforces'}: {names}"]
    if dead:
        lines.append(
            ink.bad(f"{ink.sign('✗')} half dead: netfs lab down{_name(lab.name)}, then netfs lab up{_name(lab.name)}")
        )
    if lab.broken:
        slugs = ", ".join(printable(slug) for slug in lab.broken)
        lines.append(ink.doubtful(f"{ink.sign('!')} broken on purpose: {slugs}"))
    lines += [ink.dim(f"note: {printable(note)}") for note in lab.notes]
    return "\n".join(lines) + "\n"


def _service(service: Service) -> tuple[str | None, ...]:
    ports = [
        f"{port.port}{f':{port.node_port}' if port.node_port else ''}/{port.protocol.upper()}" for port in service.ports
    ]
    outside = service.type == "ExternalName"
    external = (service.external_name,) if outside else (*service.external_ips, *service.load_balancer_ips)
    cluster = ",".join(service.cluster_ips) or (None if outside else "None")
    return service.name, service.type, cluster, ",".join(filter(None, external)), ",".join(ports)


def up(lab: LabAnswer, ink: Ink) -> str:
    """The same, with the next commands to try."""
    lines = ["", ink.bold("Next:"), f"  netfs trace {_ends(lab)}{_source(lab.name)}"]
    reached = next((service for service in lab.services if service.cluster_ips and service.ports), None)
    if reached is not None and lab.pods:
        port = reached.ports[0]
        proto = f" --proto {port.protocol}" if port.protocol != "tcp" else ""
        wanted = f"{lab.pods[0].name} svc/{printable(reached.name)}{proto} --port {port.port}"
        lines.append(f"  netfs trace {wanted}{_source(lab.name)}")
    lines += [f"  netfs lab break vxlan-fdb-missing{_name(lab.name)}", f"  netfs lab down{_name(lab.name)}"]
    return status(lab, ink) + "\n".join(lines) + "\n"


def changed(done: tuple[str, ...], lab: str, slug: str | None, question: str | None, ink: Ink) -> str:
    """What breaking or repairing did, line by line, and what to look at now.

    ``slug``: what is broken now; ``question``: the trace that shows it.
    """
    lines = [printable(line) for line in done] or ["nothing to do"]
    lines += ["", ink.bold("Next:")]
    lines += [f"  {question}{_source(lab)}"] if question else []
    lines += [f"  netfs doctor{_source(lab)}"]
    lines += [f"  netfs explain {printable(slug)}", f"  netfs lab repair{_name(lab)}"] if slug else []
    return "\n".join(lines) + "\n"


def _ends(lab: LabAnswer) -> str:
    if len(lab.pods) < 2:
        return "node/node1 " + (lab.pods[0].name if lab.pods else "node/node2")
    first = lab.pods[0]
    far = next((pod for pod in lab.pods if pod.node != first.node), lab.pods[1])
    return f"{first.name} {far.name}"


def _name(lab: str) -> str:
    return "" if lab == "default" else f" --name {lab}"


def _source(lab: str) -> str:
    return "" if lab == "default" else f" --source lab:{lab}"
