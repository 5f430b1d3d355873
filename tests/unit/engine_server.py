"""A daemon that says what it is told to say, at a unix socket."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

Said = bytes | object
"""Bytes go out as they are; anything else as a document in an answer of HTTP."""
CLOSE = b""
"""Hang up at once."""
HANG = object()
"""Say nothing until the test ends."""


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """An answer of HTTP/1.1."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def chunked(document: object) -> bytes:
    """The same in chunks, as daemons send what is long."""
    body = json.dumps(document).encode()
    pieces = [body[place : place + 100] for place in range(0, len(body), 100)] + [b""]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


class Daemon(socketserver.ThreadingUnixStreamServer):
    """Answers by target; what is not told is 404."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, answers: Mapping[str, Said]) -> None:
        super().__init__(path, _Connection)
        self.path = path
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.connections = 0
        self.closes = False
        """After every answer."""
        self.over = threading.Event()


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        daemon = cast("Daemon", self.server)
        daemon.connections += 1
        try:
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                (target,) = re.findall(r"^GET (\S+) HTTP/1.1\r\n$", line.decode())
                daemon.asked.append(target)
                said = daemon.answers.get(target, answer({"message": "no such thing"}, 404))
                if said is HANG:
                    daemon.over.wait(30)
                    return
                if said == CLOSE:
                    return
                self.wfile.write(said if isinstance(said, bytes) else answer(said))
                if daemon.closes:
                    return
        except (BrokenPipeError, ConnectionResetError):
            return


@contextmanager
def serving(path: Path | str, answers: Mapping[str, Said]) -> Generator[Daemon]:
    """The daemon, as long as the context lasts."""
    with Daemon(str(path), answers) as daemon:
        thread = threading.Thread(target=daemon.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.over.set()
            daemon.shutdown()
            thread.join()


def docker_answers(*containers: Mapping[str, Any], version: str = "20.10.24") -> dict[str, Said]:
    """What dockerd says that has these containers, as ``inspect`` tells them (Engine API 1.41 … 1.52)."""
    return {
        "/version": {"Platform": {"Name": ""}, "Components": [{"Name": "Engine"}], "Version": version},
        "/info": {"CgroupDriver": "systemd", "CgroupVersion": "2"},
        "/containers/json?all=1": [listed(each) for each in containers],
        **{f"/containers/{each['Id']}/json": dict(each) for each in containers},
    }


def listed(container: Mapping[str, Any]) -> dict[str, Any]:
    """A container's entry in Docker's list."""
    return {
        "Id": container["Id"],
        "Names": ["/other/alias", container["Name"]],
        "Image": container["Config"]["Image"],
        "ImageID": container["Image"],
        "Labels": container["Config"]["Labels"] or {},
        "State": container["State"]["Status"],
        "Created": 1_700_000_000,
        "Mounts": container["Mounts"],
        "NetworkSettings": {"Networks": container["NetworkSettings"]["Networks"]},
    }
