"""The image of the lab's containers: what its layers hold, and every digest that follows from that.

A layer is a list of entries, parents before what is in them. The image's layers are a base, packages, and an
application that does to those below what a Dockerfile does: it changes a file, deletes one, and replaces a directory.
(OCI image-spec, layer.md and config.md)
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from functools import cache

NAME = "netfs-lab/app"
TAG = f"{NAME}:1"
CREATED = "2026-01-01T00:00:00Z"
_BUILT = 1767225600
"""The same moment, in seconds since 1970: the time of every file in the tars."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a layer says about a path."""

    path: str
    type: str = "file"
    """``directory``, ``file``, ``symlink``, ``link`` (another name of a file), ``deleted``, ``replaced`` (a directory
    that hides what is below it)."""
    content: bytes = b""
    target: str = ""
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Image:
    """The digests of the image, each ``sha256:…``; those of layers oldest first."""

    id: str
    config: bytes
    diff_ids: tuple[str, ...]
    chain_ids: tuple[str, ...]
    sizes: tuple[int, ...]
    """Bytes in each layer's files."""


def directories(*paths: str) -> tuple[Entry, ...]:
    """Ordinary directories."""
    return tuple(Entry(path, "directory", mode=0o755) for path in paths)


def _program(name: str, size: int) -> bytes:
    return b"\x7fELF" + hashlib.shake_128(name.encode()).digest(size - 4)


_BASE = (
    *directories("etc", "usr", "usr/bin", "usr/lib", "usr/share", "usr/share/doc", "var", "var/log"),
    Entry("tmp", "directory", mode=0o1777),
    Entry("bin", "symlink", target="usr/bin"),
    Entry("etc/hosts", content=b"127.0.0.1\tlocalhost\n"),
    Entry("etc/issue", content=b"netfs lab 1 \\n \\l\n"),
    Entry("etc/motd", content=b"base layer\n"),
    Entry("etc/os-release", content=b'NAME="netfs lab"\nID=netfs-lab\nVERSION_ID=1\n'),
    Entry("etc/passwd", content=b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    Entry("usr/bin/busybox", content=_program("busybox", 40_000), mode=0o755),
    *(Entry(f"usr/bin/{name}", "link", target="usr/bin/busybox", mode=0o755) for name in ("cat", "echo", "ls", "sh")),
    Entry("usr/lib/libc.so.6", content=_program("libc", 60_000), mode=0o755),
    Entry("usr/share/doc/copyright", content=b"Nobody's.\n"),
)
_PACKAGES = (
    *directories("usr", "usr/lib", "usr/share", "usr/share/doc", "var", "var/cache", "var/cache/apt"),
    Entry("usr/lib/libssl.so", "symlink", target="libssl.so.3"),
    Entry("usr/lib/libssl.so.3", content=_program("libssl", 30_000), mode=0o755),
    Entry("usr/share/doc/libssl3", content=b"libssl3 (3.0-1)\n" * 200),
    Entry("var/cache/apt/libssl3.deb", content=hashlib.shake_128(b"libssl3.deb").digest(20_000)),
)
_APPLICATION = (
    *directories("app", "app/data", "etc", "usr", "usr/share"),
    Entry("usr/share/doc", "replaced", mode=0o755),
    *directories("var", "var/cache", "var/cache/apt"),
    Entry("app/data/seed", content=b"1\n"),
    Entry("app/server", content=_program("server", 25_000), mode=0o755),
    Entry("app/server.conf", content=b"port = 80\n"),
    Entry("etc/motd", content=b"application layer\n"),
    Entry("usr/share/doc/NOTICE", content=b"All other documentation was removed.\n"),
    Entry("var/cache/apt/libssl3.deb", "deleted"),
)
LAYERS = (_BASE, _PACKAGES, _APPLICATION)
"""Oldest first."""
LABELS = {"org.opencontainers.image.title": NAME}
COMMAND = "/app/server"

_HISTORY: tuple[dict[str, object], ...] = (
    {"created_by": "/bin/sh -c #(nop) ADD file:base.tar in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["/bin/sh"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apt-get install --yes libssl3 # buildkit", "comment": "buildkit.dockerfile.v0"},
    {"created_by": "RUN /bin/sh -c sh /src/install.sh # buildkit", "comment": "buildkit.dockerfile.v0"},
    {"created_by": f'ENTRYPOINT ["{COMMAND}"]', "comment": "buildkit.dockerfile.v0", "empty_layer": True},
)


def tar(entries: tuple[Entry, ...]) -> bytes:
    """A layer as the archive that it is pushed as: always the same bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in entries:
            for member in _members(entry):
                archive.addfile(member, io.BytesIO(entry.content))
    return file.getvalue()


def _members(entry: Entry) -> list[tarfile.TarInfo]:
    folder, _, name = entry.path.rpartition("/")
    types = {"directory": tarfile.DIRTYPE, "replaced": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE}
    member = tarfile.TarInfo(f"{folder}/.wh.{name}" if entry.type == "deleted" else entry.path)
    member.type = tarfile.LNKTYPE if entry.type == "link" else types.get(entry.type, tarfile.REGTYPE)
    member.size, member.linkname = len(entry.content), entry.target
    opaque = [tarfile.TarInfo(f"{entry.path}/.wh..wh..opq")] if entry.type == "replaced" else []
    for each in (member, *opaque):
        each.mode, each.mtime = entry.mode, _BUILT
    return [member, *opaque]


@cache
def image() -> Image:
    """The image."""
    diff_ids = tuple(_digest(tar(layer)) for layer in LAYERS)
    chain_ids = [diff_ids[0]]
    for diff in diff_ids[1:]:
        chain_ids.append(_digest(f"{chain_ids[-1]} {diff}".encode()))
    config = json.dumps(
        {
            "architecture": "amd64",
            "config": {"Entrypoint": [COMMAND], "Labels": LABELS, "WorkingDir": "/"},
            "created": CREATED,
            "history": [{"created": CREATED, **line} for line in _HISTORY],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    sizes = tuple(sum(len(entry.content) for entry in layer) for layer in LAYERS)
    return Image(_digest(config), config, diff_ids, tuple(chain_ids), sizes)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
