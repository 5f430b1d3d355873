"""A chain of layers as images have them: nested directories, files replaced and deleted, directories made anew."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

DIRECTORIES = (
    "usr",
    "lib",
    "share",
    "python3",
    "site-packages",
    "doc",
    "include",
    "locale",
    "etc",
    "bin",
    "opt",
    "srv",
)
USERXATTR = os.geteuid() != 0
"""Which marks can be written here; the chain is read with the same ones."""
DEEPEST = 12
IN_A_DIRECTORY = (2, 5, 8, 12, 40)
BIGGEST = 12_000
"""Bytes of a file: most are much smaller."""


class Growing:
    """Layers written one upon the other, the lowest first; what there is below is remembered."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._content = self._random.randbytes(BIGGEST)
        self._below: list[str] = []
        """Directories of the layers so far, as paths."""
        self._new: list[str] = []
        """Directories of the layer that is being written."""
        self._names: dict[str, list[str]] = {}
        """Files of the layers so far, by directory."""

    def layer(self, path: Path, files: int) -> None:
        """Write a layer of so many files: nine of ten are new, the others stand over one below; some are deleted."""
        pick = self._random
        new: dict[str, list[str]] = {}
        self._new = []
        left = files
        while left > 0:
            place = self._place()
            (path / place).mkdir(parents=True, exist_ok=True)
            names = [
                f"{pick.choice(('mod', 'test', 'data', 'msg'))}_{pick.getrandbits(30):x}.py"
                for _ in range(self._many())
            ]
            known = self._names.get(place, [])
            again = pick.sample(known, min(2, len(known)))
            names[: len(again)] = again
            for name in names[:left]:
                self._write(path / place / name)
            left -= len(names)
            if place not in new:
                self._new.append(place)
            new.setdefault(place, []).extend(names[len(again) :])
            if len(known) > 2 and pick.random() < 0.1:
                self._delete(path / place / known.pop(0))
        for place in pick.sample(self._below, min(len(self._below), 10)):
            self._rewrite(path / place)
        for place, names in new.items():
            self._names.setdefault(place, []).extend(names)
        self._below += new

    def _many(self) -> int:
        return self._random.choice(IN_A_DIRECTORY)

    def _place(self) -> str:
        """A directory below which files are: a third of them are in layers below as well."""
        if self._below and self._random.random() < 0.33:
            return self._random.choice(self._below)
        above = self._random.choice(self._new) if self._new and self._random.random() < 0.6 else "usr/lib"
        depth = self._random.choice((0, 0, 0, 1, 2))
        place = "/".join([above, *self._random.choices(DIRECTORIES, k=depth), f"pkg{self._random.getrandbits(20):x}"])
        return place if place.count("/") < DEEPEST else f"usr/share/pkg{self._random.getrandbits(20):x}"

    def _write(self, path: Path) -> None:
        size = min(int(self._random.paretovariate(0.6) * 40), BIGGEST)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(descriptor, self._content[: size if size % 97 else 0])
        finally:
            os.close(descriptor)

    @staticmethod
    def _delete(path: Path) -> None:
        if not path.exists():
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))

    @staticmethod
    def _rewrite(path: Path) -> None:
        """Make a directory opaque, as deleting it and making it again does."""
        path.mkdir(parents=True, exist_ok=True)
        os.setxattr(path, "user.overlay.opaque" if USERXATTR else "trusted.overlay.opaque", b"y")


def grow(folder: Path, layers: int, files: int, seed: int = 1) -> list[Path]:
    """Write a chain; its layers' folders, uppermost first."""
    growing = Growing(seed)
    written = []
    for number in range(layers):
        path = folder / f"{number:02}" / "diff"
        path.mkdir(parents=True)
        growing.layer(path, files)
        written.append(path)
    return written[::-1]
