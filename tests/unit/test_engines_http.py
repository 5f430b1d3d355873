"""An engine is asked over HTTP within a time and a size, and whatever it does instead of answering is told in words."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from netfs.container.engines import connection, http
from netfs.container.engines.http import Answer, Http
from netfs.model.gaps import Gap
from tests.unit.engine_server import CLOSE, HANG, answer, chunked, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


def reason(found: object) -> str:
    assert isinstance(found, Gap)
    return found.reason


def test_a_document_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "s", {"/a": {"a": 1}, "/b": chunked(["b"] * 100)}) as daemon, Http(daemon.path, 5) as asked:
        assert asked.get("/a") == {"a": 1}
        assert asked.get("/b") == ["b"] * 100
        assert daemon.asked == ["/a", "/b"]
        assert daemon.connections == 1


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer({"message": "the store\nis broken"}, 500), "answered 500: the store\nis broken"),
        (answer({"message": "x" * 1000}, 503), f"answered 503: {'x' * 200}"),
        (answer(b"<html>", 404), "answered 404"),
        (answer({}, 301, {"Location": "/b"}), "answered 301"),
        (answer(b"{"), "answered with what is no JSON"),
        (answer(b"[" * 100_000), "answered with what is no JSON"),
        (answer(b"null"), "answered with what is no JSON"),
        (HEAD + b"Content-Length: 100\r\n\r\n{}", "its answer ends early"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", "its answer ends early"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "its answer ends early"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 20 + b"\n", "does not speak HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "does not speak HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (HEAD + b"X: y\r\n" * 1000 + b"\r\n", "does not speak HTTP"),
        (HEAD + b"X" * 100_000 + b"\r\n\r\n", "does not speak HTTP"),
        (CLOSE, "hung up before it had answered"),
    ],
)
def test_what_is_no_answer_is_told(tmp_path: Path, said: bytes, words: str) -> None:
    with serving(tmp_path / "s", {"/a": said}) as daemon, Http(daemon.path, 5) as asked:
        daemon.closes = True
        assert reason(asked.get("/a")) == words
        assert not asked.hangs


def test_a_daemon_that_says_nothing_costs_the_time_that_was_given(tmp_path: Path) -> None:
    with serving(tmp_path / "s", {"/a": HANG}) as daemon, Http(daemon.path, 0.2) as asked:
        began = time.monotonic()
        assert reason(asked.get("/a")).startswith("does not answer")
        assert asked.hangs
        assert 0.2 <= time.monotonic() - began < 2


def test_time_counts_for_the_whole_answer(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    over = threading.Event()

    def drip() -> None:
        accepted, _ = listening.accept()
        with accepted:
            while not over.wait(0.02):
                try:
                    accepted.send(b"H")
                except OSError:
                    return

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with Http(str(tmp_path / "s"), 0.3) as asked:
            began = time.monotonic()
            assert reason(asked.get("/a")).startswith("does not answer")
            assert time.monotonic() - began < 2
    finally:
        over.set()
        dripping.join()
        listening.close()


def test_a_daemon_that_does_not_accept_costs_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(path)
        listening.listen(0)
        first.connect(path)  # the queue is full
        with Http(path, 0.2) as asked:
            assert reason(asked.get("/a")).startswith("does not answer")
            assert asked.hangs


def test_more_than_is_believed_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_BYTES", 1 << 20)
    endless = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    announced = HEAD + b"Content-Length: 1048577\r\n\r\n" + b" " * 1_048_577
    answers = {"/a": endless + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 40, "/b": announced}
    with serving(tmp_path / "s", answers) as daemon, Http(daemon.path, 5) as asked:
        assert reason(asked.get("/a")) == "its answer is larger than 1 MiB"
        assert reason(asked.get("/b")) == "its answer is larger than 1 MiB"


def test_a_connection_that_was_closed_meanwhile_is_made_again(tmp_path: Path) -> None:
    with serving(tmp_path / "s", {"/a": {"a": 1}, "/b": CLOSE}) as daemon, Http(daemon.path, 5) as asked:
        assert asked.get("/a") == {"a": 1}
        daemon.answers["/b"] = CLOSE
        assert reason(asked.get("/b")) == "hung up before it had answered"
        assert daemon.asked == ["/a", "/b", "/b"]
        assert asked.get("/a") == {"a": 1}


def test_what_is_not_there_is_found_missing(tmp_path: Path) -> None:
    with serving(tmp_path / "s", {"/list": []}) as daemon, Http(daemon.path, 5) as asked:
        assert asked.find("/nothing") is None
        assert reason(asked.get("/nothing", "info")) == "answered 404: no such thing"
        assert reason(asked.find("/list")) == "answered with what is no object"
        found = asked.ask("/nothing")
        assert isinstance(found, Answer)
        assert found.headers["content-type"] == "application/json"


def test_a_socket_that_nobody_listens_at_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
    with Http(path, 5) as asked:
        gap = asked.get("/a", "engine")
        assert gap == Gap(f"unix://{path}", "engine", "connection refused: its daemon does not run")
    os.remove(path)
    with Http(path, 5) as asked:
        assert reason(asked.get("/a")) == "is gone: its daemon ended meanwhile"
    with Http("", 5) as asked:
        assert isinstance(asked.get("/a"), Gap)


def test_a_path_may_be_longer_than_an_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e\udcff" * 50)
    deep.mkdir(parents=True)
    before = os.getcwd()
    os.chdir(deep)
    try:
        with serving("s", {"/a": {"a": 1}}), Http(str(deep / "s"), 5) as asked:
            descriptors = len(os.listdir("/proc/self/fd"))
            assert asked.get("/a") == {"a": 1}
            assert len(os.listdir("/proc/self/fd")) == descriptors + 2  # both ends of the connection
    finally:
        os.chdir(before)


class TestWhoMayAsk:
    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
        return path

    def refused(self, path: str) -> str:
        return connection.refusal(path, PermissionError(13, "Permission denied"))

    def test_whom_the_mode_lets_write(self, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        status = list(os.stat(path))

        def told(mode: int, uid: int, gid: int) -> None:
            changed = os.stat_result([mode, *status[1:4], uid, gid, *status[6:]])
            monkeypatch.setattr(os, "stat", lambda *_, **__: changed)

        told(0o140660, 0, 0)
        assert self.refused(path) == "permission denied: root may ask it"
        told(0o140660, 0, 4_000_001)
        assert self.refused(path) == "permission denied: root, or the group 4000001, may ask it"
        told(0o140600, 4_000_000, 4_000_001)
        assert self.refused(path) == "permission denied: root, or 4000000, may ask it"

    def test_groups_have_names(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        changed = os.stat_result([0o140660, 0, 0, 1, 0, 1, 0, 0, 0, 0])
        monkeypatch.setattr(os, "stat", lambda *_, **__: changed)
        assert self.refused(path) == "permission denied: root, or the group daemon, may ask it"

    def test_of_one_that_went_nothing_is_known(self, tmp_path: Path) -> None:
        assert self.refused(str(tmp_path / "gone")) == "permission denied: root may ask it"
