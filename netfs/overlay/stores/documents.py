"""Engines' small files, read with bounds and doubt: JSON documents, and files that are one line of text.

A document may be truncated, foreign or hostile. ``load`` gives a Gap for what cannot be read at all; within a document,
every function below takes a value and the keys that lead on from it, and gives something empty where a key is missing
or a value is of another type. Nothing here raises anything.

    document = documents.load(root, "/var/lib/docker/containers/…/config.v2.json")
    if isinstance(document, Gap): …
    documents.text(document, "Config", "Image")          # "" where there is none
"""

from __future__ import annotations

import errno
import os
import re

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root

DOCUMENT_BYTES = 16 << 20
LINE_BYTES = 64 << 10
NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def load(root: Root, path: str, limit: int = DOCUMENT_BYTES) -> object | Gap:
    """A JSON document below the root, decoded; a Gap where it cannot be read, is no JSON, or above ``limit`` bytes.

    As Go's encoding/json does, bytes that are no UTF-8 become U+FFFD.
    """
    try:
        data = root.read(path, limit)
    except OSError as error:
        return refused(path, error)
    try:
        return parse(data)
    except (ValueError, RecursionError):
        return Gap(path, "document", "is no JSON")


def parse(data: bytes) -> object:
    """A JSON document that was read elsewhere. Raises ValueError, RecursionError for what is none."""
    import json  # most of the documents that are looked for are not there

    decoded: object = json.loads(data.decode("utf-8", "replace"))
    return decoded


def line(root: Root, path: str, limit: int = LINE_BYTES) -> str | Gap:
    """A file that is one line of text, without white space around it; a Gap where it cannot be read or is no ASCII."""
    try:
        return root.read(path, limit).decode("ascii").strip()
    except UnicodeDecodeError:
        return Gap(path, "file", "is no text")
    except OSError as error:
        return refused(path, error)


def names(root: Root, path: str) -> list[str] | Gap:
    """The entries of a directory below the root, sorted; a Gap where it cannot be read."""
    try:
        return root.names(path)
    except OSError as error:
        return refused(path, error, "directory")


def absent(gap: Gap) -> bool:
    """Whether the gap says that there is no such file, rather than that it cannot be read."""
    return gap.reason == os.strerror(errno.ENOENT)


def refused(path: str, error: OSError, what: str = "file") -> Gap:
    """The Gap of something that could not be opened or read."""
    if error.errno == errno.EFBIG:
        return Gap(path, what, "is too large to be believed")
    if error.errno == errno.EINVAL:
        return Gap(path, what, "is no regular file")
    return Gap(path, what, os.strerror(error.errno or errno.EIO))


def value(document: object, *keys: str) -> object:
    """What the keys lead to; None where one of them is missing."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def mapping(document: object, *keys: str) -> dict[str, object]:
    """The object that the keys lead to; empty where there is none."""
    found = value(document, *keys)
    return found if isinstance(found, dict) else {}


def items(document: object, *keys: str) -> list[object]:
    """The list that the keys lead to; empty where there is none."""
    found = value(document, *keys)
    return found if isinstance(found, list) else []


def text(document: object, *keys: str) -> str:
    """The string that the keys lead to; empty where there is none. A lone surrogate becomes U+FFFD, as in Go."""
    found = value(document, *keys)
    return _clean(found) if isinstance(found, str) else ""


def moment(document: object, *keys: str) -> str:
    """The moment (RFC 3339) that the keys lead to; empty where there is none, or it is Go's zero time."""
    found = text(document, *keys)
    return "" if found == NEVER else found


def number(document: object, *keys: str) -> int | None:
    """The integer that the keys lead to; None where there is none. A boolean is none, nor is 1.0."""
    found = value(document, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(document: object, *keys: str) -> bool:
    """Whether the keys lead to ``true``."""
    return value(document, *keys) is True


def texts(document: object, *keys: str) -> tuple[str, ...]:
    """The strings of the list that the keys lead to; what is no string is left out."""
    return tuple(_clean(item) for item in items(document, *keys) if isinstance(item, str))


def labels(document: object, *keys: str) -> dict[str, str]:
    """The object that the keys lead to, as far as its values are strings."""
    return {_clean(key): _clean(item) for key, item in mapping(document, *keys).items() if isinstance(item, str)}


def _clean(found: str) -> str:
    return found if found.isascii() else _SURROGATE.sub("\ufffd", found)
