"""Unary gRPC calls against a server that answers well, late, badly or not at all."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from netfs.container.engines.connection import Deadlined, connected
from netfs.container.engines.cri import grpc
from netfs.container.engines.cri.grpc import LARGEST, NOT_FOUND, BrokenError, CallError, Connection
from tests.unit.cri_server import Reply, failed, saying, serving

METHOD = "/a.Service/Method"


def echo(path: str, request: bytes) -> Reply:
    return Reply(path.encode() + b" " + request)


def call(path: str, request: bytes = b"", timeout: float = 5) -> bytes:
    with Connection(path, timeout) as connection:
        return connection.call(METHOD, request)


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_a_call_is_answered_however_the_answer_is_cut(tmp_path: Path, piece: int) -> None:
    with serving(tmp_path / "s", echo, piece=piece) as path:
        assert call(path, b"question") == b"/a.Service/Method question"


def test_an_empty_message_is_an_answer(tmp_path: Path) -> None:
    with serving(tmp_path / "s", lambda path, request: Reply(b"")) as path:
        assert call(path) == b""


def test_calls_follow_each_other_on_one_connection(tmp_path: Path) -> None:
    with serving(tmp_path / "s", echo) as path, Connection(path, 5) as connection:
        answers = [connection.call("/" + str(number), b"") for number in range(5)]
    assert answers == [b"/0 ", b"/1 ", b"/2 ", b"/3 ", b"/4 "]


@pytest.mark.parametrize("streams", [1, 3, 250])
def test_many_calls_are_answered_whatever_the_server_takes_at_once(tmp_path: Path, streams: int) -> None:
    requests = [str(number).encode() * 400 for number in range(200)]  # more than a connection's first window
    with serving(tmp_path / "s", echo, streams=streams) as path, Connection(path, 20) as connection:
        connection.call(METHOD, b"")
        answers = dict(connection.calls(METHOD, requests))
    assert answers == {number: METHOD.encode() + b" " + request for number, request in enumerate(requests)}


def test_two_hundred_statuses_take_half_a_second_at_most(tmp_path: Path) -> None:
    answer = Reply(b"x" * 12_000)
    with serving(tmp_path / "s", lambda path, request: answer) as path, Connection(path, 20) as connection:
        started = time.thread_time()
        answers = list(connection.calls(METHOD, [b"y" * 66] * 200))
        used = time.thread_time() - started
    assert len(answers) == 200
    assert used < 0.5


def test_an_answer_larger_than_every_window_comes_whole(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 << 20)
    with serving(tmp_path / "s", lambda path, request: Reply(data)) as path:
        assert call(path, timeout=20) == data


@pytest.mark.parametrize("reply", [failed(5, "no container “ä” %"), Reply(b"", 5, "no container “ä” %")])
def test_an_error_is_told_in_its_own_words_with_and_without_an_answer_before_it(tmp_path: Path, reply: Reply) -> None:
    with serving(tmp_path / "s", lambda path, request: reply) as path, pytest.raises(CallError) as caught:
        call(path)
    assert (caught.value.code, str(caught.value)) == (NOT_FOUND, "no container “ä” %")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(does="reset"), "it broke the call off (CANCEL)"),
        (Reply(b"", http="404", kind="text/plain"), "is no gRPC: it answers with HTTP status 404"),
        (Reply(b"", kind="text/html"), "is no gRPC: it answers with HTTP status 200"),
        (Reply(b"", None), "its answer has no status"),
        (Reply(b"abc", prefix=b"\0\0\0\0\x04"), "its answer is not one message"),
        (Reply(b"abc", prefix=b"\1\0\0\0\x03"), "its answer is not one message"),
        (Reply(b"", prefix=b""), "its answer is not one message"),
        (Reply(b"", prefix=b"\0\1\0\0\1"), "its answer is larger than 16 MiB"),
    ],
)
def test_one_call_that_fails_leaves_the_others_alone(tmp_path: Path, reply: Reply, reason: str) -> None:
    def script(path: str, request: bytes) -> Reply:
        return reply if request == b"1" else echo(path, request)

    with serving(tmp_path / "s", script) as path, Connection(path, 5) as connection:
        answers = dict(connection.calls(METHOD, [b"0", b"1", b"2"]))
        after = connection.call(METHOD, b"3")
    assert isinstance(answers[1], CallError)
    assert str(answers[1]) == reason
    assert (answers[0], answers[2], after) == tuple(METHOD.encode() + b" " + text for text in (b"0", b"2", b"3"))


def test_what_is_announced_as_too_large_is_not_waited_for(tmp_path: Path) -> None:
    reply = Reply(b"x" * 100_000, prefix=b"\0" + (LARGEST + 1).to_bytes(4, "big"))
    with serving(tmp_path / "s", lambda path, request: reply) as path, pytest.raises(CallError, match="larger"):
        call(path)


@pytest.mark.parametrize(("does", "reason"), [("goaway", "it ended the connection: going down"), ("close", "ended")])
def test_a_connection_that_ends_has_answered_what_came_before(tmp_path: Path, does: str, reason: str) -> None:
    def script(path: str, request: bytes) -> Reply:
        return Reply(does=does) if request == b"2" else echo(path, request)

    answers: list[int] = []

    def ask(connection: Connection) -> None:
        for number, _ in connection.calls(METHOD, [b"0", b"1", b"2", b"3"]):
            answers.append(number)

    with serving(tmp_path / "s", script, streams=1) as path, Connection(path, 5) as connection:
        connection.call(METHOD, b"")
        with pytest.raises(BrokenError, match=reason):
            ask(connection)
    assert answers == [0, 1]


def test_one_deadline_is_for_all_that_is_asked(tmp_path: Path) -> None:
    def script(path: str, request: bytes) -> Reply:
        time.sleep(0.05)
        return echo(path, request)

    started = time.monotonic()
    with serving(tmp_path / "s", script) as path, Connection(path, 0.3) as connection, pytest.raises(TimeoutError):
        [connection.call(METHOD, b"") for _ in range(100)]
    assert 0.25 < time.monotonic() - started < 1


@pytest.mark.parametrize("data", [b"", b"\0\0\0\4\0\0\0\0\0"], ids=["nothing", "settings"])
def test_a_server_that_hangs_is_left_in_time(tmp_path: Path, data: bytes) -> None:
    with saying(tmp_path / "s", data, then_hang=True) as path, pytest.raises(TimeoutError):
        call(path, timeout=0.1)


def test_a_server_that_takes_no_calls_any_more_is_waited_for(tmp_path: Path) -> None:
    last = Reply(b"last", does="no-more")
    with serving(tmp_path / "s", lambda path, request: last) as path, Connection(path, 0.3) as connection:
        assert connection.call(METHOD, b"") == b"last"
        with pytest.raises(TimeoutError):
            connection.call(METHOD, b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ended the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP/1, no gRPC"),
        (b"HTTP", "it ended the connection"),
        (b"220 mail.example ESMTP\r\n", "what it sends is no HTTP/2"),
        (b"\0\0\0\4\0\0\0\0\0" + b"\xff" * 9, "it sends too large a frame"),
        (b"\0\0\1\4\0\0\0\0\0\0", "it breaks the rules of HTTP/2"),
        (b"\0\0\4\7\0\0\0\0\0\0\0\0\0", "it breaks the rules of HTTP/2"),
    ],
)
def test_what_is_no_grpc_is_told(tmp_path: Path, data: bytes, reason: str) -> None:
    with saying(tmp_path / "s", data) as path, pytest.raises(BrokenError, match=reason):
        call(path)


class Recorded:
    """A socket that says what one said before, whatever it is told."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def recv(self, size: int) -> bytes:
        said, self._data = self._data[: self._size], self._data[self._size :]
        return said

    def sendall(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def test_mutated_answers_are_answers_or_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = bytearray()

    class Taped(Deadlined):
        def recv(self, size: int, flags: int = 0, /) -> bytes:
            data = super().recv(size, flags)
            record.extend(data)
            return data

    def taped(path: str, until: float) -> Deadlined:
        opened = Taped(fileno=connected(path, until).detach())
        opened.until = until
        return opened

    def replies(path: str, request: bytes) -> Reply:
        return failed(5, "gone “away”") if request == b"1" else echo(path, request * 20)

    monkeypatch.setattr(grpc, "connected", taped)
    with serving(tmp_path / "s", replies) as path, Connection(path, 5) as connection:
        assert len(list(connection.calls(METHOD, [b"0", b"1", b"2"]))) == 3
    seed = random.Random(20)
    outcomes = set()
    for turn in range(1500):
        data = bytearray(record)
        for _ in range(turn and seed.randrange(1, 5)):
            at = seed.randrange(len(data))
            data[at : at + seed.choice((0, 1, 1, 1, 4))] = seed.randbytes(seed.choice((0, 1, 1, 1, 4, 9)))
        monkeypatch.setattr(grpc, "connected", lambda path, until, data=bytes(data): Recorded(data, 64))
        try:
            with Connection("", 5) as connection:
                answers = dict(connection.calls(METHOD, [b"0", b"1", b"2"]))
            assert set(answers) == {0, 1, 2}
            assert all(isinstance(answer, bytes | CallError) for answer in answers.values())
            outcomes.add("answered")
        except BrokenError:
            outcomes.add("broken")
    assert outcomes == {"answered", "broken"}
