"""What a pod runs: echo over TCP and UDP on two ports. ICMP is answered by the pod's kernel."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from typing import NoReturn

PORTS = (80, 8080)
_CHUNK = 65536


def _bind(kind: socket.SocketKind, port: int) -> socket.socket:
    """A wildcard socket for both families, or for IPv4 alone where the kernel has no IPv6."""
    if socket.has_dualstack_ipv6():
        listener = socket.socket(socket.AF_INET6, kind)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address = "::"
    else:
        listener = socket.socket(socket.AF_INET, kind)
        address = "0.0.0.0"
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind((address, port))
    return listener


def listen() -> selectors.BaseSelector:
    """Open every port; from here on the pod's kernel accepts. Raises OSError."""
    watched = selectors.DefaultSelector()
    for port in PORTS:
        stream = _bind(socket.SOCK_STREAM, port)
        stream.listen(64)
        watched.register(stream, selectors.EVENT_READ, lambda ready: _accept(watched, ready))
        watched.register(_bind(socket.SOCK_DGRAM, port), selectors.EVENT_READ, _echo_datagram)
    return watched


def serve(watched: selectors.BaseSelector) -> NoReturn:
    """Answer for ever."""
    while True:
        for key, _ in watched.select():
            answer: Callable[[socket.socket], None] = key.data
            ready = key.fileobj
            if isinstance(ready, socket.socket):
                try:
                    answer(ready)
                except OSError:
                    _forget(watched, ready)


def _accept(watched: selectors.BaseSelector, listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    connection.settimeout(1.0)
    watched.register(connection, selectors.EVENT_READ, lambda ready: _echo_stream(watched, ready))


def _echo_stream(watched: selectors.BaseSelector, connection: socket.socket) -> None:
    data = connection.recv(_CHUNK)
    if data:
        connection.sendall(data)
    else:
        _forget(watched, connection)


def _echo_datagram(listener: socket.socket) -> None:
    try:
        data, sender = listener.recvfrom(_CHUNK)
        listener.sendto(data, sender)
    except OSError:
        return


def _forget(watched: selectors.BaseSelector, connection: socket.socket) -> None:
    watched.unregister(connection)
    connection.close()
