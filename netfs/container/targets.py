"""Targets: what the user names, found among the containers.

Forms: ``POD``, ``NAMESPACE/POD``, either with ``/CONTAINER`` behind it, a container's name, the beginning of its id,
one of its addresses. ``pod/…`` and ``container/…`` say which is meant; ``pid/N`` is a process, ``node/NAME`` a node,
``NODE/…`` what is on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from netfs.errors import EndpointError
from netfs.model.containers import SANDBOX, Container, Placed
from netfs.model.text import printable

LEAST = 3
"""Characters of an id: fewer are a guess."""
SHOWN = 12
"""Candidates that an error names."""


class Found(NamedTuple):
    """What a name leads to."""

    kind: str
    """``pod``, ``container``, ``node``, ``process``."""
    name: str
    node: str
    placed: tuple[Placed, ...] = ()
    """Its containers, a pod's sandbox last; of a node and of a process that no container has, none."""
    pid: int | None = None
    """The process that was named."""

    @property
    def pids(self) -> frozenset[int]:
        """Its processes; of a node none are told here."""
        held = frozenset(pid for each in self.placed for pid in each.pids)
        return held or (frozenset() if self.pid is None else frozenset((self.pid,)))


class Known(NamedTuple):
    """Everything that can be named."""

    placed: Sequence[Placed]
    nodes: Collection[str]
    pids: Mapping[int, str] = {}
    """Node by process."""
    addresses: Mapping[str, tuple[str, str]] = {}
    """(node, pod or container by ``Container.in_pod``; empty: the node itself) by address, beyond what engines say."""


def find(known: Known, text: str, *, namespace: str = "", container: str = "") -> Found:
    """What ``text`` names. ``namespace`` is that of pods named without one, ``container`` chooses one of a pod's.

    Raises EndpointError: unknown, or ambiguous.
    """
    kind, _, rest = text.partition("/")
    if kind == "pid" and rest:
        return _process(known, rest)
    if kind == "node" and rest:
        return _node(known, rest)
    found, whole = _found(known, known.placed, text, namespace)
    if not found and rest and kind in known.nodes:
        found, whole = _found(known, [each for each in known.placed if each.node == kind], rest, namespace)
    if not found and text in known.nodes:
        return _node(known, text)
    if not found and text in known.addresses:
        return _node(known, known.addresses[text][0])
    if not found:
        raise _unknown(known, text, namespace)
    chosen = [each for each in found if not container or container in _names(each)]
    if not chosen:
        there = ", ".join(sorted({each.container.role or each.container.called for each in found}))
        what = f"no container {printable(container)!r} in {printable(text)!r}"
        raise EndpointError(what, hint=f"there is {printable(there)}")
    subjects = _subjects(chosen, whole=whole and not container)
    if len(subjects) > 1:
        raise _ambiguous(subjects, text)
    return subjects[0]


def _process(known: Known, text: str) -> Found:
    pid = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None
    if pid is None or pid not in known.pids:
        raise EndpointError(f"no process {printable(text)!r} on these nodes", hint="write pid/N, with N as ps shows it")
    holders = [each for each in known.placed if pid in each.pids]
    if holders:  # the innermost: a node in a container holds what its containers hold
        return _subject((min(holders, key=lambda each: len(each.pids)),), whole=False, pid=pid)
    return Found("process", f"pid/{pid}", known.pids[pid], (), pid)


def _node(known: Known, name: str) -> Found:
    if name not in known.nodes:
        there = ", ".join(sorted(known.nodes)[:SHOWN])
        raise EndpointError(f"no node {printable(name)!r}", hint=f"there is {printable(there)}")
    return Found("node", name, name)


def _found(known: Known, placed: Sequence[Placed], text: str, namespace: str) -> tuple[list[Placed], bool]:
    """The containers of that name, and whether it is a pod's."""
    kind, _, rest = text.partition("/")
    if kind == "pod" and rest:
        return _pods(placed, rest, namespace), True
    if kind == "container" and rest:
        return _named(placed, rest) or _begun(placed, rest), False
    ways: tuple[tuple[Callable[[], list[Placed]], bool], ...] = (
        (lambda: _pods(placed, text, namespace), True),
        (lambda: _named(placed, text), False),
        (lambda: _addressed(known, placed, text), True),
        (lambda: _begun(placed, text), False),
    )
    return next(((found, whole) for way, whole in ways if text and (found := way())), ([], False))


