"""What import-linter cannot say: rooms that need the standard library alone, and scapy's one door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["netfs", "cli/netfs_cli", "plugins/netfs_kubectl"]


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("room", ["model", "collect"])
def test_room_needs_the_standard_library_alone(room: str) -> None:
    foreign = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / "netfs" / room).rglob("*.py")
        for module in imported_modules(path)
        if module.split(".")[0] not in sys.stdlib_module_names and module.split(".")[0] != "netfs"
    }
    assert not foreign


@pytest.mark.parametrize("room", ["model", "collect"])
def test_room_loads_without_any_installed_package(room: str) -> None:
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in sorted((ROOT / "netfs" / room).rglob("*.py"))
        if path.name != "__main__.py"
    ]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(f"import {module}" for module in modules)
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_scapy_is_imported_in_one_place_at_most() -> None:
    places = {
        path.relative_to(ROOT).as_posix()
        for source in SOURCES
        for path in (ROOT / source).rglob("*.py")
        if any(module.split(".")[0] == "scapy" for module in imported_modules(path))
    }
    assert len(places) <= 1, places
