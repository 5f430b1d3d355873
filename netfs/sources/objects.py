"""The API objects of several sources as one cluster's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from netfs.model.kubernetes import Kubernetes, NetworkPolicy, Service

Named = TypeVar("Named", Service, NetworkPolicy)


def joined(parts: Iterable[Kubernetes | None]) -> Kubernetes | None:
    """All objects of all parts, in their order; the first word on an object stands. None: no part has any."""
    found = [part for part in parts if part is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return Kubernetes(
        services=_first(each for part in found for each in part.services),
        endpoint_slices=tuple(dict.fromkeys(each for part in found for each in part.endpoint_slices)),
        network_policies=_first(each for part in found for each in part.network_policies),
        namespaces={name: labels for part in reversed(found) for name, labels in part.namespaces.items()},
    )


def _first(objects: Iterable[Named]) -> tuple[Named, ...]:
    known: dict[tuple[str, str], Named] = {}
    for each in objects:
        known.setdefault((each.namespace, each.name), each)
    return tuple(known.values())
