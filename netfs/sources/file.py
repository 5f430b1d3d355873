"""``file:PATH``: saved snapshots, from a file, a folder or a glob."""

from __future__ import annotations

import glob
import os
from dataclasses import replace

from netfs.errors import SourceError, SourceUriError
from netfs.sources.objects import joined
from netfs.sources.uri import Found, SourceUri


def find(uri: SourceUri) -> Found:
    """The nodes of every document. Raises SourceUriError, SourceError, SnapshotError."""
    from netfs.sources import document  # what reads live nodes needs no decoder of documents

    if not uri.rest:
        raise SourceUriError(f"source {uri.text!r} names no file", hint="write file:PATH")
    documents = [document.read(path) for path in _paths(uri, document.SUFFIXES)]
    nodes = tuple(node for each in documents for node in each.nodes)
    if uri.name is not None:
        if len(nodes) != 1:
            what = f"source {uri.text!r}: the name {uri.name!r} fits one node, the file holds {len(nodes)}"
            raise SourceUriError(what, hint="leave the name away")
        nodes = (replace(nodes[0], name=uri.name),)
    return Found(snapshots=nodes, kubernetes=joined(each.kubernetes for each in documents))


def _paths(uri: SourceUri, suffixes: tuple[str, ...]) -> list[str]:
    path = os.path.expanduser(uri.rest)
    if os.path.isdir(path):
        found = sorted(each.path for each in os.scandir(path) if each.name.endswith(suffixes))
        if not found:
            raise SourceError("no *.json or *.json.zst in the folder", where=path)
        return found
    if os.path.lexists(path):
        return [path]
    found = sorted(glob.glob(path))
    if not found:
        raise SourceError("no such file", where=path, hint="netfs collect -w FILE writes one")
    return found
