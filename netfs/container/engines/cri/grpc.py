"""Unary gRPC calls on a unix socket: messages over HTTP/2, several at a time on one connection.

Why no gRPC library: those that exist bring code under Apache-2.0 (grpcio; multidict by way of grpclib) into a process
that may load scapy, which is GPL-2.0-only.

Sources: gRPC over HTTP2 (grpc, doc/PROTOCOL-HTTP2.md) for what is in a stream, doc/statuscodes.md for the codes,
RFC 9113 for the rest, which h2 does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from netfs.container.engines.connection import connected

OK, UNKNOWN, DEADLINE_EXCEEDED, NOT_FOUND, UNIMPLEMENTED = 0, 2, 4, 5, 12
"""Of doc/statuscodes.md, those that anybody here tells apart."""
LARGEST = 16 << 20
"""Bytes of an answer: containerd sends none that is larger (``max_send_message_size``)."""
_PREFIX = 5
"""Length-Prefixed-Message: a flag that it is compressed, and four bytes of length."""
_AT_ONCE = 64
"""Calls under way. A peer may allow fewer."""
_LONGEST_MS = 99_999_999
"""``grpc-timeout`` has eight digits at most."""
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 16 << 20
_READ = 1 << 18
_FRAME_HEADER = 9
_FIRST_FRAME_BYTES = 1 << 14
"""What every side takes before anything is agreed upon (RFC 9113, section 4.2)."""
_HTTP_OK = 200
_HTTP1 = b"HTTP/1."


class CallError(Exception):
    """A call that was answered with an error: by a status of gRPC, or by something that is no answer of gRPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message or f"status {code}")
        self.code = code


class BrokenError(Exception):
    """The peer does not speak gRPC, breaks its rules, or ended the connection; no call on it is answered any more."""


