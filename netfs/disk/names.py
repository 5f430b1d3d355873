"""Names and paths, from text to what the kernel takes, refused where they could mean something else."""

from __future__ import annotations

import errno
import os
import sys

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()
_OTHERS = frozenset({b"", b".", b".."})


def refused(code: int, name: str | bytes = "") -> OSError:
    """An OSError as the kernel would give it: of the subclass that belongs to ``code``."""
    return OSError(code, os.strerror(code), os.fsdecode(name))


def encoded(path: str) -> bytes:
    """A path as bytes. Raises OSError (EINVAL) for a NUL byte and for text that no file name has (lone surrogates)."""
    try:
        raw = path.encode(_ENCODING, _ERRORS)
    except UnicodeEncodeError:
        raise refused(errno.EINVAL) from None
    if b"\0" in raw:
        raise refused(errno.EINVAL)
    return raw


def component(name: str) -> bytes:
    """One name in a directory as bytes. Raises OSError (EINVAL) for ``""``, ``.``, ``..`` and what holds a ``/``."""
    raw = encoded(name)
    if b"/" in raw or raw in _OTHERS:
        raise refused(errno.EINVAL, raw)
    return raw
