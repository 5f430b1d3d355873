"""libpcap is asked the same: text that both understand means the same to both, as far as frames without tunnels go."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from netfs.capture.filter import program
from netfs.capture.filter.machine import Frame, run
from netfs.capture.filter.parse import parse
from netfs.errors import FilterError
from tests.unit.filter_frames import PLAIN, Maker
from tests.unit.filter_questions import expression

LIBRARY = "libpcap.so.0.8"  # Debian: tshark brings it
ETHERNET = 1
ANY_NETMASK = 0xFFFFFFFF


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class Header(ctypes.Structure):
    _fields_ = (
        ("seconds", ctypes.c_long),
        ("micro", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


class Pcap:
    """``pcap_compile`` and ``pcap_offline_filter``, of Ethernet frames."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._library.pcap_open_dead.restype = ctypes.c_void_p
        self._library.pcap_geterr.restype = ctypes.c_char_p
        self._handle = ctypes.c_void_p(self._library.pcap_open_dead(ETHERNET, 262144))

    def compile(self, text: str) -> Program | str:
        """The program, or why there is none."""
        code = Program()
        if self._library.pcap_compile(self._handle, ctypes.byref(code), text.encode(), 0, ctypes.c_uint32(ANY_NETMASK)):
            return bytes(self._library.pcap_geterr(self._handle)).decode()
        return code

    def passes(self, code: Program, data: bytes) -> bool:
        header = Header(0, 0, len(data), len(data))
        return bool(self._library.pcap_offline_filter(ctypes.byref(code), ctypes.byref(header), data))

    def free(self, code: Program) -> None:
        self._library.pcap_freecode(ctypes.byref(code))

    def close(self) -> None:
        self._library.pcap_close(self._handle)


@pytest.fixture(scope="module")
def pcap(require_program: Callable[[str], str]) -> Iterator[Pcap]:
    require_program("tshark")
    opened = Pcap()
    yield opened
    opened.close()


def frames(rng: Random, count: int) -> list[bytes]:
    """Without tags and extension headers, over which pcap-filter does not step."""
    maker = Maker(rng, vlans=False, extensions=False)
    made = (maker.frame(1) for _ in range(9 * count))
    return [one.data for one in made if one.hatype == PLAIN][:count]


def same(pcap: Pcap, text: str, asked: str, frames: list[bytes]) -> int:
    """How many frames passed both, of ``text`` asked of libpcap and ``asked`` of ours."""
    theirs = pcap.compile(text)
    assert isinstance(theirs, Program), (text, theirs)
    ours = program.for_expression(parse(asked))
    passed = 0
    for data in frames:
        answer = pcap.passes(theirs, data)
        assert (run(ours, Frame(data)) != 0) is answer, (text, data.hex())
        passed += answer
    pcap.free(theirs)
    return passed


def test_expressions_mean_what_they_mean_to_libpcap(pcap: Pcap) -> None:
    rng = Random(11)
    shapes = frames(rng, 150)
    texts = [expression(rng, rng.randrange(4), plain=True) for _ in range(250)]
    passed = [same(pcap, text, f"outer ( {text} )", shapes) for text in texts]
    assert sum(0 < count < len(shapes) for count in passed) > 150


WORDS = [
    *(
        "host",
        "src",
        "dst",
        "port",
        "net",
        "portrange",
        "proto",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "ip",
        "ip6",
        "arp",
        "ether",
    ),
    *("and", "or", "not", "(", ")", "&&", "||", "!", "greater", "less", "and", "or", r"\tcp"),
    *(
        "10.244.1.2",
        "10.244.2.2",
        "fd01::1",
        "80",
        "443",
        "53",
        "100",
        "80-443",
        "10.244.0.0/16",
        "10.244",
        "02:00:00:00:00:0a",
    ),
]


def soup(rng: Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randrange(1, 9)))


def understood(pcap: Pcap, rng: Random, count: int) -> Counter[str]:
    """How many texts of random words both understand; why we do not understand what libpcap does."""
    shapes = frames(rng, 60)
    found = Counter[str]()
    for _ in range(count):
        text = soup(rng)
        theirs = pcap.compile(text)
        try:
            parse(text)
        except FilterError as error:
            if isinstance(theirs, Program):
                pcap.free(theirs)
                found[error.what.partition(": ")[2]] += 1
            continue
        if isinstance(theirs, Program):
            pcap.free(theirs)
            found["both"] += same(pcap, text, f"outer ( {text} )", shapes) >= 0
    return found


def test_what_both_understand_is_understood_alike(pcap: Pcap) -> None:
    found = understood(pcap, Random(12), 4000)
    assert found.pop("both") > 80
    numbers = {"no IP address", "no network", "portrange takes two numbers"}
    assert {what for what in found if not what.startswith("a protocol is one of")} <= numbers
