"""Writes pcapng, packet by packet: little-endian, nanoseconds, one section (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from netfs.model.text import printable

MOST_TEXT = 0xFFFF
"""Bytes of the longest option (section 3.5)."""
MOST_DATA = 262144
"""Bytes of the longest packet: Wireshark refuses a file with a longer one (WTAP_MAX_PACKET_SIZE_STANDARD)."""
_END = b"\0\0\0\0"
_COMMENT = 1
_SECTION, _INTERFACE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 5, 6
_WAYS = {None: b"", "in": struct.pack("<HHI", 2, 4, 1), "out": struct.pack("<HHI", 2, 4, 2)}
"""epb_flags: the direction is in its lowest two bits (section 4.3.1)."""
_BEHIND = {way: flags + _END if flags else b"" for way, flags in _WAYS.items()}
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_HEADER = struct.Struct("<7I").pack
_TRAILER = struct.Struct("<I").pack


class PcapngWriter:
    """A section on an open binary stream, which stays its opener's to close.

    Names and comments are written as they may be shown on a terminal, and cut at 65,535 bytes. Whatever the stream
    raises (a full disk, a closed pipe) goes to the caller.
    """

    def __init__(self, stream: BinaryIO, *, application: str, comment: str = "") -> None:
        self._write = stream.write
        self._stream = stream
        self._interfaces = 0
        self._last_ns = 0
        body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._block(_SECTION, body, _options((_COMMENT, _remark(comment)), (4, printable(application))))

    def add_interface(
        self, name: str, linktype: int = 1, snaplen: int = 0, description: str = "", comment: str = ""
    ) -> int:
        """Describe one more interface; answer its number. ``snaplen`` 0: packets are whole."""
        body = struct.pack("<HHI", linktype, 0, snaplen)
        texts = ((_COMMENT, _remark(comment)), (2, printable(name)), (3, printable(description)))
        self._block(_INTERFACE, body, _options(*texts, more=struct.pack("<HHB3x", 9, 1, 9)))
        self._interfaces += 1
        return self._interfaces - 1

    def write(
        self, interface: int, at_ns: int, data: bytes, length: int, *, way: str | None = None, comment: str = ""
    ) -> None:
        """Write a packet: what was captured of it, its bytes on the wire, and ``in``, ``out`` or not known.

        Times are nanoseconds since the epoch, from 1970 to 2554. Of the packet 262,144 bytes are kept.
        """
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"interface {interface} was not added")
        captured = len(data)
        if captured > MOST_DATA:
            data, captured = data[:MOST_DATA], MOST_DATA
        padding = _PADDING[captured & 3]
        behind = _options((_COMMENT, _remark(comment)), more=_WAYS[way]) if comment else _BEHIND[way]
        total = 32 + captured + len(padding) + len(behind)
        header = _HEADER(_ENHANCED, total, interface, at_ns >> 32, at_ns & 0xFFFFFFFF, captured, length)
        self._write(b"".join((header, data, padding, behind, _TRAILER(total))))
        self._last_ns = at_ns

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """Tell how many packets an interface received and how many of them were lost, up to the last one written."""
        body = struct.pack("<III", interface, self._last_ns >> 32, self._last_ns & 0xFFFFFFFF)
        counts = struct.pack("<HHQHHQ", 4, 8, received, 5, 8, dropped)
        self._block(_STATISTICS, body, counts + _END)

    def flush(self) -> None:
        """Hand on what the stream holds back."""
        self._stream.flush()

    def _block(self, kind: int, body: bytes, options: bytes) -> None:
        total = 12 + len(body) + len(options)
        self._write(struct.pack("<II", kind, total) + body + options + _TRAILER(total))


def _options(*texts: tuple[int, str], more: bytes = b"") -> bytes:
    """Options of text, where there is text, and such as are made already (section 3.5)."""
    made = b""
    for code, text in texts:
        if text:
            value = text.encode("utf-8", "backslashreplace")[:MOST_TEXT]
            if len(value) == MOST_TEXT:  # not in the middle of a character
                value = value.decode("utf-8", "ignore").encode()
            made += struct.pack("<HH", code, len(value)) + value + _PADDING[len(value) & 3]
    made += more
    return made + _END if made else b""


def _remark(text: str) -> str:
    """A comment: it may have several lines."""
    return "\n".join(map(printable, text.split("\n")))
