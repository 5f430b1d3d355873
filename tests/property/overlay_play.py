"""Runs ``overlay_oracle.py`` in namespaces of its own; a mount there ends with it, whatever becomes of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = {"root": ["--mount", "--propagation", "private"], "user": ["--user", "--map-root-user", "--mount"]}
"""``root`` has the marks ``trusted.overlay.*`` and everything else; ``user`` is root of a user namespace only."""
SIDES = ["root", "user"] if os.geteuid() == 0 else ["user"]


def play(unshare: str, side: str, what: str, folder: Path, *words: object, seconds: int = 280) -> dict[str, Any]:
    """What the program answers: ``play(unshare, "user", "random", FOLDER, SEED, COUNT, 0)``."""
    program = str(ROOT / "tests" / "property" / "overlay_oracle.py")
    done = subprocess.run(
        [unshare, *NAMESPACES[side], sys.executable, program, what, str(folder), *(str(word) for word in words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def told(result: dict[str, Any]) -> str:
    """The first differences, each with the smallest plan that shows it: a file for ``overlay_regressions``."""
    lines = [f"{result['differ']} of {result['stacks']} stacks differ"]
    for each in result["found"]:
        lines += [*each["wrong"], each["plan"]]
    return "\n".join(lines)
