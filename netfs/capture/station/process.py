"""A station as a process of this machine: forked, alone with two pipes, deaf to the terminal's interrupt."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
from typing import NamedTuple, NoReturn

from netfs.capture.station import wire
from netfs.capture.station.entry import die_with_parent
from netfs.capture.station.run import serve

FILES = 1 << 16
"""Open files, enough for the taps of any node."""
STACK = 1 << 19
"""Bytes of a thread's stack: by default it is as much as 8 MiB of address space, of which there may be little
(RLIMIT_AS), and dozens of threads open taps."""


class Process(NamedTuple):
    """A station, as whoever started it sees it."""

    pid: int
    tell: int
    """The pipe it listens to; closing it ends the station."""
    hear: int
    """The pipe it answers by."""


def start() -> Process:
    """Fork a station, which waits for its order. Raises OSError."""
    hear, send = os.pipe()
    receive, tell = os.pipe()
    interrupts = {signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts)
    try:
        pid = os.fork()
        if pid == 0:
            _live(receive, send)
    except OSError:
        os.close(hear)
        os.close(tell)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(receive)
        os.close(send)
    return Process(pid, tell, hear)


def _live(receive: int, send: int) -> NoReturn:
    """The child: an interrupt at the terminal is for its parent, which tells it to stop and waits for the rest."""
    try:
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        die_with_parent()
        try:
            _keep(receive, send)
        except OSError as failure:
            _refuse(send, failure)
        _allow_files()
        threading.stack_size(STACK)
        serve(0, 1)
    finally:
        os._exit(0)


def _refuse(send: int, failure: OSError) -> NoReturn:
    """Say why there is no station, and end."""
    told = wire.message(wire.FAILED, f"no listener could begin: {failure.strerror}".encode())
    with contextlib.suppress(OSError):
        os.write(send, told)
    os._exit(0)


def _keep(receive: int, send: int) -> None:
    """The pipes as standard input and output; nothing else of the parent's stays open. Raises OSError."""
    nothing = os.open(os.devnull, os.O_RDWR)
    received, sent = os.dup(receive), os.dup(send)
    os.dup2(received, 0)
    os.dup2(sent, 1)
    os.dup2(nothing, 2)
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd > 2:
            with contextlib.suppress(OSError):  # the folder's own is closed already
                os.close(fd)


def _allow_files() -> None:
    """Every tap is two open files, and an ordinary limit is 1024; root may raise even the hard one (getrlimit(2))."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(most, FILES), most):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