def _pods(placed: Iterable[Placed], text: str, namespace: str) -> list[Placed]:
    """Of a pod named without its namespace those of ``namespace``; of every one, where that is not given.

    Podman's pods have none: theirs is the whole name, which comes first.
    """
    found = [each for each in placed if each.container.pod and text in (each.container.pod, each.container.in_pod)]
    found = [each for each in found if each.container.in_pod == text] or found
    return [each for each in found if not namespace or "/" in text or each.container.namespace == namespace]


def _named(placed: Iterable[Placed], text: str) -> list[Placed]:
    return [each for each in placed if text in _whole_names(each.container)]


def _whole_names(container: Container) -> tuple[str, ...]:
    within = f"{container.pod}/{container.role or container.name}" if container.pod else ""
    return tuple(name for name in (container.name, container.called, container.id, within) if name)


def _begun(placed: Iterable[Placed], text: str) -> list[Placed]:
    return [each for each in placed if len(text) >= LEAST and each.container.id.startswith(text)]


def _addressed(known: Known, placed: Iterable[Placed], text: str) -> list[Placed]:
    node, pod = known.addresses.get(text, ("", ""))
    return [
        each
        for each in placed
        if text in each.container.addresses or (pod and (each.node, each.container.in_pod) == (node, pod))
    ]


def _subjects(found: Iterable[Placed], *, whole: bool) -> list[Found]:
    """The pods that were named, each with its containers; without ``whole`` containers. Those that run, if any does."""
    subjects: dict[tuple[str, ...], list[Placed]] = {}
    for each in found:
        held = each.container
        key = (held.in_pod, held.pod_uid) if whole and held.pod else (held.id,)
        subjects.setdefault((each.node, *key), []).append(each)
    living = [held for held in subjects.values() if any(each.pids for each in held)]
    return [_subject(_meant(held), whole=whole) for held in living or subjects.values()]


def _names(placed: Placed) -> tuple[str, ...]:
    return (placed.container.role, placed.container.name, placed.container.id)


def _meant(placed: Sequence[Placed]) -> tuple[Placed, ...]:
    """Without those of a role that have ended where one of that role runs; the sandbox last."""
    running = {each.container.role for each in placed if each.pids}
    kept = [each for each in placed if each.pids or each.container.role not in running]
    return tuple(sorted(kept, key=lambda each: each.container.role == SANDBOX))


def _subject(placed: tuple[Placed, ...], *, whole: bool, pid: int | None = None) -> Found:
    first = placed[0].container
    if whole and first.pod:
        return Found("pod", first.in_pod, placed[0].node, placed, pid)
    return Found("container", first.called, placed[0].node, placed, pid)


def _ambiguous(subjects: Sequence[Found], text: str) -> EndpointError:
    names = sorted({f"{each.name} on {each.node}" if each.node else each.name for each in subjects})
    if len(names) < len(subjects):
        names = sorted(f"container/{each.placed[0].container.id[: LEAST * 4]} ({each.name})" for each in subjects)
    return EndpointError(f"{printable(text)!r} is ambiguous", hint=f"it may be {printable(', '.join(names[:SHOWN]))}")


def _unknown(known: Known, text: str, namespace: str) -> EndpointError:
    from difflib import get_close_matches

    pods = {each.container.in_pod for each in known.placed}
    names = pods | {each.container.called for each in known.placed} | set(known.nodes)
    names |= set() if namespace else {each.container.pod for each in known.placed if each.container.pod}
    elsewhere = sorted(name for name in pods if text and name.endswith(f"/{text}"))[:3]
    near = elsewhere or get_close_matches(text, sorted(names), n=3)
    where = f" in namespace {printable(namespace)}" if namespace else ""
    if near:
        hint = f"did you mean {printable(', '.join(near))}?"
    elif names:
        listed = [*sorted(pods), *sorted(known.nodes)]
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        hint = f"there is {printable(', '.join(listed[:SHOWN]))}{more}"
    else:
        hint = "no container was found"
    return EndpointError(f"no pod, container, node or address {printable(text)!r}{where}", hint=hint)
