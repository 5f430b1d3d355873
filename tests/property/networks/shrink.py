"""Makes a disagreement small: takes parts of a network away as long as the disagreement stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tests.property.networks.spec import Spec

Part = Callable[[Spec], Spec | None]
"""Takes one part away; None: it is gone already, or something else needs it."""


def shrink(spec: Spec, disagrees: Callable[[Spec], bool], budget: int = 120) -> Spec:
    """The smallest network found within ``budget`` trials that still disagrees."""
    progress = True
    while progress and budget > 0:
        progress = False
        for part in list(_parts(spec)):
            smaller = part(spec)
            if smaller is None or budget <= 0:
                continue
            budget -= 1
            if disagrees(smaller):
                spec, progress = smaller, True
    return spec


def _parts(spec: Spec) -> Iterator[Part]:
    """Everything that may go, the largest parts first."""
    for fault in spec.faults:
        yield partial(_without_fault, name=fault.name, netns=fault.netns)
    for ns in spec.namespaces:
        yield partial(_without_namespace, name=ns.name)
    yield _plain_probe
    for ns in spec.namespaces:
        half = len(ns.lines) // 2
        if half > 2:
            yield partial(_without_lines, name=ns.name, lines=ns.lines[:half])
            yield partial(_without_lines, name=ns.name, lines=ns.lines[half:])
    for ns in spec.namespaces:
        for line in ns.lines:
            if line != "ip link set lo up":
                yield partial(_without_lines, name=ns.name, lines=(line,))


def _without_fault(spec: Spec, name: str, netns: str) -> Spec | None:
    faults = tuple(fault for fault in spec.faults if (fault.name, fault.netns) != (name, netns))
    return replace(spec, faults=faults) if faults != spec.faults else None


def _plain_probe(spec: Spec) -> Spec | None:
    """An echo of the usual size."""
    plain = replace(spec.probe, proto="icmp", port=None, listening=True, size=84)
    return replace(spec, probe=plain) if plain != spec.probe else None


def _without_lines(spec: Spec, name: str, lines: tuple[str, ...]) -> Spec | None:
    needed = {fault.old for fault in spec.faults if fault.netns == name}
    namespaces = tuple(
        replace(ns, lines=tuple(line for line in ns.lines if line not in lines or line in needed))
        if ns.name == name
        else ns
        for ns in spec.namespaces
    )
    return replace(spec, namespaces=namespaces) if namespaces != spec.namespaces else None


def _without_namespace(spec: Spec, name: str) -> Spec | None:
    """The network without a namespace and its wires."""
    others = tuple(ns for ns in spec.namespaces if ns.name != name)
    if name in (spec.probe.source, spec.probe.target) or len(others) == len(spec.namespaces):
        return None
    if any(f"@{name} " in line for ns in others for line in ns.lines):
        return None
    wires = tuple(w for w in spec.wires if name not in (w.a.split("/")[0], w.b.split("/")[0]))
    faults = tuple(fault for fault in spec.faults if fault.netns != name)
    return replace(spec, namespaces=others, wires=wires, faults=faults)
