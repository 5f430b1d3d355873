"""Taps: one packet socket for each namespace, with a ring that the kernel fills (packet(7), TPACKET_V3).

Offsets and numbers are those of include/uapi/linux/if_packet.h; Documentation/networking/packet_mmap.rst tells the
protocol of the ring: a block belongs to the kernel until it sets TP_STATUS_USER, then to us until we take that away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
from collections.abc import Iterator
from struct import Struct

from netfs.capture.station.entry import enter, named
from netfs.capture.station.order import Post

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_VERSION = 10
TPACKET_V3 = 2
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
BPF_RET_K = 0x06

BLOCK = 1 << 18
"""Bytes of a block: a frame that is not cut yet by segmentation offload fits."""
FRAME = 2048
"""The kernel asks for it, and in this version fills blocks by what frames need."""
RETIRE_MS = 10
"""A block that is not full is handed over after one or two of these."""
USER = 1
"""TP_STATUS_USER."""

INSTRUCTION = Struct("=HBBI")
PROGRAM = Struct("@HP")
"""``struct sock_fprog``."""
REQUEST = Struct("=7I")
"""``struct tpacket_req3``."""
DESCRIPTION = Struct("=8x4I")
"""``struct tpacket_block_desc``: block_status, num_pkts, offset_to_first_pkt, blk_len."""
STATUS = Struct("=I")
STATUS_AT = 8
ADDRESS = Struct("=HHiHBB8s")
"""``struct sockaddr_ll``."""
STATISTICS = Struct("=3I")
"""``struct tpacket_stats_v3``: tp_packets, tp_drops, tp_freeze_q_cnt."""

_libc = ctypes.CDLL(None, use_errno=True)


class Tap:
    """One namespace, heard at all of its devices."""

    def __init__(self, own: socket.socket, blocks: int) -> None:
        self._socket = own
        self._ring = mmap.mmap(own.fileno(), blocks * BLOCK)
        self._view = memoryview(self._ring)
        self._blocks = blocks
        self._next = 0
        self._handed = 0
        self._dropped = 0

    def fileno(self) -> int:
        """Readable once a block is filled."""
        return self._socket.fileno()

    def filled(self) -> Iterator[tuple[int, memoryview]]:
        """(number of frames, their bytes) of blocks that the kernel has filled, one round of the ring at most.

        A block goes back to the kernel when the next one is asked for.
        """
        for _ in range(self._blocks):
            at = self._next * BLOCK
            status, count, first, length = DESCRIPTION.unpack_from(self._view, at)
            if not status & USER:
                return
            self._handed += count
            yield count, self._view[at + first : at + length]
            STATUS.pack_into(self._view, at + STATUS_AT, 0)
            self._next = (self._next + 1) % self._blocks

    def tally(self) -> tuple[int, int]:
        """(frames handed out, frames for which there was no room) since it was opened."""
        told = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        self._dropped += STATISTICS.unpack(told)[1]  # asking sets it to 0
        return self._handed, self._dropped

    def close(self) -> None:
        """Stop listening. Takes some ms: the kernel waits until nobody uses the ring."""
        with contextlib.suppress(BufferError):  # somebody still holds a block: it goes with the process
            self._view.release()
            self._ring.close()
        self._socket.close()


def open_tap(post: Post, program: bytes, snaplen: int, room: int) -> Tap:
    """Listen in a namespace. The calling thread is left in it.

    Nothing is heard before the filter is in place: a socket of protocol 0 hears nothing (packet_create), bind comes
    last. Raises OSError; its ``filename`` is what could not be done.
    """
    enter(post)
    with named("packet socket", "CAP_NET_RAW"):
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        _attach(own, cut(program, snaplen))
        own.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        own.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        blocks = max(2, room // BLOCK)
        request = REQUEST.pack(BLOCK, blocks, FRAME, BLOCK // FRAME * blocks, RETIRE_MS, 0, 0)
        _setsockopt(own, PACKET_RX_RING, request)
        with named("ring"):
            tap = Tap(own, blocks)
        _bind(own)
    except BaseException:
        own.close()
        raise
    return tap


def cut(program: bytes, snaplen: int) -> bytes:
    """A filter that keeps ``snaplen`` bytes of a frame at most; of no filter, one that takes every frame."""
    if not program:
        return INSTRUCTION.pack(BPF_RET_K, 0, 0, snaplen)
    return b"".join(
        INSTRUCTION.pack(code, yes, no, min(k, snaplen) if code == BPF_RET_K else k)
        for code, yes, no, k in INSTRUCTION.iter_unpack(program)
    )


def _attach(own: socket.socket, program: bytes) -> None:
    """Raises OSError."""
    held = ctypes.create_string_buffer(program, len(program))
    described = PROGRAM.pack(len(program) // INSTRUCTION.size, ctypes.addressof(held))
    try:
        own.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
    except OSError as failure:
        told = failure.strerror
        if failure.errno == errno.ENOMEM:  # sk_filter_charge: the option's, or what is left of it
            told = f"{told} (net.core.optmem_max is too small for it)"
        raise OSError(failure.errno, told, "filter") from None


def _setsockopt(own: socket.socket, option: int, value: bytes) -> None:
    """As the method, but other threads go on: the kernel waits for a grace period of RCU. Raises OSError."""
    if _libc.setsockopt(own.fileno(), SOL_PACKET, option, value, len(value)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "ring")


def _bind(own: socket.socket) -> None:
    """Hear every protocol at every device, those to come as well; Python's bind wants a device. Raises OSError."""
    address = ADDRESS.pack(socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0, b"")
    if _libc.bind(own.fileno(), address, len(address)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
