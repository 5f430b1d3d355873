"""The page: who it is, its containers, its network, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.containers import SANDBOX
from netfs.model.inspected import Inspected, InspectedContainer
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.inspect import container, network
from netfs_cli.render.inspect.block import Style, labelled
from netfs_cli.render.layers.words import short, tail

SCREEN = 100
"""Columns where no terminal says how many it has."""

ENGINES = (
    "annotation.",
    "com.docker/",
    "io.buildah.",
    "io.container.",
    "io.cri-",
    "io.kubernetes.",
    "io.podman.",
    "org.opencontainers.",
)
"""Labels that engines write for themselves, and what images are called by."""


def render(answer: Inspected, ink: Ink, *, width: int | None, wide: bool) -> str:
    """Text that fits a screen for a pod of one container. ``wide``: everything, on lines as long as they are."""
    style = Style(ink, None if wide else width or SCREEN, wide)
    lines = [ink.bold(f"{printable(answer.kind)} {printable(answer.name)}") + _on(answer), *_identity(answer, style)]
    for each in _told(answer, style):
        if answer.kind == "pod":
            lines += ["", ink.bold(f"container {printable(container.name(each))}")]
        lines += container.lines(answer, each, style)
    drawn = network.lines(answer, style)
    lines += ["", ink.bold("network"), *drawn] if drawn else []
    if answer.findings:
        lines += ["", ink.bold("findings") + f"  {findings.tally(answer.findings)}"]
        lines += findings.findings(answer.findings, ink, style.width)[:-1]
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)]) + "\n"


def _on(answer: Inspected) -> str:
    return f" on {printable(answer.node)}" if answer.node and answer.name != answer.node else ""


def _identity(answer: Inspected, style: Style) -> Iterator[str]:
    own = [(key, value) for key, value in sorted(answer.labels.items()) if not key.startswith(ENGINES)]
    labels = ", ".join(f"{key}={value}" for key, value in own)
    yield from labelled("UID", [printable(answer.uid)], style)
    if not style.wide:  # there each container has its own
        yield from labelled("Labels", [style.cut(labels, style.room)], style)
    if answer.kind == "pod" and len(answer.containers) > 1:
        yield from labelled("Containers", [style.told(", ".join(map(_in_short, answer.containers)))], style)


def _in_short(each: InspectedContainer) -> str:
    """``app (running)``; of a sandbox its id as well: it has no part of its own on the page."""
    state = each.container.state or ("running" if each.init is not None else "not running")
    beginning = f" {short(each.container.id)}" if each.container.role == SANDBOX and each.container.id else ""
    return f"{container.name(each)}{beginning} ({state})"


def _told(answer: Inspected, style: Style) -> list[InspectedContainer]:
    """The containers; a sandbox holds namespaces alone, so it is left out where there are others."""
    others = [each for each in answer.containers if each.container.role != SANDBOX]
    return others if others and not style.wide else list(answer.containers)
