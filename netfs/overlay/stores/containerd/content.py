"""containerd's content store: blobs by digest, of which the JSON documents that describe images are read.

An image is an index of manifests, or a manifest; a manifest names a configuration, and that the layers (OCI image-spec:
image-index.md, manifest.md, config.md; Docker's schema 2 is of the same form). Of an index's manifests only those of
the platforms that were pulled are there.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

BLOB_BYTES = 8 << 20
"""Of a manifest or a configuration."""
_ALL_BYTES = 48 << 20
"""Of everything that is read."""
_MOST_MANIFESTS = 500
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})|sha512:([0-9a-f]{128})")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest leads to."""

    digest: str
    config: str = ""
    """The configuration's digest; empty: the manifest is not there."""
    document: object = None
    """The configuration, decoded; None: it is not there."""
    missing: tuple[str, ...] = ()
    """Digests that are not there."""


class Content:
    """The blobs below a folder ``io.containerd.content.v1.content``. Each is read once."""

    def __init__(self, root: Root, path: str) -> None:
        self._root = root
        self._path = path
        self._documents: dict[str, object] = {}
        self._left = _ALL_BYTES
        self.gaps: list[Gap] = []

    def document(self, digest: str) -> object:
        """The JSON document of that digest; None where it is not there, or is no such thing: then a gap says so."""
        if digest not in self._documents:
            self._documents[digest] = self._read(digest)
        return self._documents[digest]

    def manifests(self, digest: str) -> tuple[Manifest, ...]:
        """The manifests that an image's target leads to, with their configurations: those that are there.

        Where no configuration is there: the manifests that are; else one of the target's digest with all that is
        missing.
        """
        found: list[Manifest] = []
        waiting, seen = [digest], {digest}
        while waiting:
            here = waiting.pop()
            document = self.document(here)
            members = documents.items(document, "manifests")
            told = dict.fromkeys(documents.text(one, "digest") for one in members if not _attests(one))
            listed = [one for one in told if one not in seen]
            if len(seen) + len(listed) > _MOST_MANIFESTS:
                self.gaps.append(Gap(self._path, "image", f"{digest} leads to more manifests than are read"))
                break
            seen.update(listed)
            waiting.extend(reversed(listed))
            if not members:
                found.append(self._manifest(here, document))
        whole = tuple(one for one in found if not one.missing)
        there = tuple(one for one in found if one.config)
        return whole or there or (Manifest(digest, missing=tuple(gone for one in found for gone in one.missing)),)

    def _manifest(self, digest: str, document: object) -> Manifest:
        if document is None:
            return Manifest(digest, missing=(digest,))
        config = documents.text(document, "config", "digest")
        decoded = self.document(config) if config else None
        return Manifest(digest, config, decoded, (config,) if config and decoded is None else ())

    def _read(self, digest: str) -> object:
        match = _DIGEST.fullmatch(digest)
        if not match:
            return None
        algorithm, _, name = digest.partition(":")
        path = posixpath.join(self._path, "blobs", algorithm, name)
        try:
            data = self._root.read(path, min(BLOB_BYTES, self._left))
            self._left -= len(data)
            if hashlib.new(algorithm, data).hexdigest() != name:
                self.gaps.append(Gap(path, "image", f"was changed: its {algorithm} is not its name"))
                return None
            return documents.parse(data)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.gaps.append(documents.refused(path, error, "image"))
        except (ValueError, RecursionError):
            self.gaps.append(Gap(path, "image", "is no JSON"))
        return None


def _attests(descriptor: object) -> bool:
    """Whether it is no image but what BuildKit says about one (docs/attestations/attestation-storage.md)."""
    return documents.text(descriptor, "annotations", "vnd.docker.reference.type") == "attestation-manifest"
