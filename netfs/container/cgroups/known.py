"""The containers of a node, to be found by what control groups say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netfs.collect.cgroups.paths import Recognised, recognise
from netfs.model.cgroups import Cgroup
from netfs.model.containers import DIGITS, Placed


class Known:
    """Containers by id, by the beginning of an id, and by the group they are in; pods by UID."""

    def __init__(self, placed: Sequence[Placed], groups: Iterable[Cgroup], node: str) -> None:
        own = [each for each in placed if each.node in ("", node)]
        self._by_beginning: dict[str, list[Placed]] = {}
        self._pods: dict[str, str] = {}
        for each in own:
            container = each.container
            self._by_beginning.setdefault(container.id[:DIGITS], []).append(each)
            if container.pod and container.pod_uid:
                self._pods[_digits(container.pod_uid)] = container.in_pod
        self._by_group = _in_group(own, {group.path: group for group in groups})

    def by_id(self, identity: str) -> Placed | None:
        """The one of that id; where only a beginning is known, of it or of the id, the only one that fits."""
        near = self._by_beginning.get(identity[:DIGITS], ())
        same = next((each for each in near if each.container.id == identity), None)
        if same is not None:
            return same
        fitting = [each for each in near if _fits(each.container.id, identity)]
        return fitting[0] if len(fitting) == 1 else None

    def in_group(self, path: str) -> Placed | None:
        """The one whose processes are in a group that does not name it."""
        return self._by_group.get(path)

    def of(self, path: str) -> Placed | None:
        """The one that has a group, or has it inside its own."""
        found = recognise(path)
        if found is not None and found.kind != "pod":
            return self.by_id(found.container) if found.container else None
        while path:
            if path in self._by_group:
                return self._by_group[path]
            path = path.rpartition("/")[0]
        return None

    def pod(self, uid: str) -> str:
        """The name of the pod of that UID; empty: nobody knows it."""
        return self._pods.get(_digits(uid), "") if uid else ""


def holds(found: Recognised | None, path: str) -> bool:
    """Whether a group is that of what its path names, and not one inside."""
    return found is not None and path == found.group


def _digits(uid: str) -> str:
    """Static pods have their UID without dashes."""
    return uid.replace("-", "")


def _fits(one: str, other: str) -> bool:
    return min(len(one), len(other)) >= DIGITS and (one.startswith(other) or other.startswith(one))


def _in_group(placed: Sequence[Placed], groups: Mapping[str, Cgroup]) -> dict[str, Placed]:
    """Groups whose processes are all of one container, though their path does not name it.

    A container may well be in a group of others (``podman --cgroups=disabled``): that is then not its own.
    """
    found: dict[str, Placed] = {}
    for each in placed:
        if each.by == "cgroup":  # that was found by its path
            continue
        group = groups.get(each.cgroup)
        if group is None or group.path == "/" or each.cgroup in found or recognise(group.path) is not None:
            continue
        if group.pids and set(group.pids) <= set(each.pids):
            found[each.cgroup] = each
    return found
