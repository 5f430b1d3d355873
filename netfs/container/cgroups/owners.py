"""Whose each control group is, and which limits hold for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import dirname
from typing import NamedTuple

from netfs.collect.cgroups.paths import Recognised, recognise
from netfs.container.cgroups.effective import effective
from netfs.container.cgroups.known import Known, holds
from netfs.model.cgroups import Cgroup, CgroupTree, Effective
from netfs.model.containers import DIGITS, SANDBOX, Placed


class _Name(NamedTuple):
    """What a group gets."""

    kind: str = ""
    pod: str = ""
    container: str = ""
    qos: str = ""


_NOBODY = _Name()


def told(tree: CgroupTree, placed: Sequence[Placed], *, node: str) -> CgroupTree:
    """The tree with node, driver, and for each group kind, pod, container, qos and the limits that hold.

    A group inside a container's has its names and no kind.
    """
    said = [recognise(group.path) for group in tree.groups]
    names = _Names(Known(placed, tree.groups, node), said)
    groups = tuple(
        _with(group, names.of(group, found), node, limits)
        for group, found, limits in zip(tree.groups, said, effective(tree), strict=True)
    )
    return replace(tree, node=node, driver=_driver(said), groups=groups)


def _with(group: Cgroup, name: _Name, node: str, limits: Mapping[str, Effective]) -> Cgroup:
    kind, pod, container, qos = name
    return replace(group, node=node, effective=limits, kind=kind, pod=pod, container=container, qos=qos)


def below(tree: CgroupTree, paths: Collection[str]) -> CgroupTree:
    """The tree with the groups at these paths and below them alone."""
    starts = tuple(path.rstrip("/") + "/" for path in paths)
    return replace(tree, groups=tuple(group for group in tree.groups if _within(group.path, starts)))


def _within(path: str, starts: tuple[str, ...]) -> bool:
    return (path.rstrip("/") + "/").startswith(starts)


class _Names:
    def __init__(self, known: Known, said: Iterable[Recognised | None]) -> None:
        self._known = known
        found = [each for each in said if each is not None]
        self._nodes = {each.node_container for each in found} - {""}
        self._pods = self._by_group(found)
        self._podmans = {each.pod_uid for each in found if each.kind != "pod"} - {""}
        self._above: dict[str, _Name] = {}
        """Of groups that are a container's without a path that names it."""

    def _by_group(self, found: Iterable[Recognised]) -> dict[str, str]:
        """Names of pods by their group, from the containers in it: of static pods and Podman's no UID tells them."""
        pods: dict[str, str] = {}
        for each in found:
            if each.kind == "container" and each.pod_uid:
                placed = self._known.by_id(each.container)
                if placed is not None and placed.container.pod:
                    pods[dirname(each.group)] = placed.container.in_pod
        return pods

    def of(self, group: Cgroup, found: Recognised | None) -> _Name:
        """Kind, pod, container and qos of a group."""
        if found is None:
            return self._unnamed(group)
        kind = found.kind if holds(found, group.path) else ""
        if found.container in self._podmans:
            # Podman's below a parent of its own: only what is in it tells that an id alone is a pod's
            return _Name("pod" if kind else "", self._pod(found.container, found.group), "", found.qos)
        if found.kind == "pod":
            return _Name(kind, self._pod(found.pod_uid, found.group), "", found.qos)
        placed = self._known.by_id(found.container) if found.container else None
        if kind == "container":
            kind = "node" if found.container in self._nodes else _kind(placed)
        if placed is not None:
            return _Name(kind, _pod(placed), placed.container.called, found.qos)
        return _Name(kind, self._pod(found.pod_uid, dirname(found.group)), found.container[:DIGITS], found.qos)

    def _pod(self, uid: str, group: str) -> str:
        return self._known.pod(uid) or self._pods.get(group, "") or uid

    def _unnamed(self, group: Cgroup) -> _Name:
        placed = self._known.in_group(group.path)
        if placed is not None:
            name = _Name(_kind(placed), _pod(placed), placed.container.called)
            self._above[group.path] = name._replace(kind="")
            return name
        inside = self._above.get(dirname(group.path)) if self._above else None
        if inside is None:
            return _NOBODY
        self._above[group.path] = inside
        return inside


def _pod(placed: Placed) -> str:
    return placed.container.in_pod if placed.container.pod else ""


def _kind(placed: Placed | None) -> str:
    return SANDBOX if placed is not None and placed.container.role == SANDBOX else "container"


def _driver(said: Iterable[Recognised | None]) -> str:
    found = {each.driver for each in said if each is not None and each.kind != "monitor"}
    return "mixed" if len(found) > 1 else next(iter(found), "")
