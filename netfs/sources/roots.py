"""Where the files of a source's nodes are: the root of each, and the processes that show what is mounted there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from netfs.errors import SourceError
from netfs.lab import state
from netfs.sources.lab import DEFAULT
from netfs.sources.load import default_uri
from netfs.sources.registry import open_uri
from netfs.sources.uri import SourceUri, parse

SAVED = "a snapshot holds no files of layers"
NETNS = "a network namespace has no files of its own"


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """A node's files."""

    node: str
    path: str
    """Its root, on this host."""
    pid: int | None = None
    """The process whose mounts are the node's; None: those of every process of this host."""
    docker: str | None = None
    """Docker's folder, where the source knows that it is the node's only store."""


def roots(uris: Sequence[str]) -> tuple[NodeRoot, ...]:
    """The roots of all sources; of ``default_uri`` where there are none.

    Raises SourceUriError for a URI of no known form, LabError where a lab does not run, SourceError for a source that
    has no files of layers, or whose nodes are not on this host.
    """
    return tuple(root for uri in dict.fromkeys(uris or (default_uri(),)) for root in _of(parse(uri)))


def _of(uri: SourceUri) -> tuple[NodeRoot, ...]:
    if uri.scheme in ("file", "netns"):
        why = SAVED if uri.scheme == "file" else NETNS
        hint = "copy the store (/var/lib/docker, /var/lib/containerd, …), and name the copy with --root"
        raise SourceError(why, where=uri.text, hint=hint)
    found = open_uri(uri.text)  # says what is wrong with it
    if uri.scheme == "local":
        return (NodeRoot(found.targets[0].name, "/"),)
    if uri.scheme == "pid":
        path = f"/proc/{uri.rest}/root"
        if not os.access(path, os.X_OK):
            raise SourceError("its files may not be seen", where=uri.text, hint="root may, with CAP_SYS_PTRACE")
        return (NodeRoot(found.targets[0].name, path, int(uri.rest)),)
    lab = state.find(uri.rest or DEFAULT)
    folder = state.folder(lab.name)
    return tuple(NodeRoot(node.name, "/", node.pid, str(folder / node.name / "docker")) for node in lab.nodes)
