"""Where a source's nodes are on this host: their files and their processes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from netfs.errors import SourceError
from netfs.model.places import NodeRoot
from netfs.sources.registry import DEFAULT, default_uri, open_uri
from netfs.sources.uri import SourceUri, parse

LIVE = frozenset(("lab", "local", "pid"))
SAVED = "a snapshot holds neither files nor processes"
NETNS = "a network namespace has no files and no processes of its own"
HINT = "name a live source: local, lab, pid:PID; netfs layers also reads a store that was copied, with --root DIR"


def roots(uris: Sequence[str]) -> tuple[NodeRoot, ...]:
    """The roots of all sources; of ``default_uri`` where there are none.

    Raises SourceUriError for a URI of no known form, LabError where a lab does not run, SourceError for a source that
    is no live node, or whose nodes are not on this host.
    """
    return tuple(root for uri in dict.fromkeys(uris or (default_uri(),)) for root in _of(parse(uri)))


def live(uris: Sequence[str]) -> tuple[str, ...]:
    """Those of the URIs whose nodes have files and processes on this host. Raises SourceUriError."""
    return tuple(uri for uri in uris if parse(uri).scheme in LIVE)


def _of(uri: SourceUri) -> tuple[NodeRoot, ...]:
    if uri.scheme in ("file", "netns"):
        why = SAVED if uri.scheme == "file" else NETNS
        raise SourceError(why, where=uri.text, hint=HINT)
    found = open_uri(uri.text)  # says what is wrong with it
    if uri.scheme == "local":
        return (NodeRoot(found.targets[0].name, "/"),)
    if uri.scheme == "pid":
        path = f"/proc/{uri.rest}/root"
        if not os.access(path, os.X_OK):
            raise SourceError("its files may not be seen", where=uri.text, hint="root may, with CAP_SYS_PTRACE")
        pid = int(uri.rest)
        return (NodeRoot(found.targets[0].name, path, pid, members=(pid,)),)
    from netfs.lab import state

    lab = state.find(uri.rest or DEFAULT)
    folder = state.folder(lab.name)
    return tuple(
        NodeRoot(
            node.name,
            "/",
            node.pid,
            str(folder / node.name / "docker"),
            (node.pid, *(pod.pid for pod in lab.pods if pod.node == node.name)),
        )
        for node in lab.nodes
    )
