"""``netfs layers which``: the layer that provides a file, and those whose version it hides."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterator

from netfs.model.layer_answers import Version, Which
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import maker, names, short, size, tail

LINKS = 4
"""Symlinks that are told one by one: a loop has 40."""


def render(answer: Which, ink: Ink, *, wide: bool) -> str:
    """One sentence, then every layer that has something at the path."""
    lines = [*_sentence(answer, ink)]
    if answer.provider is not None:
        lines += _version(answer.provider, ink, wide)
    if answer.covered_at:
        lines.append(f"  {ink.doubtful(ink.sign('!'))} {_covered(answer)}")
    if answer.data is not None:
        lines += ["", "Its bytes are read from", *_version(answer.data, ink, wide)]
    if answer.merged:
        lines += ["", "Merged into it", *(line for each in answer.merged for line in _version(each, ink, wide))]
    if answer.shadowed:
        word = "It shadows" if answer.provider is not None else "What the layers have there"
        lines += ["", word, *(line for each in answer.shadowed for line in _version(each, ink, wide))]
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)])


def _sentence(answer: Which, ink: Ink) -> Iterator[str]:
    asked, name = printable(answer.path), printable(answer.chain.name)
    for link, target in answer.via[:LINKS]:
        yield ink.dim(f"{printable(link)} is a symlink to {printable(target)}")
    if len(answer.via) > LINKS:
        yield ink.dim(f"and {len(answer.via) - LINKS} more symlinks")
    path = printable(answer.resolved)
    provider = answer.provider
    if answer.error:
        words = os.strerror(getattr(errno, answer.error, 0)) if hasattr(errno, answer.error) else ""
        says = f"cannot be opened in {name}: the kernel answers {printable(answer.error)}" + (
            f" ({words})" if words else ""
        )
        yield f"{ink.bad(ink.sign('✗'))} {ink.bold(asked)} {says}"
    elif provider is None:
        gone = next((each for each in answer.shadowed if each.fate == "whiteout"), None)
        why = f": layer {short(gone.id)} ({printable(gone.role)}) deletes it" if gone is not None else ""
        if not why and answer.shadowed:
            why = f": {printable(answer.shadowed[0].why)} in layer {short(answer.shadowed[0].by)} hides it"
        yield f"{ink.bad(ink.sign('✗'))} {ink.bold(asked)} is not in {name}{why}"
    else:
        whose = f", of {names(provider.used_by) or 'nobody'}" if provider.role not in ("mount", "data") else ""
        layer = f"{ink.bold(short(provider.id))} ({printable(provider.role)}{whose})"
        yield f"{ink.bold(path)} in {name} comes from layer {layer}"


def _covered(answer: Which) -> str:
    """What the container's processes see instead."""
    at, by = printable(answer.covered_at), answer.covered_by
    if not by.startswith("/"):
        return f"the container's processes see a file system of type {printable(by)} instead, mounted at {at}"
    inside = posixpath.relpath(answer.resolved, answer.covered_at)
    seen = by if inside == "." else posixpath.join(by, inside)
    where = "it is mounted there" if inside == "." else f"{printable(by)} is mounted at {at}"
    return f"the container's processes see {printable(seen)} instead: {where}"


def _version(found: Version, ink: Ink, wide: bool) -> Iterator[str]:
    facts = [found.mode, f"{found.uid}:{found.gid}", size(found.size) if found.type == "file" else found.type]
    facts += [found.modified_at] if found.modified_at else []
    yield f"  {ink.bold(short(found.id))}  {'  '.join(map(printable, (found.role, *facts)))}" + (
        f"  {ink.dim(', '.join(map(printable, found.marks)))}" if found.marks else ""
    )
    yield ink.dim(f"    {printable(found.path)}")
    made = maker(found.created_by, found.role, None if wide else 96)
    if made:
        yield f"    made by  {made}"
    if found.by:
        yield f"    hidden by {printable(found.why)} in {short(found.by)}"
