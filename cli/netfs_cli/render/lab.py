"""A lab: its members as a table, and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import count
from netfs_cli.render.table import table

if TYPE_CHECKING:
    from netfs_cli.commands.lab import LabAnswer


def status(lab: LabAnswer, ink: Ink) -> str:
    """What runs, and what is broken in it."""
    dead = sum(not member.alive for member in (*lab.nodes, *lab.pods))
    head = f"lab {printable(lab.name)}: {count(len(lab.nodes), 'node')}, {count(len(lab.pods), 'pod')}"
    head += ", as root" if lab.root else ", rootless"
    rows = [
        (member.name, member.kind, member.node, member.ip, member.pid, "running" if member.alive else "DEAD")
        for member in (*lab.nodes, *lab.pods)
    ]
    lines = [ink.bold(head), table(["NAME", "KIND", "NODE", "IP", "PID", "STATE"], rows, ink).rstrip("\n")]
    if dead:
        lines.append(
            ink.bad(f"{ink.sign('✗')} half dead: netfs lab down{_name(lab.name)}, then netfs lab up{_name(lab.name)}")
        )
    if lab.broken:
        slugs = ", ".join(printable(slug) for slug in lab.broken)
        lines.append(ink.doubtful(f"{ink.sign('!')} broken on purpose: {slugs}"))
    lines += [ink.dim(f"note: {printable(note)}") for note in lab.notes]
    return "\n".join(lines) + "\n"


def up(lab: LabAnswer, ink: Ink) -> str:
    """The same, with the next commands to try."""
    lines = ["", ink.bold("Next:"), f"  netfs trace {_ends(lab)}{_source(lab.name)}"]
    lines += [f"  netfs lab break vxlan-fdb-missing{_name(lab.name)}", f"  netfs lab down{_name(lab.name)}"]
    return status(lab, ink) + "\n".join(lines) + "\n"


def changed(done: tuple[str, ...], lab: str, slug: str | None, ink: Ink) -> str:
    """What breaking or repairing did, line by line, and what to look at now. ``slug``: what is broken now."""
    lines = [printable(line) for line in done] or ["nothing to do"]
    lines += ["", ink.bold("Next:"), f"  netfs doctor{_source(lab)}"]
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
