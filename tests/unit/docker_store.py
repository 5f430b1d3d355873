"""Tiny data roots of Docker's, written below a folder: what its own files would say of layers, images, containers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

NEVER = "0001-01-01T00:00:00Z"


def hexadecimal(word: str) -> str:
    """64 hex digits that stand for a word."""
    return hashlib.sha256(word.encode()).hexdigest()


def short(layer: str) -> str:
    """The name of a layer's link."""
    return hexadecimal(layer)[:26].upper()


class DockerStore:
    """A data root. Layers are named by words; their directories by ``hexadecimal`` of these."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.overlay2 = path / "overlay2"
        self.own = path / "image" / "overlay2"
        self.layerdb = self.own / "layerdb"
        for folder in (self.overlay2 / "l", self.layerdb / "sha256", self.layerdb / "mounts", path / "containers"):
            folder.mkdir(parents=True)
        (self.own / "imagedb" / "content" / "sha256").mkdir(parents=True)
        self._chains: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def directory(self, name: str, lower: Sequence[str] = ()) -> Path:
        """A directory of overlay2, under its real name; ``lower`` are real names, uppermost first."""
        folder = self.overlay2 / name
        (folder / "diff").mkdir(parents=True)
        (folder / "link").write_text(short(name))
        os.symlink(f"../{name}/diff", self.overlay2 / "l" / short(name))
        if lower:
            (folder / "lower").write_text(":".join(f"l/{short(one)}" for one in lower))
            (folder / "work").mkdir()
        return folder

    def image(self, name: str, *words: str, history: list[dict[str, object]] | None = None) -> str:
        """An image of the layers that the words name, oldest first; those that are there are shared. Its id."""
        diffs: list[str] = []
        below: list[str] = []
        chain = ""
        for word in words:
            diffs.append(f"sha256:{hexadecimal(f'diff of {word}')}")
            parent, chain = chain, self._chain(chain, diffs[-1])
            if chain not in self._chains:
                self._chains[chain] = hexadecimal(word)
                self.directory(hexadecimal(word), below)
                self.record(chain, hexadecimal(word), diffs[-1], parent)
            below.insert(0, self._chains[chain])
        lines = history if history is not None else [{"created_by": f"RUN {word}"} for word in words]
        config = {"created": "2026-01-01T00:00:00Z", "history": lines, "rootfs": {"diff_ids": diffs}}
        data = json.dumps(config).encode()
        identity = hashlib.sha256(data).hexdigest()
        (self.own / "imagedb" / "content" / "sha256" / identity).write_bytes(data)
        self._names[name] = f"sha256:{identity}"
        repositories = {name.partition(":")[0]: {name: identity} for name, identity in self._names.items()}
        (self.own / "repositories.json").write_text(json.dumps({"Repositories": repositories}))
        return f"sha256:{identity}"

    def record(self, chain: str, directory: str, diff: str, parent: str = "") -> Path:
        """What layerdb says of an image layer."""
        folder = self.layerdb / "sha256" / chain.removeprefix("sha256:")
        folder.mkdir()
        (folder / "cache-id").write_text(directory)
        (folder / "diff").write_text(diff)
        (folder / "size").write_text("7")
        if parent:
            (folder / "parent").write_text(parent)
        return folder

    def container(self, word: str, image: str, config: dict[str, object] | None = None) -> str:
        """A container of an image (``""``: of none), with its two layers; its id. ``config`` adds to what is said."""
        identity, layer = hexadecimal(f"container {word}"), hexadecimal(f"layer of {word}")
        self.mount(identity, layer, image)
        document: dict[str, object] = {
            "ID": identity,
            "Name": f"/{word}",
            "Driver": "overlay2",
            "Image": image,
            "Config": {"Image": next((name for name, known in self._names.items() if known == image), "")},
            "State": {"Running": True, "Pid": 4242, "StartedAt": "2026-01-02T00:00:00Z"},
        }
        folder = self.path / "containers" / identity
        folder.mkdir()
        (folder / "config.v2.json").write_text(json.dumps(document | (config or {})))
        return identity

    def mount(self, owner: str, layer: str, image: str) -> None:
        """A writable layer above an image, and its init layer."""
        diffs: list[str] = []
        if image:
            content = (self.own / "imagedb" / "content" / "sha256" / image.removeprefix("sha256:")).read_bytes()
            diffs = json.loads(content)["rootfs"]["diff_ids"]
        chain = ""
        lower: list[str] = []
        for diff in diffs:
            chain = self._chain(chain, diff)
            lower.insert(0, self._chains[chain])
        self.directory(f"{layer}-init", lower)
        self.directory(layer, [f"{layer}-init", *lower])
        folder = self.layerdb / "mounts" / owner
        folder.mkdir()
        (folder / "mount-id").write_text(layer)
        (folder / "init-id").write_text(f"{layer}-init")
        if chain:
            (folder / "parent").write_text(chain)

    @staticmethod
    def _chain(below: str, diff: str) -> str:
        return f"sha256:{hexadecimal(f'{below} {diff}')}" if below else diff
