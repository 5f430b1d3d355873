"""Every engine of a node is asked at once; one whose service asking would start is left alone where files tell."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.container.engines import ask as asking
from netfs.container.engines.ask import ask
from netfs.model.containers import Engine
from netfs.overlay.stores import settings
from tests.unit.engine_server import HANG, docker_answers, serving
from tests.unit.test_engines_podman import answers as podman_answers
from tests.unit.test_engines_podman import entry, inspected

STRANGER = 4_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("run/podman", "run/user/1000/podman", "run/crio"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_where_nothing_listens_nothing_answers(root: Path) -> None:
    assert ask(str(root)) == ()


def test_a_root_that_went_is_a_gap(tmp_path: Path) -> None:
    (engine,) = ask(str(tmp_path / "gone"))
    assert (engine.containers, len(engine.gaps)) == ((), 1)


def test_engines_are_asked_at_once(root: Path) -> None:
    with (
        serving(root / "run/docker.sock", {"/version": HANG}),
        serving(root / "run/user/1000/docker.sock", docker_answers()),
        serving(root / "run/crio/crio.sock", {}),
    ):
        began = time.monotonic()
        hanging, docker, crio = ask(str(root), timeout=0.5)
        assert time.monotonic() - began < 1.5
    assert (hanging.name, len(hanging.gaps)) == ("docker", 1)
    assert (docker.name, docker.version, docker.gaps) == ("docker", "20.10.24", ())
    assert docker.endpoint == f"unix://{root}/run/user/1000/docker.sock"
    assert (crio.name, len(crio.gaps)) == ("cri-o", 1)


def test_a_users_engine_speaks_for_him_alone(root: Path) -> None:
    with serving(root / "run/docker.sock", docker_answers()), serving(root / "run/user/1000/docker.sock", {}):
        machines, users = ask(str(root))
    assert machines.user is None
    assert users.user is not None
    assert users.user == 1000


class TestPodman:
    @pytest.fixture(autouse=True)
    def daemon(self, root: Path) -> Iterator[None]:
        with serving(root / "run/podman/podman.sock", podman_answers((entry(inspected()), inspected()))) as self.server:
            yield

    def store(self, root: Path) -> Path:
        path = root / "var/lib/containers/storage"
        (path / "overlay-containers").mkdir(parents=True)
        return path

    def asked_as(self, uid: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Engine, ...]:
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        return ask(str(root))

    def own(self) -> int:
        return os.stat(self.server.path).st_uid

    def test_is_left_alone_by_root(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.asked_as(0, root, monkeypatch) == ()
        assert self.server.asked == []

    def test_is_left_alone_where_its_files_can_be_read(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store(root)
        monkeypatch.setattr(asking, "_owner", lambda _: self.own())
        assert self.asked_as(self.own() or STRANGER, root, monkeypatch) == ()
        assert self.server.asked == []

    def test_is_asked_by_whom_it_belongs_to_where_there_are_no_files(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asking, "_owner", lambda _: STRANGER)
        (engine,) = self.asked_as(STRANGER, root, monkeypatch)
        assert (engine.name, [each.name for each in engine.containers]) == ("podman", ["web"])

    def test_is_asked_where_the_files_are_anothers(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store(root)
        monkeypatch.setattr(asking, "_owner", lambda _: STRANGER)
        assert [engine.name for engine in self.asked_as(STRANGER, root, monkeypatch)] == ["podman"]
        assert self.server.asked

    def test_of_another_is_not_asked_and_that_is_told(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "_owner", lambda _: STRANGER + 1)
        (engine,) = self.asked_as(STRANGER, root, monkeypatch)
        assert (engine.name, engine.containers) == ("podman", ())
        assert [gap.reason for gap in engine.gaps] == [
            "is not asked, for asking may start it: root, or its owner, can read its files"
        ]
        assert self.server.asked == []


class TestDockerThatSystemdStarts:
    """Only of this host itself: processes are looked for."""

    @pytest.fixture(autouse=True)
    def listening(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(root / "run/docker.sock"))
            (root / "run/systemd/system").mkdir(parents=True)
            (root / "lib/systemd/system").mkdir(parents=True)
            (root / "lib/systemd/system/docker.socket").touch()
            (root / "proc/1").mkdir(parents=True)
            self.running = [["dockerd"]]
            monkeypatch.setattr(settings, "running", lambda *_: self.running)
            monkeypatch.setattr(asking, "_ACTIVATED", str(root / "run/docker.sock"))
            yield

    def test_is_asked_while_it_runs(self, root: Path) -> None:
        (engine,) = ask(str(root))
        assert [gap.reason for gap in engine.gaps] == ["connection refused: its daemon does not run"]

    def test_is_left_alone_while_it_does_not(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = []
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert ask(str(root)) == ()
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
        (engine,) = ask(str(root))
        assert [gap.reason for gap in engine.gaps] == [
            "is not asked: no dockerd runs, and asking starts it; root can read its files"
        ]

    @pytest.mark.parametrize("missing", ["run/systemd/system", "lib/systemd/system/docker.socket", "proc/1"])
    def test_is_asked_where_nothing_would_start_it_or_that_cannot_be_told(self, root: Path, missing: str) -> None:
        self.running = []
        (root / missing).rename(root / "away")
        assert len(ask(str(root))) == 1
