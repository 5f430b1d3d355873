"""The engines with their containers, each running once for all tests that ask it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from tests.conformance.containers import engines, printed
from tests.conformance.stores import docker, podman


@pytest.fixture(scope="session")
def dockerd(play: Callable[..., docker.Docker]) -> Generator[docker.Docker]:
    """Docker, and containers of every sort."""
    with ExitStack() as stack:
        yield play(engines.docker, docker.PROGRAMS, stack)


@pytest.fixture(scope="session")
def pod(play: Callable[..., podman.Podman]) -> Generator[podman.Podman]:
    """Podman's service, and containers of every sort."""
    with ExitStack() as stack:
        yield play(engines.podman, podman.PROGRAMS, stack)


@pytest.fixture
def netfs(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> printed.Netfs:
    """The commands, and what they print."""
    return printed.asking(monkeypatch, capfd)
