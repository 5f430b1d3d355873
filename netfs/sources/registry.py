"""Every kind of source by its scheme. A new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Callable

from netfs.errors import SourceUriError
from netfs.sources import elsewhere, file, lab, local, netns, pid
from netfs.sources.uri import Found, SourceUri, parse

SOURCES: dict[str, Callable[[SourceUri], Found]] = {
    "local": local.find,
    "lab": lab.find,
    "netns": netns.find,
    "pid": pid.find,
    "file": file.find,
    "docker": elsewhere.find,
    "k8s": elsewhere.find,
    "ssh": elsewhere.find,
}


def open_uri(text: str) -> Found:
    """What a source URI yields; nothing of a live kernel is read yet.

    Raises SourceUriError for a form that does not exist, SourceError or SnapshotError where the source is
    not there or not readable.
    """
    uri = parse(text)
    source = SOURCES.get(uri.scheme)
    if source is None:
        forms = "local, lab[:NAME], netns:NAME, pid:PID, file:PATH"
        raise SourceUriError(f"no source of the form {text!r}", hint=f"there are {forms}")
    return source(uri)
