"""Sources that have a form, but that this version cannot read: each says what serves instead."""

from __future__ import annotations

from netfs.errors import SourceUriError
from netfs.sources.uri import Found, SourceUri

INSTEAD = {
    "docker": "netfs --source pid:$(docker inspect -f '{{.State.Pid}}' NAME)",
    "k8s": "run netfs collect -w NODE.json.zst on each node, and read the files with --source file:PATH",
    "ssh": "run netfs collect -w NODE.json.zst on that host, and read it with --source file:NODE.json.zst",
}


def find(uri: SourceUri) -> Found:
    """Raises SourceUriError."""
    raise SourceUriError(
        f"source {uri.text!r}: this version cannot read {uri.scheme}", hint=f"instead: {INSTEAD[uri.scheme]}"
    )
