"""Namespaces that go with this process, taps in them, and a probe with a word in it: the tests' own small station."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from netfs.capture.station.tracing import Tracer
from netfs.collect import nsfs
from netfs.lab import linux
from netfs.model.live import Sighting, TapRef
from netfs.model.packet import Packet

TOKEN = b"\xa9netf\xb1"
PORT = 4242
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3


@dataclass
class Space:
    """A network namespace that nothing but this process holds."""

    name: str
    fd: int = -1
    inode: int = 0
    tap: socket.socket | None = None
    devices: dict[int, str] = field(default_factory=dict)

    @classmethod
    def new(cls, name: str) -> Space:
        def work() -> int:
            linux.unshare(linux.CLONE_NEWNET)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            return os.open(nsfs.OWN, os.O_RDONLY | os.O_CLOEXEC)

        fd = nsfs.apart(work)
        return cls(name, fd, os.fstat(fd).st_ino)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def within(self, work: Callable[[], object]) -> object:
        def entered() -> object:
            nsfs.enter(self.fd)
            return work()

        return nsfs.apart(entered)

    def run(self, commands: str) -> None:
        """Shell commands, one a line."""
        self.within(lambda: subprocess.run(["sh", "-ec", commands], check=True, stdout=subprocess.DEVNULL))

    def listen(self) -> None:
        def work() -> None:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            tap.setblocking(False)
            self.tap = tap
            self.devices = dict(socket.if_nameindex())

        self.within(work)

    def close(self) -> None:
        if self.tap:
            self.tap.close()
        os.close(self.fd)

    def ref(self, device: str) -> TapRef:
        index = next((number for number, name in self.devices.items() if name == device), 0)
        return TapRef(self.name, self.name, self.inode, device, index)

    def frames(self) -> Iterator[tuple[bytes, int, str, str]]:
        """(frame, time, device, way) of all that waits at the tap."""
        assert self.tap
        while True:
            try:
                frame, control, _, address = self.tap.recvmsg(65536, 256)
            except BlockingIOError:
                return
            times = [data for level, kind, data in control if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
            seconds, nanoseconds = struct.unpack("=qq", times[0])
            yield frame, seconds * 10**9 + nanoseconds, address[0], "out" if address[2] == 4 else "in"


def wire(one: Space, device: str, other: Space, peer: str) -> None:
    """A veth pair between two namespaces, up."""
    one.run(f"ip link add {device} type veth peer name {peer} netns {other.path}\nip link set {device} up")
    other.run(f"ip link set {peer} up")


def word(number: int) -> bytes:
    return TOKEN + number.to_bytes(2)


def read(frame: bytes) -> tuple[int, str, Packet] | None:
    """(number, role, packet) of a frame of the probe: IPv4 or IPv6, perhaps in VXLAN."""
    at = frame.find(TOKEN)
    if at < 8:
        return _handshake(frame)
    number = int.from_bytes(frame[at + 6 : at + 8])
    six = frame[12:14] == b"\x86\xdd"
    protocol, kind = (frame[20], frame[54]) if six else (frame[23], frame[34])
    packet = Packet(src="fd00::1" if six else "192.0.2.1", dst="fd00::2" if six else "192.0.2.2")
    if (protocol, kind) in {(1, 3), (1, 11), (58, 1), (58, 2), (58, 3)}:
        return number, "error", packet
    if frame[at - 8] in {0, 129} or frame[at - 8 : at - 6] == PORT.to_bytes(2):
        return number, "answer", replace(packet, src=packet.dst, dst=packet.src)
    return number, "probe", packet


def _handshake(frame: bytes) -> tuple[int, str, Packet] | None:
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return None
    sport, dport, sequence, acknowledged = struct.unpack_from("!HHII", frame, 34)
    flags = frame[47]
    away = dport == PORT
    if not away and sport != PORT:
        return None
    names = {2: "syn", 18: "syn-ack", 4: "rst", 20: "rst"}
    ends = ("192.0.2.1", "192.0.2.2") if away else ("192.0.2.2", "192.0.2.1")
    packet = Packet(*ends, "tcp", sport, dport, tcp_flags=names.get(flags))
    number = (sequence if away else acknowledged - 1) & 1023
    return number, ("reset" if flags & 4 else "probe") if away else "answer", packet


def gather(spaces: Sequence[Space], seconds: float) -> list[Sighting]:
    """What the taps see of the probe within this time."""
    found: list[Sighting] = []
    by_fd = {space.tap.fileno(): space for space in spaces if space.tap}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for fd in select.select(list(by_fd), [], [], left)[0]:
            space = by_fd[fd]
            for frame, at, device, way in space.frames():
                if known := read(frame):
                    number, role, packet = known
                    found.append(Sighting(space.ref(device), way, at, number, role, packet, len(frame)))
    return sorted(found, key=lambda one: one.at_ns)


@contextlib.contextmanager
def sender(space: Space, family: int, protocol: int) -> Iterator[socket.socket]:
    """A raw socket as the station's: the kernel makes the IP header and routes."""

    def work() -> socket.socket:
        found = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_RAW, protocol)
        if family == 4:
            found.setsockopt(socket.IPPROTO_IP, 10, 1)  # IP_MTU_DISCOVER, IP_PMTUDISC_WANT
        return found

    raw = space.within(work)
    assert isinstance(raw, socket.socket)
    with raw:
        yield raw


def datagram(protocol: str, number: int, size: int, source: str, destination: str) -> bytes:
    """Transport header and payload, ``size`` bytes of it."""
    payload = (word(number) * (size // 8 + 1))[:size]
    if protocol == "udp":
        return struct.pack("!HHHH", 5353, PORT, 8 + size, 0) + payload
    if protocol == "tcp":
        sequence = int.from_bytes(TOKEN[:4]) >> 10 << 10 | number
        head = struct.pack("!HHIIBBHHH", 5353, PORT, sequence, 0, 5 << 4, 2, 64240, 0, 0)
        pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, len(head))
        return head[:16] + struct.pack("!H", _checksum(pseudo + head)) + head[18:]
    kind = 128 if protocol == "icmpv6" else 8  # of ICMPv6 the kernel makes the checksum itself
    head = struct.pack("!BBHHH", kind, 0, 0, 77, number)
    return struct.pack("!BBHHH", kind, 0, _checksum(head + payload), 77, number) + payload


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(tracer: Tracer, raw: socket.socket, data: bytes, destination: str, number: int) -> str | None:
    """As the station: mark, then hand it to the kernel. The errno's text where the kernel refuses."""
    tracer.mark(number)
    try:
        raw.sendto(data, (destination, 0))
    except OSError as failure:
        return failure.strerror
    return None
