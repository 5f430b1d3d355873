"""Every error that netfs raises on purpose.

NetfsError
├── UsageError            what was asked for cannot be: exit status 2
│   ├── EndpointError     no such pod, node or address; or several of that name
│   ├── FilterError       an expression that is none, or becomes too long
│   └── SourceUriError    no source of that form
└── UnreadableError       something needed could not be read: exit status 3
    ├── SourceError       a source does not answer, or not as it should
    ├── SnapshotError     a snapshot is truncated, foreign, or of another version
    ├── CaptureError      a capture file is empty, no capture, or cannot be opened
    └── LabError          the lab is not there, half there, or cannot be built here
"""

from __future__ import annotations


class NetfsError(Exception):
    """Base of all: what went wrong, where, and what to do next."""

    exit_status = 3

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """One line: ``where: what (hint)``."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(NetfsError):
    """What was asked for cannot be."""

    exit_status = 2


class EndpointError(UsageError):
    """An endpoint's name fits nothing, or several things."""


class FilterError(UsageError):
    """A filter's expression cannot be understood, or becomes a program that the kernel would not take."""


class SourceUriError(UsageError):
    """A source URI has no known form."""


class UnreadableError(NetfsError):
    """Something needed could not be read."""


class SourceError(UnreadableError):
    """A source does not answer, or not as it should."""


class SnapshotError(UnreadableError):
    """A snapshot is truncated, foreign, or of another version."""


class CaptureError(UnreadableError):
    """A capture file is empty, no capture, or cannot be opened."""


class LabError(UnreadableError):
    """The lab is not there, half there, or cannot be built here."""
