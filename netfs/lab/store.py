"""A Docker-style overlay2 store for a node's pods, in the layout of moby's ``overlay2`` graph driver.

``overlay2/l/LINK -> ../ID/diff``; ``ID/{link,lower,diff,work,merged,committed}``. Every pod shares a base layer and an
application layer, and has an init layer and a writable one. (moby ``daemon/graphdriver/overlay2/overlay.go``)
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class Mount:
    """An overlay to be mounted."""

    target: str
    options: str


def _identity(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def _layer(root: Path, layer: str, lower: tuple[str, ...], files: dict[str, str]) -> str:
    """Make one layer; return its link. ``lower`` holds the links below it, uppermost first."""
    digest = hashlib.sha256(layer.encode()).digest()
    link = "".join(_ALPHABET[byte & 31] for byte in digest[:26])
    folder = root / layer
    (folder / "diff").mkdir(parents=True)
    (folder / "link").write_text(link)
    (root / "l").mkdir(exist_ok=True)
    os.symlink(f"../{layer}/diff", root / "l" / link)
    if lower:
        (folder / "lower").write_text(":".join(f"l/{one}" for one in lower))
        (folder / "work").mkdir()
    for path, content in files.items():
        target = folder / "diff" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return link


def make_image(root: Path, node: str) -> tuple[str, ...]:
    """The layers that all pods of a node share; their links, uppermost first."""
    base, app = _identity(node, "base"), _identity(node, "app")
    release = 'NAME="netfs lab"\nID=netfs-lab\nVERSION_ID=1\n'
    lowest = (_layer(root, base, (), {"etc/os-release": release, "etc/motd": "base layer\n", "usr/bin/echo": ""}),)
    (root / base / "committed").touch()
    above = _layer(root, app, lowest, {"etc/motd": "application layer\n", "app/server.conf": "port = 80\n"})
    (root / app / "committed").touch()
    return (above, *lowest)


def make_container(root: Path, pod: str, container: str, image: tuple[str, ...], rootless: bool) -> Mount:
    """A pod's own two layers above the image, and how to mount them."""
    layer = _identity(container, "mount")
    links = (_layer(root, f"{layer}-init", image, {"etc/hostname": "", "etc/hosts": "", ".dockerenv": ""}), *image)
    (root / f"{layer}-init" / "committed").touch()
    _layer(root, layer, links, {"etc/hostname": f"{pod}\n"})
    merged = root / layer / "merged"
    merged.mkdir()
    lower = ":".join(f"{root}/l/{link}" for link in links)
    folders = f"lowerdir={lower},upperdir={root}/{layer}/diff,workdir={root}/{layer}/work"
    return Mount(str(merged), f"userxattr,{folders}" if rootless else folders)
