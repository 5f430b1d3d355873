"""Paths that namespaces are pinned at."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from netfs.model.namespaces import Namespace

_KEPT = (
    (r"/netns/(?:default|ingress_sbox|lb_[^/]+|[0-9]+-[^/]+)\Z", "docker"),
    (r"\A/run/snapd/ns/[^/]+\Z", ""),
)
"""Pins that stay while nothing runs in them, with the engine that has to be there: Docker's sandboxes of whole networks
(moby libnetwork, drivers/overlay), and what snapd keeps ready for each snap (snap-confine)."""


def paths(namespace: Namespace) -> tuple[str, ...]:
    """Where it is pinned, each path once."""
    return tuple(dict.fromkeys(plain(pin.path) for pin in namespace.pins))


def plain(path: str) -> str:
    """/var/run is a link to /run wherever systemd is (file-hierarchy(7)); mounts are told without links."""
    return path[4:] if path.startswith("/var/run/") else path


def kept_by_design(pinned: Iterable[str], engines: Collection[str]) -> bool:
    """Whether what is pinned there stays while nothing runs in it. ``engines``: the names of those there are."""
    return any(
        re.search(form, path) is not None and (not engine or engine in engines)
        for path in pinned
        for form, engine in _KEPT
    )
