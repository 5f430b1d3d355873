"""Our route look-up against the kernel's own (``RTM_GETROUTE``), on random tables, rules and packets."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@pytest.fixture
def compare(require_program: Callable[[str], str]) -> Callable[..., dict[str, Any]]:
    """Runs ``routing_oracle.py`` in namespaces of its own: as root a network namespace, else a user namespace too."""
    require_program("ip")
    unshare = require_program("unshare")

    def run(seed: int, worlds: int, queries: int) -> dict[str, Any]:
        namespaces = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
        words = [str(HERE / "routing_oracle.py"), str(seed), str(worlds), str(queries)]
        done = subprocess.run(
            [unshare, *namespaces, sys.executable, *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


def told(seed: int, result: dict[str, Any]) -> str:
    """The first disagreements, with what is needed to see them again."""
    lines = [f"{len(result['disagreements'])} of {result['cases']} cases differ (seed {seed})"]
    lines += [f"world {d['world']}: {d['query']}: {d['wrong']}; {d['considered']}" for d in result["disagreements"][:5]]
    return "\n".join(lines)


@pytest.mark.kernel
@pytest.mark.parametrize("seed", [1, 2])
def test_look_ups_agree_with_the_kernel(compare: Callable[..., dict[str, Any]], seed: int) -> None:
    result = compare(seed, 24, 300)
    assert not result["disagreements"], told(seed, result)
    assert not result["texts"]
    assert result["cases"] == 7200
    kinds = {"unicast", "local", "broadcast", "multicast", "anycast", "ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL"}
    assert kinds <= set(result["kinds"])


@pytest.mark.kernel
def test_a_wrong_answer_is_noticed(compare: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFS_ORACLE_BREAK", "1")
    assert len(compare(1, 3, 200)["disagreements"]) > 10


@pytest.mark.soak
@pytest.mark.kernel
@pytest.mark.timeout(1800)
def test_look_ups_agree_with_the_kernel_for_long(compare: Callable[..., dict[str, Any]]) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    result = compare(seed, 2000, 300)
    assert not result["disagreements"], told(seed, result)
    assert not result["texts"]
