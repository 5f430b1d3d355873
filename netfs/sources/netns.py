"""``netns:NAME`` or ``netns:/path``: a network namespace as a node; what veth pairs reach are its pods."""

from __future__ import annotations

import os
from difflib import get_close_matches

from netfs.collect.target import Target
from netfs.errors import SourceError, SourceUriError
from netfs.sources.uri import Found, SourceUri

FOLDERS = ("/run/netns", "/run/docker/netns")
"""Where ip(8), CNI runtimes and Docker pin namespaces."""


def find(uri: SourceUri) -> Found:
    """The pinned namespace. Raises SourceUriError without a name, SourceError where there is no such pin."""
    if not uri.rest:
        raise SourceUriError(f"source {uri.text!r} names no namespace", hint="write netns:NAME or netns:/path")
    path = uri.rest if "/" in uri.rest else _pin(uri.rest)
    if not os.path.lexists(path):
        raise SourceError(f"no network namespace {uri.rest!r}", where=uri.text, hint=_hint(uri.rest))
    name = uri.name or os.path.basename(path.rstrip("/"))
    return Found((Target(name, path, reach="veth", source=uri.text),))


def _pin(name: str) -> str:
    paths = [f"{folder}/{name}" for folder in FOLDERS]
    return next((path for path in paths if os.path.lexists(path)), paths[0])


def _hint(name: str) -> str:
    there: list[str] = []
    for folder in FOLDERS:
        try:
            there += os.listdir(folder)
        except OSError:
            continue
    near = get_close_matches(name, there, 3)
    return f"did you mean {', '.join(near)}?" if near else "ip netns list shows those there are"
