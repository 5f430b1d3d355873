"""What a test needs that becomes another user: a python and a library that every user may read."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
"""The system's: that of the checkout may lie in a folder that only its owner may enter."""


@contextmanager
def readable_library() -> Iterator[Path]:
    """A folder with a copy of ``netfs`` in it, for a ``PYTHONPATH``; the checkout may be hidden from others."""
    folder = Path(tempfile.mkdtemp(prefix="netfs-test-", dir="/tmp"))
    try:
        shutil.copytree(ROOT / "netfs", folder / "netfs", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield folder
    finally:
        shutil.rmtree(folder)
