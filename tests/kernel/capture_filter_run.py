"""Attaches programs to sockets and sends packets past them, in a network namespace of its own.

    unshare -Urn python -m tests.kernel.capture_filter_run < job > answers

A job is a list of tasks, pickled: by the tests alone, for the tests alone.
"""

from __future__ import annotations

import ctypes
import pickle
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
OUTGOING = 4
OPTMEM = Path("/proc/sys/net/core/optmem_max")


def attach(tap: socket.socket, code: bytes) -> None:
    """Raises OSError as setsockopt(2) does."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HL", len(code) // 8, ctypes.addressof(buffer))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def on_datagrams(code: bytes, packets: Sequence[bytes]) -> list[int] | None:
    """How many bytes of each packet pass a UNIX socket's filter; None: the kernel does not take the program."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        try:
            attach(theirs, code)
        except OSError:
            return None
        theirs.setblocking(False)
        answers = []
        for packet in packets:
            ours.send(packet)
            try:
                answers.append(len(theirs.recv(65536)))
            except BlockingIOError:
                answers.append(0)
        return answers


def tap_of(device: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    tap.bind((device, ETH_P_ALL))
    tap.setblocking(False)
    return tap


def on_device(device: str, heard: str, programs: Sequence[bytes], frames: Sequence[bytes]) -> list[list[bytes]]:
    """What each program's tap on ``heard`` gets of frames sent out of ``device``."""
    answers = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind((device, 0))
        for code in programs:
            with tap_of(heard) as tap:
                attach(tap, code)
                got: list[bytes] = []
                for frame in frames:
                    sender.send(frame)
                    got += drained(tap)
                answers.append(got)
    return answers


def drained(tap: socket.socket) -> list[bytes]:
    got: list[bytes] = []
    while True:
        try:
            data, address = tap.recvfrom(65536)
        except BlockingIOError:
            return got
        if address[0] != "lo" or address[2] == OUTGOING:  # loopback's frames are heard twice
            got.append(data)


def taken(programs: Sequence[bytes], optmem: int) -> list[bool]:
    """Which programs a socket has room for where ``net.core.optmem_max`` is this."""
    OPTMEM.write_text(str(optmem))
    answers = []
    for code in programs:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as tap:
            try:
                attach(tap, code)
                answers.append(True)
            except OSError:
                answers.append(False)
    return answers


def cost(programs: Sequence[bytes], frame: bytes, count: int, taps: int) -> list[float]:
    """Nanoseconds of the CPU for a frame at one tap: of a program that returns 0 at once; what each adds to it."""
    nothing = struct.pack("=HBBI", 0x06, 0, 0, 0)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("v0", 0))

        def run(code: bytes) -> float:
            listening = [tap_of("v0") for _ in range(taps)]
            for tap in listening:
                attach(tap, code)
            begun = time.thread_time_ns()
            for _ in range(count):
                sender.send(frame)
            spent = time.thread_time_ns() - begun
            for tap in listening:
                tap.close()
            return spent / count / taps

        least = min(run(nothing) for _ in range(5))
        return [least, *(min(run(code) for _ in range(5)) - least for code in programs)]


TASKS: dict[str, Callable[..., Any]] = {
    "on_datagrams": lambda cases: [on_datagrams(*case) for case in cases],
    "on_device": on_device,
    "taken": taken,
    "cost": cost,
}

BUILD = """
ip link set lo up
ip link add v0 type veth peer name v1
ip link add n0 type vxlan external gpe dstport 4790
for device in v0 v1 n0; do sysctl -qw net.ipv6.conf.$device.disable_ipv6=1; ip link set $device up; done
"""


def main() -> None:
    subprocess.run(["sh", "-ec", BUILD], check=True)
    job = pickle.load(sys.stdin.buffer)
    pickle.dump([TASKS[name](*arguments) for name, arguments in job], sys.stdout.buffer)


if __name__ == "__main__":
    main()
