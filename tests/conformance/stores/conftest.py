"""The engines, each running once for all tests that ask it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from tests.conformance.stores import containerd, docker, podman


@pytest.fixture(scope="session")
def dockerd(play: Callable[..., docker.Docker]) -> Generator[docker.Docker]:
    """Docker, its store filled."""
    with ExitStack() as stack:
        yield play(docker.running, docker.PROGRAMS, stack)


@pytest.fixture(scope="session")
def ctr(play: Callable[..., containerd.Containerd]) -> Generator[containerd.Containerd]:
    """Containerd, its store filled."""
    with ExitStack() as stack:
        yield play(containerd.running, containerd.PROGRAMS, stack)


@pytest.fixture(scope="session")
def pod(play: Callable[..., podman.Podman]) -> Generator[podman.Podman]:
    """Podman, its store filled."""
    with ExitStack() as stack:
        yield play(podman.running, podman.PROGRAMS, stack)
