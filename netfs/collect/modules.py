"""Which parts of the kernel are there already, so that no question makes it load one."""

from __future__ import annotations

import os
from functools import cache


@cache
def present(module: str) -> bool:
    """Whether a module is loaded or built in. Where modules do not exist at all, asking loads nothing: true."""
    loaded = _loaded()
    if loaded is None or module in loaded:
        return True
    return os.path.isdir(f"/sys/module/{module}") or module in _built_in()


@cache
def _loaded() -> frozenset[str] | None:
    try:
        with open("/proc/modules", encoding="ascii", errors="replace") as file:
            return frozenset(line.split(" ", 1)[0] for line in file)
    except FileNotFoundError:
        return None
    except OSError:
        return frozenset()


@cache
def _built_in() -> frozenset[str]:
    try:
        with open(f"/lib/modules/{os.uname().release}/modules.builtin", encoding="ascii") as file:
            return frozenset(os.path.basename(line.strip()).removesuffix(".ko").replace("-", "_") for line in file)
    except (OSError, ValueError):
        return frozenset()
