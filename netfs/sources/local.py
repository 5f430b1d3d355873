"""``local``: this host is the node; its containers are the pods."""

from __future__ import annotations

from os import uname

from netfs.collect.target import Target
from netfs.errors import SourceUriError
from netfs.sources.uri import Found, SourceUri


def find(uri: SourceUri) -> Found:
    """The namespace of this process, and every other that can be seen. Raises SourceUriError for ``local:x``."""
    if uri.rest:
        raise SourceUriError(f"source {uri.text!r}: local takes nothing after it", hint="write local")
    name = uri.name or uname().nodename or "local"
    return Found((Target(name, "/proc/self/ns/net", reach="all", source=uri.text),))
