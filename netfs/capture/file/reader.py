"""Opening a capture file of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from netfs.capture.file import pcap, pcapng, stream
from netfs.capture.file.chunk import Chunk, Damage, Interface
from netfs.capture.file.window import CHUNK_BYTES, Window
from netfs.errors import CaptureError

_OTHERS = {
    b"\xfd7zXZ\0": "it is compressed by xz: decompress it first",
    b"BZh": "it is compressed by bzip2: decompress it first",
    b"\x04\x22\x4d\x18": "it is compressed by lz4: decompress it first",
    b"snoop\0\0\0": "it is a snoop file: convert it with editcap -F pcapng FILE new.pcapng",
}
_HINT = "netfs reads pcap and pcapng, also compressed by gzip or zstd; editcap -F pcapng converts from other formats"


class _Reader(Protocol):
    def chunks(self) -> Iterator[Chunk]: ...


class Capture:
    """An open capture file. ``interfaces``, ``comments`` and ``damage`` grow while its chunks are read."""

    def __init__(self, path: str, chunk_bytes: int) -> None:
        self.interfaces: list[Interface] = []
        """Over the whole file, across the sections of a pcapng."""
        self.damage: list[Damage] = []
        self.comments: list[str] = []
        """Of the file, not of its packets."""
        self._dropped: dict[int, int] = {}
        self._path = path
        self._name = "standard input" if path == stream.STDIN else path
        self._file = stream.open_file(path)
        self._raw = stream.Raw(self._file)
        self.total = stream.size(self._file)
        """Bytes of the file as it is stored; None: not known, as for a pipe."""
        try:
            self.format, reader = self._begin(chunk_bytes)
            self._chunks = reader.chunks()
        except BaseException:
            self.close()
            raise

    @property
    def position(self) -> int:
        """Bytes of the file, as it is stored, that were read so far."""
        return self._raw.position

    @property
    def dropped(self) -> int | None:
        """Packets that were lost while capturing, as far as a pcapng tells by now; None: it does not."""
        return sum(self._dropped.values()) if self._dropped else None

    def chunks(self) -> Iterator[Chunk]:
        """The packets, in the file's order; once. A chunk's data is good until the next chunk is asked for."""
        return self._chunks

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._path != stream.STDIN:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _begin(self, chunk_bytes: int) -> tuple[str, _Reader]:
        source, compression = self._stream()
        window = Window(source, self.damage, chunk_bytes)
        window.slide(0, pcapng.LEAST_SECTION)
        head = window.take(0, pcapng.LEAST_SECTION)
        suffix = f"+{compression}" if compression else ""
        if (layout := pcap.layout(head)) is not None:
            self.interfaces.append(layout.interface)
            return "pcap" + suffix, pcap.PcapReader(window, layout)
        if pcapng.begins(head):
            return "pcapng" + suffix, pcapng.PcapngReader(window, self.interfaces, self.comments, self._dropped)
        raise self._refusal(head, compression)

    def _stream(self) -> tuple[stream.Stream, str]:
        try:
            return stream.decompressed(self._raw)
        except stream.Broken as broken:
            raise CaptureError(f"cannot be read: {broken}", where=self._name) from None

    def _refusal(self, head: bytes, compression: str) -> CaptureError:
        if self.damage:
            return CaptureError(f"{self.damage[0].what}; nothing of it can be read", where=self._name)
        within = f" within its {compression}" if compression else ""
        if not head:
            hint = "was the capture stopped before its first write?" if self._path != stream.STDIN else "pipe a capture"
            return CaptureError(f"is empty{within}", where=self._name, hint=hint)
        if pcap.is_magic(head[:4]) or (pcapng.is_magic(head[:4]) and len(head) < pcapng.LEAST_SECTION):
            return CaptureError("is cut off within its first header: nothing can be read", where=self._name)
        hint = next((hint for magic, hint in _OTHERS.items() if head.startswith(magic)), _HINT)
        return CaptureError(f"is no capture{within}", where=self._name, hint=hint)


def open_capture(path: str, *, chunk_bytes: int = CHUNK_BYTES) -> Capture:
    """Open a pcap or pcapng file, or standard input for ``-``; gzip and zstd are looked through.

    ``chunk_bytes`` is how much of the (decompressed) file is read at a time: memory is a small multiple of it. Raises
    CaptureError where the file cannot be opened, is empty or no capture. What is damaged further on raises nothing:
    it is told by ``Capture.damage``.
    """
    return Capture(path, chunk_bytes)
