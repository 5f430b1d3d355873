"""What operators call a namespace: its pin, its container, its process."""

from __future__ import annotations

import os

from netfs.collect.cgroups.paths import recognise
from netfs.collect.discovery import Place
from netfs.model.snapshot import Container

SHORT = 12
"""Characters of a container id that people use."""


def name_of(place: Place) -> str:
    """The pin's name, else the container's short id, else the first process's, else ``netns-INODE``."""
    for pin in place.pins:
        return os.path.basename(pin)
    found = container_of(place)
    if found is not None:
        return found.name
    for pid in place.pids:
        command = _read(f"/proc/{pid}/comm").strip()
        if command:
            return command
    return f"netns-{place.inode}"


def container_of(place: Place) -> Container | None:
    """The container of the namespace's first process, by its control groups."""
    for pid in place.pids[:1]:
        lines = _read(f"/proc/{pid}/cgroup").split("\n")
        for path in dict.fromkeys(line.split(":", 2)[-1] for line in lines):
            found = recognise(path)
            if found is not None and found.kind == "container":
                return Container(found.container[:SHORT], found.container, runtime=found.runtime or None, pid=pid)
    return None


def unique(name: str, taken: set[str]) -> str:
    """``name``, or ``name-2``, ``name-3`` … where it is taken; it is taken then."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}-{count}"
    taken.add(candidate)
    return candidate


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except OSError:
        return ""
