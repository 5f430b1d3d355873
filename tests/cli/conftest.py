"""The command line in this process, over a cluster made by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import netfs
from netfs.cluster import services
from netfs.cluster.services import ServiceView
from netfs.cluster.topology import Topology
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.snapshot import Snapshots
from netfs.model.trace import Trace
from netfs_cli.main import main
from tests.unit.clusters import two_nodes


@dataclass
class FakeHeld:
    """What runs on live nodes."""

    found: tuple[Finding, ...] = ()
    unread: tuple[Gap, ...] = ()

    def findings(self) -> tuple[tuple[Finding, ...], tuple[Gap, ...]]:
        return self.found, self.unread


@dataclass
class FakeCluster:
    """What ``netfs.load`` answers; it remembers what it was asked."""

    topology: Topology
    answer: Trace | Exception | None = None
    found: tuple[Finding, ...] = ()
    held: FakeHeld | None = None
    loaded: tuple[Any, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def services(self) -> tuple[ServiceView, ...]:
        return services.of(self.topology).all

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.topology.snapshots)

    def trace(self, src: str, dst: str, **request: Any) -> Trace:
        self.asked = {"src": src, "dst": dst, **request}
        if not isinstance(self.answer, Trace):
            raise self.answer or AssertionError("no answer was prepared")
        return self.answer

    def findings(self) -> tuple[Finding, ...]:
        return self.found

    def containers(self) -> FakeHeld | None:
        return self.held


@dataclass
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The cluster that every source yields."""
    fake = FakeCluster(two_nodes())

    def load(*uris: str, timeout: float | None = None) -> FakeCluster:
        fake.loaded = (*uris, timeout)
        return fake

    monkeypatch.setitem(vars(netfs), "load", load)
    return fake


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """``run("trace", "pod-a", "pod-b")``: exit status, stdout, stderr; of another script with ``script``."""
    for name in ("NETFS_SOURCE", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, script: Callable[[], int] = main) -> Result:
        monkeypatch.setattr(sys, "argv", ["netfs", *arguments])
        status = script()
        captured = capfd.readouterr()
        return Result(status, captured.out, captured.err)

    return call
