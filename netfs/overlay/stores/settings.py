"""How engines are told what to do: command lines of daemons, units of systemd, files of TOML.

What cannot be read or understood is passed over: a setting is a hint where to look, and no more.
"""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

BYTES = 1 << 20
"""Of the largest file that is read."""
_LINE = 1 << 12
UNIT_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def running(root: Root, programs: Collection[str]) -> Iterator[list[str]]:
    """Command lines of this host's processes that run one of the programs; none where the root is another machine's."""
    if posixpath.normpath(root.path) != "/":
        return
    for name in os.listdir("/proc"):
        data = _command_line(name) if name.isdecimal() else b""
        if posixpath.basename(data.partition(b"\0")[0]).decode("utf-8", "replace") in programs:
            yield data.decode("utf-8", "replace").split("\0")


def _command_line(pid: str) -> bytes:
    """Of a process of this host; empty where there is none.

    Every process is looked at, so the kernel's own file is read without the care that others' need.
    """
    try:
        file = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.read(file, _LINE)
        return data if len(data) < _LINE else data + os.read(file, BYTES)
    except OSError:
        return b""
    finally:
        os.close(file)


def units(root: Root, names: Iterable[str]) -> Iterator[list[str]]:
    """The commands of units, with what was changed in them (systemd.unit(5), ``*.d/*.conf``)."""
    wanted = tuple(names)
    for folder in UNIT_FOLDERS:
        for unit in wanted:
            added = documents.names(root, f"{folder}/{unit}.d")
            changed = [] if isinstance(added, Gap) else [f"{unit}.d/{name}" for name in added]
            for file in (unit, *changed):
                yield from _commands(text(root, f"{folder}/{file}"))


def _commands(unit: str) -> Iterator[list[str]]:
    for line in unit.replace("\\\n", " ").splitlines():
        key, _, command = line.strip().partition("=")
        if key.rstrip() == "ExecStart":
            try:
                yield shlex.split(command)
            except ValueError:
                continue


def values(words: Sequence[str], options: Iterable[str]) -> Iterator[str]:
    """What follows one of the options, as ``--option=value`` or ``--option value``."""
    wanted = frozenset(options)
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in wanted:
            yield value if equals else "".join(words[index + 1 : index + 2])


def toml(root: Root, path: str) -> object:
    """A document; None where there is none."""
    written = text(root, path)
    if not written:
        return None
    import tomllib  # most of the files that are looked for are not there

    try:
        return tomllib.loads(written)
    except (ValueError, RecursionError):
        return None


def text(root: Root, path: str) -> str:
    """A file; empty where there is none."""
    try:
        return root.read(path, BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
