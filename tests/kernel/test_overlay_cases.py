"""The table of stacks says what the running kernel shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.overlay_cases import GROUPS

pytestmark = pytest.mark.kernel
HERE = Path(__file__).resolve().parent
NAMESPACES = {"root": ["--mount"], "user": ["--user", "--map-root-user", "--mount"]}
SIDES = ["root", "user"] if os.geteuid() == 0 else ["user"]


@pytest.mark.parametrize("side", SIDES)
def test_the_table_is_what_the_kernel_shows(side: str, tmp_path: Path, require_program: Callable[[str], str]) -> None:
    script = [sys.executable, str(HERE / "overlay_cases_mounted.py"), str(tmp_path), str(int(side == "root"))]
    done = subprocess.run(
        [require_program("unshare"), *NAMESPACES[side], *script],
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    table = {f"{group}: {case.name}": dict(case.seen) for group, cases in GROUPS.items() for case in cases}
    assert len(told) >= (len(table) if side == "root" else 3)
    assert told == {name: table[name] for name in told}
