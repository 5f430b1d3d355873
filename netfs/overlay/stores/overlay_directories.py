"""A folder of layer directories with short links, as Docker's overlay2 driver and containers-storage make them.

::

    l/LINK -> ../ID/diff      26 characters, A-Z and 0-9: mount options hold one page, and IDs are long
    ID/link                   LINK
    ID/lower                  "l/LINK:l/LINK…", the layers below, uppermost first; a base layer has no such file
    ID/{diff,work,merged}     what is in it; what the kernel needs to write to it; where it is mounted

(moby ``daemon/graphdriver/overlay2/overlay.go``, containers/storage ``drivers/overlay/overlay.go``) Where a link is
gone, both drivers make it anew from ``ID/link``; here that is done in memory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.docker.place import LINKS

_LINK = re.compile(r"[A-Z0-9]{1,64}")
_TARGET = re.compile(r"\.\./([^/\0]+)/diff/?")


@dataclass(frozen=True, slots=True)
class LayerDirectory:
    """One of the directories, as its own files describe it."""

    id: str
    path: str
    short: str
    """What ``link`` says; empty: it says nothing."""
    lower: tuple[str, ...] | None
    """The directories that ``lower`` leads to, uppermost first, there or not. None: it cannot be told."""
    entries: frozenset[str]

    @property
    def trees(self) -> tuple[str, ...]:
        """Where its files are."""
        return (f"{self.path}/diff",) if "diff" in self.entries else ()


@dataclass(frozen=True, slots=True)
class LayerFolder:
    """All of the directories."""

    path: str
    directories: Mapping[str, LayerDirectory] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """What the links say, by their name."""
    gaps: tuple[Gap, ...] = ()
    listed: bool = True
    """The folder could be listed: a directory that is not among these is not there."""


def component(name: str) -> bool:
    """Whether a name from a file can be that of a directory beside it: no path, and nothing that leads elsewhere."""
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name and name.isprintable()


def read(root: Root, path: str, beside: Mapping[str, str] | None = None) -> LayerFolder:
    """Read the folder at ``path``. What cannot be read is among its gaps.

    ``beside``: the directories of other folders that its ``lower`` may name, by their ``short``; its own come first.
    """
    names = documents.names(root, path)
    if isinstance(names, Gap):
        return LayerFolder(path, gaps=(names,), listed=False)
    gaps: list[Gap] = []
    links = _links(root, posixpath.join(path, LINKS), gaps)
    entries: dict[str, frozenset[str]] = {}
    for name in names:
        here = posixpath.join(path, name)
        if name == LINKS or not root.is_directory(here):
            continue
        found = documents.names(root, here)
        if isinstance(found, Gap):
            gaps.append(found)
        entries[name] = frozenset([] if isinstance(found, Gap) else found)
    shorts = {name: _short(root, posixpath.join(path, name), held, gaps) for name, held in entries.items()}
    ids = dict(beside or {})
    ids |= {short: name for name, short in reversed(shorts.items()) if short}
    ids |= {link: name for link, target in links.items() if (name := _led_to(target))}
    directories = {}
    for name, held in entries.items():
        here = posixpath.join(path, name)
        lower = _lower(root, here, ids, gaps) if "lower" in held else ()
        directories[name] = LayerDirectory(name, here, shorts[name], lower if held else None, held)
    return LayerFolder(path, directories, links, tuple(gaps))


def _links(root: Root, path: str, gaps: list[Gap]) -> dict[str, str]:
    names = documents.names(root, path)
    if isinstance(names, Gap):
        gaps.append(names)
        return {}
    links = {}
    for name in names:
        here = posixpath.join(path, name)
        try:
            links[name] = root.link(here)
        except OSError as error:
            gaps.append(documents.refused(here, error, "link"))
    return links


def _led_to(target: str) -> str:
    """The directory that a link leads to; empty: it leads elsewhere."""
    match = _TARGET.fullmatch(target)
    return match[1] if match and component(match[1]) and match[1] != LINKS else ""


def _short(root: Root, path: str, held: frozenset[str], gaps: list[Gap]) -> str:
    if "link" not in held:
        return ""
    text = documents.line(root, f"{path}/link")
    if isinstance(text, Gap):
        gaps.append(text)
        return ""
    if not _LINK.fullmatch(text):
        gaps.append(Gap(f"{path}/link", "link", "is no name of a link"))
        return ""
    return text


def _lower(root: Root, path: str, ids: Mapping[str, str], gaps: list[Gap]) -> tuple[str, ...] | None:
    text = documents.line(root, f"{path}/lower")
    if isinstance(text, Gap):
        gaps.append(text)
        return None
    lower = []
    for part in text.split(":"):
        prefix, _, link = part.rpartition("/")
        if prefix != LINKS or not _LINK.fullmatch(link):
            gaps.append(Gap(f"{path}/lower", "lower", "names something that is no link"))
            return None
        if link not in ids:
            gaps.append(Gap(f"{path}/lower", "lower", f"names {part}, which leads nowhere"))
            return None
        lower.append(ids[link])
    return tuple(lower)
