"""A private place for tests that collect: new user, network and mount namespaces, gone with their process.

Works for any user, beside any number of others, and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def inside(build: str, answer: str, timeout: float = 60) -> Any:
    """Run the shell lines ``build``, then the Python lines ``answer``; what that prints as JSON."""
    script = f'set -e\nmount -t tmpfs tmpfs /run\n{build}\nexec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-Urnm", "bash", "-c", script, sys.executable, answer],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
