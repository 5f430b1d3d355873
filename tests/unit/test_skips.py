"""In CI a test that skips is a test that failed; elsewhere it is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SUITES = {
    "program": "def test_it(require_program): require_program('no-such-program')",
    "marked": "import pytest\n@pytest.mark.skip(reason='not today')\ndef test_it(): pass",
    "module": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass",
}


def run_suite(folder: Path, source: str, *, ci: str) -> str:
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_suite.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    env = os.environ | {"CI": ci}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("kind", SUITES)
def test_a_skip_fails_in_ci(tmp_path: Path, kind: str) -> None:
    output = run_suite(tmp_path, SUITES[kind], ci="true")
    assert "nothing is skipped in CI" in output
    assert "1 error" in output or "1 failed" in output
    assert "1 skipped" not in output


@pytest.mark.parametrize("kind", SUITES)
def test_a_skip_is_a_skip_elsewhere(tmp_path: Path, kind: str) -> None:
    assert "1 skipped" in run_suite(tmp_path, SUITES[kind], ci="")


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False"
    assert "1 xfailed" in run_suite(tmp_path, source, ci="true")


def test_a_program_is_found_in_sbin_too(require_program: object) -> None:
    assert callable(require_program)
    assert Path(require_program("sh")).exists()
