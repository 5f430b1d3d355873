"""netfs shows, on real Linux nodes, how a packet gets from one pod to another, and where a container's files come from.

Whatever the command does is two lines of Python:

    cluster = netfs.load("lab")
    path = cluster.trace("pod-a", "pod-b", proto="tcp", port=80)

Importing this package is cheap: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from netfs import lab as lab
    from netfs import overlay as overlay
    from netfs.api import Cluster as Cluster
    from netfs.api import containers as containers
    from netfs.api import decode as decode
    from netfs.api import dumps as dumps
    from netfs.api import layers as layers
    from netfs.api import load as load
    from netfs.api import save as save
    from netfs.capture.wish import Wish as Wish
    from netfs.errors import CaptureError as CaptureError
    from netfs.errors import EndpointError as EndpointError
    from netfs.errors import FilterError as FilterError
    from netfs.errors import LabError as LabError
    from netfs.errors import NetfsError as NetfsError
    from netfs.errors import SnapshotError as SnapshotError
    from netfs.errors import SourceError as SourceError
    from netfs.errors import SourceUriError as SourceUriError
    from netfs.errors import UnreadableError as UnreadableError
    from netfs.errors import UsageError as UsageError
    from netfs.model.findings import Finding as Finding
    from netfs.model.flows import Decoded as Decoded
    from netfs.model.snapshot import NodeSnapshot as NodeSnapshot
    from netfs.model.snapshot import Snapshots as Snapshots
    from netfs.model.trace import Trace as Trace

_HOMES = {
    "CaptureError": "netfs.errors",
    "Cluster": "netfs.api",
    "Decoded": "netfs.model.flows",
    "EndpointError": "netfs.errors",
    "FilterError": "netfs.errors",
    "Finding": "netfs.model.findings",
    "LabError": "netfs.errors",
    "NetfsError": "netfs.errors",
    "NodeSnapshot": "netfs.model.snapshot",
    "SnapshotError": "netfs.errors",
    "Snapshots": "netfs.model.snapshot",
    "SourceError": "netfs.errors",
    "SourceUriError": "netfs.errors",
    "Trace": "netfs.model.trace",
    "UnreadableError": "netfs.errors",
    "UsageError": "netfs.errors",
    "Wish": "netfs.capture.wish",
    "containers": "netfs.api",
    "decode": "netfs.api",
    "dumps": "netfs.api",
    "layers": "netfs.api",
    "load": "netfs.api",
    "save": "netfs.api",
}

_ROOMS = ("lab", "overlay")

__all__ = ["__version__", *_ROOMS, *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"netfs.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'netfs' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
