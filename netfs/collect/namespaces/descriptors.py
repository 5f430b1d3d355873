"""Namespaces that an open file keeps alive."""

from __future__ import annotations

import os
from collections.abc import Iterable

from netfs.collect.namespaces.found import Search
from netfs.collect.namespaces.mountinfo import named_namespace
from netfs.model.namespaces import OpenFile
from netfs.model.processes import NAMESPACE_TYPES, Process


def add_descriptors(search: Search, processes: Iterable[Process]) -> None:
    """Look at every descriptor of every process. The caller has none open itself that it would not have kept."""
    for process in processes:
        folder = f"{search.proc}/{process.pid}/fd"
        try:
            numbers = os.listdir(folder)
        except PermissionError:
            search.refuse("descriptors", f"pid {process.pid}")
            continue
        except OSError:
            continue
        for number in numbers:
            try:
                name = os.readlink(f"{folder}/{number}")
            except OSError:
                continue
            named = named_namespace(name) if name.endswith("]") else None
            if named is not None and named[0] in NAMESPACE_TYPES:  # pipes and sockets are called alike
                search.get(*named).open_files.append(OpenFile(process.pid, int(number)))
