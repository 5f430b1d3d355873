"""Where ``inspect`` asks for what is no container's alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netfs.cluster.topology import Topology
    from netfs.model.findings import Finding
    from netfs.overlay.layer_stores import LayerStores


class Network(NamedTuple):
    """The network of all nodes, and what is wrong with it."""

    topology: Topology
    findings: tuple[Finding, ...]


class Sources(NamedTuple):
    """Each reads when it is called, and raises NetfsError where it cannot; None: it is not asked."""

    network: Callable[[], Network] | None = None
    layers: Callable[[], LayerStores] | None = None
