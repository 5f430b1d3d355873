"""An image of containers-storage: its record, and the documents kept with it (containers/storage ``images.go``)."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Sequence

from netfs.model.gaps import Gap
from netfs.model.layers import HistoryLine, Image
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, history
from netfs.overlay.stores.containers_storage.records import ImageRecord

_DOCUMENT_BYTES = 8 << 20
_HEX = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[A-Za-z0-9.]+")


def identity(record_id: str) -> str:
    """``Image.id`` of an image that the store calls by hex digits."""
    return f"sha256:{record_id}" if _HEX.fullmatch(record_id) else record_id


def image(root: Root, store: str, record: ImageRecord, layers: Sequence[str], gaps: list[Gap]) -> Image:
    """The image of a record of the store at ``store``. ``layers``: those it is made of, uppermost first.

    An image without a layer of its own is a list of manifests; it has no history either.
    """
    missing: tuple[str, ...] = () if layers or not record.layer else (record.layer,)
    absent: tuple[str, ...] = ()
    lines: tuple[HistoryLine, ...] = ()
    if record.layer:
        config, absent = _config(root, store, record, gaps)
        lines, reason = history.read(config, () if missing else tuple(reversed(layers)))
        if reason and not missing:
            gaps.append(Gap(posixpath.join(store, "overlay-images", record.id), "history", reason))
    return Image(
        id=identity(record.id),
        names=record.names,
        layers=tuple(layers),
        history=lines,
        created_at=record.created_at,
        missing=missing + absent,
    )


def _config(root: Root, store: str, record: ImageRecord, gaps: list[Gap]) -> tuple[object, tuple[str, ...]]:
    """An image's configuration, decoded; and its digest, where it is not there.

    It is called by its digest, which mostly is the image's own id; else the manifest names it.
    """
    name = identity(record.id)
    if name not in record.big_data:
        manifest = _parsed(_document(root, store, record, "manifest", gaps))
        name = documents.text(manifest, "config", "digest") or name
    data = _document(root, store, record, name, gaps)
    if data is None:
        return None, (name,)
    if name.startswith("sha256:") and hashlib.sha256(data).hexdigest() != name.removeprefix("sha256:"):
        gaps.append(Gap(_path(store, record, name), "image", "was changed: its SHA-256 is not its name"))
    config = _parsed(data)
    if config is None:
        gaps.append(Gap(_path(store, record, name), "image", "is no JSON"))
    return config, ()


def _document(root: Root, store: str, record: ImageRecord, name: str, gaps: list[Gap]) -> bytes | None:
    path = _path(store, record, name)
    try:
        return root.read(path, _DOCUMENT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        gaps.append(documents.refused(path, error, "image"))
        return None


def _path(store: str, record: ImageRecord, name: str) -> str:
    """Where a document is: a name that is not plain is written in base64 (``makeBigDataBaseName``)."""
    plain = _PLAIN.fullmatch(name)
    file = name if plain else "=" + base64.b64encode(name.encode("utf-8", "replace")).decode()
    return posixpath.join(store, "overlay-images", record.id, file)


def _parsed(data: bytes | None) -> object:
    try:
        return documents.parse(data or b"")
    except (ValueError, RecursionError):
        return None
