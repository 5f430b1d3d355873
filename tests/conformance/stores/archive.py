"""An image as a file (OCI image-spec, image-layout.md; with Docker's ``manifest.json`` too): for what none builds."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Change:
    """A layer, as a tar says what it does: whiteouts are names (OCI image-spec, layer.md)."""

    created_by: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    folders: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic ones."""
    deleted: Sequence[str] = ()
    opaque: Sequence[str] = ()
    """Directories of which nothing below is seen."""
    mode: int = 0o644


def layer(change: Change) -> bytes:
    """The tar of a layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, kind: bytes, mode: int, data: bytes = b"", target: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname, entry.mtime = (
                kind,
                mode,
                len(data),
                target,
                1_700_000_000,
            )
            tar.addfile(entry, io.BytesIO(data))

        for name in (*change.folders, *change.opaque):
            add(name, tarfile.DIRTYPE, 0o755)
        for name in change.opaque:
            add(f"{name}/.wh..wh..opq", tarfile.REGTYPE, 0o600)
        for name in change.deleted:
            folder, _, last = name.rpartition("/")
            add(f"{folder}/.wh.{last}".removeprefix("/"), tarfile.REGTYPE, 0o600)
        for name, data in change.files.items():
            add(name, tarfile.REGTYPE, change.mode, data)
        for name, target in change.links.items():
            add(name, tarfile.SYMTYPE, 0o777, target=target)
    return buffer.getvalue()


def path(descriptor: Mapping[str, Any]) -> str:
    """Where a blob is."""
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def write(file: Path, name: str, layers: Sequence[bytes], history: Sequence[str], command: Sequence[str] = ()) -> None:
    """Write an image; every second layer is compressed.

    ``history``: a line for each layer, and more that made none. ``command``: what it runs.
    """
    blobs: dict[str, bytes] = {}

    def put(data: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    descriptors = [
        put(gzip.compress(data, mtime=0), f"{OCI}.layer.v1.tar+gzip")
        if number % 2
        else put(data, f"{OCI}.layer.v1.tar")
        for number, data in enumerate(layers)
    ]
    config = put(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": ["PATH=/bin"], **({"Cmd": list(command)} if command else {})},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers],
                },
                "history": [
                    {"created_by": line, **({"empty_layer": True} if number >= len(layers) else {})}
                    for number, line in enumerate(history)
                ],
            }
        ).encode(),
        f"{OCI}.config.v1+json",
    )
    manifest = put(
        json.dumps(
            {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": descriptors}
        ).encode(),
        f"{OCI}.manifest.v1+json",
    )
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                **manifest,
                "annotations": {"io.containerd.image.name": name},
                "platform": {"architecture": "amd64", "os": "linux"},
            }
        ],
    }
    for_docker = [
        {
            "Config": path(config),
            "RepoTags": [name.removeprefix("docker.io/library/")],
            "Layers": [path(descriptor) for descriptor in descriptors],
        }
    ]
    with tarfile.open(file, "w") as tar:
        for member, data in (
            ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
            ("index.json", json.dumps(index).encode()),
            ("manifest.json", json.dumps(for_docker).encode()),
            *((f"blobs/sha256/{digest}", data) for digest, data in blobs.items()),
        ):
            entry = tarfile.TarInfo(member)
            entry.mode, entry.size = stat.S_IRUSR, len(data)
            tar.addfile(entry, io.BytesIO(data))


def write_deep(file: Path, name: str, number: int, bottom: bytes) -> None:
    """Write an image of many layers above one; each replaces what the one below it wrote, and adds a file."""
    layers = [
        layer(Change("deep", files={"deep/level": f"{level}\n".encode(), f"deep/{level:03}": b"."}, folders=("deep",)))
        for level in range(number)
    ]
    write(file, name, (bottom, *layers), ["ADD tree", *(f"RUN level {level}" for level in range(number))])
