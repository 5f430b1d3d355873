"""Source URIs: ``[NAME=]SCHEME[:REST]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfs.errors import SourceUriError

if TYPE_CHECKING:
    from netfs.collect.target import Target
    from netfs.model.kubernetes import Kubernetes
    from netfs.model.snapshot import NodeSnapshot


@dataclass(frozen=True, slots=True)
class SourceUri:
    """A source as the user wrote it, in its parts."""

    text: str
    scheme: str
    rest: str
    name: str | None = None
    """The node's name where the user gave one: ``edge=netns:n1``."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source yields: targets of this kernel, still to be read, or snapshots that were read before."""

    targets: tuple[Target, ...] = ()
    userns_pid: int | None = None
    """A process of the user namespace that owns the targets, where that is not the caller's."""
    snapshots: tuple[NodeSnapshot, ...] = ()
    kubernetes: Kubernetes | None = None
    """The objects of the cluster's API, where the source knows them."""


def parse(text: str) -> SourceUri:
    """The parts of a URI. Raises SourceUriError for an empty one, an empty name or an empty scheme."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SourceUriError(f"source {text!r} is not UTF-8") from None
    name: str | None = None
    body = text.strip()
    before, equals, after = body.partition("=")
    if equals and ":" not in before and "/" not in before:
        name, body = before, after
        if not name:
            raise SourceUriError(f"source {text!r} gives an empty name", hint="write NAME=SOURCE")
    scheme, _, rest = body.partition(":")
    if not scheme or "\0" in body:
        raise SourceUriError(f"source {text!r} is empty", hint="see netfs --help for the forms of a source")
    return SourceUri(text, scheme, rest, name)
