"""Sizes, names and ids of layers in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netfs.model import amounts
from netfs.model.gaps import Gap
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import count

if TYPE_CHECKING:
    from netfs.model.layers import Extent

GAPS = 6
"""Things not read that are told one by one."""
_INIT = "-init"
_LONG = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NOISE = (("/bin/sh -c #(nop) ", ""), ("RUN /bin/sh -c ", "RUN "), ("/bin/sh -c ", "RUN "))
_MAKERS = {
    "init": "the engine, for this container: what it mounts over later",
    "container": "the container's own processes, or the engine for it",
}


def size(number: int | None) -> str:
    """``0 B``, ``52.0 KiB``, ``1.2 GiB``; nothing for what was not measured."""
    return "" if number is None else amounts.size(number)


def short(identity: str) -> str:
    """An id, cut as the engines cut it; so are those in one that is a path."""
    clean = printable(identity)
    if "/" in clean:
        return brief(identity)
    return clean.removeprefix("sha256:").removesuffix(_INIT)[:12] + (_INIT if clean.endswith(_INIT) else "")


def brief(text: str) -> str:
    """Text in which long ids are cut: wide forms show them whole."""
    return _LONG.sub(lambda found: f"{found[0][:12]}…", printable(text))


def directories(number: int) -> str:
    """``1 directory``, ``2 directories``."""
    return f"{number} director{'y' if number == 1 else 'ies'}"


def extent(found: Extent) -> str:
    """``3 files, 1 directory, 12.0 KiB``."""
    parts = []
    if found.files or not found.directories:
        parts.append(count(found.files, "file"))
    if found.directories:
        parts.append(directories(found.directories))
    return ", ".join([*parts, size(found.bytes)])


def names(found: Sequence[str], most: int = 3) -> str:
    """Some names, each once, and how many more there are."""
    distinct = tuple(dict.fromkeys(found))
    shown = ", ".join(printable(name) for name in distinct[:most])
    return shown + (f" and {len(distinct) - most} more" if len(distinct) > most else "")


def tail(notes: Sequence[str], gaps: Sequence[Gap], ink: Ink) -> list[str]:
    """What a reader should know, and what was not read."""
    told = findings.gaps(gaps, ink, None)
    lines = [ink.dim(f"  {ink.sign('•')}  {printable(note)}") for note in notes] + told[:GAPS]
    if len(told) > GAPS:
        lines.append(ink.doubtful(f"  ?  and {len(told) - GAPS} more (-o json)"))
    return ["", *lines] if lines else []


def made_by(line: str, room: int | None) -> str:
    """A line of history without the builders' noise, cut where there is too little room."""
    clean = " ".join(printable(line).split()).removesuffix(" # buildkit")
    for noise, plain in _NOISE:
        if clean.startswith(noise):
            clean = plain + clean[len(noise) :]
            break
    return clean if room is None or len(clean) <= room else clean[: room - 1] + "…"


def maker(created_by: str, role: str, room: int | None) -> str:
    """Who made a layer, in words; empty: nobody says it."""
    return made_by(created_by, room) if created_by else _MAKERS.get(role, "")
