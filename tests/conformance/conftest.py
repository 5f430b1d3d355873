"""What the tests of every engine share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from tests.conformance.stores.machine import NotHereError

Engine = TypeVar("Engine")
Running = Callable[[Path], AbstractContextManager[Engine]]


@pytest.fixture(scope="session")
def play(
    tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]
) -> Callable[[Running[Engine], Sequence[str], ExitStack], Engine]:
    """Starts an engine; one that a machine does not let start is told, and is no defect of ours."""

    def start(running: Running[Engine], programs: Sequence[str], stack: ExitStack) -> Engine:
        for program in programs:
            require_program(program)
        if os.geteuid() != 0:
            pytest.skip("an engine needs root")
        try:
            return stack.enter_context(running(tmp_path_factory.mktemp("engine")))
        except NotHereError as failure:
            pytest.xfail(f"it does not start here: {str(failure)[-300:]}")

    return start
