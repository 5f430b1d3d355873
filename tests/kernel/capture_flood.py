"""Foreign traffic, as fast as one process can: ``python capture_flood.py DEVICE SECONDS FRAME-IN-HEX [PER-SECOND]``.

The same frame again and again by sendmmsg(2); at the end the number that the kernel took.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import time

AT_ONCE = 256
SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def flood(device: str, seconds: float, frame: bytes, rate: float) -> int:
    libc = ctypes.CDLL(None)
    own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    own.bind((device, 0))
    own.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    data = ctypes.create_string_buffer(frame, len(frame))
    vector = Vector(ctypes.addressof(data), len(frame))
    messages = (Header * AT_ONCE)(*[Header(vectors=ctypes.addressof(vector), vectors_length=1)] * AT_ONCE)
    begin = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < begin + seconds:
        if sent > (now - begin) * rate:
            time.sleep(0.001)
        sent += max(0, libc.sendmmsg(own.fileno(), messages, AT_ONCE, 0))
    return sent


if __name__ == "__main__":
    device, seconds, frame, *rate = sys.argv[1:]
    print(flood(device, float(seconds), bytes.fromhex(frame), float(rate[0]) if rate else 1e9))
