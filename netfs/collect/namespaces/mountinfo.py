"""Mounts of nsfs as mountinfo shows them (proc_pid_mountinfo(5)). `netfs collect` begins with it, so it is small."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netfs.collect.octal import unescaped

NSFS = b" - nsfs "
"""Before the type of the file system stands no blank that is not a field's end: blanks in names are escaped."""
NAME = re.compile(r"([a-z]+):\[([0-9]{1,20})\]\Z")


def nsfs_mounts(text: bytes) -> Iterator[tuple[str, int, bytes]]:
    """(type, inode, mount point) of every nsfs mount in a mountinfo."""
    if NSFS not in text:
        return
    for line in text.split(b"\n"):
        if NSFS not in line:
            continue
        words = line.split(b" ", 5)
        named = named_namespace(words[3].decode("ascii", "replace")) if len(words) == 6 else None
        if named is not None:
            yield *named, unescaped(words[4])


def named_namespace(name: str) -> tuple[str, int] | None:
    """(type, inode) of ``net:[4026531840]``; None for anything else."""
    match = NAME.match(name)
    return None if match is None else (match[1], int(match[2]))
