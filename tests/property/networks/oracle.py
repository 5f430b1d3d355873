"""The kernel asked from a test: a worker process in namespaces of its own, and what it makes of a specification."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tests.property.networks import live_rules
from tests.property.networks.compare import disagreement
from tests.property.networks.shrink import shrink
from tests.property.networks.spec import Spec, digest, to_json
from tests.property.networks.watch import Played
from tests.property.networks.worker import Result

T = TypeVar("T")

PLAYED = 3
"""How often a network is played before kernel and simulator are said to disagree."""
ROOT = Path(__file__).parents[3]
REGRESSIONS = Path(__file__).parents[1] / "regressions"
KEEP = "NETFS_KEEP_REGRESSIONS"
"""Environment variable: where it is 1, a disagreement is written to ``tests/property/regressions``."""


class Oracle(Generic[T]):
    """A worker process, which answers specifications with ``T``."""

    def __init__(self, worker: str, answer: type[T], disagreement: Callable[[Spec, T], str | None]) -> None:
        """``worker``: a module of this folder; ``disagreement``: what is wrong with an answer, in words."""
        self._answer = answer
        self._disagreement = disagreement
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.property.networks.{worker}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def close(self) -> None:
        """Ends the worker, and with it every namespace it holds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def ask(self, spec: Spec) -> T:
        """Builds the network, probes it, and returns what the kernel did and the simulator said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(spec) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self._process.wait(timeout=30)} on seed {spec.seed}")
        return msgspec.json.decode(line, type=self._answer)

    def judge(self, spec: Spec) -> tuple[T, str | None]:
        """The result, and what kernel and simulator disagree on, where they do so each time.

        What is learned from a stray packet (a report of multicast listeners) sends one more the right way: on a busy
        machine such a network may be played twice alike, and the third time as ever.
        """
        for _ in range(PLAYED):
            result = self.ask(spec)
            found = self._disagreement(spec, result)
            if found is None:
                break
        return result, found

    def _disagrees(self, spec: Spec) -> bool:
        return self._disagreement(spec, self.ask(spec)) is not None

    def explain(self, spec: Spec) -> str:
        """A disagreement, shrunk, kept where the environment asks for it, as text to read."""
        small = shrink(spec, self._disagrees)
        _, found = self.judge(small)
        kept = ""
        if os.environ.get(KEEP) == "1":
            REGRESSIONS.mkdir(exist_ok=True)
            path = REGRESSIONS / f"{small.pattern}-{digest(small)}.json"
            path.write_bytes(to_json(small))
            kept = f"\nkept as {path.relative_to(ROOT)}"
        return f"seed {spec.seed}, {spec.pattern}: {found}\n" + "\n".join(small.commands()) + kept


@contextmanager
def oracle() -> Iterator[Oracle[Result]]:
    """For the time of a block: plain packets beside the simulator."""
    found = Oracle("worker", Result, lambda spec, result: disagreement(spec.probe, result.observed, result.predicted))
    try:
        yield found
    finally:
        found.close()


@contextmanager
def live_oracle() -> Iterator[Oracle[Played]]:
    """For the time of a block: live traces."""
    found = Oracle("watch", Played, lambda spec, played: live_rules.disagreement(spec.probe, played))
    try:
        yield found
    finally:
        found.close()
