"""The API objects of several sources as one cluster's."""

from __future__ import annotations

from collections.abc import Iterable

from netfs.model.kubernetes import Kubernetes


def joined(parts: Iterable[Kubernetes | None]) -> Kubernetes | None:
    """All objects of all parts, in the parts' order; of one object told twice the first. None: no part has any."""
    found = [part for part in parts if part is not None]
    if len(found) <= 1:
        return found[0] if found else None
    services = {(each.namespace, each.name): each for part in reversed(found) for each in reversed(part.services)}
    policies = {(each.namespace, each.name): each for part in reversed(found) for each in part.network_policies[::-1]}
    return Kubernetes(
        services=tuple(reversed(services.values())),
        endpoint_slices=tuple(each for part in found for each in part.endpoint_slices),
        network_policies=tuple(reversed(policies.values())),
        namespaces={name: labels for part in reversed(found) for name, labels in part.namespaces.items()},
    )
