"""A gRPC server on a unix socket, for tests of the client: it answers what it is told, and breaks off as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from google.protobuf.message import Message
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, WindowUpdated
from h2.settings import SettingCodes, Settings

from netfs.container.engines.cri import runtime_pb2 as cri

SOCKET_BUFFER = 1 << 16


@dataclass(frozen=True)
class Reply:
    """How a call is answered."""

    message: bytes | None = b""
    """None: trailers alone."""
    status: int | None = 0
    words: str = ""
    http: str = "200"
    kind: str = "application/grpc"
    does: str = ""
    """Instead: ``hang``, ``reset``, ``goaway``, ``close``. Before it: ``no-more``, calls."""
    prefix: bytes | None = None
    """Before the message, instead of what belongs there."""


Script = Callable[[str, bytes], Reply]


def packed(message: Message) -> Reply:
    """An answer that is a message."""
    return Reply(message.SerializeToString())


def failed(status: int, words: str = "") -> Reply:
    """An answer that is an error, in trailers alone, as servers give it that have no answer yet."""
    return Reply(None, status, words)


@dataclass
class _Stream:
    path: str
    request: bytearray = field(default_factory=bytearray)
    unsent: bytes = b""
    reply: Reply | None = None


@contextmanager
def serving(path: Path, script: Script, *, piece: int = 0, streams: int = 250) -> Generator[str]:
    """A server that answers as the script says. ``piece``: bytes it sends at a time; 0: all at once."""
    with _listening(path, lambda opened: _serve(opened, script, piece, streams)):
        yield str(path)


@contextmanager
def saying(path: Path, data: bytes, *, then_hang: bool = False) -> Generator[str]:
    """A server that says so, whatever it is asked, and hangs up after it."""

    def say(opened: socket.socket) -> None:
        opened.sendall(data)
        if not then_hang:
            opened.shutdown(socket.SHUT_WR)
        while opened.recv(SOCKET_BUFFER):
            pass

    with _listening(path, say):
        yield str(path)


@contextmanager
def _listening(path: Path, serve: Callable[[socket.socket], None]) -> Generator[None]:
    opened: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            while not ended.is_set():
                with suppress(OSError), closing(listener.accept()[0]) as connection:
                    opened.append(connection)
                    serve(connection)

        ended = threading.Event()
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            for each in (listener, *opened):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            path.unlink()
    assert not thread.is_alive()


def _serve(opened: socket.socket, script: Script, piece: int, streams: int) -> None:
    http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: streams})
    http.initiate_connection()
    calls: dict[int, _Stream] = {}
    while True:
        data = http.data_to_send()
        for start in range(0, len(data), piece or len(data) or 1):
            opened.sendall(data[start : start + (piece or len(data))])
        data = opened.recv(SOCKET_BUFFER)
        if not data:
            return
        for event in http.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers or ()}
                assert (headers["te"], headers["content-type"]) == ("trailers", "application/grpc")
                assert headers["grpc-timeout"].removesuffix("m").isdecimal()
                calls[event.stream_id or 0] = _Stream(headers[":path"])
            elif isinstance(event, DataReceived):
                http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                calls[event.stream_id or 0].request += event.data or b""
            elif isinstance(event, StreamEnded):
                stream = event.stream_id or 0
                call = calls[stream]
                assert call.request[:5] == b"\0" + (len(call.request) - 5).to_bytes(4, "big")
                _begin(http, stream, call, script(call.path, bytes(call.request[5:])))
                _go_on(http, calls)
            elif isinstance(event, WindowUpdated):
                _go_on(http, calls)


def _begin(http: H2Connection, stream: int, call: _Stream, reply: Reply) -> None:
    headers = [(":status", reply.http), ("content-type", reply.kind)]
    if reply.does == "reset":
        http.reset_stream(stream, 8)
    elif reply.does == "goaway":
        http.close_connection(additional_data=b"going down")
    elif reply.does == "close":
        raise ConnectionAbortedError
    elif reply.does == "hang":
        return
    elif reply.message is None:
        http.send_headers(stream, headers + _trailers(reply), end_stream=True)
    else:
        if reply.does == "no-more":
            http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
        http.send_headers(stream, headers)
        prefix = b"\0" + len(reply.message).to_bytes(4, "big") if reply.prefix is None else reply.prefix
        call.unsent, call.reply = prefix + reply.message, reply


def _go_on(http: H2Connection, calls: Mapping[int, _Stream]) -> None:
    for stream, call in calls.items():
        while call.unsent and (room := min(http.local_flow_control_window(stream), http.max_outbound_frame_size)) > 0:
            http.send_data(stream, call.unsent[:room])
            call.unsent = call.unsent[room:]
        if call.reply is not None and not call.unsent:
            http.send_headers(stream, _trailers(call.reply), end_stream=True)
            call.reply = None


def _trailers(reply: Reply) -> list[tuple[str, str]]:
    if reply.status is None:
        return [("grpc-other", "1")]
    return [("grpc-status", str(reply.status)), ("grpc-message", quote(reply.words))]


@dataclass
class Runtime:
    """A container runtime's answers."""

    version: cri.VersionResponse
    service: str = "runtime.v1"
    sandboxes: Sequence[cri.PodSandbox] = ()
    containers: Sequence[cri.Container] = ()
    statuses: Mapping[str, Message | Reply] = field(default_factory=dict)
    """By id; of one that is not there it knows nothing any more."""
    others: Mapping[str, Message | Reply] = field(default_factory=dict)
    """By method; instead of the above, and of what it has not."""

    def __call__(self, path: str, request: bytes) -> Reply:
        """The script."""
        service, _, method = path[1:].rpartition("/")
        if path in self.others:
            return _reply(self.others[path])
        if service != f"{self.service}.RuntimeService":
            return failed(12, f"unknown service {service}")
        if method in self.others:
            return _reply(self.others[method])
        if method == "Version":
            return packed(self.version)
        if method == "ListContainers":
            return packed(cri.ListContainersResponse(containers=self.containers))
        if method == "ListPodSandbox":
            return packed(cri.ListPodSandboxResponse(items=self.sandboxes))
        if method in {"ContainerStatus", "PodSandboxStatus"}:
            asked = cri.ContainerStatusRequest.FromString(request)
            assert asked.verbose
            return _reply(self.statuses.get(asked.container_id, failed(5, "not found")))
        return failed(12, f"unknown method {method}")


def _reply(answer: Message | Reply) -> Reply:
    return answer if isinstance(answer, Reply) else packed(answer)
