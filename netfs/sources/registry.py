"""Every kind of source by its scheme. A new one is a file beside this one, and a line here."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

from netfs.errors import LabError, SourceUriError
from netfs.lab.home import home
from netfs.sources.uri import Found, SourceUri, parse

DEFAULT = "default"
"""Name of the lab that is meant where none is named."""
SOURCES = {
    "local": "netfs.sources.local",
    "lab": "netfs.sources.lab",
    "netns": "netfs.sources.netns",
    "pid": "netfs.sources.pid",
    "file": "netfs.sources.file",
    "docker": "netfs.sources.elsewhere",
    "k8s": "netfs.sources.elsewhere",
    "ssh": "netfs.sources.elsewhere",
}
"""The module whose ``find`` knows it: what is not asked for is not loaded."""


def open_uri(text: str) -> Found:
    """What a source URI yields; nothing of a live kernel is read yet.

    Raises SourceUriError for a form that does not exist, SourceError or SnapshotError where the source is
    not there or not readable.
    """
    uri = parse(text)
    if uri.scheme not in SOURCES:
        forms = "local, lab[:NAME], netns:NAME, pid:PID, file:PATH"
        raise SourceUriError(f"no source of the form {text!r}", hint=f"there are {forms}")
    find: Callable[[SourceUri], Found] = import_module(SOURCES[uri.scheme]).find
    return find(uri)


def default_uri() -> str:
    """Where nodes are read from when nobody says: a running lab, else this host."""
    return "lab" if _lab_runs() else "local"


def _lab_runs() -> bool:
    """Whether the lab of the default name runs."""
    try:
        if not os.path.lexists(os.path.join(home(), DEFAULT)):
            return False
        from netfs.lab import state

        state.find(DEFAULT)
    except LabError:
        return False
    return True