@dataclass(slots=True)
class _Call:
    """A call that is under way."""

    index: int
    unsent: bytes
    received: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, and of its trailers."""


class Connection:
    """A connection to a server, and the moment by which everything on it has to be answered.

    ::

        with Connection("/run/containerd/containerd.sock", 2.0) as connection:
            connection.call("/runtime.v1.RuntimeService/Version", b"")

    Making it raises OSError where nobody listens or the caller may not connect.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._until = time.monotonic() + timeout
        self._input = bytearray()
        self._calls: dict[int, _Call] = {}
        self._begun = False
        settings = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW}
        self._http = H2Connection(H2Configuration(header_encoding=None))
        self._http.local_settings = Settings(client=True, initial_values=settings)
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_CONNECTION_WINDOW)
        self._socket = connected(path, self._until)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def call(self, method: str, request: bytes) -> bytes:
        """The answer to one call.

        Raises CallError; BrokenError and OSError (TimeoutError) where the connection is of no use any more.
        """
        ((_, answer),) = self.calls(method, [request])
        if isinstance(answer, CallError):
            raise answer
        return answer

    def calls(self, method: str, requests: Sequence[bytes]) -> Iterator[tuple[int, bytes | CallError]]:
        """The answers to calls of one method, as they come, each with the number of its request.

        Raises BrokenError and OSError (TimeoutError) where the connection is of no use any more.
        """
        self._calls.clear()
        waiting = deque(enumerate(requests))
        try:
            while waiting or self._calls:
                while waiting and len(self._calls) < self._at_once():
                    self._begin(method, *waiting.popleft())
                self._send()
                yield from self._receive()
        except H2Error as error:
            raise BrokenError(_said(error)) from error

    def _at_once(self) -> int:
        """It may be none, for a while (RFC 9113, section 5.1.2)."""
        return min(_AT_ONCE, self._http.remote_settings.max_concurrent_streams)

    def _begin(self, method: str, index: int, request: bytes) -> None:
        left = int((self._until - time.monotonic()) * 1000)
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("grpc-timeout", f"{min(max(1, left), _LONGEST_MS)}m"),
            ("content-type", "application/grpc"),
        ]
        stream = self._http.get_next_available_stream_id()
        self._http.send_headers(stream, headers)
        self._calls[stream] = _Call(index, b"\0" + len(request).to_bytes(4, "big") + request)

    def _send(self) -> None:
        """As much as the peer takes of what is not sent yet."""
        for stream, call in self._calls.items():
            while call.unsent and (room := self._room(stream)) > 0:
                part, call.unsent = call.unsent[:room], call.unsent[room:]
                self._http.send_data(stream, part, end_stream=not call.unsent)
        data = self._http.data_to_send()
        if data:
            # what the peer said before it left may still be read: why, or that it speaks another language
            with suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(data)

    def _room(self, stream: int) -> int:
        return min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)

    def _receive(self) -> Iterator[tuple[int, bytes | CallError]]:
        """Wait for something to come; the calls that it ends."""
        data = self._socket.recv(_READ)
        if not data:
            raise BrokenError("it ended the connection")
        self._input += data
        for frame in self._frames():
            for event in self._events(frame):
                yield from self._told(event)
        self._send()

    def _frames(self) -> Iterator[bytes]:
        """One at a time: where one breaks a rule, h2 does not tell what those before it said."""
        while len(self._input) >= _FRAME_HEADER:
            length = int.from_bytes(self._input[:3], "big")
            if length > _FIRST_FRAME_BYTES:
                raise BrokenError("it sends too large a frame" if self._begun else _other(self._input))
            if len(self._input) < _FRAME_HEADER + length:
                return
            frame = bytes(self._input[: _FRAME_HEADER + length])
            del self._input[: _FRAME_HEADER + length]
            self._begun = True
            yield frame

    def _events(self, frame: bytes) -> list[Event]:
        try:
            return self._http.receive_data(frame)
        except (ValueError, LookupError) as error:
            # a frame that h2's own parts cannot take apart is told by Python's errors
            raise BrokenError(_said(error)) from error

    def _told(self, event: Event) -> Iterator[tuple[int, bytes | CallError]]:
        if isinstance(event, ConnectionTerminated):
            said = (event.additional_data or b"").decode("utf-8", "replace")
            raise BrokenError(f"it ended the connection{f': {said}' if said else ''}")
        if isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        stream = getattr(event, "stream_id", None)
        call = self._calls.get(stream) if isinstance(stream, int) else None
        if call is None or not isinstance(stream, int):
            return
        answer: bytes | CallError | None = None
        if isinstance(event, ResponseReceived | TrailersReceived):
            call.headers |= {_text(name): _text(value) for name, value in event.headers or ()}
        elif isinstance(event, DataReceived):
            call.received += event.data or b""
            if _too_large(call.received):
                self._http.reset_stream(stream, ErrorCodes.CANCEL)
                answer = CallError(UNKNOWN, f"its answer is larger than {LARGEST >> 20} MiB")
        elif isinstance(event, StreamReset):
            answer = CallError(UNKNOWN, f"it broke the call off ({_name(event.error_code)})")
        elif isinstance(event, StreamEnded):
            answer = _answer(call)
        if answer is not None:
            del self._calls[stream]
            yield call.index, answer


def _answer(call: _Call) -> bytes | CallError:
    """Of a stream that ended: its message, or the error that its trailers tell of.

    What is no answer of gRPC's has a status of HTTP instead (doc/http-grpc-status-mapping.md).
    """
    kind = call.headers.get("content-type", "")
    if call.headers.get(":status") != str(_HTTP_OK) or not kind.startswith("application/grpc"):
        return CallError(UNKNOWN, f"is no gRPC: it answers with HTTP status {call.headers.get(':status')}")
    status = call.headers.get("grpc-status", "")
    if not (status.isascii() and status.isdecimal()) or len(status) > len("16"):
        return CallError(UNKNOWN, "its answer has no status")
    if int(status) != OK:
        return CallError(int(status), unquote(call.headers.get("grpc-message", ""), errors="replace"))
    length = int.from_bytes(call.received[1:_PREFIX], "big")
    if len(call.received) < _PREFIX or call.received[0] or len(call.received) != _PREFIX + length:
        return CallError(UNKNOWN, "its answer is not one message")
    return bytes(call.received[_PREFIX:])


def _other(data: bytearray) -> str:
    return "it speaks HTTP/1, no gRPC" if data.startswith(_HTTP1) else "what it sends is no HTTP/2"


def _too_large(received: bytearray) -> bool:
    """What was announced counts as well as what came."""
    announced = int.from_bytes(received[1:_PREFIX], "big") if len(received) >= _PREFIX else 0
    return max(announced, len(received) - _PREFIX) > LARGEST


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"


def _said(error: Exception) -> str:
    return f"it breaks the rules of HTTP/2: {error}" if str(error) else "it breaks the rules of HTTP/2"
