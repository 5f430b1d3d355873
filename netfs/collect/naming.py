"""What operators call a namespace: its pin, its container, its process."""

from __future__ import annotations

import os
import re

from netfs.collect.discovery import Place
from netfs.model.snapshot import Container

CONTAINER = re.compile(r"([0-9a-f]{64})")
RUNTIMES = {"docker": "docker", "cri-containerd": "containerd", "crio": "cri-o", "libpod": "podman"}
"""How the scope of a container's cgroup begins under each runtime."""
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
    """The container of the namespace's first process, by its cgroup path."""
    for pid in place.pids[:1]:
        text = _read(f"/proc/{pid}/cgroup")
        match = CONTAINER.search(text)
        if match is not None:
            before = text[: match.start()].rstrip("-").rpartition("/")[2].rpartition("-")[2] or "docker"
            scope = next((name for name in RUNTIMES if text[: match.start()].endswith(f"{name}-")), before)
            return Container(match[1][:SHORT], match[1], runtime=RUNTIMES.get(scope), pid=pid)
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
